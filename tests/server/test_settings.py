"""server/settings.py"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ConfigError
from server.settings import GROUPS, Settings, document, load, rows, show


def problems(env: dict[str, str] | None = None, toml: Path | None = None, **overrides: Any) -> list[str]:
    """The lines of the error that loading ends with."""
    with pytest.raises(ConfigError) as caught:
        load(env or {}, toml, overrides)
    return str(caught.value).splitlines()


def toml_file(folder: Path, text: str) -> Path:
    path = folder / "barrage.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_good() -> None:
    """Without any source the defaults are in force, and they pass all checks."""
    assert load({}) == Settings()


def test_a_path_may_be_left_empty_in_every_source(tmp_path: Path) -> None:
    """Empty is how the table shows that there is none: it may be written so."""
    assert load({"BARRAGE_RULES_FILE": ""}, toml_file(tmp_path, 'region_file = ""\n'), {"oidc_file": ""}) == Settings()


def test_a_section_is_told_apart_from_a_wrong_name(tmp_path: Path) -> None:
    """Who groups settings as the document does learns where they stand."""
    (line,) = problems(None, toml_file(tmp_path, "[live]\ntick_ms = 50\n"))
    assert line.endswith("'live' is not a setting. Settings stand outside of sections.")


def test_command_line_wins_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    """Of three sources for a setting, the nearest to the operator's hands counts."""
    toml = toml_file(tmp_path, "port = 1001\ntick_ms = 11\nhost = 'file'\n")
    found = load({"BARRAGE_PORT": "1002", "BARRAGE_TICK_MS": "12"}, toml, {"port": 1003, "host": None})
    assert (found.port, found.tick_ms, found.host) == (1003, 12, "file")


def test_text_of_the_environment_becomes_each_kind_of_value() -> None:
    """Numbers, truth values, lists, choices and paths are read from text."""
    env = {
        "BARRAGE_PORT": "0",
        "BARRAGE_DRAIN_S": "2.5",
        "BARRAGE_DEMO": "yes",
        "BARRAGE_DEFLATE": "Off",
        "BARRAGE_ALLOWED_ORIGINS": "https://a.example, https://b.example:8443,",
        "BARRAGE_LOG_LEVEL": "debug",
        "BARRAGE_RULES_FILE": "~/rules.toml",
        "BARRAGE_TOKEN_JWKS_FILE": "",
    }
    found = load(env)
    assert (found.port, found.drain_s, found.demo, found.deflate, found.log_level) == (0, 2.5, True, False, "debug")
    assert found.allowed_origins == ("https://a.example", "https://b.example:8443")
    assert found.rules_file == Path.home() / "rules.toml"
    assert found.token_jwks_file is None


