"""Duties T7 (the label of a public account) and the account rules of 2022 (the region of a comment), on a running server."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from server.accounts import licences
from server.accounts.book import Transaction
from server.accounts.events import PublicState, PublicStep
from server.operations import LocalOperations, Remove, Restore
from static_mirror import verify
from tests.support.regions import V4_ROWS, V6_ROWS, database
from tests.support.running import RunningServer, running
from tests.support.wsclient import RawClient

ADDRESSES: Final = {"202.96.129.77": "广东", "126.9.8.7": "日本", "2a00:1450:4001:7::5": "爱尔兰", "192.168.7.6": "未知"}
LABEL: Final = "市图书馆"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server behind a proxy, with region data."""
    folder = tmp_path_factory.mktemp("t7")
    for name, rows in (("v4", V4_ROWS), ("v6", V6_ROWS)):
        (folder / f"{name}.xdb").write_bytes(database(rows))
    with running(
        folder / "data", sql=True, trusted_proxies=("127.0.0.0/8",), region_file=str(folder / "v4.xdb"),
        region_file_v6=str(folder / "v6.xdb"), rate_address_burst=1000,
    ) as found:  # fmt: skip
        license_provider(found)
        yield found


def post(server: RunningServer, account: str, text: str, *, nickname: str = "小明", address: str = "", **fields: Any) -> int:
    """Say something from an address behind the proxy; the comment's number."""
    with RawClient(server.port) as client:
        headers = [("X-Forwarded-For", address)] if address else []
        client.handshake(f"/ws?room=demo&token={server.token(account, nickname)}", headers=headers)
        client.read_until("joined")
        client.send_text({"op": "say", "room": "demo", "key": secrets.token_hex(8), "text": text, **fields})
        answer = client.read_until("ack", "held", "refused")
        assert answer["op"] == "ack", answer
        return int(answer["seq"])


def get(server: RunningServer, path: str) -> str:
    """What stands at this address."""
    return httpx.get(server.url + path, timeout=30, trust_env=False).raise_for_status().text


def event(server: RunningServer, seq: int) -> dict[str, Any]:
    """The event as a viewer gets it live, in the history and on joining: one and the same."""
    deadline = time.monotonic() + 20
    while True:  # an acknowledgement comes up to a tick before the event is live
        with RawClient(server.port) as viewer:
            viewer.handshake("/ws?room=demo")
            events: list[dict[str, Any]] = viewer.read_until("joined")["events"]
        for found in events:
            if found["seq"] == seq:
                return found
        assert time.monotonic() < deadline
        time.sleep(0.02)


def article(page: str, seq: int) -> str:
    """The row of a comment."""
    found = re.search(rf'<article id="c{seq}".*?</article>', page)
    assert found is not None
    return found[0]


def license_provider(server: RunningServer) -> None:
    """The provider may run public accounts."""
    people = server.parts.people

    def work(tx: Transaction) -> str:
        return licences.record(
            tx, holder="provider", kind="k", number="1", issuer="i", features=("public_accounts",), valid_from_ms=0,
            valid_until_ms=2 * tx.now_ms, actor="bob", role="compliance",
        )  # fmt: skip

    server.run(people.book.write(work))
    server.run(people.read_licences())


def step(server: RunningServer, account: str, state: PublicState) -> None:
    """A step of a public account, as staff take it; what stands before it is tested with the state machine."""

    def work(tx: Transaction) -> None:
        tx.open(account, origin="host", actor="host")
        tx.append(account, PublicStep(state=state, category="institution", label=LABEL), actor="bob", role="licence_officer")

    server.run(server.parts.site.people.book.write(work))


def test_duty_t7_a_comment_shows_the_region_of_its_address_and_never_the_address(server: RunningServer) -> None:
    """Province or country stand on the comment in frame, page and history; of the address itself nothing is handed out or logged
    or written to the pages."""
    seqs = {post(server, f"u{n}", f"来自 {n}", address=address): address for n, address in enumerate(ADDRESSES)}
    event(server, max(seqs))
    page = get(server, "/rooms/demo/comments/0.html")
    history = get(server, "/api/rooms/demo/events?after=0&limit=100")
    for seq, address in seqs.items():
        assert event(server, seq)["region"] == ADDRESSES[address]
        assert f'value="{ADDRESSES[address]}">IP属地：{ADDRESSES[address]} ' in article(page, seq)
    pages = server.parts.settings.data_dir / "pages"
    written = "".join(path.read_text() for path in sorted(pages.rglob("*.html")))
    logs = repr([server.logged(level) for level in ("debug", "info", "warning", "error")])
    for address in ADDRESSES:
        assert all(address not in text for text in (page, history, get(server, "/rooms/demo"), written, logs))


def test_duty_t7_a_public_account_has_its_label_and_nobody_can_write_one(server: RunningServer) -> None:
    """The label comes from the account's standing alone: it is there while the account is active, on the comments of that time, and
    neither nickname, text nor fields of the message make one."""
    before = post(server, "library", "开馆了")
    step(server, "library", "active")
    active = post(server, "library", "今晚有讲座")
    faked = post(
        server, "faker", f"{LABEL} 公众账号", nickname=f"{LABEL}<b class=badge>", label=LABEL, label_kind="institution", region="火星"
    )  # fmt: skip
    step(server, "library", "revoked")
    after = post(server, "library", "闭馆了")
    assert event(server, active)["label"] == {"kind": "institution", "text": LABEL}
    assert not any("label" in event(server, seq) for seq in (before, faked, after))
    assert event(server, faked)["region"] == "未知"
    page = get(server, "/rooms/demo/comments/0.html")
    shown = {seq: '<span class="badge' in article(page, seq) for seq in (before, active, faked, after)}
    assert shown == {before: False, active: True, faked: False, after: False}


def test_duty_t7_a_removed_comment_shows_neither_label_nor_region(server: RunningServer) -> None:
    """A tombstone tells nothing of its author; restored, the comment has both again; the pages hold what the log holds."""
    step(server, "museum", "active")
    seq = post(server, "museum", "展品", address="202.96.129.77")

    operations = LocalOperations(server.parts.site, "ann")
    before = event(server, seq)
    server.run(operations.remove(Remove(room="demo", seq=seq, code="L5", basis="rule 7")))
    assert not {"label", "region", "author", "text"} & event(server, seq).keys()
    row = article(get(server, "/rooms/demo/comments/0.html"), seq)
    assert not any(word in row for word in (LABEL, "badge", "广东", "region"))
    server.run(operations.restore(Restore(room="demo", seq=seq, code="R1", basis="appeal 1")))
    assert event(server, seq) == before
    assert before["region"] == "广东"
    folder: Path = server.parts.settings.data_dir / "pages/rooms/demo/comments"
    assert verify.verify(folder).problems == []
    rows = {row.seq: row for row in verify.read_rows(folder)}
    assert (rows[seq].region, rows[seq].label, rows[seq].label_kind) == ("广东", LABEL, "institution")
