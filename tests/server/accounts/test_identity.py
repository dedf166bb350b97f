"""server/accounts/identity.py"""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from server.accounts import identity
from server.accounts.identity import (
    NICKNAME_MAX_CHARS,
    OPERATOR_TTL_S,
    SUBJECT_MAX_CHARS,
    Identity,
    Tokens,
    clean_nickname,
)
from server.accounts.keys import KeyRing
from server.errors import ConfigError, Refusal
from server.settings import Settings
from server.wire import MAX_TOKEN
from tests.support.waiting import PATIENCE_S

NOW_S = 1_790_000_000
NOW_MS = NOW_S * 1000
SECRET = b"s" * 32
RSA = RSAKey.generate_key(2048)
ED = OKPKey.generate_key("Ed25519")
EC = ECKey.generate_key("P-256")
GOOD: dict[str, Any] = {"sub": "u1", "nickname": "小明", "verified": True, "aud": "barrage", "exp": NOW_S + 60}


def ring_of(*keys: tuple[str, Key]) -> KeyRing:
    ring = KeyRing(bytes, 60)
    entries = [{**key.as_dict(private=False), **({"kid": kid} if kid else {})} for kid, key in keys]
    ring.load(json.dumps({"keys": entries}).encode())
    return ring


def tokens(secret: bytes | None = SECRET, ring: KeyRing | None = None, **options: Any) -> Tokens:
    return Tokens(secret=secret, ring=ring, id_key=b"i" * 32, operator_key=b"o" * 32, **options)


def sign(claims: Any, key: Key | None = None, algorithm: str = "HS256", **header: Any) -> str:
    """A token, signed by whatever key with whatever header."""
    return jwt.encode(
        {"alg": algorithm, **header},
        claims,
        key or OctKey.import_key(SECRET),
        registry=identity._Registry(algorithms=[algorithm], strict_check_header=False),
    )


def plain(header: Any, claims: Any, signature: str = "") -> str:
    """A token by hand."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


def refused(found: Tokens, token: str, code: str = "bad_token", now_ms: int = NOW_MS) -> str:
    """The detail of the refusal."""
    with pytest.raises(Refusal) as caught:
        found.verify(token, now_ms)
    assert caught.value.code.name == code
    return caught.value.detail


# -- tokens of the platform


def test_a_token_shows_its_account() -> None:
    """Subject, nickname, verified flag, role and expiry come from the claims."""
    found = tokens().verify(sign({**GOOD, "role": "uploader"}), NOW_MS)
    assert found == Identity(subject="u1", nickname="小明", verified=True, role="uploader", expires_ms=NOW_MS + 60_000)


def test_an_account_is_unverified_unless_its_token_says_so() -> None:
    """Without the flag nobody counts as verified; a word instead of true is no flag."""
    assert not tokens().verify(sign({k: v for k, v in GOOD.items() if k != "verified"}), NOW_MS).verified
    assert "verified" in refused(tokens(), sign({**GOOD, "verified": "yes"}))


def test_a_role_of_the_platform_that_is_none_of_ours_is_no_role() -> None:
    """Unknown roles give no rights, and keep nobody out."""
    assert tokens().verify(sign({**GOOD, "role": "operator"}), NOW_MS).role == ""


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA"), (ED, "Ed25519")], ids=["rsa", "ec", "eddsa", "ed25519"]
)
def test_tokens_of_each_kind_of_platform_key_are_taken(key: Key, algorithm: str) -> None:
    """RS256, ES256 and EdDSA by public keys, with the key's id or without."""
    found = tokens(None, ring_of(("k1", key), ("k2", RSA)))
    assert found.verify(sign(GOOD, key, algorithm, kid="k1"), NOW_MS).subject == "u1"
    assert found.verify(sign(GOOD, key, algorithm), NOW_MS).subject == "u1"


def test_a_token_without_key_id_is_tried_with_each_key_of_its_kind() -> None:
    """During rotation two keys of one kind stand in the set; a token without id fits either."""
    old, new = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    found = tokens(None, ring_of(("", old), ("", new)))
    for key in (old, new):
        assert found.verify(sign(GOOD, key, "EdDSA"), NOW_MS).subject == "u1"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "HS512", "RS512", "PS256", "", "hs256"])
