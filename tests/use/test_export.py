"""A network in a file for other programs gives the probabilities that it gives here."""

import json
import math
import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from builders import best_content, brightness_folder

import search
from search.command.cli import EXPORTED, main
from search.results import best_yaml
from search.results.best_yaml import load
from search.spaces import load_space
from search.use import formats
from search.use.export import made_up_images
from search.use.formats import FORMATS

CONFIGS = {
    "cnn": best_content()["config"],
    "resnet": {"depth": 2, "width": 8, "kernel_size": 3, "dropout": 0.1},
    "mlp": {"depth": 2, "width": 16, "dropout": 0.1},
}
SPACES = (*CONFIGS, "own")
BRANCHES = """
import torch


class Branches(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        return images.flatten(1)[:, :2] * (self.slope if images.sum() > 0 else 1)


def suggest(trial):
    return {}


def build(config, *, channels, image_size, classes):
    return Branches()
"""


def run_folder(home, space):
    """A run folder with an untrained network of that space, or the user's own."""
    if space == "own":
        return brightness_folder(home)
    content = best_content(space=f"spaces.{space}", config=CONFIGS[space])
    torch.manual_seed(0)
    network = load_space(content["space"]).build(CONFIGS[space], channels=1, image_size=(8, 8), classes=10)
    content["metrics"]["parameters"] = sum(parameter.numel() for parameter in network.parameters())
    home.mkdir(parents=True)
    best_yaml.write(home, content, {name: 2 * tensor for name, tensor in network.state_dict().items()})
    return home


def images(count):
    return made_up_images(count, 8, 8, 1)


def calibration(temperature):
    return {"temperature": temperature, "val_loss": 0.2, "val_loss_calibrated": 0.15, "calibration_error": 0.05,
            "calibration_error_calibrated": 0.02}  # fmt: skip


@pytest.mark.parametrize("space", SPACES)
def test_onnx(tmp_path, space, said):
    runtime = pytest.importorskip("onnxruntime")
    folder = run_folder(tmp_path / "run", space)
    assert main(["export", str(folder), "--format", "onnx"]) == 0
    session = runtime.InferenceSession(folder / "best.onnx", providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [8, 8, 1])
    best = load(folder / "best.yaml")
    for count in (1, 7):
        (found,) = session.run(None, {"images": images(count)})
        assert found == pytest.approx(best.predict(images(count)), abs=1e-5)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == best.data["classes"]
    assert json.loads(told["image_size"]) == [8, 8]
    assert re.search(r"best\.onnx; on 100 made-up images its probabilities differ .* by at most \d\.\de-0\d", said())


@pytest.mark.parametrize("space", SPACES)
def test_torch(tmp_path, space):
    folder = run_folder(tmp_path / "run", space)
    assert main(["export", str(folder / "best.yaml"), "--format", "torch", "--out", str(tmp_path / "a" / "b.pt2")]) == 0
    told = {"metadata.json": ""}
    program = torch.export.load(tmp_path / "a" / "b.pt2", extra_files=told).module()
    best = load(folder / "best.yaml")
    for count in (1, 7):
        found = program(torch.from_numpy(images(count))).numpy()
        assert found == pytest.approx(best.predict(images(count)), abs=1e-6)
    assert json.loads(json.loads(told["metadata.json"])["classes"]) == best.data["classes"]
    assert sorted(os.listdir(tmp_path / "a")) == ["b.pt2", "model_card.md"]


