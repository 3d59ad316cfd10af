"""The race and the printed figure, replayed on trainings with several seeds."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from test_choice_benchmark import record

from search.choice.race import FIRST_UNSEEN, Race
from studies.benchmarks.choice import real_seeds
from studies.benchmarks.choice.variance import load_seeds

CONFIGURATIONS, VAL, TEST = 10, 80, 120


def write_table(folder, seeds=6, seed_noise=0.05):
    """A made-up table: configuration c has the loss 0.5 + c/100, its seeds move all images alike."""
    rng = np.random.default_rng(0)
    hard, records, losses = rng.exponential(0.5, VAL + TEST), [], {}
    for number in range(CONFIGURATIONS):
        for k in range(seeds):
            seed = 100 * number + k
            own = hard + rng.normal(number / 100, 0.05, VAL + TEST) + seed_noise * rng.standard_normal()
            val, test = own[:VAL], own[VAL:]
            losses |= {str(seed): val.astype(np.float16), f"{seed}.test": test.astype(np.float16)}
            curves = [3.0, val.mean()], [0.1, 0.2], [3.0, test.mean()]
            records.append(record(seed, *(list(map(float, curve)) for curve in curves), repeats=number))
    np.savez(folder / "t.npz", **losses)
    path = folder / "t.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in records).encode()))
    return path


@pytest.fixture
def trainings(tmp_path):
    return real_seeds.Trainings.of(load_seeds(write_table(tmp_path)))


def test_no_seed_and_no_image_that_ranked_tells_the_worth(trainings):
    """Each loss names its seed and its image: 1000 seed + image."""
    named = 1000.0 * np.arange(6)[:, None] + np.arange(VAL + TEST)
    search = replace(trainings, losses=np.broadcast_to(named, trainings.losses.shape)).search(3)
    number = search.runs[0].number
    used = [0, 1, 2, FIRST_UNSEEN]
    for index in used:
        search.repeat((number, index))
    seen = np.array([search.images[number, index] for index in used])
    assert seen.shape == (4, VAL)
    seeds, images = set(seen.ravel() // 1000), set(seen.ravel() % 1000)
    assert (len(seeds), len(images)) == (4, VAL)
    spare, new = set(range(6)) - seeds, set(range(VAL + TEST)) - images
    assert search.worth[number] == pytest.approx(1000 * np.mean(list(spare)) + np.mean(list(new)))


def test_a_search_is_the_same_at_each_asking_and_another_with_another_seed(trainings):
    one, same, other = (trainings.search(seed) for seed in (1, 1, 2))
    assert [run.at_best for run in one.runs] == [run.at_best for run in same.runs]
    assert one.worth == same.worth
    assert one.worth != other.worth
    assert one.race(Race(rounds=2, unseen=1)) == same.race(Race(rounds=2, unseen=1))


def test_an_interval_is_widened_by_the_error_of_the_worth(trainings):
    search = trainings.search(0)
    found = real_seeds.play([search], {real_seeds.OURS: Race(rounds=2, unseen=1)}, real_seeds.OURS)[1]
    assert set(found) == {"race: the winner's mean in it", "race: unseen seeds alone", "race: printed"}
    standing, _ = search.race(Race(rounds=2, unseen=1))
    printed = search.printed_after(standing, 1)["race: printed"]
    low = printed.loss_interval[0]
    search.worth_se = 0.0
    assert search.covers(printed, low)
    assert not search.covers(printed, low - 0.01)
    search.worth_se = 1.0
    assert search.covers(printed, low - 0.01)


def test_the_error_of_a_worth_is_that_of_seeds_and_images():
    rng = np.random.default_rng(0)
    losses = rng.normal(0, 0.3, (400, 1, 50)) + rng.normal(0, 0.1, (400, 2, 1))
    assert real_seeds._worth_se(losses) == pytest.approx(np.sqrt(0.1**2 / 2 + 0.3**2 / 50), rel=0.05)


def test_the_command(tmp_path, capsys):
    assert real_seeds.main([str(write_table(tmp_path)), "--searches", "3"]) == 0
    printed = capsys.readouterr().out
    assert "3 searches of 8 of 10 configurations, 6 seeds each" in printed
    assert f"| {real_seeds.OURS} |" in printed
    assert "regret" not in printed


@pytest.mark.parametrize("seeds", [2, 4])
def test_too_few_seeds_are_an_error_in_one_line(tmp_path, capsys, seeds):
    assert real_seeds.main([str(write_table(tmp_path, seeds))]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_choice_comes_below_the_best_finalist(trainings):
    found = real_seeds.limits(map(trainings.search, range(5)))
    lowest, best = found.values()
    assert len(lowest) == len(best) == 5
    assert (best <= lowest).all()
