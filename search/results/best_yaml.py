"""best.yaml and best.pt: the chosen configuration and its weights, written and read.

torch is imported where the network is built or its weights are written: it takes seconds.
"""

import functools
import hashlib
import io
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from search import networks
from search.errors import UserError, described
from search.files import replace_file
from search.networks import Build
from search.results.best_schema import problem
from search.spaces import Space, find_space
from search.start_weights import KEPT, beginning_with

if TYPE_CHECKING:
    import torch

    from search.data.pixels import OneImage
    from search.training.classifier import Classifier
    from search.training.ensemble import Ensemble

VERSION = 1
LARGEST = 2**21  # bytes: with long names of 10,000 classes, none of them recognized, it is as large
ANEW = "start the search again with the same --out, which writes both best.yaml and best.pt anew"


@dataclass(frozen=True)
class Best:
    """The content of a best.yaml."""

    study: str
    trial: int
    space: str  # dotted name, or the name of its file
    config: dict[str, Any]  # what the space made of what was drawn
    epochs: int  # to train: up to and including the best epoch
    seed: int  # of initial weights, shuffling and augmentation
    metrics: dict[str, float]  # as recorded at the best epoch, with standard errors
    choice: dict[str, Any]  # why it was chosen, and over which trials
    data: dict[str, Any]  # what the figures were measured on
    environment: dict[str, Any]  # what they were measured with
    build_network: Build
    weights_file: Path
    weights_sha256: str | None = None  # of best.pt; None in one of an older release
    expected: dict[str, Any] | None = None  # on new images, see `search.choice.expected`; None in an older release's
    calibration: dict[str, Any] | None = None  # of its probabilities; None in an older release's
    ensemble: dict[str, Any] | None = None  # of ensemble.pt; None where there is none
    confirmation: dict[str, Any] | None = None  # what `gapsearch confirm` found; None before
    refit: dict[str, Any] | None = None  # figures of `gapsearch refit`, in a final.yaml alone

    @property
    def temperature(self) -> float:
        """What the logits are divided by before they become probabilities; 1 where none was fitted."""
        return self.calibration["temperature"] if self.calibration else 1.0

    def build(self) -> "torch.nn.Module":
        """The network of this configuration, its weights fresh. Raises UserError where `require_network` does."""
        self.require_network()
        return self._build("cpu")

    def trained(self) -> "torch.nn.Module":
        """The network with the weights of best.pt, in eval mode; it takes images normalized as `data` says.

        Raises UserError where best.pt is missing or does not belong to this best.yaml.
        """
        import torch

        model, weights = self.build(), self._read_weights()
        try:
            model.load_state_dict(torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True))
        except Exception as error:  # torch fed with another file raises nearly anything
            raise UserError(f"{self.weights_file} does not fit its best.yaml: {described(error)}; {ANEW}") from error
        return model.eval()

    def trained_ensemble(self) -> "Ensemble":
        """The networks of ensemble.pt as one, used like what `trained` gives. Raises UserError where there is none."""
        from search.results import ensemble

        return ensemble.read(self)

    @functools.cached_property
    def classifier(self) -> "Classifier":
        """The network with the weights of best.pt and all that belongs around it, for pixels that are not normalized.

        Raises UserError where `trained` does.
        """
        from search.training.classifier import Classifier
        from search.training.precision import Precision

        layout = Precision(channels_last=self.environment["channels_last"])
        return Classifier(self.trained(), self.data["mean"], self.data["std"], self.temperature, layout)

    @property
    def input_size(self) -> int:
        """The side of the squares of pixels that the network takes."""
        return self.data["image_size"][0]

    def predict(self, images: "Iterable[OneImage]") -> np.ndarray:
        """Probabilities, float32 (n, classes), in the order of `data["classes"]`; in float32, on the CPU.

        images: paths, PIL images, or arrays of uint8 (h, w) or (h, w, c), or one array (n, ...) of them all. They are
        decoded, cropped, scaled and normalized as for the search.

        Raises UserError for an image that cannot be used, and where `trained` does.
        """
        from search.data.pixels import pixels_of

        batches = pixels_of(images, self.input_size, self.data["channels"])
        parts = [np.exp(self.classifier.log_probabilities_of(pixels)) for pixels in batches]
        return np.concatenate(parts) if parts else np.empty((0, len(self.data["classes"])), np.float32)

    def require_network(self) -> None:
        """Raise UserError where the space does not give the network that was measured.

        It is built without memory for its weights first: a damaged configuration may ask for any amount.
        """
        try:
            try:
                count = sum(parameter.numel() for parameter in self._build("meta").parameters())
            except Exception:  # perhaps for want of real numbers
                count = sum(parameter.numel() for parameter in self._build("cpu").parameters())
        except Exception as error:
            raise UserError(
                f"the space {self.space} cannot build the network of this best.yaml: {described(error)}; {ANEW}"
            ) from error
        if count != self.metrics["parameters"]:
            raise UserError(
                f"the space {self.space} builds a network of {count:,} parameters, where {self.metrics['parameters']:,}"
                f" were measured: config or space have changed; {ANEW}"
            )

    def require_weights(self) -> None:
        """Raise UserError where best.pt is missing or is not the one that belongs to this best.yaml."""
        self._read_weights()

    def _build(self, device: str) -> "torch.nn.Module":
        import torch

        with torch.device(device):
            shape = self.data["channels"], *self.data["image_size"]
            return networks.build_network(self.build_network, self.config, shape, len(self.data["classes"]))

    def _read_weights(self) -> bytes:
        try:
            weights = self.weights_file.read_bytes()
        except OSError as error:
            lost = f"gapsearch train {shlex.quote(str(self.weights_file.with_suffix('.yaml')))} makes it again"
            remedy = lost if self.weights_sha256 is None else ANEW
            raise UserError(f"cannot read {self.weights_file}: {error.strerror}; {remedy}") from None
        if self.weights_sha256 not in (None, hashlib.sha256(weights).hexdigest()):
            raise UserError(f"{self.weights_file} is not the one that its best.yaml names; {ANEW}")
        return weights


