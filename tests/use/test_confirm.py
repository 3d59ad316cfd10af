"""The winner on the test split, with fresh seeds."""

import errno
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import search
from search.command.cli import main
from search.data import datasets
from search.data.tensors import held_out
from search.engine.launch import run_search
from search.errors import UserError
from search.log import show_log
from search.measurement import PerImage
from search.results.predictions import TEST, read
from search.settings import Settings
from search.use import confirm as confirmation
from search.use import kept_trainings
from search.use.confirm import FRESH, confirm, summarize
from search.use.contenders import Contender
from search.use.fresh import DIVERGED, Candidate, Failure, Fresh
from search.use.kept_trainings import KeptTrainings


@pytest.fixture(scope="module")
def best_yaml(tmp_path_factory):
    """Of a small search on digits."""
    folder = tmp_path_factory.mktemp("confirm") / "run"
    ranges = {"depth": (2, 3), "width": (12, 16), "batch_size": (16, 24), "learning_rate": (5e-3, 1e-2)}
    settings = Settings(name="digits", dataset="digits", trials=3, epochs=8, workers=2, device="cpu", out=folder,
                        train_size=400, val_size=200, ranges=ranges)  # fmt: skip
    run_search(settings)
    return folder / "best.yaml"


@pytest.fixture
def own(best_yaml, tmp_path):
    """A copy of that best.yaml and its weights for one test, not confirmed yet."""
    content = yaml.safe_load(best_yaml.read_text())
    content.pop("confirmation", None)
    content["epochs"] = 2  # for a quick test
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(content))
    shutil.copy(best_yaml.with_name("best.pt"), tmp_path)
    return tmp_path / "best.yaml"


def after(count, act, monkeypatch):
    """Have `act` called once that many trainings have been kept."""
    add = KeptTrainings.add

    def counted(kept, training):
        add(kept, training)
        if len(kept.done) == count:
            act()

    monkeypatch.setattr(KeptTrainings, "add", counted)


def test_fresh_seeds_on_the_test_split_go_into_best_yaml(best_yaml, capsys):
    show_log()
    before = search.load(best_yaml)
    found = confirm(best_yaml, Path("data"), "cpu", seeds=2)
    after = search.load(best_yaml)
    assert before.confirmation is None
    assert after.confirmation == yaml.safe_load(yaml.safe_dump(found))
    assert found["test_images"] == 360
    assert found["seeds"] == [before.seed + FRESH, before.seed + FRESH + 1]
    assert found["test_accuracy"] > 0.85
    assert found["optimism"] == pytest.approx(found["val_loss"] - before.metrics["val_loss"])
    assert found["split_offset"] == pytest.approx(found["test_loss"] - found["val_loss"])
    assert found["openings"] == 1
    assert (after.config, after.metrics) == (before.config, before.metrics)
    output = capsys.readouterr().out
    assert "test minus validation loss of the same weights" in output
    assert found["ensemble_test_loss"] < found["test_loss"]
    assert f"ensemble.pt:            test_loss {found['ensemble_test_loss']:.4f}" in output
    assert "Confirmed with 2 fresh seeds" in best_yaml.with_name("report.html").read_text()


@pytest.mark.parametrize("weights", ["exported", "ensemble"])
@pytest.mark.parametrize("balanced", [None, 5 / 6])
def test_all_weights_have_the_same_figures(weights, balanced):
    """Of class 0 two of three images are right, of class 1 the one: counted alike they are 1/9, 1/9, -5/9, 1/3 off."""
    correct, losses = np.array([True, True, False, True]), np.array([1, 1, 3, 3], np.float32)
    of_images = PerImage(losses, correct, np.array([0, 0, 1, 1]), balanced)
    found = confirmation._on_test(weights, of_images, np.array([0, 0, 0, 1]))
    expected = {"loss": 2.0, "loss_se": 1 / 3**0.5, "accuracy": 0.75, "accuracy_se": (5 / 8 * 3 / 8 / 8) ** 0.5}
    if balanced is not None:
        expected |= {"balanced_accuracy": 5 / 6, "balanced_accuracy_se": (4 / 27 / 4) ** 0.5}
    assert found == pytest.approx({f"{weights}_test_{name}": value for name, value in expected.items()})


