"""Which fit regimes occurred, and where."""

from builders import numbers
from ended_trials import ended, ended_trials

from search.choice.fit import Fit
from search.insight.fit_regimes import regimes, strongest_parameters
from search.stopping.stopped import Stopped

TRIALS = [
    *(ended(n, 0.5 + 0.1 * n, 0.1, augmentation=0.1 * n, norm="layer") for n in range(1, 6)),
    ended(6, 0.6, 0.5, fit=Fit.TRUE_OVERFIT, stopped=Stopped.OVERFIT, pruned=True),
    ended(7, 2.0, 0.0, fit=Fit.UNDERFIT),
    ended(8, 3.0, 0.0, fit=Fit.UNDERFIT, norm="none"),
    ended(9, 0.5, 0.1, stopped=Stopped.HOPELESS, pruned=True),  # its figures are censored
]


def test_runs_are_parted_by_their_regime_those_given_up_left_out():
    good, overfit, underfit = regimes(TRIALS, ["augmentation", "norm"])
    assert (good.fit, overfit.fit, underfit.fit) == (Fit.GOOD, Fit.TRUE_OVERFIT, Fit.UNDERFIT)
    assert [numbers(regime.trials) for regime in (good, overfit, underfit)] == [[1, 2, 3, 4, 5], [6], [7, 8]]
    assert (underfit.val_loss, underfit.gap) == (2.5, 0.0)
    assert regimes([], ["augmentation"]) == []


def test_where_a_regime_lies_is_told_by_its_middle_half_and_its_commonest_category():
    good, overfit, underfit = regimes(TRIALS, ["augmentation", "norm"])
    assert good.where == {"augmentation": "0.2 to 0.4", "norm": "layer"}
    assert overfit.where == {"augmentation": "0.5", "norm": "batch"}
    assert underfit.where["norm"] == "batch"  # of as many, the first by name


def test_the_strongest_parameters_are_those_that_drive_the_gap():
    trials = ended_trials(lambda p: 0.5 - 0.4 * p["augmentation"] + 0.5 * p["dropout"], noise=0.0)
    assert strongest_parameters(trials) == ["augmentation", "dropout"]


def test_where_that_is_unknown_they_are_the_first_that_vary():
    assert strongest_parameters(ended_trials(lambda p: 0.5, count=5)) == ["width", "dropout"]
    assert strongest_parameters([ended(0, norm="layer"), ended(1, norm="none")]) == ["norm"]
    assert strongest_parameters([]) == []


def test_a_parameter_that_some_runs_lack_is_told_of_the_others():
    """One that is drawn beside some values of another alone, and a run that diverged without it."""
    diverged = ended(10, 9.0, 0.0, fit=Fit.UNDERFIT, stopped=Stopped.DIVERGED, pruned=True)
    del diverged.params["norm"]
    good, underfit = regimes([*TRIALS[:5], diverged], ["norm"])
    assert good.where == {"norm": "layer"}
    assert (numbers(underfit.trials), underfit.where) == ([10], {"norm": "-"})