def test_other_algorithms_are_refused(name: str) -> None:
    """No token without a signature, and none by an algorithm outside the list, whatever it claims."""
    detail = refused(tokens(SECRET, ring_of(("", RSA))), plain({"alg": name}, GOOD), "keys_unavailable")
    assert detail == "the key of this token is not known yet"
    assert refused(tokens(), plain({"alg": name}, GOOD)) == "signed with a key or an algorithm that is not accepted here"


def test_a_public_key_is_no_secret() -> None:
    """Algorithm confusion: a token signed by HS256 with the bytes of a public key as secret is refused."""
    for key in (RSA, EC, ED):
        for data in (key.as_pem(private=False), key.as_pem(private=False).strip(), key.as_der(private=False)):
            forged = jwt.encode({"alg": "HS256"}, GOOD, OctKey(data, data))
            assert refused(tokens(None, ring_of(("", key))), forged, "keys_unavailable")
            assert refused(tokens(SECRET, ring_of(("", key))), forged) == "the signature does not fit"


def test_a_secret_does_not_count_where_only_platform_keys_do() -> None:
    """Without a local secret an HS256 token has no key at all."""
    refused(tokens(None, ring_of(("", ED))), sign(GOOD), "keys_unavailable")


def test_a_key_of_another_curve_does_not_verify_eddsa() -> None:
    """EdDSA by an Ed448 key is refused, though the name of the algorithm is the same."""
    refused(tokens(None, ring_of(("", ED))), sign(GOOD, OKPKey.generate_key("Ed25519"), "EdDSA"))


def test_an_unknown_key_is_asked_for_and_the_client_told_to_come_back() -> None:
    """A token of a key that is not here yet is no bad token: the ring looks, and the refusal is temporary."""
    ring = ring_of(("old", RSA))
    found = tokens(None, ring)
    token = sign(GOOD, ED, "EdDSA", kid="new")
    with pytest.raises(Refusal) as caught:
        found.verify(token, NOW_MS)
    assert caught.value.code.temporary
    assert caught.value.retry_after_ms > 0
    ring.load(json.dumps({"keys": [{**ED.as_dict(private=False), "kid": "new"}]}).encode())
    assert found.verify(token, NOW_MS).subject == "u1"


def test_a_key_that_left_the_set_verifies_nothing_more() -> None:
    """A token that was verified before is refused as soon as its key is withdrawn: the memory goes with the set."""
    ring = ring_of(("old", ED))
    found = tokens(None, ring)
    token = sign(GOOD, ED, "EdDSA", kid="old")
    found.verify(token, NOW_MS)
    ring.load(json.dumps({"keys": [{**RSA.as_dict(private=False), "kid": "new"}]}).encode())
    refused(found, token, "keys_unavailable")


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_token_is_refused(part: int) -> None:
    """A change of any part breaks the signature, also after the true token was seen."""
    found = tokens()
    token = sign(GOOD)
    found.verify(token, NOW_MS)
    parts = token.split(".")
    for index in range(len(parts[part])):
        changed = parts[part][:index] + ("A" if parts[part][index] != "A" else "B") + parts[part][index + 1 :]
        if part == 2 and index == len(parts[part]) - 1:
            continue  # the last letter of 32 bytes holds two bits that do not count
        refused(found, ".".join([*parts[:part], changed, *parts[part + 1 :]]))


# -- times


