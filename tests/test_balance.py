"""Classes that weigh alike: worked by hand, and by the weighted mean that they stand for."""

import numpy as np
import pytest

from search.balance import counted_alike, inverse_frequency, ratio, reweighted
from search.measurement import paired_difference, standard_error

COUNTS = np.array([6, 3, 0, 1])
LABELS = np.repeat(np.arange(4), COUNTS)


@pytest.mark.parametrize(("counts", "expected"), [([20, 1000, 50], 50.0), ([4, 0, 2], 2.0), ([3], 1.0), ([0, 0], 1.0)])
def test_how_uneven_classes_are(counts, expected):
    assert ratio(counts) == expected


def test_classes_weigh_the_same_and_images_weigh_one_on_average():
    """10 images in three classes: 10 / (3 n) for each."""
    weights = inverse_frequency(COUNTS)
    assert weights == pytest.approx([10 / 18, 10 / 9, 10 / 3, 10 / 3])
    assert weights[LABELS].mean() == pytest.approx(1.0)
    assert inverse_frequency([5, 5]).tolist() == [1.0, 1.0]


def test_the_mean_is_the_weighted_mean_and_the_error_that_of_a_ratio():
    """Losses 1 and 3 of weights 3 and 1: mean 1.5; residuals -0.5 and 1.5 of weights 1.5 and 0.5."""
    values = reweighted(np.array([1.0, 3.0]), np.array([3.0, 1.0]))
    assert values == pytest.approx([1.5 - 0.75, 1.5 + 0.75])
    assert standard_error(values) == pytest.approx(0.75)


def test_equal_weights_change_nothing():
    losses = np.array([0.1, 2.0, 0.7], dtype=np.float32)
    same = reweighted(losses, np.full(3, 4.0))
    assert same == pytest.approx(losses)
    assert same.dtype == np.float32


def test_a_loss_that_all_images_share_has_no_error():
    """However the weights differ: their scatter is no noise of the loss."""
    assert standard_error(reweighted(np.full(10, 0.7), inverse_frequency(COUNTS)[LABELS])) < 1e-7


def test_the_error_is_that_of_drawing_other_images():
    """Against a thousand samples of images, whose classes are drawn too."""
    rng = np.random.default_rng(0)
    weights = np.array([0.5, 4.0])

    def sample():
        labels = (rng.random(400) < 0.1).astype(int)
        return reweighted(rng.exponential(np.array([0.5, 1.5])[labels]), weights[labels])

    samples = [sample() for _ in range(1000)]
    told = np.mean([standard_error(values) for values in samples])
    assert told == pytest.approx(np.std([values.mean() for values in samples]), rel=0.1)


def test_differences_of_the_same_images_stay_paired():
    rng = np.random.default_rng(1)
    now, before, weights = rng.random(10), rng.random(10), inverse_frequency(COUNTS)[LABELS]
    apart = paired_difference(reweighted(now, weights), reweighted(before, weights))
    assert apart == pytest.approx(paired_difference(reweighted(now - before, weights), np.zeros(10)))
    assert apart[0] == pytest.approx(np.average(now - before, weights=weights))


def test_a_loss_that_is_not_finite_shows():
    assert not np.isfinite(reweighted(np.array([np.inf, 1.0]), np.ones(2)).mean())


def test_balanced_accuracy_is_the_mean_recall():
    """Recalls 5/6, 1/3 and 1, of two trainings 1/2, 0 and 0."""
    correct = np.array([[1, 1, 1, 1, 1, 0, 1, 0, 0, 1], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]], dtype=bool)
    alike = counted_alike(correct, LABELS)
    assert alike.mean(axis=1) == pytest.approx([(5 / 6 + 1 / 3 + 1) / 3, 0.5 / 3])
    assert counted_alike(correct[0], LABELS) == pytest.approx(alike[0])
