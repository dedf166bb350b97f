"""What an operator can do with inspections, findings, cases and assessments without the pages of staff.

Like the operations on accounts, the requests are one tagged union (``op``), so the operator interface has one route for all of
them and the command line one call. Answers are JSON objects or lists of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from server.bounds import Whole
from server.errors import Refusal, StoreError
from server.moderation import cases, features, inspection, outbox
from server.moderation.inspection import DAY_MS, Inspection, Scope
from server.moderation.moderation import Moderation
from server.moderation.outbox import Evidence, Finding

ROLE: Final = "operator"
_Text = Annotated[str, Meta(max_length=4000)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="op"):
    pass


class ListInspections(_Request, frozen=True, kw_only=True, tag="inspections.list"):
    """Inspections, newest first."""


class AskInspection(_Request, frozen=True, kw_only=True, tag="inspections.ask"):
    """Ask for an inspection, for ``days`` from now."""

    case_number: _Text
    reason: _Text
    scope: Scope
    inspectors: tuple[str, ...]
    days: Annotated[int, Meta(ge=1, le=90)] = 7


class DecideInspection(_Request, frozen=True, kw_only=True, tag="inspections.decide"):
    """Approve or refuse what somebody else has asked for."""

    inspection: str
    granted: bool
    basis: _Text


class RevokeInspection(_Request, frozen=True, kw_only=True, tag="inspections.revoke"):
    """End an inspection."""

    inspection: str
    basis: _Text


class ExportInspection(_Request, frozen=True, kw_only=True, tag="inspections.export"):
    """Make a bundle. The answer names the file on the server's own disk; whoever asked takes it away from there."""

    inspection: str


class ShowSigningKey(_Request, frozen=True, kw_only=True, tag="inspections.key"):
    """The public key that bundles are verified with."""


class ListFindings(_Request, frozen=True, kw_only=True, tag="findings.list"):
    """Findings that wait for an acknowledgement, or (``ended``) the others."""

    ended: bool = False


class FileFinding(_Request, frozen=True, kw_only=True, tag="findings.file"):
    """Report a finding, without personal data."""

    authority: str
    title: _Text
    summary: _Text
    code: str
    basis: _Text
    evidence: Evidence


class StepFinding(_Request, frozen=True, kw_only=True, tag="findings.step"):
    """Acknowledge (``words``: the authority's number), withdraw (``words``: the basis) or send again."""

    finding: str
    what: Literal["acknowledge", "withdraw", "send"]
    words: _Text = ""


class ListCases(_Request, frozen=True, kw_only=True, tag="cases.list"):
    """Open cases, or the closed ones."""

    closed: bool = False


class ShowCase(_Request, frozen=True, kw_only=True, tag="cases.show"):
    """One case with its steps."""

    case: str


class OpenCase(_Request, frozen=True, kw_only=True, tag="cases.open"):
    """Open a case."""

    kind: str
    source: str
    title: _Text
    facts: _Text
    due_ms: Whole
    reference: _Text = ""


class StepCase(_Request, frozen=True, kw_only=True, tag="cases.step"):
    """The next step of a case; ``decision`` or ``sha256`` is evidence, ``due_ms`` a deadline."""

    case: str
    what: Literal["note", "evidence", "penalty", "deadline", "close", "reopen"]
    words: _Text
    decision: Whole = 0
    sha256: str = ""
    due_ms: Whole = 0


class ListFeatures(_Request, frozen=True, kw_only=True, tag="features.list"):
    """How each feature stands."""


class AssessFeature(_Request, frozen=True, kw_only=True, tag="features.assess"):
    """Enter a security assessment."""

    feature: str
    assessor: _Text
    result: str
    sha256: str
    assessed_ms: Whole
    until_ms: Whole
    reference: _Text = ""


class RevokeAssessment(_Request, frozen=True, kw_only=True, tag="features.revoke"):
    """An assessment holds no more."""

    assessment: str
    basis: _Text


