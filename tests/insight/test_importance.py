"""Importances, prices and bounds, on synthetic studies whose truth is known."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from search.choice.run import Run
from search.insight.bounds import piled_up
from search.insight.importance import MOST, importances, reached_best, thinned
from search.insight.sentences import sentences
from search.insight.tradeoff import price_list

DISTRIBUTIONS = {
    "width": FloatDistribution(8, 64, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "augmentation": FloatDistribution(0.0, 1.0),
    "kernel_size": IntDistribution(3, 5, step=2),
}


def trial(number=0, stopped="finished", pruned=False, val_loss=1.0, gap=0.1, **params):
    params = {"width": 20.0, "dropout": 0.2, "augmentation": 0.5, "kernel_size": 3} | params
    frozen = create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        values=None if pruned else [val_loss, gap],
        params=params,
        distributions=DISTRIBUTIONS,
        user_attrs={"stopped": stopped, "val_loss": val_loss, "gap": gap},
    )
    frozen.number = number
    return frozen


def run(number, val_loss, gap, feasible=True):
    return Run(
        number=number, val_loss=val_loss, gap=gap, val_loss_se=0.01, gap_se=0.01, train_loss=val_loss - gap,
        train_accuracy=0.9, val_accuracy=0.9, accuracy_gap=0.0, parameters=1, best_epoch=0, epochs_run=1,
        stopped="finished", fit="good", feasible=feasible,
    )  # fmt: skip


@pytest.fixture
def study():
    """30 trials whose loss follows width and whose gap follows augmentation."""
    rng = np.random.default_rng(0)
    trials = []
    for number in range(30):
        params = {
            "width": float(8 * 8 ** rng.random()),
            "dropout": float(rng.uniform(0, 0.5)),
            "augmentation": float(rng.random()),
            "kernel_size": int(rng.choice([3, 5])),
        }
        loss, gap = 2 - np.log(params["width"]) / 4, 0.5 - 0.5 * params["augmentation"]
        trials.append(trial(number, val_loss=loss, gap=gap, **params))
    return trials


def test_each_objective_has_importances_of_its_own(study):
    for target, driver in (("val_loss", "width"), ("gap", "augmentation")):
        shares = importances(study, target)
        assert next(iter(shares)) == driver
        assert shares[driver] > 0.8
        assert sum(shares.values()) == pytest.approx(1)


def test_pruned_runs_that_reached_their_best_count_and_hopeless_ones_do_not():
    trials = [
        trial(0), trial(1, "overfit", pruned=True), trial(2, "diverged"), trial(3, "hopeless", pruned=True),
        trial(4, "out_of_memory", pruned=True),
    ]  # fmt: skip
    assert [t.number for t in reached_best(trials)] == [0, 1, 2]


def test_hopeless_runs_do_not_move_the_importances(study):
    misleading = [trial(100 + n, "hopeless", pruned=True, val_loss=9.0, dropout=0.01 * n) for n in range(40)]
    assert importances(study + misleading, "val_loss") == importances(study, "val_loss")


def test_of_many_runs_evenly_spaced_ones_count():
    assert [t.number for t in thinned([trial(n) for n in range(MOST)])] == list(range(MOST))
    assert [t.number for t in thinned([trial(n) for n in range(2 * MOST + 1)])] == list(range(0, 2 * MOST + 1, 3))
    assert thinned([]) == []


def test_few_trials_or_no_variance_say_nothing(study):
    assert importances(study[:7], "val_loss") == {}
    assert importances([trial(n, width=10.0 + n) for n in range(20)], "val_loss") == {}


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_a_space_may_choose_among_lists():
    kernels, trials = CategoricalDistribution([[3, 3], [5, 5]]), []
    for number in range(12):
        kernel, loss = kernels.choices[number % 2], 1.0 + number % 2 + 0.01 * number
        attributes = {"stopped": "finished", "val_loss": loss, "gap": 0.1}
        trials.append(
            create_trial(values=[loss, 0.1], params={"k": kernel}, distributions={"k": kernels}, user_attrs=attributes)
        )
    assert importances(trials, "val_loss") == {"k": pytest.approx(1)}


def test_the_price_list_by_hand():
    runs = [run(0, 1.0, 0.4), run(1, 1.015, 0.3), run(2, 1.05, 0.35), run(3, 1.09, 0.1), run(4, 1.2, 0.0)]
    runs.append(run(5, 0.5, 0.0, feasible=False))
    assert [(price, r.number) for price, r in price_list(runs)] == [(0, 0), (0.02, 1), (0.05, 1), (0.10, 3)]
    assert price_list(runs[-1:]) == []


def test_a_bound_where_good_runs_pile_up_is_named():
    at = [60.0, 62.0, 63.0, 20.0, 64.0]
    trials = [trial(n, width=width) for n, width in enumerate(at)]
    (bound,) = piled_up(trials, [run(n, 1.0 + 0.01 * n, 0.1) for n in range(5)])
    assert (bound.parameter, bound.side, bound.value, bound.piled, bound.good) == ("width", "upper", 64, 4, 5)


@pytest.mark.parametrize(
    "params",
    [
        [{"dropout": 0.0}] * 6,  # nothing lies below 0
        [{"augmentation": 1.0}] * 6,  # nor above 1
        [{"kernel_size": 5}] * 6,  # two values: half of all lie at each bound
        [{"width": 8.0}] * 3,  # too few
        [{"width": 8.0}] * 2 + [{"width": 30.0}] * 4,  # a third
    ],
)
def test_no_bound_is_named_without_need(params):
    trials = [trial(n, **changes) for n, changes in enumerate(params)]
    assert piled_up(trials, [run(n, 1.0, 0.1) for n in range(len(params))]) == []


def test_bad_runs_at_a_bound_do_not_count():
    trials = [trial(n, width=64.0 if n > 3 else 20.0) for n in range(12)]
    assert piled_up(trials, [run(n, 1.0 if n <= 3 else 1.5, 0.1) for n in range(12)]) == []


def test_sentences_appear_where_they_are_true_and_not_elsewhere(study):
    runs = [run(t.number, t.user_attrs["val_loss"], t.user_attrs["gap"]) for t in study]
    text = "\n".join(sentences(study, runs))
    assert "what drives gap: augmentation" in text
    assert "what drives val_loss: width" in text
    assert "smallest gap to be had" in text
    assert sentences([], []) == []
    assert sentences([trial()], [run(0, 1.0, 0.1)]) == []


def test_parameters_of_some_trials_only_are_left_out_of_bounds():
    trials = [trial(n) for n in range(5)]
    for t in trials:
        t.distributions = DISTRIBUTIONS | {"norm": CategoricalDistribution(["batch", "layer"])}
        t.params = t.params | {"norm": "batch"}
    assert piled_up(trials, [run(n, 1.0, 0.1) for n in range(5)]) == []