def test_expiry_counts_with_the_leeway() -> None:
    """A token is good until its expiry and the leeway, and then expired, whether it was seen before or not."""
    found = tokens(leeway_s=30)
    token = sign(GOOD)
    last = NOW_MS + 90_000 - 1
    assert found.verify(token, last).subject == "u1"
    assert refused(found, token, "token_expired", last + 1) == ""
    assert refused(tokens(leeway_s=30), token, "token_expired", last + 1) == ""
    assert found.verify(token, last).subject == "u1"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused(claim: str) -> None:
    """Not before, and not from a clock that runs ahead, by more than the leeway; seen before or not."""
    found = tokens(leeway_s=30)
    token = sign({**GOOD, "exp": NOW_S + 1000, claim: NOW_S + 100})
    assert "not valid yet" in refused(found, token, now_ms=NOW_MS + 69_999)
    assert found.verify(token, NOW_MS + 70_000).subject == "u1"
    assert "not valid yet" in refused(found, token, now_ms=NOW_MS + 69_999)


# -- claims


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "x" * (SUBJECT_MAX_CHARS + 1)}, "sub"),
        ({"sub": "a\x00b"}, "sub"),
        ({"sub": "a\u202eb"}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"exp": float("inf")}, "exp"),
        ({"exp": float("nan")}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": True}, "exp"),
        ({"nbf": "x"}, "nbf"),
        ({"aud": None}, "aud"),
        ({"aud": "other"}, "aud"),
        ({"aud": ["other"]}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": "barrage-operator"}, "aud"),
        ({"nickname": None}, "nickname"),
        ({"nickname": ""}, "nickname"),
        ({"nickname": "x" * 25}, "nickname"),
        ({"role": 3}, "role"),
    ],
)
def test_a_bad_claim_is_named_and_its_value_is_not(change: dict[str, Any], word: str) -> None:
    """The refusal's detail names the claim; what stood in it is not repeated."""
    claims = {**GOOD, **change, "sub": change.get("sub", "canary-subject")}
    detail = refused(tokens(), sign({name: value for name, value in claims.items() if value is not None}))
    assert word in detail
    assert "canary" not in detail


def test_an_audience_may_be_one_of_several() -> None:
    """A token for several services is good for each of them."""
    assert tokens().verify(sign({**GOOD, "aud": ["other", "barrage"]}), NOW_MS).subject == "u1"
    assert tokens(audience="mine").verify(sign({**GOOD, "aud": "mine"}), NOW_MS).subject == "u1"


def test_the_issuer_counts_where_it_is_set() -> None:
    """With a setting for it, a token without issuer or by another is refused; without one, any is good."""
    found = tokens(issuer="https://platform.example")
    assert found.verify(sign({**GOOD, "iss": "https://platform.example"}), NOW_MS).subject == "u1"
    for claims in (GOOD, {**GOOD, "iss": "https://other.example"}):
        assert refused(found, sign(claims)) == "claim iss: another issuer"
    assert tokens().verify(sign({**GOOD, "iss": "any"}), NOW_MS).subject == "u1"


# -- what is no token


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\ud800",
        "x" * (MAX_TOKEN + 1),
        plain([], {}),
        plain({}, {}),
        plain({"alg": 1}, GOOD),
        plain({"alg": "HS256", "crit": ["exp"]}, GOOD),
        plain({"alg": "HS256", "b64": False}, GOOD),
        plain({"alg": "HS256"}, GOOD) + ".x",
        sign(GOOD).rpartition(".")[0],
        sign(GOOD) + "\n",
        " " + sign(GOOD),
        sign(GOOD) + ".",
        base64.urlsafe_b64encode(b"[" * 2000).decode() + ".a.b",
    ],
)
def test_what_is_no_token_is_a_bad_token(token: str) -> None:
    """Whatever stands in a token's place is answered, never a crash."""
    refused(tokens(), token)


def test_claims_that_are_no_object_are_refused() -> None:
    """A well-signed list, text or deep nest is no set of claims."""
    for payload in (b"[1]", b'"text"', b"7", b"", b"\xff", b"[" * 1000, b'{"sub":' * 1000):
        refused(tokens(), jws.serialize_compact({"alg": "HS256"}, payload, OctKey.import_key(SECRET)))


@given(st.text(max_size=60) | st.lists(st.text(alphabet="AQabz_-=09.", max_size=20), max_size=4).map(".".join))
def test_no_text_breaks_the_verifier(token: str) -> None:
    """Random text is a bad token."""
    refused(tokens(), token)


