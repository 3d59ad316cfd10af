"""What a search may rely on, whatever pool its workers are in."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from builders import CONFIG
from pools import heard, idle_workers, make_pool, process_of, spoken

from search.choice.constraints import Constraints
from search.finals.repeats import train_repeats
from search.show.progress import Progress
from search.show.terminal import Terminal
from search.spaces import load_space
from search.stopping.stopped import Stopped
from search.training.precision import Precision
from search.training.trial import Conditions, Job, Outcome, Report, Stop, run_trial
from search.workers.pool import Lost

SMALL = CONFIG | {"batch_size": 200}
SPACE = """\
import os
from spaces.cnn import suggest
from spaces import cnn

def build(config, **shape):
    if config["depth"] == 3:
        raise ValueError("three is too deep")
    if config["depth"] == 4:
        exit(1)
    if config["depth"] == 5:
        os._exit(1)
    return cnn.build(config, **shape)
"""


@pytest.fixture(scope="module", params=["processes", "ray"])
def pool(request, digits, tmp_path_factory):
    """One worker, on a space of the user's own."""
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "mine.py").write_text(SPACE)
    conditions = Conditions(Constraints(baseline_loss=2.0), Precision(), folder, "study", "data")
    pool = make_pool(request.param, 1, str(folder / "mine.py"), digits, conditions)
    yield pool
    pool.close()


def job(number, epochs=2, repeat=0, **config):
    return Job(number, SMALL | config, seed=3, epochs=epochs, lineage=number, repeat=repeat)


def given(pool, job):
    """The pool's worker with this job."""
    (worker,) = idle_workers(pool)
    pool.submit(worker, job)
    return worker


def amid(pool, job):
    """The pool's worker, which has trained an epoch of this job and waits for an answer."""
    worker = given(pool, job)
    assert isinstance(next(spoken(pool)), Report)
    return worker


def test_a_job_is_trained_as_without_a_pool(pool, digits, tmp_path):
    given(pool, job(1, epochs=3))
    *reports, outcome = heard(pool)
    alone = run_trial(
        job(1, epochs=3), load_space("spaces.cnn").build, digits.to(torch.device("cpu")),
        replace(pool.conditions, folder=tmp_path),
    )  # fmt: skip
    assert [len(report.history["val_loss"]) for report in reports] == [1, 2, 3]
    assert outcome.history == alone.history
    assert np.array_equal(outcome.val_losses, alone.val_losses)
    assert pool.busy() == []
    for name in ("weights/1.pt", "checkpoints/1.pt"):  # it was still improving
        ours, theirs = (torch.load(folder / name, weights_only=True) for folder in (pool.conditions.folder, tmp_path))
        assert str(ours)[:1000] == str(theirs)[:1000]


def test_of_a_job_that_was_handed_over_nothing_more_is_heard(pool):
    given(pool, job(2, epochs=1))
    assert isinstance(list(heard(pool))[-1], Outcome)
    assert list(pool.wait(0.3)) == []


def test_the_answer_to_a_report_ends_the_job(pool):
    given(pool, job(3, epochs=100))
    report, outcome = heard(pool, Stop(Stopped.HOPELESS, "it will not get there"))
    assert len(report.history["val_loss"]) == 1
    assert (outcome.stopped, outcome.reason) == (Stopped.HOPELESS, "it will not get there")


def test_an_error_in_the_users_network_ends_its_job_alone(pool):
    given(pool, job(4, depth=3))
    (outcome,) = heard(pool)
    assert (outcome.stopped, outcome.reason) == (Stopped.ERROR, "ValueError: three is too deep (mine.py:7)")
    given(pool, job(5, depth=4))
    (outcome,) = heard(pool)
    assert outcome.stopped == Stopped.ERROR
    given(pool, job(6, epochs=1))
    assert list(heard(pool))[-1].stopped == Stopped.FINISHED


def test_a_network_that_ends_its_process_loses_its_worker_alone(pool):
    given(pool, job(7, depth=5))
    (lost,) = heard(pool)
    assert isinstance(lost, Lost)
    assert not lost.with_machine
    given(pool, job(8, epochs=1))
    assert list(heard(pool))[-1].stopped == Stopped.FINISHED


def test_a_worker_that_died_while_its_report_was_judged_is_told_of(pool):
    worker = amid(pool, job(9, epochs=10_000, repeat=1))
    kill(worker)
    pool.answer(worker, None)  # a broken pipe is no error here
    (lost,) = heard(pool)
    assert isinstance(lost, Lost)
    assert pool.busy() == []
    given(pool, job(9, epochs=1, repeat=1))  # another one has taken its place
    assert list(heard(pool))[-1].stopped == Stopped.FINISHED


