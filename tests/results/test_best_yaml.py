"""best.yaml and best.pt: a pair that fits, and one clear line for whatever else lies there."""

import copy
import os
from pathlib import Path

import pytest
import torch
import yaml
from builders import CONFIG, best_content, confirmation

import search
from search.command.cli import main
from search.errors import UserError
from search.results import best_yaml
from search.results.best_yaml import Best, add_confirmation, best_file, load, run_folder, write
from spaces import cnn

SHAPE = {"channels": 1, "image_size": (8, 8), "classes": 10}  # of the digits


def weights(seed=0):
    torch.manual_seed(seed)
    return cnn.build(CONFIG, **SHAPE).state_dict()


@pytest.fixture
def folder(tmp_path):
    """A run folder with a best.yaml and its best.pt."""
    write(tmp_path, best_content(), weights())
    return tmp_path


def changed(folder, **fields):
    """The best.yaml in that folder with other fields, dotted names for those inside others."""
    path = folder / "best.yaml"
    stored = yaml.safe_load(path.read_text())
    for name, value in fields.items():
        *parts, last = name.split("__")
        inside = stored
        for part in parts:
            inside = inside[part]
        inside[last] = value
    path.write_text(yaml.safe_dump(stored))
    return path


def test_what_was_written_is_read(folder):
    best = load(folder / "best.yaml")
    assert len(best.weights_sha256) == 64
    found = best.trained().state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights().items())


def test_a_run_folder_and_its_best_yaml_name_each_other(folder, tmp_path):
    path = folder / "best.yaml"
    assert best_file(folder) == best_file(path) == path
    assert run_folder(folder) == run_folder(path) == folder
    assert run_folder(Path("best.yaml")) == Path()
    (tmp_path / "v1.yaml").mkdir()
    assert run_folder(tmp_path / "v1.yaml") == tmp_path / "v1.yaml"  # a folder may be called so
    with pytest.raises(UserError, match=r"v1\.yaml has no best\.yaml: its search has not ended"):
        best_file(tmp_path / "v1.yaml")


def test_best_yaml_without_what_newer_releases_add_is_read(folder):
    content = yaml.safe_load((folder / "best.yaml").read_text())
    assert "baseline_accuracy" not in content["choice"]
    assert load(folder / "best.yaml").choice["baseline_loss"] == 0.2


def test_weights_of_another_trial_are_recognised(folder):
    torch.save(weights(1), folder / "best.pt")
    best = load(folder / "best.yaml")
    for use in (best.trained, best.require_weights):
        with pytest.raises(UserError) as told:
            use()
        assert str(told.value) == (
            f"{folder}/best.pt is not the one that its best.yaml names; start the search again with the same --out, "
            f"which writes both best.yaml and best.pt anew"
        )


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("at", range(3))
def test_killed_between_the_two_it_is_told(folder, monkeypatch, at):
    """Whatever was replaced by then, the pair fits, or it is recognised that it does not."""
    usual, replaced = best_yaml.replace_file, []

    def replace(path, fill):
        if len(replaced) == at:
            raise Killed
        replaced.append(path.name)
        usual(path, fill)

    monkeypatch.setattr(best_yaml, "replace_file", replace)
    try:
        write(folder, best_content(trial=4), weights(1))
    except Killed:
        assert at < 2
    best = load(folder / "best.yaml")
    if at == 1:
        with pytest.raises(UserError, match=r"best\.pt is not the one"):
            best.trained()
    else:
        found = best.trained().state_dict()
        assert best.trial == (3 if at == 0 else 4)
        assert all(torch.equal(found[name], tensor) for name, tensor in weights(min(at, 1)).items())


def test_a_best_yaml_of_an_older_release_has_no_hash(folder):
    path = changed(folder)
    stored = yaml.safe_load(path.read_text())
    del stored["weights_sha256"]
    path.write_text(yaml.safe_dump(stored))
    assert load(path).weights_sha256 is None
    load(path).trained()
    (folder / "best.pt").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"best\.pt does not fit its best\.yaml"):
        load(path).trained()


def test_confirm_looks_at_the_weights_first(folder, monkeypatch, capsys):
    import search.use.confirm

    monkeypatch.setattr(search.use.confirm, "search_data", lambda *_: pytest.fail("too late"))
    torch.save(weights(1), folder / "best.pt")
    assert main(["confirm", str(folder / "best.yaml")]) == 2
    assert "best.pt is not the one that its best.yaml names" in capsys.readouterr().err
    os.unlink(folder / "best.pt")
    assert main(["confirm", str(folder / "best.yaml")]) == 2
    assert "best.pt: No such file or directory; start the search again" in capsys.readouterr().err


