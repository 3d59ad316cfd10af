"""Optuna with a hand-written PyTorch loop, as its PyTorch example has it: DataLoader, torchvision transforms.

One process, or several that share the study through SQLite, as Optuna's tutorial "Easy Parallelization" shows; each of
these computes on one thread.
"""

import time

import optuna
import torch
import torch.nn.functional as F

from studies.benchmarks.throughput.peers.images import loaders, measure
from studies.benchmarks.throughput.peers.task import (
    DROPOUT,
    LEARNING_RATE,
    STUDY,
    WEIGHT_DECAY,
    Report,
    Task,
    network,
    parse,
    shared_storage,
)

epochs_trained: list[int] = []
accuracies: list[float] = []
measuring = 0.0


def objective(trial: optuna.Trial, task: Task) -> float:
    """Train one configuration; its validation loss."""
    global measuring
    model = network(task, trial.suggest_float("dropout", *DROPOUT))
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=trial.suggest_float("learning_rate", *LEARNING_RATE, log=True),
        weight_decay=trial.suggest_float("weight_decay", *WEIGHT_DECAY, log=True),
    )
    train_loader, probe_loader, valid_loader = loaders(task)
    epochs_trained.append(0)
    for epoch in range(task.epochs):
        model.train()
        for data, target in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data), target)
            loss.backward()
            optimizer.step()
        started = time.perf_counter()
        train_loss, _ = measure(model, probe_loader)
        val_loss, accuracy = measure(model, valid_loader)
        measuring += time.perf_counter() - started
        epochs_trained[-1] += 1
        trial.set_user_attr("train_loss", train_loss)
        trial.report(val_loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    accuracies.append(accuracy)
    return val_loss


def main() -> None:
    """This process's share of the trials."""
    task = parse()
    report = Report()
    if task.copies > 1:
        torch.set_num_threads(1)
        study = optuna.load_study(study_name=STUDY, storage=shared_storage(task))
    else:
        study = optuna.create_study()
    study.optimize(lambda trial: objective(trial, task), n_trials=task.trials // task.copies)
    report.write(epochs_trained, accuracies, measuring=measuring)


if __name__ == "__main__":
    main()
