"""What a server would not start with, found without starting one: the files that settings name, and whose the data folder is;
and what a public site should not be without.

Each reader is the start's own. What they make at first use (keys, the history of rules) goes to a folder that is thrown away.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from server.accounts import oidc
from server.accounts.agreement import Agreements
from server.accounts.identity import Tokens
from server.accounts.vault_keys import VaultKeys
from server.accounts.verify import config as verification
from server.control import check_user
from server.errors import ConfigError
from server.moderation import authorities, features
from server.parts import screening_config
from server.regions import Regions
from server.screening import Screening
from server.settings import Settings

_READERS: Final[tuple[Callable[[Settings], object], ...]] = (
    lambda settings: Screening(settings.data_dir / "rules", settings.rules_file, screening_config(settings)),
    Regions.open,
    Tokens.open,
    lambda settings: Agreements.load(settings.agreement_dir),
    VaultKeys.open,
    oidc.configured,
    lambda settings: verification.load(settings.verification_file),
    lambda settings: authorities.load(settings.authorities_file),
    features.check_names,
)


def problems(settings: Settings) -> list[str]:
    """What is wrong, a sentence each; empty: nothing. Not asked: services and addresses of others, the port, and records in the
    databases, such as security assessments. Raises DataFolderError when the data folder is another user's."""
    check_user(settings.data_dir)
    found: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="barrage-") as scratch:
        elsewhere = msgspec.structs.replace(settings, data_dir=Path(scratch))
        for read in _READERS:
            try:
                read(elsewhere)
            except ConfigError as error:
                found[str(error)] = None  # two readers may meet the same
    return list(found)


def cautions(settings: Settings) -> list[str]:
    """What a server starts with and a public site should not be without, a sentence each; a demo needs none of it."""
    if settings.demo:
        return []
    found = []
    if not settings.public_url:
        found.append(
            "public_url is empty: cookies are not marked as secure, and letters, papers for authorities and sign-in through "
            "others cannot name this site. Set the address that people open."
        )
    if not settings.privacy_contact:
        found.append(
            "privacy_contact is empty: the privacy notice names nobody who answers for personal data (Personal Information "
            "Protection Law, article 17). Set an address or a telephone number."
        )
    return found
