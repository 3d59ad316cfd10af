"""Optuna, TPE and MedianPruner: a process for each core, which share a study in SQLite."""

import optuna
import torch

from spaces import cnn
from studies.benchmarks.race.contenders.task import EPOCHS, Keeper, parse
from studies.benchmarks.race.contenders.training import Training


def main() -> None:
    """Trials until the end; started once for each core."""
    task = parse()
    keeper, data = Keeper(task), task.data()

    def objective(trial: optuna.Trial) -> float:
        torch.manual_seed(1000 * task.seed + trial.number)
        lowest = float("inf")
        for epoch, val_loss in enumerate(Training(cnn.suggest(trial), data, keeper).epochs(EPOCHS)):
            lowest = min(lowest, val_loss)
            trial.report(val_loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return lowest

    study = optuna.create_study(
        storage=optuna.storages.RDBStorage(
            f"sqlite:///{task.folder / 'study.db'}", engine_kwargs={"connect_args": {"timeout": 60}}
        ),
        study_name="race",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=None if task.cores > 1 else task.seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, timeout=task.left)


if __name__ == "__main__":
    main()
