"""The replay's own logic, on tables small enough to work out by hand."""

import csv
import gzip
import json
import math
import shutil

import numpy as np
import pytest
from builders import ROOT
from optuna.pruners import ThresholdPruner

from studies.benchmarks.pruning import optuna_policies
from studies.benchmarks.pruning import run as pruning
from studies.benchmarks.pruning.policies import Overfit, Patience, RandomPrune, Rules, no_pruning, overfit_stop
from studies.benchmarks.pruning.replay import (
    Figures,
    Run,
    Table,
    judge,
    load,
    searches,
    selected_loss,
    standard_errors,
    useful_front,
)

NAN = math.nan
TABLES = sorted((ROOT / "studies" / "benchmarks" / "tables").glob("*.jsonl.gz"))


def run(val, train=None, test=None, z=None):
    def array(values):
        return np.array([NAN] * len(val) if values is None else values, dtype=float)

    return Run(array([0.0] * len(val) if train is None else train), array(val), array(None), array(z), array(test))


def table(*runs, baseline=math.inf, reference=(1.0, 1.0), has_test=True):
    return Table("hand", runs, baseline, reference, has_test)


GOOD = run([0.9, 0.5, 0.4, 0.5], train=[0.9, 0.4, 0.2, 0.1], test=[0.9, 0.6, 0.5, 0.7])  # overfits from epoch 3 on
SLOW = run([0.9, 0.8, 0.6, 0.42], train=[0.9, 0.8, 0.6, 0.41], test=[0.9, 0.8, 0.6, 0.4])
POOR = run([0.9, 0.8, 0.8, 0.8], train=[0.9, 0.8, 0.8, 0.8], test=[0.9, 0.8, 0.8, 0.8])
HAND = table(GOOD, SLOW, POOR)


def test_the_best_epoch_is_the_lowest_finite_one_so_far():
    assert run([NAN, 3, 2, 2, 4, 1]).best_by.tolist() == [-1, 1, 2, 2, 2, 5]
    assert run([3, 2, 1], train=[1, NAN, 1]).best_by.tolist() == [0, 0, 2]
    assert run([NAN]).result(1) == -1


@pytest.mark.parametrize(
    ("val", "train", "overfits"),
    [
        pytest.param([2, 1, 1.06], [3, 2, 1], True, id="6% above the best"),
        pytest.param([2, 1, 1.04], [3, 2, 1], False, id="4% above"),
        pytest.param([2, 1, 1.06], [3, 2, 2], False, id="training loss has not fallen"),
        pytest.param([5, 4, 3, 2, 1, 1.06], [6, 5, 4, 3, 2, 1], True, id="best in epoch 5 of 6: index 4 < 4.2"),
        pytest.param([4, 3, 2, 1, 1.06], [5, 4, 3, 2, 1], True, id="index 3 < 3.5"),
        pytest.param([8, 7, 6, 5, 4, 3, 2, 1, 1, 1.06], [*range(10, 0, -1)], False, id="index 7 of 10 is too late"),
        pytest.param([2, 1, NAN], [3, 2, 1], False, id="no number at the end"),
    ],
)
def test_an_overfitting_run(val, train, overfits):
    assert run(val, train).overfits is overfits


def test_what_stopping_cost_is_worked_out_by_hand():
    figures = judge(HAND, HAND.runs, [4, 2, 1])
    assert figures.epochs == [7 / 12]
    assert figures.loss == [0.0]
    assert (figures.front, figures.front_lost) == (2, 1)
    assert (figures.overfitting, figures.stopped, figures.in_time, figures.late) == (1, 0, 0, [])
    assert (figures.all_runs, figures.best_lost) == (3, 2)
    whole = 0.6 * 0.8 + 0.58 * (0.2 - 0.01) + 0.2 * 0.01  # GOOD (0.4, 0.2), SLOW (0.42, 0.01) and POOR (0.8, 0)
    left = 0.6 * 0.8 + 0.2 * 0.2  # SLOW (0.8, 0) and POOR (0.9, 0)
    assert figures.hypervolume_lost == [pytest.approx(1 - left / whole)]
    assert figures.kept_volume_lost == [pytest.approx(1 - 0.6 * 0.8 / whole)]  # of GOOD alone: the others are far worse


def test_another_selection_changes_the_test_loss():
    assert selected_loss(HAND, HAND.runs, [4, 4, 4]) == 0.5
    assert selected_loss(HAND, HAND.runs, [2, 4, 4]) == 0.4
    assert judge(HAND, HAND.runs, [2, 4, 4]).loss == [pytest.approx(0.4 / 0.5 - 1)]


def test_validation_losses_stand_for_test_losses():
    assert selected_loss(table(GOOD, SLOW, has_test=False), [GOOD, SLOW], [1, 4]) == 0.42


@pytest.mark.parametrize(
    ("given", "stopped", "in_time", "late"),
    [(3, 1, 1, [0.0]), (4, 1, 1, [0.1]), (5, 1, 1, [0.2]), (6, 1, 0, [0.3]), (2, 1, 1, []), (10, 0, 0, [])],
)
def test_how_late_an_overfitting_run_is_stopped(given, stopped, in_time, late):
    overfitting = run([3, 2, 1, *[1.5] * 7], train=range(10, 0, -1), test=[1] * 10)
    figures = judge(table(overfitting), [overfitting], [given])
    assert (figures.stopped, figures.in_time, figures.late) == (stopped, in_time, pytest.approx(late))


