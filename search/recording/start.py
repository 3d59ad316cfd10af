"""What a search tries first: the configuration of a best.yaml, then those that its space names."""

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.checks.drawing import Drawn, draw, nearest, value_at
from search.errors import UserError
from search.recording.store import Store
from search.results.best_yaml import best_file, read
from search.results.schema import FROM_BEST
from search.settings import Settings
from search.spaces import Suggest, named_start, short_name, suggester

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FirstTrial:
    """A configuration that is tried before any is drawn."""

    name: str  # where it comes from: `best.yaml`, `cnn 1`
    params: dict[str, Any]  # within the ranges of the search
    remark: str | None = None  # what became of it on the way


def first_trials(settings: Settings, suggest: Suggest) -> list[FirstTrial]:
    """What a new search tries first, in that order, none twice.

    Raises UserError where the space's own `start` is at fault, and where best.yaml is, or is of another space.
    """
    found: list[FirstTrial] = []
    if settings.start_from is not None:
        found.append(_from_best(Path(settings.start_from), settings.space, suggest))
    if settings.start:
        found += _from_space(settings.space, suggest)
    return [trial for at, trial in enumerate(found) if all(trial.params != other.params for other in found[:at])]


def begin(store: Store, settings: Settings, first: list[FirstTrial]) -> None:
    """Have a new search try `first`; one that has begun goes on with what it began with."""
    if store.begin_with({trial.name: trial.params for trial in first}):
        for trial in first:
            if trial.remark:
                logger.info(trial.remark)
    elif settings.start_from is not None:
        logger.info(f"this search has begun already, so --start-from {settings.start_from} changes nothing")


def _from_space(space: str, suggest: Suggest) -> Iterator[FirstTrial]:
    """Those that the space names: checked against its own ranges, then brought into those of this search."""
    own, name = suggester(space, {}), short_name(space)
    for number, wanted in enumerate(named_start(space), start=1):
        culprit = f"configuration {number} of start in the space {name}"
        try:
            drawn = _draw_near(own, wanted)
        except UserError as error:
            raise UserError(f"{culprit}: {error}") from error
        if unknown := [key for key in wanted if key not in drawn.params]:
            known = ", ".join(drawn.params) or "nothing"
            raise UserError(f"{culprit} has {unknown[0]}, which suggest does not draw there; it draws {known}")
        for key in _moved(wanted, drawn):
            raise UserError(
                f"{culprit} has {key}={wanted[key]!r}, which is not {_range(drawn.distributions[key])}; "
                f"mend it, or the range in suggest"
            )
        yield FirstTrial(f"{name.removeprefix('spaces.')} {number}", _named(wanted, _draw_near(suggest, wanted)))


def _from_best(path: Path, space: str, suggest: Suggest) -> FirstTrial:
    """The configuration of a best.yaml, or of the one in a run folder, brought into the ranges of this search.

    Of what its config holds, the parameters that `suggest` draws are taken.
    """
    path = best_file(path)
    content = read(path)
    recorded, wanted = short_name(content["space"]), content["config"]
    if recorded != short_name(space):
        raise UserError(
            f"--start-from {path} is of the space {recorded}, and this search is over {short_name(space)}; "
            f"take --space {recorded}, or leave --start-from out"
        )
    drawn = _draw_near(suggest, wanted)
    params = _named(wanted, drawn)
    if not params:
        raise UserError(f"--start-from {path} has none of {', '.join(drawn.params)}, which the space {space} draws")
    changes = [f"{key} from {wanted[key]!r} to {drawn.params[key]!r}" for key in _moved(wanted, drawn)]
    changes += [f"{key} drawn, since it is not there" for key in drawn.params if key not in wanted]
    remark = f"--start-from {path}, to suit the ranges of this search: {', '.join(changes)}" if changes else None
    return FirstTrial(FROM_BEST, params, remark)


def _draw_near(suggest: Suggest, wanted: Mapping[str, Any]) -> Drawn:
    """What `suggest` draws as close to `wanted` as it can; of what is not wanted or has no such value, the middle."""

    def value(name: str, distribution: BaseDistribution) -> object:
        close = _closest(distribution, wanted[name]) if name in wanted else None
        return value_at(distribution, 0.5) if close is None else close[0]

    return draw(suggest, value)


def _closest(distribution: BaseDistribution, wanted: object) -> tuple[object] | None:
    """The value closest to `wanted` that can be drawn; None where it is no number, or none of the choices."""
    if isinstance(distribution, CategoricalDistribution):
        same = [
            one for one in distribution.choices if one == wanted and isinstance(one, bool) == isinstance(wanted, bool)
        ]
        return (same[0],) if same else None
    if not isinstance(wanted, int | float) or isinstance(wanted, bool) or wanted != wanted:
        return None
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return (nearest(distribution, wanted),)


def _named(wanted: Mapping[str, Any], drawn: Drawn) -> dict[str, Any]:
    """What was drawn of what is wanted: the rest is left to the search."""
    return {name: value for name, value in drawn.params.items() if name in wanted}


def _moved(wanted: Mapping[str, Any], drawn: Drawn) -> list[str]:
    """The parameters that could not be drawn as wanted."""
    return [name for name, value in _named(wanted, drawn).items() if not _same(wanted[name], value)]


def _same(wanted: object, drawn: object) -> bool:
    """Whether they are one value, but for the last digits of a range's steps."""
    if isinstance(wanted, bool) != isinstance(drawn, bool):
        return False
    if isinstance(wanted, float) and isinstance(drawn, float):
        return math.isclose(wanted, drawn, rel_tol=1e-9, abs_tol=1e-12)
    return wanted == drawn


def _range(distribution: BaseDistribution) -> str:
    """In words, for a value that is not in it."""
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(repr, distribution.choices))}"
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    kind = "a whole number" if isinstance(distribution, IntDistribution) else "a number"
    steps = f" in steps of {distribution.step:g}" if distribution.step not in (None, 1) else ""
    return f"{kind} from {distribution.low:g} to {distribution.high:g}{steps}"
