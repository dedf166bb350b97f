"""What the page's scripts say: key, and the message in English. The page hands them over translated (a test compares the keys)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from server.web.account_words import LETTERS, OTHER_LETTER
from server.web.i18n import N_

SCRIPT_MESSAGES: Final[Mapping[str, str]] = {
    # The connection.
    "connecting": N_("Connecting…"),
    "live": N_("Connected"),
    "reading": N_("Reading only: posting needs a WebSocket connection"),
    "waiting": N_("Connection lost. Trying again in {s} s."),
    "closed": N_("Disconnected. Reload the page to go on."),
    "viewers": N_("{n} watching"),
    # One's own comment.
    "pending": N_("Sending…"),
    "acked": N_("Sent."),
    "held": N_("Waiting for review."),
    "failed": N_("Not sent: there is no connection. Your text is kept in the field."),
    "unknown": N_("It is not known whether your comment was recorded. Look for it in the list before sending it again."),
    "too_many": N_("Several comments are still being sent. Wait a moment."),
    "empty": N_("Write something first."),
    "recall": N_("Take back"),
    "recalled": N_("Taken back."),
    # Who one is.
    "posting_as": N_("Posting as {name}"),
    "account": N_("My account"),
    **{f"letter_{kind}": words for kind, words in LETTERS.items()},
    "letter_other": OTHER_LETTER,
    "unverified": N_("{name}: your account is not verified yet, so it can only read."),
    # The room.
    "mode_open": N_("Comments are open."),
    "mode_slow": N_("Slow mode: one comment every {s} s."),
    "mode_shield": N_("This room is protected: comments of new accounts wait for review, others may be sent every {s} s."),
    "mode_review": N_("Comments wait for review before they appear."),
    "mode_news": N_("This is a room of news: comments wait for review before they appear."),
    "mode_until": N_("Until {time}."),
    "mode_read_only": N_("This room can be read only at the moment."),
    "mode_closed": N_("Comments of this room are closed."),
    # The player.
    "video_failed": N_("The video cannot be played."),
    "play": N_("Play"),
    "pause": N_("Pause"),
    "comments_on": N_("Show flying comments"),
    "comments_off": N_("Hide flying comments"),
    "comments_pause": N_("Hold flying comments"),
    "comments_resume": N_("Let comments fly on"),
    "mute": N_("Mute"),
    "unmute": N_("Sound on"),
    "fullscreen": N_("Full screen"),
    "fullscreen_leave": N_("Leave full screen"),
    "dropped": N_("+{n} in the list only"),
    "list_more": N_("{n} new comments"),
    "sampled": N_("+{n} on the pages only"),
    "skipped": N_("Comments {from} to {to} were skipped here; they stand on the pages."),
    "report_failed": N_("The report could not be sent: there is no connection. Try again in a moment."),
    "percent": N_("{n} %"),
    "times": N_("{n}×"),
}


def script_messages(translate: Callable[[str], str]) -> dict[str, str]:
    """All of them in one language."""
    return {key: translate(message) for key, message in SCRIPT_MESSAGES.items()}