def test_a_network_is_not_written_where_its_card_goes(tmp_path, capsys):
    folder = run_folder(tmp_path / "run", "mlp")
    out = tmp_path / "model_card.md"
    assert main(["export", str(folder / "best.yaml"), "--format", "torch", "--out", str(out)]) == 2
    assert "is the name of the model card, which is written beside; name another file" in capsys.readouterr().err
    assert not out.exists()


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    folder = run_folder(tmp_path / "run", "cnn")
    assert main(["export", str(folder), "--format", "safetensors"]) == 0
    with safetensors.safe_open(folder / "best.safetensors", "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        assert json.loads(file.metadata()["mean"]) == [0.3]
    expected = load(folder / "best.yaml").trained().state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_refit_is_called_by_its_own_name(tmp_path):
    pytest.importorskip("safetensors")
    folder = brightness_folder(tmp_path / "run")
    (folder / "best.yaml").rename(folder / "final.yaml")
    assert main(["export", str(folder / "final.yaml"), "--format", "safetensors"]) == 0
    assert (folder / "final.safetensors").is_file()
    assert 'search.load("final.yaml")' in (folder / "model_card.md").read_text()


def test_the_temperature_is_inside(tmp_path):
    folder = brightness_folder(tmp_path / "run", calibration=calibration(2.0))
    assert main(["export", str(folder), "--format", "torch"]) == 0
    program = torch.export.load(folder / "best.pt2").module()
    found = program(torch.full((1, 8, 8, 1), 255, dtype=torch.uint8))
    assert found[0, 1].item() == pytest.approx(1 / (1 + math.exp(-2)))  # logits -2 and 2, halved


def test_images_to_check_with_are_from_plain_to_noise():
    made = made_up_images(100, 8, 10, 3)
    deviations = made.reshape(100, -1, 3).std(axis=1).mean(axis=1)
    assert made.shape == (100, 8, 10, 3)
    assert (deviations.min(), deviations.max() > 70) == (0, True)


@pytest.mark.parametrize("wrong", [2e-4, math.nan])
def test_what_gives_other_probabilities_is_not_written(tmp_path, capsys, monkeypatch, wrong):
    folder = brightness_folder(tmp_path / "run")
    (folder / "best.pt2").write_text("before")
    read = FORMATS["torch"].read

    def spoilt(content, best):
        return lambda given: read(content, best)(given) + np.float32(wrong) * (given[:, :1, 0, 0] == given[-1, 0, 0, 0])

    monkeypatch.setitem(FORMATS, "torch", replace(FORMATS["torch"], read=spoilt))
    there = sorted(os.listdir(folder))
    assert main(["export", str(folder), "--format", "torch"]) == 2
    output, errors = capsys.readouterr()
    assert errors.startswith(
        "error: nothing was written: exported to torch, the probabilities differ from PyTorch's by"
    )
    assert (output, len(errors.splitlines())) == ("", 1)
    assert sorted(os.listdir(folder)) == there
    assert (folder / "best.pt2").read_text() == "before"


def test_a_network_that_cannot_be_exported(tmp_path, capsys):
    folder = brightness_folder(tmp_path / "run")
    (folder / "brightness.py").write_text(BRANCHES)
    assert main(["export", str(folder), "--format", "torch"]) == 2
    output, errors = capsys.readouterr()
    assert errors.startswith("error: cannot export the network of the space brightness.py to torch: ")
    assert errors.endswith("change it, or take --format safetensors, which keeps its weights alone\n")
    assert (output, len(errors.splitlines()), (folder / "best.pt2").exists()) == ("", 1, False)


def test_a_missing_package_is_named_with_its_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name)
    assert main(["export", str(brightness_folder(tmp_path / "run")), "--format", "onnx"]) == 2
    assert capsys.readouterr().err == ("error: export to .onnx needs onnxscript; pip install 'gapsearch[export]'\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "the following arguments are required: --format; see --help"),
        (["run", "--format", "keras"], "argument --format: invalid choice: 'keras'"),
        (["run", "--format", "torch", "--out", "run"], "--out run is no file; name one"),
        (
            ["run", "--format", "torch", "--out", "run/best.pt"],
            "--out run/best.pt would overwrite what the search found",
        ),
        *(
            (["run", "--format", "torch", "--out", f"run/{name}"], f"--out run/{name} would overwrite what the search")
            for name in ("study.db", "final.yaml", "final.pt", "ensemble.pt")
        ),
        (["run", "--format", "torch", "--out", "run/best.pt/a"], "cannot use run/best.pt"),
        (["gone", "--format", "torch"], "cannot read gone: No such file or directory"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    brightness_folder(tmp_path / "run")
    assert main(["export", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert errors.startswith(f"error: {said}")
    assert (output, len(errors.splitlines())) == ("", 1)


def test_the_command_offers_all_formats(capsys):
    assert set(EXPORTED) == set(FORMATS)
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "example: gapsearch export runs/digits --format onnx" in capsys.readouterr().out


def test_the_card_tells_how_to_load_each_file_that_is_there(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(brightness_folder(tmp_path / "run"))
    found = {}
    for kind in EXPORTED:
        assert main(["export", "best.yaml", "--format", kind]) == 0
    blocks = re.findall(r"```python\n(.*?)```", (tmp_path / "run" / "model_card.md").read_text(), flags=re.DOTALL)
    for block in blocks:
        names = {}
        exec(block, names)
        found |= {name: names[name] for name in ("session", "program", "network") if name in names}
        if "classes" in names:
            assert names["classes"] == ["dark", "bright"]
            assert np.asarray(names["probabilities"].tolist())[0, 0] == pytest.approx(1 / (1 + math.exp(-4)))
    assert len(found) == 3
    assert yaml.safe_load((tmp_path / "run" / "best.yaml").read_text())["trial"] == 3
    assert search.load("best.yaml").trained().slope == found["network"].slope
