"""A search over pretrained networks, with weights in a file: from `gapsearch run` to another run folder's place."""

import os
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from builders import ROOT
from PIL import Image

from search import load
from search.command.cli import main
from search.data.cache import cache_folder

SMALL = "--trials 2 --epochs 30 --workers 1 --device cpu --image-size 16 --no-start --no-race --space pretrained "
SMALL += "--range stages=0:0 --range batch_size=8:8 --range learning_rate=0.01:0.01"


@pytest.fixture
def stripes(tmp_path, monkeypatch, own_cache):
    """The folder `stripes`, that a linear classifier cannot tell apart; `random.pth`, weights that nobody trained."""
    models = pytest.importorskip("torchvision.models")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(100):
        wave = 127 + 100 * np.sin(2 * np.pi * (np.arange(16) / 4 + rng.random()))
        pixels = (np.tile(wave, (16, 1)) + rng.normal(0, 10, (16, 16))).clip(0, 255).astype(np.uint8)
        place = tmp_path / "stripes" / ("upright" if number % 2 else "level")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels if number % 2 else pixels.T).save(place / f"{number}.png")
    torch.manual_seed(0)
    model = models.resnet18().train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(4, 3, 64, 64))  # for the statistics of batch norm
    torch.save(model.state_dict(), "random.pth")


def test_the_classifier_alone_is_searched_and_trained_again_to_the_last_digit(stripes, tmp_path, capsys):
    run = ["run", "stripes", "--out", "runs/mine", "--weights", "random.pth", *shlex.split(SMALL)]
    # in a process of its own: a fork server that is there already has another cache folder
    done = subprocess.run([sys.executable, "-m", "search", *run], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0
    assert len(list(cache_folder().glob("features-*"))) == 1  # for both trials
    content = yaml.safe_load((tmp_path / "runs/mine/best.yaml").read_text())
    assert {key: content["config"][key] for key in ("backbone", "weights", "stages", "augmentation")} == {
        "backbone": "resnet18", "weights": "pretrained.pt", "stages": 0, "augmentation": 0.0,
    }  # fmt: skip
    (tmp_path / "random.pth").unlink()  # the run folder has a copy
    capsys.readouterr()
    assert main(["train", "runs/mine/best.yaml"]) == 0
    assert "reproduced to the last digit" in capsys.readouterr().out

    shutil.move("runs/mine/pretrained.pt", "elsewhere.pt")
    best = load("runs/mine/best.yaml")
    assert best.build().body.width == 512
    assert best.trained().body.mean.item() == pytest.approx(content["data"]["mean"][0])
    assert main(["train", "runs/mine/best.yaml"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: cannot read the weights ")
    assert said.endswith("pretrained.pt: No such file or directory; name a file that is there\n")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            "--space pretrained --weights nowhere.pth",
            "cannot read --weights nowhere.pth: No such file or directory; name",
        ),
        (
            "--space cnn --weights none",
            "--weights is for a space of pretrained networks, and spaces.cnn is none; leave",
        ),
    ],
)
def test_bad_weights_are_one_line(tmp_path, monkeypatch, capsys, flags, said):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "digits", *flags.split()]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
    assert not (tmp_path / "runs").exists()