def test_the_useful_front_is_feasible_not_dominated_and_close_to_the_best():
    def at(loss, gap):
        return run([loss], train=[loss - gap], test=[loss])

    runs = [at(1.08, 0.1), at(1.0, 0.5), at(1.05, 0.5), at(1.2, 0.0), at(1.09, 0.05), at(NAN, 0.0)]
    assert useful_front(table(*runs), runs) == [1, 0, 4]
    assert useful_front(table(*runs, baseline=1.085), runs) == [1, 0]


def test_one_percent_is_not_lost():
    runs = [run([1.01, 1.0], test=[1, 1]), run([1.02, 1.0], test=[1, 1]), run([NAN, 1.0], test=[1, 1])]
    assert [judge(table(one), [one, runs[0]], [1, 2]).best_lost for one in runs[:2]] == [0, 1]
    assert judge(table(*runs), [runs[2], runs[0]], [1, 2]).best_lost == 1


@pytest.mark.parametrize(("first", "lost", "far"), [(1.005, 0, 0), (1.03, 1, 0), (1.05, 1, 1)])
def test_two_deviations_between_seeds_are_far(first, lost, far):
    front, other = run([first, 1.0], test=[1, 1]), run([2.0, 2.0], test=[1, 1])
    figures = judge(table(front, other), [front, other], [1, 2])
    assert (figures.front, figures.front_lost, figures.front_far) == (1, lost, far)
    assert figures.summary()["front_far"] == far


def test_the_worst_tenth_is_a_mean_of_searches():
    figures = pruning_figures(loss=[0.0] * 18 + [0.1, 0.3])
    assert figures.summary()["loss_worst_tenth"] == pytest.approx(0.2)
    assert figures.summary()["loss"] == pytest.approx(0.02)
    assert math.isnan(figures.summary()["overfit_late"])


def pruning_figures(loss):
    return Figures(epochs=[1.0], loss=loss, hypervolume_lost=[0.0])


def test_every_policy_replays_the_same_searches():
    seen = {}

    def noting(name):
        def policy(runs, rng):
            seen.setdefault(name, []).append([id(one) for one in runs])
            rng.random()
            return no_pruning(runs, rng)

        return policy

    for name in ("one", "other"):
        searches(HAND, noting(name), count=5, size=2, seed=0)
    assert seen["one"] == seen["other"]
    assert all(len(set(order)) == 2 for order in seen["one"])
    assert len({tuple(order) for order in seen["one"]}) > 1


def test_errors_come_from_other_draws_of_the_runs():
    errors = standard_errors(HAND, Patience(1), resamples=10, count=2, size=3, seed=0)
    assert errors["epochs"] > 0
    assert standard_errors(HAND, no_pruning, resamples=10, count=2, size=3, seed=0)["epochs"] == 0
    assert standard_errors(HAND, no_pruning, resamples=0, count=2, size=3, seed=0) == {}


@pytest.mark.parametrize(
    ("val", "patience", "given"),
    [([3, 2, 2.5, 2.5, 1], 2, 4), ([3, 2, 2.5, 1, 2], 2, 5), ([NAN, NAN, 1], 2, 3), ([1, 2], 1, 2)],
)
def test_patience(val, patience, given):
    assert Patience(patience)([run(val)], None) == [given]


def test_a_random_prune_deals_out_the_same_epochs():
    rng = np.random.default_rng(0)
    runs = [run([1.0] * 9) for _ in range(20)]
    given = RandomPrune(lambda runs, rng: list(range(1, 10)) * 2 + [9, 9])(runs, rng)
    assert sorted(given) == sorted(list(range(1, 10)) * 2 + [9, 9])
    assert given != list(range(1, 10)) * 2 + [9, 9]


def test_the_overfitting_rule_reads_the_recorded_z():
    val, train = [2, 1, *[1.6] * 6], range(8, 0, -1)
    settings = (("material", 0.5), ("z", 3.0), ("scatter", 0.0), ("patience", 1))
    assert overfit_stop(run(val, train, z=[0, -9, *[9] * 6]), settings) == 3
    assert overfit_stop(run(val, train, z=[0, -9, 1, 2, *[9] * 4]), settings) == 5
    assert overfit_stop(run(val, train), settings) == 6  # no z: once the noise of the curve is known
    assert Overfit(settings)([run(val, train)] * 2, None) == [6, 6]


def test_our_rules_leave_the_last_epoch_alone_and_stop_for_either_reason():
    falling = [run(np.linspace(2, 1, 20), train=np.linspace(2, 1, 20)) for _ in range(8)]
    lost = run(np.linspace(9, 8, 20), train=np.linspace(9, 8, 20))
    overfitting = run([2, 1, *np.linspace(1.1, 3, 18)], train=np.linspace(2, 1e-3, 20))
    given = Rules()([*falling, lost, overfitting], None)
    assert given[:8] == [20] * 8
    assert given[8] < 20
    assert 2 < given[9] < 20


