"""Rules are pinned by cases worked by hand, with every setting written out: defaults may be tuned freely."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.measurement import paired_z
from search.stopping.diverged import DivergedRule
from search.stopping.extrapolation import paced
from search.stopping.hopeless import Curve, HopelessRule
from search.stopping.overfit import OverfitRule

NAN, INF = math.nan, math.inf
PROMPT = {"material": 0.5, "z": 0.0, "scatter": 0.0, "patience": 1}  # plain floats: two epochs in a row
EAGER = {"material": 0.0, "z": 0.0, "scatter": 0.0, "patience": 1}
# a bump of 2 recovered from after 4 epochs, one of 0.5 after 6; after n epochs the larger one counts 2 * 4/n
TWO_BUMPS = [4, 6, 4.5, 2, 2.5, 1, 2.1, 1.98, 1.88, 1.85]  # rises against 1.14, 1.0, 0.89 and 0.8
FALLING = [1.0 / (epoch + 1) for epoch in range(30)]
curves = st.lists(st.floats(0.01, 100), min_size=1, max_size=20)
deterministic = settings(derandomize=True, deadline=None, max_examples=100)


def four(mean, spread=0.0):
    """Losses of four images. Against losses without spread, paired z is (rise / spread) * sqrt(3)."""
    return np.array([mean + spread, mean - spread, mean + spread, mean - spread])


def replay(rule, train, val):
    """Epoch of the stop (None: never) and best epoch, of curves that go on after it too."""
    stop, decision = None, None
    for epoch, losses in enumerate(zip(train, val, strict=False)):
        decision = rule.update(*losses)
        assert decision.stop == (decision.reason is not None)
        if decision.stop and stop is None:
            stop = epoch
    return stop, decision.best_epoch


def overfitting_run(seed, n=50, epochs=25):
    """Per-image losses of a run that turns at a random epoch: its training loss falls, its validation loss is noisy."""
    rng = np.random.default_rng(seed)
    difficulty, turn = rng.exponential(1.0, n), rng.integers(3, epochs)
    train, val = [], []
    for epoch in range(epochs):
        level = 0.5 + 1 / (1 + epoch) + 0.03 * max(0, epoch - turn)
        val.append(difficulty * level + rng.normal(0, 0.05, n))
        train.append(difficulty / (1 + epoch))
    return train, val


@pytest.mark.parametrize(
    ("changed", "train", "val", "stop", "best"),
    [
        pytest.param({}, FALLING, [2, 1, 1.6, 1.6, 1.6], 3, 1, id="two epochs of more than half above the best"),
        pytest.param({}, FALLING, [2, 1, 1.5, 1.5, 1.5, 1.5], None, 1, id="exactly the material rise is not more"),
        pytest.param({}, FALLING, [2, 1, 1.6, 1.2, 1.6, 1.2, 1.6, 1.6], 7, 1, id="in a row"),
        pytest.param({"patience": 2}, FALLING, [2, 1, *[1.6] * 4], 5, 1, id="twice the patience for plain floats"),
        pytest.param({}, [3, 2, 2, 2, 2], [2, 1, 1.6, 1.6, 1.6], None, 1, id="training loss stands still"),
        pytest.param({}, [3, 2, 2, 2, 1], [2, 1, 1.6, 1.6, 1.6], 4, 1, id="training loss falls late"),
        pytest.param({}, FALLING, [2, 1, 1.6, 0.9, 1.3, 1.3, 1.4, 1.4], 7, 3, id="the rise counts from the new best"),
        pytest.param({}, FALLING, [2, 1, 1.6, 0.9, 1.6, 1.6], 5, 3, id="and so does the patience"),
        pytest.param({}, FALLING, [-2, -4, -2.1, -2.1, -1.9, -1.9], 5, 1, id="negative losses"),
        pytest.param({}, FALLING, [1, 0, 0.1, 0.1], 3, 1, id="a best of zero"),
        pytest.param({"scatter": 1.0}, FALLING, [2, 3.5, 1, 2.125, 1.9, 1.76], 5, 2, id="above its own scatter"),
        pytest.param({"scatter": 2.0}, FALLING, [2, 3.5, 1, 3.25, 2.8, 2.52], 5, 2, id="twice its scatter"),
        pytest.param({"scatter": 1.0}, FALLING, TWO_BUMPS, 9, 5, id="the largest bump counts"),
        pytest.param({"scatter": 9.0}, FALLING, [2, 1, 1.6, 1.6], 3, 1, id="no bump yet, no scatter"),
        pytest.param({}, FALLING, [NAN, 2, INF, 1, NAN, 1.6, INF, 1.6], 7, 3, id="no number is no best"),
        pytest.param({}, FALLING, [2, -INF, 1, -INF, 1.6, 1.6], 5, 2, id="minus infinity is no best"),
        pytest.param({}, [3, 2, NAN, INF, 1, 1], [2, 1, *[1.6] * 4], 5, 1, id="training loss is no number now"),
        pytest.param({}, [3, 2, NAN, 2.5, 1, 1], [2, 1, 0.5, 1.6, 1.6, 1.6], 4, 1, id="nor at a lower loss"),
        pytest.param({}, [3, INF, 3.5, 3.5], [2, 1, 3.1, 3.1], None, 0, id="no fall from an infinite training loss"),
        pytest.param({}, FALLING, [NAN] * 5, None, None, id="never a number"),
    ],
)
def test_overfit_rule_on_plain_floats(changed, train, val, stop, best):
    assert replay(OverfitRule(**PROMPT | changed), train, val) == (stop, best)


@pytest.mark.parametrize(
    ("changed", "late", "stop"),
    [
        pytest.param({"z": 5.1}, [four(1.9, 0.3)] * 3, 2, id="z is 5.2"),
        pytest.param({"z": 9.1}, [four(1.9, 0.3)] * 3, None, id="5.2 sqrt(3) is not beyond 9.1"),
        pytest.param({"z": 5.1, "patience": 3}, [four(1.9, 0.3)] * 3, 4, id="the patience itself where there is z"),
        pytest.param({"z": 5.1, "patience": 2}, [four(1.9, 0.3), four(1.4)] * 3, None, id="in a row"),
        pytest.param({"z": 3.4}, [four(1.9, 0.9)] * 6, 5, id="z is 1.73: four epochs give 3.46"),
        pytest.param({"z": 3.4, "patience": 2}, [four(1.9, 0.9)] * 9, 9, id="eight, where two are asked for"),
        pytest.param({"z": 3.5}, [four(1.9, 0.9)] * 3 + [four(1.9, 0.3)], 5, id="the present z counts"),
        pytest.param({"z": 5.1}, [four(1.4)] * 3, None, id="beyond noise but not material"),
        pytest.param({"z": 5.1}, [four(1.9)] * 3, 2, id="every image alike"),
        pytest.param({"z": 0.0}, [four(NAN), four(INF), np.array([9, 9, 9, NAN])], None, id="an image without number"),
    ],
)
def test_overfit_rule_on_per_image_losses(changed, late, stop):
    val = [four(2.0), four(1.0), *late]
    train = [four(loss) for loss in FALLING]
    assert replay(OverfitRule(**PROMPT | changed), train, val) == (stop, 1)


def test_pairing_compares_with_the_images_of_the_best_epoch():
    easy_and_hard = np.array([0.1, 3.9, 0.2, 3.8])
    val = [easy_and_hard + rise for rise in (0.0, 1.1, 1.1)]
    assert replay(OverfitRule(**PROMPT | {"z": 50.0}), FALLING, val) == (1, 0)
    shuffled = [val[0], val[1][::-1]]
    assert replay(OverfitRule(**PROMPT | {"z": 50.0}), FALLING, shuffled) == (None, 0)


def test_a_recorded_z_decides_as_the_images_did():
    settings_ = {"material": 0.02, "z": 2.5, "scatter": 1.0, "patience": 2}
    for seed in range(20):
        train, val = overfitting_run(seed)
        by_images, by_floats = OverfitRule(**settings_), OverfitRule(**settings_)
        best, expected, decided = None, [], []
        for epoch, losses in enumerate(val):
            z = 0.0 if best is None else paired_z(losses, val[best])
            expected.append(by_images.update(train[epoch], losses))
            decided.append(by_floats.update(float(train[epoch].mean()), float(losses.mean()), rise_z=z))
            best = expected[-1].best_epoch
        assert [(d.stop, d.best_epoch) for d in decided] == [(d.stop, d.best_epoch) for d in expected]


@pytest.mark.parametrize(("z", "stop"), [(9.0, 2), (1.0, None), (NAN, 3)])
def test_a_recorded_z_of_no_number_is_none(z, stop):
    rule = OverfitRule(**PROMPT | {"z": 3.0})
    stops = [rule.update(1 / (epoch + 1), val, rise_z=z).stop for epoch, val in enumerate([2, 1, 1.6, 1.6])]
    assert (stops.index(True) if any(stops) else None) == stop


def test_a_best_epoch_is_remembered_even_if_its_array_is_reused():
    rule, buffer = OverfitRule(**PROMPT), four(1.0)
    rule.update(1.0, buffer)
    buffer += 1.0
    assert rule.update(0.5, buffer).stop


@deterministic
@given(curves, curves)
def test_a_validation_loss_that_never_rises_never_stops_a_run(train, val):
    stop, _ = replay(OverfitRule(**EAGER), train, sorted(val, reverse=True))
    assert stop is None


@deterministic
@given(curves, curves)
def test_a_training_loss_that_never_falls_never_stops_a_run(train, val):
    stop, _ = replay(OverfitRule(**EAGER), sorted(train), val)
    assert stop is None


@deterministic
@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=20))
def test_the_best_epoch_is_the_first_lowest_finite_one(val):
    _, best = replay(OverfitRule(**EAGER), [1.0] * len(val), val)
    finite = [epoch for epoch, loss in enumerate(val) if math.isfinite(loss)]
    assert best == min(finite, key=lambda epoch: val[epoch], default=None)


@pytest.mark.parametrize("change", ["thousandth", "hundredfold", "shuffled"])
def test_the_decision_ignores_the_unit_of_the_loss_and_the_order_of_the_images(change):
    order = np.random.default_rng(0).permutation(50)
    apply = {
        "thousandth": lambda losses: 1e-3 * losses,
        "hundredfold": lambda losses: 100 * losses,
        "shuffled": lambda losses: losses[order],
    }[change]
    own = {"material": 0.05, "z": 9.0, "scatter": 1.5, "patience": 2}
    runs = [overfitting_run(seed) for seed in range(40)]
    expected = [replay(OverfitRule(**own), *run) for run in runs]
    changed = [replay(OverfitRule(**own), *([apply(losses) for losses in curve] for curve in run)) for run in runs]
    assert changed == expected
    assert 10 < sum(stop is not None for stop, _ in expected) < 40


def test_however_many_images_a_rise_of_three_thousandths_is_not_material():
    losses = np.random.default_rng(0).exponential(0.5, 100_000)
    val = [losses, *[losses * 1.003] * 20]
    assert replay(OverfitRule(material=0.02, z=3.0, scatter=1.5, patience=2), FALLING, val) == (None, 0)
    assert replay(OverfitRule(material=0.002, z=3.0, scatter=1.5, patience=2), FALLING, val) == (2, 0)


def test_the_reason_holds_the_numbers():
    rule = OverfitRule(material=0.1, z=3.0, scatter=0.0, patience=1)
    rule.update(0.9, four(1.0))
    rule.update(0.5, four(0.8))
    reason = rule.update(0.3, four(1.0, 0.1)).reason
    for part in ("25% above", "epoch 2", "z = 3.5", "from 0.5 to 0.3"):
        assert part in reason


def test_no_z_is_claimed_for_plain_floats():
    rule = OverfitRule(**PROMPT)
    reasons = [rule.update(train, val).reason for train, val in [(1.0, 1.0), (0.9, 1.6), (0.8, 1.6)]]
    assert reasons[:2] == [None, None]
    assert "60% above its best of epoch 1" in reasons[2]
    assert "z =" not in reasons[2]


@pytest.mark.parametrize(
    ("changed", "run"),
    [
        *[({"material": 0.02, "z": 2.0, "patience": 2}, overfitting_run(seed)) for seed in (0, 2, 4)],
        ({"scatter": 1.0}, (FALLING, TWO_BUMPS)),
        ({"patience": 2}, (FALLING, [2, 1, *[1.6] * 4])),
    ],
)
def test_a_restored_rule_decides_as_if_never_interrupted(changed, run):
    whole = OverfitRule(**PROMPT | changed)
    expected = [whole.update(*losses) for losses in zip(*run, strict=False)]
    assert any(decision.stop for decision in expected)
    interrupted, decisions = OverfitRule(**PROMPT | changed), []
    for losses in zip(*run, strict=False):
        state, interrupted = interrupted.state_dict(), OverfitRule(**PROMPT | changed)
        interrupted.load_state_dict(state)
        decisions.append(interrupted.update(*losses))
    assert decisions == expected


def test_the_number_of_epochs_planned_is_accepted():
    assert replay(OverfitRule(**PROMPT, total_epochs=100), FALLING, [2, 1, 1.6, 1.6]) == (3, 1)


@pytest.mark.parametrize(
    ("rule", "arguments", "named"),
    [
        (OverfitRule, {"material": -0.1}, "material is -0.1"),
        (OverfitRule, {"z": NAN}, "z is nan"),
        (OverfitRule, {"scatter": -1}, "scatter is -1"),
        (OverfitRule, {"patience": 0}, "patience is 0"),
        (HopelessRule, {"useful": -0.1}, "useful is -0.1"),
        (HopelessRule, {"z": -1}, "z is -1"),
        (HopelessRule, {"noise": NAN}, "noise is nan"),
        (HopelessRule, {"ahead": 0.9}, "ahead is 0.9"),
        (HopelessRule, {"peers": 1}, "peers is 1; it must be at least 2"),
        (HopelessRule, {"first_epoch": 0}, "first_epoch is 0"),
    ],
)
def test_a_bad_argument_is_named(rule, arguments, named):
    with pytest.raises(ValueError, match=named):
        rule(**arguments)


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


@pytest.mark.parametrize(
    ("losses", "total", "expected"),
    [
        pytest.param([9, 4.5, 2.25], 9, 2.25 / 1.5 ** (math.log(4) / math.log(3)), id="slope since epoch 3 // 2"),
        pytest.param([9, 4.5, 2.25], 4, 2.25 / (4 / 3) ** (math.log(4) / math.log(3)), id="to the planned end"),
        pytest.param([9, 4.5, 2.25], 3, 2.25, id="this is the end"),
        pytest.param([9, 4.5, 2.25], 2, 2.25, id="beyond the plan"),
        pytest.param([16, 8, 4, 4], 9, 4 / 1.5, id="halved since epoch 2"),
        pytest.param([9], 9, 9, id="one epoch has no pace"),
        pytest.param([INF, INF, 2], 9, 2, id="nor has the first result"),
    ],
)
def test_pace(losses, total, expected):
    assert math.exp(paced(np.log(losses), len(losses), total, 1.5)) == pytest.approx(expected)


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
    ("train", "val", "best", "said"),
    [
        (NAN, 0.3, 1, "training loss is nan"),
        (INF, 0.3, 1, "training loss is inf"),
        (-INF, 0.3, 1, "training loss is -inf"),
        (0.5, NAN, 1, "validation loss is nan"),
        (0.5, INF, 1, "validation loss is inf"),
        (0.5, -INF, 1, "validation loss is -inf"),
        (7.0, 0.3, 2, "training loss is 7"),
        (0.5, 7.0, 1, "validation loss is 7"),
    ],
)
def test_a_diverged_run_stops_and_keeps_its_best_epoch(train, val, best, said):
    rule = DivergedRule(classes=2, factor=10.0)  # ten times ln 2 is 6.93
    assert not rule.update(1.0, 6.9).stop
    assert not rule.update(6.9, 0.4).stop
    decision = rule.update(train, val)
    assert (decision.stop, decision.best_epoch, decision.reason) == (True, best, said)


def test_divergence_shows_in_a_single_image():
    assert DivergedRule(classes=10).update(four(1.0), np.array([1.0, 1.0, 1.0, NAN])).stop
