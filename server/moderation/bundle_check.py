"""Whether a bundle is as it was made, and made by this site: ``barrage verify-export``. It needs nothing but the bundle and the key.

Everything that is wrong is told: files that were changed, are missing or were added, lines in another order or number, a manifest
that is not the signed one, a ZIP file that was packed anew.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, NamedTuple, cast

import msgspec
import orjson

from server import signing
from server.errors import ConfigError
from server.moderation.bundle import ALGORITHM, FORMAT, MANIFEST, SIGNATURE, Archive, File, Manifest, Signature

_CHUNK: Final = 1 << 20
_SMALL_MAX: Final = 64 << 20
"""A manifest is not larger than this."""
_LINE_MAX: Final = 1 << 20
_PROBLEMS: Final = 100
_UNREADABLE: Final = (OSError, ValueError, KeyError, EOFError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile)
"""What reading a damaged ZIP file raises."""


class Check(NamedTuple):
    """What was found. The bundle is good when there are no problems. ``key_id`` is the fingerprint of the key that signed, empty
    when no signature holds; ``manifest`` is None when it cannot be read; ``manifest_sha256`` names the bundle."""

    problems: list[str]
    key_id: str
    manifest: Manifest | None
    manifest_sha256: str


class _Content:
    """The files of a bundle, however it is kept."""

    def __init__(self, names: list[str], folder: Path | None, archive: zipfile.ZipFile | None) -> None:
        self.names = names
        self._folder = folder
        self._archive = archive

    def open(self, name: str) -> BinaryIO:
        """Raises what :data:`_UNREADABLE` names when it cannot be read."""
        if self._archive is not None:
            return cast("BinaryIO", self._archive.open(name))
        assert self._folder is not None
        return (self._folder / name).open("rb")

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read(_SMALL_MAX)


def verify(path: Path, key: bytes | None = None) -> Check:
    """Check a bundle. ``key``: the site's public key, 32 bytes; without it the one in the bundle is taken, which shows only that
    whoever has that key made all of it. Raises ConfigError when there is no bundle to look at."""
    problems: list[str] = []
    with _content(path, problems) as content:
        manifest, key_id, digest = _manifest(content, key, problems)
        if manifest is not None:
            _files(content, manifest, problems)
            if path.is_file() and not problems:
                problems += _packed_anew(path, content)
    return Check(problems[:_PROBLEMS], key_id, manifest, digest)


@contextmanager
def _content(path: Path, problems: list[str]) -> Iterator[_Content]:
    if path.is_dir():
        names = []
        for each in sorted(path.rglob("*")):
            if each.is_symlink() or not (each.is_file() or each.is_dir()):
                problems.append(f"{each.relative_to(path)} is no plain file")
            elif each.is_file():
                names.append(each.relative_to(path).as_posix())
        yield _Content(names, path, None)
        return
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise ConfigError(f"{path} is neither a folder nor a ZIP file that can be read ({error}).") from None
    with archive:
        names = archive.namelist()
        problems += [f"{name} stands in it twice" for name in sorted({name for name in names if names.count(name) > 1})]
        yield _Content(names, None, archive)


def _manifest(content: _Content, key: bytes | None, problems: list[str]) -> tuple[Manifest | None, str, str]:
    """The manifest, the fingerprint of who signed it, and its digest."""
    missing = [name for name in (MANIFEST, SIGNATURE) if name not in content.names]
    if missing:
        problems += [f"{name} is missing" for name in missing]
        return None, "", ""
    try:
        data = content.read(MANIFEST)
        signature = msgspec.json.decode(content.read(SIGNATURE), type=Signature)
        public, signed = signing.data_of(signature.public_key), signing.data_of(signature.signature)
    except _UNREADABLE as error:
        problems.append(f"{MANIFEST} or {SIGNATURE} cannot be read ({error})")
        return None, "", ""
    digest = hashlib.sha256(data).hexdigest()
    key_id = ""
    if signature.algorithm != ALGORITHM or signature.key_id != signing.fingerprint(public):
        problems.append(f"{SIGNATURE} names another algorithm or key than it holds")
    elif key is not None and public != key:
        problems.append(f"it is signed by {signature.key_id}, not by the key that was given ({signing.fingerprint(key)})")
    elif not signing.verifies(public, signed, data):
        problems.append(f"the signature does not hold: {MANIFEST} is not what was signed")
    else:
        key_id = signature.key_id
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except ValueError as error:
        problems.append(f"{MANIFEST} cannot be read ({error})")
        return None, key_id, digest
    if manifest.format != FORMAT:
        problems.append(f"its format is {manifest.format!r}, this program reads {FORMAT}")
    return manifest, key_id, digest


def _files(content: _Content, manifest: Manifest, problems: list[str]) -> None:
    named = [file.path for file in manifest.files]
    expected = {*named, MANIFEST, SIGNATURE}
    problems += [f"{name} is missing" for name in named if name not in content.names]
    problems += [f"{name} is in no manifest" for name in content.names if name not in expected]
    for file in manifest.files:
        if file.path in content.names:
            try:
                problems += _file(content, file)
            except _UNREADABLE as error:
                problems.append(f"{file.path} cannot be read ({error})")
    counts = {PurePosixPath(file.path).stem: file.records for file in manifest.files if file.records >= 0}
    if counts != manifest.counts:
        problems.append("the manifest counts other records than its files have")


def _file(content: _Content, file: File) -> list[str]:
    """What is wrong with one file: in words that say where, as far as its lines tell."""
    digest, size = hashlib.sha256(), 0
    with content.open(file.path) as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
    found = _lines(content, file) if file.records >= 0 else []
    if digest.hexdigest() == file.sha256 and size == file.bytes:
        return found
    return found or [f"{file.path} was changed"]


def _lines(content: _Content, file: File) -> list[str]:
    count = 0
    with content.open(file.path) as stream:
        while line := stream.readline(_LINE_MAX):
            count += 1
            number = _number(line)
            if number != count:
                said = f"line {count} says that it is line {number}" if number else f"line {count} cannot be read"
                return [f"{file.path} was changed: {said}"]
    return [] if count == file.records else [f"{file.path} has {count} records, the manifest says {file.records}"]


def _number(line: bytes) -> int:
    try:
        row: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return 0
    number = row.get("n") if isinstance(row, dict) else None
    return number if isinstance(number, int) else 0


def _packed_anew(path: Path, content: _Content) -> list[str]:
    """Write the ZIP file again from its contents, and compare: nothing hides between its files."""
    with path.open("rb") as original:
        compared = _Compared(original)
        archive = Archive(cast("BinaryIO", compared))
        for name in content.names:
            with content.open(name) as source, archive.open(name) as target:
                while piece := source.read(_CHUNK):
                    target.write(piece)
        archive.close()
        same = compared.same and not original.read(1)
    return [] if same else ["the ZIP file is not byte for byte as it was made; its contents are. Unpack it to check them alone"]


class _Compared:
    """Takes what is written and compares it with a file, instead of keeping it."""

    def __init__(self, original: BinaryIO) -> None:
        self._original = original
        self.same = True

    def write(self, data: Any) -> int:
        self.same = self.same and self._original.read(len(data)) == bytes(data)
        return len(data)


def read_key(text: str) -> bytes:
    """A public key as ``/api/signing-key`` or ``barrage inspection key`` give it: a JSON Web Key, a set with one of them, or the
    base64url of its 32 bytes. Raises ConfigError."""
    found = text.strip()
    try:
        document: Any = orjson.loads(found) if found.startswith("{") else {"x": found}
        if "keys" in document:
            (document,) = document["keys"]
        if document.get("crv", "Ed25519") != "Ed25519":
            raise ValueError("another curve")
        key = signing.data_of(document["x"])
        if len(key) != signing.PUBLIC_BYTES:
            raise ValueError("another length")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError("The key is neither a JSON Web Key of Ed25519 nor the base64url of one.") from None
    return key
