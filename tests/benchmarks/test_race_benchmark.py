"""The simulated searches that the sizes of the race come from."""

import gzip
import json

import numpy as np
import pytest
from test_choice_benchmark import record

from search.choice.race import Race
from studies.benchmarks.choice import race


@pytest.fixture
def table(tmp_path):
    """Twelve runs whose losses differ by image, and a test loss for each."""
    rng = np.random.default_rng(0)
    hard, records, losses = rng.exponential(0.5, 60), [], {}
    for seed in range(12):
        own = (hard + rng.normal(0.5 + seed / 100, 0.1, 60)).astype(np.float16)
        losses[str(seed)] = own
        mean = float(own.mean(dtype=np.float64))
        records.append(record(seed, [2.0, mean], [0.1, 0.2], [2.0, mean + 0.1]))
    np.savez(tmp_path / "t.npz", **losses)
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in records).encode()))
    return path


def test_trainings_of_a_world_have_the_seed_noise_that_was_asked_for(table):
    world = race.make_world(table, seed_share=0.05)
    rng, images = np.random.default_rng(1), np.arange(60)
    means = [world.trained(0, images, rng).mean() for _ in range(2000)]
    assert np.mean(means) == pytest.approx(world.losses[0].mean(), rel=0.005)
    assert np.std(means) == pytest.approx(0.05 * world.losses[0].mean(), rel=0.1)


def test_a_training_is_the_same_at_each_asking(table):
    world = race.make_world(table, seed_share=0.05)
    assert race.simulated(world, 3).repeat((0, 1)) == race.simulated(world, 3).repeat((0, 1))
    one, other = race.simulated(world, 3).race(Race()), race.simulated(world, 3).race(Race())
    assert one == other
    assert one[1] > 0


def test_the_command(table, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["race.py", str(table), "--searches", "3"])
    assert race.main() == 0
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in (*race.POLICIES, "race: printed", "no race: printed"))


def test_a_missing_table_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["race.py", "none.jsonl"])
    assert race.main() == 2
    assert "none.jsonl" in capsys.readouterr().err
