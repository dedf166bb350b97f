"""The table of all HTTP operations: what :mod:`server.http.openapi` describes. A route without a row fails a test."""

from __future__ import annotations

from typing import Any, Final

from server.account_requests import AccountRequest
from server.authority_operations import AuthorityRequest
from server.http import account_messages as account
from server.http import openapi_schemas as shapes
from server.http.account_api import LETTERS_MOST
from server.http.demo import DemoRequest
from server.http.openapi_types import AFTER, CONDITIONAL, ROOM, Operation, in_path, query_number, query_text
from server.http.operations_pages import PAGES
from server.http.operator import RebuildRoom
from server.http.requests import SEQ_MAX
from server.mode_operations import EmergencyTerms, SetMode, SetOwner, SiteMode
from server.operations import (
    LIST_MAX,
    Announce,
    CreateRoom,
    ReloadRules,
    Remove,
    Restore,
    RollbackRules,
)
from server.review_operations import ReviewRequest

TAGS: Final = {
    "rooms": "Rooms and their comments, for anyone to read.",
    "account": "One's own account, for people's browsers and host platforms.",
    "pages": "Pages for people; they need no script.",
    "staff": "Pages of the staff.",
    "operator": "The operator interface of one server, as the command line uses it.",
    "process": "How the process does.",
}

_ANY: Final = ("internal_error",)
_BODY: Final = ("bad_message", "bad_json", "too_large", "request_timeout")
_TOKEN: Final = ("bad_token", "token_expired", "keys_unavailable")
_OWN: Final = (*_TOKEN, "sign_in_required", "storage_unavailable")
_CHANGES: Final = (*_OWN, "form_expired", "outcome_unknown", "account_not_found", "account_closed")
_WRITES: Final = (
    "bad_token", "token_expired", "room_not_found", "storage_unavailable", "outcome_unknown", "overloaded", "shutting_down",
)  # fmt: skip
_EITHER: Final = ("token", "session")
_EITHER_CHANGES: Final = ("token", "session+form")


def _api(method: str, path: str, summary: str, answer: Any, refusals: tuple[str, ...], **more: Any) -> Operation:
    return Operation(
        method=method,
        path=path,
        tag=more.pop("tag", "rooms"),
        summary=summary,
        answer=answer,
        refusals=(*refusals, *_ANY),
        **more,
    )


def _own(method: str, path: str, summary: str, answer: Any, *refusals: str, body: Any = None, **more: Any) -> Operation:
    changes = method != "GET"
    every = (*(_CHANGES if changes else _OWN), *(_BODY if body is not None else ()), *refusals)
    security = _EITHER_CHANGES if changes else _EITHER
    found = tuple(dict.fromkeys(every))
    return _api(method, f"/api/v1{path}", summary, answer, found, tag="account", body=body, security=security, **more)


def _operator(method: str, path: str, summary: str, answer: Any, *refusals: str, body: Any = None, **more: Any) -> Operation:
    every = ("bad_token", "token_expired", *(_BODY if body is not None else ()), *refusals)
    found = tuple(dict.fromkeys(every))
    return _api(
        method, f"/api/operator/{path}", summary, answer, found, tag="operator", body=body, security=("operator",), **more
    )


_LIST: Final = (AFTER, query_number("limit", 1, LIST_MAX))
_LETTERS: Final = (query_number("before", 0, SEQ_MAX), query_number("limit", 1, LETTERS_MOST))

