"""`gapsearch labels best.yaml`: the images whose labels look wrong.

A network memorizes a wrong label that it trains on, so its loss there tells nothing. Here the images that the search
saw are cut in two halves, and each half is judged by networks that were trained on the other one: of several of the
best configurations, for the epochs recorded. The higher the mean loss, the more suspicious the label.
"""

import contextlib
import csv
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from search.balance import weighed_back
from search.data.splits import Splits
from search.data.tensors import SearchData
from search.engine.interruption import Interruption
from search.errors import SearchInterrupted, UserError, printable
from search.files import replace_file
from search.finals.pictures import MOST, pictures_of
from search.results.best_yaml import Best
from search.results.suspects import Suspects, save
from search.settings import resolve_devices
from search.show.text import plural
from search.use.confirm import places
from search.use.contenders import contenders, write_report_anew
from search.use.fresh import Candidate, Failure, Fresh, Job, Task, fingerprint_of, losses_of, train_fresh
from search.use.retrain import images_of, load_sound, search_images, split_again

logger = logging.getLogger(__name__)

FIRST = 3_000_003  # added to the recorded seed for the first network
CONFIGURATIONS = 3  # of the best ones, that judge in turns
PROBE = 100  # images of a half that it is measured on itself
NAME = "labels.csv"


def labels(path: Path, data_root: Path | None, device: str, networks: int, storage: str | None = None) -> Suspects:
    """Judge each image by that many networks; write labels.csv beside best.yaml, and the report anew.

    data_root: None for where the images lay. storage: URL of the study's database, for its other good configurations.

    A network whose training fails is left out. Raises UserError where the data is not what the configuration was found
    on, and where no network is left. Raises SearchInterrupted after Ctrl-C or SIGTERM; nothing is kept then.
    """
    best = load_sound(path)
    source = search_images(best, images_of(best, data_root))
    data = split_again(best, source)
    candidates = _candidates(path, best, min(networks, CONFIGURATIONS), storage)
    jobs = [(candidates[number % len(candidates)], best.seed + FIRST + number) for number in range(networks)]
    images = np.sort(np.concatenate([data.splits.train, data.splits.val]))
    halves = halved(images, data.labels[images], best.seed, source.copies)
    logger.info(
        f"{len(images):,} images in two halves; {plural(2 * networks, 'training')} of at most "
        f"{plural(max(one.epochs for one, _ in jobs), 'epoch')} on one half each, which costs as much as "
        f"{plural(networks, 'trial')}"
    )
    task = Task(path, fingerprint_of(path, best), data, data)
    losses, predicted = _judge(task, halves, places(resolve_devices(device)), jobs)
    found = suspects(best.weights_sha256 or "", data, images, losses[:, images], predicted[:, images])
    _write(path.parent, data, found)
    logger.info(
        f"{plural(len(found.images), 'image')} of {len(images):,} are taken for another class than their label by most "
        f"networks; the most suspicious first: {path.with_name(NAME)}"
    )
    logger.info(f"report: {write_report_anew(path, best, storage)}")
    return found


