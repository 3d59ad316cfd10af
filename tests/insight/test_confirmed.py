"""A confirmation in words: luck and optimism beyond noise alone."""

import pytest
from builders import confirmation

from search.insight.confirmed import table, verdicts

METRICS = {"val_loss": 0.20, "val_loss_se": 0.01, "val_accuracy": 0.95, "gap": 0.05, "gap_se": 0.02}


def told(seeds=11, **changes):
    """Of that many seeds, which are beyond noise at 2.23 errors."""
    return "\n".join(verdicts(METRICS, confirmation(seeds=list(range(seeds)), **changes)))


@pytest.mark.parametrize(
    ("optimism", "error", "words"),
    [
        (0.05, 0.02, "was lucky: fresh seeds have +0.0500 ± 0.0200 (+25%) on the same images; that is the optimism of"),
        (-0.05, 0.02, "was unlucky: fresh seeds have -0.0500 ± 0.0200 (-25%) on the same images"),
        (0.05, 0.03, "is within noise of fresh seeds: they have +0.0500 ± 0.0300 (+25%) on the same images"),
        (0.05, None, "differs from that of a fresh seed by +0.0500 (+25%) on the same images"),
    ],
)
def test_luck_only_beyond_noise(optimism, error, words):
    text = told(optimism=optimism, optimism_se=error)
    assert words in text
    assert ("lucky" in text) == (error == 0.02)
    assert ("optimism" in text) == (optimism > 0 and error == 0.02)


def test_two_seeds_are_seldom_beyond_noise():
    """12.7 errors of them are: of luck, of the offset between the splits, and of what the choice cost."""
    text = told(seeds=2, optimism=0.25, optimism_se=0.02, split_offset=0.12, split_offset_se=0.01)
    assert "is within noise of fresh seeds: they have +0.2500 ± 0.0200" in text
    assert "+0.1200 ± 0.0100, within noise" in text
    assert "has +0.0300 ± 0.0100 test loss, within noise" in text
    assert "was lucky" in told(seeds=2, optimism=0.26, optimism_se=0.02)
    assert "images are harder" in told(seeds=2, split_offset=0.12, split_offset_se=0.01, split_offset_seed_se=0.001)


def test_luck_has_no_share_of_a_loss_of_nothing():
    content = confirmation(seeds=list(range(11)), optimism=0.05, optimism_se=0.02)
    said = "\n".join(verdicts(METRICS | {"val_loss": 0.0}, content))
    assert "was lucky: fresh seeds have +0.0500 ± 0.0200 on the same images" in said


@pytest.mark.parametrize(
    ("offset", "error", "words"),
    [
        (0.07, 0.01, "+0.0700 ± 0.0100: the test images are harder; that is the split, no luck"),
        (-0.07, 0.01, "-0.0700 ± 0.0100: the test images are easier"),
        (0.07, 0.04, "+0.0700 ± 0.0400, within noise"),
        (0.07, None, "+0.0700, one seed alone"),
    ],
)
def test_the_offset_of_the_splits_is_named_as_what_it_is(offset, error, words):
    assert words in told(split_offset=offset, split_offset_se=error)


@pytest.mark.parametrize(
    ("role", "difference", "gap", "words"),
    [
        (
            "lowest recorded loss",
            0.03,
            -0.02,
            "the smaller gap of the choice cost test loss, +0.0300 ± 0.0100, at -0.02",
        ),
        ("lowest recorded loss", -0.03, -0.02, "the smaller gap of the choice gained test loss, -0.0300 ± 0.0100"),
        ("lowest recorded loss", 0.01, 0.02, "the choice has +0.0100 ± 0.0100 test loss, within noise, and +0.02"),
        ("runner-up", 0.03, -0.02, "; the choice cost test loss, +0.0300"),
    ],
)
def test_what_the_smaller_gap_cost(role, difference, gap, words):
    other = confirmation()["others"][0] | {
        "role": role, "test_loss_difference": difference, "test_gap_difference": gap,
    }  # fmt: skip
    text = told(others=[other])
    assert f"trial 6, the {role}: test_loss 0.3000 ± 0.0200, gap 0.2000 ± 0.0200" in text
    assert words in text


def test_the_worst_classes_are_named():
    words = "worst classes on the test split by recall: shirt 71.0% ± 1.0% (precision 70.0% ± 2.0%, 1,000 images), "
    assert f"{words}coat 80.0% ± 1.0% (precision none, 9 images)" in told()


def test_the_openings_of_the_test_split_are_told():
    assert "for the first time from this run folder" in told(openings=1)
    assert "for time 3 from this run folder: whoever changes anything" in told(openings=3)


def test_the_table_has_an_error_beside_every_figure():
    lines = table(METRICS, confirmation())
    assert [line.count("±") for line in lines] == [2, 3, 3, 2]
    assert lines[1].endswith("val_loss 0.2400 ± 0.0200, accuracy 90.0% ± 1.0%, gap 0.1400 ± 0.0200")
    assert "take more --seeds" in table(METRICS, confirmation(seeds=[1]))[-1]


def test_one_of_an_older_release_tells_of_its_optimism():
    (line,) = verdicts(METRICS, {"test_loss": 0.2, "test_accuracy": 0.9, "optimism": 0.1})
    assert line.startswith("optimism of the search +0.1000")


def test_the_ensemble_has_a_balanced_accuracy_where_best_has_one():
    figures = {"test_loss": 0.3, "test_loss_se": 0.02, "test_accuracy": 0.9, "test_accuracy_se": 0.01}
    uneven = figures | {"test_balanced_accuracy": 0.71, "test_balanced_accuracy_se": 0.021}
    found = confirmation(**{f"ensemble_{name}": value for name, value in uneven.items()})
    assert table(METRICS, found)[4].endswith("test_loss 0.3000 ± 0.0200, accuracy 90.0% ± 1.0% (balanced 71.0% ± 2.1%)")
    even = confirmation(**{f"ensemble_{name}": value for name, value in figures.items()})
    assert table(METRICS, even)[4].endswith("accuracy 90.0% ± 1.0%")
