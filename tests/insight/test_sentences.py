"""Each sentence appears on a synthetic study where it is true, and not on one where it is false."""

import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from search.choice.run import Run
from search.insight.gap_drivers import closed_the_gap
from search.insight.sentences import (
    bounds,
    drivers,
    gap_closers,
    nothing_closed_the_gap,
    prices,
    sentences,
    underfitting,
)

DISTRIBUTIONS = {
    "width": FloatDistribution(8, 64, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "augmentation": FloatDistribution(0.0, 1.0),
    "norm": CategoricalDistribution(["batch", "layer", "none"]),
}


def trial(number, params=None, pruned=False, **attributes):
    attributes = {
        "stopped": "finished", "val_loss": 0.5, "gap": 0.1, "gap_se": 0.01, "fit": "good", "train_accuracy": 0.9,
        "best_epoch": 7, "history": {"val_loss": [0.5] * 8, "gap": [0.1] * 8},
    } | attributes  # fmt: skip
    params = {"width": 20.0, "dropout": 0.2, "augmentation": 0.5, "norm": "batch"} | (params or {})
    frozen = create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        values=None if pruned else [attributes["val_loss"], attributes["gap"]],
        params=params, distributions=DISTRIBUTIONS, user_attrs=attributes,
    )  # fmt: skip
    frozen.number = number
    return frozen


def runs_of(trials):
    return [
        Run(
            number=t.number, val_loss=t.user_attrs["val_loss"], gap=t.user_attrs["gap"], val_loss_se=0.01, gap_se=0.01,
            train_loss=0.4, train_accuracy=0.9, val_accuracy=0.9, accuracy_gap=0.0, parameters=1, best_epoch=0,
            epochs_run=1, stopped="finished", fit=t.user_attrs["fit"], feasible=t.user_attrs["fit"] != "underfit",
        )
        for t in trials
        if t.state is TrialState.COMPLETE
    ]  # fmt: skip


def drawn(rng):
    return {
        "width": float(8 * 8 ** rng.random()),
        "dropout": float(rng.uniform(0, 0.5)),
        "augmentation": float(rng.random()),
        "norm": str(rng.choice(["batch", "layer", "none"])),
    }


