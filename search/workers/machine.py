"""What is found out by trying on the machine at hand, and remembered there: number format, workers on a GPU."""

import contextlib
import functools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import joblib
import optuna
import torch

from search.checks.corners import HIGH, corners
from search.data.tensors import SearchData
from search.errors import BadTrial, UserError, described
from search.networks import build_network
from search.spaces import Suggest, fingerprint, load_space
from search.training.precision import CANDIDATES, PLAIN, Precision, fastest_precision, try_out
from search.training.recipe import Recipe
from search.workers.gpu_packing import MOST, ThroughputProbe, fitting, free_memory, pack
from search.workers.remembered import remembered

logger = logging.getLogger(__name__)

DRAWN, MOST_DRAWN = 5, 100  # configurations that stand for a space; draws for them, of which it may turn some down


def precision(space: str, suggest: Suggest, data: SearchData, device: torch.device) -> Precision:
    """The number format in which a network of medium size trains fastest, of those that all networks run in.

    Raises UserError where a network cannot be trained in the plain one.
    """
    network = _builder(space, data)
    config = _medium_config(suggest, network)
    batch_size = min(int(Recipe.of(config).batch_size), len(data.splits.train))
    capability = torch.backends.cpu.get_cpu_capability()
    key = (torch.__version__, capability, device.type, data.shape, config, fingerprint(space))

    def measured() -> dict[str, bool]:
        usable = _usable(space, suggest, data, device)
        return asdict(fastest_precision(lambda: network(config), data.shape, batch_size, device, usable))

    return Precision(**remembered("precision", key, measured))


def _usable(space: str, suggest: Suggest, data: SearchData, device: torch.device) -> list[Precision]:
    """The number formats that the networks of a few configurations train in.

    An own one may have layers that want their input channels first (`view`), or in float32. Raises UserError where
    one does not train in the plain format.
    """
    network, configs, usable = _builder(space, data), _some_configs(suggest), list[Precision]()
    for candidate in CANDIDATES:
        try:
            for config in configs:
                try_out(candidate, functools.partial(network, config), data.shape, device)
        except Exception as error:
            if candidate == PLAIN:
                where = getattr(load_space(space), "__file__", None)
                raise UserError(
                    f"a network of the space {space} cannot be trained: {described(error, where)}; mend it"
                ) from error
        else:
            usable.append(candidate)
    return usable


def workers_per_gpu(
    space: str, suggest: Suggest, data: SearchData, precision: Precision, devices: Sequence[str]
) -> int:
    """As many as pay for a network of medium size and as have room for the largest, tried out on the first GPU.

    The GPUs are taken to be alike. What others take of its memory is looked at anew each time. Where it cannot be tried
    out, for want of memory perhaps, it is one this time, and the next start tries again.
    """
    network, device, cores = _builder(space, data), torch.device(devices[0]), joblib.cpu_count() // len(devices)
    probe = ThroughputProbe(space, data, precision, devices[0])
    config, free = _medium_config(suggest, network), free_memory(device)
    sizes = data.shape, len(data.splits.train), len(data.splits.val)
    gpu, of_space = torch.cuda.get_device_name(device), (space, fingerprint(space))
    key = (torch.__version__, gpu, cores, sizes, precision, of_space, config)

    def measured() -> dict[str, float]:
        logger.info("trying out how many workers share a GPU")
        each = probe.memory(_largest_config(suggest, network))
        if not 0 < each < math.inf:  # it failed, or others gave memory back meanwhile
            return {}
        workers = pack(lambda workers: probe.rate(config, workers), min(MOST, cores, fitting(free, each)))
        return {"workers": workers, "memory": each} if workers else {}

    found = remembered("packing", key, measured)
    return int(min(found["workers"], fitting(free, found["memory"]))) if found else 1


def _builder(space: str, data: SearchData) -> Callable[[dict[str, Any]], torch.nn.Module]:
    """Configuration -> network for these images."""
    build = load_space(space).build
    return lambda config: build_network(build, config, data.shape, len(data.classes))


def _medium_config(suggest: Suggest, network: Callable[[dict[str, Any]], torch.nn.Module]) -> dict[str, Any]:
    """The configuration of medium size, out of a few drawn from the space."""
    configs = _some_configs(suggest)
    return sorted(configs, key=lambda config: _size(network(config)))[len(configs) // 2]


def _largest_config(suggest: Suggest, network: Callable[[dict[str, Any]], torch.nn.Module]) -> dict[str, Any]:
    """That with the highest value of each parameter; where the space turns it down, the corner with most weights."""
    points = list(corners(suggest))
    highest = [point for point in points if point.corner is HIGH]
    return max(highest or points, key=lambda point: _size(network(point.config))).config


def _size(model: torch.nn.Module) -> int:
    """Its weights."""
    return sum(weights.numel() for weights in model.parameters())


def _some_configs(suggest: Suggest) -> list[dict[str, Any]]:
    """A few drawn from the space, always the same."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found: list[dict[str, Any]] = []
    for _ in range(MOST_DRAWN):
        with contextlib.suppress(BadTrial):
            found.append(suggest(study.ask()))
        if len(found) == DRAWN:
            break
    return found or [next(corners(suggest)).config]