def test_a_worker_that_died_while_idle_is_told_of_with_its_next_job(pool):
    worker = given(pool, job(10, epochs=1, repeat=1))
    assert isinstance(list(heard(pool))[-1], Outcome)
    kill(worker)
    given(pool, job(10, repeat=1))
    (lost,) = heard(pool)
    assert isinstance(lost, Lost)


def test_a_worker_that_is_stopped_is_ended_once_it_is_silent_for_too_long(pool):
    worker = amid(pool, job(11, epochs=10_000, repeat=1))
    os.kill(process_of(worker), signal.SIGSTOP)
    assert pool.end_silent(hang_after=60.0) == []
    time.sleep(0.3)
    assert pool.end_silent(hang_after=0.25) == [worker]
    assert pool.end_silent(hang_after=0.25) == []  # once
    (lost,) = heard(pool)
    assert isinstance(lost, Lost)


def test_an_interrupted_job_goes_on_where_another_worker_left_it(pool, digits, monkeypatch):
    """A worker leaves a checkpoint when it is killed after 15 s of training; here the run folder has one by hand."""
    given(pool, job(12, epochs=2))
    assert isinstance(list(heard(pool))[-1], Outcome)
    assert (pool.conditions.folder / "checkpoints" / "12.pt").is_file()
    worker = given(pool, job(12, epochs=4))
    first = next(heard(pool))
    assert len(first.history["val_loss"]) == 3
    pool.interrupt()
    pool.answer(worker, None)
    (outcome,) = heard(pool)
    assert outcome.stopped == Stopped.INTERRUPTED
    pool.reopen()
    given(pool, job(13, epochs=1))
    assert list(heard(pool))[-1].stopped == Stopped.FINISHED


def test_after_reopening_nothing_is_heard_of_jobs_that_had_not_ended(pool):
    amid(pool, job(14, epochs=10_000))
    pool.interrupt()
    pool.reopen()
    assert pool.busy() == []
    given(pool, job(15, epochs=1))
    assert list(heard(pool))[-1].number == 15


def test_repeats_outlive_the_death_of_a_worker(pool):
    killed, repeats = [], []

    def go_on():
        if pool.busy() and not killed:
            killed.append(kill(pool.busy()[0]))
        return True

    def ended(repeat, outcome):
        repeats.append(repeat)

    jobs, terminal = [job(1, repeat=1), job(2, repeat=1)], Terminal(Progress(2, 3, 1))
    train_repeats(pool, jobs, hang_after=60.0, go_on=go_on, ended=ended, terminal=terminal)
    assert sorted(repeat.trial for repeat in repeats) == [1, 2]
    assert not any(repeat.failed for repeat in repeats)


@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_of_two_that_share_a_gpu_one_retires_and_none_takes_its_place(kind, digits, conditions, request):
    ray = request.getfixturevalue("ray_here") if kind == "ray" else None
    pool = make_pool(kind, 2 if ray is None else 3, "spaces.cnn", digits, conditions, "cuda", packed=2)
    one, other = idle_workers(pool, 2)  # on Ray, a third waits for room
    assert pool.retire(one)
    assert pool.workers == [other]
    assert not pool.retire(other)
    if ray is not None:
        assert list(pool.wait(0.1)) == []  # which still waits
        left = [ray.available_resources().get("GPU", 0) for _ in range(20) if not time.sleep(0.1)]
        assert left[10:] == [0.5] * 10
    pool.close()


@pytest.mark.parametrize(
    ("wanted", "gpus", "packed", "parts"),
    [(100, 1, 8, 1250), (100, 4, 1, 10_000), (6, 4, 8, 5000), (3, 4, 8, 10_000), (20, None, 6, 1666)],
)
def test_no_more_share_a_gpu_than_needed(wanted, gpus, packed, parts, digits, conditions, ray_here, monkeypatch):
    """gpus: of the cluster; None where it starts machines once they are asked for."""
    monkeypatch.setattr(ray_here, "cluster_resources", lambda: {} if gpus is None else {"GPU": gpus})
    pool = make_pool("ray", wanted, "spaces.cnn", digits, conditions, "cuda", packed)
    assert pool._parts == parts


def test_a_run_folder_that_takes_no_checkpoint_is_told_of_and_the_trial_ends_well(pool):
    folder = pool.conditions.folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("no folder")
    given(pool, job(16, epochs=2))
    *_, notice, outcome = heard(pool)
    assert "without checkpoints, trials that are interrupted start afresh" in notice.text
    assert outcome.stopped == Stopped.FINISHED
    folder.unlink()
    aside.rename(folder)


def kill(worker):
    """End its process, and wait until it has ended."""
    process = psutil.Process(process_of(worker))
    process.kill()
    psutil.wait_procs([process], timeout=10)
