import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search.measurement import (
    Measurement,
    PerImage,
    mean_recall,
    measure,
    over_seeds,
    paired_difference,
    paired_z,
    recalls,
    standard_error,
)

deterministic = settings(derandomize=True, deadline=None, max_examples=100)
# thousandths, so that sums in any order agree to rounding and differences are never lost to it
losses = st.integers(0, 10_000).map(lambda thousandths: thousandths / 1000)
per_image = arrays(np.float64, st.integers(2, 30), elements=losses)
pairs = st.integers(2, 30).flatmap(
    lambda n: st.tuples(*[arrays(np.float64, n, elements=losses), arrays(np.float64, n, elements=losses)])
)


def per_image_of(losses, hits):
    return PerImage(np.array(losses, dtype=np.float32), np.array(hits, dtype=bool), np.array(hits, dtype=int))


def test_an_epoch_worked_by_hand():
    epoch = measure(per_image_of([0.25, 0.75], [1, 1]), per_image_of([1, 2, 3, 6], [1, 0, 0, 0]))
    assert (epoch.train_loss, epoch.val_loss) == (0.5, 3.0)
    assert (epoch.train_accuracy, epoch.val_accuracy) == (1.0, 0.25)
    assert (epoch.gap, epoch.accuracy_gap) == (2.5, 0.75)
    # variances 0.125 of two and 14 / 3 of four images
    assert epoch.val_loss_se == pytest.approx(math.sqrt(14 / 3 / 4))
    assert epoch.gap_se == pytest.approx(math.sqrt(0.125 / 2 + 14 / 3 / 4))


def test_the_gap_keeps_its_sign():
    assert measure(per_image_of([2, 2], [0, 0]), per_image_of([1, 1], [1, 1])).gap == -1.0


def test_as_dict_holds_the_measured_and_the_derived_figures():
    epoch = measure(per_image_of([0.25, 0.75], [1, 1]), per_image_of([1, 2, 3, 6], [1, 0, 0, 0]))
    assert epoch.as_dict() == {
        "train_loss": 0.5,
        "val_loss": 3.0,
        "train_accuracy": 1.0,
        "val_accuracy": 0.25,
        "val_loss_se": epoch.val_loss_se,
        "gap_se": epoch.gap_se,
        "gap": 2.5,
        "accuracy_gap": 0.75,
    }


def test_an_epoch_is_found_again_in_the_curves_of_its_run():
    epochs = [
        measure(per_image_of([loss, 0.75], [1, 1]), per_image_of([1, 2, 3, 6], [1, 0, 0, 0])) for loss in (0.25, 0.5)
    ]
    curves = {name: [epoch.as_dict()[name] for epoch in epochs] for name in epochs[0].as_dict()}
    assert [Measurement.at(curves | {"val_rise_z": [0.0, 1.0]}, number) for number in range(2)] == epochs


def test_a_mean_over_seeds_has_the_error_of_seeds_and_images():
    losses = np.array([[1.0, 3.0], [3.0, 5.0]])  # two seeds, means 2 and 4; two images, means 2 and 4
    assert over_seeds(losses) == pytest.approx((3.0, math.hypot(1, 1), 1.0))
    other_images = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]])  # means 1 and 3: the differences have no seed noise
    assert over_seeds(losses, -other_images) == pytest.approx((1.0, math.hypot(0, 1, 1 / math.sqrt(3)), 0.0))
    assert over_seeds(losses[:1]) == (2.0, None, None)


def test_means_of_many_small_floats_do_not_drift():
    low, high = np.float16(0.1), np.float16(0.2)
    many = np.tile([low, high], 500_000)
    epoch = measure(*[PerImage(many, many > 0, many.astype(int))] * 2)
    assert epoch.train_loss == pytest.approx((float(low) + float(high)) / 2, rel=1e-12)
    assert epoch.val_loss_se == pytest.approx((float(high) - float(low)) / 2 / 1000, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([1, 3], 1.0),
        ([1, 2, 3, 6], math.sqrt(14 / 3 / 4)),
        ([5, 5, 5], 0.0),
        ([7], math.inf),
        ([], math.inf),
    ],
)
def test_standard_error_by_hand(values, error):
    assert standard_error(np.array(values, dtype=np.float32)) == pytest.approx(error)


