"""Every setting, in one table: name, type, bounds, default, unit, help.

A setting ``tick_ms`` may come from the command line, from the environment as ``BARRAGE_TICK_MS``, or from the TOML file as
``tick_ms``; the first of these that gives it wins. Lists are comma-separated in the environment. :func:`load` reports all
mistakes at once. ``docs/settings.md`` is made from this table by :func:`document`.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import tomllib
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from server.errors import ConfigError
from server.wire import ROOM_PATTERN

PREFIX: Final = "BARRAGE_"
NOT_SETTINGS: Final = frozenset({"BARRAGE_CONFIG", "BARRAGE_CI"})
"""Environment variables with our prefix that are not settings: the settings file, and the strict mode of the tests."""

GROUPS: Final = (
    "Server",
    "Site",
    "Live",
    "Connections",
    "Recording",
    "Comments",
    "Senders",
    "Accounts",
    "HTTP",
    "Pages",
    "Review",
)


def _group(group: str) -> Callable[..., Meta]:
    """A maker of the table's entries of one group: help, unit, and the bounds that msgspec checks."""

    def entry(description: str, unit: str = "", **bounds: Any) -> Meta:
        return Meta(description=description, extra={"group": group, "unit": unit}, **bounds)

    return entry


_server, _site, _live, _connections, _recording, _comments, _senders, _accounts, _http, _pages, _review = map(_group, GROUPS)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The effective settings of one process; immutable. Names end in their unit."""

    # fmt: off
    # Server
    host: Annotated[str, _server("Address to listen on; `0.0.0.0` or `::` for all.", min_length=1)] = "127.0.0.1"
    port: Annotated[int, _server("Port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 8080
    data_dir: Annotated[Path, _server("Folder of the log, the pages and the keys. One server at a time.")] = Path("data")
    demo: Annotated[bool, _server("Make a demo room and hand out tokens to anyone. Never on a public address.")] = False
    demo_room: Annotated[str, _server("Name of the demo room.", pattern=ROOM_PATTERN)] = "demo"
    demo_video_url: Annotated[str, _server("Video of the demo room; empty: a generated moving picture, as a live stream.")] = ""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _server("Least level that is logged.")] = "info"
    log_format: Annotated[Literal["json", "console"], _server("One JSON object per line, or lines for people.")] = "json"
    drain_s: Annotated[float, _server(
        "On SIGTERM viewers are told to reconnect, spread over this time.", "s", ge=0, le=300)] = 10.0

    # Site
    site_name: Annotated[str, _site("Name of the site, in titles of pages.", min_length=1, max_length=80)] = "Barrage"
    site_language: Annotated[Literal["zh-CN", "en"], _site(
        "Language of pages when the reader's browser asks for none of ours. Static pages are in both.")] = "zh-CN"
    time_zone: Annotated[str, _site("IANA time zone of the times on static pages.")] = "Asia/Shanghai"
    public_url: Annotated[str, _site(
        "Address of the site as the public sees it. Links that are sent or filed, sign-in, passkeys and `Secure` cookies go by it: "
        "needed behind a proxy that speaks https. Empty: links are relative.")] = ""
    allowed_origins: Annotated[tuple[str, ...], _site(
        "Sites whose pages may connect and read, such as `https://video.example`; `*`: all.", max_length=256)] = ()
    frame_ancestors: Annotated[tuple[str, ...], _site(
        "Sites that may frame our pages: `'self'`, `'none'`, `*` or origins.", min_length=1, max_length=256)] = ("'self'",)
    trusted_proxies: Annotated[tuple[str, ...], _site(
        "Networks of proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`.", max_length=256)] = ()

    # Live
    tick_ms: Annotated[int, _live(
        "Least time between two flushes of a room; the first comment after a pause goes at once.", "ms", ge=1, le=1000)] = 50
    tick_max_ms: Annotated[int, _live("To what a room's tick may grow under load.", "ms", ge=1, le=5000)] = 200
    live_per_s: Annotated[int, _live(
        "Events of a room that go live in a second; of more, a random choice of the comments does, and frames say how many they "
        "leave out. Pages and history have all.", "1/s", ge=10, le=1_000_000)] = 4000
    ring_events: Annotated[int, _live("Newest events of a room kept in memory.", "events", ge=64, le=65_536)] = 1024
    ring_idle_s: Annotated[float, _live(
        "A room without viewers and comments leaves memory after this time.", "s", ge=1)] = 300.0
    join_recent: Annotated[int, _live("Newest events that a viewer gets when joining afresh.", "events", ge=0, le=1000)] = 50
    resume_max: Annotated[int, _live(
        "Events that a resuming viewer gets at most; for more, a gap that names the pages.", "events", ge=0, le=65_536)] = 1000
    deflate: Annotated[bool, _live("Offer permessage-deflate; a batch is compressed once for all viewers.")] = True
    deflate_min_bytes: Annotated[int, _live("Smaller messages are sent plain.", "bytes", ge=0, le=65_536)] = 300
    deflate_level: Annotated[int, _live("Effort of compression.", ge=1, le=9)] = 6
    viewer_count_interval_s: Annotated[float, _live(
        "How often a room's number of viewers is sent, when it changed.", "s", ge=1, le=3600)] = 5.0

    # Connections
    connections_max: Annotated[int, _connections("WebSocket connections of the process.", ge=1)] = 20_000
    connections_per_address: Annotated[int, _connections(
        "Connections from one address; IPv6 counts by /64. Many people can stand behind one.", ge=1)] = 256
    connections_per_account: Annotated[int, _connections("Connections of one account.", ge=1)] = 16
    joins_per_s: Annotated[float, _connections("Handshakes and joins from one address.", "1/s", ge=0.001, le=1e6)] = 20.0
    joins_burst: Annotated[int, _connections("Handshakes and joins from one address at once.", ge=1)] = 256
    rooms_per_connection: Annotated[int, _connections("Rooms that one connection may join.", ge=1, le=1024)] = 8
    frame_max_bytes: Annotated[int, _connections(
        "Largest message from a client, inflated.", "bytes", ge=512, le=1_048_576)] = 8192
    fragments_max: Annotated[int, _connections("Frames that one message may consist of.", ge=1, le=65_536)] = 64
    frames_per_s: Annotated[float, _connections("Frames that a connection may send.", "1/s", ge=0.001, le=1e6)] = 20.0
    frames_burst: Annotated[int, _connections("Frames that a connection may send at once.", ge=1)] = 100
    handshake_timeout_s: Annotated[float, _connections(
        "A connection that has not finished its request by then is closed.", "s", gt=0, le=300)] = 10.0
    join_timeout_s: Annotated[float, _connections(
        "A connection that has joined no room by then is closed.", "s", gt=0, le=3600)] = 30.0
    ping_interval_s: Annotated[float, _connections("A quiet connection is pinged after this time.", "s", gt=0, le=3600)] = 30.0
    idle_timeout_s: Annotated[float, _connections(
        "A connection from which nothing came for this time is closed.", "s", gt=0, le=7200)] = 75.0
    write_high_bytes: Annotated[int, _connections(
        "Unsent bytes at which a viewer leaves the live set until it has caught up.", "bytes", ge=1024, le=16_777_216)] = 65_536
    write_low_bytes: Annotated[int, _connections(
        "Unsent bytes at which it comes back, with a gap message.", "bytes", ge=0, le=16_777_216)] = 16_384
    slow_close_s: Annotated[float, _connections(
        "A viewer that stays behind for this time is closed.", "s", gt=0, le=3600)] = 60.0
    slow_strikes: Annotated[int, _connections(
        "A viewer that falls behind this often within ten minutes is closed.", ge=1, le=1000)] = 20

    # Recording
    queue_max: Annotated[int, _recording(
        "Drafts that may wait for a commit; more are refused at once with `overloaded`.", ge=1)] = 20_000
    admit_ms: Annotated[int, _recording(
        "A comment that would wait longer, for its commit or for the server's attention, is refused at once with `overloaded`; "
        "removals are not.", "ms", ge=10, le=60_000)] = 500
    batch_max: Annotated[int, _recording("Drafts of one commit.", ge=1, le=50_000)] = 2000
    commit_ms: Annotated[float, _recording(
        "While many write, what they send is read and committed together this far apart; 64 messages, and who writes alone, wait "
        "for nothing. A fifth more than a tick is best: what is committed goes live at once then.", "ms", ge=0, le=1000)] = 60.0
    records_max: Annotated[int, _recording(
        "Records beside the log (refused comments, connections) that may wait for a commit.", ge=1)] = 20_000

    # Comments
    comment_max_chars: Annotated[int, _comments("Longest comment, in characters (code points).", "chars", ge=1, le=1000)] = 100
    rate_account_per_s: Annotated[float, _comments("Comments of one account.", "1/s", ge=0.001, le=1e6)] = 1.0
    rate_account_burst: Annotated[int, _comments("Comments of one account at once.", ge=1)] = 5
    rate_room_per_s: Annotated[float, _comments("Comments of one account in one room.", "1/s", ge=0.001, le=1e6)] = 0.5
    rate_room_burst: Annotated[int, _comments("Comments of one account in one room at once.", ge=1)] = 4
    rate_address_per_s: Annotated[float, _comments("Comments from one address.", "1/s", ge=0.001, le=1e6)] = 20.0
    rate_address_burst: Annotated[int, _comments("Comments from one address at once.", ge=1)] = 100
    repeat_interval_s: Annotated[float, _comments(
        "How often one account may repeat one text; 0: as often as it likes.", "s", ge=0, le=3600)] = 20.0
    repeat_burst: Annotated[int, _comments("How often one account may send one text at once.", ge=1)] = 3
    slow_mode_s: Annotated[float, _comments(
        "Least time between two comments of one author in slow mode, where the room has no pace of its own.", "s", ge=1,
        le=3600)] = 10.0
    raid_shield_min: Annotated[int, _comments(
        "When a raid is noticed, the room is shielded for this time without waiting for staff; 0: it is only suggested.", "min",
        ge=0, le=1440)] = 0
    recall_window_s: Annotated[int, _comments("For how long authors may take back their own comments.", "s", ge=0)] = 120
    rules_file: Annotated[Path | None, _comments("Lexicon and rules of the screening; empty: the built-in ones.")] = None
    regions: Annotated[bool, _comments(
        "Show with each comment the province or country that it came from; needs `region_file`.")] = True
    region_file: Annotated[Path | None, _comments("Regions of IPv4 addresses, an ip2region database (`.xdb`).")] = None
    region_file_v6: Annotated[Path | None, _comments("Regions of IPv6 addresses, likewise.")] = None

    # Senders
    token_secret_file: Annotated[Path | None, _senders(
        "Secret of HS256 tokens, at least 32 bytes; empty: `token.key` of the data folder.")] = None
    token_jwks_file: Annotated[Path | None, _senders(
        "File with the host platform's public keys (JWKS: RS256, ES256, EdDSA); read again when it changes.")] = None
    token_jwks_url: Annotated[str, _senders("Address of the host platform's public keys (JWKS), https.")] = ""
    token_jwks_refresh_s: Annotated[float, _senders("How often the public keys are read again.", "s", ge=10, le=86_400)] = 300.0
    token_issuer: Annotated[str, _senders("Issuer (`iss`) that tokens must name; empty: any.")] = ""
    token_audience: Annotated[str, _senders("Audience (`aud`) that tokens must name.", min_length=1)] = "barrage"  # noqa: S105
    oidc_file: Annotated[Path | None, _senders(
        "TOML file of the OpenID Connect providers with which viewers may sign in (docs/accounts.md); empty: none.")] = None
    session_idle_days: Annotated[int, _senders(
        "A viewer's browser that was not used for this time is signed out.", "days", ge=1, le=400)] = 30
    session_max_days: Annotated[int, _senders(
        "A viewer's browser is signed out after this time in any case.", "days", ge=1, le=400)] = 90
    sessions_per_account: Annotated[int, _senders("Browsers that one account may be signed in with.", ge=1, le=1000)] = 10
    session_token_ttl_s: Annotated[int, _senders(
        "Life of the token that a signed-in page gets for its player; the page asks for a new one in time.", "s",
        ge=60, le=86_400)] = 900
    agreement_dir: Annotated[Path | None, _senders(
        "Folder with your own service agreement and lesson (docs/accounts.md); empty: the built-in ones.")] = None
    agreement_required: Annotated[bool, _senders(
        "Nobody posts before the service agreement in force is signed, here or with the host platform.")] = True
    token_leeway_s: Annotated[int, _senders(
        "By how much the clocks of the platform and of this machine may differ.", "s", ge=0, le=600)] = 30
    demo_token_ttl_s: Annotated[int, _senders("Life of a token that the demo hands out.", "s", ge=60, le=604_800)] = 86_400

    # Accounts
    vault_keys_file: Annotated[Path | None, _accounts(
        "File with the keys of the vault of personal data; empty: `vault.keys` of the data folder.")] = None
    vault_keys_env: Annotated[str, _accounts(
        "Environment variable that holds these keys instead, for a secrets manager.", max_length=128)] = ""
    verification_file: Annotated[Path | None, _accounts(
        "TOML file with the SMS gateway and the services that verify identities, readable by its owner only.")] = None
    phone_prefixes: Annotated[tuple[str, ...], _accounts(
        "Numbers that get codes: how they begin, such as `+86`.", max_length=300)] = ("+86",)
    codes_per_address: Annotated[int, _accounts("Phone codes that one address may ask for within an hour.", ge=1)] = 30
    nickname_interval_s: Annotated[float, _accounts("Least time between two changes of a nickname.", "s", ge=0)] = 604_800.0
    records_days: Annotated[int, _accounts(
        "Records of connections, and source addresses of reports, are kept for this time (law: at least six months).", "days",
        ge=183, le=3650)] = 190
    decisions_days: Annotated[int, _accounts(
        "Letters, words of appeals and comments that were held or refused are kept for this time.", "days",
        ge=1095, le=36_500)] = 1095
    operator_name: Annotated[str, _accounts("Who answers for personal data, as the privacy notice names it; empty: `site_name`.",
                                            max_length=100)] = ""
    privacy_contact: Annotated[str, _accounts("How to reach who answers for personal data, as the privacy notice shows it.",
                                              max_length=200)] = ""

    # HTTP
    http_connections_max: Annotated[int, _http("Open HTTP connections of the process, WebSockets not counted.", ge=1)] = 4096
    http_connections_per_address: Annotated[int, _http(
        "Open HTTP connections from one address; IPv6 counts by /64. Trusted proxies are not counted by address.", ge=1)] = 512
    history_limit_max: Annotated[int, _http("Events of one answer of the history interface.", "events", ge=1, le=10_000)] = 1000
    sse_max: Annotated[int, _http("Open event streams of the process.", ge=0)] = 1000
    sse_per_address: Annotated[int, _http("Open event streams from one address.", ge=1)] = 32
    body_max_bytes: Annotated[int, _http("Largest body of an HTTP request.", "bytes", ge=1024, le=16_777_216)] = 65_536
    head_max_bytes: Annotated[int, _http("Largest head of an HTTP request.", "bytes", ge=4096, le=1_048_576)] = 16_384
    body_timeout_s: Annotated[float, _http(
        "A request whose body has not arrived by then is refused.", "s", gt=0, le=300)] = 10.0
    metrics_networks: Annotated[tuple[str, ...], _http(
        "Networks that may read `/metrics`, and on `/readyz` what is wrong.", max_length=256)] = ("127.0.0.0/8", "::1/128")
    demo_tokens_per_s: Annotated[float, _http("Demo tokens that one address gets.", "1/s", ge=0.001, le=1e6)] = 1.0
    demo_tokens_burst: Annotated[int, _http("Demo tokens that one address gets at once.", ge=1)] = 20
    sign_ins_per_s: Annotated[float, _http("Steps of signing in that one address may take.", "1/s", ge=0.001, le=1e6)] = 0.5
    sign_ins_burst: Annotated[int, _http("Steps of signing in that one address may take at once.", ge=1)] = 60
    reports_per_s: Annotated[float, _http("Reports that one address may send.", "1/s", ge=0.001, le=1e6)] = 0.1
    reports_burst: Annotated[int, _http("Reports that one address may send at once.", ge=1)] = 10
    report_max_chars: Annotated[int, _http("Longest text of a report.", "chars", ge=0, le=5000)] = 500
    report_repeats: Annotated[int, _http(
        "Reports about one comment or room that one address may send within a day; who is signed in sends one.", ge=1, le=1000)] = 3
    report_answer_h: Annotated[int, _http("Reporters are promised an answer within this time.", "h", ge=1, le=720)] = 48

    # Pages
    pages_open_max: Annotated[int, _pages("Page files kept open for appending.", "files", ge=1, le=100_000)] = 256
    page_check_s: Annotated[float, _pages(
        "How often the page files of each room are looked at; what is missing or damaged is made again.", "s", gt=0)] = 10.0

    # Review
    second_review_share: Annotated[float, _review(
        "Part of the decisions on comments that somebody else judges again, without knowing the first outcome.", ge=0, le=1)] = 0.05
    review_texts_days: Annotated[int, _review(
        "Texts of what was decided at the desk, and receipts of reports, are kept for this time.", "days", ge=183, le=36_500)] = 1095
    review_swarms_days: Annotated[int, _review(
        "Who was found to act in a group is kept for this time.", "days", ge=1, le=36_500)] = 365
    authorities_file: Annotated[Path | None, _review(
        "TOML file with the authorities that findings are reported to, and how (docs/review.md), readable by its owner only; empty: "
        "findings are printed.")] = None
    assessed_features: Annotated[tuple[str, ...], _review(
        "Features that need a security assessment on record (`barrage feature list`): a server does not start with one of them "
        "switched on and none in force.", max_length=64)] = ("sign_in_providers",)
    training_pass_percent: Annotated[int, _review(
        "Least mark with which a training set is passed.", "%", ge=1, le=100)] = 80
    training_valid_days: Annotated[int, _review("A passed training set is passed for this time.", "days", ge=1, le=3650)] = 180
    training_questions: Annotated[int, _review(
        "Questions of one attempt, drawn from the set's in random order; a set with fewer asks all.", ge=1, le=100)] = 20
    training_retry_h: Annotated[float, _review(
        "Who has failed may begin again after this time.", "h", ge=0, le=720)] = 1.0
    team_handling_s: Annotated[float, _review(
        "Time for a decision that load is computed with until there are enough measured ones.", "s", gt=0, le=3600)] = 18.0
    team_load_alarm: Annotated[float, _review(
        "Work that arrives, as a part of what the reviewers on shift can do: alarm above this.", ge=0.05, le=10)] = 0.85
    team_absent_min: Annotated[int, _review(
        "A shift in which nobody has claimed or decided anything for this time alarms.", "min", ge=1, le=1440)] = 15
    # fmt: on


_FIELDS: Final = {field.name: field for field in msgspec.structs.fields(Settings)}


class Row(msgspec.Struct, frozen=True):
    """One setting as the table shows it. ``default`` is written as in the environment."""

    name: str
    group: str
    unit: str
    default: str
    accepted: str
    help: str


def load(env: Mapping[str, str], toml_path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The effective settings from all sources.

    ``overrides`` are those of the command line, by name; None means "not given". Raises ConfigError with every mistake, one
    per line.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, given, source, lax in _given(env, toml_path, overrides or {}, problems):
        field = _FIELDS.get(name)
        if field is None:
            problems.append(f"{source}: {name!r} is not a setting.{_hint(name, given)}")
            continue
        try:
            value = msgspec.convert(
                _split(field.type, given) if lax else _plain(field.type, given), field.type, strict=not lax, dec_hook=_path
            )
            if isinstance(value, float) and not math.isfinite(value):
                raise msgspec.ValidationError
        except msgspec.ValidationError:
            problems.append(f"{name} ({source}): {given!r} is not accepted. Accepted: {_accepted(field.type)}.")
        else:
            values[name] = value
    settings = Settings(**values)
    problems.extend(_cross_checks(settings))
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def _given(
    env: Mapping[str, str], toml_path: Path | None, overrides: Mapping[str, Any], problems: list[str]
) -> Iterator[tuple[str, Any, str, bool]]:
    """Name, raw value, source and whether it is text to be converted; the weakest source first, so that the last one wins."""
    if toml_path is not None:
        try:
            table = tomllib.loads(toml_path.read_text(encoding="utf-8"))
        except OSError as error:
            problems.append(f"settings file {toml_path}: cannot be read ({error.strerror}).")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"settings file {toml_path}: not valid TOML ({error}).")
        else:
            for name, value in table.items():
                yield name, value, f"settings file {toml_path}", False
    for variable in sorted(env):
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS:
            yield variable.removeprefix(PREFIX).lower(), env[variable], f"environment variable {variable}", True
    for name, value in overrides.items():
        if value is not None:
            yield name, value, "command line", isinstance(value, str)


def _plain(kind: Any, value: Any) -> Any:
    """A value of the file: a path may be left empty there as in the environment."""
    return None if value == "" and type(None) in get_args(_bare(kind)) else value


def _split(kind: Any, text: str) -> Any:
    kind = _bare(kind)
    if get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        return {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower(), text)
    if type(None) in get_args(kind) and not text:
        return None
    return text


def _path(kind: Any, value: Any) -> Any:
    """For msgspec, which knows no paths. Raises ValueError for what is none."""
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    raise ValueError


def _hint(name: str, given: Any) -> str:
    if isinstance(given, dict):
        return " Settings stand outside of sections."
    near = difflib.get_close_matches(name, _FIELDS, n=1)
    return f" Did you mean {near[0]}?" if near else " See `barrage settings` for all names."


def _bare(kind: Any) -> Any:
    """The type without its ``Annotated`` wrapper."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _meta(kind: Any) -> Meta:
    meta: Meta = get_args(kind)[1]
    return meta


