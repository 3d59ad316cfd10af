"""The expected figures: by hand where nothing is left to chance, and their coverage by simulation."""

import numpy as np
import pytest
from builders import exact_run

from search.choice import expected as module
from search.choice.choose import choose
from search.choice.expected import Evaluated, choose_on, expected


def evaluated(losses, train_loss=0.0, correct=None, gap_se=0.0):
    losses = np.asarray(losses, np.float64)
    return Evaluated(losses, np.ones_like(losses) if correct is None else np.asarray(correct), train_loss, gap_se)


def test_images_that_are_all_alike_leave_nothing_to_correct():
    found = expected([evaluated([0.4] * 20, 0.1), evaluated([0.5] * 20)], 0, [])
    assert found.loss == pytest.approx(0.4)
    assert found.loss_interval == pytest.approx((0.4, 0.4))
    assert found.gap == pytest.approx(0.3)
    assert (found.accuracy, found.seeds) == (pytest.approx(1.0), 0)


def test_unseen_seeds_take_the_place_of_the_recorded_one():
    unseen = [evaluated([0.6] * 20, 0.2, correct=[0.5] * 20), evaluated([0.8] * 20, 0.3, correct=[1.0] * 20)]
    found = expected([evaluated([0.4] * 20, 0.1), evaluated([0.5] * 20)], 0, unseen, seed_std=0.1, freedom=5)
    assert found.loss == pytest.approx(0.7)
    assert found.gap == pytest.approx(0.7 - 0.25)
    assert found.accuracy == pytest.approx(0.75)
    assert found.seeds == 2
    # Student's t with 5 degrees of freedom: 2.015 of 0.1 / sqrt(2), here from 400 draws
    assert found.loss_interval[1] - 0.7 == pytest.approx(2.015 * 0.1 / np.sqrt(2), rel=0.25)


def test_balanced_accuracy_is_the_mean_recall_where_classes_are_uneven():
    labels = np.repeat([0, 1], [15, 5])
    right = evaluated([0.4] * 20, correct=[1.0] * 15 + [0.0] * 5)
    found = expected([right, evaluated([0.5] * 20)], 0, [right, evaluated([0.4] * 20)], labels=labels)
    assert found.accuracy == pytest.approx((0.75 + 1.0) / 2, abs=0.02)
    assert found.balanced_accuracy == pytest.approx((0.5 + 1.0) / 2, abs=0.02)
    assert "balanced_accuracy" not in expected([right], 0, []).as_dict()


def test_it_is_the_same_at_each_asking():
    rng = np.random.default_rng(0)
    runs = [evaluated(rng.exponential(1.0, 50)) for _ in range(5)]
    assert expected(runs, 0, [], seed=3) == expected(runs, 0, [], seed=3)
    assert expected(runs, 0, [], seed=3) != expected(runs, 0, [], seed=4)


def test_a_few_images_are_enough_to_answer():
    assert expected([evaluated([0.4]), evaluated([0.5])], 0, []).loss == pytest.approx(0.4)


@pytest.mark.parametrize("seed", range(20))
def test_on_all_images_the_choice_is_that_of_a_search(seed):
    rng = np.random.default_rng(seed)
    hard = rng.exponential(0.5, 200)
    losses = [hard + rng.normal(0.5, 0.2, 200) for _ in range(12)]
    train, gap_se, std = rng.uniform(0.2, 0.4, 12), rng.uniform(0.0, 0.1, 12), 0.02 * (seed % 3)
    runs = [exact_run(n, loss.mean(), loss.mean() - train[n], gap_se=gap_se[n]) for n, loss in enumerate(losses)]
    among = [evaluated(loss, train[n], gap_se=gap_se[n]) for n, loss in enumerate(losses)]
    picked = choose_on(np.ones((1, 200)), among, np.array(losses), std, trainings=2)
    assert picked.tolist() == [choose(runs, dict(enumerate(losses)), std, trainings=2).run.number]


def test_bias_and_coverage(monkeypatch):
    """40 configurations worth the same: the lowest of their losses is far too low, the expected one is not."""
    monkeypatch.setattr(module, "RESAMPLES", 100)
    biases, naive, covered = [], [], []
    for search in range(150):
        rng = np.random.default_rng([7, search])
        hard = rng.exponential(1.0, 200)  # mean 1
        losses = hard + rng.normal(0, 1.0, (40, 200))
        lowest = int(losses.mean(axis=1).argmin())
        found = expected([evaluated(one, train_loss=-9.0) for one in losses], lowest, [])
        biases.append(found.loss - 1.0)
        naive.append(losses[lowest].mean() - 1.0)
        covered.append(found.loss_interval[0] <= 1.0 <= found.loss_interval[1])
    assert np.mean(naive) < -0.12
    assert abs(np.mean(biases)) < 0.035
    assert 0.85 <= np.mean(covered) <= 0.985


def test_a_higher_loss_that_was_chosen_for_its_gap_is_no_luck():
    """The chosen run has the smaller gap and, beyond any image, the higher loss; half of the resamples pick the other.

    Its unseen seed has no luck of a choice among images in it, so next to nothing is added or taken away.
    """
    rng = np.random.default_rng(0)
    hard = rng.exponential(0.02, 500)
    lower, higher = evaluated(hard, 0.0), evaluated(hard + 0.01, 0.0095, gap_se=0.0)
    unseen = [evaluated(hard + 0.01, 0.0095)]
    found = expected([lower, higher], 1, unseen, seed_std=0.013, freedom=3, trainings=3)
    assert found.loss == pytest.approx(unseen[0].losses.mean(), rel=0.02)


def test_no_loss_is_below_zero():
    """With one run there is nothing to correct: what the resamples add is as often below zero."""
    run = evaluated(np.random.default_rng(0).exponential(1.0, 60))
    losses = [expected([run], 0, [evaluated([0.0] * 60)], seed=seed).loss for seed in range(10)]
    assert min(losses) == 0 < max(losses)


def test_whoever_waits_is_told_of_its_progress():
    beats = []
    expected([evaluated([0.4, 0.5])], 0, [], beat=lambda: beats.append(1))
    assert len(beats) == module.RESAMPLES // module.AT_ONCE
