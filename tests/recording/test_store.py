"""What the study holds of a search."""

import sys
import types
from unittest import mock

import optuna
import pytest
import sqlalchemy
from builders import EASY, outcome, run
from optuna.trial import TrialState

from search.choice.constraints import Constraints
from search.errors import UserError
from search.recording.asking import MOST_BAD_DRAWS
from search.recording.ending import UNUSABLE
from search.recording.first_errors import SearchFailed
from search.recording.store import EndedOutside, Store
from search.results.schema import SCHEMA, StudyAttribute
from search.spaces import suggester
from search.stopping.stopped import Stopped
from search.training.trial import Outcome

SUGGEST = suggester("spaces.mlp", {})


@pytest.fixture
def store(tmp_path):
    """An empty one."""
    return Store(f"sqlite:///{tmp_path / 'study.db'}", "digits", seed=0)


def told(store, constraints=EASY, before=(), **known):
    """A new trial that ended so: as `tell` gives it, and as the study has it."""
    trial, _, _ = store.ask(SUGGEST)
    number = trial.number
    if known.get("run", run()) is None:
        ended = Outcome(number, **known)
    else:
        ended = outcome(number, constraints=constraints, **known)
    return store.record_ended(ended, constraints, "cpu", before), store.snapshot().trials[number]


def test_what_was_told_is_what_the_study_has(store):
    said, stored = told(store, stopped=Stopped.OVERFIT, reason="it rose", seconds=1.25)
    assert (said.number, said.state, said.reason, said.device) == (0, "COMPLETE", "it rose", "cpu")
    for name in ("state", "run", "stopped", "reason", "params", "distributions", "config", "seconds", "device"):
        assert getattr(stored, name) == getattr(said, name), name
    assert stored.history["val_loss"] == said.history["val_loss"]
    assert stored.run.fit == said.run.fit
    assert store.study.user_attrs["schema"] == SCHEMA
    assert store.study.trials[0].values == list(said.run.objectives)


def test_an_ask_and_a_tell_cost_few_statements(store):
    """Optuna alone takes 51 and 58. The first ask costs more: it compares the parameters with those of the study."""
    told(store)
    said = []
    sqlalchemy.event.listen(store.study._storage._backend.engine, "before_cursor_execute", lambda *of: said.append(1))
    trial, _, _ = store.ask(SUGGEST)
    asked = len(said)
    store.record_ended(outcome(trial.number), EASY, "cpu", [])
    assert asked <= 19
    assert len(said) - asked <= 14


def test_a_trial_keeps_what_its_own_start_planned(store):
    for epochs in (7, 40):
        store.plan({"epochs": epochs})
        told(store)
    assert [trial.epochs_planned for trial in store.snapshot().trials] == [7, 40]


GOOD, BAD = [0.6, 0.5, 0.55], [0.9, 0.8, 0.85]  # below and above the baseline's 0.7


@pytest.mark.parametrize(
    ("stopped", "val", "before", "state"),
    [
        (Stopped.FINISHED, GOOD, [], "COMPLETE"),
        (Stopped.FINISHED, BAD, [], "PRUNED"),  # its result, though none that may be chosen
        (Stopped.OVERFIT, GOOD, [], "COMPLETE"),
        (Stopped.OVERFIT, GOOD, [run(9, 0.4, 0.0)], "PRUNED"),  # clearly beaten
        (Stopped.OVERFIT, GOOD, [run(9, 0.4, 0.0, feasible=False)], "COMPLETE"),
        (Stopped.OVERFIT, BAD, [], "PRUNED"),
        (Stopped.DIVERGED, GOOD, [], "COMPLETE"),
        (Stopped.HOPELESS, GOOD, [], "PRUNED"),
        (Stopped.ERROR, GOOD, [], "PRUNED"),
    ],
)
def test_complete_is_a_trial_whose_best_epoch_may_be_chosen(store, stopped, val, before, state):
    said, stored = told(store, stopped=stopped, before=before, val=val, train=[loss - 0.2 for loss in val])
    assert said.state == stored.state == state


@pytest.mark.parametrize(
    ("constraints", "violations"),
    [
        (Constraints(1.0), {"baseline": -0.5}),
        (Constraints(1.0, max_gap=0.125), {"baseline": -0.5, "max_gap": 0.125}),
    ],
)
def test_what_a_run_misses_is_recorded_and_one_without_a_loss_misses_all(store, constraints, violations):
    told(store, constraints, val=[0.5], train=[0.25])
    told(store, constraints, stopped=Stopped.ERROR, run=None)
    assert store.study.trials[0].constraints == violations
    assert store.study.trials[1].constraints == dict.fromkeys(violations, UNUSABLE)
    assert store.snapshot().trials[1].run is None


def test_a_trial_ended_from_outside_is_not_told_again(store):
    trial, _, _ = store.ask(SUGGEST)
    store.study.tell(trial.number, state=TrialState.FAIL)
    with pytest.raises(EndedOutside):
        store.record_ended(outcome(trial.number), EASY, "cpu", [])
    assert store.count() == 0


@pytest.mark.parametrize(
    ("running", "write", "every"),
    [
        (4, 0.002, 2.0),  # 0.16 s would do
        (100, 0.002, 4.0),  # 0.2 s for all of them: 5% of 4 s
        (100, 0.004, 8.0),
        (100, 3.0, 60.0),  # the database was away for a moment
    ],
)
def test_the_more_trials_run_the_more_rarely_their_curves_are_stored(store, monkeypatch, running, write, every):
    now = [1000.0]
    trial = mock.Mock()
    trial.set_user_attr.side_effect = lambda key, value: now.append(now[-1] + write)
    monkeypatch.setattr(store, "_running", dict.fromkeys(range(running), trial))
    monkeypatch.setattr("time.monotonic", lambda: now[-1])
    monkeypatch.setattr("time.perf_counter", lambda: now[-1])

    def stored(at):
        before = trial.set_user_attr.call_count
        now.append(at)
        store.live(0, {"val_loss": [1.0]})
        return trial.set_user_attr.call_count > before

    assert stored(1000.0)
    assert not stored(1000.0 + 0.99 * every)
    assert stored(1000.0 + 1.01 * every)


