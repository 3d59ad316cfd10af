"""Splits: disjoint, stratified, seeded."""

import re
import time

import numpy as np
import pytest

from search.data.splits import split
from search.errors import UserError
from search.settings import MOST_SEED

LABELS = np.repeat(np.arange(5), [400, 300, 200, 70, 30])
SHARES = np.bincount(LABELS) / len(LABELS)


@pytest.mark.parametrize(("train_size", "val_size"), [(None, None), (500, 300), (700, 300), (200, 700), (100, 50)])
def test_splits_are_disjoint_stratified_and_the_probe_matches_validation(train_size, val_size):
    splits = split(LABELS, train_size, val_size, seed=3)
    assert len(splits.val) == (200 if val_size is None else val_size)
    assert len(splits.train) == (800 if train_size is None else train_size)
    assert not set(splits.train) & set(splits.val)
    assert set(splits.probe) <= set(splits.train)
    assert len(splits.probe) == min(len(splits.train), len(splits.val))
    for indices in (splits.train, splits.val, splits.probe):
        assert len(set(indices)) == len(indices)
        assert np.abs(np.bincount(LABELS[indices]) / len(indices) - SHARES).max() < 1.5 / len(indices) + 0.005


def test_splits_depend_on_the_seed_alone():
    one, same, other = (split(LABELS, 300, 200, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.train, same.train)
    assert np.array_equal(one.probe, same.probe)
    assert not np.array_equal(one.val, other.val)


def test_the_largest_seed_splits():
    assert len(split(LABELS, 300, 200, MOST_SEED).probe) == 200


@pytest.mark.parametrize(
    ("train_size", "val_size", "culprit"),
    [(900, 200, "--train-size 900 and --val-size 200"), (5, 200, "--train-size is 5"), (500, 3, "--val-size is 3")],
)
def test_sizes_that_do_not_fit_are_named(train_size, val_size, culprit):
    with pytest.raises(UserError, match=culprit):
        split(LABELS, train_size, val_size, seed=0)


@pytest.mark.parametrize(
    ("count", "sizes", "said"),
    [
        (6, {}, "4 images to train on and 4 images to validate on (a fifth) need 8 images; there are 6 to train and "),
        (20, {"train_size": 18}, "--train-size 18 and 4 images to validate on (a fifth) need 22 images; there are 20 "),
        (20, {"val_size": 18}, "4 images to train on and --val-size 18 need 22 images; there are 20 to train and "),
    ],
)
def test_too_small_splits_speak_of_what_was_given(count, sizes, said):
    with pytest.raises(UserError, match=f"^{re.escape(said)}"):
        split(np.arange(count) % 2, **({"train_size": None, "val_size": None} | sizes), seed=0)


def test_few_images_are_split_so_that_each_class_may_validate():
    splits = split(np.arange(12) % 2, None, None, seed=0)
    assert (len(splits.train), len(splits.val)) == (8, 4)


def test_a_copy_moves_to_where_its_copy_trains():
    labels = np.repeat([0, 1], 10)
    plain = split(labels, 16, 4, seed=0)
    val, train = plain.val[0], next(number for number in plain.train if labels[number] == labels[plain.val[0]])
    splits = split(labels, 16, 4, 0, [(train, val)])
    assert {train, val} <= set(splits.train)
    assert np.bincount(labels[splits.val]).tolist() == np.bincount(labels[plain.val]).tolist()
    assert sorted([*splits.train, *splits.val]) == list(range(20))


def pairs(*starts: int) -> list[tuple[int, int]]:
    return [(start, start + 1) for start in starts]


@pytest.mark.parametrize(
    ("classes", "copies", "sizes", "val"),
    [
        ([20, 20], pairs(*range(0, 40, 2)), (32, 8), 8),  # every image is there twice
        ([20, 20], pairs(*range(0, 40, 2)), (33, 7), 6),  # no choice of pairs makes seven
        ([20, 20], pairs(*range(0, 40, 2)), (20, 8), 8),  # not all are used
        ([10, 10], [range(9), range(10, 19)], (12, 8), None),  # two images are no copies, and four must validate
        ([24, 8], [range(start, start + 4) for start in range(0, 32, 4)], (24, 8), 8),
        ([12, 8], [*pairs(0, 2, 4, 6), (8, 9, 10)], (10, 10), 10),
    ],
)
def test_copies_are_on_one_side_however_many_there_are(classes, copies, sizes, val):
    labels = np.repeat(np.arange(len(classes)), classes)
    for seed in range(10):
        if val is None:
            with pytest.raises(UserError, match="too few where copies stay together: 2 of 2 classes would"):
                split(labels, *sizes, seed, copies)
            continue
        splits = split(labels, *sizes, seed, copies)
        sides = [
            {number for number, same in enumerate(copies) if set(same) & set(part)}
            for part in (splits.train, splits.val)
        ]
        assert not sides[0] & sides[1]
        assert not set(splits.train) & set(splits.val)
        assert (len(splits.train), len(splits.val)) == (sizes[0], val)
        assert set(labels[splits.train]) == set(labels[splits.val]) == {0, 1}


def test_any_copies_are_on_one_side_and_the_sizes_that_come_out_give_the_same_split():
    draw = np.random.default_rng(0)
    for seed in range(60):
        labels = draw.permutation(np.arange(80) % 3)
        copies = []
        for label in range(3):
            own = draw.permutation(np.flatnonzero(labels == label))[: draw.integers(27)]
            copies += [
                same.tolist() for same in np.split(own, range(2, len(own), draw.integers(2, 5))) if len(same) > 1
            ]
        splits = split(labels, None, None, seed, copies)
        training, validating = set(splits.train.tolist()), set(splits.val.tolist())
        assert not any(training.intersection(same) and validating.intersection(same) for same in copies)
        assert len(splits.train) == 64
        assert 14 <= len(splits.val) <= 16
        again = split(labels, len(splits.train), len(splits.val), seed, copies)
        for one, other in zip(vars(splits).values(), vars(again).values(), strict=True):
            assert one.tolist() == other.tolist()


def test_the_classes_keep_their_shares_where_all_images_are_copied():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    splits = split(labels, None, None, 0, pairs(*range(0, 1000, 2)))
    assert np.abs(np.bincount(labels[splits.val]) - [120, 60, 20]).max() <= 2
    assert np.abs(np.bincount(labels[splits.train]) - [480, 240, 80]).max() <= 2


def test_a_class_of_one_image_is_refused():
    with pytest.raises(UserError, match="cannot be split"):
        split(np.array([0] * 50 + [1] * 49 + [2]), 40, 20, seed=0)


def test_a_class_that_trains_with_one_image_is_not_in_the_probe():
    """Of 2,000 images two classes train with 1,999 and 1: one image has no share of a probe."""
    labels = np.array([0] * 7996 + [1] * 4)
    splits = split(labels, 2000, 1000, seed=0)
    assert np.bincount(labels[splits.train]).tolist() == [1999, 1]
    assert np.bincount(labels[splits.probe], minlength=2).tolist() == [1000, 0]
    assert set(splits.probe) <= set(splits.train)


@pytest.mark.parametrize("sizes", [(None, None), (300, 300), (102, 102), (9000, 150)])
def test_classes_too_small_for_a_share_are_on_both_sides(sizes):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(51), [10_000, *[4] * 50]))
    splits = split(labels, *sizes, seed=0)
    for part, size in ((splits.train, sizes[0] or 8160), (splits.val, sizes[1] or 2040)):
        assert set(labels[part]) == set(range(51))
        assert len(part) == len(set(part)) == size
    assert not set(splits.train) & set(splits.val)
    assert np.bincount(labels[splits.val])[0] >= len(splits.val) - 50 * 3


