"""Optuna with Lightning, as Optuna's Lightning example has it: a LightningModule, a Trainer for each trial."""

import warnings
from typing import Any

import lightning.pytorch as pl
import optuna
import torch
import torch.nn.functional as F
from optuna_integration import PyTorchLightningPruningCallback
from torch.utils.data import DataLoader

from studies.benchmarks.throughput.peers.images import loaders
from studies.benchmarks.throughput.peers.task import DROPOUT, LEARNING_RATE, WEIGHT_DECAY, Report, Task, network, parse

epochs_trained: list[int] = []
accuracies: list[float] = []


class LightningNet(pl.LightningModule):
    """The network, and its two losses after each epoch."""

    def __init__(self, task: Task, dropout: float, learning_rate: float, weight_decay: float) -> None:
        super().__init__()
        self.model = network(task, dropout)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        return self.model(data)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:  # noqa: ANN401
        data, target = batch
        return F.cross_entropy(self(data), target)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int) -> None:  # noqa: ANN401
        data, target = batch
        output = self(data)
        name = ("train", "val")[dataloader_idx]
        self.log(f"{name}_loss", F.cross_entropy(output, target), add_dataloader_idx=False)
        self.log(f"{name}_acc", (output.argmax(dim=1) == target).float().mean(), add_dataloader_idx=False)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)


class Images(pl.LightningDataModule):
    """Images to train on; the train probe and the validation images to measure on."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def setup(self, stage: str | None = None) -> None:
        self.train_loader, self.probe_loader, self.valid_loader = loaders(self.task)

    def train_dataloader(self) -> DataLoader:
        return self.train_loader

    def val_dataloader(self) -> list[DataLoader]:
        return [self.probe_loader, self.valid_loader]


def objective(trial: optuna.Trial, task: Task) -> float:
    """Train one configuration; its validation loss."""
    model = LightningNet(
        task,
        dropout=trial.suggest_float("dropout", *DROPOUT),
        learning_rate=trial.suggest_float("learning_rate", *LEARNING_RATE, log=True),
        weight_decay=trial.suggest_float("weight_decay", *WEIGHT_DECAY, log=True),
    )
    trainer = pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=task.epochs,
        accelerator="cpu",
        devices=1,
        callbacks=[PyTorchLightningPruningCallback(trial, monitor="val_loss")],
    )
    try:
        trainer.fit(model, datamodule=Images(task))
    finally:
        epochs_trained.append(trainer.current_epoch)
    accuracies.append(trainer.callback_metrics["val_acc"].item())
    return trainer.callback_metrics["val_loss"].item()


def main() -> None:
    """All trials, one after the other."""
    task = parse()
    report = Report()
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    study = optuna.create_study()
    study.optimize(lambda trial: objective(trial, task), n_trials=task.trials)
    report.write(epochs_trained, accuracies)


if __name__ == "__main__":
    main()
