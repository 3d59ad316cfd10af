"""best.yaml and best.pt: the chosen configuration and its weights, written and read.

torch is imported where the network is built or its weights are written: it takes seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from search.errors import UserError
from search.files import replace_file
from search.spaces import Space, find_space

if TYPE_CHECKING:
    import torch

VERSION = 1


@dataclass(frozen=True)
class Best:
    """The content of a best.yaml."""

    study: str
    trial: int
    space: str  # dotted name, or the name of its file
    config: dict[str, Any]  # what the space made of what was drawn
    epochs: int  # to train: up to and including the best epoch
    seed: int  # of initial weights, shuffling and augmentation
    metrics: dict[str, float]  # at the best epoch, with standard errors
    choice: dict[str, Any]  # why it was chosen, and over which trials
    data: dict[str, Any]  # what the figures were measured on
    environment: dict[str, Any]  # what they were measured with
    build_network: Callable[..., "torch.nn.Module"]
    weights_file: Path
    confirmation: dict[str, Any] | None = None  # what `gapsearch confirm` found; None before

    def build(self) -> "torch.nn.Module":
        """The network of this configuration, its weights fresh."""
        return self.build_network(
            self.config,
            channels=self.data["channels"],
            image_size=tuple(self.data["image_size"]),
            classes=len(self.data["classes"]),
        )

    def trained(self) -> "torch.nn.Module":
        """The network with the weights of best.pt, in eval mode; it takes images normalized as `data` says."""
        import torch

        model = self.build()
        model.load_state_dict(torch.load(self.weights_file, map_location="cpu", weights_only=True))
        return model.eval()


def load(path: str | Path, space: Space | None = None) -> Best:
    """Read a best.yaml.

    The space named there is imported, or run from its file: the copy beside best.yaml, or else that path below
    the current folder. `space`, a module of yours perhaps, takes its place.

    Raises UserError where best.yaml is missing, is none, or comes from a newer version, and where its space
    cannot be found.
    """
    path = Path(path)
    content = read(path)
    build = (space or _space_of(content["space"], path)).build
    try:
        return Best(**content, build_network=build, weights_file=path.with_name("best.pt"))
    except TypeError as error:
        raise UserError(f"{path} is no complete best.yaml: {error}") from None


def read(path: Path) -> dict[str, Any]:
    """The content of a best.yaml: the fields of `Best` that it holds; its space need not be there.

    Raises UserError where it is missing, is none, or comes from a newer version.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; a finished search writes it to its run folder"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or "version" not in content:
        raise UserError(f"{path} is no best.yaml: it has no version")
    if content.pop("version") != VERSION:
        raise UserError(f"{path} was written by another version of gapsearch; install the one it names")
    held = {field.name for field in fields(Best) if field.default is MISSING} - {"build_network", "weights_file"}
    if missing := sorted(held - content.keys()):
        raise UserError(f"{path} is no complete best.yaml: it lacks {', '.join(missing)}")
    return content


def _space_of(name: str, path: Path) -> Space:
    try:
        return find_space(name, path.parent)
    except UserError as error:
        raise UserError(f"the space of {path}: {error}; or give search.load its module with space=") from error


def write(folder: Path, content: Mapping[str, Any], weights: Mapping[str, "torch.Tensor"] | None) -> None:
    """Write best.yaml and best.pt into `folder`. content: the fields of `Best` that a file holds.

    Where the weights are lost, there is no best.pt then: one that was there belongs to another trial.
    Raises OSError where they cannot be written.
    """
    from search.tensor_files import save_tensors

    _write_yaml(folder / "best.yaml", {"version": VERSION, **content})
    if weights is None:
        (folder / "best.pt").unlink(missing_ok=True)
    else:
        save_tensors(folder / "best.pt", dict(weights))


def add_confirmation(path: Path, confirmation: Mapping[str, Any]) -> None:
    """Write what a confirmation found into the best.yaml at `path`."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) | {"confirmation": dict(confirmation)}
    _write_yaml(path, content)


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    replace_file(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