def _accepted(kind: Any) -> str:
    """What a setting accepts, in words."""
    bare, meta = _bare(kind), _meta(kind)
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(get_args(bare))
    if bare is bool:
        return "true or false"
    if get_origin(bare) is tuple:
        return "a list (comma-separated in the environment)" + (", not empty" if meta.min_length else "")
    if bare in (int, float):
        word = "a whole number" if bare is int else "a number"
        low = f" from {meta.ge:g}" if meta.ge is not None else f" above {meta.gt:g}" if meta.gt is not None else ""
        high = f" to {meta.le:g}" if meta.le is not None else ""
        return word + low + high
    if Path in (bare, *get_args(bare)):
        return "a path"
    if meta.pattern:
        return f"text that fits {meta.pattern}"
    return (
        "text"
        + (", not empty" if meta.min_length else "")
        + (f", at most {meta.max_length} characters" if meta.max_length else "")
    )


_ORIGINS: Final = "origins such as https://video.example (no path)"


def _cross_checks(settings: Settings) -> Iterator[str]:
    """Checks that need more than one setting, or more than a bound."""
    for small, large in (
        ("tick_ms", "tick_max_ms"),
        ("write_low_bytes", "write_high_bytes"),
        ("ping_interval_s", "idle_timeout_s"),
        ("join_recent", "ring_events"),
    ):
        low, high = getattr(settings, small), getattr(settings, large)
        if low > high or (low == high and small != "tick_ms" and small != "join_recent"):
            yield f"{small} is {low} and {large} is {high}. Accepted: {small} below {large}."
    try:
        zoneinfo.ZoneInfo(settings.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield f"time_zone: {settings.time_zone!r} is not accepted. Accepted: an IANA name such as Asia/Shanghai or UTC."
    for name in ("trusted_proxies", "metrics_networks"):
        for network in getattr(settings, name):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                yield f"{name}: {network!r} is not accepted ({error}). Accepted: networks such as 10.0.0.0/8 or ::1."
    if settings.vault_keys_file is not None and settings.vault_keys_env:
        yield "vault_keys_file and vault_keys_env are both given. Accepted: one of them."
    for prefix in settings.phone_prefixes:
        if not (prefix.startswith("+") and prefix[1:].isdecimal() and prefix.isascii()):
            yield f"phone_prefixes: {prefix!r} is not accepted. Accepted: + and digits, such as +86."
    for origin in settings.allowed_origins:
        if origin != "*" and not _is_origin(origin):
            yield f"allowed_origins: {origin!r} is not accepted. Accepted: {_ORIGINS} or *."
    for source in settings.frame_ancestors:
        if source not in {"'self'", "'none'", "*"} and not _is_origin(source):
            yield f"frame_ancestors: {source!r} is not accepted. Accepted: 'self', 'none', * or {_ORIGINS}."
    yield from _address_checks(settings)


def _address_checks(settings: Settings) -> Iterator[str]:
    if settings.public_url and not _is_origin(settings.public_url.removesuffix("/")):
        yield f"public_url: {settings.public_url!r} is not accepted. Accepted: {_ORIGINS}."
    jwks = urlsplit(settings.token_jwks_url)
    encrypted = jwks.scheme == "https" or (jwks.scheme == "http" and _is_loopback(jwks.hostname or ""))
    if settings.token_jwks_url and not (jwks.hostname and encrypted):
        yield f"token_jwks_url: {settings.token_jwks_url!r} is not accepted. Accepted: https (http for this machine only)."
    if settings.token_jwks_url and settings.token_jwks_file:
        yield "token_jwks_url and token_jwks_file are both given. Accepted: one of them."
    if settings.demo_video_url and urlsplit(settings.demo_video_url).scheme not in {"", "http", "https"}:
        yield f"demo_video_url: {settings.demo_video_url!r} is not accepted. Accepted: http, https, or a path of this site."


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        plain = f"{parts.scheme}://{parts.netloc}" == text and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False
    safe = not any(char.isspace() or char in ";,'\"*" for char in text)
    return plain and safe and parts.scheme in {"http", "https"} and bool(parts.hostname)


# ---------------------------------------------------------------------------------------------------------------------
# Showing the table


def rows() -> list[Row]:
    """The whole table, in the order of :data:`GROUPS`."""
    table = []
    for field in _FIELDS.values():
        meta = _meta(field.type)
        extra = meta.extra or {}
        table.append(
            Row(
                name=field.name,
                group=extra["group"],
                unit=extra["unit"],
                default=show(field.default),
                accepted=_accepted(field.type),
                help=meta.description or "",
            )
        )
    return sorted(table, key=lambda row: GROUPS.index(row.group))


def show(value: Any) -> str:
    """A value as it would be written in the environment."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def document() -> str:
    """The text of ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Each setting may be given on the command line (`barrage serve --set NAME=VALUE`, a few by options of their own), in",
        "the environment as `BARRAGE_` and the name in capitals, or in a TOML file (`--config FILE` or `BARRAGE_CONFIG`). The",
        "command line wins over the environment, the environment over the file. A bad value or an unknown name stops the start",
        "with a message that names it. `barrage settings` prints the values in force, `barrage check-config` checks them and the",
        "files that they name. Settings are read at the start: a change takes effect with a restart.",
        "",
        "In the file, numbers and truth values stand plain, text and paths in quotes, lists in brackets",
        '(`trusted_proxies = ["10.0.0.0/8"]`); there are no sections. Paths are relative to the folder that the server is started',
        "in.",
        "",
        "This file is made from the table in `server/settings.py` (`make docs`); a test fails when the two differ.",
    ]
    group = ""
    for row in rows():
        if row.group != group:
            group = row.group
            lines += [
                "",
                f"## {group}",
                "",
                "| name | default | unit | accepted | what it does |",
                "| --- | --- | --- | --- | --- |",
            ]
        default = f"`{row.default}`" if row.default else "(empty)"
        accepted = row.accepted.replace("|", "\\|")
        lines.append(f"| `{row.name}` | {default} | {row.unit} | {accepted} | {row.help} |")
    return "\n".join(lines) + "\n"
