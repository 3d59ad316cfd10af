"""Slices: each hyperparameter against loss and gap, over its whole range."""

from builders import recorded_study, recorded_trial, recorded_trials
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from search.choice.fit import Fit
from search.results.snapshot import read_snapshot
from search.show.slices import slices
from search.stopping.stopped import Stopped


def test_they_show_every_run_and_the_whole_range():
    snapshot = read_snapshot(recorded_study(recorded_trials(), chosen=1))
    figures = {figure.layout.title.text: figure for figure in slices(snapshot)}
    assert list(figures) == ["dropout", "width", "norm"]
    dropout = figures["dropout"]
    assert dropout.layout.xaxis.range[0] < 0
    assert dropout.layout.xaxis.range[1] > 0.5
    losses = {trace.name: trace for trace in dropout.data if trace.yaxis == "y"}
    assert {name: len(trace.x) for name, trace in losses.items()} == {
        "finished": 3, "overfit": 1, "hopeless": 1, "out_of_memory": 1, "chosen": 1
    }  # fmt: skip
    assert list(figures["norm"].layout.xaxis.categoryarray) == ["batch", "&lt;script&gt;alert(1)&lt;/script&gt;"]


def test_a_run_that_diverged_squashes_neither_half():
    diverged = recorded_trial(6, Stopped.OVERFIT, val_loss=83.0, gap=80.0, epochs=2, fit=Fit.UNDERFIT)
    figure = slices(read_snapshot(recorded_study([*recorded_trials(), diverged], chosen=1)))[0]
    assert 10 ** figure.layout.yaxis.range[1] < 3
    assert figure.layout.yaxis2.range[1] < 1
    assert {(trace.yaxis, trace.text) for trace in figure.data if trace.mode == "text"} == {
        ("y", ("<br>83",)), ("y2", ("<br>80",))
    }  # fmt: skip
    points = next(trace for trace in figure.data if trace.name == "overfit" and trace.yaxis == "y")
    assert [value for _, value in points.customdata] == [0.6, 83.0]
    assert 0.9 < max(points.y) / 10 ** figure.layout.yaxis.range[1] < 1


def test_categories_may_be_numbers():
    trials = [
        create_trial(state=one.state, values=one.values, params={"batch_size": 16 * (1 + n % 2)},
                     user_attrs=one.user_attrs, distributions={"batch_size": CategoricalDistribution([16, 32])})
        for n, one in enumerate(recorded_trials()[:3])
    ]  # fmt: skip
    (figure,) = slices(read_snapshot(recorded_study(trials)))
    assert list(figure.layout.xaxis.categoryarray) == ["16", "32"]
    assert {x for trace in figure.data for x in trace.x} == {"16", "32"}


def test_a_parameter_of_one_value_has_none():
    trials = [recorded_trial(number, width=16, dropout=0.1 * number) for number in range(4)]
    snapshot = read_snapshot(recorded_study(trials))
    assert [figure.layout.title.text for figure in slices(snapshot)] == ["dropout"]
