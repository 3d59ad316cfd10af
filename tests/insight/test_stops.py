"""Why trials ended, and what that saved."""

from dataclasses import replace

from builders import snapshot, trial

from search.insight.stops import Stops, stops
from search.stopping.stopped import Stopped


def hopeless(number, epochs):
    losses = [0.9] * epochs
    return trial(number, "PRUNED", Stopped.HOPELESS, val=losses, train=losses)


def test_each_cause_is_counted_with_the_epochs_that_it_saved_of_those_planned():
    full = [1.0 - 0.01 * epoch for epoch in range(10)]
    search = snapshot(
        trial(0, val=full, train=full),
        hopeless(1, 3),
        hopeless(2, 4),
        replace(trial(3, "PRUNED", Stopped.ERROR), run=None, history={}),
        trial(4, "RUNNING", None),
        trial(5, "FAIL", None),
        epochs=10,
    )
    assert stops(search) == [
        Stops("hopeless", trials=2, trained=7, saved=13),
        Stops("finished", trials=1, trained=10, saved=0),
        Stops("error", trials=1, trained=0, saved=0),  # a fault is no saving
    ]


def test_an_earlier_start_may_have_planned_more():
    full = [1.0 - 0.01 * epoch for epoch in range(10)]
    search = snapshot(trial(0, val=full, train=full), hopeless(1, 3), epochs=5)
    assert [stop.saved for stop in stops(search)] == [0, 7]


def test_a_trial_is_held_against_what_its_own_start_planned():
    search = snapshot(replace(hopeless(0, 3), epochs_planned=10), replace(hopeless(1, 3), epochs_planned=40), epochs=40)
    assert [stop.saved for stop in stops(search)] == [7 + 37]


def test_of_no_trial_there_is_nothing_to_say():
    assert stops(snapshot()) == []
