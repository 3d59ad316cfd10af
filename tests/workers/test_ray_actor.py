"""What an actor says while it trains, and what it waits for; without a cluster."""

import errno
import math
import threading
from dataclasses import replace

import pytest
from builders import CONFIG

pytest.importorskip("ray", reason="Ray is not installed")

from search.training.checkpoint_store import CheckpointStore
from search.training.trial import Job, Notice, Outcome, Report
from search.workers import pool
from search.workers.pool import Alive
from search.workers.ray_actor import File, Task, TrialActor
from search.workers.ray_cluster import Files

JOB = Job(1, CONFIG | {"batch_size": 200}, seed=3, epochs=2, lineage=1)


@pytest.fixture
def actor_with(digits, conditions, monkeypatch):
    """Call it with some conditions changed for an actor, which trains `JOB` in a thread of its own."""
    monkeypatch.setattr(pool, "SIGN_SECONDS", math.inf)
    threads = []

    def make(**changes):
        task = Task("cpu", "spaces.cnn", Files({}, ()), digits, replace(conditions, **changes))
        actor = TrialActor(task)
        threads.append(threading.Thread(target=actor.train, args=(JOB, None), daemon=True))
        threads[0].start()
        return actor

    yield make
    threads[0].join(10.0)
    assert not threads[0].is_alive()


def test_it_gives_signs_of_life_between_batches(actor_with, monkeypatch):
    monkeypatch.setattr(pool, "SIGN_SECONDS", 0.0)
    said = kinds(actor_with(), {})
    assert said.count(Alive) > said.count(Report) == 2


def kinds(actor, answers):
    """The kinds of what it says up to its outcome. answers: to some of the files, by their place in order."""
    said, files = [], 0
    while not said or said[-1] is not Outcome:
        content = actor.hear()
        said.append(type(content))
        if isinstance(content, Report):
            actor.answer(None)
        elif isinstance(content, File):
            actor.answer(answers.get(files))
            files += 1
    return said


def test_it_goes_on_once_what_it_has_written_is_kept(actor_with):
    """It may die at any moment, and what is on its way then is lost."""
    actor = actor_with()
    for _ in range(2):
        assert isinstance(actor.hear(), Report)
        actor.answer(None)
    assert actor.hear().name == "weights/1.pt"
    assert actor._said.empty()
    actor.answer(None)
    assert actor.hear().name == "checkpoints/1.pt"  # it was still improving
    actor.answer(None)
    assert isinstance(actor.hear(), Outcome)


def test_what_cannot_be_kept_is_told_and_costs_no_trial(actor_with):
    full = OSError(errno.ENOSPC, "no room")
    assert kinds(actor_with(), {1: full}) == [Report, Report, File, File, Notice, Outcome]


def test_a_checkpoint_goes_elsewhere_and_the_last_one_to_the_search_too(actor_with, tmp_path):
    store = CheckpointStore(str(tmp_path / "shared"), "study")
    assert kinds(actor_with(checkpoints=store), {1: OSError(errno.ENOSPC, "no room")}) == [
        Report,
        Report,
        File,
        File,
        Outcome,
    ]
    assert store.read("1.pt")
