"""The provider's own credit file: how this site kept its duties in a period, computed from the records alone (duties P9(2), T3).

It is a pure function of rows that cannot be changed (the ledger, the access log) and of decided appeals: whoever reads the same
rows gets the same file, and ``records`` names them by number and hash. It names nobody.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any, Final

from sqlalchemy import Connection, func, select

from server.accounts import tables
from server.accounts.book import entry_of
from server.accounts.events import Erased, LicenceChanged, Lifted, Measured, Opened, Verified

START: Final = 100
WEIGHTS: Final[dict[str, int]] = {
    "appeals_decided_late": -2,
    "appeals_overdue": -3,
    "measures_lifted_on_appeal": -1,
}
"""Points for each fault, published here; what is done well is expected and earns none. The file ends at 0."""


def compile_file(connection: Connection, since_ms: int, until_ms: int) -> dict[str, Any]:
    """The file of the period from ``since_ms`` to before ``until_ms`` (Unix ms): ``{period, records, accounts, measures,
    appeals, licences, access, faults, points}``. Numbers only."""
    ledger = tables.ledger.c
    rows = connection.execute(
        select(tables.ledger).where(ledger.at_ms >= since_ms, ledger.at_ms < until_ms).order_by(ledger.id)
    ).mappings()
    digest, entries, last = hashlib.sha256(), 0, 0
    accounts: Counter[str] = Counter()
    rungs: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    lifted: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    automated = 0
    for row in rows:
        digest.update(f"{row['id']}\0{row['account']}\0{row['at_ms']}\0{row['actor']}\0{row['role']}\0".encode() + row["data"])
        entries, last = entries + 1, row["id"]
        match entry_of(row).event:
            case Opened():
                accounts["opened"] += 1
            case Verified():
                accounts["verified"] += 1
            case Erased():
                accounts["erased"] += 1
            case Measured(rung=rung, code=code, automated=by_program):
                rungs[rung] += 1
                codes[code[:1] or "-"] += 1
                automated += by_program
            case Lifted(how=how):
                lifted[how] += 1
            case LicenceChanged():
                licences["changed"] += 1
            case _:
                pass
    appeals = _appeals(connection, since_ms, until_ms)
    faults = {
        "appeals_decided_late": appeals["decided_late"],
        "appeals_overdue": appeals["overdue"],
        "measures_lifted_on_appeal": lifted["appeal"],
    }
    return {
        "period": {"since_ms": since_ms, "until_ms": until_ms},
        "records": {"entries": entries, "last": last, "sha256": digest.hexdigest()},
        "accounts": dict(sorted(accounts.items())),
        "measures": {
            "by_rung": dict(sorted(rungs.items())), "by_family": dict(sorted(codes.items())), "automated": automated,
            "lifted": dict(sorted(lifted.items())),
        },
        "appeals": appeals,
        "licences": dict(licences),
        "access": _access(connection, since_ms, until_ms),
        "faults": faults,
        "points": points(faults),
    }  # fmt: skip


def points(faults: dict[str, int]) -> int:
    """100, less what the faults weigh; at least 0."""
    return max(0, START + sum(WEIGHTS[name] * count for name, count in faults.items()))


def _appeals(connection: Connection, since_ms: int, until_ms: int) -> dict[str, int]:
    """Appeals that were filed, decided (upheld, late) in the period, and those that were overdue at its end."""
    a = tables.appeals.c

    def count(*conditions: Any) -> int:
        return connection.execute(select(func.count()).select_from(tables.appeals).where(*conditions)).scalar_one()

    decided = (a.decided_ms >= max(1, since_ms), a.decided_ms < until_ms)
    open_then = (a.at_ms < until_ms, (a.decided_ms == 0) | (a.decided_ms >= until_ms))
    return {
        "filed": count(a.at_ms >= since_ms, a.at_ms < until_ms),
        "decided": count(*decided),
        "upheld": count(*decided, a.upheld == 1),
        "decided_late": count(*decided, a.decided_ms > a.due_ms),
        "overdue": count(*open_then, a.due_ms < until_ms),
    }


def _access(connection: Connection, since_ms: int, until_ms: int) -> dict[str, int]:
    """Lines of the access log by action."""
    log = tables.access_log.c
    query = select(log.action, func.count()).where(log.at_ms >= since_ms, log.at_ms < until_ms).group_by(log.action)
    rows = connection.execute(query.order_by(log.action))
    return {str(action): int(count) for action, count in rows}
