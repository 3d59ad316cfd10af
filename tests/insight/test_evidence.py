"""How far a result from few validation images can be trusted."""

import pytest
from builders import RIVALS, snapshot, trial

from search.choice.rivals import Rivals
from search.insight.evidence import FEW, evidence, from_few_images, judged, small_classes, wilson


def test_the_interval_by_hand():
    weight = 1.6449**2 / 4
    assert wilson(1.0, 4) == pytest.approx((1 / (1 + weight), 1.0))  # 4 of 4: 59.7% to 100%
    assert wilson(0.0, 4) == pytest.approx((0.0, weight / (1 + weight)))
    assert wilson(0.5, 100) == pytest.approx((0.5 - 0.0812, 0.5 + 0.0812), abs=1e-4)  # 1.6449 / 2 / sqrt(100 + 1.6449²)


def test_what_few_images_say():
    assert from_few_images(1.0, 0.0, 4, Rivals(0.75, 0.5)) == [
        "from few images: 4 of 4 are right, which any accuracy from 59.7% to 100.0% can give (90% interval), and the "
        "choice rests on them too; the linear baseline (75.0%) lies in that range; that the standard error is 0.0000 "
        "is no certainty"
    ]
    (line,) = from_few_images(0.75, 0.1, 4, Rivals(0.5, 0.5))
    assert line.endswith("too; the linear baseline (50.0%) and the largest class (50.0%) lie in that range")
    (line,) = from_few_images(0.75, 0.1, 4, Rivals(0.75, 0.1))  # as good as the first, far above the second
    assert line.endswith("the choice rests on them too")


def test_of_many_images_nothing_is_said():
    assert len(from_few_images(0.8, 0.1, FEW - 1, RIVALS)) == 1
    assert from_few_images(0.8, 0.1, FEW, RIVALS) == from_few_images(0.8, 0.1, None, RIVALS) == []
    assert (judged("good", FEW), judged("good", None)) == ("good", "good")
    assert judged("good", 4) == "good as far as 4 images tell"


def test_small_classes_are_named():
    assert small_classes({"oak": 10, "elm": 9, "fir": 0}) == [
        "classes of fewer than 10 validation images: elm 9, fir 0"
    ]
    assert small_classes({"oak": 10}) == small_classes({}) == []
    (line,) = small_classes({f"c{number}": 1 for number in range(12)})
    assert line.endswith("c9 1 and 2 more")


def test_a_study_of_an_older_release_tells_what_it_knows():
    assert evidence(snapshot(trial(0, chosen=True))) == []  # 2,000 images, their classes unknown
    (line,) = evidence(snapshot(trial(0, chosen=True), data={"val_size": 8}))
    assert line.startswith("from few images: 7 of 8 are right")
    assert evidence(snapshot()) == []
