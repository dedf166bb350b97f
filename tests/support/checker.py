"""The invariant checker as tests use it: evidence from a running server, from clients, and from the pages on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtest.ledger import Ledger
from loadtest.participants import Participant
from loadtest.readback import Reader, read_page_files
from loadtest.truth import Contents, Evidence, Violation, check


async def judge(origin: str, room: str, people: Sequence[Participant], ledger: Ledger, contents: Contents) -> list[Violation]:
    """Hold everything against everything: what the people sent, were told and received, the log, and the static pages.

    ``ledger`` must hold all comments of the room from its beginning on. People who are not present may have missed the end.
    """
    async with Reader(origin, room) as reader:
        log = await reader.log()
        pages = await reader.pages(0, log.events[-1].seq if log.events else 0)
    return check(
        Evidence(
            log=log.events,
            pages=pages,
            submissions=list(ledger),
            answer_faults=ledger.faults,
            streams=[person.stream for person in people],
            cut=frozenset(person.name for person in people if not person.present),
            contents=contents,
            epoch=log.epoch,
        )
    )


def live_is_static(contents: Contents, data_dir: Path, room: str) -> list[Violation]:
    """Everything that any viewer received stands on the disk at this moment, whatever became of the server since."""
    rows = {row.seq: row for row in read_page_files(data_dir / "pages", room)}
    violations = []
    for seq, event in sorted(contents.events.items()):
        row = rows.get(seq)
        if row is None:
            violations.append(Violation("live_not_static", f"event {seq} was live and is on no page of the disk"))
        elif event.kind == "comment" and event.removed is None and row.text != event.text:
            violations.append(Violation("page_differs", f"event {seq} was live with another text than its page has"))
    return violations


def told(violations: Sequence[Violation]) -> str:
    """The violations for people who read a failed test."""
    return "\n".join(f"{violation.rule}: {violation.detail}" for violation in violations[:20])
