"""The rows of pages and their forms, for the table of operations."""

from __future__ import annotations

from typing import Any, Final

from server.http.openapi_types import CONDITIONAL, ROOM, Operation, Parameter, in_path

_HTML: Final = "text/html"

_JSON: Final = "application/json"
_LED: Final = {200: "The page.", 303: "Leads to where it begins: signing in, or the step before."}

_PARTS: Final[dict[str, Parameter]] = {
    "room": ROOM,
    "receipt": in_path("receipt"),
    "provider": in_path("provider"),
    "name": in_path("name"),
    "account": in_path("account"),
    "inspection": in_path("inspection"),
    "part": in_path("part"),
    "finding": in_path("finding"),
    "case": in_path("case"),
    "month": in_path("month"),
    "day": in_path("day"),
    "measure": in_path("measure"),
    "decision": in_path("decision"),
    "item": in_path("item"),
}


def _page(method: str, path: str, summary: str, *form: str, tag: str = "pages", **more: Any) -> Operation:
    """A page, or what its form sends: refusals are pages, and a form that was taken leads on."""
    successes = {200: "The page."} if method == "GET" else {200: "The page, with what is to be mended.", 303: "Leads on."}
    parts = tuple(part for name, part in _PARTS.items() if f"{{{name}}}" in path)
    found = {"successes": successes, "media": _HTML, "form": form, "pages": True, "parameters": parts, **more}
    return Operation(method=method, path=path, tag=tag, summary=summary, **found)


def _own(path: str, summary: str) -> Operation:
    """A page for whoever is signed in, or in the midst of something; others are led to where it begins."""
    return _page("GET", path, summary, successes=_LED)


def _staff(method: str, path: str, summary: str, media: str = _HTML) -> Operation:
    """A page of staff, what its form sends, or (``media`` JSON) what its script asks."""
    more = {"successes": _LED} if method == "GET" else {}
    return _page(method, path, summary, tag="staff", media=media, **more)


