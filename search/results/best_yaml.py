"""best.yaml, read. Without torch, which takes seconds to import and is needed only to build the network."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from search.errors import UserError
from search.spaces import Space, find_space

if TYPE_CHECKING:
    import torch

    from search.training.precision import Precision


VERSION = 1


@dataclass(frozen=True)
class Best:
    """The content of a best.yaml.

    config: what the space drew. epochs: to train, up to and including the best epoch. metrics: at that
    epoch, with standard errors. data, environment: what the figures were measured on and with.
    confirmation: what `python -m search confirm` found, or None before.
    """

    study: str
    trial: int
    space: str
    config: dict[str, Any]
    epochs: int
    seed: int
    metrics: dict[str, float]
    choice: dict[str, Any]
    data: dict[str, Any]
    environment: dict[str, Any]
    build_network: Callable[..., "torch.nn.Module"]
    weights_file: Path
    confirmation: dict[str, Any] | None = None

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

    @property
    def precision(self) -> "Precision":
        """The number format and memory layout it was trained in."""
        from search.training.precision import Precision

        return Precision(self.environment["bf16"], self.environment["channels_last"])


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
