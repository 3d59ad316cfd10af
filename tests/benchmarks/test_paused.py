"""Predict, pause and take up again: the pieces of the replay, worked out by hand."""

import math

import numpy as np
import pytest
from builders import ROOT

from studies.benchmarks.bootstrap import left_out_error
from studies.benchmarks.pruning import paused, pausing
from studies.benchmarks.pruning.pausing import Paused, chances, on_front
from studies.benchmarks.pruning.policies import Rules
from studies.benchmarks.pruning.prediction import (
    Forecast,
    Gaussian,
    Ridge,
    config_features,
    curve_features,
    gains,
)
from studies.benchmarks.pruning.replay import Run
from studies.benchmarks.pruning.side_by_side import SideBySide, side_by_side

NAN = math.nan
INF = math.inf


def run(val, train=None, **config):
    val = np.array(val, dtype=float)
    train = val - 0.1 if train is None else np.array(train, dtype=float)
    unknown = np.full(len(val), NAN)
    return Run(train, val, np.full(len(val), 0.001), unknown, unknown, config)


class Script:
    """A desk that hands out numbers in the order given, and takes each back after some epochs."""

    def __init__(self, order, epochs):
        self.order, self.epochs, self.told = list(order), epochs, []

    def take(self):
        return self.order.pop(0) if self.order else None

    def keeps(self, number, epochs):
        self.told.append((number, epochs))
        return epochs % self.epochs != 0


def test_workers_train_side_by_side():
    desk = Script([0, 1, 2, 0], epochs=2)
    assert side_by_side(desk, runs=3, workers=2) == [4, 2, 2]
    assert desk.told == [(0, 1), (1, 1), (0, 2), (1, 2), (2, 1), (0, 3), (2, 2), (0, 4)]


def test_our_rules_with_one_worker_are_our_rules():
    rng = np.random.default_rng(0)
    runs = [run(0.5 + rng.random() + rng.random() / np.arange(1, 9)) for _ in range(20)]
    given = SideBySide(workers=1)(runs, rng)
    assert given == Rules()(runs, rng)
    assert min(given) < 8 == max(given)


def test_a_run_that_waits_is_taken_up_once_it_is_not_hopeless():
    """After two epochs the first four gain 2%, so the fifth, at 1.12, is hopeless: the best is at 0.98.

    Six others then gain 50%: mean 0.31 and standard deviation 0.25 of the log, so it may reach 0.63, with 0.607 best.
    """
    early = [run([1.0, 1.0, 0.99, 0.98]) for _ in range(4)]
    late = [run([1.0, 1.0, 0.9, 0.607]) for _ in range(6)]
    waits = run([1.12, 1.12, 0.9, 0.62], train=[1.12, 1.12, 0.9, 0.62])
    rng = np.random.default_rng(0)
    assert SideBySide()([*early, waits, *late], rng)[4] == 2
    assert SideBySide(again=True)([*early, waits, *late], rng)[4] == 4
    assert SideBySide(again=True)([*early, waits], rng)[4] == 2


def test_features_by_hand():
    """After four epochs the best is the third (index 2); after two, half the epochs, the second; before the last, 2."""
    one = run([math.e**3, math.e**2, math.e, math.e**1.5], train=[math.e**2, math.e, 1.0, math.e**-1])
    expected = [1.0, 1.0, 0.0, 0.5, 0.0, 1.0, math.e - 1, math.e - 1 - (math.e**2 - math.e)]
    assert curve_features(one, 4) == pytest.approx(expected)
    assert curve_features(one, 3)[[0, 1, 2]] == pytest.approx([1.0, 2.0, 1.0])
    assert curve_features(run([2.0]), 1).tolist()[1:4] == [0.0, 0.0, 0.0]
    assert np.isnan(curve_features(run([NAN, 1.0]), 1)).all()


def test_parameters_are_on_the_scales_that_they_are_searched_on():
    one = run([1.0], width=math.e, dropout=0.3, name="adam", learning_rate=math.e**-2, depth=4)
    assert config_features(one) == pytest.approx([4.0, 0.3, -2.0, 1.0])  # depth, dropout, learning_rate, width


def test_gains_go_from_best_epoch_to_best_epoch():
    one = run([math.e, math.e**2, 1.0, 5.0], train=[math.e - 0.1, 1.0, 0.5, 0.1])
    assert gains(one, 2, 4) == pytest.approx((1.0, 0.4))
    assert gains(one, 3, 4) == (0.0, 0.0)


