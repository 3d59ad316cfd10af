"""How uneven classes are, in words."""

from search.insight.imbalance import balanced_accuracy, imbalance

UNEVEN = {"classes": ["cat", "gnu", "dog"], "train_counts": [1000, 0, 20]}


def test_the_smallest_and_the_largest_class_are_named():
    """A class without images is no class to train on."""
    assert imbalance(UNEVEN, balanced=False) == [
        "uneven classes: 20 (dog) to 1,000 (cat) images to train on, 50.0 times as many; "
        "images count alike, so large classes count more; --balance weighs classes alike"
    ]
    assert "--balance weighs them alike" in imbalance(UNEVEN, balanced=True)[0]


def test_nothing_is_said_of_even_classes_and_of_older_studies():
    assert imbalance({"classes": ["cat", "dog"], "train_counts": [30, 20]}, balanced=True) == []
    assert imbalance({"classes": ["cat", "dog"]}, balanced=False) == []


def test_balanced_accuracy_where_it_is_known():
    assert balanced_accuracy(0.6) == ", balanced accuracy 60.0%"
    assert balanced_accuracy(None) == ""