def test_pruners_are_called_for_real():
    policy = optuna_policies.Pruned(lambda epochs: ThresholdPruner(upper=0.55))
    assert policy([run([0.5, 0.6, 0.4]), run([0.5, 0.5, 0.9]), run([NAN, 0.1])], None) == [2, 3, 1]


def test_a_median_prunes_the_sixth_run():
    runs = [run([1.0, 1.0, 1.0])] * 5 + [run([0.9, 0.9, 0.9]), run([1.1, 0.1, 0.1])]
    assert optuna_policies.Pruned(optuna_policies.median)(runs, None) == [3, 3, 3, 3, 3, 3, 1]


def test_pareto_ranks():
    points = np.array([[3, 3], [1, 2], [2, 1], [2, 2], [1, 2], [4, 4], [0, NAN]])
    assert optuna_policies.pareto_ranks(points).tolist() == [2, 0, 0, 1, 0, 3, 0]
    order = [3, 5, 0, 2, 6, 1, 4]
    assert optuna_policies.pareto_ranks(points[order]).tolist() == [1, 3, 2, 0, 0, 0, 0]


def test_a_dominated_run_is_pruned_by_its_rank():
    better = [run([1.0, 1.0, 1.0], train=[0.5, 0.5, 0.5])] * 5
    small_gap = run([2.0, 2.0, 2.0], train=[1.9, 1.9, 1.9])
    beaten = run([2.0, 2.0, 2.0], train=[1.0, 1.0, 1.0])
    assert optuna_policies.ParetoMedian()([*better, small_gap, beaten], None) == [3, 3, 3, 3, 3, 3, 1]


def write(path, runs, pack=False):
    text = "".join(json.dumps({"config": {}, "history": history}) + "\n" for history in runs)
    path.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
    return path


@pytest.mark.parametrize("pack", [False, True])
def test_a_table_is_read_with_what_it_has(tmp_path, pack):
    histories = [
        {"train_loss": [1, 0.5], "val_loss": [1, NAN], "test_loss": [1.5, 1.4]},
        {"train_loss": [1, 0.5, 0.2], "val_loss": [1.0, 0.8, 0.7], "val_rise_z": [0, -2, None]},
        {"train_loss": [], "val_loss": []},
    ]
    read = load(write(tmp_path / "some.jsonl", histories, pack))
    assert (read.name, len(read.runs), read.has_test) == ("some", 2, False)
    assert read.runs[1].val_rise_z[:2].tolist() == [0, -2]
    assert np.isnan(read.runs[1].val_rise_z[2])
    assert read.reference == (pytest.approx(0.97), pytest.approx(0.45))  # 0.9 of the way from 0.7 to 1, and 0 to 0.5
    assert load(tmp_path / "some.jsonl", baseline_loss=0.9).reference[0] == 0.9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "line 1: no run"),
        ('{"history": {"train_loss": [1], "val_loss": [1]}}\nnot json\n', "line 2: no run"),
        ('{"history": {"train_loss": [1], "val_loss": [1, 2]}}\n', "line 1: train_loss and val_loss have different"),
        ('{"history": {"train_loss": [1], "val_loss": [1]}}\n', "1 runs with a finite loss"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, capsys, text, said):
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    assert pruning.main([str(path)]) == 2
    assert said in capsys.readouterr().err


def test_the_command_prints_and_writes_every_policy(tmp_path, capsys):
    rng = np.random.default_rng(0)
    ends = rng.uniform(0.3, 1.0, 12)
    histories = [
        {"train_loss": list(end + 1 / epochs), "val_loss": list(1.1 * end + 1 / epochs), "test_loss": [end] * 8}
        for end in ends
        for epochs in [np.arange(1.0, 9.0)]
    ]
    path = write(tmp_path / "curves.jsonl.gz", histories, pack=True)
    effort = ["--searches", "3", "--resamples", "2", "--workers", "1"]
    assert pruning.main([str(path), *effort]) == 0
    printed = capsys.readouterr().out
    assert "curves: 12 runs of 8 epochs, 0 of them overfitting; 3 searches of 12 runs" in printed
    assert "(default)" in printed
    rows = list(csv.DictReader((tmp_path / "curves.pruning.csv").open()))
    assert {row["policy"] for row in rows} >= set(pruning.POLICIES)
    assert all(name in printed for name in pruning.POLICIES)
    nothing = next(row for row in rows if row["policy"] == "no pruning")
    assert (float(nothing["epochs"]), float(nothing["loss"]), nothing["overfit_late"]) == (1.0, 0.0, "")


@pytest.mark.parametrize("name", [path.name for path in TABLES])
def test_the_recorded_tables_replay(tmp_path, capsys, name):
    shutil.copy(TABLES[0].parent / name, tmp_path)
    effort = ["--searches", "1", "--runs", "12", "--resamples", "0", "--workers", "1"]
    assert pruning.main([str(tmp_path / name), *effort]) == 0
    assert "our rules" in capsys.readouterr().out
