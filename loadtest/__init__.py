"""Load tests that check truth as well as speed.

``python -m loadtest run SCENARIO`` plays a scenario file in open model, judges its thresholds and reports (docs/load-tests.md).
``python -m loadtest bench NAME --url URL --data-dir DIR`` measures a running server, ``local NAME`` starts one on a core of its
own; the names are ``fanout``, ``ingest``, ``stall``, ``idle`` and ``churn``. ``replay`` and ``local-replay`` send a file of real
comments as the people who wrote them. Of the project this package imports ``server.wire`` alone: it sees a server as any client does.

From the bottom up: ``frames`` (RFC 6455 for clients), ``messages`` (what the server says), ``truth`` (what must hold), ``feed``
(what all viewers of a room get alike), ``clients`` (one connection), ``participants`` (people over any number of connections),
``stage`` and ``scenarios``, ``report``. For scenario files: ``spec`` (what a file says), ``arena`` (rooms and people), ``acts`` (what
they do), ``conduct`` (phase after phase), ``books`` (figures), ``outcome`` (verdict), ``page`` and ``plots``, ``comparing``.
"""