def halved(
    images: np.ndarray, labels: np.ndarray, seed: int, copies: Sequence[Sequence[int]] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of `images`, int64, ascending, each with the class proportions of the whole. labels: of the images.

    Copies are in one half, or a network would have memorized the label that it judges.
    """
    like = np.arange(len(images))  # of each image the first of its copies
    places = {int(image): place for place, image in enumerate(images)}
    for same in copies:
        there = [places[image] for image in same if image in places]
        like[there] = there[:1]
    shuffled = np.random.default_rng(seed).permutation(np.unique(like))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    first = np.isin(like, by_class[::2])
    return images[first], images[~first]


def suspects(
    weights_sha256: str, data: SearchData, images: np.ndarray, losses: np.ndarray, predicted: np.ndarray
) -> Suspects:
    """Those of `images` that most networks take for another class, the highest mean loss first.

    losses, predicted: (networks, n), by networks that did not train on the image.
    """
    given, mean = data.labels[images], losses.mean(axis=0)
    wrong = (predicted != given).sum(axis=0)
    order = np.argsort(-mean, kind="stable")
    order = order[2 * wrong[order] > len(losses)]
    votes = np.zeros((len(data.classes), len(order)), np.int64)
    np.add.at(votes, (predicted[:, order], np.arange(len(order))), 1)
    votes[given[order], np.arange(len(order))] = 0
    return Suspects(
        weights_sha256,
        images=images[order],
        labels=given[order],
        suggested=votes.argmax(axis=0),
        losses=mean[order],
        wrong=wrong[order],
        networks=len(losses),
        examined=len(images),
        pictures=pictures_of(data, images[order], np.arange(min(MOST, len(order)))),
    )


def _candidates(path: Path, best: Best, most: int, storage: str | None) -> list[Candidate]:
    """The chosen configuration, and others of its study where that is there."""
    try:
        return [one.candidate for one in contenders(path, best, most, storage)]
    except UserError as error:
        logger.info(f"the chosen configuration alone judges: {error}")
        return [Candidate(best.trial, best.config, best.epochs)]


def _judge(
    task: Task, halves: tuple[np.ndarray, np.ndarray], devices: Sequence[str], jobs: Sequence[Job]
) -> tuple[np.ndarray, np.ndarray]:
    """Losses and predicted classes of all images, each of shape (networks, n), by those not trained on the image.

    As many networks for one half as for the other, so that their means and votes compare. What is in no half is left as
    it comes.
    """
    data, judges = task.data, list[tuple[np.ndarray, SearchData, list[Fresh]]]()
    for trained_on, judged in (halves, halves[::-1]):
        half = replace(data, splits=Splits(trained_on, judged, trained_on[:: max(1, len(trained_on) // PROBE)]))
        judges.append((judged, half, _train(replace(task, data=half, test=half), devices, jobs)))
    networks = min(len(runs) for _, _, runs in judges)
    if networks < len(jobs):
        logger.warning(f"each image is judged by {plural(networks, 'network')}, in place of {len(jobs)}")
    losses, predicted = np.empty((networks, len(data.labels))), np.empty((networks, len(data.labels)), np.int64)
    for judged, half, runs in judges:
        for row, run in enumerate(runs[:networks]):
            losses[row, judged] = _plain(losses_of(run.val_losses), half)
            predicted[row, judged] = np.frombuffer(run.test_predicted, np.int32)
    return losses, predicted


def _plain(losses: np.ndarray, half: SearchData) -> np.ndarray:
    """Losses as they are where no class weighs more than another."""
    if half.class_weights is None:
        return losses
    return weighed_back(losses, half.class_weights[half.val_labels])


def _train(task: Task, devices: Sequence[str], jobs: Sequence[Job]) -> list[Fresh]:
    """Those that come to an end, by their seeds. Raises UserError where none does, and SearchInterrupted."""
    runs, failures = list[Fresh](), list[Failure]()
    with Interruption(lambda: None) as interruption:
        with contextlib.closing(train_fresh(task, jobs, devices, _go_on(interruption))) as results:
            for number, result in enumerate(results, start=1):
                if isinstance(result, Failure):
                    failures.append(result)
                    said = f"the training with seed {result.seed} failed: {result.reason}; it is left out"
                    logger.warning(f"[{number}/{len(jobs)}] {said}")
                    continue
                runs.append(result)
                logger.info(
                    f"[{number}/{len(jobs)}] trial {result.trial}  loss on the other half {result.val_loss:.4f}  "
                    f"accuracy {result.test_accuracy:.1%}"
                )
        if interruption.signal is not None:
            raise SearchInterrupted(interruption.signal, "nothing is kept; the same command begins anew")
    if not runs:
        raise UserError(
            f"no training on one of the halves came to an end: {failures[0].reason}; nothing is written; "
            "more --networks train with other seeds too"
        )
    return sorted(runs, key=lambda run: run.seed)


def _go_on(interruption: Interruption) -> Callable[[], bool]:
    def go_on() -> bool:
        interruption.beat()
        return interruption.signal is None

    return go_on


def _write(folder: Path, data: SearchData, found: Suspects) -> None:
    """labels.csv, and what the report shows. Raises UserError where they cannot be written."""
    validates = np.isin(found.images, data.splits.val)
    names = [printable(name) for name in data.classes]

    def write(scratch: Path) -> None:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["image", "path", "split", "label", "suggested", "loss", "wrong_in", "networks"])
            for place, (index, name) in enumerate(zip(found.images.tolist(), data.names(found.images), strict=True)):
                split = "validation" if validates[place] else "train"
                classes = names[found.labels[place]], names[found.suggested[place]]
                row = [f"{found.losses[place]:.4f}", found.wrong[place], found.networks]
                writer.writerow([index, printable(name), split, *classes, *row])

    try:
        replace_file(folder / NAME, write)
        save(folder, found)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; mend that and start again") from None