def test_a_file_has_typed_values(tmp_path: Path) -> None:
    """In a TOML file a number is a number and a list is a list; text in their place is a mistake."""
    good = toml_file(tmp_path, 'port = 9\ndemo = true\ndrain_s = 3\nallowed_origins = ["*"]\ndata_dir = "d"\n')
    found = load({}, good)
    assert (found.port, found.demo, found.drain_s, found.allowed_origins, found.data_dir) == (9, True, 3.0, ("*",), Path("d"))
    assert len(problems(toml=toml_file(tmp_path, 'port = "9"\ndemo = 1\ntick_ms = true\n'))) == 3


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("port", "65536", "a whole number from 0 to 65535"),
        ("port", "eighty", "a whole number from 0 to 65535"),
        ("handshake_timeout_s", "0", "a number above 0 to 300"),
        ("frames_per_s", "0", "a number from 0.001 to 1e+06"),
        ("demo", "maybe", "true or false"),
        ("log_level", "loud", "one of debug, info, warning, error"),
        ("demo_room", "../x", "text that fits"),
        ("site_name", "", "text, not empty, at most 80 characters"),
        ("frame_ancestors", "", "a list (comma-separated in the environment), not empty"),
        ("data_dir", "", "a path"),
        ("host", "", "text, not empty"),
    ],
)
def test_a_bad_value_is_named_with_its_source_and_what_is_accepted(name: str, value: str, accepted: str) -> None:
    """The message for a bad value holds setting, source, value and what is accepted."""
    (line,) = problems({f"BARRAGE_{name.upper()}": value})
    assert line.startswith(
        f"{name} (environment variable BARRAGE_{name.upper()}): {value!r} is not accepted. Accepted: {accepted}"
    )


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Mistakes of all sources, and of settings that do not fit together, stand in one error."""
    lines = problems(
        {"BARRAGE_PORT": "x", "BARRAGE_WRITE_LOW_BYTES": "70000"}, toml_file(tmp_path, "tikc_ms = 5\n"), log_format="xml"
    )
    assert len(lines) == 4
    assert "settings file" in lines[0]
    assert "command line" in lines[2]


def test_an_unknown_name_is_a_mistake_with_a_hint() -> None:
    """A misspelt variable is not passed over in silence; a near name is suggested."""
    near, far = problems({"BARRAGE_TIKC_MS": "5", "BARRAGE_WARP": "9"})
    assert "Did you mean tick_ms?" in near
    assert "barrage settings" in far


def test_variables_that_are_no_settings_are_left_alone() -> None:
    """The settings file's own variable, the tests' and those of other programs are no mistakes."""
    assert load({"BARRAGE_CONFIG": "x", "BARRAGE_CI": "1", "PATH": "x"}) == Settings()


@pytest.mark.parametrize("text", ["port = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_a_mistake(tmp_path: Path, text: str | bytes) -> None:
    """A broken file is named with the reason."""
    path = tmp_path / "broken.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert "not valid TOML" in problems(toml=path)[0]


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    """A settings file that was asked for must be there."""
    assert "cannot be read" in problems(toml=tmp_path / "none.toml")[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../etc/passwd"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("metrics_networks", "here"),
        ("phone_prefixes", "86"),
        ("phone_prefixes", "+8a"),
        ("allowed_origins", "https://a.example/path"),
        ("allowed_origins", "a.example"),
        ("allowed_origins", "https://user@a.example"),
        ("allowed_origins", "https://a.example:0"),
        ("allowed_origins", "https://[a.example"),
        ("frame_ancestors", "https://a.example;script-src"),
        ("frame_ancestors", "self"),
        ("public_url", "https://a.example/app"),
        ("token_jwks_url", "http://keys.example/jwks"),
        ("token_jwks_url", "https://"),
        ("token_jwks_url", "file:///etc/passwd"),
        ("demo_video_url", "javascript:alert(1)"),
    ],
)
def test_values_beyond_a_bound_are_checked_too(name: str, value: str) -> None:
    """Networks, origins, addresses and time zones that cannot work stop the start."""
    (line,) = problems({f"BARRAGE_{name.upper()}": value})
    assert line.startswith(f"{name}: {value!r} is not accepted")


@pytest.mark.parametrize(
    "env",
    [
        {"BARRAGE_TIME_ZONE": "UTC"},
        {"BARRAGE_TRUSTED_PROXIES": "10.0.0.0/8,::1"},
        {"BARRAGE_ALLOWED_ORIGINS": "*"},
        {"BARRAGE_FRAME_ANCESTORS": "'none'"},
        {"BARRAGE_FRAME_ANCESTORS": "'self',https://a.example"},
        {"BARRAGE_PUBLIC_URL": "https://a.example/"},
        {"BARRAGE_TOKEN_JWKS_URL": "https://keys.example/jwks"},
        {"BARRAGE_TOKEN_JWKS_URL": "http://127.0.0.1:9/jwks"},
        {"BARRAGE_TOKEN_JWKS_URL": "http://localhost/jwks"},
        {"BARRAGE_DEMO_VIDEO_URL": "/media/film.mp4"},
        {"BARRAGE_TICK_MS": "200", "BARRAGE_TICK_MAX_MS": "200"},
        {"BARRAGE_METRICS_NETWORKS": ""},
    ],
)
def test_values_that_can_work_are_accepted(env: dict[str, str]) -> None:
    """The checks beyond bounds let through what they should."""
    load(env)


def test_settings_that_contradict_each_other_are_mistakes() -> None:
    """A lower bound above its upper one, and two sources of keys, are told."""
    lines = problems(
        {
            "BARRAGE_TICK_MS": "300",
            "BARRAGE_PING_INTERVAL_S": "75",
            "BARRAGE_JOIN_RECENT": "500",
            "BARRAGE_RING_EVENTS": "100",
            "BARRAGE_TOKEN_JWKS_URL": "https://k.example/j",
            "BARRAGE_TOKEN_JWKS_FILE": "keys.json",
            "BARRAGE_VAULT_KEYS_FILE": "vault.keys",
            "BARRAGE_VAULT_KEYS_ENV": "VAULT_KEYS",
        }
    )
    assert [line.split()[0] for line in lines] == [
        "tick_ms", "ping_interval_s", "join_recent", "vault_keys_file", "token_jwks_url",
    ]  # fmt: skip


@given(st.floats(), st.sampled_from([row.name for row in rows() if "number" in row.accepted]))
def test_no_number_gets_past_its_bounds(value: float, name: str) -> None:
    """Whatever number is given, as text or as a number, what is in force is finite and not negative."""
    for env, overrides in (({f"BARRAGE_{name.upper()}": repr(value)}, {}), ({}, {name: value})):
        try:
            got = getattr(load(env, None, overrides), name)
        except ConfigError:
            continue
        assert math.isfinite(got)
        assert got >= 0


@pytest.mark.parametrize("word", ["inf", "nan", "-inf"])
def test_endless_numbers_are_no_numbers(tmp_path: Path, word: str) -> None:
    """TOML has words for infinity and for no number; a setting without an upper bound takes them as little as the others."""
    (line,) = problems(toml=toml_file(tmp_path, f"ring_idle_s = {word}\n"))
    assert line.startswith("ring_idle_s (settings file ")


def test_settings_are_immutable() -> None:
    """Nobody changes the settings of a running process."""
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


def test_the_table_tells_everything_of_each_setting() -> None:
    """Each setting has a group, a help sentence, what it accepts, and a name that ends in its unit."""
    table = rows()
    assert [row.name for row in table] == [field.name for field in msgspec.structs.fields(Settings)]
    suffixes = {"ms": "_ms", "s": "_s", "1/s": "_per_s", "bytes": "_bytes"}
    for row in table:
        assert row.group in GROUPS
        assert row.help.endswith((".", "1000"))
        assert row.accepted
        assert row.name.endswith(suffixes.get(row.unit, "")), row.name


def test_the_document_names_every_setting() -> None:
    """The document has one row for each setting, under its group's heading."""
    text = document()
    for row in rows():
        assert text.count(f"\n| `{row.name}` |") == 1
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(GROUPS)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "true"), (False, "false"), (("a", "b"), "a,b"), (2.0, "2"), (0.5, "0.5"), (Path("d"), "d"), (7, "7")],
)
def test_values_are_shown_as_in_the_environment(value: Any, text: str) -> None:
    """What is shown may be pasted into the environment."""
    assert show(value) == text


def test_every_default_survives_the_way_through_the_environment() -> None:
    """Setting every variable to its shown default changes nothing."""
    env = {f"BARRAGE_{row.name.upper()}": row.default for row in rows()}
    assert load(env) == Settings()
