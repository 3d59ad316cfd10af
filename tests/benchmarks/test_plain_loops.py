"""The recorder and the replay of plain training loops, on cases worked by hand; and what the tables show."""

import json
import math

import numpy as np
import pytest
import torch
from builders import ROOT

from studies.benchmarks.pruning import plain
from studies.benchmarks.pruning.record_plain import COMBINATIONS, augmented, configuration, rate

TABLES = sorted((ROOT / "studies" / "benchmarks" / "tables").glob("plain_*.jsonl.gz"))
NOTHING_LEFT = [1.0, 0.5, 0.2, 0.12, 0.08, 0.06, 0.04, 0.02, 0.01, 0.01]
OVERFITTING = [1.0, 0.8, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4]


def line_of(schedule="constant", **curves):
    """A line of a table: ten epochs that overfit from epoch 3 on."""
    rates = {"constant": [0.1] * 10, "cosine": [rate("cosine", epoch, 10) for epoch in range(10)]}
    history = {"train_loss": NOTHING_LEFT, "val_loss": OVERFITTING, "test_loss": OVERFITTING}
    history |= {
        "running_loss": NOTHING_LEFT,
        "learning_rate": rates.get(schedule, [0.1] * 5 + [0.01] * 3 + [0.001] * 2),
    }
    return {"config": {"optimizer": "sgd", "schedule": schedule}, "history": history | curves}


def loops_of(tmp_path, *lines):
    path = tmp_path / "table.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return plain.load(path)


def test_the_schedules():
    assert [rate("step", epoch, 8) for epoch in range(8)] == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)
    assert [rate("cosine", epoch, 4) for epoch in (0, 2)] == pytest.approx([1.0, 0.5])
    assert {rate("constant", epoch, 8) for epoch in range(8)} == {1.0}


def test_equally_many_loops_have_each_combination_and_a_loop_does_not_depend_on_their_number():
    configs = [configuration(number, seed=0) for number in range(12)]
    combinations = [(config["optimizer"], config["schedule"]) for config in configs]
    assert all(combinations.count(each) == 2 for each in COMBINATIONS)
    assert configs[7] == configuration(7, seed=0) != configuration(7, seed=1)


def test_an_augmented_image_is_a_shifted_part_of_it_or_of_its_mirror_image():
    torch.manual_seed(0)
    images = torch.arange(2 * 7 * 9.0).reshape(1, 2, 7, 9).repeat(50, 1, 1, 1)
    changed = augmented(images)
    assert changed.shape == images.shape
    for image in changed:
        middle = image[:, 2:5, 2:7]
        windows = [
            whole[:, down : down + 3, right : right + 5]
            for whole in (images[0], images[0].flip(2))
            for down in range(5)
            for right in range(5)
        ]
        assert sum(torch.equal(middle, window) for window in windows) == 1


@pytest.mark.parametrize(("schedule", "epoch"), [("constant", 0), ("step", 8), ("cosine", 7)])
def test_the_last_drop(tmp_path, schedule, epoch):
    (loop,) = loops_of(tmp_path, line_of(schedule))
    assert plain.last_drop(loop) == epoch


@pytest.mark.parametrize(
    ("policy", "epochs"),
    [
        pytest.param(plain.patience(5), 8, id="five epochs after the best, epoch 3"),
        pytest.param(plain.Rule(), 7, id="four epochs of a rise"),
        pytest.param(plain.Rule(images=True), 7, id="no z in the table: plain floats"),
        pytest.param(plain.Rule(planned=True), 8, id="four epochs of a rise above what is left: 0.2 against 0.08"),
        pytest.param(plain.Rule(running=True), 10, id="a running loss that rises"),
    ],
)
def test_how_long_a_policy_trains(tmp_path, policy, epochs):
    (loop,) = loops_of(tmp_path, line_of("step", running_loss=[1.0, 0.5, 0.1, *[0.2] * 7]))
    assert policy(loop) == epochs


def test_the_noise_of_the_curve_can_be_left_out(tmp_path):
    noisy = [1.0, 0.8, 1.0, 0.8, 1.0, 0.7, 0.9, 1.1, 0.9, 1.1]
    (loop,) = loops_of(tmp_path, line_of(val_loss=noisy))
    assert plain.Rule()(loop) == 10
    rises = [1.0, 0.8, 1.0, 1.1, 1.0, 1.1, 1.0, 1.1, 1.0, 1.1]
    (loop,) = loops_of(tmp_path, line_of(val_loss=rises))
    assert plain.Rule(noise=False)(loop) == 6


def test_what_is_kept_by_hand(tmp_path):
    late = [1.0, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.4]
    near = [1.0, 0.402, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.4]
    loops = loops_of(
        tmp_path, line_of(), line_of(val_loss=late, test_loss=late), line_of(val_loss=near, test_loss=near)
    )
    found = plain.outcomes(loops, lambda loop: 4)
    assert found[:, 0].tolist() == [1, 0, 1]
    assert found[:, 1].tolist() == pytest.approx([0, 1.0, 0.005])
    assert found[:, 2].tolist() == [0.4] * 3
    assert found[:, 3].tolist() == [1, 0, 0]
    assert plain.summary(found) == pytest.approx([2 / 3, 1.005 / 3, 0.4, 0.4])
    assert math.isnan(plain.summary(found[1:])[-1])


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"config": {}, "history": {"train_loss": [1], "val_loss": [1]}}', "no 'optimizer'"), ("x", "line")],
)
def test_what_is_no_table_of_loops_is_named(tmp_path, capsys, text, said):
    path = tmp_path / "table.jsonl"
    path.write_text(text)
    assert plain.main([str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert str(path) in error


def test_the_command_prints_every_policy(tmp_path, capsys):
    loops_of(tmp_path, line_of(), line_of("step"), line_of("cosine"))
    assert plain.main([str(tmp_path / "table.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert "3 loops of 10 epochs, 3 of them overfitting" in printed
    assert all(f"| {name} |" in printed for name in plain.POLICIES)
    assert "| step, 1 loops: **the rule** | 100.0%" in printed


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_the_rule_keeps_the_best_epochs_of_plain_loops_and_saves_epochs(path):
    loops = plain.load(path)
    kept, _, _, epochs = plain.summary(plain.outcomes(loops, plain.Rule(planned=True)))
    assert kept >= 0.95
    assert epochs <= 0.60
    assert np.mean([loop.run.overfits for loop in loops]) > 1 / 3
