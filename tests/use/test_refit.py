"""Training on train and validation images together, for use."""

import contextlib

import numpy as np
import pytest
import torch
import yaml
from builders import CONFIG

import search
from search.command.cli import main
from search.engine.launch import run_search
from search.errors import UserError
from search.settings import Settings
from search.training.annealed import AnnealedTrainer
from search.training.precision import Precision
from search.training.trainer import Trainer
from search.use import refit
from search.use.fresh import DIVERGED, Candidate, Task
from search.use.openings import NAME
from search.use.refit import FIRST, together
from search.use.retrain import load_sound
from spaces import cnn


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small search on digits."""
    folder = tmp_path_factory.mktemp("refit") / "run"
    ranges = {"depth": (2, 3), "width": (12, 16), "batch_size": (16, 24), "learning_rate": (5e-3, 1e-2)}
    run_search(
        Settings(
            name="digits", dataset="digits", trials=2, epochs=6, workers=2, device="cpu", out=folder, race=False,
            train_size=400, val_size=200, ranges=ranges,
        )
    )  # fmt: skip
    return folder


def test_final_holds_the_first_seed_s_weights_and_what_they_do_on_the_test_split(run, capsys):
    assert main(["refit", str(run), "--seeds", "2"]) == 0
    best, final = search.load(run / "best.yaml"), search.load(run / "final.yaml")
    assert (final.config, final.trial, final.metrics) == (best.config, best.trial, best.metrics)
    assert final.refit["images"] == 600
    assert final.refit["epochs"] == final.epochs == best.epochs
    assert final.refit["seeds"] == [best.seed + FIRST, best.seed + FIRST + 1]
    assert final.seed == final.refit["seeds"][0]
    assert final.refit["test_accuracy"] > 0.85
    assert final.refit["test_gap"] == pytest.approx(final.refit["test_loss"] - final.refit["train_loss"])
    weights, before = final.trained().state_dict(), best.trained().state_dict()
    assert any(not np.array_equal(weights[name], before[name]) for name in weights)
    assert "mean of 2 seeds: test_loss" in capsys.readouterr().out


def test_it_repeats_to_the_last_digit_and_counts_as_another_opening(run):
    before = (run / NAME).read_text().count('"of"') if (run / NAME).exists() else 0
    figures = []
    for _ in range(2):
        assert main(["refit", str(run)]) == 0
        figures.append(yaml.safe_load((run / "final.yaml").read_text())["refit"])
    assert figures[0] | {"openings": 0} == figures[1] | {"openings": 0}
    assert [one["openings"] for one in figures] == [before + 1, before + 2]


def test_on_ray_the_same_comes_of_it(run, ray_here):
    contents = []
    for on_ray in ([], ["--ray", "local"]):
        assert main(["refit", str(run), "--seeds", "2", *on_ray]) == 0
        figures = yaml.safe_load((run / "final.yaml").read_text())
        contents.append((figures["seed"], figures["weights_sha256"], figures["refit"] | {"openings": 0}))
    assert contents[0] == contents[1]


def test_a_training_that_fails_on_ray_writes_nothing(run, ray_here, monkeypatch, capsys):
    (run / "final.yaml").unlink(missing_ok=True)
    monkeypatch.setattr("search.use.refit._trained", lambda *_, anneal: 1 / 0)
    assert main(["refit", str(run), "--ray", "local"]) == 2
    seed = search.load(run / "best.yaml").seed + FIRST
    failed = f"the training with seed {seed} failed: ZeroDivisionError: division by zero; nothing is written"
    assert failed in capsys.readouterr().err
    assert not (run / "final.yaml").exists()


@pytest.mark.parametrize("fault", ["an error", "no finite loss"])
def test_a_training_that_fails_writes_nothing(run, monkeypatch, capsys, fault):
    (run / "final.yaml").unlink(missing_ok=True)

    def broken(trainer):
        if fault == "an error":
            raise RuntimeError("no room")
        with torch.no_grad():
            next(iter(trainer.averaged.parameters())).fill_(float("nan"))

    monkeypatch.setattr("search.use.refit.Trainer.train_epoch", broken)
    assert main(["refit", str(run)]) == 2
    said = capsys.readouterr().err
    assert "failed: RuntimeError: no room" in said if fault == "an error" else "its loss is not finite any more" in said
    assert said.splitlines()[-1].endswith("; nothing is written")
    assert not (run / "final.yaml").exists()


def test_what_a_refit_made_is_not_trained_or_confirmed(run, capsys):
    assert main(["refit", str(run)]) == 0
    for command in ("train", "confirm", "refit"):
        assert main([command, str(run / "final.yaml")]) == 2
        assert "name the best.yaml that it is made from" in capsys.readouterr().err
    with pytest.raises(UserError, match="refit"):
        load_sound(run / "final.yaml")


def test_seeds_below_one_are_refused(run, capsys):
    assert main(["refit", str(run), "--seeds", "0"]) == 2
    assert "--seeds is 0; it must be at least 1" in capsys.readouterr().err


def test_all_images_train_and_some_of_them_measure(digits):
    both = together(digits, probe=50)
    assert set(both.splits.train) == set(digits.splits.train) | set(digits.splits.val)
    assert len(both.splits.probe) == 50
    assert set(both.splits.probe) <= set(both.splits.train)
    assert together(digits, probe=10**6).splits.probe.tolist() == both.splits.train.tolist()


def test_an_annealed_learning_rate_is_the_plain_one_until_the_last_fifth_and_then_falls_to_zero(digits):
    import torch

    data = digits.to(torch.device("cpu"))
    plain = Trainer(cnn.build, CONFIG, data, seed=0, precision=Precision())
    falling = AnnealedTrainer(cnn.build, CONFIG, data, seed=0, precision=Precision(), epochs=10)
    steps = 10 * plain.steps
    shares = [falling.schedule(step) for step in range(steps)]
    whole = int(0.8 * steps)
    assert shares[:whole] == [plain.schedule(step) for step in range(whole)]
    assert shares[-1] == pytest.approx(1 / (0.2 * steps))
    assert all(later < earlier for earlier, later in zip(shares[whole:], shares[whole + 1 :], strict=False))


def test_a_later_seed_that_fails_costs_nothing(run, monkeypatch, capsys):
    seed, whole = search.load(run / "best.yaml").seed + FIRST, refit.train

    def fails_once(best, data, test, number, epochs, *, anneal):
        if number == seed + 1:
            raise UserError(DIVERGED)
        return whole(best, data, test, number, epochs, anneal=anneal)

    monkeypatch.setattr(refit, "train", fails_once)
    assert main(["refit", str(run), "--seeds", "3"]) == 0
    said = capsys.readouterr()
    assert f"the training with seed {seed + 1} failed: {DIVERGED}; it is left out of the means" in said.out + said.err
    found = search.load(run / "final.yaml").refit
    assert (found["seeds"], found["failed"]) == ([seed, seed + 2], [seed + 1])
    assert "1 seed failed, left out of the means: it may fail you too" in said.out + said.err


def test_what_the_first_seed_came_to_is_kept_whatever_comes_after(run, monkeypatch):
    (run / "final.yaml").unlink(missing_ok=True)
    seed, whole = search.load(run / "best.yaml").seed + FIRST, refit.train

    def interrupted(best, data, test, number, epochs, *, anneal):
        if number > seed:
            raise KeyboardInterrupt
        return whole(best, data, test, number, epochs, anneal=anneal)

    monkeypatch.setattr(refit, "train", interrupted)
    with contextlib.suppress(KeyboardInterrupt):
        main(["refit", str(run), "--seeds", "2"])
    assert search.load(run / "final.yaml").refit["seeds"] == [seed]


def test_final_describes_what_was_trained_though_best_is_written_anew_meanwhile(run, monkeypatch):
    path, whole = run / "best.yaml", refit.train
    before = path.read_text()
    best = search.load(path)

    def meanwhile(*arguments, anneal):
        path.write_text(yaml.safe_dump(yaml.safe_load(before) | {"trial": best.trial + 1, "epochs": best.epochs + 1}))
        return whole(*arguments, anneal=anneal)

    monkeypatch.setattr(refit, "train", meanwhile)
    try:
        assert main(["refit", str(run)]) == 0
    finally:
        path.write_text(before)
    final = yaml.safe_load((run / "final.yaml").read_text())
    new = {"seed", "refit", "weights_sha256"}
    assert {name: final[name] for name in final.keys() - new} == {
        name: value for name, value in yaml.safe_load(before).items() if name not in {*new, "confirmation", "ensemble"}
    }


def test_a_node_trains_no_other_configuration_than_was_asked_for(run, digits):
    said = refit._trained(
        Task(run / "best.yaml", "of another one", digits, digits), torch.device("cpu"), Candidate(0, {}, 1), 0,
        anneal=False,
    )  # fmt: skip
    assert said == f"{run / 'best.yaml'} was written anew while its trainings ran"
