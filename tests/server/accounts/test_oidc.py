"""server/accounts/oidc.py, against a provider that lies and against the real ``oidc-provider``."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from sqlalchemy import func, select

from server.accounts import oidc, tables
from server.accounts.book import Accounts
from server.accounts.oidc import Login, Providers
from server.errors import ConfigError, Refusal
from server.settings import Settings
from tests.support.accounts import Clock, book
from tests.support.oidc import REDIRECT, FakeProvider, new_key, real_provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        yield found


@pytest.fixture
def fake(clock: Clock) -> FakeProvider:
    return FakeProvider(clock)


@pytest.fixture
def providers(accounts: Accounts, clock: Clock, fake: FakeProvider) -> Providers:
    transport = httpx.MockTransport(fake.handle)
    found = {"one": fake.settings(strength=1), "two": fake.settings(name="Other")}
    return Providers(found, accounts, clock, transport=transport)


async def sign_in(providers: Providers, fake: FakeProvider, **changes: str) -> Login:
    """A whole sign-in at the fake."""
    begun = await providers.begin("one", REDIRECT, "/rooms/demo")
    return await providers.finish("one", fake.authorize(begun.url, **changes), begun.cookie, REDIRECT)


async def refusal(providers: Providers, fake: FakeProvider, **changes: str) -> tuple[str, str]:
    """Code and detail with which a sign-in ends."""
    with pytest.raises(Refusal) as caught:
        await sign_in(providers, fake, **changes)
    return caught.value.code.name, caught.value.detail


async def test_somebody_signs_in(providers: Providers, fake: FakeProvider) -> None:
    """The provider's word for a person comes back with the place to go on to; the request has code, PKCE, state and nonce."""
    begun = await providers.begin("one", REDIRECT, "/rooms/demo")
    asked = dict(parse_qsl(urlsplit(begun.url).query))
    assert begun.url.startswith("https://id.example/auth?")
    assert (asked["client_id"], asked["redirect_uri"], asked["scope"]) == ("barrage", REDIRECT, "openid")
    assert len(asked["state"]) >= 32 <= len(asked["code_challenge"])
    assert begun.cookie not in begun.url
    login = await providers.finish("one", fake.authorize(begun.url), begun.cookie, REDIRECT)
    assert login == Login("https://id.example", "person-1", 1, "/rooms/demo")
    assert fake.forms[0]["redirect_uri"] == REDIRECT
    assert providers.names == {"one": "Example ID", "two": "Other"}


