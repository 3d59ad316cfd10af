"""The corners of a space, built and run before a search starts, so that what cannot work is refused at once."""

import contextlib
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from search.checks.drawing import Drawn, draw, value_at
from search.checks.reading import likely
from search.checks.trial_run import TrialRun
from search.errors import BadTrial, Unwanted, UserError
from search.spaces import Suggest, load_space
from search.training.precision import one_thread
from search.training.recipe import Recipe

MOST_POINTS = 64
DRAWS = 64  # at random, before an entry counts as one that nothing reads: corners need not reach every branch

READ_BY_TRAINING = {field.name for field in fields(Recipe)}


@dataclass(frozen=True)
class Corner:
    """Where parameters stand in their ranges: 0 for the lowest value, 1 for the highest."""

    rest: float  # of the parameters that `places` does not name
    places: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.places.get(name, self.rest)

    def moved(self, name: str, place: float) -> "Corner":
        """This corner with one parameter elsewhere."""
        return Corner(self.rest, {**self.places, name: place})


MIDDLE, LOW, HIGH = Corner(0.5), Corner(0.0), Corner(1.0)


@dataclass(frozen=True)
class Point(Drawn):
    """What a space draws at a corner."""

    corner: Corner


def check_corners(
    space: str,
    suggest: Suggest,
    shape: tuple[int, int, int],
    classes: int,
    ahead: Callable[[Point], None] = lambda point: None,
) -> None:
    """Build the networks at the corners of a space and run them on images of `shape` (channels, height, width).

    ahead: told of each before it is built.

    Raises UserError that names as few parameters as explain it, where a network cannot be built or run, gives
    anything but finite logits (n, classes), or could not be trained as configured; where Optuna would refuse some of
    what `suggest` draws; and where nothing reads what it returns.
    """
    trial_run = TrialRun(load_space(space), shape, classes)
    works: Point | None = None
    fails: Point | None = None
    points: list[Point] = []
    with one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
        for point in corners(suggest):
            points.append(point)
            _require_kept(space, points)
            ahead(point)
            if _problem(point, trial_run) is None:
                works = works or point
            else:
                fails = fails or point
            if works and fails:
                fails = _closest(works, fails, suggest, trial_run)
                break
        problem = fails and _problem(fails, trial_run)
        if not fails and len(points) < MOST_POINTS:
            _require_read(space, points, suggest, trial_run)
    if fails and problem:
        channels, height, width = shape
        where, remedy = _culprits(works, fails)
        raise UserError(
            f"the space {space} does not work for {height}x{width}x{channels} images {where}: {problem}; {remedy}"
        )


def corners(suggest: Suggest) -> Iterator[Point]:
    """All in the middle, all low, all high, and each parameter low and high with the others in the middle.

    Of a categorical parameter every choice. A parameter that is drawn only beside certain values of another is
    moved where it was first met. Corners that the space turns down are left out. Ends after `MOST_POINTS`.

    Raises UserError where the space turns down all of them.
    """
    waiting = deque([MIDDLE, LOW, HIGH])
    met: set[str] = set()
    found = 0
    while waiting and found < MOST_POINTS:
        try:
            point = _draw(suggest, waiting.popleft())
        except Unwanted:
            continue
        found += 1
        for name, distribution in point.distributions.items():
            if name not in met:
                met.add(name)
                waiting.extend(point.corner.moved(name, place) for place in _places(distribution))
        yield point
    if not found:
        raise UserError(
            "suggest turns down all parameters in the middle of their ranges, all lowest and all highest; have it take "
            "one of these"
        )


def _require_kept(space: str, points: Sequence[Point]) -> None:
    """Raises UserError where Optuna would refuse, or not keep, what is drawn at the last point."""
    _require_plain(space, points[-1])
    _require_one_kind(space, points)


def _require_plain(space: str, point: Point) -> None:
    """Raises UserError where a choice is nothing that Optuna promises to keep as it is."""
    for name, distribution in point.distributions.items():
        choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
        if odd := [choice for choice in choices if not isinstance(choice, bool | int | float | str | None)]:
            raise UserError(
                f"the space {space} draws {name} from choices such as {odd[0]!r}; Optuna keeps numbers, strings, "
                f"booleans and None alone: draw a name, and have build look up what it stands for"
            )


