"""Which parameters matter, on made-up studies whose truth is known."""

import math
from dataclasses import replace

import pytest
from builders import numbers
from ended_trials import ended, ended_trials
from optuna.distributions import CategoricalDistribution

from search.insight.importance import MOST, importances, judged, reached_best, sampled, varying
from search.stopping.stopped import Stopped


@pytest.fixture(scope="module")
def study():
    """30 trials whose loss follows width and whose gap follows augmentation."""
    return ended_trials(lambda p: 0.5 - 0.5 * p["augmentation"], lambda p: 2 - math.log(p["width"]) / 4, noise=0.0)


def test_each_objective_has_importances_of_its_own(study):
    for target, parameter in (("val_loss", "width"), ("gap", "augmentation")):
        shares = importances(study, target)
        assert next(iter(shares)) == parameter
        assert shares[parameter].value > 0.8
        assert sum(share.value for share in shares.values()) == pytest.approx(1)
        assert all(0 <= share.low <= share.high <= 1 for share in shares.values())
        assert shares[parameter].low > 0.5


def test_pruned_runs_that_reached_their_best_count_and_those_given_up_do_not():
    trials = [
        ended(0),
        ended(1, stopped=Stopped.OVERFIT, pruned=True),
        ended(2, stopped=Stopped.DIVERGED),
        ended(3, stopped=Stopped.HOPELESS, pruned=True),
        ended(4, stopped=Stopped.OUT_OF_MEMORY, pruned=True),
        replace(ended(5, stopped=Stopped.DIVERGED, pruned=True), run=None),
    ]
    assert numbers(reached_best(trials)) == [0, 1, 2]
    assert numbers(judged(trials)) == [0, 1]


def test_a_run_that_diverged_does_not_move_the_importances(study):
    diverged = ended(100, 83.0, 80.0, stopped=Stopped.DIVERGED, dropout=0.5, pruned=True)
    assert importances([*study, diverged], "val_loss") == importances(study, "val_loss")


def test_noise_says_nothing():
    noise = [ended_trials(lambda p: 0.1, count=count, seed=seed) for count, seed in ((8, 0), (8, 1), (20, 2))]
    assert [importances(trials, target) for trials in noise for target in ("val_loss", "gap")] == [{}] * 6


def test_the_fewer_the_runs_the_wider_the_intervals():
    def width(count):
        trials = ended_trials(lambda p: 0.5 - 0.5 * p["augmentation"] - 0.3 * p["dropout"], count=count, noise=0.05)
        share = importances(trials, "gap")["augmentation"]
        return share.high - share.low

    assert width(16) > 1.5 * width(120)


def test_hopeless_runs_do_not_move_the_importances(study):
    misleading = [
        ended(100 + n, 9.0, pruned=True, stopped=Stopped.HOPELESS, dropout=0.01 * n, feasible=False) for n in range(40)
    ]
    assert importances(study + misleading, "val_loss") == importances(study, "val_loss")


@pytest.mark.parametrize(("trials", "step"), [(MOST, 1), (MOST + 1, 2), (2 * MOST + 1, 3)])
def test_of_many_runs_evenly_spaced_ones_count(trials, step):
    assert numbers(sampled([ended(number) for number in range(trials)])) == list(range(0, trials, step))


def test_few_trials_or_no_variance_say_nothing(study):
    assert sampled([]) == []
    assert importances(study[:7], "val_loss") == {}
    assert importances([ended(n, width=10.0 + n) for n in range(20)], "val_loss") == {}


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_a_space_may_choose_among_lists():
    kernels, trials = CategoricalDistribution([[3, 3], [5, 5]]), []
    for number in range(12):
        made_up = ended(number, 1.0 + number % 2 + 0.01 * number)
        trials.append(replace(made_up, params={"k": kernels.choices[number % 2]}, distributions={"k": kernels}))
    [share] = importances(trials, "val_loss").values()
    assert (share.value, share.low, share.high) == (1, 1, 1)


def test_a_value_that_was_queued_outside_its_range_is_left_out(study):
    outside = replace(study[0], params=study[0].params | {"dropout": 7.0})
    assert importances([*study, outside], "val_loss") == importances(study, "val_loss")
    assert importances([outside] * 30, "val_loss") == {}


def test_a_parameter_of_one_value_is_no_rival_of_those_that_vary():
    """Of two that vary, a half is an equal share. Noise alone gives one of them 0.31 at least, above a fifth."""

    def importances_of(gap):
        trials = ended_trials(gap, count=20, seed=7)
        first = {name: value for name, value in trials[0].params.items() if name not in ("width", "dropout")}
        fixed = [replace(one, params=one.params | first) for one in trials]
        assert varying(fixed) == ["width", "dropout"]
        return importances(fixed, "val_loss"), importances(fixed, "gap")

    assert importances_of(lambda p: 0.1)[0] == {}
    assert next(iter(importances_of(lambda p: 0.5 - p["dropout"])[1])) == "dropout"
