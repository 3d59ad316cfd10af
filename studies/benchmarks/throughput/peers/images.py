"""Fashion-MNIST as PyTorch's documentation shows it: torchvision's data set, a transform per image, DataLoaders."""

import torch
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from search.training import augment
from studies.benchmarks.throughput.peers.task import BATCH_SIZE, DEVIATION, MEAN, STRENGTH, Task, split

PLAIN = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
# the ranges of search.training.augment at half their strength
AUGMENTED = [
    transforms.RandomHorizontalFlip(STRENGTH * augment.FLIP),
    transforms.RandomAffine(
        degrees=STRENGTH * 30,
        translate=(STRENGTH * augment.SHIFT, STRENGTH * augment.SHIFT),
        scale=(1 - STRENGTH * augment.ZOOM, 1 + STRENGTH * augment.ZOOM),
        shear=STRENGTH * 11.3,  # degrees, whose tangent is the 0.2 of search.training.augment
    ),
    transforms.ColorJitter(brightness=STRENGTH * augment.BRIGHTNESS, contrast=STRENGTH * augment.CONTRAST),
    *PLAIN,
    transforms.RandomErasing(STRENGTH * augment.ERASE, scale=(0.02, 0.2), ratio=(1, 1)),
]


def loaders(task: Task) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Images to train on, the train probe, and those to validate on."""
    transform = transforms.Compose(AUGMENTED if task.augmentation else PLAIN)
    to_train = datasets.FashionMNIST(str(task.data_root), train=True, transform=transform)
    to_measure = datasets.FashionMNIST(str(task.data_root), train=True, transform=transforms.Compose(PLAIN))
    indices = split(to_train.targets.numpy(), task)
    return (
        DataLoader(Subset(to_train, indices.train.tolist()), batch_size=BATCH_SIZE, shuffle=True),
        DataLoader(Subset(to_measure, indices.probe.tolist()), batch_size=BATCH_SIZE),
        DataLoader(Subset(to_measure, indices.val.tolist()), batch_size=BATCH_SIZE),
    )


def measure(model: torch.nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Mean cross-entropy and accuracy, in eval mode."""
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            loss += torch.nn.functional.cross_entropy(output, target, reduction="sum").item()
            correct += (output.argmax(dim=1) == target).sum().item()
    return loss / len(loader.dataset), correct / len(loader.dataset)  # type: ignore[arg-type]
