"""Compare samplers by real searches: what each takes home, measured on test images that no search saw.

    python studies/benchmarks/search/real.py --data-root DATA [--seeds 10] [--csv real.csv]

Each search is one that a user starts with `--workers 1 --no-race`, on Fashion-MNIST. All arms have the same seeds, and
so the same splits. Every search is a line of the CSV file as soon as it has ended; started again, the command runs
those that are missing. At the end it prints the table, with standard errors over seeds and paired differences to the
first arm.
"""

import argparse
import math
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from unittest import mock

import joblib
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from search import Search
from search.data.tensors import held_out
from search.recording import store
from search.results.best_yaml import Best
from search.training.evaluate import evaluate
from search.training.precision import Precision
from search.use.retrain import read_part, search_data
from studies.benchmarks.csv_rows import Row, append, read
from studies.benchmarks.search.candidates import CANDIDATES
from studies.benchmarks.search.simulation import Sampling

OLD, NEW = "TPE, two objectives (before)", "**Gaussian process, loss and gap**"
ARMS: dict[str, tuple[Sampling, bool]] = {  # the sampler, and whether the space's start configurations come first
    OLD: (CANDIDATES[OLD], False),
    NEW: (CANDIDATES[NEW], False),
    f"{NEW}, with the start": (CANDIDATES[NEW], True),
}
FIGURES = ("test_loss", "test_accuracy", "val_loss", "gap", "epochs")


def one_search(arm: str, seed: int, options: argparse.Namespace) -> dict[str, object]:
    """A search with that sampler; the figures of what it takes home, best.pt as it is."""
    sampling, start = ARMS[arm]
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(store, "ScalarizingSampler", sampling):
        result = Search(
            name=arm,
            dataset="FashionMNIST",
            data_root=options.data_root,
            train_size=options.train_size,
            val_size=options.val_size,
            trials=options.trials,
            epochs=options.epochs,
            seed=seed,
            workers=1,
            device="cpu",
            start=start,
            race=False,
            out=folder,
        ).run()
        best = result.best
        assert best is not None
        test_loss, test_accuracy = on_test_images(best, options.data_root)
        return {
            "arm": arm,
            "seed": seed,
            "trials": options.trials,
            "trial": best.trial,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "val_loss": best.metrics["val_loss"],
            "gap": best.metrics["gap"],
            "epochs": sum(trial.epochs_run for trial in result.trials),
        }


def on_test_images(best: Best, data_root: Path) -> tuple[float, float]:
    """Loss and accuracy of the exported weights on the test split."""
    test = held_out(read_part(best, "test", data_root), search_data(best, data_root))
    images = torch.arange(len(test.labels))
    measured = evaluate(best.trained(), test.to(torch.device("cpu")), images, Precision.of(best.environment))
    return float(measured.losses.mean()), float(measured.correct.mean())


def table(rows: Sequence[Row]) -> list[str]:
    """Markdown: the means over seeds, and the paired difference of the test loss to the first arm."""
    lines = ["| sampler | test loss | against the first | test accuracy | gap | epochs | seeds |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    by_arm = {arm: {row["seed"]: row for row in rows if row["arm"] == arm} for arm in ARMS}
    for arm, own in by_arm.items():
        if not own:
            continue
        first = by_arm[OLD]
        differences = [
            100 * (float(row["test_loss"]) / float(first[seed]["test_loss"]) - 1)
            for seed, row in own.items()
            if seed in first
        ]
        cells = {name: [float(row[name]) for row in own.values()] for name in FIGURES}
        against = "" if arm == OLD or not differences else f"{mean_and_error(differences, '+.1f')}%"
        accuracy = mean_and_error([100 * value for value in cells["test_accuracy"]], ".1f")
        lines.append(
            f"| {arm} | {mean_and_error(cells['test_loss'], '.4f')} | {against} | {accuracy}% | "
            f"{mean_and_error(cells['gap'], '.3f')} | {statistics.fmean(cells['epochs']):.0f} | {len(own)} |"
        )
    return lines


def mean_and_error(values: Sequence[float], form: str) -> str:
    """`mean ± standard error`."""
    mean = format(statistics.fmean(values), form)
    if len(values) < 2:
        return mean
    return f"{mean} ± {format(statistics.stdev(values) / math.sqrt(len(values)), form.removeprefix('+'))}"


def main() -> None:
    """Run the searches that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--val-size", type=int, default=1000)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("real.csv"))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM")
    parser.add_argument("--side-by-side", type=int, default=joblib.cpu_count(), metavar="N", help="searches")
    options = parser.parse_args()

    done = {(row["arm"], int(row["seed"])) for row in read(options.csv)}
    missing = [(arm, seed) for seed in range(options.seeds) for arm in options.arms if (arm, seed) not in done]
    with ProcessPoolExecutor(options.side_by_side, multiprocessing.get_context("spawn")) as pool:
        for job in as_completed([pool.submit(one_search, arm, seed, options) for arm, seed in missing]):
            append(options.csv, job.result())
    print("\n".join(table(read(options.csv))))


if __name__ == "__main__":
    main()
