"""A folder of images as people have them: searched, and trained again by the command that is printed."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from search.command.cli import main

SMALL = "--trials 3 --epochs 2 --workers 1 --device cpu --image-size 16 --no-start --no-race --range depth=1:1 "
SMALL += "--range width=8:12 --range batch_size=8:8 --range learning_rate=0.01:0.02"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """`my photos` in the current folder: stripes this way and that, a nested folder, a copy, files that are no images.

    Their place varies, so that a linear classifier cannot tell them apart.
    """
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(120):
        wave = 127 + 100 * np.sin(2 * np.pi * (np.arange(16) / 4 + rng.random()))
        pixels = (np.tile(wave, (16, 1)) + rng.normal(0, 10, (16, 16))).clip(0, 255).astype(np.uint8)
        kind, image = ("upright", pixels) if number % 2 else ("level", pixels.T)
        place = tmp_path / "my photos" / kind / ("2023" if number < 40 else "")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")
    folder = tmp_path / "my photos"
    (folder / "level" / "copy.png").write_bytes((folder / "level" / "100.png").read_bytes())
    (folder / "level" / "notes.txt").write_text("no image")
    (folder / "Thumbs.db").write_bytes(b"no image")
    return folder


def test_a_folder_is_searched_and_trained_again_as_printed(photos, own_cache, capsys):
    assert main(["run", photos.name, "--out", "runs/mine", *shlex.split(SMALL)]) == 0
    shown = capsys.readouterr().out
    assert "my photos: run folder runs/mine" in shown
    assert "from few images: " in shown
    assert main(["best", "runs/mine"]) == 0
    called = capsys.readouterr().out.splitlines()[-1].removeprefix("train it again:  gapsearch ")
    assert called == "train runs/mine/best.yaml"
    assert main(shlex.split(called)) == 0
    assert "reproduced to the last digit" in capsys.readouterr().out


def test_uneven_classes_are_weighed_alike_all_the_way(photos, own_cache, capsys):
    for image in sorted((photos / "upright").glob("*.png"))[:25]:
        image.unlink()
    call = ["run", photos.name, "--out", "runs/mine", *shlex.split(SMALL)]
    assert main([*call, "--balance"]) == 0
    shown = capsys.readouterr().out
    assert "uneven classes: " in shown
    assert "--balance weighs them alike" in shown
    assert "balanced accuracy" in shown
    content = yaml.safe_load(Path("runs/mine/best.yaml").read_text())
    assert content["data"]["balance"] is True
    assert 0 < content["metrics"]["val_balanced_accuracy"] <= 1
    assert 0 < content["expected"]["balanced_accuracy"] <= 1
    assert 0 < content["choice"]["baseline_balanced_accuracy"] <= 1
    assert "linear baseline" in shown
    assert "% (balanced " in shown
    [expected] = [line for line in shown.splitlines() if line.strip().startswith("expected: ")]
    assert ", balanced accuracy " in expected
    report = Path("runs/mine/report.html").read_text()
    assert "Uneven classes: " in report
    assert f"balanced {content['expected']['balanced_accuracy']:.1%}<" in report.partition("<h3>Recorded")[0]
    assert main(["list", "runs/mine"]) == 0
    assert " balanced " in capsys.readouterr().out
    assert main(["train", "runs/mine"]) == 0
    assert "reproduced to the last digit" in capsys.readouterr().out
    assert main(["confirm", "runs/mine", "--seeds", "2"]) == 0
    assert "(balanced " in capsys.readouterr().out
    assert main(["refit", "runs/mine"]) == 0
    final = yaml.safe_load(Path("runs/mine/final.yaml").read_text())["refit"]
    assert f", balanced accuracy {final['test_balanced_accuracy']:.1%}, gap " in capsys.readouterr().out
    assert main(call) == 2
    assert "--balance was True when this search began and is not set now" in capsys.readouterr().err