def study(gap, val_loss=lambda params: 0.5, count=30, seed=0, noise=0.02):
    """Trials whose gap and loss follow their parameters, with noise."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        params = drawn(rng)
        figures = {"gap": gap(params) + rng.normal(0, noise), "val_loss": val_loss(params) + rng.normal(0, noise / 4)}
        trials.append(trial(number, params, **figures))
    return trials


def test_the_knobs_that_closed_the_gap_are_named_with_their_numbers():
    trials = study(lambda p: 0.5 - 0.4 * p["augmentation"] + 0.1 * math.log(p["width"] / 8))
    first, second = closed_the_gap(trials)
    assert (first.parameter, second.parameter) == ("augmentation", "width")
    assert first.setting.startswith("augmentation of at least 0.")
    assert second.setting.startswith("width below ")
    assert first.inside + first.outside == 30
    assert first.gap_outside - first.gap_inside == pytest.approx(0.2, abs=0.08)
    sentence = gap_closers(trials)[0]
    assert f"the {first.inside} runs with augmentation of at least 0." in sentence
    assert f"a median gap of {first.gap_inside:.4f}" in sentence
    assert "a difference within noise" in sentence
    assert nothing_closed_the_gap(trials) == []


def test_what_a_knob_costs_is_said_where_it_is_beyond_noise():
    (dear,) = gap_closers(study(lambda p: 0.5 - 0.4 * p["augmentation"], lambda p: 0.5 + 0.2 * p["augmentation"]))
    assert "% higher" in dear
    (cheap,) = gap_closers(study(lambda p: 0.5 - 0.4 * p["augmentation"], lambda p: 0.7 - 0.2 * p["augmentation"]))
    assert "% lower" in cheap


def test_a_category_can_close_the_gap():
    (knob,) = closed_the_gap(study(lambda p: 0.1 if p["norm"] == "layer" else 0.4))
    assert knob.setting == "norm layer"
    assert knob.gap_outside - knob.gap_inside == pytest.approx(0.3, abs=0.05)


def test_noise_closes_no_gap():
    """At most one study in twenty names a knob that does nothing; 100 of 24 runs each."""
    named = [closed_the_gap(study(lambda p: 0.3, count=24, seed=seed)) for seed in range(100)]
    assert sum(map(bool, named)) <= 7
    (sentence,) = nothing_closed_the_gap(study(lambda p: 0.3, seed=1))
    assert "stands out from the noise of these 30 runs" in sentence


def test_a_knob_that_merely_went_along_with_another_is_not_named():
    rng = np.random.default_rng(0)
    trials = []
    for number in range(40):
        params = drawn(rng)
        params["dropout"] = 0.5 * float(np.clip(params["augmentation"] + rng.normal(0, 0.1), 0, 1))
        trials.append(trial(number, params, gap=0.5 - 0.4 * params["augmentation"] + rng.normal(0, 0.01)))
    assert [knob.parameter for knob in closed_the_gap(trials)] == ["augmentation"]


def test_differences_below_a_gaps_own_error_are_not_told():
    trials = study(lambda p: 0.01 * p["augmentation"], noise=0.0)
    assert gap_closers(trials) == []


def test_few_runs_and_hopeless_ones_say_nothing_about_knobs():
    trials = study(lambda p: 0.5 - 0.4 * p["augmentation"], count=7)
    hopeless = [
        trial(100 + n, {"dropout": n / 40}, pruned=True, stopped="hopeless", gap=0.5 - n / 40) for n in range(20)
    ]
    assert gap_closers(trials + hopeless) == []
    assert nothing_closed_the_gap(trials + hopeless) == []


def test_pruned_runs_that_reached_their_best_count():
    trials = study(lambda p: 0.5 - 0.4 * p["augmentation"], count=16)
    for overfit in trials[:10]:
        overfit.state, overfit.values = TrialState.PRUNED, None
        overfit.user_attrs["stopped"] = "overfit"
    assert [knob.parameter for knob in closed_the_gap(trials)] == ["augmentation"]


def test_a_study_that_no_run_lifts_above_the_baseline_underfits():
    trials = [trial(n, fit="underfit") for n in range(5)]
    (sentence,) = underfitting(trials, runs_of(trials))
    assert sentence.startswith("the whole study underfits: none of its 5 runs beats the linear baseline")
    assert underfitting(trials[:3], runs_of(trials[:3])) == []
    one_does = [*trials, trial(5)]
    assert underfitting(one_does, runs_of(one_does)) == []


FALLING = {"val_loss": [0.8, 0.7, 0.62, 0.58, 0.55, 0.53, 0.515, 0.5], "gap": [0.1] * 8}


def test_runs_that_still_improve_want_more_epochs():
    trials = [trial(n, history=FALLING) for n in range(3)] + [trial(3)]
    (sentence,) = underfitting(trials, runs_of(trials))
    assert sentence.startswith("3 of the 4 good runs were still improving when their epochs were over, by 5.7%")
    assert "--epochs" in sentence


@pytest.mark.parametrize(
    "attributes",
    [
        {},  # a flat curve
        {"history": FALLING, "stopped": "overfit"},  # it has turned
        {"history": FALLING | {"val_loss": [0.8, 0.6, 0.5, 0.5, 0.5, 0.5, 0.499, 0.498]}},  # hardly
        {"history": FALLING | {"val_loss": [*FALLING["val_loss"], 0.6]}},  # its best was not the last
    ],
)
def test_runs_that_do_not_are_not_said_to(attributes):
    trials = [trial(n, **attributes) for n in range(4)]
    assert underfitting(trials, runs_of(trials)) == []


NO_GAP = {"gap": 0.015, "history": {"val_loss": [0.5] * 8, "gap": [0.015] * 8}}


def test_good_runs_without_a_gap_that_have_not_learned_their_images_underfit():
    trials = [trial(n, **NO_GAP) for n in range(4)]
    (sentence,) = underfitting(trials, runs_of(trials))
    assert sentence.startswith("4 of the 4 good runs have no gap beyond noise")
    assert "to 90.0% only: they underfit" in sentence


@pytest.mark.parametrize(
    "attributes",
    [
        {"gap": 0.1},
        NO_GAP | {"train_accuracy": 0.99},  # all learned: nothing is left to gain
        NO_GAP
        | {"history": {"val_loss": [0.5] * 8, "gap": [0.015] * 7 + [0.2]}},  # it would have one, but for a ceiling
    ],
)
def test_good_runs_that_have_a_gap_or_learned_everything_do_not(attributes):
    trials = [trial(n, **attributes) for n in range(4)]
    assert underfitting(trials, runs_of(trials)) == []


def test_bounds_and_prices():
    at_bound = [trial(n, {"width": 64.0}, gap=0.2 - 0.02 * n, val_loss=0.5 + 0.01 * n) for n in range(5)]
    assert bounds(at_bound, runs_of(at_bound)) == [
        "5 of the 5 good runs have width at its upper bound 64: widen its range"
    ]
    assert prices(runs_of(at_bound)) == [
        "smallest gap to be had at a val_loss of +0%: 0.2000 (trial 0); +2%: 0.1800 (trial 1); "
        "+5%: 0.1600 (trial 2); +10%: 0.1200 (trial 4)"
    ]
    inside = [trial(n) for n in range(5)]
    assert bounds(inside, runs_of(inside)) == []
    assert prices(runs_of(inside[:1])) == []


def test_sentences_are_all_of_them():
    trials = study(lambda p: 0.5 - 0.4 * p["augmentation"], lambda p: 0.5 + 0.02 * math.log(p["width"]))
    runs = runs_of(trials)
    assert sentences(trials, runs) == [
        *drivers(trials), *prices(runs), *gap_closers(trials), *bounds(trials, runs), *underfitting(trials, runs)
    ]  # fmt: skip
    assert len(sentences(trials, runs)) >= 4
    assert sentences([], []) == []