def best_file(place: Path) -> Path:
    """The best.yaml that a person names: itself, or by its run folder. Raises UserError where that has none."""
    if not os.path.isdir(place):
        return place
    path = place / "best.yaml"
    if not os.path.lexists(path):
        raise UserError(
            f"{place} has no best.yaml: its search has not ended, or none of its trials may be chosen; "
            f"see gapsearch list {place}"
        )
    return path


def run_folder(place: Path) -> Path:
    """The run folder that a person names: itself, or by the best.yaml in it, which need not be there yet."""
    return place.parent if place.suffix == ".yaml" and not os.path.isdir(place) else place


def load(path: str | Path, space: Space | None = None) -> Best:
    """Read a best.yaml.

    The space named there is imported, or run from its file: the copy beside best.yaml, or else that path below
    the current folder. `space`, a module of yours perhaps, takes its place.

    Raises UserError where best.yaml is missing, is none, or comes from a newer version, and where its space
    cannot be found.
    """
    path = Path(path)
    content = read(path)
    build = beginning_with((space or _space_of(content["space"], path)).build, path.with_name(KEPT))
    weights = path.with_name("final.pt" if "refit" in content else "best.pt")
    return Best(**content, build_network=build, weights_file=weights)


def read(path: Path) -> dict[str, Any]:
    """The content of a best.yaml: the fields of `Best` that it holds; its space need not be there.

    Raises UserError where it is missing, is none, or comes from a newer version.
    """
    content = _parse(path)
    if not isinstance(content, dict) or "version" not in content:
        raise UserError(f"{path} is no best.yaml: it has no version")
    if (version := content.pop("version")) != VERSION:
        raise UserError(f"{path} is of format {version!r}, this gapsearch reads {VERSION}; take the one that wrote it")
    if wrong := problem(content):
        raise UserError(f"{path} is no complete best.yaml: {wrong}; {ANEW}")
    return content


def _parse(path: Path) -> object:
    """What the YAML in a file says. Raises UserError where it cannot be read or is no YAML."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
            raise UserError(f"{path} is no file; name a best.yaml, or the run folder that it is in")
        if os.path.getsize(path) > LARGEST:
            raise UserError(f"{path} is no best.yaml: it has more than {LARGEST:,} bytes")
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; a finished search writes it to its run folder"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no best.yaml, it is no text; name one, or the run folder that it is in") from None
    except Exception as error:  # PyYAML fed with garbage raises nearly anything
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}; {ANEW}") from None


class _Loader(yaml.SafeLoader):
    """Plain values, and no references: a few lines of them can stand for more than memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has a reference to another part of it")
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Writes what stands in two places twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _space_of(name: str, path: Path) -> Space:
    try:
        return find_space(name, path.parent)
    except UserError as error:
        raise UserError(f"the space of {path}: {error}; or give search.load its module with space=") from error


def write(
    folder: Path, content: Mapping[str, Any], weights: Mapping[str, "torch.Tensor"] | None, name: str = "best"
) -> str | None:
    """Write best.yaml and best.pt into `folder`. content: the fields of `Best` that a file holds.

    name: in place of best, of both files.

    Returns the hash of best.pt, None where there are no weights.

    best.yaml comes first and names the hash of best.pt. So where the second is not written any more, it shows. Where
    the weights are lost, there is no best.pt then: one that was there belongs to another trial.

    Raises OSError where they cannot be written.
    """
    if weights is None:
        _write_yaml(folder / f"{name}.yaml", {"version": VERSION, **content})
        (folder / f"{name}.pt").unlink(missing_ok=True)
        return None
    import torch

    stream = io.BytesIO()
    torch.save(dict(weights), stream)
    sha256 = hashlib.sha256(stream.getbuffer()).hexdigest()
    _write_yaml(folder / f"{name}.yaml", {"version": VERSION, **content, "weights_sha256": sha256})
    replace_file(folder / f"{name}.pt", lambda scratch: scratch.write_bytes(stream.getbuffer()))
    return sha256


def add_confirmation(path: Path, best: Best, confirmation: Mapping[str, Any]) -> None:
    """Write what a confirmation of `best` found into the best.yaml at `path`, which it was read from.

    Raises UserError where that has become another one meanwhile.
    """
    content = read(path)
    if any(content.get(name) != getattr(best, name) for name in ("study", "trial", "config", "seed", "weights_sha256")):
        raise UserError(f"{path} was written anew while it was confirmed; confirm it again")
    _write_yaml(path, {"version": VERSION, **content, "confirmation": dict(confirmation)})


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    layout: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "default_flow_style": None, "width": 110}
    text = yaml.dump(dict(content), Dumper=_Dumper, **layout)
    replace_file(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
