"""This server and its peers in one run: one meter, one payload, the same cores.

``python -m loadtest peers`` starts each server on a core of its own, one after the other, lets the same number of viewers in,
and publishes the same comments at the same rates. This server runs as it is shipped, with screening, commit and static pages;
the peers hand on what they are given, and do nothing else.

From the bottom up: ``dialects`` (how a peer wants to be spoken to), ``people`` (its viewers and its publisher), ``sweep`` (reading
thousands of connections), ``family`` (what several processes cost), ``stages`` (one run), ``catalogue`` and ``process`` (which
peers there are, and how they are started), ``comparison`` (all runs, and what must hold), ``cli``. The peers themselves are
in ``servers``; what they need is installed by ``make bench-peers`` alone.
"""
