"""What a search on a Ray cluster gains by more nodes, and what it loses where nodes die.

python studies/benchmarks/cluster/run.py speed
python studies/benchmarks/cluster/run.py kills
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from studies.benchmarks.cluster.nodes import Nodes, cluster  # noqa: E402
from studies.benchmarks.faults.checks import Found, check  # noqa: E402
from studies.benchmarks.faults.repeated import Step, read_steps  # noqa: E402
from studies.benchmarks.faults.searches import IMAGES, Search, Size  # noqa: E402

SLEEPING = Size(trials=60, epochs=8, seconds=0.02)  # an epoch takes 4 s more, which cost no core
SMALL = ("--no-race", "--range", "depth=2:2", "--range", "width=8:8", "--range", "batch_size=64:64")
REAL = Size(trials=24, epochs=20, seconds=0.01)  # a trial takes a minute, so that most kills meet one
NODES = 4
KILL_SECONDS = 20.0
PATIENCE = 900.0  # seconds for a search to end after the last node was killed


def speed(count: int, seconds: float) -> float:
    """Trial-epochs per minute on so many nodes, from the moment at which all have trained."""
    with tempfile.TemporaryDirectory(prefix="gs-") as place:
        search = Search(Path(place), count, Path(place) / "cache", SLEEPING)
        with cluster(count, search.environment()) as nodes:
            search.flags = ("--ray", nodes.address, *SMALL)
            search.start()
            search.until(lambda: len({step.process for step in read_steps(search.steps)}) == count, 300.0)
            began = time.time()
            search.until(lambda: False, seconds)
            search.kill_group()
            steps = [step for step in read_steps(search.steps) if began <= step.time < began + seconds]
    return 60 * _epochs(steps) / seconds


def kills(seconds: float, seed: int) -> Found:
    """A search on nodes of which one dies every 20 s; in the middle the search is killed and started again."""
    rng, found = random.Random(seed), Found("node", seed)
    with tempfile.TemporaryDirectory(prefix="gs-") as place:
        search = Search(Path(place), NODES, Path(place) / "cache", REAL)
        with cluster(NODES, search.environment()) as nodes:
            search.flags = ("--ray", nodes.address)
            search.start()
            _kill_nodes(search, nodes, rng, found, seconds)
            code = search.wait(PATIENCE)
            found.hangs += code is None
            found.refused += code not in (None, 0)
            search.kill_group()
            check(search, found, [])
        print(search.log.read_text(errors="replace"))
        search.clear()
    return found


def _kill_nodes(search: Search, nodes: Nodes, rng: random.Random, found: Found, seconds: float) -> None:
    """Another node joins for each that dies."""
    search.until(lambda: search.count() > 0, 300.0)
    began = time.monotonic()
    while time.monotonic() < began + seconds and search.running():
        search.until(lambda: False, KILL_SECONDS)
        search.look()
        if found.restarts == 0 and time.monotonic() > began + seconds / 2:
            search.kill_group()
            search.wait(10.0)
            search.look()
            search.start()
            found.restarts += 1
        nodes.kill(rng)
        found.faults += 1
        nodes.join()


def _epochs(steps: list[Step]) -> float:
    return sum(step.images for step in steps) / IMAGES


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description="A search on a simulated Ray cluster.")
    parser.add_argument("what", choices=("speed", "kills"))
    parser.add_argument("--seconds", type=float, help="how long (default: 120 for speed, 300 for kills)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.what == "speed":
        rates = {count: speed(count, options.seconds or 120.0) for count in (1, NODES)}
        for count, rate in rates.items():
            print(f"{count} nodes: {rate:.1f} trial-epochs per minute, {rate / rates[1]:.2f} times those of one")
    else:
        for name, value in asdict(kills(options.seconds or 300.0, options.seed)).items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
