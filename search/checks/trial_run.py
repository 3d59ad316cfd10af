"""A configuration of a space tried: its network built, and a few images run through it."""

import contextlib
import copy
from typing import Any

import torch

from search.checks.reading import Reads, Watched
from search.errors import described
from search.spaces import Space
from search.training.recipe import Recipe

IMAGES = 2
ROUNDING = 1e-4  # of a sum of probabilities
CLOSE = 1e-3  # of the largest logit
# for larger images and networks shapes are followed without computing, unless it is asked for
LARGEST_RUN = 64 * 64  # pixels
LARGEST_BUILT = 4_000_000  # parameters


class TrialRun:
    """Builds networks and runs a few images through them."""

    def __init__(self, space: Space, shape: tuple[int, int, int], classes: int) -> None:
        self._build, self._file = space.build, getattr(space, "__file__", None)
        self._shape, self._classes = shape, classes
        self.reads = Reads()  # by networks built so far
        self._known: list[tuple[int, dict[str, Any], str | None]] = []  # images, what was read, and what was wrong

    def problem(self, config: dict[str, Any], *, computed: bool) -> str | None:
        """What is wrong with a configuration; None if nothing. computed: with real numbers, however large it is."""
        try:
            images = int(min(IMAGES, Recipe.of(config).batch_size))
        except ValueError as error:
            return str(error)
        for number, read, known in self._known:  # parameters that training alone reads change nothing else here
            if number == images and all(config.get(name, Reads) == value for name, value in read.items()):
                return known
        before, self.reads = self.reads, Reads()
        found = self._problem(config, images, computed)
        names = self.reads.found | self.reads.missed
        self._known.append((images, {name: config.get(name, Reads) for name in names}, found))
        self.reads = before | self.reads
        return found

    def read(self, config: dict[str, Any]) -> None:
        """Let `build` and the network read a configuration, whatever comes of it."""
        with contextlib.suppress(Exception, SystemExit):
            self._run(self._built(config, "meta"), IMAGES, "meta")

    def _problem(self, config: dict[str, Any], images: int, computed: bool) -> str | None:
        try:
            if not computed:
                with contextlib.suppress(Exception, SystemExit):  # perhaps for want of real numbers
                    model = self._built(config, "meta")
                    if self._large(model):
                        return self._run(model, images, "meta")
            model = self._built(config, "cpu")
            # before it runs, as it may drop then what is in the way; of one network alone, for the sake of time
            return (_uncopied(model) if computed else None) or self._run(model, images, "cpu")
        except (Exception, SystemExit) as error:
            return described(error, self._file)

    def _large(self, model: torch.nn.Module) -> bool:
        """Whether real numbers would take too long."""
        _, height, width = self._shape
        return height * width > LARGEST_RUN or sum(weights.numel() for weights in model.parameters()) > LARGEST_BUILT

    def _built(self, config: dict[str, Any], device: str) -> torch.nn.Module:
        torch.manual_seed(0)
        channels, height, width = self._shape
        with torch.device(device):
            return self._build(
                Watched(copy.deepcopy(config), self.reads),
                channels=channels,
                image_size=(height, width),
                classes=self._classes,
            )

    def _run(self, model: torch.nn.Module, at_once: int, device: str) -> str | None:
        """What is wrong with a network; None if nothing. at_once: images of a training step."""
        if not isinstance(model, torch.nn.Module):
            return f"build returned a {type(model).__name__}, not a torch.nn.Module"
        if any(torch.nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
            return "the network has lazy layers; give each layer its sizes"
        with torch.device(device), torch.no_grad():
            images = torch.randn(IMAGES, *self._shape)
            logits = model.eval()(images)
            wrong = self._wrong(logits) or (None if logits.is_meta else self._mixed(model, images, logits))
            wrong = wrong or self._wrong(model.train()(images[:at_once]), at_once)
        return wrong or _untrained(model)

    def _mixed(self, model: torch.nn.Module, images: torch.Tensor, together: torch.Tensor) -> str | None:
        """What is wrong where an image's logits depend on the others of its batch. together: logits of all images."""
        last = images[-1:]  # a recurrent layer that takes images for time knows those before alone
        try:
            alone = model(last)
            if wrong := self._wrong(alone, 1):
                return wrong
            if _close(alone, together[-1:]) or not _close(model(images), together):  # the latter: it draws at random
                return None
        except ValueError:  # of batch norm, over one value
            if not _norming_the_batch(model):
                raise
        remedy = "; have forward take each by itself"
        if layers := _norming_the_batch(model):
            remedy = f", by {layers[0]}; have it keep running statistics"
        return f"in eval mode the logits of an image depend on the others of its batch{remedy}"

    def _wrong(self, logits: object, images: int = IMAGES) -> str | None:
        if not isinstance(logits, torch.Tensor):
            return f"the network returned a {type(logits).__name__}, not a tensor of logits"
        if logits.shape != (images, self._classes):
            return (
                f"for {images} image{'s' * (images > 1)} and {self._classes} classes the network returned a tensor of "
                f"shape {tuple(logits.shape)}, not {(images, self._classes)}"
            )
        if not logits.is_meta and not logits.isfinite().all():
            return "the network returned logits that are not finite"
        if not logits.is_meta and (logits >= 0).all() and ((logits.sum(dim=1) - 1).abs() < ROUNDING).all():
            return "the network returned probabilities, as after a softmax; training wants logits, so leave it out"
        return None


def _uncopied(model: torch.nn.Module) -> str | None:
    """Why training could not copy a network for its moving average; None where it can, or where it is none."""
    if not isinstance(model, torch.nn.Module):
        return None
    for layer, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor) and value.grad_fn is not None:
                return (
                    f"{f'{layer}.{name}'.lstrip('.')} is computed from other weights as the network is built, so "
                    f"training cannot copy it for its moving average; have forward compute it, as "
                    f"torch.nn.utils.parametrizations.weight_norm does in place of torch.nn.utils.weight_norm"
                )
    try:
        copy.deepcopy(model)
    except Exception as error:
        return f"training cannot copy the network for its moving average: {described(error, '')}"
    return None


def _close(logits: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether they are equal but for rounding, which differs with the number of images."""
    return bool((logits - others).abs().max() <= CLOSE * others.abs().max())


def _norming_the_batch(model: torch.nn.Module) -> list[str]:
    """The layers that norm with the statistics of the batch, in eval mode too."""
    return [
        f"layer {name} ({type(layer).__name__})"
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) and (layer.training or layer.running_mean is None)
    ]


def _untrained(model: torch.nn.Module) -> str | None:
    """Why the optimizer could not train a network; None where it can."""
    trained = [(name, weights) for name, weights in model.named_parameters() if weights.requires_grad]
    if not trained:
        return "the network has no parameters that require a gradient, so there is nothing to train"
    for name, weights in trained:
        if not weights.is_floating_point():
            kind = str(weights.dtype).removeprefix("torch.")
            return (
                f"the parameter {name} is {kind}, and AdamW trains real numbers alone; keep its real and imaginary "
                f"parts in a last dimension of two, and take torch.view_as_complex of it in forward"
            )
    return None
