"""Duties towards authors, readers and the record, on a real server: who stands behind a comment, what may be posted, why something is
removed, how the public reports."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin

import httpx
import pytest

from server import http
from server.__main__ import main
from server.accounts.identity import Tokens
from server.reasons import REASONS
from server.settings import load
from tests.duties.public import ROOM, SETTINGS, command, enter, events_of, found_in, page_of, say, wait_for
from tests.support.server import ROOT, ServerProcess
from tests.support.wsclient import BINARY, RawClient, frame

NICKNAME: Final = "山海Nick"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests of this module."""
    with ServerProcess(tmp_path_factory.mktemp("duties") / "data", settings=SETTINGS) as found:
        yield found


def operate(server: ServerProcess, path: str, body: dict[str, Any]) -> httpx.Response:
    """A request to the operator interface."""
    tokens = Tokens.open(load({}, None, {"data_dir": str(server.data)}))
    bearer = {"Authorization": f"Bearer {tokens.issue_operator('op', time.time_ns() // 1_000_000)}"}
    return httpx.post(f"{server.url}/api/operator/{path}", json=body, headers=bearer, timeout=60, trust_env=False)


# -- P5(1): real name behind, nickname in front --------------------------------------------------------------------------


def test_duty_p5_1_an_unverified_account_posts_nothing(server: ServerProcess) -> None:
    """Nobody, an unverified account and an expired one: each hears why, in Chinese too, and nothing of the text goes anywhere, not
    even into the logs."""
    texts = ["canaryAnonymous5e", "canaryUnverified5e", "canaryExpired5e"]
    with (
        enter(server) as viewer,
        enter(server) as anonymous,
        RawClient(server.port) as unverified,
        RawClient(server.port) as expired,
    ):
        unverified.handshake(f"/ws?room={ROOM}&token={server.token('unverified-1', 'Nobody', verified=False)}")
        expired.handshake(f"/ws?room={ROOM}&token={server.token('expired-1', 'Late', ttl_s=-3600)}")
        answers = [say(client, text, "k") for client, text in zip((anonymous, unverified, expired), texts, strict=True)]
        assert [answer["code"] for answer in answers] == ["sign_in_required", "not_verified", "sign_in_required"]
        assert all(answer["op"] == "refused" and not answer["temporary"] for answer in answers)
        assert "认证" in answers[1]["message_zh"]
        assert viewer.silent(0.5), "nothing was sent out"
    assert found_in(server, texts) == []


def test_duty_p5_1_nothing_personal_leaves_a_running_server(server: ServerProcess) -> None:
    """Account, token and address of an author are in no frame, history, page, file or log line, over posting, refusals, a recall, a
    wrong token and a report; the nickname is."""
    account = "canary-subject-9d1f"
    token = server.token(account, NICKNAME)
    frames: list[Any] = []
    with enter(server) as viewer, RawClient(server.port) as author, RawClient(server.port) as wrong:
        author.handshake(f"/ws?room={ROOM}&token={token}")
        frames.append(author.read_until("hello"))
        author.read_until("joined")
        seq = say(author, "看看我是谁", "k1")["seq"]
        frames += [say(author, "x" * 500, "k2"), say(author, "再来", "k3")]
        again = frames[-1]["seq"]
        author.send_text({"op": "recall", "room": ROOM, "seq": seq})
        frames.append(author.read_until("ack", "refused"))
        frames += viewer.follow(again + 1)
        wrong.handshake(f"/ws?room={ROOM}&token={token[:-4]}AAAA")
        frames.append(wrong.read_until("error"))
    report = httpx.post(
        f"{server.url}/rooms/{ROOM}/report", data={"seq": str(again), "reason": "S1", "text": "t"}, timeout=30, trust_env=False
    )
    assert report.status_code == 303
    signature = token.rsplit(".", 1)[1]
    assert found_in(server, [NICKNAME])
    assert found_in(server, [account, token, signature, token.split(".")[1]]) == []
    assert not any(needle in str(frames) for needle in (account, signature))
    places = dict.fromkeys(found_in(server, ["127.0.0.1"]))
    # The address that the server itself listens on stands where it tells its operator, and in addresses of its own pages.
    assert not {name for name in places if name not in {"standard output", "server.json"} and "location" not in name}, places


