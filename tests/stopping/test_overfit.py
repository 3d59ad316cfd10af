"""The overfitting rule, pinned by cases worked by hand. Every setting is written out: defaults may be tuned freely."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.measurement import paired_z
from search.stopping import OverfitRule

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


@pytest.mark.parametrize(
    ("scatter", "val", "stop", "best"),
    [
        pytest.param(1.0, [2, 3.5, 1, 2.125, 1.9, 1.76], 5, 2, id="above its own scatter"),
        pytest.param(2.0, [2, 3.5, 1, 3.25, 2.8, 2.52], 5, 2, id="twice its scatter"),
        pytest.param(1.0, TWO_BUMPS, 9, 5, id="the largest bump counts"),
        pytest.param(9.0, [2, 1, 1.6, 1.6], 3, 1, id="no bump yet, no scatter"),
    ],
)
def test_own_scatter(scatter, val, stop, best):
    per_image = [four(loss) for loss in val]
    assert replay(OverfitRule(**PROMPT | {"scatter": scatter, "patience": 2}), FALLING, per_image) == (stop, best)


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


@pytest.mark.parametrize(("z", "stop"), [(9.0, 2), (1.0, None), (NAN, 5)])  # 5: the noise of six epochs is known
def test_a_recorded_z_of_no_number_is_none(z, stop):
    rule = OverfitRule(**PROMPT | {"z": 3.0})
    stops = [rule.update(1 / (epoch + 1), val, rise_z=z).stop for epoch, val in enumerate([2, 1, *[1.6] * 4])]
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
        ({"scatter": 1.0, "patience": 2}, (FALLING, [four(loss) for loss in TWO_BUMPS])),
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


def test_the_state_has_names():
    rule = OverfitRule(**PROMPT)
    for losses in zip(FALLING, [2, 1, 3, 0.5, 1.5], strict=False):
        rule.update(*losses)
    assert rule.state_dict() == {
        "epoch": 4,
        "best_epoch": 3,
        "best_train": 0.25,
        "best_val": 0.5,
        "best_losses": 0.5,
        "largest_since_best": 1.0,
        "largest_recovered": 2 * 4 / 5,
        "material_epochs": 1,
        "recent": (2.0, 1.0, 3.0, 0.5, 1.5),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("best_val"), "lacks best_val"),
        (lambda state: state.update(colour=1, _epoch=2), "has the unknown _epoch, colour"),
    ],
)
def test_a_state_with_other_names_is_refused(change, said):
    rule = OverfitRule(**PROMPT)
    rule.update(1.0, 2.0)
    before, state = rule.state_dict(), rule.state_dict()
    change(state)
    with pytest.raises(ValueError, match=said):
        rule.load_state_dict(state)
    assert rule.state_dict() == before


@pytest.mark.parametrize(
    ("settings_", "named"),
    [
        ({"material": -0.1}, "material is -0.1; it must be at least 0"),
        ({"z": NAN}, "z is nan"),
        ({"scatter": -1}, "scatter is -1"),
        ({"patience": 0}, "patience is 0; it must be at least 1"),
    ],
)
def test_a_bad_setting_is_named(settings_, named):
    with pytest.raises(ValueError, match=named):
        OverfitRule(**settings_)
