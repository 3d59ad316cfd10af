"""Which runs are recorded: random ones, or some of a table again."""

import json
from argparse import Namespace

import pytest

from studies.benchmarks.pruning.record import AGAIN, plan


@pytest.fixture
def table(tmp_path):
    """Ten runs; the lower the seed, the higher the validation loss."""
    lines = [
        {"config": {"width": seed}, "seed": seed, "history": {"train_loss": [1, 1], "val_loss": [20 - seed, 30]}}
        for seed in range(10)
    ]
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def options(table, **changes):
    return Namespace(**({"again": table, "top": 2, "random": 0, "times": 2, "seed": 3} | changes))


def test_the_best_runs_of_a_table_are_trained_again_each_once_before_any_twice(table):
    assert [(one.repeats, one.seed - AGAIN) for one in plan(options(table))] == [
        (9, 3000),
        (8, 3002),
        (9, 3001),
        (8, 3003),
    ]
    assert all(one.config == {"width": one.repeats} for one in plan(options(table)))


def test_some_of_the_others_are_drawn_at_random_and_the_same_each_time(table):
    drawn = [one.repeats for one in plan(options(table, random=3, times=1))]
    assert drawn[:2] == [9, 8]
    assert len(set(drawn)) == 5
    assert set(drawn[2:]) < set(range(8))
    assert drawn == [one.repeats for one in plan(options(table, random=3, times=1))]
    others = {tuple(one.repeats for one in plan(options(table, random=3, times=1, seed=seed))) for seed in range(9)}
    assert len(others) > 3


def test_seeds_differ(table):
    seeds = [one.seed for one in plan(options(table, random=4, times=6))]
    assert len(set(seeds)) == len(seeds) == 36
