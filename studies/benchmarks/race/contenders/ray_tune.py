"""Ray Tune: ASHA and its Optuna search, a process and a CPU for each trial."""

import optuna
import ray
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from search.data.tensors import SearchData
from spaces import cnn
from studies.benchmarks.race.contenders.task import EPOCHS, Keeper, Task, parse
from studies.benchmarks.race.contenders.training import Training


def space(trial: optuna.Trial) -> None:
    """Draw a configuration, as Ray wants it: without its return value."""
    cnn.suggest(trial)


def train(config: dict[str, float], task: Task, data: SearchData) -> None:
    """One trial."""
    torch.manual_seed(task.seed)
    for val_loss in Training(config, data, Keeper(task)).epochs(EPOCHS):
        tune.report({"val_loss": val_loss})


def main() -> None:
    """Trials until the end."""
    task = parse()
    ray.init(num_cpus=task.cores, include_dashboard=False, log_to_driver=False)
    searcher = OptunaSearch(space, metric="val_loss", mode="min", seed=task.seed)
    tune.Tuner(
        tune.with_parameters(train, task=task, data=task.data()),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=ASHAScheduler(metric="val_loss", mode="min", max_t=EPOCHS),
            num_samples=-1,
            time_budget_s=task.left,
        ),
        run_config=tune.RunConfig(storage_path=str(task.folder), verbose=0),
    ).fit()


if __name__ == "__main__":
    main()