def test_a_gaussian_process_by_hand():
    """Three runs, one feature, a process of the linear part alone: the regression of Bayes.

    Weights of the features are normal with variance 1, noise has r; so with y standardized to (-1, 0, 1) / u the slope
    is x'y / (x'x + r), and 0.05, the lowest r, is the most likely one for a straight line.
    """
    x, y = np.array([[-1.0], [0.0], [1.0]]), np.array([3.0, 5.0, 7.0])
    fitted = Gaussian()
    fitted.fit(x, y)
    mean, sd = fitted.predict(np.array([[2.0]]))
    assert fitted._kernel[0] == 1.0
    assert mean == pytest.approx(5 + 2 * 2 * 2 / 2.05)  # slope 2 shrunk by x'x / (x'x + r) = 2 / 2.05
    misfit = (1 + 1) / (2 / 3) - (2 / (2 / 3) ** 0.5) ** 2 / 2.05  # times r: y'y - (x'y)^2 / (x'x + r), y by its unit
    variance = (misfit / 0.05 + 1) / 4
    assert sd == pytest.approx((2 / 3) ** 0.5 * 2 * math.sqrt(variance * (4 * 0.05 / 2.05 + 0.05)))


@pytest.mark.parametrize("model", [Gaussian, Ridge])
def test_a_model_finds_a_line(model):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    noise = 0.1 * rng.normal(size=40)
    fitted = model()
    fitted.fit(x[:30], 5 + 2 * x[:30, 0] + noise[:30])
    mean, sd = fitted.predict(x[30:])
    truth = 5 + 2 * x[30:, 0]
    assert np.abs(mean - truth).max() < 0.4
    assert ((sd > 0.05) & (sd < 0.8)).all()


def test_the_error_of_the_ridge_is_that_of_runs_left_out():
    """Checked against fits that really leave out one run, at the strength that was chosen."""
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=(12, 2)), rng.normal(size=12)
    x -= x.mean(axis=0)
    y = 3 * x[:, 1] + noise
    fitted = Ridge()
    fitted.fit(x, y)
    strengths = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    errors = [np.sqrt(np.mean([left_out(x, y, i, strength) ** 2 for i in range(12)])) for strength in strengths]
    assert fitted.predict(x[:1])[1][0] == pytest.approx(min(errors))


def left_out(x, y, i, strength):
    """The error at run i of a ridge without it; its intercept has no penalty."""
    design = np.column_stack([np.ones(len(y)), x])
    rest = np.delete(design, i, axis=0)
    weights = np.linalg.solve(rest.T @ rest + np.diag([0.0, strength, strength]), rest.T @ np.delete(y, i))
    return y[i] - design[i] @ weights


class Mean:
    """A model that predicts the mean, with a standard deviation of 1, and notes what it has learnt."""

    fits: list

    def __init__(self):
        self.mean = NAN

    def fit(self, x, y):
        self.mean = y.mean()
        Mean.fits.append(x.shape)

    def predict(self, x):
        return np.full(len(x), self.mean), np.ones(len(x))


def test_a_forecast_learns_from_the_runs_that_have_ended():
    """At two epochs: three have ended and still fell by 1, 2 and 3; two wait. At three epochs: nobody has got there."""
    Mean.fits = []
    ended = [run([math.e**fall, math.e**fall, 1.0], depth=fall) for fall in (1, 2, 3)]
    runs = [*ended, run([4.0, 3.0, 2.0], depth=4), run([5.0, 4.0, 3.0], depth=5), run([6.0, 5.0, 4.0], depth=6)]
    forecast = Forecast(runs, Mean, config=True)
    known, done = np.array([3, 3, 3, 2, 2, 3]), np.array([True, True, True, False, False, False])
    means, sds = forecast.predict(known, done)
    assert means[0] == pytest.approx([0, 0, 0, 2, 2, 0])
    assert means[1] == pytest.approx(0)
    factor = math.sqrt(1 + 1 / 3) * 3 / 2
    assert sds[0] == pytest.approx([0, 0, 0, factor, factor, 0])
    assert Mean.fits == [(3, 9), (3, 9)]  # eight of the curve and the depth; the loss, the gap
    forecast.predict(known, done)
    assert len(Mean.fits) == 2  # nothing new to learn
    Forecast(runs, Mean, config=False).predict(known, done)
    assert Mean.fits[2:] == [(3, 8), (3, 8)]
    assert not Forecast(runs, Mean, config=False).predict(known, done & (np.arange(6) > 0))[1].any()  # two are too few


def test_the_useful_front_of_a_draw():
    loss = np.log([[1.08, 1.0, 1.05, 1.2, 1.09], [1.0, 1.0, 1.05, 1.2, INF]])
    gap = np.array([[0.1, 0.5, 0.5, 0.0, 0.05], [0.1, 0.1, 0.05, 0.0, INF]])
    front = [[True, True, False, False, True], [True, False, True, False, False]]  # of two that are equal, one
    assert on_front(loss, gap).tolist() == front