def test_a_trial_that_somebody_has_ended_is_not_queued_again(store):
    trial, _, _ = store.ask(SUGGEST)
    store.study.tell(trial.number, state=TrialState.FAIL)  # as the dashboard's button does
    store.interrupt(trial.number)
    assert [one.state for one in store.study.trials] == [TrialState.FAIL]


def test_an_interrupted_trial_is_asked_for_again_with_its_parameters_seed_and_lineage(store):
    trial, config, lineage = store.ask(SUGGEST)
    store.interrupt(trial.number)
    again, same, first = store.ask(SUGGEST)
    assert (again.params, same, first) == (trial.params, config, lineage)
    assert len({store.trial_seed(first), store.repeat_seed(1), store.repeat_seed(2)}) == 3
    assert [t.state for t in store.snapshot().trials] == ["FAIL", "RUNNING"]


def turning_down(trial):
    """A space that wants no even number, and cannot make a configuration of 3."""
    number = trial.suggest_int("number", 1, 8)
    if number % 2 == 0:
        raise optuna.TrialPruned
    return {"number": {1: 1, 5: 5, 7: 7}[number]}


@pytest.fixture
def space(monkeypatch):
    """`suggester` of a module with that `suggest`."""

    def space(suggest):
        module = types.ModuleType("own")
        module.suggest, module.build = suggest, lambda config, **image: None
        monkeypatch.setitem(sys.modules, "own", module)
        return suggester("own", {})

    return space


def test_what_a_space_turns_down_or_cannot_take_is_left_out_and_another_one_drawn(store, space, caplog):
    suggest = space(turning_down)
    drawn = [store.ask(suggest) for _ in range(12)]
    assert {config["number"] for _, config, _ in drawn} <= {1, 5, 7}
    assert [lineage for _, _, lineage in drawn] == list(range(12))
    assert store.count() == 12
    left_out = [trial.params["number"] for trial in store.study.trials if trial.state == TrialState.FAIL]
    assert left_out
    assert set(left_out) <= {2, 3, 4, 6, 8}
    assert caplog.text.count("suggest of the space own failed: KeyError: 3") == left_out.count(3)


def test_a_space_that_takes_nothing_ends_the_search(store, space):
    def never(trial):
        return {}[trial.suggest_int("number", 1, 8)]

    said = f"{MOST_BAD_DRAWS} draws in a row were of no use, the last: suggest of the space own failed: KeyError: "
    with pytest.raises(SearchFailed, match=said):
        store.ask(space(never))


def test_chance_does_not_draw_again_what_was_turned_down(store, space):
    drawn = []

    def seventh(trial):
        drawn.append(trial.suggest_float("x", 0.0, 1.0))
        if len(drawn) < 7:
            raise optuna.TrialPruned
        return {"x": drawn[-1]}

    store.ask(space(seventh))
    assert len(set(drawn)) == 7
    assert store.study.trials[0].user_attrs["turned_down"] == f"suggest of the space own turns down x={drawn[0]!r}"


def test_where_the_best_are_turned_down_the_search_goes_on_beside_them(store, space):
    """The larger a network the lower its loss, and none of more than 300 units is wanted."""

    def suggest(trial):
        layers, width = trial.suggest_int("layers", 1, 8), trial.suggest_int("width", 8, 128, log=True)
        if layers * width > 300:
            raise optuna.TrialPruned
        return {"units": layers * width}

    found = space(suggest)
    for _ in range(16):
        trial, config, _ = store.ask(found)
        loss = 1 / config["units"]
        store.record_ended(outcome(trial.number, val=[loss, loss], train=[loss, loss]), EASY, "cpu", [])
    assert store.count() == 16
    units = [trial.user_attrs["config"]["units"] for trial in store.study.trials if trial.state == TrialState.COMPLETE]
    assert max(units[8:]) > 200  # it draws close to what is not wanted, and not there
    assert sum("turned_down" in trial.user_attrs for trial in store.study.trials[30:]) < 60


def test_a_trial_that_was_queued_and_is_turned_down_is_named(store, space, caplog):
    store.study.enqueue_trial({"number": 2})
    assert store.ask(space(turning_down))[1]["number"] in (1, 5, 7)
    assert "trial 0 is left out: suggest of the space own turns down number=2" in caplog.text
    assert "turned_down" not in store.study.trials[0].user_attrs
    assert store.snapshot().trials[0].reason == "suggest of the space own turns down number=2"


def test_a_start_that_began_no_trial_binds_nobody(tmp_path):
    """The next one may have other settings, and measures its own baseline."""
    url = f"sqlite:///{tmp_path / 'study.db'}"

    def start(seed):
        store = Store(url, "digits", seed=0)
        store.settle({"seed": seed})
        return store, store.remember(StudyAttribute.BASELINE, lambda: {"val_loss": seed})["val_loss"]

    first, baseline = start(1)
    assert baseline == 1
    store, baseline = start(2)
    assert (baseline, store.identity) == (2, first.identity)
    store.ask(SUGGEST)
    assert start(2)[1] == 2
    with pytest.raises(UserError, match="--seed was 2 when this search began and is 3 now"):
        start(3)