async def test_what_is_known_is_not_asked_again(providers: Providers, fake: FakeProvider, clock: Clock) -> None:
    """Discovery document and keys are read once; the document again after an hour."""
    for _ in range(2):
        await sign_in(providers, fake)
    assert fake.asked.count("/jwks") == fake.asked.count("/.well-known/openid-configuration") == 1
    clock.forward(hours=1)
    await sign_in(providers, fake)
    assert fake.asked.count("/.well-known/openid-configuration") == 2


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"aud": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["barrage", "another"]}, "azp"),
        ({"aud": ["barrage", "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": "https://id.example/"}, "iss"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"iat": None}, "iat"),
        ({"nbf": 9_000_000_000}, "nbf"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": 7}, "sub"),
        ({"at_hash": "AAAA"}, "at_hash"),
        ({"amr": "pwd"}, "amr"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    providers: Providers, fake: FakeProvider, claims: dict[str, Any], named: str
) -> None:
    """Whatever does not hold of audience, issuer, nonce, times or subject refuses the sign-in and is named, its value not."""
    fake.claims = claims
    code, detail = await refusal(providers, fake)
    assert code == "login_failed"
    assert detail.startswith("ID token: ")
    assert named in detail
    assert "another" not in detail.replace("another kind", "")


async def test_an_expired_token_is_refused_after_the_leeway(providers: Providers, fake: FakeProvider, clock: Clock) -> None:
    """Clocks may differ by a minute, not more."""
    fake.claims = {"exp": clock() // 1000 - 59}
    assert (await sign_in(providers, fake)).subject == "person-1"
    fake.claims = {"exp": clock() // 1000 - 61}
    assert "expired" in (await refusal(providers, fake))[1]


async def test_algorithms_cannot_be_confused(providers: Providers, fake: FakeProvider) -> None:
    """The provider's public key is no HMAC secret, no signature is no signature, and a key serves its own algorithm only."""
    await sign_in(providers, fake)
    fake.header = {"alg": "HS256"}
    assert await refusal(providers, fake) == (
        "login_failed", "ID token: no key of the provider fits its signature and algorithm"
    )  # fmt: skip
    fake.header = {"alg": "RS384"}
    assert (await refusal(providers, fake))[0] == "login_failed"

    async def unsigned(token: str) -> tuple[str, str]:
        fake.answers["/token"] = httpx.Response(200, json={"access_token": "at", "id_token": token})
        return await refusal(providers, fake)

    fake.header = {}
    _, payload, signature = fake.id_token().split(".")
    for header in ({"alg": "none"}, {"alg": "None"}, {"alg": "RS256", "crit": ["x"], "x": 1}):
        part = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
        for end in ("", signature):
            assert (await unsigned(f"{part}.{payload}.{end}"))[0] == "login_failed"
    for garbage in ("", "x", "a.b", "a.b.c", "é.b.c", f"{payload}.{payload}.{payload}", "a.b.c.d.e"):
        assert (await unsigned(garbage))[0] == "login_failed"


async def test_a_stranger_cannot_sign(providers: Providers, fake: FakeProvider) -> None:
    """A key that the provider does not publish is refused, under its own id, under a known one, and under none."""
    await sign_in(providers, fake)
    known = fake.key.kid
    fake.key = new_key("stranger")
    for kid in ("stranger", known, None):
        fake.header = {"kid": kid} if kid else {"alg": "RS256", "kid": ""}
        assert (await refusal(providers, fake))[0] == "login_failed"


async def test_keys_may_be_changed(providers: Providers, fake: FakeProvider, clock: Clock) -> None:
    """A token under a new key makes us read the keys, at most every ten seconds; a key that is not published any more ends then."""
    await sign_in(providers, fake)
    old = fake.key
    fake.key = new_key("k2", "EC")
    fake.header = {"alg": "ES256"}
    fake.published = [fake.key]
    assert (await refusal(providers, fake))[0] == "login_failed"  # ten seconds have not passed
    clock.forward(seconds=10)
    assert (await sign_in(providers, fake)).subject == "person-1"
    assert fake.asked.count("/jwks") == 2
    fake.key, fake.header = old, {}
    clock.forward(seconds=10)
    assert (await refusal(providers, fake))[0] == "login_failed"


async def test_an_answer_is_good_once(providers: Providers, fake: FakeProvider, accounts: Accounts) -> None:
    """The same answer a second time is refused, also when the first ended badly; no row is left."""
    begun = await providers.begin("one", REDIRECT, "/")
    answer = fake.authorize(begun.url)
    await providers.finish("one", answer, begun.cookie, REDIRECT)
    for _ in range(2):
        with pytest.raises(Refusal, match="used already"):
            await providers.finish("one", answer, begun.cookie, REDIRECT)
    begun = await providers.begin("one", REDIRECT, "/")
    answer = fake.authorize(begun.url)
    with pytest.raises(Refusal, match="the provider refused: access_denied"):
        await providers.finish("one", {"state": answer["state"], "error": "access_denied"}, begun.cookie, REDIRECT)
    with pytest.raises(Refusal, match="used already"):
        await providers.finish("one", answer, begun.cookie, REDIRECT)
    assert accounts.read_now(lambda connection: connection.execute(select(func.count(tables.logins.c.state))).scalar()) == 0


async def test_an_answer_is_good_once_also_at_once(providers: Providers, fake: FakeProvider) -> None:
    """The same answer five times at the same time signs in once."""
    begun = await providers.begin("one", REDIRECT, "/")
    answer = fake.authorize(begun.url)
    ends = (providers.finish("one", answer, begun.cookie, REDIRECT) for _ in range(5))
    found = await asyncio.gather(*ends, return_exceptions=True)
    assert sum(isinstance(each, Login) for each in found) == 1
    assert sum(isinstance(each, Refusal) for each in found) == 4


async def test_a_code_of_another_sign_in_is_refused(providers: Providers, fake: FakeProvider) -> None:
    """A code that was made for somebody else's sign-in is not taken in mine: its challenge is not of my verifier and, at a provider
    that does not look, its token has not my nonce."""
    mine = await providers.begin("one", REDIRECT, "/")
    my_answer = fake.authorize(mine.url)
    other = await providers.begin("one", REDIRECT, "/")
    fake.authorize(other.url)
    with pytest.raises(Refusal, match="login_failed") as caught:
        await providers.finish("one", my_answer, mine.cookie, REDIRECT)
    assert caught.value.detail == "the provider did not take the code"
    again = await providers.begin("one", REDIRECT, "/")
    answer = {**fake.authorize(again.url), "code": "c0de"}
    fake.authorize(other.url)  # whose nonce the token will have
    fake.answers["/token"] = httpx.Response(200, json={"id_token": fake.id_token()})
    with pytest.raises(Refusal, match="login_failed") as caught:
        await providers.finish("one", answer, again.cookie, REDIRECT)
    assert "nonce" in caught.value.detail


async def test_an_answer_counts_in_the_browser_that_asked(providers: Providers, fake: FakeProvider) -> None:
    """Somebody else's answer in my browser, mine without its cookie, and an invented state sign nobody in."""
    mine, theirs = await providers.begin("one", REDIRECT, "/"), await providers.begin("one", REDIRECT, "/")
    answer = fake.authorize(theirs.url)
    for cookie in (mine.cookie, "", theirs.cookie + "x"):
        with pytest.raises(Refusal, match="another browser"):
            await providers.finish("one", answer, cookie, REDIRECT)
    for state in ("", answer["state"][:-1], "x"):
        with pytest.raises(Refusal, match="another browser"):
            await providers.finish("one", {**answer, "state": state}, theirs.cookie, REDIRECT)


async def test_ten_minutes(providers: Providers, fake: FakeProvider, clock: Clock, accounts: Accounts) -> None:
    """An answer that comes later than ten minutes is refused, and its row is swept by the next sign-in."""
    begun = await providers.begin("one", REDIRECT, "/")
    other = await providers.begin("one", REDIRECT, "/")
    clock.forward(seconds=599)
    await providers.finish("one", fake.authorize(begun.url), begun.cookie, REDIRECT)
    clock.forward(seconds=1)
    await providers.begin("one", REDIRECT, "/")
    assert accounts.read_now(lambda connection: connection.execute(select(func.count(tables.logins.c.state))).scalar()) == 1
    with pytest.raises(Refusal, match="too old"):
        await providers.finish("one", fake.authorize(other.url), other.cookie, REDIRECT)


async def test_providers_cannot_be_mixed_up(providers: Providers, fake: FakeProvider) -> None:
    """An answer at another provider's address, or that names another issuer, is refused before any code is handed out."""
    begun = await providers.begin("one", REDIRECT, "/")
    with pytest.raises(Refusal, match="another provider"):
        await providers.finish("two", fake.authorize(begun.url), begun.cookie, REDIRECT)
    assert await refusal(providers, fake, iss="https://evil.example") == ("login_failed", "the answer names another issuer")
    assert fake.forms == []
    assert (await sign_in(providers, fake, iss="https://id.example")).subject == "person-1"


async def test_a_promised_issuer_must_be_named(providers: Providers, fake: FakeProvider) -> None:
    """A provider that says it names itself in answers must do so."""
    fake.metadata["authorization_response_iss_parameter_supported"] = True
    assert await refusal(providers, fake) == ("login_failed", "the answer names another issuer")


async def test_bad_answers_are_refused(providers: Providers, fake: FakeProvider) -> None:
    """No code, a code that the provider does not know, and an error with markup in it."""
    assert await refusal(providers, fake, code="") == ("login_failed", "the answer has no code")
    assert await refusal(providers, fake, code="wrong") == ("login_failed", "the provider did not take the code")
    assert await refusal(providers, fake, error="<b>") == ("login_failed", "the provider refused: unknown error")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/token", httpx.ConnectError("no")),
        ("/token", httpx.Response(500)),
        ("/token", httpx.Response(200, text="no JSON")),
        ("/token", httpx.Response(200, content=b'{"id_token":"\xff"}')),
        ("/token", httpx.Response(200, content=b"[" * 5000)),
        ("/token", httpx.Response(200, json={"access_token": "at"})),
        ("/token", httpx.Response(302, headers={"Location": "https://evil.example"})),
        ("/jwks", httpx.Response(404)),
        ("/jwks", httpx.Response(200, json={"keys": []})),
        ("/jwks", httpx.Response(200, content=b" " * 300_000)),
        ("/.well-known/openid-configuration", httpx.Response(200, json={"issuer": "https://id.example"})),
        ("/.well-known/openid-configuration", httpx.ReadTimeout("slow")),
    ],
)
async def test_a_provider_in_trouble_is_not_the_persons_fault(
    providers: Providers, fake: FakeProvider, path: str, answer: Any
) -> None:
    """Whatever the provider cannot do is told as temporary; once it can again, people sign in."""
    fake.answers[path] = answer
    assert (await refusal(providers, fake))[0] == "verification_unavailable"
    fake.answers.clear()
    assert (await sign_in(providers, fake)).subject == "person-1"


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "http://id.example/auth"},
        {"token_endpoint": "ftp://id.example"},
        {"jwks_uri": "http://[::"},
    ],
)
async def test_a_discovery_document_is_judged(providers: Providers, fake: FakeProvider, change: dict[str, str]) -> None:
    """One that is of another issuer, or leads to addresses without encryption, is not used."""
    fake.metadata.update(change)
    assert (await refusal(providers, fake))[0] == "verification_unavailable"


