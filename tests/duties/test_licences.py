"""Duties T2 and T4 on a running server: a feature is on while its licence is in force."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.account_operations import LocalAccountOperations
from server.account_requests import RecordLicence, RevokeLicence
from server.accounts import sessions
from server.accounts.book import Transaction
from server.accounts.events import PublicStep
from tests.support.accounts import DAY_MS, person
from tests.support.running import RunningServer, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "data") as found:
        yield found


def test_duty_t2_a_licence_switches_public_accounts_on_and_off_on_a_running_server(server: RunningServer) -> None:
    """Without the licence nobody can apply; with it an institution can, at once; when it is revoked, nobody can again."""
    site = server.parts.site
    people = site.people
    operations = LocalAccountOperations(site, "alice")

    def work(tx: Transaction) -> str:
        person(tx)
        return sessions.begin(tx, "a-1", people.session_policy)

    cookie = server.run(people.book.write(work))
    now_ms = people.clock_ms()
    licence = RecordLicence(
        holder="provider", kind="k", number="1", issuer="i", features=("public_accounts",), valid_from_ms=now_ms - DAY_MS,
        valid_until_ms=now_ms + DAY_MS,
    )  # fmt: skip
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False, cookies={"barrage_session": cookie}) as client:

        def form() -> str:
            answer = client.get("/account/public")
            assert answer.status_code == 200
            token = re.search(r'name="form_token" value="([^"]+)".*?name="purpose"', answer.text, re.DOTALL)
            return token[1] if token else ""

        def apply_for(token: str) -> int:
            fields = {"name": "某大学", "category": "institution", "purpose": "Courses", "form_token": token}
            return client.post("/account/public", data=fields).status_code

        assert form() == ""
        token = sessions.form_token(people.form_key, cookie)
        assert apply_for(token) == 403
        made = server.run(operations.account(licence))
        assert apply_for(form()) == 303
        client.post("/account/public/withdraw", data={"form_token": token})
        server.run(operations.account(RevokeLicence(licence=made["licence"], basis="given back")))
        assert form() == ""
        assert apply_for(token) == 403


def test_duty_t4_a_public_account_is_silent_while_the_providers_licence_is_over(server: RunningServer) -> None:
    """Its next comment is refused with the reason; a private account's is not."""
    people = server.parts.people

    def work(tx: Transaction) -> None:
        for account in ("u1", "u2"):
            tx.open(account, origin="host", actor="host", role="host")
        tx.append("u1", PublicStep(state="active", category="company", label="某公司"), actor="staff:ann", role="compliance")

    server.run(people.book.write(work))
    with server.connect(account="u1") as public, server.connect(account="u2") as private:
        said = {"op": "say", "room": "demo", "key": "k1", "text": "hello"}
        assert public.ask(said, "ack", "refused")["code"] == "licence_lapsed"
        assert private.ask(said, "ack", "refused")["op"] == "ack"
        now_ms = people.clock_ms()
        licence = RecordLicence(
            holder="provider", kind="k", number="1", issuer="i", features=("public_accounts",), valid_from_ms=now_ms - 1,
            valid_until_ms=now_ms + DAY_MS,
        )  # fmt: skip
        server.run(LocalAccountOperations(server.parts.site, "alice").account(licence))
        assert public.ask({**said, "key": "k2"}, "ack", "refused")["op"] == "ack"