# -- memory


def test_the_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token unused for the longest time is forgotten first; forgetting costs time and nothing else."""
    monkeypatch.setattr(identity, "CACHED_TOKENS", 3)
    found = tokens()
    made = [sign({**GOOD, "sub": f"u{number}"}) for number in range(4)]
    for token in (*made[:3], made[0], made[3]):
        found.verify(token, NOW_MS)
    assert len(found._seen) == 3
    subjects = [entry.subject for entry, _ in found._seen.values()]
    assert subjects == ["u2", "u0", "u3"]
    assert found.verify(made[1], NOW_MS).subject == "u1"


def test_refused_tokens_are_not_remembered() -> None:
    """What was refused takes no place in the memory."""
    found = tokens()
    refused(found, plain({"alg": "HS256"}, GOOD, "AA"))
    assert not found._seen


# -- issuing


def test_an_issued_token_verifies() -> None:
    """What we issue we accept, with issuer, audience and role as set."""
    found = tokens(issuer="us", audience="here")
    token = found.issue("u1", " 小  明 ", 60, "reviewer", verified=False, now_ms=NOW_MS)
    expected = Identity(subject="u1", nickname="小 明", verified=False, role="reviewer", expires_ms=NOW_MS + 60_000)
    assert found.verify(token, NOW_MS) == expected


def test_a_token_is_issued_from_now_on() -> None:
    """Without a given time the clock's counts."""
    found = tokens()
    token = found.issue("u1", "n", 60)
    assert abs(found.verify(token, int(time.time() * 1000)).expires_ms - time.time() * 1000 - 60_000) < 5000


@pytest.mark.parametrize(("subject", "nickname"), [("", "n"), ("x" * 129, "n"), ("u", ""), ("u", "\u202e")])
def test_no_token_is_issued_that_would_not_verify(subject: str, nickname: str) -> None:
    """A bad subject or nickname is refused at once."""
    with pytest.raises(Refusal, match="bad_token"):
        tokens().issue(subject, nickname, 60, now_ms=NOW_MS)


def test_nothing_is_issued_without_a_secret() -> None:
    """A server that takes platform tokens only does not make its own."""
    with pytest.raises(Refusal, match="forbidden"):
        tokens(None, ring_of(("", ED))).issue("u1", "n", 60, now_ms=NOW_MS)


# -- public ids


def test_a_public_id_stands_for_an_account_and_does_not_show_it() -> None:
    """The same account has the same id, others have others; another key gives other ids; the form is 16 letters and digits."""
    found = tokens()
    first = found.public_id("u1")
    assert first == found.public_id("u1") == tokens().public_id("u1")
    assert len({found.public_id(f"u{number}") for number in range(1000)}) == 1000
    assert Tokens(secret=SECRET, ring=None, id_key=b"j" * 32, operator_key=b"o" * 32).public_id("u1") != first
    assert len(first) == 16
    assert set(first) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len(found.public_id("\ud800")) == 16


# -- operators


def test_an_operators_token_names_the_actor_for_a_minute() -> None:
    """The token of an operator is good for its time and the leeway, no longer."""
    found = tokens(leeway_s=5)
    token = found.issue_operator("alice", NOW_MS)
    end = NOW_MS + (OPERATOR_TTL_S + 5) * 1000
    assert found.verify_operator(token, end - 1) == "alice"
    with pytest.raises(Refusal, match="token_expired"):
        found.verify_operator(token, end)


def test_operators_and_viewers_do_not_have_each_others_tokens() -> None:
    """A viewer's token opens nothing for operators, nor the other way round, even with one secret for both."""
    found = Tokens(secret=SECRET, ring=None, id_key=b"i" * 32, operator_key=SECRET)
    with pytest.raises(Refusal, match="aud"):
        found.verify_operator(found.issue("u1", "n", 60, now_ms=NOW_MS), NOW_MS)
    assert "aud" in refused(found, found.issue_operator("alice", NOW_MS))


