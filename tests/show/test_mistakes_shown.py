"""What the report shows of the images that go wrong, worked by hand; how pictures are packed."""

import base64
import io
import json

import numpy as np
import pytest
import yaml
from builders import SCRIPT, best_content, recorded_study, recorded_trials
from page_text import Text
from PIL import Image

from search.results import predictions
from search.results.pictures import Pictures
from search.results.predictions import Predictions
from search.results.snapshot import read_snapshot
from search.show.confusion import MOST_CLASSES, confusion_graph
from search.show.mistakes import mistakes, picture
from search.show.report import write_report

HASH = "a" * 64
LABELS = np.array([0, 0, 0, 0, 1, 1])
LOGITS = np.array([[2, 0], [2, 0], [2, 0], [0, 4], [2, 0], [0, 2]], np.float32)  # the fourth and fifth are wrong


def content(names=("oak", "elm"), **others):
    known = best_content(trial=1, **others) | {"weights_sha256": HASH}
    known["data"]["classes"] = list(names)
    return known


def keep(folder, split="validation", names=("", "")):
    pictures = Pictures(np.array([3, 4]), np.zeros((2, 1, 8, 8), np.uint8), np.array(names))
    predictions.save(folder, split, Predictions(HASH, np.array([9, 8, 7, 5, 3, 1]), LABELS, LOGITS, pictures))


def test_figures_and_pictures_of_a_split(tmp_path):
    keep(tmp_path)
    [one] = mistakes(tmp_path, content())
    assert (one.split, one.images, one.right, one.kinds) == ("validation", 6, 4, 2)
    assert one.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert [(pair.true, pair.taken_for, pair.images, pair.of) for pair in one.confusions] == [
        ("elm", "oak", 1, 2), ("oak", "elm", 1, 4),
    ]  # fmt: skip
    assert [(of.name, of.recall) for of in one.classes] == [("elm", 0.5), ("oak", 0.75)]
    assert [card.lines for card in one.cards] == [
        ("taken for elm (98.2%)", "true: oak (1.8%)"), ("taken for oak (88.1%)", "true: elm (11.9%)"),
    ]  # fmt: skip
    assert [card.name for card in one.cards] == ["image 5", "image 3"]


def test_probabilities_are_those_of_the_temperature(tmp_path):
    keep(tmp_path)
    calibration = {"temperature": 2.0}
    [one] = mistakes(tmp_path, content(calibration=calibration))
    assert one.cards[0].lines == ("taken for elm (88.1%)", "true: oak (11.9%)")


def test_predictions_of_other_weights_or_classes_are_left_out(tmp_path):
    keep(tmp_path)
    assert mistakes(tmp_path, content() | {"weights_sha256": "b" * 64}) == []
    assert mistakes(tmp_path, content(names=("a", "b", "c"))) == []
    assert mistakes(tmp_path, None) == []


def test_the_report_tells_of_both_splits_and_names_are_never_markup(tmp_path):
    keep(tmp_path, "validation", names=("cats/a.jpg", f"{SCRIPT}.jpg"))
    keep(tmp_path, "test")
    (tmp_path / "best.yaml").write_text(yaml.safe_dump({"version": 1} | content(names=("oak", SCRIPT))))
    page = write_report(tmp_path, read_snapshot(recorded_study(recorded_trials(), chosen=1))).read_text()
    text = Text(page)
    assert "<script>alert" not in page
    assert "4 of 6 images are right: accuracy 66.7%, balanced accuracy 62.5%" in text.shown
    assert text.shown.index("On the validation images") < text.shown.index("On the test images")
    assert f"true: {SCRIPT} (11.9%) {SCRIPT}.jpg" in text.shown
    assert "cats/a.jpg" in text.shown
    sources = [attrs["src"] for tag, attrs in text.elements if tag == "img"]
    assert len(sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_the_matrix_has_counts_and_shares_and_ends_where_nothing_can_be_seen():
    graph = json.loads(confusion_graph(np.array([[8, 2], [0, 5]]), ["<b>", "a name of many signs"]).to_json())
    [heat] = graph["data"]
    assert heat["z"] == [[0.8, -0.2], [0, 1]]  # right ones above zero, mistakes below
    assert heat["customdata"] == [["8 (80.0%)", "2 (20.0%)"], ["none", "5 (100.0%)"]]
    assert heat["text"] == [["8<br>80%", "2<br>20%"], ["", "5<br>100%"]]
    assert heat["x"] == ["&lt;b&gt;", "a name of many signs"]
    assert graph["layout"]["xaxis"]["labelalias"] == {"a name of many signs": "a name of m…"}
    short = confusion_graph(np.eye(1, dtype=int), ["aaaaaaaaaa&bbbbbb"]).to_plotly_json()["layout"]["xaxis"][
        "labelalias"
    ]
    assert list(short.values()) == ["aaaaaaaaaa&amp;…"]  # the sign is whole
    many = MOST_CLASSES
    assert (
        "text"
        not in confusion_graph(np.eye(many, dtype=int), [str(n) for n in range(many)]).to_plotly_json()["data"][0]
    )
    assert confusion_graph(np.eye(many + 1, dtype=int), [str(n) for n in range(many + 1)]) is None


@pytest.mark.parametrize(("shape", "kind"), [((1, 8, 8), "png"), ((3, 32, 32), "png"), ((3, 96, 60), "jpeg")])
def test_a_picture_is_a_few_kilobytes(shape, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (shape[0], 6, 6), dtype=np.uint8)
    pixels = pixels.repeat(shape[1] // 6 + 1, 1).repeat(shape[2] // 6 + 1, 2)[:, : shape[1], : shape[2]]
    source = picture(np.ascontiguousarray(pixels))
    head, _, data = source.partition(",")
    assert head == f"data:image/{kind};base64"
    assert len(source) < 10_000
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert again.shape[:2] == shape[1:]
    if kind == "png":
        assert np.array_equal(again, pixels[0] if shape[0] == 1 else np.moveaxis(pixels, 0, 2))
