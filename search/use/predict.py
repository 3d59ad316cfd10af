"""`gapsearch predict best.yaml IMAGE|FOLDER...`: probabilities of image files, and how good they are."""

import contextlib
import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from search.data import FOLDER
from search.data.layout import number_of_images, parts_of, scan, shown
from search.data.parallel_decoding import DecodingProgress, decode_batches
from search.errors import UserError, printable
from search.measurement import mean_recall, share_error, standard_error
from search.results.best_yaml import Best
from search.training.classifier import Classifier

UNKNOWN = -1  # the label of an image in no class folder


@dataclass
class Files:
    """Image files in the order in which they were named."""

    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)  # of each the number of its class, or UNKNOWN
    strangers: list[str] = field(default_factory=list)  # folders of images in a named one that no class is called by


@dataclass
class Predicted:
    """What became of image files."""

    skipped: list[tuple[str, str]]  # those that could not be read: path and reason
    labels: np.ndarray  # int64 (n,): of those in a class folder
    losses: np.ndarray  # float64 (n,): of the same, cross-entropy in nats
    correct: np.ndarray  # bool (n,): likewise
    of_search: int  # of the same, those in the image folder of the search

    def figures(self) -> Iterator[str]:
        """Accuracy and loss of the images in class folders, with standard errors, in a line if there are any."""
        if not len(self.labels):
            return
        share, alike = self.correct.mean(), mean_recall(self.labels, self.correct)
        loss_error = f" ± {standard_error(self.losses):.4f}" if len(self.losses) > 1 else ""
        yield (
            f"{number_of_images(len(self.labels))} in class folders: accuracy {share:.1%} ± "
            f"{share_error(share, len(self.labels)):.1%}, balanced accuracy {alike:.1%}, "
            f"loss {self.losses.mean():.4f}{loss_error}{self._doubt()}"
        )

    def _doubt(self) -> str:
        if not self.of_search:
            return ""
        which = "these" if self.of_search == len(self.labels) else f"{self.of_search:,} of these"
        return f"; {which} are images of the search, most of which the network learned from: no measure on new ones"


def find_files(places: Sequence[Path], classes: Sequence[str]) -> Files:
    """The images that a person names, those in a folder by their suffix.

    An image is labelled where it lies in a folder of that class in a folder that was named.

    Raises UserError where there is nothing of that name, and for a folder without images.
    """
    files = Files()
    for place in places:
        if not os.path.lexists(place):
            raise UserError(f"there is no file or folder {place}; name images, or a folder of images")
        if os.path.isdir(place):
            _add_folder(files, place, classes)
        else:
            files.paths.append(str(place))
            files.labels.append(UNKNOWN)
    return files


def predict(best: Best, files: Files, target: TextIO, messages: TextIO) -> Predicted:
    """Write a CSV row for each image to `target`, and tell of the progress on `messages`.

    Raises UserError where the network of `best` cannot be had.
    """
    classifier = best.classifier  # before the header is written: it may not be there
    classes = [printable(name) for name in best.data["classes"]]
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["path", "predicted", "probability", *(f"p_{name}" for name in classes)])
    skipped, labelled, labels, losses, correct = [], list[str](), list[int](), list[float](), list[bool]()
    progress = DecodingProgress(len(files.paths), messages, "predicting")
    with contextlib.closing(decode_batches(files.paths, best.input_size, best.data["channels"], progress)) as batches:
        for path, label, row in zip(files.paths, files.labels, _rows(batches, classifier), strict=True):
            if isinstance(row, str):
                skipped.append((path, row))
                continue
            winner, probabilities = int(row.argmax()), np.exp(row)
            cells = [f"{value:.6g}" for value in (probabilities[winner], *probabilities)]
            writer.writerow([printable(path), classes[winner], *cells])
            if label != UNKNOWN:
                labelled.append(path)
                labels.append(label)
                losses.append(-float(row[label]))
                correct.append(winner == label)
    of_search = _of_search(best, labelled)
    return Predicted(skipped, np.array(labels, np.int64), np.array(losses), np.array(correct, bool), of_search)


def _of_search(best: Best, paths: Sequence[str]) -> int:
    """How many of these files lie in the image folder of the search, a test part of its own left out."""
    recorded = best.data.get("root")
    root = best.weights_file.parent / (recorded or "")
    if best.data["name"] != FOLDER or not recorded or not root.is_dir():
        return 0
    try:
        test = parts_of(root).get("test")
    except (UserError, OSError):  # it has changed since
        test = None
    folders = Counter(os.path.dirname(path) for path in paths)
    return sum(
        count
        for folder, count in folders.items()
        if _within(folder, root) and not (test is not None and _within(folder, root / test))
    )


def _within(folder: str, root: Path) -> bool:
    """By its name, or where links lead."""
    return any(Path(way(folder)).is_relative_to(way(root)) for way in (os.path.abspath, os.path.realpath))


def _rows(batches: Iterable[tuple[np.ndarray, list[str | None]]], classifier: Classifier) -> Iterator[np.ndarray | str]:
    """For each image its log probabilities, float32 (classes,), or the reason why it cannot be read."""
    for pixels, reasons in batches:
        rows = iter(classifier.log_probabilities_of(pixels) if len(pixels) else ())  # a network need not take none
        for reason in reasons:
            yield next(rows) if reason is None else reason


def _add_folder(files: Files, folder: Path, classes: Sequence[str]) -> None:
    """Raises UserError for a folder without images."""
    found = scan(folder, "")
    numbers = {name: number for number, name in enumerate(classes)}
    labelled = [(name, UNKNOWN) for name in found.loose]
    for label, names in found.images.items():
        number = numbers.get(shown(label), UNKNOWN)
        labelled += [(name, number) for name in names]
        if number == UNKNOWN:
            files.strangers.append(str(folder / label))
    if not labelled:
        raise UserError(f"there are no images in {folder}; name images, or a folder of images")
    files.paths += [str(folder / name) for name, _ in labelled]
    files.labels += [label for _, label in labelled]
