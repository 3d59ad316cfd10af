"""The hopeless rule, pinned by cases worked by hand. Every setting is written out: defaults may be tuned freely."""

import math
import time

import numpy as np
import pytest

from search.stopping import Curve, HopelessRule, OverfitRule

NAN, INF = math.nan, math.inf


def curve(*val, gap=0.0, se=0.0):
    gaps = gap if isinstance(gap, list) else [gap] * len(val)
    return Curve(list(val), gaps, [se] * len(val))


# Nothing but the others' experience: a run keeps its loss times what the ended runs still gained.
PLAIN = {"useful": 0.1, "z": 0.0, "noise": 0.0, "ahead": 1.0, "first_epoch": 1, "peers": 2}
HALVING = [curve(8, 4, 2, gap=0.5)] * 2  # after two epochs a factor of 2 is still to come, after one of 4


def judged(changed, run, ended, others=()):
    """What a rule says of a run beside ended runs and others, which are still training or were given up."""
    rule = HopelessRule(**PLAIN | changed)
    for number, other in enumerate([*ended, *others], start=1):
        rule.update(number, other)
        if number <= len(ended):
            rule.end(number)
    return rule.update(0, run)


@pytest.mark.parametrize(
    ("changed", "run", "stop", "best"),
    [
        pytest.param({}, curve(9, 4.3), False, 1, id="may reach 2.15, and 2.2 is useful"),
        pytest.param({}, curve(9, 4.5), True, 1, id="may reach 2.25"),
        pytest.param({}, curve(8.6), False, 0, id="after one epoch: 2.15"),
        pytest.param({}, curve(9.0), True, 0, id="after one epoch: 2.25"),
        pytest.param({}, curve(4.3, 9), False, 0, id="its best counts, not its last"),
        pytest.param({}, curve(9, 4.3, gap=0.4), False, 1, id="a smaller gap than the others"),
        pytest.param({}, curve(9, 4.3, gap=0.5), True, 1, id="not as good, and its gap is no smaller"),
        pytest.param({}, curve(9, 3.9, gap=0.9), False, 1, id="may beat them"),
        pytest.param({"useful": 0.2}, curve(9, 4.7), False, 1, id="a wider front"),
        pytest.param({"noise": 1.0}, curve(9, 4.5, se=0.3), False, 1, id="0.25 is within sqrt(2) 0.3 = 0.42"),
        pytest.param({"noise": 1.0}, curve(9, 4.3, gap=0.5, se=0.1), True, 1, id="0.15 is more than 0.14"),
        pytest.param({"noise": 1.0}, curve(9, 4.3, gap=0.5, se=0.11), False, 1, id="0.15 is within 0.156"),
        pytest.param({}, curve(8, 4, gap=0.5), False, 1, id="the same again is not beaten"),
        pytest.param({"noise": 1.0}, curve(9, 5, se=0.3), True, 1, id="0.5 is not"),
        pytest.param({"noise": 1.0}, curve(9, 4.5, se=INF), True, 1, id="an error without number"),
        pytest.param({"ahead": 1.5}, curve(16, 4.5), False, 1, id="pace: 4.5 after 16 becomes 4.5 / 1.5^2 and wins"),
        pytest.param({"first_epoch": 3}, curve(9, 9), False, 0, id="too early"),
        pytest.param({"peers": 3}, curve(9, 9), False, 0, id="too few have ended"),
        pytest.param({"total_epochs": 4}, curve(9, 9), False, 0, id="none has been trained as planned"),
        pytest.param({"total_epochs": 3}, curve(9, 9), True, 0, id="they have"),
        pytest.param({}, curve(NAN, INF), False, None, id="no number: not for this rule"),
        pytest.param({}, curve(NAN, 5), True, 1, id="its best number"),
        pytest.param({}, curve(3.9, 1, gap=[0, NAN]), False, 0, id="no training loss, no result"),
    ],
)
def test_hopeless_rule(changed, run, stop, best):
    decision = judged(changed, run, HALVING)
    assert (decision.stop, decision.best_epoch, decision.reason is not None) == (stop, best, stop)


def test_pace_is_no_more_than_the_others_had_at_the_same_epoch():
    halving = {"ahead": 1.5}  # they went on as their pace said, 4 / 1.5: to 2 is a factor of 0.75
    assert not judged(halving, curve(9, 4.3), HALVING).stop  # 4.3 / (9 / 4.3)^0.585 * 0.75 = 2.09
    assert judged(halving, curve(6, 4.3), HALVING).stop  # 4.3 / (6 / 4.3)^0.585 * 0.75 = 2.65


def test_the_benefit_of_the_doubt_grows_with_the_scatter_of_the_others():
    ended = [curve(8, 4, 2, gap=0.5), curve(8, 8, 2, gap=0.5)]  # gains of ln 2 and ln 4: mean 1.04, deviation 0.49
    assert judged({}, curve(9, 6.3), ended).stop  # 6.3 / 2.83 = 2.23
    doubt = {"z": 1.0}  # times exp(-0.49 sqrt(3/2) 2) = 0.301
    assert not judged(doubt, curve(30, 20), ended).stop  # 2.13
    assert judged(doubt, curve(30, 22), ended).stop  # 2.34


