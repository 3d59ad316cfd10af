"""The search as a user starts it, with its rules. The number format is recorded beforehand, as by a first start."""

from dataclasses import asdict

import search.engine.launch  # noqa: F401  the imports of a start, which are not timed
from search import Search
from search.engine.launch import make_folder
from search.processes import start_fork_server
from search.recording.store import Store
from search.results.schema import StudyAttribute
from search.results.storage import open_study
from search.training.precision import Precision
from studies.benchmarks.throughput.peers.task import (
    BATCH_SIZE,
    DROPOUT,
    LEARNING_RATE,
    NETWORKS,
    STRENGTH,
    WEIGHT_DECAY,
    Report,
    Task,
    parse,
)


def search_of(task: Task) -> Search:
    """A search whose trials differ in learning rate, weight decay and dropout alone."""
    strength = STRENGTH if task.augmentation else 0.0
    fixed = NETWORKS[task.network] | {"batch_size": BATCH_SIZE, "augmentation": strength}
    free = {"learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY, "dropout": DROPOUT}
    return Search(
        name="throughput",
        dataset="FashionMNIST",
        ranges={name: (value, value) for name, value in fixed.items()} | free,
        start=False,
        trials=task.trials,
        epochs=task.epochs,
        out=task.folder / "run",
        data_root=task.data_root,
        train_size=task.train_size,
        val_size=task.val_size,
        seed=task.seed,
        device="cpu",
    )


def main() -> None:
    """Run the search and report from its run folder. Repeats with other seeds count as trained too."""
    task = parse()
    report = Report()
    start_fork_server()  # `run` would do it, but the number format has to be recorded before
    search = search_of(task)
    make_folder(search.folder)
    store = Store(search.storage_url, search.name, search.seed)
    store.remember(StudyAttribute.PRECISION, lambda: asdict(Precision(bf16=task.bf16, channels_last=True)))
    trials = search.run().trials
    curves = [trial.history["val_accuracy"] for trial in trials]
    with open_study(search.storage_url, search.name) as study:
        again = [repeat["epochs"] for repeat in study.user_attrs.get(StudyAttribute.REPEATS, ())]
    report.write(
        [len(curve) for curve in curves] + again,
        [curve[-1] for curve in curves if len(curve) == task.epochs],
        precision="bf16" if task.bf16 else "float32",
    )


if __name__ == "__main__":
    main()
