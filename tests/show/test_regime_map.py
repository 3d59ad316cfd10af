"""The map of fit regimes, and the regimes on it."""

from builders import recorded_study, recorded_trial, recorded_trials

from search.insight.fit_regimes import regimes, strongest_parameters
from search.results.snapshot import read_snapshot
from search.show.regime_map import regime_map


def test_regimes_count_the_runs_that_reached_their_best():
    snapshot = read_snapshot(recorded_study(recorded_trials()))
    found = regimes(snapshot.ended, ["dropout"])
    assert {regime.fit.value: len(regime.trials) for regime in found} == {
        "good": 1, "partial overfit": 1, "true overfit": 1, "underfit": 1
    }  # fmt: skip
    assert found[0].where == {"dropout": "0.4"}
    figure = regime_map(snapshot, ["dropout", "width"])
    assert figure.data[0].name == "stopped before its best"
    assert [trace.name for trace in figure.data[1:]] == ["good", "partial overfit", "true overfit", "underfit"]


def test_a_run_without_one_of_the_parameters_has_no_place_on_it():
    snapshot = read_snapshot(recorded_study(recorded_trials()))
    placed = sum(len(trace.x) for trace in regime_map(snapshot, ["dropout", "width"]).data)
    (lacking, *_) = (trial for trial in snapshot.ended if trial.reached_best and trial.run is not None)
    del lacking.params["dropout"]
    assert sum(len(trace.x) for trace in regime_map(snapshot, ["dropout", "width"]).data) == placed - 1


def test_one_parameter_makes_no_map():
    trials = [recorded_trial(number, width=16, dropout=0.1 * number) for number in range(4)]
    snapshot = read_snapshot(recorded_study(trials))
    assert strongest_parameters(snapshot.ended) == ["dropout"]
    assert regime_map(snapshot, ["dropout"]) is None
