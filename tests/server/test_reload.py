"""Rules change in a real server, by the command line, while comments and pings go on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from click.testing import CliRunner, Result

from filters.bench import made_terms
from filters.importers import to_toml
from server.__main__ import main
from tests.support.server import ServerProcess
from tests.support.wsclient import PING, PONG, RawClient, frame

OPEN = {"drain_s": 0, "rate_account_per_s": 1000, "rate_account_burst": 100_000, "repeat_burst": 1000}
OPEN |= {"rate_room_per_s": 1000, "rate_room_burst": 100_000, "rate_address_per_s": 1000, "rate_address_burst": 100_000}
OPEN |= {"frames_per_s": 1000, "frames_burst": 10_000}
LONGEST_PAUSE_S = 1.0
"""Generous: what others compute on the same machine is in it; the first figures that are printed are those without a reload."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BARRAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data", settings=OPEN) as running:
        yield running


def screen(server: ServerProcess, *arguments: str, code: int = 0) -> Result:
    """What a ``barrage screen`` command says."""
    result = CliRunner().invoke(main, ["screen", *arguments, "--data", str(server.data)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def write(path: Path, *terms: str, tier: str = "reject", samples: str = "") -> str:
    """A rule file with these terms; its name."""
    source = to_toml(list(terms), "t.list", "test", "house rule", "A list").replace('tier = "hold"', f'tier = "{tier}"')
    path.write_text(source + samples, encoding="utf-8")
    return str(path)


class Speaker:
    """Somebody signed in who says things in the demo room."""

    def __init__(self, server: ServerProcess, account: str = "alice") -> None:
        self.client = RawClient(server.port)
        self.client.handshake(f"/ws?room=demo&token={server.token(account)}")
        self.client.read_until("joined")
        self._said = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.client.close()

    def say(self, text: str) -> str:
        """``ack``, or the code of the refusal."""
        self._said += 1
        self.client.send_text({"op": "say", "room": "demo", "key": f"key-{self._said}", "text": text})
        answer = self.client.read_until("ack", "refused")
        return "ack" if answer["op"] == "ack" else str(answer["code"])


class Pulse(threading.Thread):
    """Pings the server, or says something, each ten milliseconds until told to stop; keeps the longest time without an answer."""

    def __init__(self, server: ServerProcess, account: str = "") -> None:
        super().__init__()
        self._speaker = Speaker(server, account or "pulse")
        self._says = bool(account)
        self._stopped = threading.Event()
        self.longest_s = 0.0
        self.answers = 0

    def run(self) -> None:
        while not self._stopped.wait(0.01):
            began = time.perf_counter()
            if self._says:
                assert self._speaker.say(f"今天第{self.answers}次真好看") == "ack"
            else:
                self._ping()
            self.longest_s = max(self.longest_s, time.perf_counter() - began)
            self.answers += 1

    def _ping(self) -> None:
        client = self._speaker.client
        client.send(frame(PING, b"?"))
        while client.read_frame().opcode != PONG:
            pass

    def stop(self) -> tuple[float, int]:
        """The longest wait for an answer in milliseconds, and how many answers came."""
        self._stopped.set()
        self.join(30)
        self._speaker.client.close()
        return round(self.longest_s * 1000, 1), self.answers


def test_rules_change_while_comments_go_on(server: ServerProcess, tmp_path: Path) -> None:
    """A comment passes; rules that refuse it are in force when the command ends, under their hash, and gone after the rollback."""
    with Speaker(server) as speaker:
        assert speaker.say("今晚的口令") == "ack"
        told = screen(server, "reload", write(tmp_path / "r.toml", "今晚的口令"), "--by", "lin").stdout
        assert told.startswith("t.list 1 (")
        assert speaker.say("今晚的口令") == "banned_content"
        listed = CliRunner().invoke(main, ["screened", "--json", "--data", str(server.data)]).stdout
        assert told.split("(")[1][:16] in listed
        assert "starter" in screen(server, "rollback").stdout
        assert speaker.say("今晚的口令") == "ack"
        lines = screen(server, "history").stdout.splitlines()
        assert [line.split()[-2:] for line in lines[1:]] == [["reload", "lin"], ["rollback", "operator"]]


def test_rules_that_cannot_be_used_change_nothing(server: ServerProcess, tmp_path: Path) -> None:
    """Rules that break their own samples are not taken, with the reason, and those in force go on."""
    with Speaker(server) as speaker:
        before = screen(server, "history").stdout
        bad = write(tmp_path / "r.toml", "今晚的口令", samples='\n[samples]\ngood = ["今晚的口令"]\n')
        assert "a good sample is stopped by t.list" in screen(server, "reload", bad, code=1).stderr
        assert "no earlier rules" in screen(server, "rollback", code=1).stderr
        assert speaker.say("今晚的口令") == "ack"
        assert screen(server, "history").stdout == before


def test_emergency_terms_are_live_and_stay(server: ServerProcess, tmp_path: Path) -> None:
    """Emergency terms are live when the command ends, outlive a reload and a killed server, and go when they are cleared."""
    with Speaker(server) as speaker:
        assert screen(server, "emergency", write(tmp_path / "e.toml", "今晚的口令")).stdout == "emergency terms in force: 1\n"
        assert speaker.say("今晚的口令") == "banned_content"
        screen(server, "reload", write(tmp_path / "r.toml", "别的词语"))
        assert speaker.say("今晚的口令") == "banned_content"
    server.kill()
    server.start()
    with Speaker(server, "bob") as speaker:
        assert (speaker.say("今晚的口令"), speaker.say("别的词语")) == ("banned_content", "banned_content")
        assert screen(server, "emergency", "--clear").stdout == "emergency terms in force: 0\n"
        assert speaker.say("今晚的口令") == "ack"


@pytest.mark.slow
def test_a_large_reload_does_not_hold_up_the_room(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While 100,000 terms are compiled, loaded and put into force, pings and comments are answered as they were before."""
    file = write(tmp_path / "large.toml", *made_terms(100_000), tier="hold")

    def at_ease(work: Callable[[], object], account: str) -> bool:
        """Whether nobody waited for long while this was done; the figures are printed."""
        pulses = [Pulse(server), Pulse(server, account)]
        for pulse in pulses:
            pulse.start()
        began = time.perf_counter()
        try:
            work()
        finally:
            took_s = time.perf_counter() - began
            time.sleep(0.5)
            pongs, acks = [pulse.stop() for pulse in pulses]
        with capsys.disabled():
            print(f"\n{took_s:.1f} s: longest wait {pongs[0]} ms of {pongs[1]} pongs, {acks[0]} ms of {acks[1]} acks")
        # Two who speak all the time are heard in the beat of ``commit_ms``: about sixteen times a second.
        return pongs[0] < LONGEST_PAUSE_S * 1000 and pongs[1] / (took_s + 0.5) > 10

    works = (lambda: time.sleep(2), lambda: screen(server, "reload", file), lambda: screen(server, "rollback"))
    for attempt in range(3):
        # A reload or rollback that holds up the room does so each time; a machine that stands still for a second spoils one time.
        found = [at_ease(work, f"account-{attempt}-{number}") for number, work in enumerate(works)]
        if all(found):
            break
    else:
        raise AssertionError("somebody waited for long, or was seldom heard, each time")