def test_runs_that_were_given_up_set_a_mark_but_teach_nothing():
    assert not judged({}, curve(9, 4.3), HALVING).stop
    assert judged({}, curve(9, 4.3), HALVING, [curve(1.9)]).stop  # 2.15 > 1.1 * 1.9
    assert not judged({"peers": 3}, curve(9, 9), HALVING, [curve(1.9)]).stop


def test_an_overfitted_run_teaches_though_it_is_short():
    rule = HopelessRule(**PLAIN, total_epochs=9)
    for number in (1, 2):
        rule.update(number, curve(8, 4))
        rule.end(number, overfitted=True)
    assert not rule.update(0, curve(8, 8, 8, 4, gap=-1)).stop
    assert rule.update(0, curve(8, 8, 8, 5, gap=-1)).stop


def test_a_forgotten_run_does_not_count():
    rule = HopelessRule(**PLAIN)
    for number, run in enumerate([*HALVING, curve(1)], start=1):
        rule.update(number, run)
        rule.end(number)
    assert rule.update(0, curve(9, 4.3)).stop
    rule.forget(3)
    rule.forget(99)
    assert not rule.update(0, curve(9, 4.3)).stop


WITHIN = curve(8, 4, 2, gap=0.1)
ABOVE = curve(0.8, 0.4, 0.2, gap=0.9)


@pytest.mark.parametrize(
    ("run", "ended", "stop", "best"),
    [
        pytest.param(curve(4, 9, gap=[0.05, 0.3]), [WITHIN, WITHIN], False, 0, id="its best within the ceiling"),
        pytest.param(curve(9, 1, gap=[0.05, 0.3]), [WITHIN, WITHIN], True, 0, id="not its best above it"),
        pytest.param(curve(9, 4.3), [WITHIN, WITHIN, ABOVE], False, 1, id="runs above it set no mark"),
        pytest.param(curve(9, 9, gap=0.3), [WITHIN, WITHIN, ABOVE], True, 0, id="none yet: by its loss alone"),
        pytest.param(curve(9, 3, gap=0.3), [WITHIN, WITHIN, ABOVE], False, 1, id="none yet, but a low loss"),
        pytest.param(curve(9, 9, gap=0.3), [ABOVE, ABOVE], True, 0, id="nobody has one"),
        pytest.param(curve(9, 9), [ABOVE, ABOVE], False, 0, id="the first to have one"),
    ],
)
def test_a_ceiling_for_the_gap(run, ended, stop, best):
    decision = judged({"max_gap": 0.2}, run, ended)
    assert (decision.stop, decision.best_epoch) == (stop, best)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 100.0])
def test_a_hopeless_run_is_hopeless_in_any_unit(unit):
    rng = np.random.default_rng(0)
    levels, falls = rng.uniform(0.9, 1.3, 60), rng.uniform(0.2, 2.0, 60)
    stops = []
    for scale in (1.0, unit):
        runs = [
            curve(*(scale * (level + fall / np.arange(1, 21))), gap=scale * (2 - level), se=0.01 * scale)
            for level, fall in zip(levels, falls, strict=True)
        ]
        rule = HopelessRule()
        for number, run in enumerate(runs[:10]):
            rule.update(number, run)
            rule.end(number)
        part = [Curve(run.val_loss[:6], run.gap[:6], run.val_loss_se[:6]) for run in runs[10:]]
        stops.append([rule.update(10, run).stop for run in part])
    assert stops[0] == stops[1]
    assert 5 < sum(stops[0]) < 45


def test_many_runs_of_many_lengths_are_kept_apart():
    rule = HopelessRule(**PLAIN, total_epochs=40)
    for number in range(50):
        rule.update(number, curve(*[8.0] * (1 + number % 40)))
    for number in (100, 101):
        rule.update(number, curve(*[4.0] * 40))
        rule.end(number)
    assert rule.update(49, curve(*[4.5] * 30)).stop
    assert not rule.update(48, curve(*[3.9] * 30)).stop


def test_a_decision_among_a_thousand_runs_takes_less_than_two_milliseconds():
    rng = np.random.default_rng(0)
    hopeless, overfit = HopelessRule(max_gap=0.5), OverfitRule()
    for number in range(1000):
        hopeless.update(number, curve(*rng.uniform(1, 2, 30)))
        hopeless.end(number)
    losses = rng.exponential(1, 10_000)
    run = curve(*rng.uniform(1, 2, 15), se=0.01)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        overfit.update(losses, losses + 0.1)
        hopeless.update(1000, run)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 2e-3


def test_the_reason_of_a_hopeless_run_holds_the_numbers():
    reason = judged({}, curve(9, 5), HALVING).reason
    for part in ("after 2 epochs", "its validation loss, 5,", "reach 2.5;", "another run has 2"):
        assert part in reason
    assert "2.15; another run has 2 and no larger a gap" in judged({}, curve(9, 4.3, gap=0.6), HALVING).reason


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"useful": -0.1}, "useful is -0.1; it must be at least 0"),
        ({"z": -1}, "z is -1"),
        ({"noise": NAN}, "noise is nan"),
        ({"ahead": 0.9}, "ahead is 0.9; it must be at least 1"),
        ({"peers": 1}, "peers is 1; it must be at least 2"),
        ({"first_epoch": 0}, "first_epoch is 0"),
    ],
)
def test_a_bad_setting_is_named(settings, named):
    with pytest.raises(ValueError, match=named):
        HopelessRule(**settings)