def test_paired_difference_by_hand():
    # differences 1, 2, 1, 2: mean 1.5, deviation sqrt(1 / 3), its error half of that
    now, before = np.array([2, 3, 4, 5]), np.array([1, 1, 3, 3])
    assert paired_difference(now, before) == pytest.approx((1.5, math.sqrt(1 / 3) / 2))
    assert paired_z(now, before) == pytest.approx(3 * math.sqrt(3))


def test_a_difference_that_all_images_share_is_beyond_any_noise():
    before = np.array([0.5, 1.0, 4.0])
    assert paired_z(before + 0.25, before) == math.inf
    assert paired_z(before - 0.25, before) == -math.inf


@pytest.mark.parametrize(
    ("now", "before"),
    [
        pytest.param(1.5, 1.0, id="plain floats"),
        pytest.param(np.array(1.5), np.array(1.0), id="of NumPy too"),
        pytest.param(np.array([1.0, 2.0]), 1.0, id="one plain float"),
        pytest.param(np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0]), id="other images"),
        pytest.param(np.array([1.5]), np.array([1.0]), id="one image"),
        pytest.param(np.array([]), np.array([]), id="no image"),
        pytest.param(np.array([1.0, math.nan]), np.array([1.0, 2.0]), id="not a number"),
        pytest.param(np.array([1.0, math.inf]), np.array([1.0, 2.0]), id="infinite"),
        pytest.param(np.array([1.0, math.inf]), np.array([1.0, math.inf]), id="infinite both times"),
    ],
)
def test_what_cannot_be_paired_has_no_z(now, before):
    assert math.isnan(paired_z(now, before))


def test_pairing_sees_a_small_rise_that_the_spread_of_the_images_hides():
    rng = np.random.default_rng(0)
    before = rng.exponential(1.0, 1000)
    now = before + 0.01 + rng.normal(0, 0.01, 1000)
    assert now.mean() - before.mean() < 0.5 * standard_error(before)
    assert paired_z(now, before) == pytest.approx(math.sqrt(1000), rel=0.1)


def test_differences_are_taken_before_precision_is_lost():
    before = np.array([10_000, 20_000, 30_000], dtype=np.float16)
    now = np.array([30_000, 40_000, 60_000], dtype=np.float16)
    assert paired_difference(-now, now)[0] == pytest.approx(-2 * 130_000 / 3, rel=1e-3)
    assert paired_z(now, before) > 0


@deterministic
@given(per_image)
def test_identical_losses_have_z_zero(values):
    assert paired_z(values, values.copy()) == 0.0


@deterministic
@given(pairs)
def test_exchanging_the_two_changes_the_sign_alone(pair):
    now, before = pair
    assert paired_z(now, before) == -paired_z(before, now)


@deterministic
@given(pairs, st.randoms(use_true_random=False))
def test_z_does_not_depend_on_the_order_of_the_images(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    now, before = pair
    mean, error = paired_difference(now, before)
    assert paired_difference(now[order], before[order]) == pytest.approx((mean, error), rel=1e-9, abs=1e-12)


@deterministic
@given(pairs)
def test_the_size_of_z_is_the_mean_difference_in_standard_errors(pair):
    mean, error = paired_difference(*pair)
    assert mean == pytest.approx(pair[0].mean() - pair[1].mean(), abs=1e-12)
    if error > 0:
        assert paired_z(*pair) * error == pytest.approx(mean)
    else:
        assert paired_z(*pair) == (math.copysign(math.inf, mean) if mean else 0.0)


def test_the_recall_of_each_class():
    labels = np.array([0, 0, 0, 0, 2, 2, 1])
    right = np.array([True, False, True, True, False, False, True])
    assert recalls(labels, right, 4)[:3].tolist() == [0.75, 1.0, 0.0]
    assert np.isnan(recalls(labels, right, 4)[3])  # a class without images


def test_all_images_right_is_a_balanced_accuracy_of_one():
    """Whatever the sizes of the classes: the mean of weighed hits is 1.0000000000000002 for some."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        labels = np.repeat(np.arange(4), rng.integers([1, 0, 1, 1], 300))
        assert mean_recall(labels, np.ones(len(labels), bool)) == 1.0
        assert mean_recall(labels, np.zeros(len(labels), bool)) == 0.0


def test_the_balanced_accuracy_by_hand():
    """Recalls 2/3, 1 and, of the class without images, none."""
    assert mean_recall(np.array([0, 0, 0, 3]), np.array([True, True, False, True])) == pytest.approx((2 / 3 + 1) / 2)