def test_many_copies_take_no_more_than_a_moment():
    labels = np.arange(200_000) % 2
    copies = np.random.default_rng(0).permutation(200_000).reshape(-1, 20)[:, :2].tolist()
    began = time.process_time()
    splits = split(labels, None, None, 0, copies)
    assert time.process_time() - began < 20  # a scan of all images for each pair takes minutes
    training, validating = set(splits.train.tolist()), set(splits.val.tolist())
    assert not any((one in training) != (other in training) for one, other in copies)
    assert len(validating) == 40_000


def test_many_images_that_are_all_copied_take_no_more_than_a_moment():
    labels = np.arange(200_000) // 2 % 1000
    began = time.process_time()
    splits = split(labels, None, None, 0, pairs(*range(0, 200_000, 2)))
    assert time.process_time() - began < 20
    assert (len(splits.train), len(splits.val)) == (160_000, 40_000)
    assert not set(splits.train // 2) & set(splits.val // 2)


def test_many_small_classes_take_no_more_than_a_moment():
    labels = np.repeat(np.arange(2001), [100_000, *[2] * 2000])
    began = time.process_time()
    splits = split(labels, 50_000, 10_000, seed=0)
    assert time.process_time() - began < 10
    assert set(labels[splits.train]) == set(labels[splits.val]) == set(range(2001))