# -- P2: one pipeline, known kinds only ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["picture", "audio", "video", "sticker", "poll", "html", "Say", ""])
def test_duty_p2_unknown_kinds_are_refused(server: ServerProcess, kind: str) -> None:
    """A message of a kind that the review does not know is answered with an error, and published in no form."""
    before = len(events_of(server))
    with enter(server, f"kind-{kind or 'none'}") as author:
        answer = author.ask(
            {"op": kind, "room": ROOM, "key": "k", "text": "canaryKind8b", "url": "https://x.example/a.png"}, "error"
        )
        assert (answer["code"], answer["temporary"]) == ("bad_message", False)
        answer = author.ask({"op": "say", "room": ROOM, "key": "k", "text": "canaryKind8b", "mode": kind or "none"}, "refused")
        assert answer["code"] == "bad_message"
        author.send(frame(BINARY, b"\x89PNG canaryKind8b"))
        assert author.read_until("error")["code"] == "binary_unsupported"
    assert len(events_of(server)) == before
    assert "canaryKind8b" not in server.logs()


def test_duty_p2_text_symbols_and_emoji_share_one_pipeline(server: ServerProcess) -> None:
    """Letters, symbols and emoji are screened by the same checks and published alike; what a check refuses is refused in any of
    them."""
    with enter(server, "emoji") as author:
        for key, text in (("k1", "文字"), ("k2", "★☆♪"), ("k3", "👩‍🚀🎉"), ("k4", "(｡･ω･｡)")):
            assert say(author, text, key)["op"] == "ack"
        for key, sign in (("k5", "字"), ("k6", "★"), ("k7", "🎉")):
            assert say(author, sign * 101, key)["code"] == "text_too_long"


# -- P7: nothing is removed without a reason, and nothing in silence ------------------------------------------------------


REMOVERS: Final = {
    "server/moderation/deciding.py",  # staff, operators, owners of rooms: from the decision log
    "server/posting.py",  # the author's own recall
    "server/custody.py",  # the author's own comments, withdrawn with the account
}
"""Every module that makes removals or restorations; each way is tested below."""


def test_duty_p7_there_is_no_other_way_to_remove() -> None:
    """Removals and restorations are made in three places only, and no route or command but those tested here leads there."""
    makers = {
        str(path.relative_to(ROOT))
        for package in ("server", "filters", "static_mirror")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"RemovalDraft", "RestorationDraft"}
    }
    assert makers == REMOVERS
    commands = {name for name in main.commands if re.search("remov|delet|restor|hide|eras|purge|recall", name)}
    assert commands == {"remove", "restore", "purge"}  # purge deletes personal data whose term is over, and no comment
    modules = [importlib.import_module(f"server.http.{found.name}") for found in pkgutil.iter_modules(http.__path__)]
    routes = {route.path for module in modules for route in getattr(module, "routes", ())}
    assert len(routes) > 20
    assert {path for path in routes if re.search("remov|delet|restor|hide|eras|purge|recall", path)} == {
        "/api/operator/removal", "/api/operator/restoration",
        "/account/privacy/erase",  # the person's own account, and comments if so wished
        "/account/rooms/{room}/remove",  # by the owner of the room, with code and basis
        "/staff/keys/remove",  # a passkey
        "/staff/accounts/{account}/erase",  # on the person's request, as the person's own
    }  # fmt: skip