def test_chances_by_hand():
    """Losses of 1 and 1.05, the same gap; in one of two draws the second run falls to 1.05 / e, far below the other.

    In that draw it is alone on the front; in the other draw the first one is.
    """
    now = np.array([[1.0, 0.1], [1.05, 0.1]])
    changes = np.zeros((2, 2, 2))
    changes[0, 0, 1] = 1.0
    found, size = chances(now, changes, gain=0.01)
    assert found.tolist() == [0.0, 0.5]  # the first run is on a front, but no better than now
    assert size == 1.0
    changes[1, 1, 1] = -1.0  # a run that falls no further keeps its gap
    assert chances(now, changes, gain=0.01)[1] == 1.0
    assert chances(now, changes, gain=2.0)[0].tolist() == [0.0, 0.0]  # log 3 is more than 1


RUNS = [run([2.0, 1.5, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7]) for _ in range(6)]


@pytest.mark.parametrize(
    ("chance", "size", "given"),
    [
        pytest.param([0, 0, 0.5, 0.1, 0.1, 0.1], 2.0, [8, 8, 8, 2, 2, 2], id="the best to its end; then 0.3 < 0.4"),
        pytest.param([0, 0, 0.5, 0.1, 0.1, 0.1], 5.0, [8, 8, 2, 2, 2, 2], id="0.8 is less than 0.2 of the front"),
        pytest.param([0, 0, 0.5, 0.5, 0.5, 0.5], 1.0, [8] * 6, id="all"),
    ],
)
def test_the_most_promising_run_is_taken_up(monkeypatch, chance, size, given):
    monkeypatch.setattr(pausing, "chances", lambda *_: (np.array(chance), size))
    policy = Paused(Ridge, first=2, chunk=3, whole=2, rest=0.2, workers=1)
    assert policy(RUNS, np.random.default_rng(0)) == given
    assert len(policy.seconds) >= 1


def test_chances_count_per_epoch_left(monkeypatch):
    """After a chunk the third run has 3 epochs left of 8, and 0.1 / 3 is more than 0.19 / 6."""
    order = []
    keeps = pausing._Desk.keeps
    monkeypatch.setattr(pausing._Desk, "keeps", lambda self, *told: order.append(told) or keeps(self, *told))
    looks = iter([[0, 0.2, 0.19], *[[0, 0.1, 0.19]] * 9])
    monkeypatch.setattr(pausing, "chances", lambda *_: (np.array(next(looks)), 1.0))
    Paused(Ridge, first=2, chunk=3, whole=1, rest=0.05, workers=1)(RUNS[:3], np.random.default_rng(0))
    assert [number for number, _ in order[12:]] == [1] * 6 + [2] * 6


@pytest.mark.parametrize(
    ("epochs", "weights"),
    [(0.3, [0, 0.75, 0.25]), (0.2, [0.5, 0.5, 0]), (0.05, [1, 0, 0]), (0.9, [0, 0, 1])],
)
def test_our_rules_at_as_many_epochs(epochs, weights):
    assert paused.between(epochs, [0.15, 0.25, 0.45]) == pytest.approx(weights)


def test_the_error_of_draws_without_replacement():
    assert left_out_error([1.0, 3.0], drawn=80, runs=120) == pytest.approx(math.sqrt(2) * math.sqrt(2))
    assert left_out_error([1.0, 3.0], drawn=80, runs=80) == INF


def test_left_out_error_of_a_mean_is_its_standard_error():
    """Known for a mean: the standard deviation over the square root of the number of runs."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    means = [rng.choice(values, size=80, replace=False).mean() for _ in range(4000)]
    assert left_out_error(means, 80, 100) == pytest.approx(values.std(ddof=1) / 10, rel=0.05)


def test_the_command_prints_every_policy_and_names_what_is_no_table(tmp_path, capsys):
    table = ROOT / "studies" / "benchmarks" / "tables" / "fashion_light.jsonl.gz"
    assert paused.main([str(table), "--searches", "2", "--runs", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fashion_light: 20 runs, 2 searches of 10"
    cells = {line.split(" | ")[0]: line.count(" | ") for line in lines if line.startswith("| ")}
    assert {f"| {name}" for name in (*paused.LINE, *paused.paused_policies())} < set(cells)
    assert len(set(cells.values())) == 1
    (tmp_path / "bad.jsonl").write_text("{}\n")
    assert paused.main([str(tmp_path / "bad.jsonl")]) == 2
    assert "line 1: no run" in capsys.readouterr().err
