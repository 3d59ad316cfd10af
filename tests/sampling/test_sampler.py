"""What a search tries next."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from threadpoolctl import threadpool_info

from search.results.schema import CONTINUES, REPLACES
from search.sampling import sampler as module
from search.sampling.sampler import RANDOM_FIRST, ScalarizingSampler, scalarized

DISTRIBUTIONS = {name: FloatDistribution(0.0, 1.0) for name in ("x", "y", "z")}
NOTHING = {"x": 0.5, "y": 0.5, "z": 0.5}


def ended(params=NOTHING, loss=0.5, gap=0.1, state=TrialState.COMPLETE, constraints=None, **attributes):
    """A trial with this outcome; None: without one."""
    known = {} if loss is None else {"val_loss": loss, "gap": gap}
    return create_trial(
        params=dict(params),
        distributions={name: DISTRIBUTIONS[name] for name in params},
        values=[loss, max(gap, 0.0)] if state == TrialState.COMPLETE else None,
        state=state,
        user_attrs=known | attributes,
        system_attrs=None if constraints is None else {f"constraints:{key}": v for key, v in constraints.items()},
    )


def study_of(trials=()):
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.add_trials(trials)
    return study


def drawn(study, seed=0, **options):
    """What would be drawn next; the study stays as it is."""
    copy = study_of(study.trials)
    copy.sampler = ScalarizingSampler(seed, **options)
    return copy.ask(DISTRIBUTIONS).params


def random_trials(count, loss, seed=0):
    rng = np.random.default_rng(seed)
    points = [dict(zip("xyz", rng.random(3), strict=True)) for _ in range(count)]
    return [ended(point, *loss(point)) for point in points]


def bowl(point):
    """Lowest loss at x = 0.2, y = 0.7, where the gap is large; z does nothing."""
    far = (point["x"] - 0.2) ** 2 + (point["y"] - 0.7) ** 2
    return 0.3 + far, 0.2 * math.exp(-3 * far)


@pytest.mark.parametrize(
    ("loss", "gap", "weight", "value"),
    [
        (1.0, 0.5, 0.0, 0.0),
        (1.0, 0.5, 0.3, 0.15),
        (1.0, -0.5, 0.3, 0.0),  # a negative gap is no merit
        (math.e, math.e / 2, 0.2, 1.1),
        (0.0, 0.0, 0.3, math.log(1e-12)),
    ],
)
def test_what_is_minimized(loss, gap, weight, value):
    assert scalarized(ended(loss=loss, gap=gap), weight) == pytest.approx(value)


def test_missing_a_constraint_counts_on_top():
    study = study_of()
    trial = study.ask(DISTRIBUTIONS)
    trial.set_user_attr("val_loss", 1.0)
    trial.set_user_attr("gap", 0.0)
    trial.set_constraint("baseline", 0.25)
    trial.set_constraint("max_gap", -0.1)
    study.tell(trial, [1.0, 0.0])
    assert scalarized(study.trials[0], 0.3) == pytest.approx(0.25)


def test_a_trial_without_a_loss_counts_as_the_worst():
    trials = [ended(loss=0.5), ended(loss=None, state=TrialState.PRUNED), ended(loss=2.0)]
    assert module._values(trials, 0.0).tolist() == pytest.approx([math.log(0.5), math.log(2), math.log(2)])
    assert module._values(trials[1:2], 0.0).tolist() == [0.0]


def test_the_first_ones_are_random_whatever_came_of_those_before():
    few = RANDOM_FIRST - 1
    good, bad = (study_of(random_trials(few, lambda point, loss=loss: (loss, 0.1))) for loss in (0.1, 2.0))
    assert drawn(good) == drawn(bad)
    assert drawn(good) != drawn(good, seed=1)


def test_the_same_study_and_seed_draw_the_same_and_another_seed_another():
    study = study_of(random_trials(20, bowl))
    assert drawn(study) == drawn(study)
    assert drawn(study) != drawn(study, seed=1)


def test_it_searches_where_the_loss_is_low():
    study = study_of(random_trials(30, bowl))
    losses = [bowl(drawn(study, seed, gap_weight=0.0))[0] for seed in range(10)]
    assert np.mean(losses) < 0.35  # of random ones 0.55, and the 30 are no better than 0.31
    assert np.mean([bowl(trial.params)[0] for trial in study.trials]) > 0.5


def test_the_weight_of_the_gap_moves_it_to_smaller_gaps():
    study = study_of(random_trials(40, bowl))
    gaps = {weight: np.mean([bowl(drawn(study, s, gap_weight=weight))[1] for s in range(10)]) for weight in (0.0, 10.0)}
    assert gaps[10.0] < gaps[0.0] / 2


def test_interrupted_and_replaced_trials_do_not_count():
    trials = random_trials(20, bowl)
    good = {"x": 0.9, "y": 0.1, "z": 0.5}
    failed = ended(good, loss=1e-6, state=TrialState.FAIL)
    shorter, longer = ended(good, loss=1e-6), ended(good, loss=0.9, gap=0.1, **{CONTINUES: 20})
    kept = [trial.number for trial in module._ended(study_of([*trials, shorter, longer]))]
    assert kept == [*range(20), 21]
    queued_again = ended(good, loss=0.5, **{REPLACES: 20})
    assert [trial.number for trial in module._ended(study_of([*trials, failed, queued_again]))] == [*range(20), 21]
    assert drawn(study_of([*trials, failed])) == drawn(study_of(trials))


def test_two_side_by_side_are_not_the_same():
    study = study_of(random_trials(20, bowl))
    study.sampler = ScalarizingSampler(0)
    first = study.ask(DISTRIBUTIONS).params
    study.sampler = ScalarizingSampler(0)
    assert math.dist(first.values(), study.ask(DISTRIBUTIONS).params.values()) > 0.02


def test_a_parameter_that_only_some_trials_have():
    def suggest(trial):
        loss = 0.5 + trial.suggest_float("x", 0.0, 1.0)
        if trial.suggest_categorical("kind", ["plain", "deep"]) == "deep":
            loss -= 0.3 * trial.suggest_float("only_deep", 0.0, 1.0)
        trial.suggest_int("fixed", 3, 3)
        return loss

    study = study_of()
    for number in range(40):
        study.sampler = ScalarizingSampler(number)
        trial = study.ask()
        loss = suggest(trial)
        trial.set_user_attr("val_loss", loss)
        trial.set_user_attr("gap", 0.0)
        study.tell(trial, [loss, 0.0])
    late = study.trials[-10:]
    assert sum(trial.params["kind"] == "deep" for trial in late) >= 7
    assert np.mean([trial.user_attrs["val_loss"] for trial in late]) < 0.45


def test_a_value_queued_from_outside_its_range_spoils_no_draw(recwarn):
    """Optuna warns of it, and lets the trial run; here its one parameter was drawn from a narrower range."""
    study = study_of()
    study.enqueue_trial({"x": 0.95, "y": 0.5})
    narrow = {"x": FloatDistribution(0.0, 0.6), "y": FloatDistribution(0.0, 1.0)}
    for number in range(2 * RANDOM_FIRST):
        study.sampler = ScalarizingSampler(number)
        trial = study.ask(narrow if number % 2 == 0 else {"y": narrow["y"]})  # so x is drawn by itself
        trial.set_user_attr("val_loss", 0.5)
        trial.set_user_attr("gap", 0.1)
        study.tell(trial, [0.5, 0.1])
    assert study.trials[0].params == {"x": 0.95, "y": 0.5}
    assert all(trial.params["x"] <= 0.6 for trial in study.trials[2::2])


def test_of_many_trials_the_best_and_the_last_ones_are_looked_at(monkeypatch):
    monkeypatch.setattr(module, "MOST", 4)
    trials = [ended(loss=loss) for loss in (0.9, 0.1, 0.8, 0.2, 0.7, 0.6, 0.5)]
    assert [trial.user_attrs["val_loss"] for trial in module._most_telling(trials, 0.0)] == [0.1, 0.2, 0.6, 0.5]
    assert module._most_telling(trials[:4], 0.0) == trials[:4]


def test_one_terrible_run_does_not_bend_the_model():
    assert module._robust(np.array([0.0, 1.0, 2.0, 50.0])).tolist() == [0.0, 1.0, 2.0, 4.5]


def test_a_draw_keeps_to_one_thread(monkeypatch):
    threads = []

    class Watched(module.Surrogate):
        def __init__(self, *arguments):
            threads.extend(library["num_threads"] for library in threadpool_info())
            super().__init__(*arguments)

    monkeypatch.setattr(module, "Surrogate", Watched)
    drawn(study_of(random_trials(20, bowl)))
    assert set(threads) == {1}


def test_where_all_trials_are_alike_the_draws_are_not():
    alike = study_of([ended({"x": x, "y": 0.5, "z": 0.5}, 0.5, 0.1) for x in np.linspace(0, 1, RANDOM_FIRST)])
    assert len({drawn(alike, seed)["x"] for seed in range(5)}) == 5


@pytest.mark.parametrize("seed", range(4))
def test_it_keeps_away_from_what_the_space_has_turned_down(seed):
    """A trial that failed for another reason teaches nothing."""
    trials = random_trials(20, bowl)
    here = drawn(study_of(trials), seed)
    failed = ended(here, loss=None, state=TrialState.FAIL)
    turned_down = ended(here, loss=None, state=TrialState.FAIL, turned_down="it is too large")
    assert drawn(study_of([*trials, failed]), seed) == here
    away = drawn(study_of([*trials, *[turned_down] * 3]), seed)
    assert max(abs(away[name] - here[name]) for name in here) > 0.05
