"""The groups of trials that a graph draws alike."""

from builders import trial

from search.show import trial_groups
from search.show.trial_groups import best_of, by_ending
from search.stopping.stopped import Stopped


def numbers(trials):
    return [one.number for one in trials]


def test_groups_by_what_ended_the_trials_in_the_order_of_the_first():
    trials = [trial(0, stopped=Stopped.OVERFIT), trial(1), trial(2, stopped=Stopped.OVERFIT), trial(3, "RUNNING", None)]
    groups = by_ending(trials)
    assert list(groups) == ["overfit", "finished", "running"]
    assert numbers(groups["overfit"]) == [0, 2]


def test_of_many_hopeless_ones_the_best(monkeypatch):
    monkeypatch.setattr(trial_groups, "MOST_CENSORED", 2)
    trials = [trial(n, "PRUNED", Stopped.HOPELESS, val=(2.0 - n,), train=(0.1,)) for n in range(3)]
    assert numbers(by_ending(trials)["hopeless"]) == [2, 1]
    assert numbers(best_of(trials)) == [2, 1]
    assert len(by_ending([trial(n) for n in range(3)])["finished"]) == 3
