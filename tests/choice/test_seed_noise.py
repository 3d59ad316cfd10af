"""Seed noise: what is repeated, what it may cost, and what comes of it."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from test_choose import run
from test_search import settings, study_of

from search.choice.choose import choose
from search.choice.seed_noise import Repeat, plan_repeats, seed_error
from search.engine.launch import run_search

# trial 4 is far above the others, 5 infeasible: the top three are 0, 1 and 2, to their epochs 10, 5 and 5
RUNS = [
    replace(run(number, loss, feasible=number != 5), best_epoch=best)
    for number, loss, best in ((0, 1.0, 9), (1, 1.01, 4), (2, 1.02, 4), (3, 1.03, 4), (4, 2.0, 4), (5, 0.5, 4))
]


def done(*numbers):
    return [Repeat(number, seed, 1.0, 0.1, 10 if number == 0 else 5) for seed, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("runs", "before", "trained", "expected"),
    [
        (RUNS, (), 267, [0, 1, 2, 0, 1, 2]),  # a round costs 20 epochs; 15% of 267 are 40.05
        (RUNS, (), 266, [0, 1, 2]),
        (RUNS, (), 134, [0, 1, 2]),
        (RUNS, (), 133, []),
        (RUNS, (0, 1, 2), 267, [0, 1, 2]),  # an earlier start's repeats count, as repeats and as cost
        (RUNS, (0, 1, 2), 266, []),
        (RUNS, (0, 0, 1, 1, 2, 2), 9999, []),
        (RUNS, (3, 3), 9999, [0, 1, 2, 0, 1, 2]),  # of a run that has left the top
        (RUNS[:2], (), 9999, []),  # too few to speak of a top
        ([], (), 9999, []),
    ],
)
def test_what_is_repeated(runs, before, trained, expected):
    assert [run.number for run in plan_repeats(runs, done(*before), trained)] == expected


def test_seed_error_by_hand():
    repeats = [Repeat(0, 1, 1.2, 0, 1), Repeat(0, 2, 1.1, 0, 1), Repeat(1, 3, 1.05, 0, 1)]
    # trial 0: 1.0, 1.2, 1.1 -> squares 0.02, 2 degrees of freedom; trial 1: 1.01, 1.05 -> 0.0008, 1 degree
    assert seed_error(RUNS, repeats) == pytest.approx(math.sqrt(0.0208 / 3))


def test_no_repeat_no_error():
    assert seed_error(RUNS, []) is None
    assert seed_error(RUNS, [Repeat(0, 1, math.nan, 0, 1)]) is None
    assert seed_error(RUNS, [Repeat(99, 1, 1.0, 0, 1)]) is None


def test_seed_noise_widens_the_band():
    best, other = run(0, 1.00, 0.50, gap_se=0.01), run(1, 1.03, 0.10, gap_se=0.01)
    assert choose([best, other], {}).run is best
    assert choose([best, other], {}, seed_error=0.02).run is best  # sqrt(2) * 0.02 = 0.028
    choice = choose([best, other], {}, seed_error=0.022)  # 0.031
    assert choice.run is other
    assert "seeds alone: 0.0220" in choice.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_in_an_image_does_not_hide_the_best(bad):
    runs = [run(0, 1.00, 0.5, se=bad, gap_se=bad), run(1, 1.01, 0.1, se=0.02, gap_se=bad)]
    losses = {0: np.array([1.0, bad, 1.0]), 1: np.array([1.0, 1.0, 1.0])}
    assert choose(runs, losses).run.number == 0  # nothing is known of the noise, so there is none to hide in
    assert choose(runs[:1], losses).run.number == 0


def test_a_search_repeats_its_best_and_a_second_start_does_not(tmp_path):
    small = settings(tmp_path / "run", trials=30, epochs=10, workers=4)
    assert run_search(small) is None
    repeats = study_of(tmp_path / "run").user_attrs["repeats"]
    assert set(Counter(repeat["trial"] for repeat in repeats).values()) <= {1, 2}
    assert len(repeats) >= 3
    assert len({repeat["seed"] for repeat in repeats}) == len(repeats)
    assert len({repeat["val_loss"] for repeat in repeats}) == len(repeats)  # another seed, another result
    assert len(study_of(tmp_path / "run").trials) == 30  # they are no trials
    assert {path.suffix for path in (tmp_path / "run" / "weights").iterdir()} == {".pt"}
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert run_search(small) is None
    assert study_of(tmp_path / "run").user_attrs["repeats"] == repeats
