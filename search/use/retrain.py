"""`gapsearch train best.yaml`: train the chosen configuration again and compare."""

import logging
import os
from pathlib import Path

import torch

from search.data import FOLDER, TrainOrTest, datasets
from search.data.cache import CachedImages
from search.data.tensors import DeviceData, SearchData, prepare
from search.errors import UserError, described
from search.measurement import Measurement, measure
from search.results.best_yaml import Best, load
from search.settings import resolve_devices
from search.training.precision import Precision
from search.training.recipe import Recipe
from search.training.tensor_files import save_tensors
from search.training.trainer import Trainer

logger = logging.getLogger(__name__)

CUDA_TOLERANCE = 0.05  # of the recorded loss: atomics and kernel choice differ from run to run


def retrain(path: Path, data_root: Path | None, device: str) -> bool:
    """Train for the recorded number of epochs and save the weights; whether the recorded figures came out.

    Where they did and the search had lost the weights, best.pt is written too.

    data_root: None for where the images lay.

    Raises UserError where the data is not what the configuration was found on.
    """
    best = load_sound(path)
    data = search_data(best, images_of(best, data_root))
    where = torch.device(resolve_devices(device)[0])
    torch.set_num_threads(best.environment["threads"])
    try:
        trainer, result = _trained(best, data.to(where))
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # of a user's own network perhaps, or of a GPU without room
        raise UserError(f"the training of {path} failed: {described(error)}") from error
    saved = path.with_name("retrained.pt")
    save_tensors(saved, trainer.weights())
    logger.info(f"weights: {saved}")
    same = _compare(best, result, where)
    if same and best.weights_sha256 is None and not best.weights_file.exists():
        save_tensors(best.weights_file, trainer.weights())
        logger.info(f"weights: {best.weights_file} too, which was missing")
    return same


def _trained(best: Best, data: DeviceData) -> tuple[Trainer, Measurement]:
    """To the recorded epoch, and what it comes to there."""
    trainer = Trainer(best.build_network, best.config, data, seed=best.seed, precision=Precision.of(best.environment))
    for number in range(best.epochs):
        epoch = trainer.epoch()
        result = measure(epoch.train, epoch.val)
        logger.info(
            f"epoch {number + 1:3d} of {best.epochs}  train_loss {result.train_loss:.4f}  "
            f"val_loss {result.val_loss:.4f}  gap {result.gap:7.4f}  accuracy {result.val_accuracy:.1%}"
        )
    return trainer, result


def load_sound(path: Path) -> Best:
    """A best.yaml that can be trained. Raises UserError where it is a final.yaml, or none of its space's."""
    best = load(path)
    if best.refit is not None:
        raise UserError(f"{path} is what `gapsearch refit` made; name the best.yaml that it is made from")
    best.require_network()
    try:
        Recipe.of(best.config)
    except ValueError as error:
        raise UserError(f"{path} cannot be trained: {error}; take one as the search has written it") from None
    return best


def images_of(best: Best, data_root: Path | None) -> Path:
    """Where the images of `best` are: in the folder that was given, or in the one that it names as seen from its own.

    Raises UserError where it is a folder of images that is neither given nor found.
    """
    if data_root is not None:
        return Path(os.path.expanduser(data_root))
    recorded = best.data.get("root")
    place = Path(os.path.normpath(best.weights_file.parent.absolute() / (recorded or "")))
    if recorded and place.is_dir():
        return place
    if best.data["name"] != FOLDER:
        return Path("data")
    why = f"the images are not in {place} any more" if recorded else "this best.yaml does not say where its images are"
    raise UserError(f"{why}; name their folder with --data-root")


def search_data(best: Best, data_root: Path) -> SearchData:
    """The images that `best` was found on, split as they were. Raises UserError as `search_images`."""
    return split_again(best, search_images(best, data_root))


def search_images(best: Best, data_root: Path) -> CachedImages:
    """The images that `best` was found on. Raises UserError where those under `data_root` are others."""
    source = read_part(best, "train", data_root)
    if source.fingerprint != best.data["fingerprint"]:
        raise UserError(
            f"the images under {data_root} are not those of this best.yaml: their fingerprint is "
            f"{source.fingerprint}, not {best.data['fingerprint']}; point --data-root at the same data"
        )
    return source


def split_again(best: Best, source: CachedImages) -> SearchData:
    """Those images, split as they were. Raises UserError where they are not what `best` tells of."""
    data = prepare(
        source,
        train_size=best.data["train_size"],
        val_size=best.data["val_size"],
        seed=best.data["seed"],
        flip=best.data["flip"],
        balance=best.data.get("balance", False),
    )
    _require_same(best, data)
    return data


def _require_same(best: Best, data: SearchData) -> None:
    """Raise UserError where a best.yaml tells of other images than its fingerprint."""
    channels, height, width = data.shape
    found = {"classes": list(data.classes), "channels": channels, "image_size": [height, width]}
    for name, value in found.items():
        if best.data[name] != value:
            raise UserError(
                f"data.{name} of this best.yaml is {best.data[name]}, that of its images {value}; "
                f"take one as the search has written it"
            )


def read_part(best: Best, part: TrainOrTest, data_root: Path) -> CachedImages:
    """One part of the data set that `best` was found on."""
    return datasets.load(
        best.data["name"],
        part,
        data_root,
        image_size=best.data["image_size"][0],
        skip_bad_images=True,  # the fingerprint tells whether they are the same ones
    )


def _compare(best: Best, now: Measurement, device: torch.device) -> bool:
    recorded, again = best.metrics["val_loss"], now.val_loss
    if again == recorded and now.gap == best.metrics["gap"]:
        logger.info(f"reproduced to the last digit: val_loss {again!r}, gap {now.gap!r}")
        return True
    tolerance = 0.0 if device.type == "cpu" else CUDA_TOLERANCE
    difference = f"{again / recorded - 1:+.2%}" if recorded else f"{again - recorded:+.2g}"
    logger.info(f"recorded val_loss {recorded!r}, now {again!r}: a difference of {difference}")
    if abs(again - recorded) <= tolerance * recorded:
        return True
    logger.warning(
        f"recorded on {best.environment['hardware']} with torch {best.environment['torch']}; another processor or "
        f"another release gives other roundings"
    )
    return False
