"""What choosing within noise costs and gains: recorded runs are replayed as searches, each ended by several choices.

    python studies/benchmarks/choice/run.py TABLE.jsonl.gz [--repeats REPEATS.jsonl.gz]

No run is stopped. The usual choice, the run with the lowest validation loss, is compared with `choose` of
search.choice: with image noise alone (paired if TABLE.npz holds the per-image losses), with seed noise too, and with
every epoch of the runs within noise as a candidate. Each search measures its seed noise from repeats of its best three
runs, which REPEATS holds (pruning/record.py --again). Standard errors are by bootstrap over runs. race.py has what a
search does today: it races its best runs with fresh seeds.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.choice.choose import candidates, choose
from search.choice.fit import Fit
from search.choice.run import Run
from search.choice.seed_noise import Repeat, repeat_of, seed_std
from search.measurement import Measurement
from studies.benchmarks.bootstrap import standard_error
from studies.benchmarks.curve_tables import read_records

SEARCHES, RESAMPLES = 100, 20
TOP = 3  # runs of a search whose repeats tell its seed noise

Losses = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Recorded:
    """One recorded run: its curves and its result; its results and test losses with other seeds."""

    curves: Mapping[str, np.ndarray]
    run: Run
    repeats: tuple[Repeat, ...]
    test_again: tuple[float, ...]

    def test_loss(self, epoch: int) -> float:
        """The test loss at an epoch (from 0)."""
        return float(self.curves["test_loss"][epoch])


HEADINGS = ("choice", "test loss", "worst tenth", "with other seeds", "gap", "differs")
Choose = Callable[[Sequence[Recorded], Losses], Run]


def lowest(recorded: Sequence[Recorded], losses: Losses) -> Run:
    """The usual choice: the lowest validation loss."""
    return min((one.run for one in recorded), key=lambda run: run.at_best.val_loss)


def image_noise(recorded: Sequence[Recorded], losses: Losses) -> Run:
    """The smallest gap within the noise of the validation images."""
    choice = choose([one.run for one in recorded], losses)
    assert choice is not None
    return choice.run


def image_and_seed_noise(recorded: Sequence[Recorded], losses: Losses) -> Run:
    """The smallest gap within the noise of images and seeds."""
    runs = [one.run for one in recorded]
    top = {run.number for run in candidates(runs)[:TOP]}
    repeats = [repeat for one in recorded if one.run.number in top for repeat in one.repeats]
    choice = choose(runs, losses, seed_std(runs, repeats))
    assert choice is not None
    return choice.run


def every_epoch(recorded: Sequence[Recorded], losses: Losses) -> Run:
    """Within image noise, with other epochs of the runs in the band too. An epoch has the noise of its run's best."""
    runs = [one.run for one in recorded]
    choice = choose(runs, losses)
    assert choice is not None
    by_number = {one.run.number: one for one in recorded}
    epochs = [at for run in choice.band for at in _epochs(by_number[run.number])]
    known = {at.number: losses[at.number % STEP] for at in epochs if at.number % STEP in losses}
    within = choose(epochs, known)
    assert within is not None
    return replace(within.run, number=within.run.number % STEP)


STEP = 1_000_000  # between the numbers that stand for epochs of one run


def _epochs(recorded: Recorded) -> list[Run]:
    curves, run = recorded.curves, recorded.run
    return [
        replace(
            run,
            number=run.number + STEP * epoch,
            at_best=replace(run.at_best, val_loss=float(loss), train_loss=float(loss - gap)),
            best_epoch=epoch,
        )
        for epoch, (loss, gap) in enumerate(zip(curves["val_loss"], curves["gap"], strict=True))
        if math.isfinite(loss) and math.isfinite(gap)
    ]


CHOICES: dict[str, Choose] = {
    "lowest val_loss": lowest,
    "within image noise": image_noise,
    "within image and seed noise": image_and_seed_noise,
    "within image noise, every epoch": every_epoch,
}


