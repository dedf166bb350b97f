"""The app's own static files: styles, ES modules, pictures. They are read once, at start, and served from memory.

All files share one digest and are addressed as ``/assets/<digest>/<name>``: modules import one another by relative address, so one
digest changes them together and each address may be cached for ever. ``/assets/<name>`` is the stable address for other front
ends; it is revalidated on each use.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

STATIC_DIR: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """One file. ``etag`` is quoted, as in the header."""

    body: bytes
    content_type: str
    etag: str


class Found(NamedTuple):
    """``immutable``: the address names these very bytes, for ever."""

    asset: Asset
    immutable: bool


class Assets:
    """All static files of a folder (not of its subfolders)."""

    def __init__(self, folder: Path = STATIC_DIR) -> None:
        """Raises OSError when the folder cannot be read."""
        self._assets: dict[str, Asset] = {}
        whole = hashlib.sha256()
        for path in sorted(folder.iterdir()):
            if path.suffix in _TYPES:
                body = path.read_bytes()
                digest = hashlib.sha256(body).hexdigest()
                whole.update(f"{path.name} {digest}\n".encode())
                self._assets[path.name] = Asset(body, _TYPES[path.suffix], f'"{digest[:32]}"')
        self.digest = whole.hexdigest()[:16]

    def url(self, name: str) -> str:
        """The address under which a file may be cached for ever. Raises KeyError for a file that does not exist."""
        if name not in self._assets:
            raise KeyError(name)
        return f"/assets/{self.digest}/{name}"

    def find(self, path: str) -> Found | None:
        """The file for what stands behind ``/assets/``.

        A page that was opened before an update may ask for a digest of then: it gets the file of now, to be revalidated.
        """
        digest, _, name = path.rpartition("/")
        asset = self._assets.get(name)
        if asset is None or "/" in digest:
            return None
        return Found(asset, digest == self.digest)
