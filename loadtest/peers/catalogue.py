"""Which peers there are, how each is started at its best settings, and how to get what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from loadtest.peers.dialects import PLAIN, SOCKET_IO, Dialect

HERE: Final = Path(__file__).parent
SERVERS: Final = HERE / "servers"
PEERS_PYTHON: Final = HERE.parents[1] / ".venv" / "peers" / "bin" / "python"
NCHAN_MODULES: Final = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"), Path("/usr/local/lib/nginx/modules"))


class MissingError(Exception):
    """What a peer needs is not here; the text says what, and how to get it."""


class Launch(NamedTuple):
    """What a start depends on: a folder for files of this run, the port to listen on, and the variant."""

    folder: Path
    port: int
    variant: str


class Peer(NamedTuple):
    """``variants``: ways to run it, the first one without compression; ``deflate`` means per-message compression that viewers
    are offered. ``command`` gives the command line, or raises MissingError."""

    title: str
    command: Callable[[Launch], list[str]]
    variants: tuple[str, ...] = ("plain",)
    dialect: Dialect = PLAIN


def bun(launch: Launch) -> list[str]:
    """The binary that the npm package brings, else one on the path."""
    shipped = sorted((HERE / "node_modules" / "@oven").glob("bun-*/bin/bun"))
    for path in [*map(str, shipped), shutil.which("bun") or ""]:
        if path and _runs([path, "--version"]):
            return [path, str(SERVERS / "bun.mjs"), str(launch.port), launch.variant]
    raise MissingError("no Bun that runs on this processor; get it with: make bench-peers (needs npm)")


def node(script: str, package: str) -> Callable[[Launch], list[str]]:
    """A script for Node that needs a package."""

    def command(launch: Launch) -> list[str]:
        path = shutil.which("node")
        if path is None:
            raise MissingError("no Node; get it with: apt-get install nodejs npm")
        if not (HERE / "node_modules" / package).is_dir():
            raise MissingError(f"no npm package {package}; get it with: make bench-peers (needs npm)")
        return [path, str(SERVERS / script), str(launch.port), launch.variant]

    return command


def python(script: str, interpreter: Path = Path(sys.executable)) -> Callable[[Launch], list[str]]:
    """A script for Python, with the packages that this server needs anyway or with those of the peers' own environment."""

    def command(launch: Launch) -> list[str]:
        if not interpreter.exists():
            raise MissingError("no environment of the peers; get it with: make bench-peers")
        return [str(interpreter), str(SERVERS / script), str(launch.port), launch.variant]

    return command


def naive(launch: Launch) -> list[str]:
    """Compiled for this run."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise MissingError("no C compiler; get it with: apt-get install gcc libc6-dev")
    binary = launch.folder / "naive"
    subprocess.run([compiler, "-O2", "-o", str(binary), str(SERVERS / "naive.c")], check=True)  # noqa: S603
    return [str(binary), str(launch.port)]


def nchan(launch: Launch) -> list[str]:
    """nginx with its module, one worker as there is one core, on a configuration of this run."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    module = next(
        (folder / "ngx_nchan_module.so" for folder in NCHAN_MODULES if (folder / "ngx_nchan_module.so").exists()), None
    )
    if nginx is None or module is None:
        raise MissingError("no nginx with Nchan; get it with: apt-get install nginx libnginx-mod-nchan")
    template = (SERVERS / "nchan.conf").read_text()
    values = {
        "MODULE": module,
        "FOLDER": launch.folder,
        "PORT": launch.port,
        "DEFLATE": "on" if launch.variant == "deflate" else "off",
    }
    for name, value in values.items():
        template = template.replace(f"@{name}@", str(value))
    path = launch.folder / "nginx.conf"
    path.write_text(template)
    return [nginx, "-p", str(launch.folder), "-c", str(path), "-e", str(launch.folder / "error.log")]


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False


BARRAGE: Final = "barrage"
# Left out: ws compresses for each viewer in threads, at a tenth of its rate without; socket.io sends what it framed once, and
# that uncompressed whatever its settings; a loop of send_text is a base line.
PEERS: Final[dict[str, Peer]] = {
    "bun": Peer("Bun, publish (uWebSockets)", bun, ("plain", "deflate")),
    "nchan": Peer("Nchan (nginx)", nchan, ("plain", "deflate")),
    "ws": Peer("Node, ws", node("ws.mjs", "ws"), ("plain", "framed")),
    "socketio": Peer("Node, socket.io", node("socketio.mjs", "socket.io"), dialect=SOCKET_IO),
    "websockets": Peer("websockets.broadcast", python("broadcast.py"), ("plain", "deflate")),
    "picows": Peer("picows", python("picows_loop.py", PEERS_PYTHON)),
    "starlette": Peer("Starlette, loop of send_text", python("plain_starlette.py")),
    "naive": Peer("C, epoll and send", naive),
}
"""All peers, by the name that the command line knows."""
