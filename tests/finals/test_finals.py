"""The end of a search: the race on real digits, resumed, left out, and with nobody to race."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from builders import RANGES, confirmation, settings, study_of

import search
from search.choice.race import FIRST_UNSEEN
from search.choice.seed_noise import failed_repeat
from search.engine import launch
from search.engine.interruption import Interruption
from search.engine.launch import load_data, run_search
from search.errors import UserError
from search.finals import finals, write_best
from search.finals.finals import stored_repeats
from search.finals.fresh_weights import MOST
from search.finals.image_losses import ImageLosses
from search.finals.repeats import train_repeats
from search.results.snapshot import read_snapshot
from search.stopping.stopped import Stopped
from search.training.evaluate import evaluate
from search.training.precision import Precision
from search.training.tensor_files import load_tensors, save_tensors
from search.training.trial import Outcome

LONG = {"trials": 6, "epochs": 6, "workers": 1, "train_size": 400}


def repeats_of(folder):
    return study_of(folder).user_attrs.get("repeats", [])


def choice_of(folder):
    return study_of(folder).user_attrs.get("choice")


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    """A search with a race, left alone."""
    folder = tmp_path_factory.mktemp("raced") / "run"
    assert run_search(settings(folder, **LONG)) is None
    return folder


def test_the_finalists_are_trained_again_with_the_same_seeds_for_all(raced):
    study, repeats = study_of(raced), repeats_of(raced)
    first = [repeat for repeat in repeats if repeat["index"] == 1]
    assert len(first) >= 3
    assert len({repeat["seed"] for repeat in first}) == 1
    assert len({repeat["seed"] for repeat in repeats}) == len({repeat["index"] for repeat in repeats})
    for repeat in repeats:
        assert repeat["epochs"] == study.trials[repeat["trial"]].user_attrs["best_epoch"] + 1
    unseen = {repeat["trial"] for repeat in repeats if repeat["index"] >= FIRST_UNSEEN}
    assert unseen == {choice_of(raced)["trial"]}
    assert len(study.trials) == 6  # they are no trials
    assert {path.stem.split(".")[1] for path in (raced / "losses").iterdir()} >= {"0", "1", str(FIRST_UNSEEN)}


def test_what_is_expected_stands_everywhere_and_the_recorded_figures_stay(raced):
    best, chosen = search.load(raced / "best.yaml"), choice_of(raced)
    assert best.expected == chosen["expected"]
    assert list(best.expected) == ["loss", "loss_interval", "accuracy", "gap", "seeds"]
    assert best.expected["loss_interval"][0] < best.expected["loss"] < best.expected["loss_interval"][1]
    assert best.expected["seeds"] >= 1
    recorded = study_of(raced).trials[best.trial].user_attrs
    assert best.metrics["val_loss"] == recorded["val_loss"]
    snapshot = read_snapshot(study_of(raced))
    assert snapshot.expected == chosen["expected"]
    assert sum(one["left"] for one in snapshot.race) >= 1
    assert list(yaml.safe_load((raced / "best.yaml").read_text())).index("expected") < 10
    assert "Expected on new images" in (raced / "report.html").read_text()


def test_a_class_of_which_no_image_is_recognized_is_named(raced, tmp_path, said):
    shutil.copytree(raced, tmp_path / "run")
    data, path = load_data(settings(raced, **LONG)), tmp_path / "run" / "losses" / f"{choice_of(raced)['trial']}.0.pt"
    content = load_tensors(path)
    content["correct"] &= torch.from_numpy(data.val_labels != 3)
    save_tensors(path, content)
    run_search(settings(tmp_path / "run", **LONG))
    assert "3" in choice_of(tmp_path / "run")["unrecognized"]
    assert "3" in search.load(tmp_path / "run" / "best.yaml").choice["unrecognized"]
    assert "never recognized on the validation images (recall 0): " in said()
    assert choice_of(raced)["unrecognized"] == []


def test_a_second_start_repeats_nothing(raced, said):
    before, chosen, repeats = (raced / "best.yaml").read_bytes(), choice_of(raced), repeats_of(raced)
    run_search(settings(raced, **LONG))
    assert "race, round" not in said()
    assert (repeats_of(raced), choice_of(raced)) == (repeats, chosen)
    assert (raced / "best.yaml").read_bytes() == before


@pytest.mark.parametrize("after", [1, 4])
def test_a_race_that_was_killed_goes_on_and_ends_like_one_that_was_not(raced, tmp_path, monkeypatch, after):
    class Killed(BaseException):
        pass

    def until_killed(pool, jobs, hang_after, go_on, ended, terminal):
        def counted(repeat, outcome):
            ended(repeat, outcome)
            if len(repeats_of(tmp_path / "run")) == after:
                raise Killed

        train_repeats(pool, jobs, hang_after, go_on, counted, terminal)

    with monkeypatch.context() as patch:
        patch.setattr(finals, "train_repeats", until_killed)
        with pytest.raises(Killed):
            run_search(settings(tmp_path / "run", **LONG))
    assert repeats_of(tmp_path / "run") == repeats_of(raced)[:after]
    run_search(settings(tmp_path / "run", **LONG))
    assert repeats_of(tmp_path / "run") == repeats_of(raced)
    assert choice_of(tmp_path / "run") == choice_of(raced)


def test_after_the_rounds_alone_the_chosen_one_is_expected_to_be_as_in_them(raced, tmp_path):
    """Where a race was ended before its unseen seeds: the choice and the figures come from the same trainings."""
    shutil.copytree(raced, tmp_path / "run")
    study = study_of(tmp_path / "run")
    study.set_user_attr("repeats", [one for one in repeats_of(raced) if one["index"] < FIRST_UNSEEN])
    run_search(settings(tmp_path / "run", race=False, **LONG))
    found, before = choice_of(tmp_path / "run"), choice_of(raced)
    assert (found["trial"], found["race"]) == (before["trial"], before["race"])
    (mean,) = (one for one in found["race"] if one["trial"] == found["trial"])
    expected = found["expected"]
    assert expected["seeds"] == 0
    assert expected["gap"] == pytest.approx(expected["loss"] - (mean["val_loss"] - mean["gap"]))
    assert expected["loss"] >= mean["val_loss"] - 0.01
    assert expected["loss_interval"][0] < expected["loss"] < expected["loss_interval"][1]


def test_a_training_that_diverged_leaves_no_losses(tmp_path, monkeypatch):
    """They are finite: above the ceiling from which a run counts as diverged."""

    def diverged(pool, jobs, hang_after, go_on, ended, terminal):
        (first, *others) = jobs
        failed = failed_repeat(first.number, first.repeat, first.seed, first.epochs)
        losses = {"val_losses": np.full(100, 41.0, np.float32), "val_correct": np.zeros(100, bool)}
        ended(failed, Outcome(first.number, Stopped.DIVERGED, **losses))
        left.append(f"{first.number}.{first.repeat}.pt")
        train_repeats(pool, others, hang_after, go_on, ended, terminal)

    left = []
    monkeypatch.setattr(finals, "train_repeats", diverged)
    run_search(settings(tmp_path / "run", **LONG))
    assert left
    assert not {path.name for path in (tmp_path / "run" / "losses").iterdir()} & set(left)


def test_a_training_that_lost_its_memory_too_often_is_tried_again_by_the_next_start(raced, tmp_path, monkeypatch):
    def without_memory(pool, jobs, hang_after, go_on, ended, terminal):
        (first, *others) = jobs
        failed = failed_repeat(first.number, first.repeat, first.seed, first.epochs)
        ended(failed, Outcome(first.number, Stopped.OUT_OF_MEMORY))
        lost.append((first.number, first.repeat))
        train_repeats(pool, others, hang_after, go_on, ended, terminal)

    lost = []
    with monkeypatch.context() as patch:
        patch.setattr(finals, "train_repeats", without_memory)
        run_search(settings(tmp_path / "run", **LONG))
    assert not {(one["trial"], one["index"]) for one in repeats_of(tmp_path / "run")} & set(lost)
    run_search(settings(tmp_path / "run", **LONG))
    assert choice_of(tmp_path / "run")["trial"] == choice_of(raced)["trial"]
    assert lost[0] in {(one["trial"], one["index"]) for one in repeats_of(tmp_path / "run")}


def test_without_a_race_the_seed_s_luck_is_said_to_be_left(tmp_path, said):
    run_search(settings(tmp_path / "run", race=False, **LONG))
    assert repeats_of(tmp_path / "run") == []
    with pytest.raises(UserError, match="there is no ensemble: its race had no training"):
        search.load(tmp_path / "run" / "best.yaml").trained_ensemble()
    assert choice_of(tmp_path / "run")["expected"]["seeds"] == 0
    assert "of the seeds that it was chosen by, whose luck is still in it" in said()
    run_search(settings(tmp_path / "run", **LONG))  # it can still be held
    assert choice_of(tmp_path / "run")["expected"]["seeds"] >= 1


def test_one_feasible_run_only(tmp_path):
    run_search(settings(tmp_path / "run", **LONG | {"trials": 1, "epochs": 10}))
    assert {repeat["index"] for repeat in repeats_of(tmp_path / "run")} == {FIRST_UNSEEN}
    assert choice_of(tmp_path / "run")["expected"]["seeds"] == 1
    assert choice_of(tmp_path / "run")["race"] == []


def test_no_feasible_run_no_race(tmp_path, said):
    slow = RANGES | {"learning_rate": (1e-6, 1e-6)}
    run_search(settings(tmp_path / "run", trials=2, epochs=1, ranges=slow))
    assert repeats_of(tmp_path / "run") == []
    assert choice_of(tmp_path / "run") is None
    assert "chosen: none" in said()


def test_a_ceiling_for_the_gap_bounds_the_finalists(tmp_path):
    run_search(settings(tmp_path / "run", max_gap=0.08, **LONG))
    trials = study_of(tmp_path / "run").trials
    assert {repeat["trial"] for repeat in repeats_of(tmp_path / "run")} <= {
        trial.number for trial in trials if trial.user_attrs["gap"] <= 0.08
    }


def test_losses_that_are_damaged_or_another_run_s_are_set_aside(raced, tmp_path):
    snapshot, repeats = read_snapshot(study_of(raced)), stored_repeats(study_of(raced).user_attrs)
    folder, notes = tmp_path / "losses", []
    folder.mkdir()
    files = sorted((raced / "losses").glob("*.0.pt"))
    for path in files:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / files[0].name).write_bytes(b"garbage")
    (folder / files[1].name).write_bytes(files[2].read_bytes())
    (folder / "999.0.pt").write_bytes(files[2].read_bytes())  # of no run: removed
    kept = ImageLosses(tmp_path, snapshot.runs, repeats, notes.append)
    assert len(kept.losses) == len(files) - 2
    assert len(notes) == 2
    assert not (folder / "999.0.pt").exists()


def test_losses_of_a_training_that_failed_are_no_damage(tmp_path):
    """It diverged at losses that are high, and finite."""
    ImageLosses(tmp_path, [], [], print).add((3, 1), np.full(4, 41.0, np.float32), np.zeros(4, bool))
    notes = []
    kept = ImageLosses(tmp_path, [], [failed_repeat(3, 1, 5, 20)], notes.append)
    assert (kept.losses, notes, list((tmp_path / "losses").iterdir())) == ({}, [], [])


def test_losses_take_two_bytes_and_are_bounded(tmp_path, monkeypatch):
    from builders import exact_run

    from search.finals import image_losses

    monkeypatch.setattr(image_losses, "MOST", 2)
    kept = ImageLosses(tmp_path, [], [], print)
    runs = [exact_run(number, 1 + number / 10) for number in range(4)]
    for run in runs:
        kept.add((run.number, 0), np.full(10, run.at_best.val_loss, np.float32), np.ones(10, bool))
    kept.add((3, 1), np.ones(10, np.float32), np.ones(10, bool))
    kept.add((9, 0), None, None)
    kept.add((9, 0), np.full(10, np.nan), np.ones(10, bool))
    kept.update(runs)
    assert set(kept.losses) == {(0, 0), (1, 0), (3, 1)}
    assert kept.losses[0, 0].dtype == np.float16
    assert {path.name for path in (tmp_path / "losses").iterdir()} == {"0.0.pt", "1.0.pt", "3.1.pt"}


def test_repeats_of_an_older_release_are_left_out():
    old = {"trial": 1, "seed": 5, "val_loss": 0.1, "gap": 0.0, "epochs": 3}
    new = {"trial": 1, "index": 1, "seed": 5, "val_loss": None, "train_loss": 0.0, "val_accuracy": 0.0,
           "train_accuracy": 0.0, "epochs": 3}  # fmt: skip
    (repeat,) = stored_repeats({"repeats": [old, new]})
    assert repeat.failed


def test_the_networks_of_the_race_are_one_more_file(raced):
    """That of best.pt and those of the fresh seeds: what is said of them is what they do on the validation images."""
    best = search.load(raced / "best.yaml")
    said = best.ensemble
    mine = [one for one in repeats_of(raced) if one["trial"] == best.trial]
    assert said["networks"] == min(1 + len(mine), MOST) >= 3
    together = best.trained_ensemble()
    assert len(together.networks) == said["networks"]
    data = load_data(settings(raced, **LONG)).to(torch.device("cpu"))
    precision = Precision.of(best.environment)
    losses = [evaluate(one, data, data.val, precision).losses.mean() for one in (together, *together.networks)]
    assert losses[0] == pytest.approx(said["val_loss"], rel=1e-3)
    assert np.mean(losses[1:]) == pytest.approx(said["mean_val_loss"], rel=1e-3)
    assert losses[1] == pytest.approx(best.metrics["val_loss"], rel=1e-3)
    assert sorted(losses[2:]) == pytest.approx(sorted(one["val_loss"] for one in mine)[: MOST - 1], rel=1e-3)
    left = {path.name for path in (raced / "weights").iterdir() if path.name.count(".") == 2}
    assert left == {f"{best.trial}.{one['index']}.pt" for one in mine}


def test_an_ensemble_that_is_not_there_or_not_its_own_is_one_line(raced, tmp_path):
    shutil.copytree(raced, tmp_path / "run")
    best, file = search.load(tmp_path / "run" / "best.yaml"), tmp_path / "run" / "ensemble.pt"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"ensemble\.pt is not the one that its best\.yaml names"):
        best.trained_ensemble()
    file.unlink()
    with pytest.raises(UserError, match=r"cannot read .*ensemble\.pt: No such file"):
        best.trained_ensemble()


def test_weights_of_the_race_that_are_damaged_are_left_out(raced, tmp_path):
    shutil.copytree(raced, tmp_path / "run")
    best = search.load(raced / "best.yaml")
    one, *_ = sorted((tmp_path / "run" / "weights").glob(f"{best.trial}.*.pt"))
    one.write_bytes(b"garbage")
    run_search(settings(tmp_path / "run", **LONG))
    assert search.load(tmp_path / "run" / "best.yaml").ensemble["networks"] == best.ensemble["networks"] - 1
    for path in (tmp_path / "run" / "weights").glob(f"{best.trial}.*.pt"):
        path.unlink()
    run_search(settings(tmp_path / "run", **LONG))
    assert search.load(tmp_path / "run" / "best.yaml").ensemble is None
    assert not (tmp_path / "run" / "ensemble.pt").exists()


def edited(folder, **entries):
    """best.yaml as somebody left it, with those entries."""
    content = yaml.safe_load((folder / "best.yaml").read_text()) | entries
    (folder / "best.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def test_a_later_start_that_chooses_the_same_keeps_its_confirmation(raced, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(raced, folder)
    edited(folder, confirmation=confirmation())
    run_search(settings(folder, **LONG))
    best = search.load(folder / "best.yaml")
    assert best.confirmation == confirmation()
    edited(folder, trial=best.trial + 1)  # the one chosen before was another
    run_search(settings(folder, **LONG))
    assert search.load(folder / "best.yaml").confirmation is None


@pytest.mark.parametrize("same", [True, False])
def test_in_haste_what_is_known_of_the_same_weights_stays(raced, tmp_path, monkeypatch, same):
    folder = tmp_path / "run"
    shutil.copytree(raced, folder)
    before = search.load(folder / "best.yaml")
    if not same:
        edited(folder, trial=before.trial + 1)
    write = launch.write_best
    monkeypatch.setattr(launch, "write_best", lambda *given, in_haste: write(*given, in_haste=True))
    run_search(settings(folder, **LONG))
    after = search.load(folder / "best.yaml")
    assert (after.calibration, after.ensemble) == ((before.calibration, before.ensemble) if same else (None, None))
    assert (folder / "ensemble.pt").exists() == same


def test_a_trial_of_a_gpu_that_is_not_here_is_described_all_the_same():
    environment = write_best.environment(Precision(), "cuda:97")
    assert (environment["device"], environment["hardware"]) == ("cuda", "cuda")


def test_figures_that_take_their_time_give_signs_of_life(raced, tmp_path, monkeypatch):
    shutil.copytree(raced, tmp_path / "run")
    beats, whole = [], finals.expected

    def noted(*given, beat, **others):
        beats.append(beat)
        return whole(*given, beat=beat, **others)

    monkeypatch.setattr(finals, "expected", noted)
    run_search(settings(tmp_path / "run", **LONG))
    assert isinstance(beats[0].__self__, Interruption)


def test_a_confirmation_that_ends_while_best_yaml_is_written_stays(raced, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(raced, folder)
    predict = write_best.predict_validation

    def meanwhile(*given):
        edited(folder, confirmation=confirmation())
        return predict(*given)

    monkeypatch.setattr(write_best, "predict_validation", meanwhile)
    run_search(settings(folder, **LONG))
    assert search.load(folder / "best.yaml").confirmation == confirmation()


def test_a_confirmation_says_no_more_than_is_still_true(raced, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(raced, folder)
    said = confirmation(ensemble_test_loss=0.1)
    assert said["others"]
    before = yaml.safe_load((folder / "best.yaml").read_text())
    edited(folder, confirmation=said, choice=before["choice"] | {"because": "there were fewer trials"})
    run_search(settings(folder, **LONG))
    assert search.load(folder / "best.yaml").confirmation == said | {"others": []}
    for path in (folder / "weights").glob(f"{before['trial']}.*.pt"):  # those of the race
        path.unlink()
    run_search(settings(folder, **LONG))
    assert "ensemble_test_loss" not in search.load(folder / "best.yaml").confirmation


@pytest.mark.parametrize("entry", ["data", "metrics"])
def test_what_was_found_on_other_images_is_not_carried_over(raced, tmp_path, entry):
    folder = tmp_path / "run"
    shutil.copytree(raced, folder)
    before = yaml.safe_load((folder / "best.yaml").read_text())
    changed = {"data": {"fingerprint": "0" * 16}, "metrics": {"val_loss": 0.9}}[entry]
    edited(folder, confirmation=confirmation(), **{entry: before[entry] | changed})
    run_search(settings(folder, **LONG))
    assert search.load(folder / "best.yaml").confirmation is None


def test_weights_that_are_lost_come_back_from_a_best_pt_that_is_its_own_alone(raced, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(raced, folder)
    best = search.load(folder / "best.yaml")
    (folder / "weights" / f"{best.trial}.pt").unlink()
    run_search(settings(folder, **LONG))
    assert search.load(folder / "best.yaml").weights_sha256 == best.weights_sha256
    shutil.copyfile(next((folder / "weights").glob(f"{best.trial}.*.pt")), folder / "best.pt")
    run_search(settings(folder, **LONG))
    assert search.load(folder / "best.yaml").weights_sha256 is None


def test_a_study_that_was_split_otherwise_does_not_go_on(raced, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(raced, folder)
    study = study_of(folder)
    counts = study.user_attrs["data"]["val_counts"]
    study.set_user_attr("data", study.user_attrs["data"] | {"val_counts": [counts[0] + 1, counts[1] - 1, *counts[2:]]})
    with pytest.raises(UserError, match="an earlier release split these images otherwise"):
        run_search(settings(folder, **LONG))