def test_an_operators_token_is_signed_by_the_operators_key() -> None:
    """Another key, a longer life, a future start or an endless text is refused."""
    found = tokens()
    key = OctKey.import_key(b"o" * 32)
    claims = {"sub": "alice", "aud": "barrage-operator", "iat": NOW_S, "exp": NOW_S + 60}
    assert found.verify_operator(sign(claims, key), NOW_MS) == "alice"
    bad = (
        sign(claims),
        sign({**claims, "exp": NOW_S + 61}, key),
        sign({**claims, "iat": NOW_S + 40}, key),
        sign({name: value for name, value in claims.items() if name != "iat"}, key),
        "x" * (MAX_TOKEN + 1),
        "",
    )
    for token in bad:
        with pytest.raises(Refusal, match="bad_token"):
            found.verify_operator(token, NOW_MS)


# -- nicknames


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("小明", "小明"),
        ("  a   b ", "a b"),
        ("e\u0301", "é"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"),
        ("x" * 24, "x" * 24),
        ("नमस्ते", "नमस्ते"),
    ],
)
def test_a_nickname_is_shown_trimmed_and_composed(text: str, shown: str) -> None:
    """White space is folded, letters are composed, emoji stay whole."""
    assert clean_nickname(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \u3000\t",
        "x" * (NICKNAME_MAX_CHARS + 1),
        "a\x00b",
        "a\u202eb",
        "a\u2066b",
        "a\u200bb",
        "a\u200db",
        "\u200d👨",
        "👨\u200d",
        "a\ufeffb",
        "a\u3164b",
        "\u2800",
        "a\ud800",
        "a\ue000",
        "x" + "\u0489" * 5,
    ],
)
def test_a_nickname_cannot_deceive(text: str) -> None:
    """Controls, direction marks, invisible letters, piles of marks and lone halves are refused; an id alone tells accounts apart."""
    with pytest.raises(Refusal, match="nickname"):
        clean_nickname(text)


@given(st.text(max_size=40))
def test_a_clean_nickname_is_clean(text: str) -> None:
    """Cleaning is idempotent and never crashes."""
    try:
        shown = clean_nickname(text)
    except Refusal:
        return
    assert clean_nickname(shown) == shown
    assert 1 <= len(shown) <= NICKNAME_MAX_CHARS


# -- opening


def test_opening_makes_the_keys_of_the_data_folder(tmp_path: Path) -> None:
    """Secret, id key and operator's key are made once, kept to their owner, and all different."""
    first, second = Tokens.open(Settings(data_dir=tmp_path / "d")), Tokens.open(Settings(data_dir=tmp_path / "d"))
    files = sorted((tmp_path / "d").iterdir())
    assert [file.name for file in files] == ["operator.key", "public-id.key", "token.key"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert len({file.read_bytes() for file in files}) == 3
    assert second.verify(first.issue("u1", "n", 60, now_ms=NOW_MS), NOW_MS).subject == "u1"
    assert second.public_id("u1") == first.public_id("u1")
    assert second.verify_operator(first.issue_operator("alice", NOW_MS), NOW_MS) == "alice"


def test_a_secret_of_the_operator_is_used(tmp_path: Path) -> None:
    """``token_secret_file`` replaces the secret of the data folder."""
    (tmp_path / "secret").write_bytes(SECRET)
    found = Tokens.open(Settings(data_dir=tmp_path / "d", token_secret_file=tmp_path / "secret"))
    assert found.verify(sign(GOOD), NOW_MS).subject == "u1"
    assert not (tmp_path / "d" / "token.key").exists()


def key_file(folder: Path) -> Path:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [ED.as_dict(private=False)]}))
    return path


def test_with_a_key_set_the_local_secret_counts_no_more(tmp_path: Path) -> None:
    """A server of a platform takes the platform's tokens alone, unless it is a demo or its secret was named."""
    jwks = key_file(tmp_path)
    found = Tokens.open(Settings(data_dir=tmp_path / "d", token_jwks_file=jwks))
    assert found.verify(sign(GOOD, ED, "EdDSA"), NOW_MS).subject == "u1"
    with pytest.raises(Refusal, match="forbidden"):
        found.issue("u1", "n", 60, now_ms=NOW_MS)
    demo = Tokens.open(Settings(data_dir=tmp_path / "d", token_jwks_file=jwks, demo=True))
    assert demo.verify(demo.issue("u2", "n", 60, now_ms=NOW_MS), NOW_MS).subject == "u2"