def test_a_confirmation_goes_into_the_best_yaml_that_was_confirmed(folder):
    path = folder / "best.yaml"
    best, found = load(path), confirmation()
    add_confirmation(path, best, found)
    assert load(path).confirmation == found
    assert load(path).weights_sha256 == best.weights_sha256
    write(folder, best_content(trial=9), weights(1))
    with pytest.raises(UserError, match="was written anew while it was confirmed; confirm it again"):
        add_confirmation(path, best, found)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", 0, "epochs is 0: "),
        ("epochs", "3", "epochs is '3': "),
        ("epochs", 2.5, "epochs is 2.5: "),
        ("epochs", True, "epochs is True: "),
        ("seed", -1, "seed is -1: "),
        ("config", [1], "config is [1]: "),
        ("config", {1: 2}, "config.1"),
        ("metrics__val_loss", float("nan"), "metrics.val_loss is nan: "),
        ("metrics__val_loss", "low", "metrics.val_loss is 'low': "),
        ("choice__over", 3, "choice.over is 3: "),
        ("data__classes", "ab", "data.classes is 'ab': "),
        ("data__image_size", [8], "data.image_size is [8]: "),
        ("data__mean", [], "data is {"),
        ("environment__threads", 0, "environment.threads is 0: "),
        ("environment__device", "tpu", "environment.device is 'tpu': "),
        ("confirmation", {}, "it lacks confirmation.test_loss"),
        ("confirmation", confirmation(openings=0), "confirmation.openings is 0: "),
        ("confirmation", confirmation(classes=[{"name": "bag"}]), "it lacks confirmation.classes.0.support, "),
        ("confirmation", confirmation(test_gap_se="much"), "confirmation.test_gap_se is 'much': "),
        ("weights_sha256", "../x", "weights_sha256 is '../x': "),
        ("colour", "red", "colour is 'red': "),
    ],
)
def test_every_field_is_checked(folder, name, value, said):
    with pytest.raises(UserError) as told:
        load(changed(folder, **{name: value}))
    assert str(told.value).startswith(f"{folder}/best.yaml is no complete best.yaml: {said}")
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("name", [name for name in best_content() if name != "expected"])
def test_every_field_is_needed(folder, name):
    path = folder / "best.yaml"
    stored = yaml.safe_load(path.read_text())
    del stored[name]
    path.write_text(yaml.safe_dump(stored))
    with pytest.raises(UserError, match=f"it lacks {name}; start the search again"):
        load(path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"study: \xff", "is no best.yaml, it is no text; name one, or the run folder that it is in"),
        (b"a: [1, 2", "is not YAML: "),
        (b"[" * 5000, "is not YAML: "),
        (b"a: !!int ''", "is not YAML: "),
        (b"a: 2020-99-99", "is not YAML: "),
        (b"a: " + b"9" * 5000, "is not YAML: "),
        (b"a: !!python/object/apply:os.abort []", "is not YAML: "),
        (b"a: &x [1]\nb: [*x, *x]", "is not YAML: it has a reference to another part of it"),
        (b"# " + b"x" * 2**21, "has more than 2,097,152 bytes"),
        (b"", "it has no version"),
        (b"version: 2", "is of format 2, this gapsearch reads 1; take the one that wrote it"),
        (b"version: [1]", "is of format [1], this gapsearch reads 1"),
    ],
)
def test_what_is_no_best_yaml(tmp_path, capsys, written, said):
    path = tmp_path / "best.yaml"
    path.write_bytes(written)
    for command in ("best", "train", "confirm"):
        assert main([command, str(path)]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert len(error.splitlines()) == 1


def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "best.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name, said in (("best.yaml", "is no file"), ("loop.yaml", "Too many levels"), ("x" * 300, "too long")):
        assert main(["best", str(tmp_path / name)]) == 2
        assert said in capsys.readouterr().err


def test_what_stands_in_two_places_is_written_twice(tmp_path):
    """Since references are refused where it is read."""
    classes = [0.5]
    whole = best_content()
    whole["data"] |= {"mean": classes, "std": classes}
    write(tmp_path, whole, weights())
    assert load(tmp_path / "best.yaml").data["std"] == [0.5]


@pytest.mark.parametrize("outward", ["{}/evil.py", "../evil.py", "below/../../evil.py"])
def test_a_space_elsewhere_runs_no_code(folder, tmp_path_factory, monkeypatch, outward):
    here = tmp_path_factory.mktemp("outside") / "here"
    (here / "below").mkdir(parents=True)
    monkeypatch.chdir(here)
    for place in (here.parent / "evil.py", folder / "evil.py"):
        place.write_text("raise SystemExit('code was run')")
    with pytest.raises(UserError, match="leads elsewhere, so it is not run; put it beside best"):
        load(changed(folder, space=outward.format(here.parent)))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"config__depth": 10**9}, "depth is 1000000000; it must be at most"),
        ({"config__depth": 3}, "config or space have changed"),
        ({"config__width": 10**7}, "config or space have changed"),
        ({"config__dropout": 7.0}, "cannot build the network of this best.yaml: ValueError"),
        ({"config__width": "wide"}, "cannot build the network of this best.yaml: TypeError"),
        ({"config": {}}, "cannot build the network of this best.yaml: KeyError: 'width'"),
        ({"config__batch_size": 0}, "cannot be trained: batch_size is 0; it must be a number at least 1"),
        ({"data__fingerprint": "?"}, "are not those of this best.yaml"),
        ({"data__name": "letters"}, "there is no data set 'letters'"),
    ],
)
def test_a_configuration_that_cannot_be_trained_is_told(folder, capsys, fields, said):
    assert main(["train", str(changed(folder, **fields))]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_the_schema_knows_every_field():
    held = set(Best.__dataclass_fields__) - {"build_network", "weights_file"}
    assert held == set(best_content()) | {"weights_sha256", "calibration", "confirmation", "ensemble", "refit"}


def test_content_is_left_as_it_is(folder):
    whole = best_content()
    before = copy.deepcopy(whole)
    write(folder, whole, weights())
    assert whole == before
    assert search.load(folder / "best.yaml").config == CONFIG