PAGES: Final[tuple[Operation, ...]] = (
    _page("GET", "/", "The rooms."),
    _page("GET", "/rooms/{room}", "A room: player and newest comments."),
    _page("POST", "/rooms/{room}/comment", "Post a comment without script.", "form_token", "key", "text", "mode", "color", "size"),
    _page("GET", "/rooms/{room}/comments/", "Leads to the index of the static pages.", successes={308: "The index."}),
    _page("GET", "/rooms/{room}/comments/{name}", "A static page of comments.", successes=CONDITIONAL),
    _page("GET", "/rooms/{room}/report", "The form for reporting a comment (`seq`) or the room."),
    _page("POST", "/rooms/{room}/report", "Report.", "seq", "reason", "text"),
    _page("GET", "/reports", "Look up a report by its number."),
    _page("GET", "/reports/{receipt}", "How a report stands, and its outcome."),
    _page("GET", "/transparency", "The public figures: months, and the draws of the second review."),
    _page("GET", "/transparency/{month}", "The public figures of a month."),
    _page("GET", "/transparency/{month}.json", "The same as data.", media=_JSON),
    _page("GET", "/transparency/draws/{day}.json", "A draw of the second review, to be checked.", media=_JSON),
    _own("/account/statements/{measure}", "The statement of reasons of a measure."),
    _page("GET", "/favicon.ico", "The icon.", successes={302: "The icon's address."}),
    _page("GET", "/assets/{path}", "The site's own files.", parameters=(in_path("path"),), media="text/css", successes=CONDITIONAL),
    _own("/account", "One's own account."),
    _own("/account/sign-in", "Signing up and in."),
    _page("POST", "/account/sign-in", "Have a code sent.", "form_token", "phone", "return"),
    _own("/account/code", "Where the code is typed in."),
    _page("POST", "/account/code", "The code.", "form_token", "code"),
    _own("/account/welcome", "Choice of a nickname for a new account."),
    _page("POST", "/account/welcome", "Make the account.", "form_token", "nickname", "noticed", "notice", "language"),
    _page("POST", "/account/oidc/{provider}", "Off to a provider.", "form_token", "return"),
    _page("GET", "/account/oidc/{provider}/callback", "Back from a provider.", successes={303: "Signed in; leads on."}),
    _own("/account/verify", "Ways to prove who one is."),
    _page("POST", "/account/verify", "Prove it.", "form_token", "method", "phone", "name", "number", "token", "consent", "return"),
    _page("POST", "/account/sign-out", "Sign out here, or everywhere.", "form_token", "all", "return"),
    _page("POST", "/account/sessions", "Sign another browser out.", "form_token", "session"),
    _page("GET", "/account/agreement", "The service agreement, to read and sign."),
    _page("POST", "/account/agreement", "Sign it.", "form_token", "version", "sha256", "language", "agree", "return"),
    _own("/account/lesson", "The short lesson."),
    _page("POST", "/account/lesson", "The answers.", "form_token", "version", "q0", "q1", "q2", "return"),
    _page("POST", "/account/nickname", "Change the nickname.", "form_token", "nickname"),
    _page("POST", "/account/appeals", "Appeal against a measure.", "form_token", "measure", "words"),
    _page("GET", "/account/credit", "The rules of credit."),
    _page("GET", "/account/privacy", "The privacy notice; signed in: consents, copy, erasure."),
    _page("POST", "/account/privacy", "The notice was read.", "form_token", "sha256", "language"),
    _page("POST", "/account/privacy/consent", "Give or withdraw a consent.", "form_token", "purpose", "give"),
    _page("POST", "/account/privacy/again", "Sign out and in again, before what only a fresh session may do.", "form_token"),
    _page("POST", "/account/privacy/copy", "A copy of one's own data, as JSON.", "form_token", media=(_JSON, _HTML)),
    _page("POST", "/account/privacy/erase", "Erase the account.", "form_token", "nickname", "comments"),
    _own("/account/guardian", "The consent of a guardian."),
    _page("POST", "/account/guardian", "Have a code sent to the guardian.", "form_token", "name", "phone"),
    _page("POST", "/account/guardian/code", "The guardian's code.", "form_token", "code", "consent"),
    _own("/account/public", "Applying for a public account, and how it stands."),
    _page("POST", "/account/public", "Apply.", "form_token", "name", "label", "category", "purpose"),
    _page("POST", "/account/public/withdraw", "Withdraw the application.", "form_token"),
    _staff("GET", "/staff/sign-in", "Signing in."),
    _staff("POST", "/staff/sign-in", "Password and one-time code."),
    _staff("POST", "/staff/sign-out", "Sign out."),
    _staff("GET", "/staff/enrol", "The first steps of a new member."),
    _staff("POST", "/staff/enrol", "Password and one-time codes are set up."),
    _staff("GET", "/staff/confirm", "Prove again who one is."),
    _staff("POST", "/staff/confirm", "The proof."),
    _staff("POST", "/staff/passkey/begin", "Begin with a passkey.", _JSON),
    _staff("POST", "/staff/passkey", "Sign in with a passkey.", _JSON),
    _staff("POST", "/staff/passkey/confirm/begin", "Begin to prove it with a passkey.", _JSON),
    _staff("POST", "/staff/passkey/confirm", "The proof by passkey.", _JSON),
    _staff("GET", "/staff/keys", "One's own passkeys."),
    _staff("POST", "/staff/keys/begin", "Begin to add a passkey.", _JSON),
    _staff("POST", "/staff/keys", "Add it.", _JSON),
    _staff("POST", "/staff/keys/remove", "Remove a passkey."),
    _staff("POST", "/staff/keys/password", "Change the password."),
    _staff("GET", "/staff", "The desk."),
    _staff("GET", "/staff/accounts", "Find an account."),
    _staff("GET", "/staff/accounts/{account}", "One account."),
    _staff("POST", "/staff/accounts/{account}/measures", "Take a measure."),
    _staff("POST", "/staff/accounts/{account}/lift", "Take a measure back."),
    _staff("POST", "/staff/accounts/{account}/erase", "Erase an account."),
    _staff("GET", "/staff/appeals", "Appeals that wait."),
    _staff("POST", "/staff/appeals", "Decide an appeal."),
    _staff("GET", "/staff/public", "Public accounts."),
    _staff("GET", "/staff/public/filing.csv", "Public accounts, for filing.", "text/csv"),
    _staff("POST", "/staff/public/{account}/review", "Reviewed: in order."),
    _staff("POST", "/staff/public/{account}/reject", "Not accepted."),
    _staff("POST", "/staff/public/{account}/classify", "Give it its category."),
    _staff("POST", "/staff/public/{account}/file", "Filed with the authority."),
    _staff("POST", "/staff/public/{account}/activate", "Activate it."),
    _staff("POST", "/staff/public/{account}/lapse", "It has lapsed."),
    _staff("POST", "/staff/public/{account}/revoke", "Revoke it."),
    _staff("POST", "/staff/public/{account}/approve", "Approve an action on a topic."),
    _staff("GET", "/staff/licences", "Licences."),
    _staff("POST", "/staff/licences", "Enter a licence."),
    _staff("POST", "/staff/licences/revoke", "Revoke a licence."),
    _staff("GET", "/staff/vault", "Access to personal data."),
    _staff("POST", "/staff/vault", "Ask for access."),
    _staff("POST", "/staff/vault/decide", "Decide on access."),
    _staff("POST", "/staff/vault/read", "Read what was granted."),
    _staff("GET", "/staff/inspections", "Inspections."),
    _staff("POST", "/staff/inspections", "Ask for an inspection."),
    _staff("GET", "/staff/inspections/{inspection}", "One inspection."),
    _staff("POST", "/staff/inspections/{inspection}/decide", "Approve or refuse it."),
    _staff("POST", "/staff/inspections/{inspection}/revoke", "Revoke it."),
    _staff("POST", "/staff/inspections/{inspection}/export", "Make the signed bundle of what it covers.", "application/zip"),
    _staff("GET", "/staff/inspections/{inspection}/{part}", "Records within its scope."),
    _staff("GET", "/staff/outbox", "Findings for authorities."),
    _staff("POST", "/staff/outbox", "File a finding."),
    _staff("GET", "/staff/outbox/{finding}", "One finding."),
    _staff("GET", "/staff/outbox/{finding}/print", "The finding on paper."),
    _staff("POST", "/staff/outbox/{finding}/acknowledge", "Enter the authority's receipt."),
    _staff("POST", "/staff/outbox/{finding}/withdraw", "Withdraw it."),
    _staff("POST", "/staff/outbox/{finding}/send", "Send it now."),
    _staff("GET", "/staff/cases", "Cases."),
    _staff("POST", "/staff/cases", "Open a case."),
    _staff("GET", "/staff/cases/{case}", "One case."),
    _staff("POST", "/staff/cases/{case}", "The next step of a case."),
    _staff("GET", "/staff/features", "The feature registry."),
    _staff("POST", "/staff/features", "Enter a security assessment."),
    _staff("POST", "/staff/features/revoke", "Revoke an assessment."),
    _staff("GET", "/staff/holds", "Legal holds."),
    _staff("POST", "/staff/holds", "Place a hold."),
    _staff("POST", "/staff/holds/release", "Release a hold."),
    _staff("GET", "/staff/members", "Members of the staff."),
    _staff("POST", "/staff/members", "Change a member."),
    _staff("GET", "/staff/log", "Who looked at or did what."),
    _staff("GET", "/staff/records", "The decision log."),
    _staff("GET", "/staff/records/{decision}", "A decision, with its statement of reasons."),
    _staff("GET", "/staff/second", "Judgements of the second review that differ."),
    _staff("POST", "/staff/second", "Settle one."),
    _staff("GET", "/staff/queue", "A queue: what waits, in its order."),
    _staff("POST", "/staff/queue/next", "Claim the next item."),
    _staff("POST", "/staff/queue/undo", "Take one's last decision back."),
    _staff("POST", "/staff/queue/release", "Give claimed items back."),
    _staff("GET", "/staff/queue/{item}", "One item, with all that is needed to decide it."),
    _staff("POST", "/staff/queue/{item}", "Decide it."),
    _staff("POST", "/staff/queue/{item}/claim", "Claim it."),
    _staff("POST", "/staff/desk/next", "More items, claimed, for the script.", _JSON),
    _staff("POST", "/staff/desk/decide", "A decision by a key.", _JSON),
    _staff("POST", "/staff/desk/undo", "Take decisions back.", _JSON),
    _staff("POST", "/staff/desk/keep", "Renew leases.", _JSON),
    _staff("GET", "/staff/desk/events", "Live counts of the queues.", "text/event-stream"),
    _staff("GET", "/staff/patrol", "What is public, as it comes."),
    _staff("GET", "/staff/patrol/search", "Search for comments."),
    _staff("GET", "/staff/patrol/stream", "What becomes public, each second.", "text/event-stream"),
    _staff("POST", "/staff/patrol/act", "Remove a comment, or mute its author."),
    _staff("POST", "/staff/patrol/act.json", "The same, for the script.", _JSON),
    _staff("POST", "/staff/patrol/undo", "Take one's last act back."),
    _staff("POST", "/staff/patrol/undo.json", "The same, for the script.", _JSON),
    _staff("GET", "/staff/figures", "Figures of the desk."),
    _staff("GET", "/staff/figures.json", "The same as data.", _JSON),
)  # fmt: skip
