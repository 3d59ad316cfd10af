"""What training reads of a configuration."""

import math

import pytest

from search.training.recipe import Recipe


def test_what_a_space_does_not_suggest_has_a_default_and_the_rest_is_the_networks():
    assert Recipe.of({}) == Recipe(batch_size=128, weight_decay=0.01, learning_rate=1e-3, augmentation=0.0)
    assert Recipe.of({"batch_size": 32, "width": 8}) == Recipe(batch_size=32)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be a number at least 1"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; it must be a number at least 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan; it must be a number at least 0"),
        ({"learning_rate": "1e-3"}, "learning_rate is '1e-3'; it must be a number at least 0"),
        ({"augmentation": 2.0}, "augmentation is 2.0; it must be a number from 0 to 1"),
        ({"augmentation": None}, "augmentation is None; it must be a number from 0 to 1"),
    ],
)
def test_what_cannot_be_trained_with_is_named(config, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        Recipe.of(config)


@pytest.mark.parametrize("augmentation", [0, 0.0, 1, 1.0])
def test_limits_may_be_taken(augmentation):
    assert Recipe.of({"batch_size": 1, "augmentation": augmentation, "learning_rate": 0}).batch_size == 1
