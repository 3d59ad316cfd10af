"""Probabilities of images: in Python, and as `gapsearch predict` writes them."""

import csv
import math

import numpy as np
import pytest
import yaml
from builders import brightness_folder
from PIL import Image

import search
from search.command.cli import main
from search.data import parallel_decoding

SURE = 1 / (1 + math.exp(-4))  # of black and white: logits 2 and -2


def save(path, brightness, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (12, 10), brightness).save(path)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The current folder, with a run folder `run` and images in the folders `dark`, `bright` and `odd` of `photos`."""
    monkeypatch.chdir(tmp_path)
    brightness_folder(tmp_path / "run")
    for name, brightness in (
        ("dark/1", 0),
        ("dark/2", 0),
        ("dark/3", 255),
        ("bright/4", 255),
        ("odd/5", 255),
        ("6", 0),
    ):
        save(tmp_path / "photos" / f"{name}.png", brightness)
    return tmp_path


def rows_of(text):
    return [list(row.values()) for row in csv.DictReader(text.splitlines())]


def probabilities(row):
    return [float(cell) for cell in row[2:]]


class TestFromPython:
    def test_by_hand(self, home):
        best = search.load("run/best.yaml")
        found = best.predict(["photos/6.png", Image.new("RGB", (20, 9), "white"), np.full((8, 8), 255, np.uint8)])
        assert found.dtype == np.float32
        assert found == pytest.approx(np.array([[SURE, 1 - SURE], [1 - SURE, SURE], [1 - SURE, SURE]]), abs=1e-6)
        assert best.predict([]).shape == (0, 2)

    def test_the_temperature_divides_the_logits(self, home):
        found = {"temperature": 2.0, "val_loss": 0.1, "val_loss_calibrated": 0.1, "calibration_error": 0.0,
                 "calibration_error_calibrated": 0.0}  # fmt: skip
        best = search.load(brightness_folder(home / "warm", calibration=found) / "best.yaml")
        assert best.predict(["photos/6.png"])[0, 0] == pytest.approx(1 / (1 + math.exp(-2)))

    def test_colours(self, home):
        best = search.load(brightness_folder(home / "rgb", channels=3) / "best.yaml")
        red = np.zeros((8, 8, 3), np.uint8)
        red[..., 0] = 255  # a third of white: level -1/3, logits 2/3 and -2/3
        assert best.predict([red])[0, 0] == pytest.approx(1 / (1 + math.exp(-4 / 3)))

    def test_it_runs_in_float32_whatever_the_search_ran_in(self, home):
        best = search.load(brightness_folder(home / "run") / "best.yaml")
        best.environment["bf16"] = True
        exact = 1 / (1 + math.exp(4 * (2 * 100 / 255 - 1)))  # bf16 has three digits
        assert best.predict([np.full((8, 8), 100, np.uint8)])[0, 0] == pytest.approx(exact, abs=1e-6)


class TestCommand:
    def test_rows(self, home, capsys):
        assert main(["predict", "run", "photos/6.png", "photos/bright"]) == 0
        output, errors = capsys.readouterr()
        assert output.splitlines()[0] == "path,predicted,probability,p_dark,p_bright"
        first, second = rows_of(output)
        assert first[:2] == ["photos/6.png", "dark"]
        assert probabilities(first) == pytest.approx([SURE, SURE, 1 - SURE], rel=1e-5)
        assert second[:2] == ["photos/bright/4.png", "bright"]
        assert probabilities(second) == pytest.approx([SURE, 1 - SURE, SURE], rel=1e-5)
        assert errors.startswith("predicting: 2 of 2 in ")
        assert "accuracy" not in errors

    def test_class_folders_give_accuracy_and_loss(self, home, capsys):
        assert main(["predict", "run/best.yaml", "photos", "--out", "new/found.csv"]) == 0
        output, errors = capsys.readouterr()
        rows = rows_of((home / "new" / "found.csv").read_text())
        assert output == ""
        assert [row[0] for row in rows] == [
            f"photos/{name}.png" for name in ("6", "bright/4", "dark/1", "dark/2", "dark/3", "odd/5")
        ]
        loss = (-3 * math.log(SURE) - math.log(1 - SURE)) / 4  # 1.0182
        assert (
            "left out of accuracy and loss, since no class is called so: photos/odd\n"
            f"4 images in class folders: accuracy 75.0% ± 17.1%, balanced accuracy 83.3%, loss {loss:.4f} ± 1.0000\n"
            "written: new/found.csv\n"
        ) in errors

    @pytest.mark.parametrize(
        ("root", "places", "which"),
        [
            ("photos", ["photos"], "these"),
            ("photos", ["link"], "these"),
            ("photos", ["photos", "new"], "4 of these"),
            ("photos", ["photos/dark", "new"], None),  # the first has no class folders
            ("photos", ["photos", "divided/test"], "4 of these"),
            ("divided", ["divided/train"], "these"),
            ("divided", ["divided/test"], None),
            ("divided", ["divided/train", "divided/test"], "1 of these"),
            ("gone", ["photos"], None),
            (None, ["photos"], None),
        ],
    )
    def test_images_of_the_search_are_no_measure(self, home, capsys, root, places, which):
        for name in ("divided/train/dark/1", "divided/test/dark/2", "new/bright/3"):
            save(home / f"{name}.png", 0)
        (home / "link").symlink_to("photos")
        content = yaml.safe_load((home / "run" / "best.yaml").read_text())
        content["data"] |= {"name": "folder"} | ({} if root is None else {"root": f"../{root}"})
        (home / "run" / "best.yaml").write_text(yaml.safe_dump(content))
        assert main(["predict", "run", *places]) == 0
        errors = capsys.readouterr().err
        assert " in class folders: accuracy " in errors
        doubt = f"; {which} are images of the search, most of which the network learned from: no measure on new ones\n"
        assert doubt in errors if which else "images of the search" not in errors

    def test_broken_images_are_named_and_skipped(self, home, capsys):
        (home / "photos" / "dark" / "2.png").write_bytes(b"no image")
        (home / "odd \x1b[31m.png").write_bytes(b"")
        assert main(["predict", "run", "photos/dark", "odd \x1b[31m.png", "photos/6.png"]) == 1
        output, errors = capsys.readouterr()
        assert [row[:2] for row in rows_of(output)] == [
            ["photos/dark/1.png", "dark"], ["photos/dark/3.png", "bright"], ["photos/6.png", "dark"]]  # fmt: skip
        assert errors.splitlines()[1:] == [
            "skipped photos/dark/2.png: no image that can be identified",
            "skipped odd \\x1b[31m.png: no image that can be identified",
        ]

    def test_names_that_a_terminal_would_obey(self, home, capsys):
        save(home / "odd \x1b[31m.png", 0)
        assert main(["predict", "run", "odd \x1b[31m.png"]) == 0
        assert rows_of(capsys.readouterr().out)[0][0] == "odd \\x1b[31m.png"

    def test_many_are_decoded_by_processes_and_never_all_in_memory(self, home, monkeypatch, capsys):
        monkeypatch.setattr(parallel_decoding, "MOST_FOR_THREADS", 0)
        monkeypatch.setattr(parallel_decoding, "IMAGES_PER_TASK", 2)
        for number in range(30):
            save(home / "many" / f"{number:02d}.png", 8 * number)
        best = search.load("run/best.yaml")
        seen, of_pixels = [], type(best.classifier).log_probabilities_of
        monkeypatch.setattr(type(best.classifier), "log_probabilities_of",
                            lambda self, pixels: seen.append(pixels.shape) or of_pixels(self, pixels))  # fmt: skip
        assert main(["predict", "run", "many"]) == 0
        rows = rows_of(capsys.readouterr().out)
        assert seen == [(2, 1, 8, 8)] * 15
        expected = best.predict([np.full((8, 8), 8 * number, np.uint8) for number in range(30)])
        assert np.array([probabilities(row)[1:] for row in rows]) == pytest.approx(expected, rel=1e-4)

    def test_an_output_file_is_replaced_as_a_whole(self, home, monkeypatch):
        (home / "found.csv").write_text("before")
        monkeypatch.setattr(search.use.predict, "decode_batches", lambda *rest: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            main(["predict", "run", "photos", "--out", "found.csv"])
        assert (home / "found.csv").read_text() == "before"
        assert not list(home.glob(".*.tmp"))

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["run", "gone.png"], "there is no file or folder gone.png; name images, or a folder of images"),
            (["run", "empty"], "there are no images in empty; name images, or a folder of images"),
            (["run", "photos", "--out", "empty"], "--out empty is no file; name one"),
            (["run", "photos", "--out", "photos/6.png"], "--out photos/6.png is one of the images; name another file"),
            (
                ["run", "photos", "--out", "photos/../run/best.yaml"],
                "--out photos/../run/best.yaml would overwrite what",
            ),
            (["run", "photos", "--out", "photos/6.png/a.csv"], "cannot use photos/6.png"),
            (["empty", "photos"], "empty has no best.yaml: its search has not ended"),
            (["run"], "the following arguments are required: IMAGE|FOLDER; see --help"),
        ],
    )
    def test_bad_input_is_told_in_one_line(self, home, capsys, arguments, said):
        (home / "empty").mkdir()
        assert main(["predict", *arguments]) == 2
        output, errors = capsys.readouterr()
        assert errors.startswith(f"error: {said}")
        assert (output, len(errors.splitlines())) == ("", 1)

    def test_without_weights(self, home, capsys):
        (home / "run" / "best.pt").unlink()
        assert main(["predict", "run", "photos"]) == 2
        output, errors = capsys.readouterr()
        assert (output, errors.splitlines()[-1][:25]) == ("", "error: cannot read run/be")


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "example: gapsearch predict runs/digits photo.jpg photos --out predictions.csv" in " ".join(
        capsys.readouterr().out.split()
    )
