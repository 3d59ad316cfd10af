"""Which name was meant."""

import pytest

from search.checks.reading import likely

KNOWN = {"batch_size", "weight_decay", "learning_rate", "augmentation"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lr", "learning_rate"),
        ("LR", "learning_rate"),
        ("wd", "weight_decay"),
        ("batchsize", "batch_size"),
        ("learning_rat", "learning_rate"),
        ("augment", "augmentation"),
        ("decay", "weight_decay"),
        ("temperature", None),
        ("", None),
    ],
)
def test_by_initials_or_by_likeness(name, meant):
    assert likely(name, KNOWN) == meant


def test_of_nothing_nothing_is_meant():
    assert likely("lr", set()) is None
