"""Characters that no comment may have, found in one pass."""

from __future__ import annotations

import re
from typing import Final

# Controls (C0, C1), line and paragraph separators, bidirectional embeddings, overrides and isolates, interlinear
# annotation, lone surrogates, non-characters. The marks U+200E, U+200F and U+061C reorder nothing beyond themselves and are
# common in right-to-left text: they stay.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
    "|[" + "".join(chr(plane + low) for plane in range(0x10000, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF)) + "]"
)
# More marks than this on one base pile up over other lines.
MAX_MARKS: Final = 4
_MARKS: Final = r"\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_PILE: Final = re.compile(f"[{_MARKS}]{{{MAX_MARKS + 1},}}")


def forbidden(text: str) -> tuple[int, int] | None:
    """The span of the first character that may not be shown, or of a pile of combining marks; None: there is none."""
    # None of the single ones is printable, and nearly every text is.
    match = (None if text.isprintable() else _FORBIDDEN.search(text)) or (None if text.isascii() else _PILE.search(text))
    return match.span() if match else None
