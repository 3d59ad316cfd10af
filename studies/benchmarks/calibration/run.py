"""Should the loss after the best temperature choose the epoch and the run, in place of the plain one?

    python studies/benchmarks/calibration/run.py --data FashionMNIST --data-root ../shared/data
    python studies/benchmarks/calibration/run.py --data folder --data-root CIFAR10

Late in training cross-entropy often rises by overconfidence alone, which a temperature takes away afterwards (Berta et
al. 2025, "Rethinking Early Stopping: Refine, Then Calibrate"). Random configurations of the `cnn` space are trained.
After each epoch a row of `epochs.csv` holds the validation loss as it is, and after a temperature, cross-fitted over two
halves of the images; and of the test images the accuracy, and the loss after the temperature of all validation images.
A run that has ended is not trained again. The table compares what each loss would choose.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.data import datasets
from search.data.tensors import DeviceData
from search.insight.calibration import calibrate, cross_entropy, fit_temperature
from search.training.evaluate import logits_of
from search.training.trainer import Trainer
from spaces import cnn
from studies.benchmarks.csv_rows import append, read
from studies.benchmarks.pruning.record import PRECISION, load, random_configs

PLAIN, CALIBRATED = "val_loss", "val_loss_calibrated"
SEARCH = 8  # runs in each of the searches that are drawn from the recorded ones
SEARCHES = 2000


def record(
    number: int, config: dict[str, object], data: DeviceData, test: DeviceData, epochs: int
) -> list[dict[str, float]]:
    """The rows of one run."""
    trainer = Trainer(cnn.build, config, data, seed=number, precision=PRECISION)
    rows = []
    for epoch in range(epochs):
        trainer.epoch()
        logits = logits_of(trainer.averaged, data, data.val, PRECISION).astype(float)
        on_test = logits_of(trainer.averaged, test, test.val, PRECISION).astype(float)
        labels, test_labels = data.labels[data.val].numpy(), test.labels[test.val].numpy()
        found, temperature = calibrate(logits, labels), fit_temperature(logits, labels)
        assert found is not None
        rows.append(
            {
                "run": number,
                "epoch": epoch,
                PLAIN: found.val_loss,
                CALIBRATED: found.val_loss_calibrated,
                "temperature": temperature,
                "test_loss": cross_entropy(on_test, test_labels),
                "test_loss_calibrated": cross_entropy(on_test / temperature, test_labels),
                "test_accuracy": float((on_test.argmax(axis=1) == test_labels).mean()),
            }
        )
    return rows


def by_epoch(rows: Sequence[dict[str, float]], chosen_by: str) -> dict[str, float]:
    """The epoch of a run with the lowest of that loss."""
    return min(rows, key=lambda row: row[chosen_by])


def compared(runs: Sequence[Sequence[dict[str, float]]]) -> list[str]:
    """What each loss chooses: the epoch of each run, and the run of each of many searches; lines of a table."""
    plain, calibrated = ([by_epoch(rows, loss) for rows in runs] for loss in (PLAIN, CALIBRATED))
    later = np.array([b["epoch"] - a["epoch"] for a, b in zip(plain, calibrated, strict=True)])
    lines = [_line("epoch of a run", plain, calibrated, len(runs)), f"(epochs later: {later.mean():.1f})"]
    rng = np.random.default_rng(0)
    drawn = [rng.choice(len(runs), min(SEARCH, len(runs)), replace=False) for _ in range(SEARCHES)]
    searches = [
        [min((one[i] for i in numbers), key=lambda row: row[loss]) for numbers in drawn]
        for one, loss in ((plain, PLAIN), (calibrated, CALIBRATED))
    ]
    return [*lines, _line(f"epoch and run, of {SEARCH}", *searches, len(runs) / SEARCH)]


def _line(what: str, plain: Sequence[dict[str, float]], other: Sequence[dict[str, float]], independent: float) -> str:
    """independent: how many of the pairs are; searches that share runs are not."""
    loss = np.array(
        [b["test_loss_calibrated"] / a["test_loss_calibrated"] - 1 for a, b in zip(plain, other, strict=True)]
    )
    right = np.array([b["test_accuracy"] - a["test_accuracy"] for a, b in zip(plain, other, strict=True)])
    errors = [values.std(ddof=1) / independent**0.5 for values in (loss, right)]
    return (
        f"| {what} | {loss.mean():+.2%} ± {errors[0]:.2%} | {right.mean() * 100:+.2f} ± {errors[1] * 100:.2f} points | "
        f"{(loss != 0).mean():.0%} |"
    )


def main() -> None:
    """Record what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=tuple(datasets.SOURCES), default="FashionMNIST")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--val-size", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("epochs.csv"))
    options = parser.parse_args()

    torch.set_num_threads(1)
    data, test = (part.to(torch.device("cpu")) for part in load(options))
    done = {int(row["run"]) for row in read(options.csv) if row["data"] == options.data}
    for number, config in enumerate(random_configs(options.runs, 31, {})):
        if number not in done:
            for row in record(number, config, data, test, options.epochs):
                append(options.csv, {"data": options.data, **row})
            print(f"run {number + 1} of {options.runs}", flush=True)
    runs: dict[str, list[dict[str, float]]] = {}
    for row in read(options.csv):
        if row["data"] == options.data:
            runs.setdefault(row["run"], []).append(
                {name: float(value) for name, value in row.items() if name != "data"}
            )
    print(
        "| chosen by the loss after the temperature: | test loss after it | accuracy | differs |\n| --- | --- | --- | --- |"
    )
    print("\n".join(compared(list(runs.values()))))


if __name__ == "__main__":
    main()
