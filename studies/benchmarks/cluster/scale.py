"""How many workers one parent can serve, and what the sampler loses by so many trials under way: simulated.

    python studies/benchmarks/cluster/scale.py parent [--workers 1 10 100 1000] [--epoch-seconds 10]
    python studies/benchmarks/cluster/scale.py loss [--workers 1 10 100 1000] [--seeds 4] [--epochs 3000]

`parent`: the real parent (runner, store in SQLite, sampler, rules, choice, pictures for the dashboard) hands out trials
to workers that are made up. Their curves come from a surrogate of a recorded table. An epoch lasts as long as its
configuration makes it, `--epoch-seconds` in the middle. Time is simulated, but the parent's own is its CPU time on this
machine. Each number of workers gets twice as many trials, or `MORE` on top; utilization is that of the time from the
moment when all have one until the last is handed out. `loss`: what is taken home after an equal number of epochs, by
all that the rules and the sampler do; the parent is taken to cost nothing.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import optuna

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from search.engine import launch  # noqa: E402
from search.engine.runner import Runner  # noqa: E402
from search.engine.time_limit import TimeLimit  # noqa: E402
from search.measurement import History  # noqa: E402
from search.recording.store import Store  # noqa: E402
from search.results.database import study_url  # noqa: E402
from search.sampling.sampler import ScalarizingSampler  # noqa: E402
from search.settings import Settings  # noqa: E402
from search.show.dashboard import Publisher  # noqa: E402
from search.show.progress import Progress  # noqa: E402
from search.training.precision import Precision  # noqa: E402
from search.training.trial import Conditions, Job  # noqa: E402
from spaces import cnn  # noqa: E402
from studies.benchmarks.cluster.simulated_pool import SimulatedPool  # noqa: E402
from studies.benchmarks.overhead.instant_workers import SilentTerminal  # noqa: E402
from studies.benchmarks.search.simulation import Problem, Simulation, epoch_cost  # noqa: E402
from studies.benchmarks.search.surrogate import Recorded, Surrogate  # noqa: E402

TABLE = ROOT / "studies/benchmarks/tables/fashion_anytime.jsonl.gz"
WORKERS = (1, 10, 100, 1_000)
MORE = 100  # trials beyond one for each worker, at least
STEPS = ("ask", "report", "tell")


def parent(problem: Problem, workers: int, epoch_seconds: float, folder: Path) -> SimulatedPool:
    """A search of the real parent on so many workers; the pool, which tells what it cost."""
    trials, epochs = workers + max(workers, MORE), problem.surrogate.table.epochs
    middle = statistics.median(epoch_cost(config) for config in problem.surrogate.table.configs)

    def curves(job: Job) -> tuple[History, float]:
        config = problem.surrogate.clipped(job.config)
        seconds = epoch_seconds * epoch_cost(config) / middle
        return problem.surrogate.draw(config, np.random.default_rng(job.seed)), seconds

    launch.make_folder(folder)
    store = Store(study_url(folder, None), "many", seed=0)
    settings = Settings(
        name="many", dataset="FashionMNIST", trials=trials, epochs=epochs, device="cpu", out=folder,
        race=False,
    )  # fmt: skip
    pool = SimulatedPool(workers, Conditions(problem.constraints, Precision(), folder, "many", "data"), curves)
    terminal = SilentTerminal(Progress(trials, epochs, workers))
    publisher = Publisher(store.study, folder, problem.constraints, epochs)

    def simulated() -> float:
        return pool.now

    with mock.patch("time.monotonic", simulated):  # by which it decides when to store curves
        Runner(settings, store, pool, cnn.suggest, terminal, publisher, TimeLimit(None, race=False)).run()
    return pool


def row(workers: int, pool: SimulatedPool) -> str:
    """Markdown, of one number of workers."""
    (began, before), (ended, after) = pool.asked[workers - 1], pool.asked[-1]
    used = (after - before) / (workers * (ended - began))
    medians = [f"{1000 * statistics.median(pool.spent[step]):.1f}" for step in STEPS]
    shares = [f"{used:.0%}", *medians, f"{pool.busy_seconds / pool.now:.0%}"]
    return _line([f"{workers:,}", *shares, f"{began:.0f}", f"{pool.now:.0f}"])


def loss(problem: Problem, workers: int, seeds: int, epochs: int) -> str:
    """Markdown: the loss of what is taken home, over some seeds, after so many epochs."""
    losses, ended, trained = [], [], []
    for seed in range(seeds):
        search = Simulation(problem, ScalarizingSampler, seed, workers=workers)
        while search.epochs_trained < epochs:
            search.train(ended=search.ended + 1)
        losses.append(search.chosen_loss())
        ended.append(search.ended)
        trained.append(search.epochs_trained)
    error = statistics.stdev(losses) / seeds**0.5 if seeds > 1 else float("nan")
    counts = [f"{statistics.fmean(count):.0f}" for count in (ended, trained)]
    return _line([f"{workers:,}", f"{statistics.fmean(losses):.4f} ± {error:.4f}", *counts])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("parent", "loss"))
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--epoch-seconds", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3_000)
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    problem = Problem.on(Surrogate(Recorded.read(TABLE)))
    if options.what == "loss":
        print(f"{_line(['workers', 'loss', 'trials ended', 'epochs'])}\n{_line(['---:'] * 4)}")
        for workers in options.workers:
            print(loss(problem, workers, options.seeds, options.epochs), flush=True)
        return
    steps = [f"{step}, ms" for step in STEPS]
    print(_line(["workers", "utilization", *steps, "parent busy", "all at work after, s", "in all, s"]))
    print(_line(["---:"] * 8))
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder:
            print(row(workers, parent(problem, workers, options.epoch_seconds, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