async def test_an_unknown_provider_is_not_there(providers: Providers) -> None:
    """Neither begins nor ends anything."""
    with pytest.raises(Refusal, match="not_found"):
        await providers.begin("three", REDIRECT, "/")
    with pytest.raises(Refusal, match="not_found"):
        await providers.finish("three", {}, "", REDIRECT)


async def test_sign_ins_under_way_are_bounded(providers: Providers, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the table: beyond the bound new sign-ins wait until old ones have run out."""
    monkeypatch.setattr(oidc, "LOGINS_MAX", 2)
    for _ in range(2):
        await providers.begin("one", REDIRECT, "/")
    with pytest.raises(Refusal, match="too_many_requests"):
        await providers.begin("one", REDIRECT, "/")
    clock.forward(seconds=600)
    await providers.begin("one", REDIRECT, "/")


@pytest.mark.parametrize(
    ("methods", "check"),
    [
        (["client_secret_basic", "client_secret_post"], lambda fake: fake.authorization.startswith("Basic ")),
        (["client_secret_post"], lambda fake: fake.forms[0]["client_secret"] == "s3cret"),
        (["private_key_jwt"], lambda fake: fake.authorization.startswith("Basic ")),
    ],
)
async def test_the_client_proves_itself(
    accounts: Accounts, clock: Clock, fake: FakeProvider, methods: list[str], check: Callable[[FakeProvider], bool]
) -> None:
    """With a secret, in the way that the provider supports."""
    fake.metadata["token_endpoint_auth_methods_supported"] = methods
    transport = httpx.MockTransport(fake.handle)
    providers = Providers({"one": fake.settings()}, accounts, clock, secrets_of={"one": "s3cret"}, transport=transport)
    await sign_in(providers, fake)
    assert check(fake)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_providers_come_from_a_file(tmp_path: Path, accounts: Accounts, clock: Clock) -> None:
    """Any number of them, with secrets in files of their own; without the setting there are none."""
    secret = write(tmp_path / "secret", " s3cret\n")
    text = f"""
    [providers.example]
    name = "示例 ID"
    issuer = "https://id.example"
    client_id = "barrage"
    client_secret_file = "{secret}"
    strength = 1

    [providers.local]
    name = "Local"
    issuer = "http://127.0.0.1:9000"
    client_id = "b"
    scopes = ["openid", "profile"]
    """
    settings = Settings(oidc_file=write(tmp_path / "oidc.toml", text))
    assert Providers.open(settings, accounts, clock).names == {"example": "示例 ID", "local": "Local"}
    assert Providers.open(Settings(), accounts, clock).names == {}


@pytest.mark.parametrize(
    "text",
    [
        "providers",
        "[providers.example]\nname = 'x'",
        "[providers.Example]\nname = 'x'\nissuer = 'https://x'\nclient_id = 'b'",
        "[providers.x]\nname = 'x'\nissuer = 'http://id.example'\nclient_id = 'b'",
        "[providers.x]\nname = 'x'\nissuer = 'https://x'\nclient_id = 'b'\nstrength = 3",
        "[providers.x]\nname = 'x'\nissuer = 'https://x'\nclient_id = 'b'\nscopes = ['profile']",
        "[providers.x]\nname = 'x'\nissuer = 'https://x'\nclient_id = 'b'\nclient_secret_file = '/nowhere'",
        "[providers.x]\nname = 'x'\nissuer = 'https://x'\nclient_id = 'b'\nclient_secret_file = '/dev/null'",
        "[providers.x]\nname = 'x'\nissuer = 'https://x'\nclient_id = 'b'\nunknown = 1",
    ],
)
def test_a_bad_file_stops_the_start(tmp_path: Path, accounts: Accounts, clock: Clock, text: str) -> None:
    """The message names the setting."""
    settings = Settings(oidc_file=write(tmp_path / "oidc.toml", text))
    with pytest.raises(ConfigError, match="oidc_file"):
        Providers.open(settings, accounts, clock)
    with pytest.raises(ConfigError, match="cannot be read"):
        Providers.open(Settings(oidc_file=tmp_path / "missing.toml"), accounts, clock)


async def test_duty_p5_1_sign_in_with_the_real_provider(tmp_path: Path) -> None:
    """With ``oidc-provider`` as it is: sign-in through its pages, its new keys, and what it refuses itself."""
    clock = Clock(0)
    with book(tmp_path, clock) as accounts, real_provider(REDIRECT) as real:
        settings = oidc.Provider(name="Real", issuer=real.issuer, client_id="barrage")
        clock.now_ms = now_ms()
        providers = Providers({"one": settings}, accounts, clock, secrets_of={"one": "geheim"})

        async def enter(login: str) -> Login:
            begun = await providers.begin("one", REDIRECT, "/rooms/demo")
            back = real.sign_in(begun.url, login)
            assert back.startswith(REDIRECT)
            return await providers.finish("one", dict(parse_qsl(urlsplit(back).query)), begun.cookie, REDIRECT)

        assert await enter("li-lei") == Login(real.issuer, "li-lei", 0, "/rooms/demo")
        real.rotate()
        clock.now_ms = now_ms() + 11_000  # the keys were read a moment ago; the tokens' times have a leeway
        assert (await enter("han-meimei")).subject == "han-meimei"

        begun = await providers.begin("one", REDIRECT, "/")
        answer = dict(parse_qsl(urlsplit(real.sign_in(begun.url, "li-lei")).query))
        assert answer["iss"] == real.issuer
        with pytest.raises(Refusal, match="another issuer"):
            await providers.finish("one", {**answer, "iss": "https://evil.example"}, begun.cookie, REDIRECT)
        with pytest.raises(Refusal, match="used already"):
            await providers.finish("one", answer, begun.cookie, REDIRECT)
        begun = await providers.begin("one", REDIRECT, "/")
        state = parse_qs(urlsplit(begun.url).query)["state"][0]
        with pytest.raises(Refusal, match="did not take the code"):  # the code of another sign-in: PKCE
            await providers.finish("one", {**answer, "state": state}, begun.cookie, REDIRECT)


def now_ms() -> int:
    """The real time: the provider has no other."""
    return time.time_ns() // 1_000_000
