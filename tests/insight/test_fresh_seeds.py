"""What trainings with fresh seeds say, worked by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from search.insight.fresh_seeds import Trained, beyond_noise, difference, figures, luck

HITS = np.array([[True, True], [True, False]])


def trained(train=(0.1, 0.1), val=(0.22, 0.26), test=(0.3, 0.34)):
    """Two seeds, two images that are alike: an error is that of the seeds."""
    arrays = [np.repeat([[one], [other]], 2, axis=1) for one, other in (train, val, test)]
    return Trained(arrays[0], arrays[1], HITS, arrays[2], HITS)


def test_the_figures_by_hand():
    found = figures(trained())
    expected = {
        "train_loss": 0.1, "train_loss_se": 0.0, "val_loss": 0.24, "val_loss_se": 0.02, "test_loss": 0.32,
        "test_loss_se": 0.02, "val_gap": 0.14, "val_gap_se": 0.02, "test_gap": 0.22, "test_gap_se": 0.02,
        "split_offset": 0.08, "split_offset_se": 0.0, "split_offset_seed_se": 0.0,
        "val_accuracy": 0.75, "test_accuracy": 0.75,
        "val_accuracy_se": math.hypot(0.25, 0.25), "test_accuracy_se": math.hypot(0.25, 0.25),
    }  # fmt: skip
    assert found == pytest.approx(expected)


def test_balanced_accuracy_stands_beside_accuracy_where_it_is_known():
    alike = np.array([[0.5, 0.7], [0.3, 0.5]])
    found = figures(replace(trained(), val_alike=alike, test_alike=alike))
    # seeds 0.6 and 0.4, images 0.4 and 0.6
    assert found["test_balanced_accuracy"] == found["val_balanced_accuracy"] == pytest.approx(0.5)
    assert found["test_balanced_accuracy_se"] == pytest.approx(math.hypot(0.1, 0.1))


def test_a_balanced_accuracy_is_a_share_however_it_is_rounded():
    alike = np.full((2, 2), 1.0000000000000002)
    found = figures(replace(trained(), val_alike=alike, test_alike=-alike + 1))
    assert (found["val_balanced_accuracy"], found["test_balanced_accuracy"]) == (1.0, 0.0)


def test_luck_is_told_on_the_same_images():
    """0.24 +- 0.02 sqrt(2) in each seed, and the recorded one is such a seed too."""
    found = luck(0.20, trained(test=(9.0, 9.0)))
    assert found == pytest.approx({"optimism": 0.04, "optimism_se": 0.02 * math.sqrt(2) * math.sqrt(1.5)})
    one = Trained(*(array[:1] for array in vars(trained()).values() if array is not None))
    assert luck(0.20, one) == {"optimism": pytest.approx(0.02), "optimism_se": None}


def test_differences_are_paired_by_seed():
    found = difference(trained(train=(0.2, 0.2)), trained(test=(0.2, 0.24)))
    assert found == pytest.approx(
        {"test_loss_difference": 0.1, "test_loss_difference_se": 0.0, "test_loss_difference_seed_se": 0.0,
         "test_gap_difference": 0.0, "test_gap_difference_se": 0.0}, abs=1e-12
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seeds", "error", "of_seeds", "least"),
    [  # 0.975 quantiles of Student's t with 1, 4 and 9 degrees of freedom, as printed in tables
        (2, 0.1, None, 1.2706),
        (5, 0.1, None, 0.2776),
        (10, 0.1, None, 0.2262),
        (2, 0.1, 0.0, 0.2),  # the images' alone
        (2, 0.05, 0.03, math.hypot(12.706 * 0.03, 2 * 0.04)),
        (5, 0.05, 0.04, math.hypot(2.776 * 0.04, 2 * 0.03)),
        (5, 0.1, 0.10000001, 0.2776),  # rounded
    ],
)
def test_what_is_beyond_noise(seeds, error, of_seeds, least):
    for share, beyond in ((1.001, True), (-1.001, True), (0.999, False)):
        found = {"loss": share * least, "loss_se": error, "loss_seed_se": of_seeds}
        assert beyond_noise(found, "loss", seeds) is beyond


def test_one_seed_is_never_beyond_noise():
    assert beyond_noise({"loss": 9.0, "loss_se": None}, "loss", 1) is False
    assert beyond_noise({"loss": 9.0, "loss_se": 0.1}, "loss", 1) is False


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_luck_is_seen_where_there_is_none_in_one_of_twenty(seeds):
    rng = np.random.default_rng(0)
    hits, none = np.ones((seeds, 2), bool), np.zeros((seeds, 2))
    losses = np.repeat(rng.normal(1.0, 0.1, (2_000, seeds + 1, 1)), 2, axis=2)  # no image noise
    found = [luck(float(one[0, 0]), Trained(none, one[1:], hits, none, hits)) for one in losses]
    assert np.mean([beyond_noise(one, "optimism", seeds) for one in found]) == pytest.approx(0.05, abs=0.015)