def _require_one_kind(space: str, points: Sequence[Point]) -> None:
    """Raises UserError where a parameter is drawn at the last point as Optuna would refuse after an earlier one.

    Ranges may differ; kinds, scales and lists of choices may not.
    """
    for name, distribution in points[-1].distributions.items():
        before = next(point.distributions[name] for point in points if name in point.distributions)
        try:
            check_distribution_compatibility(before, distribution)
        except ValueError as error:
            raise UserError(
                f"the space {space} draws {name} from {_kind(before)} in one branch and from {_kind(distribution)} in "
                f"another; Optuna takes one of these by a name: call it {name}_2 in one of the branches"
            ) from error


def _kind(distribution: BaseDistribution) -> str:
    """In words: what a parameter is drawn from, without the range of a number."""
    if isinstance(distribution, CategoricalDistribution):
        return f"the choices {list(distribution.choices)}"
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    numbers = "whole numbers" if isinstance(distribution, IntDistribution) else "numbers"
    return f"{numbers} on a log scale" if distribution.log else numbers


def _require_read(space: str, points: Sequence[Point], suggest: Suggest, trial_run: TrialRun) -> None:
    """Raises UserError where neither training nor `build` reads what `suggest` returns."""
    if unread := _unread(points, suggest, trial_run):
        raise UserError(
            f"nothing reads {_listed(unread, points, trial_run.reads.missed)}, which suggest of the space {space} "
            f"returns; rename it, leave it out, or have build read it"
        )


def _unread(points: Sequence[Point], suggest: Suggest, trial_run: TrialRun) -> list[str]:
    """The entries of configurations that neither training nor `build` reads at any point, nor at random ones."""
    returned = dict.fromkeys(name for point in points for name in point.config)

    def unread() -> list[str]:
        return [name for name in returned if name not in READ_BY_TRAINING | trial_run.reads.found]

    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        if not unread():
            break
        with contextlib.suppress(BadTrial):
            trial_run.read(draw(suggest, lambda name, distribution: value_at(distribution, rng.random())).config)
    return unread()


def _listed(unread: Sequence[str], points: Sequence[Point], missed: set[str]) -> str:
    """`lr (did you mean learning_rate?) and foo`. missed: names that `build` asked for in vain."""
    known = (READ_BY_TRAINING | missed).difference(*(point.config for point in points))
    meant = [(name, likely(name, known)) for name in unread]
    return " and ".join(f"{name} (did you mean {other}?)" if other else name for name, other in meant)


def _problem(point: Point, trial_run: TrialRun) -> str | None:
    """What is wrong at a point; None if nothing. The middle is computed however large it is."""
    return trial_run.problem(point.config, computed=point.corner == MIDDLE)


def _closest(works: Point, fails: Point, suggest: Suggest, trial_run: TrialRun) -> Point:
    """A point that still fails, with as many parameters as can be where they are in one that works."""
    for name in fails.params:
        with contextlib.suppress(BadTrial):
            closer = _draw(suggest, fails.corner.moved(name, works.corner[name]))
            if _problem(closer, trial_run) is not None:
                fails = closer
    return fails


def _culprits(works: Point | None, fails: Point) -> tuple[str, str]:
    """In words: which parameters must be what they are for it to fail, and what to do."""
    usual = fails.params if works is None else works.params
    values = {name: value for name, value in fails.params.items() if name not in usual or usual[name] != value}
    if not values:
        return "whatever its parameters", "mend it"
    shown = [f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()]
    return f"with {' and '.join(shown)}", "narrow that range, or mend build"


def _draw(suggest: Suggest, corner: Corner) -> Point:
    drawn = draw(suggest, lambda name, distribution: value_at(distribution, corner[name]))
    return Point(drawn.config, drawn.params, drawn.distributions, corner)


def _places(distribution: BaseDistribution) -> list[float]:
    """Where to move a parameter: to both ends, or to every choice; nowhere if it has one value."""
    if distribution.single():
        return []
    if isinstance(distribution, CategoricalDistribution):
        last = len(distribution.choices) - 1
        return [number / last for number in range(last + 1)]
    return [0.0, 1.0]
