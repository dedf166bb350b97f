"""The feature registry: what must not be switched on before its security was assessed (duty P4).

A feature of :data:`FEATURES` that the setting ``assessed_features`` names needs an assessment on record that was passed and is in
force: who, when, with what result, the digest of the report, until when. Features that settings switch on are looked at when a server
starts (:func:`check_settings`); those that staff switch on, at that moment (:func:`require`). Time alone ends an assessment: a server
that runs goes on and alarms (:mod:`server.moderation.feature_watch`), and does not start again.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
from sqlalchemy import Connection, insert, select, update

from server.errors import ConfigError, Refusal
from server.moderation import tables
from server.moderation.book import Transaction
from server.settings import Settings

Result = Literal["passed", "failed"]
RESULTS: Final[tuple[Result, ...]] = get_args(Result)
TEXT_MAX_CHARS: Final = 120
LONGEST_MS: Final = 5 * 366 * 86_400_000
WARN_MS: Final = 30 * 86_400_000
PLANNED_CODE: Final = "E4"
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class Feature(NamedTuple):
    """What the registry knows. ``switched_on`` says whether the settings switch it on; None: staff do, where they make one."""

    name: str
    en: str
    zh: str
    switch: str
    switched_on: Callable[[Settings], bool] | None


_FEATURES: Final = (
    Feature("embedding", "comments on pages of other sites", "在其他网站嵌入弹幕", "allowed_origins",
            lambda settings: bool(settings.allowed_origins)),
    Feature("sign_in_providers", "signing in with accounts of others", "第三方账号登录", "oidc_file",
            lambda settings: settings.oidc_file is not None),
    Feature("host_accounts", "accounts of a host platform", "宿主平台账号", "token_jwks_url, token_jwks_file",
            lambda settings: bool(settings.token_jwks_url or settings.token_jwks_file)),
    Feature("regions", "regions of addresses", "显示地域", "region_file",
            lambda settings: settings.regions and settings.region_file is not None),
    Feature("news_rooms", "news rooms", "新闻直播间", "barrage room create --news", None),
)  # fmt: skip
FEATURES: Final[dict[str, Feature]] = {feature.name: feature for feature in _FEATURES}


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """An assessment on record; columns as in :data:`server.moderation.tables.assessments`."""

    id: str
    feature: str
    assessor: str
    result: Result
    sha256: str
    reference: str
    assessed_ms: int
    until_ms: int
    actor: str
    role: str
    at_ms: int
    revoked_by: str
    revoked_ms: int

    def in_force(self, now_ms: int) -> bool:
        """Passed, not revoked, not over."""
        return self.result == "passed" and not self.revoked_ms and self.assessed_ms <= now_ms < self.until_ms


class Standing(NamedTuple):
    """How a feature stands: whether it needs an assessment, is switched on by settings, and the assessment that is in force."""

    feature: Feature
    needed: bool
    on: bool | None
    assessment: Assessment | None


def record(
    tx: Transaction, feature: str, assessor: str, result: str, sha256: str, assessed_ms: int, until_ms: int, *, actor: str,
    role: str, reference: str = "",
) -> str:  # fmt: skip
    """Enter an assessment; its id. Raises Refusal ``bad_message`` (the detail names the field)."""
    if feature not in FEATURES:
        raise Refusal("bad_message", f"feature: one of {', '.join(FEATURES)}")
    if result not in RESULTS:
        raise Refusal("bad_message", f"result: one of {', '.join(RESULTS)}")
    assessor, reference = " ".join(assessor.split()), " ".join(reference.split())
    if not 1 <= len(assessor) <= TEXT_MAX_CHARS or not assessor.isprintable():
        raise Refusal("bad_message", f"assessor: 1 to {TEXT_MAX_CHARS} printable characters")
    if len(reference) > TEXT_MAX_CHARS or not reference.isprintable():
        raise Refusal("bad_message", f"reference: at most {TEXT_MAX_CHARS} printable characters")
    if not _SHA256.match(sha256):
        raise Refusal("bad_message", "sha256: 64 hexadecimal digits, those of the report")
    if not 0 < assessed_ms <= tx.now_ms or not assessed_ms < until_ms <= assessed_ms + LONGEST_MS:
        raise Refusal("bad_message", "assessed: a moment that is past; until: after it, within five years")
    assessment = f"s-{secrets.token_hex(10)}"
    _decide(tx, f"{feature}: {result}, by {assessor}", "feature.assess", assessment, actor, role)
    tx.sql.execute(
        insert(tables.assessments).values(
            id=assessment, feature=feature, assessor=assessor, result=result, sha256=sha256, reference=reference,
            assessed_ms=assessed_ms, until_ms=until_ms, actor=actor, role=role, at_ms=tx.now_ms,
        )
    )  # fmt: skip
    return assessment


def revoke(tx: Transaction, assessment: str, basis: str, *, actor: str, role: str) -> Assessment:
    """It holds no more. Raises Refusal ``not_found``, ``bad_step``, ``bad_code`` (the basis)."""
    found = next((each for each in listed(tx.sql) if each.id == assessment), None)
    if found is None:
        raise Refusal("not_found", "no such assessment")
    if found.revoked_ms:
        raise Refusal("bad_step", "it is revoked already")
    _decide(tx, " ".join(basis.split()), "feature.revoke", assessment, actor, role)
    table = tables.assessments
    tx.sql.execute(update(table).where(table.c.id == assessment).values(revoked_by=actor, revoked_ms=tx.now_ms))
    return msgspec.structs.replace(found, revoked_by=actor, revoked_ms=tx.now_ms)


def listed(connection: Connection) -> list[Assessment]:
    """All assessments, newest first."""
    table = tables.assessments
    query = select(table).order_by(table.c.at_ms.desc(), table.c.id)
    return [Assessment(**row) for row in connection.execute(query).mappings()]


def standings(connection: Connection, settings: Settings, now_ms: int) -> list[Standing]:
    """How each feature stands; of several assessments in force, the one that ends last."""
    found = listed(connection)
    rows = []
    for feature in FEATURES.values():
        good = [each for each in found if each.feature == feature.name and each.in_force(now_ms)]
        best = max(good, key=lambda each: each.until_ms, default=None)
        on = feature.switched_on(settings) if feature.switched_on is not None else None
        rows.append(Standing(feature, feature.name in settings.assessed_features, on, best))
    return rows


def require(connection: Connection, settings: Settings, feature: str, now_ms: int) -> None:
    """The feature may be switched on now. Raises Refusal ``assessment_required``."""
    if feature in settings.assessed_features:
        (standing,) = (each for each in standings(connection, settings, now_ms) if each.feature.name == feature)
        if standing.assessment is None:
            raise Refusal("assessment_required", feature)


def check_names(settings: Settings) -> None:
    """``assessed_features`` names features that there are. Raises ConfigError."""
    unknown = [name for name in settings.assessed_features if name not in FEATURES]
    if unknown:
        raise ConfigError(f"assessed_features: {', '.join(unknown)} is not accepted. Accepted: {', '.join(FEATURES)}.")


def check_settings(connection: Connection, settings: Settings, now_ms: int) -> list[Standing]:
    """Whether a server may start with these settings. Returns features whose assessment ends within a month, to be warned of.

    Raises ConfigError that names what is switched on without an assessment, and what to do.
    """
    check_names(settings)
    found = [each for each in standings(connection, settings, now_ms) if each.needed and each.on]
    missing = [each.feature for each in found if each.assessment is None]
    if missing:
        raise ConfigError("\n".join(
            f"{each.switch}: it switches on {each.en} ({each.name}), which needs a security assessment, and none is in force. "
            f"Record it with: barrage feature assess {each.name}, or take the setting back." for each in missing
        ))  # fmt: skip
    return [each for each in found if each.assessment is not None and each.assessment.until_ms < now_ms + WARN_MS]


def _decide(tx: Transaction, basis: str, act: str, assessment: str, actor: str, role: str) -> None:
    detail: dict[str, Any] = {"act": act, "assessment": assessment}
    tx.decide("record", PLANNED_CODE, basis, actor=actor, role=role, detail=detail)
