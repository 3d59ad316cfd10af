"""CPU seconds of a contender's processes, and of the whole machine meanwhile."""

import subprocess
from collections.abc import Sequence

import psutil

SAMPLE_SECONDS = 0.2


class CPUClock:
    """CPU seconds of processes and all that descends from them, ended ones included as last seen."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in roots]
        self._seen: dict[psutil.Process, float] = {}

    def sample(self) -> None:
        """Look at what lives now."""
        for root in self._roots:
            try:
                family = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in family:
                try:
                    times = process.cpu_times()
                except psutil.Error:  # ended meanwhile
                    continue
                self._seen[process] = times.user + times.system

    def seconds(self) -> float:
        """So far."""
        return sum(self._seen.values())


def busy_seconds() -> float:
    """CPU seconds that all cores have spent on anything since the machine started."""
    times = psutil.cpu_times()._asdict()
    return sum(seconds for kind, seconds in times.items() if kind not in ("idle", "iowait", "guest", "guest_nice"))


def outputs_of(processes: Sequence[subprocess.Popen[str]], clock: CPUClock) -> list[str]:
    """What each process printed, once all have ended; `clock` is kept going meanwhile."""
    outputs: dict[int, str] = {}
    while len(outputs) < len(processes):
        for number, process in enumerate(processes):
            clock.sample()
            if number not in outputs:
                try:
                    outputs[number] = process.communicate(timeout=SAMPLE_SECONDS / len(processes))[0]
                except subprocess.TimeoutExpired:
                    continue
    return [outputs[number] for number in range(len(processes))]
