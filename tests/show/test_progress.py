"""Where a search stands: counts, time left, and an ended trial in half a line."""

import math
from dataclasses import replace

import pytest
from builders import numbers, trial

from search.choice.pareto import front
from search.show.progress import Progress, describe
from search.stopping.stopped import Stopped


def ended(number, stopped=Stopped.FINISHED, epochs=20, state="COMPLETE", loss=0.5):
    return trial(number, state, stopped, val=[loss] * epochs, train=[loss - 0.1] * epochs)


@pytest.fixture
def clock():
    """Seconds, set by hand."""
    return [0.0]


@pytest.fixture
def progress(clock):
    return Progress(planned=10, epochs=20, workers=2, done=2, clock=lambda: clock[0])


def test_time_left_follows_the_pace_of_this_start(progress, clock):
    assert progress.seconds_left() is None
    for number in range(4):
        clock[0] += 10
        progress.end(ended(number))
    assert progress.done == 6
    assert progress.seconds_left() == pytest.approx(40)
    for number in range(4):
        progress.end(ended(number))
    assert progress.seconds_left() is None


@pytest.mark.parametrize(
    ("race_share", "most_seconds", "left"),
    [
        pytest.param(0.0, math.inf, 80, id="eight more trials of ten seconds"),
        pytest.param(0.2, math.inf, 100, id="and a race of a fifth of all ten"),
        pytest.param(0.2, 90, 70, id="a time limit of 90 seconds ends it before"),
        pytest.param(0.2, 15, 0, id="the time is over"),
    ],
)
def test_time_left_knows_of_the_race_and_of_the_time_limit(clock, race_share, most_seconds, left):
    progress = Progress(10, 20, 2, race_share=race_share, most_seconds=most_seconds, clock=lambda: clock[0])
    clock[0] = 20
    for number in range(2):
        progress.end(ended(number))
    assert progress.seconds_left() == pytest.approx(left)


def test_stops_and_saved_epochs(progress):
    progress.end(ended(0, Stopped.OVERFIT, epochs=9))
    progress.end(ended(1, Stopped.HOPELESS, epochs=2, state="PRUNED"))
    progress.end(ended(2, Stopped.OVERFIT, epochs=12))
    progress.end(ended(3))
    assert progress.stops() == "2 overfit, 1 hopeless: 37 epochs saved"


def test_a_fault_saves_no_epochs(progress):
    progress.end(ended(0, Stopped.ERROR, epochs=5, state="PRUNED"))
    progress.end(ended(1, Stopped.OUT_OF_MEMORY, epochs=5, state="PRUNED"))
    assert progress.stops() == "1 error, 1 out_of_memory"
    progress.end(ended(2, Stopped.DIVERGED, epochs=5, state="PRUNED"))
    assert progress.stops().endswith("1 diverged: 15 epochs saved")


def test_a_cancelled_trial_does_not_count_as_done(progress):
    progress.end(ended(0, Stopped.CANCELLED, epochs=5, state="FAIL"))
    assert progress.done == 2


def test_a_trial_that_is_queued_again_runs_no_more(progress):
    progress.started(0)
    progress.drop(0)
    assert progress.running == {}
    assert progress.done == 2


def test_the_best_is_feasible(progress):
    progress.end(trial(0, val=(0.3,), train=(0.2,)))
    progress.end(trial(1, val=(0.2,), train=(0.1,), feasible=False))
    assert progress.best.number == 0


def test_only_complete_trials_are_results(progress):
    progress.end(trial(0, "PRUNED", Stopped.HOPELESS))
    assert progress.best is None
    assert progress.front == []


def test_the_runs_of_earlier_starts_count_too():
    before = trial(0).run
    assert Progress(planned=10, epochs=20, workers=2, done=1, runs=[before]).best is before


def test_a_summary_tells_what_is_known(progress, clock):
    assert progress.summary() == ""
    progress.end(ended(0))
    assert progress.summary() == "best 0.5000 (gap 0.1000)"
    clock[0] = 30
    progress.end(ended(1, Stopped.OVERFIT, epochs=9))
    assert progress.summary() == "best 0.5000 (gap 0.1000); 1 overfit: 11 epochs saved; 1m30s left"


def test_an_ended_trial_in_half_a_line():
    line = describe(ended(3, Stopped.OVERFIT, epochs=9))
    assert line == "trial   3  val_loss 0.5000  gap  0.1000  accuracy 87.5%  epoch  1 of  9  overfit "
    failed = trial(12, "PRUNED", Stopped.ERROR, val=(), train=(), reason="ValueError: no such layer")
    assert describe(failed) == "trial  12  error: ValueError: no such layer"
    assert describe(replace(failed, continues=3)).endswith("no such layer (trial 3 went on)")


def test_the_front_is_that_of_all_runs_and_the_last_few_trials_are_at_hand(clock):
    gaps = [0.3, 0.1, 0.1, 0.2, 0.05, 0.3, 0.05, 0.0]
    losses = [0.5, 0.6, 0.5, 0.4, 0.65, 0.3, 0.65, 0.69]
    trials = [trial(n, val=[loss], train=[loss - gap]) for n, (loss, gap) in enumerate(zip(losses, gaps, strict=True))]
    for first in range(len(trials)):  # those before were ended by an earlier start
        progress = Progress(planned=10, epochs=1, workers=1, runs=[one.run for one in trials[:first]])
        for one in trials[first:]:
            progress.end(one)
        assert numbers(progress.front) == numbers(front([one.run for one in trials])) == [5, 3, 2, 4, 6, 7]
        assert progress.best == trials[5].run
        assert numbers(progress.last) == list(range(max(first, 4), 8))


def test_a_run_that_goes_on_takes_the_place_of_the_shorter_one_and_is_not_counted(clock):
    before = [trial(number, val=(0.5,), train=(0.5 - gap,)).run for number, gap in ((0, 0.0), (1, 0.3))]
    progress = Progress(planned=2, epochs=20, workers=1, done=2, further=3, runs=before, clock=lambda: clock[0])
    clock[0] = 10.0
    progress.end(replace(ended(2, loss=0.3), continues=0))
    assert (progress.done, progress.seconds_left()) == (2, pytest.approx(20))
    progress.end(replace(ended(3, Stopped.HOPELESS, epochs=9, state="FAIL", loss=0.2), continues=1))
    assert (progress.done, progress.seconds_left()) == (2, pytest.approx(5))
    assert [run.number for run in progress.front] == [2]  # 0 would be on it with its smaller gap


def test_fewer_trials_asked_for_than_have_ended_are_no_more_than_all(clock):
    progress = Progress(planned=3, epochs=20, workers=1, done=4, further=2, clock=lambda: clock[0])
    assert (progress.done, progress.planned) == (4, 4)