def test_duty_p7_every_removal_has_code_basis_and_role(server: ServerProcess) -> None:
    """By command, by operator interface and by recall: without a code of the table and a basis nothing is removed; with them everyone
    reads code, basis and role, and the comment stays as a marked tombstone under its number."""
    with enter(server, "p7") as author:
        seqs = [say(author, f"第{number}句", f"k{number}")["seq"] for number in range(4)]
        wait_for(server, seqs[-1])
        before = events_of(server)
        for code, basis in (
            ("", "basis"),
            ("L5", ""),
            ("L5", " "),
            ("X9", "basis"),
            ("U1", "basis"),
            ("R1", "basis"),
            ("l5", "basis"),
        ):
            answer = operate(server, "removal", {"room": ROOM, "seq": seqs[0], "code": code, "basis": basis})
            assert (answer.status_code, answer.json()["code"]) == (422, "bad_code"), (code, basis)
        for code, basis in (("L5", ""), ("X9", "basis")):
            assert command(server, "remove", ROOM, str(seqs[0]), "--code", code, "--basis", basis).returncode == 1
        for missing in ({"code": "L5"}, {"basis": "basis"}):
            assert operate(server, "removal", {"room": ROOM, "seq": seqs[0], **missing}).status_code == 400
        assert command(server, "remove", ROOM, str(seqs[0]), "--code", "L5").returncode == 2
        assert httpx.post(f"{server.url}/api/operator/removal", json={}, timeout=30, trust_env=False).status_code == 401
        assert events_of(server) == before, "nothing was removed"
        assert command(server, "remove", ROOM, str(seqs[0]), "--code", "L5", "--basis", "第十五条").returncode == 0
        assert operate(server, "removal", {"room": ROOM, "seq": seqs[1], "code": "S1", "basis": "广告"}).status_code == 200
        author.send_text({"op": "recall", "room": ROOM, "seq": seqs[2]})
        wait_for(server, author.read_until("ack")["seq"])
    events = events_of(server)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), "no number is taken away"
    for event in events:
        why = event if event["kind"] == "removal" else event.get("removed")
        if why is not None:
            assert why["code"] in REASONS
            assert why["basis"]
            assert why["role"] in {"operator", "author"}
    shown = [events[seq - 1].get("removed", {}) for seq in seqs]
    assert [(why.get("code"), why.get("role")) for why in shown] == [
        ("L5", "operator"), ("S1", "operator"), ("U1", "author"), (None, None),
    ]  # fmt: skip
    page = page_of(server, (seqs[0] - 1) // 256).read_text()
    for seq, code in zip(seqs[:3], ("L5", "S1", "U1"), strict=True):
        row = page.split(f'<article id="c{seq}" ')[1].split("</article>")[0]
        assert row.startswith('class="tombstone"')
        assert code in row


def test_duty_p7_a_restoration_has_a_reason_too(server: ServerProcess) -> None:
    """What comes back comes back with code, basis and role, and the removal before it stays on record."""
    with enter(server, "p7-back") as author:
        seq = say(author, "冤枉", "k1")["seq"]
    assert operate(server, "removal", {"room": ROOM, "seq": seq, "code": "L8", "basis": "投诉"}).status_code == 200
    for code, basis in (("L8", "basis"), ("R2", ""), ("", "basis")):
        assert (
            operate(server, "restoration", {"room": ROOM, "seq": seq, "code": code, "basis": basis}).json()["code"]
            == "bad_code"
        )
    assert command(server, "restore", ROOM, str(seq), "--code", "L8", "--basis", "basis").returncode == 1
    assert command(server, "restore", ROOM, str(seq), "--code", "R2", "--basis", "申诉成立").returncode == 0
    removal, restoration = events_of(server)[-2:]
    assert (removal["kind"], removal["code"]) == ("removal", "L8")
    assert (restoration["kind"], restoration["code"], restoration["basis"], restoration["role"]) == (
        "restoration", "R2", "申诉成立", "operator",
    )  # fmt: skip


# -- P10: reports from the public ------------------------------------------------------------------------------------------


class Form(HTMLParser):
    """The links and the form of a page, as a browser without scripts has them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, str]] = []
        self.scripts = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what can be done."""
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form" and given.get("method") == "post":
            self.action = given["action"]
        elif tag == "input" and given.get("type") == "hidden":
            self.fields[given["name"]] = given["value"]
        elif tag == "button" and self.action:
            self.buttons.append((given["name"], given["value"]))
        self.scripts += tag == "script"


def test_duty_p10_from_the_static_page_to_a_receipt_in_two_actions(server: ServerProcess) -> None:
    """Logged out, without a script, from the static file of the page: a click on the row's link, a click on a reason, and there is a
    receipt number; the report is on record under it."""
    with enter(server, "p10") as author:
        seq = say(author, "请举报我", "k1")["seq"]
    wait_for(server, seq)
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False, follow_redirects=True) as reader:
        address = f"/rooms/{ROOM}/comments/{(seq - 1) // 256}.html"
        static = Form(reader.get(address).text)
        link = next(link for link in static.links if link.endswith(f"report?seq={seq}"))
        first = reader.get(urljoin(address, link))  # the first action
        form = Form(first.text)
        assert (static.scripts, form.scripts) == (0, 0)
        assert form.action
        name, value = form.buttons[0]
        second = reader.post(form.action, data={**form.fields, name: value})  # the second action
        assert second.status_code == 200
        assert not reader.cookies
    receipt = re.search(r'<p class="receipt"><code>([^<]+)</code>', second.text)
    assert receipt is not None
    listed = command(server, "reports", "--json")
    assert listed.returncode == 0
    assert f'"receipt":"{receipt[1]}"' in listed.stdout
    assert f'"seq":{seq}' in listed.stdout


def test_duty_p10_a_report_can_be_made_while_the_room_is_closed(server: ServerProcess) -> None:
    """Nothing keeps the public from reporting what stands there, and about a room as a whole."""
    assert command(server, "room", "mode", ROOM, "closed").returncode == 0
    try:
        for seq in ("1", "0"):
            answer = httpx.post(
                f"{server.url}/rooms/{ROOM}/report", data={"seq": seq, "reason": "S1"}, timeout=30, trust_env=False
            )
            assert (answer.status_code, answer.headers["location"].startswith("/reports/")) == (303, True)
    finally:
        assert command(server, "room", "mode", ROOM, "open").returncode == 0
