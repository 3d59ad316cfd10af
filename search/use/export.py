"""`gapsearch export best.yaml`: the network in a file for other programs, checked, with a model card beside it."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from search.errors import UserError, described
from search.files import replace_file
from search.results.best_yaml import Best, load, read
from search.show.model_card import model_card
from search.use.formats import FORMATS, Format, Run, classifier_of, run
from search.use.targets import check_target

logger = logging.getLogger(__name__)

CHECKED = 100  # images
TOLERANCE = 1e-4  # of a probability
CARD = "model_card.md"


def export(path: Path, kind: str, out: Path | None) -> Path:
    """Write the network of the best.yaml at `path` in the format `kind`, and a model card beside it.

    out: None for the name of best.yaml with the format's suffix. Returns where it was written.

    Raises UserError where a package is missing, where the network cannot be written in that format, and where what was
    written gives other probabilities; then nothing is written. Raises OSError where the files cannot be written.
    """
    form = FORMATS[kind]
    form.require()
    best, target = load(path), out or path.with_suffix(form.suffix)
    check_target(target, path)
    if target.name == CARD:
        raise UserError(f"--out {target} is the name of the model card, which is written beside; name another file")
    content, difference = _checked(best, kind, form)
    replace_file(target, lambda scratch: scratch.write_bytes(content))
    logger.info(
        f"written: {target}; on {CHECKED} made-up images its probabilities differ from PyTorch's by at most "
        f"{difference:.1e}"
    )
    _write_card(target, kind, path)
    return target


def metadata(best: Best) -> dict[str, str]:
    """What a file tells of itself: texts, lists as JSON."""
    data = best.data
    entries = {
        "study": best.study,
        "trial": best.trial,
        "classes": data["classes"],
        "image_size": data["image_size"],
        "channels": data["channels"],
        "mean": data["mean"],
        "std": data["std"],
        "temperature": best.temperature,
        "space": best.space,
        "config": best.config,
        "val_loss": best.metrics["val_loss"],
        "val_accuracy": best.metrics["val_accuracy"],
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in entries.items()}


def made_up_images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Images from plain surfaces to fine noise, uint8 (count, height, width, channels): noise alone looks all alike."""
    rng, images = np.random.default_rng(0), np.empty((count, height, width, channels), np.uint8)
    for image in images:
        patch = int(rng.integers(1, max(height, width) + 1))
        coarse = rng.integers(0, 256, (-(-height // patch), -(-width // patch), channels), dtype=np.uint8)
        image[:] = coarse.repeat(patch, 0).repeat(patch, 1)[:height, :width]
    return images


def _checked(best: Best, kind: str, form: Format) -> tuple[bytes, float]:
    """The content of a file, and by how much its probabilities differ from PyTorch's at most. Raises UserError."""
    classifier = classifier_of(best, best.trained())
    height, width = best.data["image_size"]
    images = made_up_images(CHECKED, height, width, best.data["channels"])
    try:
        with _quiet():
            content = form.write(classifier, torch.from_numpy(images[:2]), metadata(best))
            difference = _difference(form.read(content, best), images, run(classifier, images))
    except Exception as error:  # networks may hold anything, and exporters raise nearly anything
        instead = "" if kind == "safetensors" else ", or take --format safetensors, which keeps its weights alone"
        raise UserError(
            f"cannot export the network of the space {best.space} to {kind}: {described(error)}; change it{instead}"
        ) from error
    if not difference < TOLERANCE:
        raise UserError(
            f"nothing was written: exported to {kind}, the probabilities differ from PyTorch's by up to "
            f"{difference:.1e}, more than {TOLERANCE:g}; take another format, or other releases of its packages"
        )
    return content, difference


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters say much that is no concern of whoever calls them, and an error is told in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        nowhere = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _difference(run_file: Run, images: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference between probabilities; the first image is alone, since a batch may have any size."""
    found = np.concatenate([run_file(images[:1]), run_file(images[1:])])
    return float(np.abs(found - expected).max())


def _write_card(target: Path, kind: str, origin: Path) -> None:
    """Of the best.yaml at `origin`, beside an exported file.

    It tells how to load that, and the files of other formats that are called like it.
    """
    files = {name: target.with_suffix(form.suffix) for name, form in FORMATS.items()} | {kind: target}
    there = {name: file.name for name, file in files.items() if file.is_file()}
    text, card = model_card(read(origin), there, origin.name), target.with_name(CARD)
    replace_file(card, lambda scratch: scratch.write_text(text, encoding="utf-8"))
    logger.info(f"written: {card}")
