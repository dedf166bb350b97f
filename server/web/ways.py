"""Where a refusal can be mended: the page that it leads to, in one click and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from server.web.i18n import N_


class Way(NamedTuple):
    """``path`` of a page of ours, ``label`` a message to be translated."""

    path: str
    label: str


WAYS: Final = {
    "sign_in_required": Way("/account/sign-in", N_("Sign in")),
    "login_failed": Way("/account/sign-in", N_("Sign in")),
    "bad_token": Way("/account/sign-in", N_("Sign in")),
    "not_verified": Way("/account/verify", N_("Verify your identity")),
    "agreement_required": Way("/account/agreement", N_("Read and sign the agreement")),
    "consent_required": Way("/account/privacy", N_("To your consents")),
    "guardian_required": Way("/account/guardian", N_("Ask your guardian")),
    "account_suspended": Way("/account#measures", N_("See why, and appeal")),
    "account_closed": Way("/account#measures", N_("See why, and appeal")),
    "function_restricted": Way("/account#measures", N_("See why, and appeal")),
    "level_too_low": Way("/account/credit", N_("What each level allows")),
}
"""By refusal code."""


def script_ways(translate: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """Path and label by code, in one language, for the page's script."""
    return {code: (way.path, translate(way.label)) for code, way in WAYS.items()}