def test_the_others_of_the_study_are_trained_with_the_same_seeds(best_yaml, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(best_yaml.parent, folder)
    assert main(["confirm", str(folder / "best.yaml"), "--top", "9", "--seeds", "1"]) == 0
    output = capsys.readouterr().out
    best = search.load(folder / "best.yaml")
    trials = {trial.number: trial for trial in search.Result(folder).trials}
    others = best.confirmation["others"]
    feasible = {trial.number for trial in trials.values() if trial.complete and trial.run.feasible}
    assert {one["trial"] for one in others} == feasible - {best.trial} != set()
    for one in others:
        assert one["recorded_val_loss"] == trials[one["trial"]].val_loss
        difference = best.confirmation["test_loss"] - one["test_loss"]
        assert one["test_loss_difference"] == pytest.approx(difference, abs=1e-6)
        assert f"trial {one['trial']}, the {one['role']}: test_loss {one['test_loss']:.4f}" in output
    assert f"\n{len(feasible)} trainings, with 1 seed each: trial {best.trial} (the choice), trial " in output
    assert output.startswith(f"--top 9: no more than {len(feasible) - 1} other trial")


def test_others_need_their_study(own, capsys):
    assert main(["confirm", str(own), "--top", "2"]) == 2
    assert "study.db; name the folder of a search, or its database with --storage" in capsys.readouterr().err
    assert not own.with_name("test_split.json").exists()


def test_a_best_yaml_of_another_study_is_held_against_none(best_yaml, own, capsys):
    shutil.copy(best_yaml.with_name("study.db"), own.parent)
    content = yaml.safe_load(own.read_text())
    own.write_text(yaml.safe_dump(content | {"trial": 77}))
    assert main(["confirm", str(own), "--top", "2"]) == 2
    assert "is not of the study in its run folder; pass --top 1" in capsys.readouterr().err


def fresh(trial, seed, train, val, test, hits):
    """Two images of each kind that are alike but for the hits, which are of two classes."""
    losses = [np.full(2, one, dtype=np.float32).tobytes() for one in (train, val, test)]
    correct, predicted = np.array(hits, dtype=bool), np.array([hit ^ True ^ one for one, hit in enumerate(hits)])
    return Fresh(trial, seed, losses[0], losses[1], correct.tobytes(), losses[2], correct.tobytes(),
                 predicted.astype(np.int32).tobytes())  # fmt: skip


def test_the_summary_by_hand(digits):
    test = replace(digits, labels=np.array([0, 1]), classes=("zero", "one"))
    field = [Contender(Candidate(trial, {}, 1), role, 0.2, 0.1) for trial, role in ((3, "choice"), (1, "runner-up"))]
    runs = [
        [fresh(3, 1, 0.10, 0.22, 0.30, [1, 1]), fresh(3, 2, 0.12, 0.26, 0.34, [1, 0])],
        [fresh(1, 1, 0.10, 0.22, 0.25, [1, 1]), fresh(1, 2, 0.12, 0.26, 0.27, [1, 1])],
    ]
    found = summarize(field, runs, test.labels, test)
    assert (found["test_loss"], found["test_loss_se"]) == pytest.approx((0.32, 0.02))
    assert (found["test_gap"], found["optimism"], found["split_offset"]) == pytest.approx((0.21, 0.04, 0.08))
    (other,) = found["others"]
    assert (other["trial"], other["role"], other["test_loss"]) == (1, "runner-up", pytest.approx(0.26))
    assert (other["test_loss_difference"], other["test_loss_difference_se"]) == pytest.approx((0.06, 0.01))
    worst, best = found["classes"]
    assert (worst["name"], worst["recall"], worst["precision"]) == ("one", 0.5, 1.0)
    assert (best["name"], best["recall"], best["precision"]) == ("zero", 1.0, 0.75)


def test_held_out_images_are_normalized_as_the_search_did(digits):
    source = datasets.load("digits", "test", Path("data"))
    test = held_out(source, digits)
    assert test.mean == digits.mean
    assert np.array_equal(test.splits.val, np.arange(360))
    assert len(test.splits.train) == len(test.splits.probe) == 0


def test_other_images_are_refused(best_yaml, monkeypatch):
    content = yaml.safe_load(best_yaml.read_text())
    content["data"]["fingerprint"] = "0" * 16
    other = best_yaml.with_name("other.yaml")
    other.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="are not those of this"):
        confirm(other, Path("data"), "cpu", seeds=1)