def figures(
    recorded: Sequence[Recorded], losses: Losses, choice: Choose, searches: int, size: int, seed: int
) -> dict[str, float]:
    """Means over searches.

    loss: test loss relative to the usual choice; worst: its mean over the worst tenth of the searches. again: the same
    as loss, with other seeds. gap: of the chosen run. differs: the share of searches that choose another run.
    """
    by_number = {one.run.number: one for one in recorded}
    rows: dict[str, list[float]] = {"loss": [], "again": [], "gap": [], "differs": []}
    for search in range(searches):
        rng = np.random.default_rng([seed, search])
        drawn = [recorded[i] for i in rng.permutation(len(recorded))[:size]]
        usual, other = lowest(drawn, losses), choice(drawn, losses)
        one, two = by_number[usual.number], by_number[other.number]
        rows["loss"].append(two.test_loss(other.best_epoch) / one.test_loss(usual.best_epoch) - 1)
        if one.test_again and two.test_again:
            rows["again"].append(float(np.mean(two.test_again) / np.mean(one.test_again)) - 1)
        rows["gap"].append(other.at_best.gap)
        rows["differs"].append((usual.number, usual.best_epoch) != (other.number, other.best_epoch))
    worst = sorted(rows["loss"])[-max(1, searches // 10) :]
    means = {name: float(np.mean(values)) if values else math.nan for name, values in rows.items()}
    return means | {"worst": float(np.mean(worst))}


def errors(recorded: Sequence[Recorded], losses: Losses, choice: Choose, size: int, seed: int) -> dict[str, float]:
    """Standard errors by bootstrap over runs."""
    found = []
    for resample in range(RESAMPLES):
        rng = np.random.default_rng([seed, resample, 1])
        drawn = [recorded[i] for i in rng.integers(len(recorded), size=len(recorded))]
        found.append(figures(drawn, losses, choice, SEARCHES // 5, size, seed + 1 + resample))
    return {name: standard_error([one[name] for one in found]) for name in ("loss", "again", "gap")}


def load(table: Path, repeats: Path | None) -> tuple[list[Recorded], Losses]:
    """The runs of a table, and their per-image losses by number. Raises ValueError and OSError as `read_records`."""
    again = read_records(repeats) if repeats else []
    stem = table.name.split(".")[0]
    side = table.with_name(f"{stem}.npz")
    arrays = np.load(side) if side.exists() else {}
    recorded, losses = [], {}
    for record in read_records(table):
        mine = [other for other in again if other["repeats"] == record["seed"]]
        one = _recorded(record, mine)
        recorded.append(one)
        if str(record["seed"]) in arrays:
            losses[one.run.number] = arrays[str(record["seed"])].astype(np.float64)
    return recorded, losses


def _recorded(record: Mapping[str, Any], again: Sequence[Mapping[str, Any]]) -> Recorded:
    curves = {name: np.asarray(values, dtype=np.float64) for name, values in record["history"].items()}
    best = int(np.nanargmin(curves["val_loss"]))
    run = Run(
        number=record["seed"],
        at_best=Measurement.at(record["history"], best),
        best_epoch=best,
        parameters=record["parameters"],
        fit=Fit.GOOD,  # the choice does not look at it
        feasible=True,
    )
    repeats: list[Repeat] = []
    tests: list[float] = []
    for other in again:  # to the epoch that was best with the first seed, as a search repeats
        measured = Measurement.at(other["history"], best)
        repeats.append(repeat_of(run.number, 1 + len(repeats), other["seed"], measured, best + 1))
        tests.append(float(other["history"]["test_loss"][best]))
    return Recorded(curves, run, tuple(repeats), tuple(tests))


def _seed_noise(recorded: Sequence[Recorded]) -> str:
    """Seed noise with the runs that were repeated, which were picked for a low loss, and without them."""
    every = [repeat for one in recorded for repeat in one.repeats]
    first = [_with_loss(one.run, one.repeats[0].val_loss) for one in recorded]
    among = seed_std(first, [repeat for one in recorded for repeat in one.repeats[1:]]) or math.nan
    with_first = seed_std([one.run for one in recorded], every) or math.nan
    return (
        f"seed noise by {len(every)} repeats of {len(recorded)} runs: {among:.4f} among themselves, "
        f"{with_first:.4f} with the runs that they repeat"
    )


def _with_loss(run: Run, val_loss: float) -> Run:
    return replace(run, at_best=replace(run.at_best, val_loss=val_loss))


def report(table: Path, repeats: Path | None, size: int) -> None:
    """Print the comparison for one table."""
    recorded, losses = load(table, repeats)
    size = min(size, len(recorded))
    print(f"{table.name}: {len(recorded)} runs, {SEARCHES} searches of {size}; {len(losses)} with per-image losses")
    if repeats:
        print(_seed_noise([one for one in recorded if one.repeats]))
    print(f"\n| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
    for name, choice in CHOICES.items():
        mean, se = figures(recorded, losses, choice, SEARCHES, size, 0), errors(recorded, losses, choice, size, 0)
        again = "-" if math.isnan(mean["again"]) else f"{mean['again']:+.2%} ± {se['again']:.2%}"
        print(
            f"| {name} | {mean['loss']:+.2%} ± {se['loss']:.2%} | {mean['worst']:+.1%} | {again} "
            f"| {mean['gap']:.3f} ± {se['gap']:.3f} | {mean['differs']:.0%} |",
            flush=True,
        )


def main() -> int:
    """Compare the choices on a table. Returns 2 if it cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--repeats", type=Path, metavar="REPEATS")
    parser.add_argument("--runs", type=int, default=80, help="in each search (default %(default)s)")
    options = parser.parse_args()
    try:
        report(options.table, options.repeats, options.runs)
    except (OSError, ValueError, KeyError) as error:
        print(f"choice: {options.table}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
