"""Ray Tune without a scheduler, as its PyTorch example has it: a training function, a process and a CPU per trial."""

import ray
import torch
import torch.nn.functional as F
from ray import tune

from studies.benchmarks.throughput.peers.images import loaders, measure
from studies.benchmarks.throughput.peers.task import DROPOUT, LEARNING_RATE, WEIGHT_DECAY, Report, Task, network, parse


def train(config: dict[str, float], task: Task) -> None:
    """Train one configuration, reporting after each epoch."""
    model = network(task, config["dropout"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])
    train_loader, probe_loader, valid_loader = loaders(task)
    for _ in range(task.epochs):
        model.train()
        for data, target in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data), target)
            loss.backward()
            optimizer.step()
        train_loss, _ = measure(model, probe_loader)
        val_loss, accuracy = measure(model, valid_loader)
        tune.report({"train_loss": train_loss, "val_loss": val_loss, "accuracy": accuracy})


def main() -> None:
    """All trials, as many at a time as there are CPUs."""
    task = parse()
    report = Report()
    ray.init(num_cpus=task.cores, include_dashboard=False)
    tuner = tune.Tuner(
        tune.with_parameters(train, task=task),
        tune_config=tune.TuneConfig(metric="val_loss", mode="min", num_samples=task.trials),
        run_config=tune.RunConfig(storage_path=str(task.folder), verbose=0),
        param_space={
            "dropout": tune.uniform(*DROPOUT),
            "learning_rate": tune.loguniform(*LEARNING_RATE),
            "weight_decay": tune.loguniform(*WEIGHT_DECAY),
        },
    )
    results = tuner.fit()
    report.write(
        [result.metrics["training_iteration"] for result in results],
        [result.metrics["accuracy"] for result in results],
    )


if __name__ == "__main__":
    main()