def test_an_interrupted_confirmation_trains_the_missing_seeds_alone(own, monkeypatch, capsys):
    confirm(own, Path("data"), "cpu", seeds=5)
    undisturbed = own.read_bytes()
    content = yaml.safe_load(undisturbed)
    del content["confirmation"]
    own.write_text(yaml.safe_dump(content))
    own.with_name("test_split.json").unlink()
    capsys.readouterr()
    monkeypatch.setattr(confirmation, "places", lambda devices: devices)  # one after the other
    with monkeypatch.context() as patch:
        after(2, lambda: signal.raise_signal(signal.SIGINT), patch)
        assert main(["confirm", str(own), "--device", "cpu"]) == 130
    output, errors = capsys.readouterr()
    assert errors == "interrupted: 2 of 5 trainings are kept, and the same command trains the others alone\n"
    assert "[2/5] trial " in output
    assert "[3/5]" not in output
    assert main(["confirm", str(own), "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:11] for line in lines if "test_loss" in line][:5] == ["trained bef"] * 2 + [
        f"[{number}/3] trial" for number in (1, 2, 3)
    ]
    assert own.read_bytes() == undisturbed  # the number of openings included
    found = {path.name for path in own.parent.iterdir() if not path.name.startswith(".")}
    assert found == {"best.yaml", "best.pt", "predictions", "test_split.json"}
    assert len(read(own.parent, TEST, content["weights_sha256"]).labels) == 360
    assert lines[-1].startswith("report: not written: there is no ")


def test_a_failed_training_costs_no_other_one(own, monkeypatch, capsys):
    """best.yaml is written anew after the second training: the later ones would train another configuration."""
    show_log()
    content = yaml.safe_load(own.read_text())
    monkeypatch.setattr(confirmation, "places", lambda devices: devices)
    after(2, lambda: own.write_text(yaml.safe_dump(content | {"seed": 5})), monkeypatch)
    with pytest.raises(UserError, match=r"best\.yaml was written anew while .* 2 of 4 trainings are kept"):
        confirm(own, Path("data"), "cpu", seeds=4)
    monkeypatch.undo()
    own.write_text(yaml.safe_dump(content))
    confirm(own, Path("data"), "cpu", seeds=4)
    assert capsys.readouterr().out.count("trained before") == 2


def test_another_best_yaml_takes_none_of_them_up(own, monkeypatch, capsys):
    show_log()
    monkeypatch.setattr(confirmation, "places", lambda devices: devices)
    after(1, lambda: signal.raise_signal(signal.SIGTERM), monkeypatch)
    with pytest.raises(search.SearchInterrupted):
        confirm(own, Path("data"), "cpu", seeds=2)
    monkeypatch.undo()
    other = yaml.safe_load(own.read_text())
    other["epochs"] = 1
    own.write_text(yaml.safe_dump(other))
    confirm(own, Path("data"), "cpu", seeds=2)
    output = capsys.readouterr().out
    assert "best.confirm.json is of another configuration, or of other images: it is not taken up" in output
    assert "[2/2]" in output


def test_a_full_disk_is_waited_for(own, monkeypatch, said):
    fails = [OSError(errno.ENOSPC, "No space left on device")] * 2

    def replace_file(*arguments):
        if fails:
            raise fails.pop()
        replaced.append(arguments)

    replaced = []
    monkeypatch.setattr(kept_trainings, "replace_file", replace_file)
    monkeypatch.setattr("search.training.file_faults.RETRY_SECONDS", 0.0)
    assert "confirmation" not in yaml.safe_load(own.read_text())
    assert confirm(own, Path("data"), "cpu", seeds=1) == search.load(own).confirmation
    assert len(replaced) == 1
    assert said().count("No space left on device; make room there") == 1


def diverging(monkeypatch, *which):
    """Have those trainings, trial and place of the seed, diverge."""
    original = confirmation._trained_somewhere

    def somewhere(task, jobs, devices, ray, go_on):
        fail = [job for job in jobs if (job[0].trial, job[1] - min(seed for _, seed in jobs)) in which]
        yield from (Failure(candidate.trial, seed, DIVERGED) for candidate, seed in fail)
        yield from original(task, [job for job in jobs if job not in fail], devices, ray, go_on)

    monkeypatch.setattr(confirmation, "_trained_somewhere", somewhere)


def test_a_seed_that_diverges_is_told_and_left_out(own, monkeypatch, capsys):
    show_log()
    best = search.load(own)
    diverging(monkeypatch, (best.trial, 1))
    found = confirm(own, Path("data"), "cpu", seeds=3)
    first = best.seed + FRESH
    assert (found["seeds"], found["diverged"]) == ([first, first + 2], [first + 1])
    assert search.load(own).confirmation["diverged"] == [first + 1]
    assert "with 1 of 3 fresh seeds the training diverged" in capsys.readouterr().out


def test_a_choice_that_diverges_with_all_seeds_is_no_use(own, monkeypatch):
    diverging(monkeypatch, *((search.load(own).trial, place) for place in range(2)))
    with pytest.raises(UserError, match="with all of 2 fresh seeds the training diverged"):
        confirm(own, Path("data"), "cpu", seeds=2)


def test_a_rival_that_diverges_is_left_out(best_yaml, tmp_path, monkeypatch, capsys):
    show_log()
    shutil.copytree(best_yaml.parent, tmp_path / "run")
    trial = search.load(best_yaml).trial
    diverging(monkeypatch, *((other, 0) for other in range(3) if other != trial))
    found = confirm(tmp_path / "run" / "best.yaml", Path("data"), "cpu", seeds=1, top=2)
    assert found["others"] == []
    assert "is left out: it diverged with one of the seeds" in capsys.readouterr().out
