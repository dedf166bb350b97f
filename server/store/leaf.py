"""The canonical bytes of an event: what a transparency log over a room's log hashes.

A leaf is the concatenation of netstrings (``<length in bytes, decimal>:<bytes>,``) of these fields; integers are written in
decimal, hashes as lower-case hexadecimal digits, text as UTF-8:

=============  ======================================================================================
every event    ``barrage-leaf-1``, the log's epoch, ``seq``, ``kind``, ``at_ms``, ``text_hash``
comment        then ``pos_ms``, ``mode``, ``color``, ``size``, ``author_id``; and, where it has a label, ``label_kind``
               and ``label``, the leaf beginning with ``barrage-leaf-2``
removal        then ``target``, ``code``, ``basis``, ``role``
restoration    then ``target``, ``code``, ``basis``, ``role``
notice         then ``notice``, ``room_mode``; and, where one of them is given, ``code``, ``basis``, ``role``, ``until_ms`` and
               ``slow_ms``, the leaf beginning with ``barrage-leaf-2``
=============  ======================================================================================

``text_hash`` is SHA-256 over a random salt of 16 bytes, the text, and, where the comment has a region, NUL (which no text has) and
the region. When text, region and salt are erased the leaf stays as it was, and nobody can tell them from it, not even by guessing.

Comments without a region and a label have the hash and the leaf that they had before there were any: which form a comment has
follows from its own fields, and none has two. Left out on purpose: the nickname, which is personal data that its
owner may change or withdraw (``author_id`` names the author), and ``removed_by``, which changes.
"""

from __future__ import annotations

import hashlib
from typing import Final

from server.wire import Event, Kind

SALT_BYTES: Final = 16

_DECISION: Final = ("target", "code", "basis", "role")
_FIELDS: Final[dict[Kind, tuple[str, ...]]] = {
    "comment": ("pos_ms", "mode", "color", "size", "author_id"),
    "removal": _DECISION,
    "restoration": _DECISION,
    "notice": ("notice", "room_mode"),
}
_LABEL: Final = ("label_kind", "label")
_WHY: Final = ("code", "basis", "role", "until_ms", "slow_ms")


def text_hash(salt: bytes, text: str, region: str = "") -> bytes:
    """The 32 bytes that stand for text and region in a leaf. Raises UnicodeEncodeError for a lone surrogate."""
    return hashlib.sha256(salt + said(text, region)).digest()


def said(text: str, region: str) -> bytes:
    """What is hashed with the salt."""
    return b"%b\0%b" % (text.encode(), region.encode()) if region else text.encode()


def leaf(epoch: str, event: Event, digest: bytes) -> bytes:
    """The leaf of ``event``, as it was written: a tombstone lacks its ``author_id``, so it has no leaf.

    ``digest`` is its ``text_hash``; empty for removals and restorations, which have no text of their own.
    """
    if event.removed_by:
        raise ValueError(f"event {event.seq} is a tombstone; its leaf is that of the event as written")
    names, form = _FIELDS[event.kind], "barrage-leaf-1"
    if event.kind == "comment" and (event.label_kind or event.label):
        names, form = names + _LABEL, "barrage-leaf-2"
    elif event.kind == "notice" and any(getattr(event, name) for name in _WHY):
        names, form = names + _WHY, "barrage-leaf-2"
    fields = [form, epoch, event.seq, event.kind, event.at_ms, digest.hex(), *(getattr(event, name) for name in names)]
    return b"".join(b"%d:%b," % (len(part), part) for part in (str(field).encode() for field in fields))
