"""What a server costs that is several processes: a master with its workers, a launcher with what it launched."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from loadtest.processes import Sample, Watch, sample


def family(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """A process and all that descend from it, as they are now."""
    found = [pid]
    for each in found:  # grows while it is walked
        with suppress(OSError):
            for task in (proc / str(each) / "task").iterdir():
                with suppress(OSError):  # a thread may end meanwhile
                    found += map(int, (task / "children").read_text().split())
    return found


def sample_all(pids: Sequence[int], proc: Path = Path("/proc")) -> Sample:
    """The sum over several processes. One that has ended counts no more. Raises OSError when all are gone."""
    samples = []
    for pid in pids:
        with suppress(OSError):
            samples.append(sample(pid, proc))
    if not samples:
        raise ProcessLookupError("the server has ended")
    return Sample(
        perf_counter(),
        sum(each.cpu_s for each in samples),
        sum(each.rss_bytes for each in samples),
        sum(each.wait_s for each in samples),
    )


class FamilyWatch(Watch):
    """A watch over the server's whole family."""

    def server_sample(self) -> Sample:
        """The family at this moment. Raises OSError when it is gone."""
        assert self.server_pid is not None
        return sample_all(family(self.server_pid))

    def _sample(self) -> None:
        super()._sample()
        self.server[-1] = self.server_sample()