def test_a_key_set_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """A missing or broken key file is told at the start."""
    with pytest.raises(ConfigError, match="cannot be read"):
        Tokens.open(Settings(data_dir=tmp_path, token_jwks_file=tmp_path / "none"))
    (tmp_path / "broken").write_text("{")
    with pytest.raises(ConfigError, match="is not a key set"):
        Tokens.open(Settings(data_dir=tmp_path, token_jwks_file=tmp_path / "broken"))


async def test_a_remote_key_set_is_kept_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``token_jwks_url`` the task reads the keys; until then tokens are refused for the moment."""
    monkeypatch.setattr(identity, "fetch_jwks", lambda url: key_file(tmp_path).read_bytes() if url == "https://k" else b"")
    found = Tokens.open(Settings(data_dir=tmp_path / "d", token_jwks_url="https://k"))
    token = sign(GOOD, ED, "EdDSA")
    refused(found, token, "keys_unavailable")
    task = asyncio.create_task(found.run())
    async with asyncio.timeout(PATIENCE_S):
        while found._ring is None or not found._ring.loaded:  # noqa: ASYNC110 -- the reading happens in a thread
            await asyncio.sleep(0.002)
    assert found.verify(token, NOW_MS).subject == "u1"
    task.cancel()


async def test_without_a_key_set_there_is_nothing_to_keep_fresh() -> None:
    """The task of a local secret ends at once."""
    await tokens().run()


# -- sessions


def test_a_session_has_tokens_whatever_platform_counts() -> None:
    """Where only a platform's public keys count, people who signed up here still get tokens, and these are verified."""
    tokens = Tokens(secret=None, ring=None, id_key=b"i" * 32, operator_key=b"o" * 32)
    account = "a-0123456789abcdef0123"
    token = tokens.issue_session(account, "小明", 60, session="s", verified=True, now_ms=NOW_MS)
    identity = tokens.verify(token, NOW_MS)
    assert (identity.subject, identity.nickname, identity.verified, identity.role) == (account, "小明", True, "")
    assert identity.session == "s"
    with pytest.raises(Refusal, match="token_expired"):
        tokens.verify(token, NOW_MS + 120_000)
    with pytest.raises(Refusal, match="token_expired"):
        tokens.verify(tokens.issue_session(account, "小明", 60, session="", verified=True, now_ms=NOW_MS), NOW_MS)


def test_no_platform_names_an_account_that_signed_up_here() -> None:
    """A platform's token with such a subject is refused: nobody takes over another one's account by choosing a name there."""
    tokens = Tokens(secret=b"s" * 32, ring=None, id_key=b"i" * 32, operator_key=b"o" * 32)
    with pytest.raises(Refusal, match="signed up here"):
        tokens.verify(tokens.issue("a-0123456789abcdef0123", "小明", 60, now_ms=NOW_MS), NOW_MS)
    assert tokens.verify(tokens.issue("a-name-of-theirs", "小明", 60, now_ms=NOW_MS), NOW_MS).subject == "a-name-of-theirs"


def test_tokens_of_sessions_and_operators_stand_in_for_nobody_else() -> None:
    """Each key signs for one audience: a session's token opens no operator interface, and an operator's no session."""
    tokens = Tokens(secret=b"s" * 32, ring=None, id_key=b"i" * 32, operator_key=b"o" * 32)
    session = tokens.issue_session("a-0123456789abcdef0123", "小明", 60, session="s", verified=True, now_ms=NOW_MS)
    with pytest.raises(Refusal, match="bad_token"):
        tokens.verify_operator(session, NOW_MS)
    with pytest.raises(Refusal, match="bad_token"):
        tokens.verify(tokens.issue_operator("op", NOW_MS), NOW_MS)
