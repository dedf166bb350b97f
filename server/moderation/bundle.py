"""Bundles of inspections: records, pages, a manifest with the digest of each file, and the site's signature over the manifest.

A bundle is a ZIP file, or the folder that one unpacks to::

    manifest.json           format, what it is of, how many records, and of each file its size, SHA-256 and number of records
    manifest.sig            JSON: algorithm, key id, public key, signature over the bytes of manifest.json
    events.jsonl ...        one JSON object a line, numbered by ``n`` from 1
    pages/...               the static pages that hold the events, rows outside of the scope left out

The ZIP file is written in one way only (nothing compressed, fixed times, this order), so it can be written again from what is in it
and compared: :mod:`server.moderation.bundle_check` finds a changed byte wherever it is.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec
import orjson

from server import signing
from server.signing import SigningKey

FORMAT: Final = "barrage-export/1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
ALGORITHM: Final = "Ed25519"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the manifest names it; ``records`` is -1 for a file that is no list of records."""

    path: str
    bytes: int
    sha256: str
    records: int = -1


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds. ``about`` says of which inspection it is, with its scope and the people."""

    format: str
    site: str
    made_ms: int
    about: dict[str, Any]
    counts: dict[str, int]
    files: list[File]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``manifest.sig``; keys and signatures as base64url."""

    algorithm: str
    key_id: str
    public_key: str
    signature: str


class BundleWriter:
    """Writes a bundle into a ZIP file, file by file; blocking. What is left of one that was not finished is of no use."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._zip = Archive(self._file)
        self._files: list[File] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.abandon()
        self._file.close()

    def add_records(self, path: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """A file of JSON lines; how many there are."""
        digest, size, count = hashlib.sha256(), 0, 0
        with self._zip.open(path) as file:
            for count, row in enumerate(rows, 1):
                line = orjson.dumps({"n": count, **row}) + b"\n"
                digest.update(line)
                size += len(line)
                file.write(line)
        self._files.append(File(path=path, bytes=size, sha256=digest.hexdigest(), records=count))
        return count

    def add_file(self, path: str, data: bytes) -> None:
        """A file as it is."""
        with self._zip.open(path) as file:
            file.write(data)
        self._files.append(File(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))

    def finish(self, site: str, made_ms: int, about: dict[str, Any], key: SigningKey) -> tuple[Manifest, str]:
        """Sign and close. Returns the manifest and the SHA-256 of its bytes."""
        counts = {Path(file.path).stem: file.records for file in self._files if file.records >= 0}
        manifest = Manifest(format=FORMAT, site=site, made_ms=made_ms, about=about, counts=counts, files=self._files)
        data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
        signature = Signature(
            algorithm=ALGORITHM, key_id=signing.fingerprint(key.public), public_key=signing.text(key.public),
            signature=signing.text(key.sign(data)),
        )  # fmt: skip
        for path, content in ((MANIFEST, data), (SIGNATURE, msgspec.json.encode(signature) + b"\n")):
            with self._zip.open(path) as file:
                file.write(content)
        self._zip.close()
        return manifest, hashlib.sha256(data).hexdigest()


class Archive:
    """A ZIP file written in one way only: the same names and contents in the same order give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        # Nothing is gone back to: sizes stand behind the contents, so they need not be known before.
        self._out = _Forward(file)
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_STORED)
        self._current: Any = None

    def open(self, path: str) -> Any:
        """The next file, for writing."""
        info = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
        info.create_system = 3
        info.external_attr = 0o644 << 16
        self._current = self._zip.open(info, "w", force_zip64=True)
        return self._current

    def close(self) -> None:
        """Write the end."""
        self._zip.close()

    def abandon(self) -> None:
        """Write nothing more, whatever is open; after :meth:`close` it does nothing."""
        self._out.dropping = True
        if self._current is not None:
            self._current.close()
        self._zip.close()


class _Forward(io.RawIOBase):
    """Writes on, and cannot seek."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.dropping = False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        return len(data) if self.dropping else self._file.write(data)
