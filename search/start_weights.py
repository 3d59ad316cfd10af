"""The weights that a search over pretrained networks begins with: published ones, those of a file, or none.

A space of such networks has a function `fetch(weights)`, which brings them to this machine, and its `suggest` takes
`weights=`. It answers a file with the entry `weights: pretrained.pt`: a copy of that name lies in the run folder, so
that the configuration can be trained again wherever the folder is taken.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import UserError
from search.files import replace_file
from search.networks import Build
from search.spaces import load_space

if TYPE_CHECKING:
    import torch

PUBLISHED, NONE = "published", "none"
KEPT = "pretrained.pt"  # in the run folder


def is_file(weights: str | None) -> bool:
    """Whether weights are named by their file."""
    return weights not in (None, PUBLISHED, NONE)


def fingerprint(weights: str | None) -> str | None:
    """What tells weights from others: a hash of a file's content, `none`, or None for those of the space itself.

    Raises UserError where the file cannot be read.
    """
    if weights is None or not is_file(weights):
        return NONE if weights == NONE else None
    try:
        with open(weights, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise UserError(
            f"cannot read --weights {weights}: {error.strerror}; name a file, or take published or none"
        ) from error


def fetch(space: str, weights: str | None) -> None:
    """Have the weights on this machine. Raises UserError where they cannot be had, or fit none of its networks."""
    fetch = getattr(load_space(space), "fetch", None)
    if fetch is not None:
        fingerprint(weights)
        try:
            fetch(PUBLISHED if weights is None else weights)
        except (OSError, ValueError) as error:
            raise UserError(str(error)) from error


def keep(weights: str | None, folder: Path) -> None:
    """Copy a file of weights into the run folder. Raises OSError where it cannot be written."""
    if weights is not None and is_file(weights):
        replace_file(folder / KEPT, lambda scratch: shutil.copyfile(weights, scratch))


def beginning_with(build: Build, file: Path) -> Build:
    """`build`, with the weights in `file` for a configuration whose weights were a file."""

    def build_with(config: Mapping[str, Any], **image: Any) -> "torch.nn.Module":  # noqa: ANN401
        return build({**config, "weights": str(file)} if _needs_file(config) else config, **image)

    return build_with


def for_timing(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that takes as long, and needs no file."""
    return {**config, "weights": NONE} if _needs_file(config) else dict(config)


def _needs_file(config: Mapping[str, Any]) -> bool:
    return config.get("weights") == KEPT
