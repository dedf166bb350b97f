"""Commands of operators: rooms, removals, pages, records. They work on the running server, or on the data folder when none runs."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import click
import orjson

from server.cli import EXIT_FAILED, NUMBER, WHOLE, operations, quiet_logs, require_data_folder, run, with_settings
from server.control import DataLock, check_user, find_server
from server.errors import Refusal
from server.modes_cli import set_mode, set_owner, site
from server.operations import Announce, CreateRoom, Operations, Remove, Restore
from server.reasons import REASONS
from server.settings import Settings
from server.verification import TRIES, RoomCheck, check_room, served, stored

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")


def _show(rows: Iterable[dict[str, Any]], line: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    for row in rows:
        click.echo(orjson.dumps(row).decode() if as_json else line(row))


def _do(settings: Settings, work: Callable[[Operations], Awaitable[dict[str, Any]]], line: str, create: bool = False) -> None:
    """Run one operation and say what it did; ``line`` is filled with its answer."""
    done = run(settings, work, create)
    again = "" if done.get("fresh", True) else " (it was done before)"
    click.echo(line.format_map(done) + again)


def _when(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


@click.group()
def room() -> None:
    """Create, list and steer rooms."""


room.add_command(set_mode)
room.add_command(set_owner)


@room.command("create")
@click.argument("name")
@click.option("--title", default="", help="Title for people; the name where it is not given.")
@click.option("--kind", type=click.Choice(["live", "vod"]), default="live", show_default=True)
@click.option("--video", default="", help="Address of the video.")
@click.option(
    "--news", is_flag=True, help="A room of news: each comment waits for an approval, whatever the mode. It stays so."
)
@click.option("--owner", default="", help="Account whose room it is.")
@with_settings()
def create(name: str, title: str, kind: Any, video: str, news: bool, owner: str, settings: Settings) -> None:
    """Create the room NAME."""
    request = CreateRoom(name=name, title=title, kind=kind, video_url=video, news=news, owner=owner)
    _do(settings, lambda found: found.create_room(request), "created room {room} ({kind}): /rooms/{room}", create=True)


@room.command("list")
@_json
@with_settings()
def list_rooms(as_json: bool, settings: Settings) -> None:
    """List all rooms: name, kind, mode, events, viewers, title."""
    rows = run(settings, lambda found: found.list_rooms())
    _show(rows, lambda row: "{room}\t{kind}\t{mode}\t{head} events\t{viewers} viewers\t{title}".format_map(row), as_json)


@room.command("announce")
@click.argument("name")
@click.argument("text")
@with_settings()
def announce(name: str, text: str, settings: Settings) -> None:
    """Tell the viewers of the room NAME something; it stands on its pages too."""
    request = Announce(room=name, text=text)
    _do(
        settings,
        lambda found: found.announce(request),
        "announced in room {room} (event {seq})",
    )


@click.command()
@click.argument("room")
@click.argument("seq", type=NUMBER)
@click.option("--code", required=True, help="Reason code; `barrage reasons` lists them.")
@click.option(
    "--basis", required=True, help="Law or rule that it rests on, and the facts, in one line. It is shown to everyone."
)
@with_settings()
def remove(room: str, seq: int, code: str, basis: str, settings: Settings) -> None:
    """Remove comment SEQ of ROOM: its text leaves all pages, its number stays with the reason."""
    request = Remove(room=room, seq=seq, code=code, basis=basis)
    line = "removed comment {target} of room {room} (event {seq}): {page}#c{target}"
    _do(settings, lambda found: found.remove(request), line)


@click.command()
@click.argument("room")
@click.argument("seq", type=NUMBER)
@click.option("--code", required=True, help="Reason code of family R; `barrage reasons` lists them.")
@click.option("--basis", required=True, help="What the restoration rests on, in one line. It is shown to everyone.")
@with_settings()
def restore(room: str, seq: int, code: str, basis: str, settings: Settings) -> None:
    """Restore the removed comment SEQ of ROOM."""
    request = Restore(room=room, seq=seq, code=code, basis=basis)
    line = "restored comment {target} of room {room} (event {seq}): {page}#c{target}"
    _do(settings, lambda found: found.restore(request), line)


@click.command()
@click.argument("room", required=False)
@_json
@with_settings()
def rebuild(room: str | None, as_json: bool, settings: Settings) -> None:
    """Make the static pages of ROOM, or of all rooms, again from the log."""

    async def work(found: Operations) -> list[dict[str, Any]]:
        names = [room] if room is not None else [row["room"] for row in await found.list_rooms()]
        return [await found.rebuild(name) for name in names]

    rows = run(settings, work)
    _show(rows, lambda row: "rebuilt " + ", ".join(f"{name} {value}" for name, value in row.items()), as_json)


@click.command("verify-pages")
@click.argument("room", required=False)
@_json
@with_settings()
@click.pass_context
def verify_pages(ctx: click.Context, room: str | None, as_json: bool, settings: Settings) -> None:
    """Compare the static pages of ROOM, or of all rooms, with the log; nothing is changed."""
    quiet_logs(settings)
    checks = asyncio.run(_verify(settings, room))
    _show(
        (check._asdict() for check in checks),
        lambda row: "\n".join(
            ["{room}: {head} events, {pages} pages, {rows} rows".format_map(row), *(f"  {line}" for line in row["problems"])]
        ),
        as_json,
    )
    if any(check.problems for check in checks):
        ctx.exit(EXIT_FAILED)


async def _verify(settings: Settings, room: str | None) -> list[RoomCheck]:
    pages_dir = settings.data_dir / "pages"
    if find_server(settings.data_dir) is not None:
        async with operations(settings) as found:
            names = [room] if room is not None else [row["room"] for row in await found.list_rooms()]
            return [await check_room(pages_dir, name, served(found, name), TRIES) for name in names]
    # Not through the services: their start would repair what is to be seen.
    from server.store.sql import SqlStore

    require_data_folder(settings)
    with DataLock(settings.data_dir):
        store = SqlStore.open(settings.data_dir / "barrage.db")
        try:
            names = [info.name for info in store.rooms() if room in (None, info.name)]
            if not names and room is not None:
                raise Refusal("room_not_found")
            return [await check_room(pages_dir, name, stored(store, name)) for name in names]
        finally:
            store.close()


@click.command("backup")
@click.argument("to", type=click.Path(path_type=Path))
@with_settings()
def make_backup(to: Path, settings: Settings) -> None:
    """Copy databases, keys and rules into TO, a folder that is not there yet, with or without a running server.

    The keys of the vault are left out: keep a copy of them elsewhere. Pages are left out, too: they are made again from the log.
    """
    from server import backup

    quiet_logs(settings)
    require_data_folder(settings)
    if find_server(settings.data_dir) is not None:
        check_user(settings.data_dir, root=True)
        done = backup.make(settings.data_dir, to)
    else:
        with DataLock(settings.data_dir):
            done = backup.make(settings.data_dir, to)
    click.echo(f"{done.path}: {done.files} files, {done.bytes} bytes")
    if done.vault_keys:
        click.echo(f"Not among them: {settings.data_dir / backup.VAULT_KEYS}. Keep a copy of it in another place.")


@click.command()
@click.option("--after", type=WHOLE, default=0, help="Only records with larger ids.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--action", type=click.Choice(["held", "refused"]), help="Only these.")
@_json
@with_settings()
def screened(after: int, limit: int, action: str | None, as_json: bool, settings: Settings) -> None:
    """List held and refused comments: id, time, room, action, code, text."""
    rows = run(settings, lambda found: found.screened(after, limit, action or ""))
    _show(
        rows,
        lambda row: f"{row['id']}\t{_when(row['at_ms'])}\t{row['room']}\t{row['action']}\t{row['code']}\t{row['text']!r}",
        as_json,
    )


@click.command()
@click.option("--after", type=WHOLE, default=0, help="Only reports with larger ids.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@_json
@with_settings()
def reports(after: int, limit: int, as_json: bool, settings: Settings) -> None:
    """List reports of the public: id, time, receipt, room, comment, reason, text."""
    rows = run(settings, lambda found: found.reports(after, limit))
    _show(
        rows,
        lambda row: (
            f"{row['id']}\t{_when(row['at_ms'])}\t{row['receipt']}\t{row['room']}\t{row['seq']}\t{row['reason']}\t{row['text']!r}"
        ),
        as_json,
    )


@click.command()
def reasons() -> None:
    """List the reason codes: of removals, restorations, what was let stay, and modes."""
    for reason in REASONS.values():
        click.echo(f"{reason.code}\t{reason.zh}\t{reason.en}")


COMMANDS = (room, site, remove, restore, rebuild, verify_pages, make_backup, screened, reports, reasons)