AuthorityRequest = (
    ListInspections | AskInspection | DecideInspection | RevokeInspection | ExportInspection | ShowSigningKey | ListFindings
    | FileFinding | StepFinding | ListCases | ShowCase | OpenCase | StepCase | ListFeatures | AssessFeature | RevokeAssessment
)  # fmt: skip


class AuthorityOperations(Protocol):
    """What the command line calls: here, or over HTTP. Raises Refusal."""

    async def authority(self, request: AuthorityRequest) -> Any:
        """Do it, and answer with plain data."""


class LocalAuthorityOperations:
    """Operations on the desk of this process. ``actor`` is the acting person, as records name them."""

    def __init__(self, moderation: Moderation, actor: str) -> None:
        self._desk = moderation
        self._by: dict[str, Any] = {"actor": actor, "role": ROLE}

    async def authority(self, request: AuthorityRequest) -> Any:
        return await _WORK[type(request)](self, request)

    # -- inspections

    async def _inspections(self, request: ListInspections) -> Any:
        return [self._inspection(each) for each in await self._desk.look(inspection.listed)]

    async def _ask(self, request: AskInspection) -> Any:
        by = self._by
        name = await self._desk.write(
            lambda tx: inspection.ask(
                tx, request.case_number, request.reason, request.scope, request.inspectors, tx.now_ms + request.days * DAY_MS,
                actor=by["actor"], role=by["role"],
            )
        )  # fmt: skip
        return self._inspection(await self._desk.look(lambda connection: inspection.need(connection, name)))

    async def _decide(self, request: DecideInspection) -> Any:
        return self._inspection(await self._desk.write(
            lambda tx: inspection.decide(tx, request.inspection, request.granted, request.basis, **self._by)
        ))  # fmt: skip

    async def _revoke(self, request: RevokeInspection) -> Any:
        found = await self._desk.write(lambda tx: inspection.revoke(tx, request.inspection, request.basis, **self._by))
        return self._inspection(found)

    async def _export(self, request: ExportInspection) -> Any:
        try:
            made = await self._desk.inspections.export(request.inspection, **self._by)
        except (StoreError, OSError) as error:
            raise Refusal("storage_unavailable", "inspection") from error
        return {"path": str(made.path.absolute()), "manifest_sha256": made.manifest_sha256, "counts": made.counts}

    async def _key(self, request: ShowSigningKey) -> Any:
        return self._desk.inspections.key.jwk()

    def _inspection(self, found: Inspection) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(found)
        return {**plain, "state": found.state(self._desk.clock_ms())}

    # -- findings

    async def _findings(self, request: ListFindings) -> Any:
        found = await self._desk.look(lambda connection: outbox.listed(connection, ended=request.ended))
        return [self._finding(each) for each in found]

    async def _file(self, request: FileFinding) -> Any:
        authority = self._desk.outbox.authorities.get(request.authority)
        if authority is None:
            raise Refusal("bad_message", f"authority: one of {', '.join(self._desk.outbox.authorities)}")
        await self._desk.outbox.check(request.evidence)
        name = await self._desk.write(
            lambda tx: outbox.file(
                tx, request.authority, request.title, request.summary, request.code, request.basis, request.evidence,
                acknowledge_ms=authority.acknowledge_ms, way=authority.way, actor=self._by["actor"], role=self._by["role"],
            )
        )  # fmt: skip
        self._desk.outbox.wake()
        return self._finding(await self._desk.look(lambda connection: outbox.need(connection, name)))

    async def _step_finding(self, request: StepFinding) -> Any:
        def work(tx: Any) -> Finding:
            if request.what == "acknowledge":
                return outbox.acknowledge(tx, request.finding, request.words, **self._by)
            if request.what == "withdraw":
                return outbox.withdraw(tx, request.finding, request.words, **self._by)
            return outbox.send_again(tx, request.finding, **self._by)

        found = await self._desk.write(work)
        self._desk.outbox.wake()
        return self._finding(found)

    def _finding(self, found: Finding) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(found)
        return {**plain, "sealed": bool(found.sealed), "overdue": found.overdue(self._desk.clock_ms())}

    # -- cases

    async def _cases(self, request: ListCases) -> Any:
        return await self._desk.look(lambda connection: self._plain_cases(connection, request.closed))

    def _plain_cases(self, connection: Any, closed: bool) -> list[dict[str, Any]]:
        now_ms = self._desk.clock_ms()
        return [{**msgspec.to_builtins(each), "late": each.late(now_ms)} for each in cases.listed(connection, closed=closed)]

    async def _case(self, request: ShowCase) -> Any:
        return await self._desk.look(lambda connection: self._plain_case(connection, request.case))

    def _plain_case(self, connection: Any, case: str) -> dict[str, Any]:
        found = cases.need(connection, case)
        steps = msgspec.to_builtins(cases.steps_of(connection, case))
        return {**msgspec.to_builtins(found), "late": found.late(self._desk.clock_ms()), "steps": steps}

    async def _open_case(self, request: OpenCase) -> Any:
        name = await self._desk.write(
            lambda tx: cases.begin(
                tx, request.kind, request.source, request.title, request.facts, request.due_ms, reference=request.reference,
                actor=self._by["actor"], role=self._by["role"],
            )
        )  # fmt: skip
        return await self._case(ShowCase(case=name))

    async def _step_case(self, request: StepCase) -> Any:
        case, words, by = request.case, request.words, self._by
        evidence: dict[str, Any] = {"decision": request.decision, "sha256": request.sha256}
        works: dict[str, Callable[[Any], object]] = {
            "note": lambda tx: cases.note(tx, case, words, **by),
            "evidence": lambda tx: cases.give_evidence(tx, case, words, **evidence, **by),
            "penalty": lambda tx: cases.penalise(tx, case, words, **evidence, **by),
            "deadline": lambda tx: cases.extend(tx, case, request.due_ms, words, **by),
            "close": lambda tx: cases.close(tx, case, words, **by),
            "reopen": lambda tx: cases.reopen(tx, case, request.due_ms, words, **by),
        }
        await self._desk.write(works[request.what])
        return await self._case(ShowCase(case=case))

    # -- features

    async def _features(self, request: ListFeatures) -> Any:
        now_ms = self._desk.clock_ms()
        found = await self._desk.look(lambda connection: features.standings(connection, self._desk.settings, now_ms))
        return [
            {
                "feature": each.feature.name, "en": each.feature.en, "zh": each.feature.zh, "switch": each.feature.switch,
                "needed": each.needed, "on": each.on, "assessment": msgspec.to_builtins(each.assessment),
            }
            for each in found
        ]  # fmt: skip

    async def _assess(self, request: AssessFeature) -> Any:
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
        name = await self._desk.write(lambda tx: features.record(tx, **fields, **self._by))
        return {"assessment": name, "feature": request.feature}

    async def _revoke_assessment(self, request: RevokeAssessment) -> Any:
        found = await self._desk.write(lambda tx: features.revoke(tx, request.assessment, request.basis, **self._by))
        return {"assessment": found.id, "feature": found.feature}


_Work = Callable[[LocalAuthorityOperations, Any], Awaitable[Any]]
_WORK: Final[dict[type, _Work]] = {
    ListInspections: LocalAuthorityOperations._inspections,
    AskInspection: LocalAuthorityOperations._ask,
    DecideInspection: LocalAuthorityOperations._decide,
    RevokeInspection: LocalAuthorityOperations._revoke,
    ExportInspection: LocalAuthorityOperations._export,
    ShowSigningKey: LocalAuthorityOperations._key,
    ListFindings: LocalAuthorityOperations._findings,
    FileFinding: LocalAuthorityOperations._file,
    StepFinding: LocalAuthorityOperations._step_finding,
    ListCases: LocalAuthorityOperations._cases,
    ShowCase: LocalAuthorityOperations._case,
    OpenCase: LocalAuthorityOperations._open_case,
    StepCase: LocalAuthorityOperations._step_case,
    ListFeatures: LocalAuthorityOperations._features,
    AssessFeature: LocalAuthorityOperations._assess,
    RevokeAssessment: LocalAuthorityOperations._revoke_assessment,
}
