"""server/web/script_messages.py"""

from __future__ import annotations

import re

from server.core.modes import ORDER
from server.web.account_words import LETTERS
from server.web.assets import STATIC_DIR
from server.web.script_messages import SCRIPT_MESSAGES, script_messages


def test_scripts_say_only_what_is_in_the_table_and_all_of_it() -> None:
    """Each key that a script uses has a message, and each message is used."""
    code = "".join(path.read_text() for path in STATIC_DIR.glob("*.js"))
    used = set()
    for call in re.findall(r"\bt\(((?:[^()]|\([^()]*\))*)\)", code):
        used |= set(re.findall(r'"(\w+)"', call))
    used |= {f"letter_{kind}" for kind in LETTERS}
    used |= {f"mode_{mode}" for mode in (*ORDER, "news")} | {
        "connecting",
        "live",
        "reading",
        "waiting",
        "closed",
    }
    assert set(SCRIPT_MESSAGES) == used & set(SCRIPT_MESSAGES), "messages that no script uses"
    direct = set(re.findall(r'\bt\("(\w+)"', code))
    assert direct <= set(SCRIPT_MESSAGES), "keys without a message"


def test_messages_are_translated_by_key() -> None:
    """The page gets each message through the translation."""
    assert script_messages(str.upper)["acked"] == "SENT."
    assert set(script_messages(str)) == set(SCRIPT_MESSAGES)
