"""The linear baseline."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from search.training import linear_baseline
from search.training.linear_baseline import STRENGTHS, fit_baseline


def test_it_is_as_good_as_scikit_learns_softmax_regression(digits):
    data = digits.to(torch.device("cpu"))
    ours = fit_baseline(data)
    x, y = (data.pixels(data.train).flatten(1).numpy(), data.labels[data.train].numpy())
    val_x, val_y = (data.pixels(data.val).flatten(1).numpy(), data.labels[data.val].numpy())
    scale = x.std(axis=0) + 1e-2
    losses = []
    for l2 in STRENGTHS:
        model = LogisticRegression(C=1 / (l2 * len(x)), max_iter=2000).fit(x / scale, y)
        losses.append(log_loss(val_y, model.predict_proba(val_x / scale)))
    assert ours.val_loss == pytest.approx(min(losses), rel=0.05)
    assert ours.val_accuracy > 0.9


def test_ten_strengths_are_tried():
    assert len(STRENGTHS) == 10
    assert all(np.diff(STRENGTHS) < 0)


def test_it_ends_after_so_much_work_whatever_the_clock_says(digits):
    """One line search at least; more work ends lower."""
    data = digits.to(torch.device("cpu"))
    losses = [fit_baseline(data, work).val_loss for work in (0.0, 2 * 10 * 400 * 64 * 20, 1e9)]
    assert np.log(10) > losses[0] > losses[1] > losses[2]
    assert losses[2] == fit_baseline(data).val_loss


def test_its_balanced_accuracy_where_classes_are_uneven(digits):
    data = digits.to(torch.device("cpu"))
    even, uneven = fit_baseline(data), fit_baseline(replace(data, uneven=True))
    assert even.val_balanced_accuracy is None
    assert uneven.val_balanced_accuracy == pytest.approx(even.val_accuracy, abs=0.02)  # digits are nearly even
    assert uneven.val_balanced_accuracy != even.val_accuracy


def test_it_weighs_the_classes_in_training_and_in_its_loss(digits):
    """Where one class is nearly all that counts, its images are told best."""
    weights = torch.full((10,), 0.01)
    weights[8] = 9.0
    data = digits.to(torch.device("cpu"))
    plain, weighted = fit_baseline(data), fit_baseline(replace(data, class_weights=weights))
    assert weighted.val_loss < 0.5 * plain.val_loss
    assert weighted.val_accuracy < plain.val_accuracy


def test_where_it_makes_no_mistake_a_network_need_not_be_as_sure(digits):
    """Black and white images: softmax regression is right, and all but certain of it."""
    data = digits.to(torch.device("cpu"))
    labels = data.labels % 2
    images = (255 * labels)[:, None, None, None].to(torch.uint8).expand(data.images.shape).contiguous()
    found = fit_baseline(replace(data, images=images, labels=labels, classes=2))
    assert found.val_accuracy == 1
    assert found.val_loss == pytest.approx(0.1 * np.log(2))


def test_it_is_the_same_however_few_images_are_read_at_once(digits, monkeypatch):
    data = digits.to(torch.device("cpu"))
    whole = fit_baseline(data, work=1e8)
    monkeypatch.setattr(linear_baseline, "CHUNK_VALUES", 7 * 64)
    assert fit_baseline(data, work=1e8) == whole
