"""The lines of plain PyTorch in studies/README.md give what `Best.predict` gives."""

import ast
import re

import numpy as np
import pytest
import torch
from builders import CONFIG, ROOT, best_content
from PIL import Image

from search.command.cli import main
from search.results import best_yaml
from search.results.best_yaml import load
from spaces import cnn

LINES = re.search(
    r"works without this package:\n\n```python\n(.*?)```", (ROOT / "studies" / "README.md").read_text(), flags=re.DOTALL
)[1]
EXIF_ROTATED = 6


@pytest.fixture
def best(tmp_path, monkeypatch):
    """Of digits, exported; its network has random weights, large ones, so that each pixel matters."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    torch.manual_seed(0)
    network = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)
    torch.nn.init.normal_(network[-1].weight, std=3)
    best_yaml.write(tmp_path / "runs" / "digits", best_content(), network.state_dict())
    assert main(["export", "runs/digits", "--format", "torch"]) == 0
    return load("runs/digits/best.yaml")


def by_the_lines():
    names = {}
    exec(LINES, names)
    return names["probabilities"].numpy()


def photo(width, height, **options):
    """As `digit.png`, whatever its format: a slope with noise."""
    slope = np.add.outer(np.linspace(0, 90, height), np.linspace(0, 90, width))
    pixels = slope + np.random.default_rng(0).integers(0, 70, (height, width))
    Image.fromarray(pixels.astype(np.uint8)).save("digit.png", **options)


def test_they_give_the_same(best):
    exif = Image.Exif()
    exif[0x0112] = EXIF_ROTATED
    seen = []
    for width, height, options in (
        (8, 8, {"format": "PNG"}),
        (20, 13, {"format": "PNG"}),
        (301, 200, {"format": "JPEG", "exif": exif}),
    ):
        photo(width, height, **options)
        seen.append(best.predict(["digit.png"]))
        assert by_the_lines() == pytest.approx(seen[-1], abs=1e-6)
    assert np.abs(seen[1] - seen[2]).max() > 0.01  # another image would not pass


def test_each_step_of_them_matters(best):
    photo(301, 200, format="JPEG")
    squeezed = best.predict([np.asarray(Image.open("digit.png").resize((8, 8), Image.Resampling.BICUBIC))])
    assert np.abs(squeezed - by_the_lines()).max() > 1e-4


def test_they_are_ten_at_most_and_need_no_more_than_torch_numpy_and_pillow():
    imported = [
        name
        for node in ast.walk(ast.parse(LINES))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    assert set(imported) == {"numpy", "torch", "PIL"}
    assert len(LINES.splitlines()) <= 10
