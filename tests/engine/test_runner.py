"""What the search does where a worker's job does not go as it should."""

import re

import pytest
from builders import EASY, history, outcome

from search.engine import launch
from search.engine.runner import Runner, SearchFailed
from search.engine.time_limit import TimeLimit
from search.recording.store import Store
from search.settings import Settings
from search.show.dashboard import Publisher
from search.show.progress import Progress
from search.show.terminal import Terminal
from search.spaces import suggester
from search.stopping.stopped import Stopped
from search.training.precision import Precision
from search.training.trial import Conditions, Job, Outcome, Report
from search.workers.pool import Lost, Message
from search.workers.process_pool import ProcessWorker, WorkerPool

EPOCHS = 3


class Crowded(WorkerPool):
    """Two workers share a GPU; the first trial runs out of memory once, all others end at once."""

    def __init__(self, conditions):
        self.conditions, self.workers = conditions, [ProcessWorker("cuda:0"), ProcessWorker("cuda:0")]
        self.submitted, self.failed = [], False

    def submit(self, worker, job):
        self.submitted.append((job.number, len(self.workers)))
        worker.job = job

    def wait(self, seconds):
        for worker in [worker for worker in self.workers if worker.job is not None]:
            job, worker.job = worker.job, None
            if job.number == 0 and not self.failed:
                self.failed = True
                yield Message(worker, job, Outcome(0, Stopped.OUT_OF_MEMORY, "CUDA out of memory"))
            else:
                yield Message(worker, job, outcome(job.number, uncaptured="it draws in Python"))

    def interrupt(self):
        pass

    def close(self):
        pass


def test_out_of_memory_lowers_the_packing_and_the_trial_is_tried_again(tmp_path, said):
    launch.make_folder(tmp_path)
    settings = Settings(name="digits", dataset="digits", trials=4, epochs=EPOCHS, out=tmp_path, race=False)
    store = Store(settings.storage_url, settings.name, seed=0)
    pool = Crowded(Conditions(EASY, Precision(), tmp_path, "study", "data"))
    terminal = Terminal(Progress(4, EPOCHS, 2))
    publisher = Publisher(store.study, tmp_path, EASY, EPOCHS)
    Runner(settings, store, pool, suggester("spaces.cnn", {}), terminal, publisher, TimeLimit(None, race=False)).run()
    assert len(pool.workers) == 1  # the last one stays, whatever happens
    assert not pool.retire(pool.workers[0])
    assert pool.submitted == [(0, 2), (1, 2), (0, 1), (2, 1), (3, 1)]
    assert "out of memory: one worker less on cuda:0" in said()
    once = "trained without CUDA graphs, which is slower: it draws in Python"
    assert said().count(once) == 1  # and not for each trial
    assert store.count() == 4
    assert store.snapshot().trials[0].stopped == Stopped.FINISHED


class Silent(Crowded):
    """Nothing is heard of any trial until its worker is ended."""

    def end_silent(self, hang_after):
        return self.busy()

    def wait(self, seconds):
        for worker in self.busy():
            job, worker.job = worker.job, None
            yield Message(worker, job, Lost("was killed"))

    def reopen(self):
        pass


def test_where_the_first_trials_hang_the_search_ends_and_says_what_may_help(tmp_path, said):
    launch.make_folder(tmp_path)
    settings = Settings(name="digits", dataset="digits", trials=9, epochs=EPOCHS, out=tmp_path, race=False)
    store = Store(settings.storage_url, settings.name, seed=0)
    pool = Silent(Conditions(EASY, Precision(), tmp_path, "study", "data"))
    terminal, publisher = Terminal(Progress(9, EPOCHS, 2)), Publisher(store.study, tmp_path, EASY, EPOCHS)
    limit = TimeLimit(None, race=False)
    silence = "no sign of life for 600 s (raise --hang-after if a batch takes longer)"
    with pytest.raises(SearchFailed, match=re.escape(f"the last one with {silence}, 2 times")):
        Runner(settings, store, pool, suggester("spaces.cnn", {}), terminal, publisher, limit).run()
    assert f"trial 0 is queued again: {silence}" in said()
    assert sum(trial.stopped == Stopped.HUNG for trial in store.snapshot().trials) == 4  # two at a time


@pytest.mark.parametrize("signal", [None, 15])
def test_a_signal_that_reached_the_workers_too_is_no_fault_of_theirs(tmp_path, said, signal):
    launch.make_folder(tmp_path)
    settings = Settings(name="digits", dataset="digits", trials=1, epochs=EPOCHS, out=tmp_path, race=False)
    store, suggest = Store(settings.storage_url, settings.name, seed=0), suggester("spaces.cnn", {})
    pool = Crowded(Conditions(EASY, Precision(), tmp_path, "study", "data"))
    terminal, publisher = Terminal(Progress(1, EPOCHS, 1)), Publisher(store.study, tmp_path, EASY, EPOCHS)
    runner = Runner(settings, store, pool, suggest, terminal, publisher, TimeLimit(None, race=False))
    trial, config, lineage = store.ask(suggest)
    runner.interruption.signal = signal
    runner._lost(pool.workers[0], Job(trial.number, config, 0, EPOCHS, lineage), Lost("ended itself"))
    assert ("trial 0 is queued again: its worker process ended itself" in said()) == (signal is None)
    assert store.snapshot().trials[0].state == "FAIL"


def test_a_trial_that_a_fault_ended_is_nothing_to_hold_others_against(tmp_path):
    """Neither now nor after a restart, which does not know of its curves."""
    launch.make_folder(tmp_path)
    settings = Settings(name="digits", dataset="digits", trials=9, epochs=EPOCHS, out=tmp_path, race=False)
    store = Store(settings.storage_url, settings.name, seed=0)
    pool = Crowded(Conditions(EASY, Precision(), tmp_path, "study", "data"))
    terminal, publisher = Terminal(Progress(9, EPOCHS, 2)), Publisher(store.study, tmp_path, EASY, EPOCHS)
    suggest = suggester("spaces.cnn", {})
    runner = Runner(settings, store, pool, suggest, terminal, publisher, TimeLimit(None, race=False))

    def judged(number, loss):
        store.ask(suggest)
        curves = history([loss + 0.01, loss], [loss, loss - 0.01], val_loss_se=0.001)
        return runner._judge(Report(number, curves))

    for number in range(4):
        assert judged(number, 0.5) is None
        runner._remember(number, history([0.51, 0.5, 0.5], [0.5, 0.49, 0.49]), Stopped.FINISHED)
    assert judged(4, 0.1) is None
    assert judged(5, 0.5).stopped == Stopped.HOPELESS
    runner._remember(4, {}, Stopped.HUNG)
    assert judged(6, 0.5) is None
