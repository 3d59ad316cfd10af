"""Each sentence appears on a made-up study where it is true, and not on one where it is false."""

import math
import re

import pytest
from ended_trials import ended, ended_trials

from search.choice.fit import Fit
from search.insight.gap_drivers import gap_drivers
from search.insight.sentences import (
    bounds,
    cost_of_a_smaller_gap,
    importance,
    nothing_closed_the_gap,
    sentences,
    underfitting,
    what_closed_the_gap,
)
from search.stopping.stopped import Stopped


def by_augmentation(params):
    return 0.5 - 0.4 * params["augmentation"]


def test_what_drives_each_objective_is_said_with_its_share():
    trials = ended_trials(by_augmentation, lambda p: 2 - math.log(p["width"]) / 4, noise=0.0)
    loss, gap = importance(trials)
    assert loss.startswith("what drives val_loss: width ")
    assert gap.startswith("what drives gap: augmentation ")
    assert loss.endswith("shares of the variance over 30 runs, and their 90% intervals")
    share, low, high = map(int, re.search(r"width (\d+)% \((\d+)% to (\d+)%\)", loss).groups())
    assert low <= share <= high


def test_what_closed_the_gap_is_said_with_its_numbers():
    trials = ended_trials(lambda p: by_augmentation(p) + 0.1 * math.log(p["width"] / 8))
    first, second = gap_drivers(trials)
    said = what_closed_the_gap(trials)
    assert f"the {first.inside} runs with augmentation of at least 0." in said[0]
    assert f"a median gap of {first.gap_inside:.4f}" in said[0]
    assert f"the other {first.outside} of {first.gap_outside:.4f}" in said[0]
    assert "a difference within noise" in said[0]
    assert f"the {second.inside} runs with width below " in said[1]
    assert nothing_closed_the_gap(trials) == []


@pytest.mark.parametrize(
    ("val_loss", "change"),
    [
        (lambda p: 0.5 + 0.2 * p["augmentation"], "% higher"),
        (lambda p: 0.7 - 0.2 * p["augmentation"], "% lower"),
    ],
)
def test_what_a_smaller_gap_costs_is_said_where_it_is_beyond_noise(val_loss, change):
    (said,) = what_closed_the_gap(ended_trials(by_augmentation, val_loss))
    assert change in said


def test_where_nothing_closed_the_gap_that_is_said():
    (said,) = nothing_closed_the_gap(ended_trials(lambda p: 0.3, seed=1))
    assert "stands out from the noise of these 30 runs" in said


def test_of_few_runs_and_hopeless_ones_nothing_is_said_of_the_gap():
    trials = ended_trials(by_augmentation, count=7)
    trials += [ended(100 + n, dropout=n / 40, pruned=True, stopped=Stopped.HOPELESS) for n in range(20)]
    assert what_closed_the_gap(trials) == []
    assert nothing_closed_the_gap(trials) == []


def test_differences_below_a_gaps_own_error_are_not_told():
    assert what_closed_the_gap(ended_trials(lambda p: 0.01 * p["augmentation"], noise=0.0)) == []


def test_a_study_that_no_run_lifts_above_the_baseline_underfits():
    trials = [ended(number, fit=Fit.UNDERFIT) for number in range(5)]
    (said,) = underfitting(trials)
    assert said.startswith("the whole study underfits: none of its 5 runs beats the linear baseline")
    assert underfitting(trials[:3]) == []
    assert underfitting([*trials, ended(5)]) == []


def test_of_trials_that_all_failed_nothing_is_said():
    trials = [ended(number, val=[math.nan] * 8, pruned=True, stopped=Stopped.ERROR) for number in range(5)]
    assert sentences([*trials, ended(5, fit=Fit.UNDERFIT)]) == []


FALLING = [0.8, 0.7, 0.62, 0.58, 0.55, 0.53, 0.515, 0.5]


def test_runs_that_still_improve_want_more_epochs():
    (said,) = underfitting([*(ended(number, val=FALLING) for number in range(3)), ended(3)])
    assert said.startswith("3 of the 4 good runs were still improving when their epochs were over, by 5.7%")
    assert "--epochs" in said


@pytest.mark.parametrize(
    "curves",
    [
        {"best_epoch": 7},  # a flat curve
        {"val": FALLING, "stopped": Stopped.OVERFIT},  # it has turned
        {"val": [0.8, 0.6, 0.5, 0.5, 0.5, 0.5, 0.499, 0.498]},  # hardly
        {"val": [*FALLING, 0.6]},  # its best was not the last
    ],
)
def test_runs_that_do_not_improve_any_more_are_not_said_to(curves):
    assert underfitting([ended(number, **curves) for number in range(4)]) == []


NO_GAP = {"gap": 0.015}


def test_good_runs_without_a_gap_that_have_not_learned_their_images_underfit():
    (said,) = underfitting([ended(number, **NO_GAP) for number in range(4)])
    assert said.startswith("4 of the 4 good runs have no gap beyond noise")
    assert "to 90.0% only: they underfit" in said


@pytest.mark.parametrize(
    "figures",
    [
        {"gap": 0.1},
        NO_GAP | {"train_accuracy": 0.99},  # all learned: nothing is left to gain
        {"train": [0.5 - 0.015] * 7 + [0.5 - 0.2]},  # it would have one, but for a ceiling
        {"train": [0.5 - 0.015] * 7 + [-math.inf]},
    ],
)
def test_good_runs_that_have_a_gap_or_learned_everything_do_not(figures):
    assert underfitting([ended(number, **figures) for number in range(4)]) == []


def test_bounds_and_the_cost_of_a_smaller_gap():
    at_bound = [ended(n, 0.5 + 0.01 * n, 0.2 - 0.02 * n, width=64.0) for n in range(5)]
    assert bounds(at_bound) == ["5 of the 5 good runs have width at its upper bound 64: widen its range"]
    assert cost_of_a_smaller_gap(at_bound) == [
        "smallest gap to be had at a val_loss of +0%: 0.2000 (trial 0); +2%: 0.1800 (trial 1); "
        "+5%: 0.1600 (trial 2); +10%: 0.1200 (trial 4)"
    ]
    inside = [ended(number) for number in range(5)]
    assert bounds(inside) == []
    assert cost_of_a_smaller_gap(inside[:1]) == []


def test_sentences_are_all_of_them():
    trials = ended_trials(by_augmentation, lambda p: 0.5 + 0.02 * math.log(p["width"]))
    assert sentences(trials) == [
        *importance(trials),
        *cost_of_a_smaller_gap(trials),
        *what_closed_the_gap(trials),
        *bounds(trials),
        *underfitting(trials),
    ]
    assert len(sentences(trials)) >= 4
    assert sentences([]) == sentences([ended()]) == []
