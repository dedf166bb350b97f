"""A process that appends batches until it is killed: ``python -m tests.server.store.crash_writer DATABASE ROUND``.

After each batch it writes one line, with the keys and numbers that it would acknowledge.
"""

from __future__ import annotations

import sys
from pathlib import Path

from server.store.base import Committed, Draft
from server.store.sql import SqlStore
from tests.support.drafts import comment, held, removal


def main(path: Path, turn: str) -> None:
    """Append comments, a removal and a held comment in each batch, for ever."""
    store = SqlStore.open(path)
    batch = 0
    while True:
        drafts: list[Draft] = [comment(f"{turn}-{batch}-{number}", room="ab"[number % 2]) for number in range(20)]
        drafts.append(held(f"{turn}-{batch}-held"))
        first = store.append(drafts)[0]
        assert isinstance(first, Committed)
        outcomes = [first, *store.append([removal(first.event.seq, f"{turn}-{batch}-rm"), *drafts[1:20]])]
        kept = [outcome for outcome in outcomes if isinstance(outcome, Committed)]
        assert len(kept) == 21
        keys = [f"{turn}-{batch}-0", f"{turn}-{batch}-rm", *(f"{turn}-{batch}-{number}" for number in range(1, 20))]
        told = " ".join(f"{key}={outcome.room}{outcome.event.seq}" for key, outcome in zip(keys, kept, strict=True))
        sys.stdout.write(told + "\n")
        sys.stdout.flush()
        batch += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
