"""Wrong labels: who judges whom, what is taken for suspicious, and a search whose changed labels are found."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import yaml

from search import Search
from search.balance import reweighted, weighed_back
from search.command.cli import main
from search.data import datasets
from search.errors import UserError
from search.results.suspects import read
from search.use import labels as judging
from search.use.fresh import DIVERGED, Candidate, Failure, Fresh, Task
from search.use.labels import halved, suspects


def test_halves_share_no_image_and_have_the_classes_of_the_whole():
    images, labels = np.arange(100, 160), np.arange(60) % 3
    one, other = halved(images, labels, seed=1)
    assert sorted([*one, *other]) == images.tolist()
    assert np.bincount(labels[one - 100]).tolist() == np.bincount(labels[other - 100]).tolist() == [10, 10, 10]
    assert one.tolist() == sorted(one)
    assert halved(images, labels, seed=1)[0].tolist() == one.tolist()
    assert halved(images, labels, seed=2)[0].tolist() != one.tolist()


def test_copies_are_judged_by_networks_that_saw_none_of_them():
    images, labels = np.arange(100, 160), np.arange(60) % 3
    copies = [(100, 103, 106), (7, 101, 104)]  # of the second an image that is not among them
    for seed in range(5):
        one, other = halved(images, labels, seed, copies)
        assert sorted([*one, *other]) == images.tolist()
        for same in ({100, 103, 106}, {101, 104}):
            assert same <= set(one) or same <= set(other)


def test_where_no_label_looks_wrong_the_list_is_empty(digits):
    images = np.array([4, 5])
    given = np.tile(digits.labels[images], (3, 1))
    found = suspects("a", digits, images, np.zeros((3, 2)), given)
    assert (len(found.images), len(found.suggested), found.examined) == (0, 0, 2)


def test_those_that_most_take_for_another_class_by_mean_loss(digits):
    images = np.array([4, 5, 6, 7])
    data = replace(digits, labels=np.zeros_like(digits.labels))
    losses = np.array([[9, 1, 4, 0], [9, 3, 4, 0], [0, 5, 4, 9]])
    predicted = np.array([[0, 3, 7, 0], [0, 0, 7, 0], [1, 3, 2, 5]])
    found = suspects("a", data, images, losses, predicted)
    assert found.images.tolist() == [6, 5]  # of the others one network alone takes another class
    assert found.losses.tolist() == [4, 3]
    assert found.suggested.tolist() == [7, 3]
    assert found.wrong.tolist() == [3, 2]
    assert (found.networks, found.examined) == (3, 4)
    assert np.array_equal(found.pictures.pixels, np.load(digits.images)[[6, 5]])


def judged_with(failing, monkeypatch, digits):
    """Images 0 to 5 in halves, by seeds 1, 2, 3 whose losses and classes are their seed. failing: (half, seed)."""
    halves, ended = (np.array([0, 2, 4]), np.array([1, 3, 5])), []

    def train_fresh(task, jobs, places, go_on):
        half = len(ended)
        ended.append(task.data.splits)
        for candidate, seed in jobs[::-1]:  # the last one ends first
            if (half, seed) in failing:
                yield Failure(candidate.trial, seed, DIVERGED)
                continue
            losses, classes = np.full(3, seed, np.float32).tobytes(), np.full(3, seed, np.int32).tobytes()
            yield Fresh(candidate.trial, seed, losses, losses, b"\1\1\1", losses, b"\1\1\1", classes)

    monkeypatch.setattr(judging, "train_fresh", train_fresh)
    jobs = [(Candidate(0, {}, 1), seed) for seed in (1, 2, 3)]
    losses, predicted = judging._judge(Task(digits.images, "a", digits, digits), halves, ["cpu"], jobs)
    assert [splits.val.tolist() for splits in ended] == [[1, 3, 5], [0, 2, 4]]
    assert np.array_equal(losses[:, :6], predicted[:, :6])
    return losses[:, :6].tolist()


@pytest.mark.parametrize(
    ("failing", "judges"),
    [  # seeds of the networks that judge images 0 and 1, row by row
        ((), [(1, 1), (2, 2), (3, 3)]),
        (((0, 2),), [(1, 1), (2, 3)]),
        (((0, 1), (1, 2)), [(1, 2), (3, 3)]),
        (((0, 1), (0, 2), (1, 3)), [(1, 3)]),
    ],
)
def test_a_network_that_diverges_is_left_out(digits, monkeypatch, caplog, failing, judges):
    assert judged_with(failing, monkeypatch, digits) == [list(row) * 3 for row in judges]
    assert caplog.text.count(f"failed: {DIVERGED}; it is left out") == len(failing)
    assert (f"each image is judged by {len(judges)} network" in caplog.text) == bool(failing)


def test_where_none_is_left_for_a_half_nothing_is_judged(digits, monkeypatch):
    with pytest.raises(UserError, match=f"no training on one of the halves came to an end: {DIVERGED}; nothing is wr"):
        judged_with([(1, 1), (1, 2), (1, 3)], monkeypatch, digits)


def test_weighed_losses_are_weighed_back():
    losses, weights = np.array([1.0, 2.0, 7.0]), np.array([0.5, 3.0, 1.0])
    assert weighed_back(reweighted(losses, weights), weights) == pytest.approx(losses)


@pytest.fixture
def wrong(monkeypatch):
    """Digits of which 20 have another label, by their places."""
    changed = np.random.default_rng(0).choice(1000, 20, replace=False)
    original = datasets.read_digits

    def read_digits(part, root):
        images, labels, classes = original(part, root)
        if part == "train":
            labels[changed] = (labels[changed] + 5) % 10
        return images, labels, classes

    monkeypatch.setitem(datasets.SOURCES, "digits", replace(datasets.SOURCES["digits"], read=read_digits))
    return set(changed.tolist())


@pytest.mark.usefixtures("own_cache")
def test_changed_labels_of_digits_are_found(tmp_path, wrong, capsys):
    run = tmp_path / "run"
    ranges = {"depth": (2, 3), "width": (12, 16), "learning_rate": (5e-3, 1e-2)}
    Search(name="s", dataset="digits", trials=2, epochs=4, ranges=ranges, start=False, race=False, workers=1,
           device="cpu", check=False, out=run).run()  # fmt: skip
    best = yaml.safe_load((run / "best.yaml").read_text())
    assert "gapsearch labels" in (run / "report.html").read_text()
    capsys.readouterr()
    assert main(["labels", str(run), "--networks", "2"]) == 0
    assert "1,437 images in two halves; 4 trainings of at most" in capsys.readouterr().out
    with (run / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    first = [int(row["image"]) for row in rows[:20]]
    assert len(wrong & set(first)) >= 15
    assert [float(row["loss"]) for row in rows] == sorted((float(row["loss"]) for row in rows), reverse=True)
    assert all(row["label"] != row["suggested"] for row in rows)
    assert {row["split"] for row in rows} <= {"train", "validation"}
    assert read(run, best["weights_sha256"]).images[:20].tolist() == first
    assert read(run, "b" * 64) is None
    text = (run / "report.html").read_text()
    assert f"{len(rows)} of 1,437 images are taken for another class than their label by most of 2 networks" in text
    assert f"image {first[0]}" in text


def test_bad_input_is_one_line(tmp_path, capsys):
    assert main(["labels", "none.yaml", "--networks", "0"]) == 2
    assert capsys.readouterr().err == "error: --networks is 0; it must be at least 1\n"
    assert main(["labels", str(tmp_path)]) == 2
    assert "has no best.yaml" in capsys.readouterr().err
