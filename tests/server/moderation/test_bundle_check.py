"""server/moderation/bundle.py and bundle_check.py: what was done to a bundle is found, wherever it was done."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
import pytest

from server import signing
from server.errors import ConfigError
from server.moderation.bundle import MANIFEST, SIGNATURE, Archive, BundleWriter
from server.moderation.bundle_check import Check, read_key, verify
from server.signing import SigningKey


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return SigningKey.open(tmp_path_factory.mktemp("key") / "signing.key")


@pytest.fixture
def bundle(tmp_path: Path, key: SigningKey) -> Path:
    path = tmp_path / "bundle.zip"
    with BundleWriter(path) as writer:
        writer.add_records("events.jsonl", [{"text": f"text {at}"} for at in range(5)])
        writer.add_records("reports.jsonl", [])
        writer.add_file("pages/rooms/a/comments/0.html", b"<p>page</p>\n")
        writer.finish("https://video.example", 1, {"case_number": "C-1"}, key)
    return path


@pytest.fixture
def folder(bundle: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "folder")
    return tmp_path / "folder"


def problem(path: Path, key: SigningKey | None = None) -> str:
    (found,) = verify(path, key.public if key else None).problems
    return found


def test_a_bundle_that_nobody_touched_is_good(bundle: Path, folder: Path, key: SigningKey) -> None:
    """As a ZIP file and unpacked; with the key, and without it."""
    for path in (bundle, folder):
        for given in (key.public, None):
            check = verify(path, given)
            assert isinstance(check, Check)
            assert check.problems == []
            assert check.key_id == signing.fingerprint(key.public)
            assert check.manifest is not None
            assert check.manifest.counts == {"events": 5, "reports": 0}


def test_duty_p5_8_any_changed_byte_of_a_bundle_is_found(bundle: Path, key: SigningKey) -> None:
    """Each byte of the ZIP file in turn: contents, names, times, checksums, directory."""
    original = bundle.read_bytes()
    for at in range(len(original)):
        changed = bytearray(original)
        changed[at] ^= 1
        bundle.write_bytes(changed)
        try:
            assert verify(bundle, key.public).problems, at
        except ConfigError:
            continue  # no ZIP file any more
    bundle.write_bytes(original + b"\0")
    assert verify(bundle, key.public).problems
    bundle.write_bytes(b"\0" + original)
    assert verify(bundle, key.public).problems


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_duty_p5_8_a_changed_record_of_a_bundle_is_found(folder: Path) -> None:
    """In a record, in a page, in the manifest."""
    edit(folder / "events.jsonl", lambda data: data.replace(b"text 3", b"text 8"))
    assert problem(folder) == "events.jsonl was changed"
    edit(folder / "events.jsonl", lambda data: data.replace(b"text 8", b"text 3"))
    edit(folder / "pages/rooms/a/comments/0.html", lambda data: data + b" ")
    assert problem(folder) == "pages/rooms/a/comments/0.html was changed"
    edit(folder / "pages/rooms/a/comments/0.html", lambda data: data[:-1])
    edit(folder / MANIFEST, lambda data: data.replace(b"C-1", b"C-2"))
    assert "the signature does not hold" in problem(folder)


def test_duty_p5_8_reordered_missing_and_added_lines_are_found(folder: Path) -> None:
    """And said: which line stands where."""
    path = folder / "events.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([rows[0], rows[2], rows[1], *rows[3:]]))
    assert problem(folder) == "events.jsonl was changed: line 2 says that it is line 3"
    path.write_bytes(b"".join(rows[:-1]))
    assert problem(folder) == "events.jsonl has 4 records, the manifest says 5"
    path.write_bytes(b"".join([*rows, b'{"n":6}\n']))
    assert problem(folder) == "events.jsonl has 6 records, the manifest says 5"
    path.write_bytes(b"".join([b"{\n", *rows[1:]]))
    assert problem(folder) == "events.jsonl was changed: line 1 cannot be read"
    path.write_bytes(b"".join([b"[]\n", *rows[1:]]))
    assert problem(folder) == "events.jsonl was changed: line 1 cannot be read"


def test_duty_p5_8_missing_and_added_files_are_found(folder: Path) -> None:
    """Each by its name; links and the like are no files of a bundle."""
    (folder / "note.txt").write_text("hello")
    assert problem(folder) == "note.txt is in no manifest"
    (folder / "note.txt").unlink()
    (folder / "link").symlink_to(folder / "events.jsonl")
    assert problem(folder) == "link is no plain file"
    (folder / "link").unlink()
    (folder / "reports.jsonl").unlink()
    assert problem(folder) == "reports.jsonl is missing"
    (folder / SIGNATURE).unlink()
    assert problem(folder) == f"{SIGNATURE} is missing"


def test_duty_p5_8_a_wrong_signature_is_found(folder: Path, key: SigningKey, tmp_path: Path) -> None:
    """By another key than the one given, also when somebody signed all of it anew; damaged; of another kind."""
    other = SigningKey.open(tmp_path / "other.key")
    assert "not by the key that was given" in problem(folder, other)
    good = orjson.loads((folder / SIGNATURE).read_bytes())

    def sign(**changes: str) -> None:
        (folder / SIGNATURE).write_bytes(orjson.dumps({**good, **changes}))

    forged = signing.text(other.sign((folder / MANIFEST).read_bytes()))
    sign(signature=forged)
    assert "the signature does not hold" in problem(folder, key)
    sign(signature=forged, public_key=signing.text(other.public))
    assert "another algorithm or key" in problem(folder, key)
    sign(signature=forged, public_key=signing.text(other.public), key_id=signing.fingerprint(other.public))
    assert verify(folder).key_id == signing.fingerprint(other.public)  # without the key nothing but the fingerprint tells
    assert "not by the key that was given" in problem(folder, key)
    sign(algorithm="none")
    assert "another algorithm or key" in problem(folder)
    sign(signature="é")
    assert "cannot be read" in problem(folder)


def test_a_manifest_that_is_signed_must_fit_what_it_names(folder: Path, key: SigningKey) -> None:
    """Its own counts, its format, its form: signed or not."""

    def put(data: bytes) -> None:
        (folder / MANIFEST).write_bytes(data)
        signed = {"algorithm": "Ed25519", "key_id": signing.fingerprint(key.public), "public_key": signing.text(key.public)}
        (folder / SIGNATURE).write_bytes(orjson.dumps({**signed, "signature": signing.text(key.sign(data))}))

    manifest = orjson.loads((folder / MANIFEST).read_bytes())
    put(orjson.dumps({**manifest, "counts": {"events": 9}}))
    assert "counts other records" in problem(folder, key)
    put(orjson.dumps({**manifest, "format": "other"}))
    assert "its format is 'other'" in problem(folder, key)
    put(b"{}")
    assert "cannot be read" in problem(folder, key)


def test_a_zip_file_that_was_packed_anew_is_said(bundle: Path, folder: Path, key: SigningKey, tmp_path: Path) -> None:
    """Its contents may be good; a name that stands in it twice is not."""
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    assert "Unpack it to check" in problem(packed, key)
    twice = tmp_path / "twice.zip"
    with twice.open("wb") as file, zipfile.ZipFile(bundle) as source:
        archive2 = Archive(file)
        for name in source.namelist():
            with archive2.open(name) as target:
                target.write(source.read(name))
        with pytest.warns(UserWarning, match="Duplicate"), archive2.open("events.jsonl") as target:
            target.write(b"")
        archive2.close()
    assert any("twice" in found for found in verify(twice, key.public).problems)


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    """Neither a folder nor a ZIP file; an empty folder has no manifest."""
    (tmp_path / "text.zip").write_text("text")
    for path in (tmp_path / "text.zip", tmp_path / "none"):
        with pytest.raises(ConfigError, match="neither a folder nor a ZIP"):
            verify(path)
    (tmp_path / "empty").mkdir()
    assert verify(tmp_path / "empty").problems == [f"{MANIFEST} is missing", f"{SIGNATURE} is missing"]


def test_keys_are_read_as_the_site_gives_them(key: SigningKey) -> None:
    """A JSON Web Key, a set of one, or the bare text; nothing else."""
    jwk = key.jwk()
    for text in (jwk["x"], orjson.dumps(jwk).decode(), msgspec.json.encode({"keys": [jwk]}).decode() + "\n"):
        assert read_key(text) == key.public
    for text in ("", "AAAA", "{", "[]", '{"keys": []}', '{"x": 1}', orjson.dumps({**jwk, "crv": "P-256"}).decode()):
        with pytest.raises(ConfigError, match="neither"):
            read_key(text)
