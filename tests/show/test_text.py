"""Values as people read them."""

import math

import pytest

from search.show.text import duration, plural, sentence, short, with_error


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (1e-7, "1e-07"), (128.0, "128"), (12, "12"), (123456, "123456"), (True, "True"),
     ("batch", "batch"), (None, "None"), (math.nan, "nan")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 workers"), (1, "1 worker"), (2, "2 workers"), (1234, "1,234 workers")]
)
def test_one_and_many(count, text):
    assert plural(count, "worker") == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (75, "1m15s"), (59.6, "1m00s"), (3725, "1h02m")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_figure_has_its_standard_error():
    assert with_error(0.29194, 0.01621) == "0.2919 ± 0.0162"
    assert with_error(-0.00123, math.inf) == "-0.0012 ± inf"


def test_a_sentence_begins_and_ends_as_one():
    assert sentence("val_loss rose") == "Val_loss rose."
    assert sentence("") == "."
