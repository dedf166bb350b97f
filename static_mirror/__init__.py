"""The static mirror: every event of a room's log as a row of plain HTML on disk, at the moment it goes live.

``layout`` names folders and pages, ``pages`` and ``index`` make HTML, ``files`` touches the disk, ``writer`` is the mirror
that the server uses, ``kept`` the rows that it wrote and has not sealed yet, ``rebuild`` makes pages again from the log,
``verify`` is an independent reader of a pages folder.
The package imports nothing of the project; ``rows.PageEvent`` is all it knows of an event.
"""

from static_mirror.files import MirrorError
from static_mirror.rebuild import RebuildReport, differing, rebuild, remake, repair, seal
from static_mirror.rows import PageEvent
from static_mirror.writer import Mirror

__all__ = ["Mirror", "MirrorError", "PageEvent", "RebuildReport", "differing", "rebuild", "remake", "repair", "seal"]
