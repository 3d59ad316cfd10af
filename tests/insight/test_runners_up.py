"""Which trials a choice is held against."""

import pytest
from builders import snapshot, trial

from search.insight.runners_up import runners_up
from search.stopping.stopped import Stopped


def of_loss(number, loss, **known):
    return trial(number, val=(loss,), train=(loss - 0.1,), **known)


TRIALS = [
    of_loss(0, 0.50),
    of_loss(1, 0.40),
    of_loss(2, 0.45, chosen=True),
    of_loss(3, 0.42),
    of_loss(4, 0.90),  # worse than the linear baseline
    of_loss(5, 0.41, state="PRUNED", stopped=Stopped.OVERFIT),  # clearly beaten
    of_loss(6, 0.44),
]


def placed(number, val_loss, left=True):
    return {"trial": number, "val_loss": val_loss, "left": left}


def named(found):
    return [(trial.number, role) for trial, role in found]


@pytest.mark.parametrize(
    ("race", "order"),
    [
        ((), [1, 3, 6, 0]),
        ((placed(2, 0.44), placed(6, 0.46), placed(0, 0.45, left=False)), [1, 6, 0, 3]),
        ((placed(2, 0.44), placed(3, None), placed(0, 0.45)), [1, 0, 3, 6]),  # trial 3 failed with a fresh seed
    ],
)
def test_the_lowest_recorded_loss_first_then_the_finalists(race, order):
    roles = ["lowest recorded loss", "runner-up", "runner-up 2", "runner-up 3"]
    found = named(runners_up(snapshot(*TRIALS, race=race), 2, 9))
    assert found == list(zip(order, roles, strict=True))
    assert named(runners_up(snapshot(*TRIALS, race=race), 2, 2)) == found[:2]


def test_the_lowest_loss_may_be_chosen_itself():
    assert named(runners_up(snapshot(*TRIALS), 1, 2)) == [(3, "runner-up"), (6, "runner-up 2")]


def test_there_may_be_none():
    assert runners_up(snapshot(TRIALS[4]), 4, 2) == []
    assert runners_up(snapshot(*TRIALS), 2, 0) == []