OPERATIONS: Final[tuple[Operation, ...]] = (
    # -- rooms
    _api("GET", "/api/rooms", "All rooms, by name.", shapes.RoomList, (), successes=CONDITIONAL),
    _api("GET", "/api/rooms/{room}", "One room.", shapes.RoomState, ("room_not_found",), successes=CONDITIONAL, parameters=(ROOM,)),
    _api("GET", "/api/rooms/{room}/events", "A room's events in pages, as they are now.", shapes.History,
         ("room_not_found", "bad_message", "storage_unavailable"), successes=CONDITIONAL,
         parameters=(ROOM, AFTER, query_number("limit", 1, 1000))),
    _api("GET", "/api/rooms/{room}/stream", "A room's live events, as server-sent events.", None,
         ("room_not_found", "bad_message", "too_many_connections", "storage_unavailable"), media="text/event-stream",
         parameters=(ROOM, AFTER)),
    _api("GET", "/ws", "The WebSocket of the native protocol; its messages are described in docs/protocol.md.", None,
         ("upgrade_required",), successes={101: "A WebSocket."}),
    _api("GET", "/api/openapi.json", "This description.", None, ()),
    _api("GET", "/api/signing-key", "The public key of the site's signature, as a set of JSON Web Keys.", None, ()),
    # -- account
    _api("GET", "/api/v1/agreement", "The version of the service agreement in force.", shapes.AgreementInForce, (), tag="account",
         successes=CONDITIONAL),
    _api("GET", "/api/v1/agreement/text", "The service agreement in force, word for word.", account.AgreementText,
         ("bad_message",), tag="account", parameters=(query_text("language", enum=["zh-CN", "en"]),)),
    _api("GET", "/api/v1/credit", "The published rules of credit.", account.CreditRules, (), tag="account"),
    _api("POST", "/api/v1/session/token", "A token for the player, from the session's cookie.", account.Token,
         ("sign_in_required", "form_expired", "storage_unavailable"), tag="account", security=("session+form",)),
    _own("GET", "/account/standing", "How the account stands, and why.", account.StandingState),
    _own("POST", "/account/agreement", "Sign the service agreement.", account.Signed, "agreement_required", body=account.Sign),
    _own("GET", "/account/letters", "Letters to the account, newest first.", account.Letters, "bad_message", parameters=_LETTERS),
    _own("POST", "/account/letters/read", "Letters up to this one were seen.", account.Done, body=account.ReadThrough),
    _own("GET", "/account/appeals", "One's own appeals.", account.Appeals),
    _own("POST", "/account/appeals", "Appeal against a measure of one's own.", account.Filed, "measure_not_found",
         "appeal_exists", body=account.FileAppeal),
    _own("POST", "/account/nickname", "Change the nickname of an account of this site.", account.Renamed, "forbidden",
         "nickname_taken", "nickname_refused", "too_many_attempts", "function_restricted", body=account.Rename),
    _own("GET", "/account/sessions", "The browsers that are signed in.", account.Sessions),
    _own("DELETE", "/account/sessions/{session}", "Sign a browser out.", account.Done, "not_found",
         parameters=(in_path("session"),)),
    _api("POST", "/demo/token", "In demo mode: a token of an account of its own, for load tests.", shapes.DemoToken,
         (*_BODY, "not_found", "too_many_requests", "forbidden"), tag="account", body=DemoRequest),
    # -- process
    _api("GET", "/healthz", "The process answers.", shapes.Alive, (), tag="process"),
    _api("GET", "/readyz", "Whether traffic is welcome; 503 when it is not.", shapes.Ready, (), tag="process",
         successes={200: "Ready.", 503: "Not ready; the body is the same."}),
    _api("GET", "/metrics", "Metrics for Prometheus, for the networks of `metrics_networks`.", None, ("not_found",),
         tag="process", media="text/plain"),
    # -- operator
    _operator("GET", "rooms", "All rooms.", shapes.RoomList),
    _operator("GET", "screened", "Held and refused comments.", shapes.Listing, "bad_message", "storage_unavailable",
              parameters=(*_LIST, query_text("action", enum=["", "held", "refused"]))),
    _operator("GET", "reports", "Reports of the public.", shapes.Listing, "bad_message", "storage_unavailable",
              parameters=_LIST),
    _operator("GET", "rules", "Which rules of the screening were in force since when.", shapes.Listing),
    _operator("POST", "rooms", "Create a room.", shapes.RoomState, "room_exists", "storage_unavailable", "assessment_required",
              body=CreateRoom),
    _operator("POST", "mode", "Change a room's mode.", shapes.Written, *_WRITES, "key_reused", "bad_code", "bad_message",
              body=SetMode),
    _operator("POST", "site-mode", "Change the mode of the whole site.", shapes.Facts, "key_reused", "bad_code", "bad_message",
              "storage_unavailable", body=SiteMode),
    _operator("POST", "owner", "Name the account whose room it is.", shapes.Facts, "room_not_found", "storage_unavailable",
              body=SetOwner),
    _operator("POST", "announcement", "Tell a room something.", shapes.Written, *_WRITES, "key_reused", "bad_text", "text_empty",
              "text_too_long", body=Announce),
    _operator("POST", "removal", "Remove a comment.", shapes.Written, *_WRITES, "bad_code", "comment_not_found", "already_removed",
              "key_reused", body=Remove),
    _operator("POST", "restoration", "Restore a removed comment.", shapes.Written, *_WRITES, "bad_code", "comment_not_found",
              "not_removed", "key_reused", body=Restore),
    _operator("POST", "account", "Operations on accounts, staff, public accounts and licences: the body says which.", shapes.Outcome,
              "forbidden", "account_not_found", "measure_not_found", "bad_measure", "bad_code", "bad_step", "appeal_decided",
              "second_person_required", "storage_unavailable", "outcome_unknown", body=AccountRequest),
    _operator("POST", "review", "Operations at the review desk: the body says which.", shapes.Outcome, "item_not_found", "item_taken",
              "item_changed", "decision_not_found", "bad_code", "bad_step", "second_person_required", "already_removed",
              "not_removed", "storage_unavailable", "outcome_unknown", body=ReviewRequest),
    _operator("POST", "authority", "Operations on inspections, findings, cases and assessments: the body says which.", shapes.Outcome,
              "forbidden", "not_found", "bad_code", "bad_step", "evidence_required", "second_person_required", "too_large",
              "storage_unavailable", "outcome_unknown", body=AuthorityRequest),
    _operator("POST", "rebuild", "Make all pages of a room again.", shapes.Facts, "room_not_found", "storage_unavailable",
              body=RebuildRoom),
    _operator("POST", "rules", "Put a rule file into force.", shapes.Facts, "bad_rules", "rules_busy", "storage_unavailable",
              body=ReloadRules),
    _operator("POST", "rules/rollback", "Go back to the rules before.", shapes.Facts, "bad_rules", "rules_busy",
              "storage_unavailable", body=RollbackRules),
    _operator("POST", "rules/emergency", "Put emergency terms beside the rules.", shapes.Facts, "bad_rules", "rules_busy",
              "storage_unavailable", "bad_code", "key_reused", body=EmergencyTerms),
    *PAGES,
)  # fmt: skip
