"""The image of one trial's curves."""

import math
import re
import xml.etree.ElementTree as ElementTree

from builders import trial

from search.show.theme import ENDINGS
from search.show.trial_svg import trial_svg
from search.stopping.stopped import Stopped


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_it_marks_best_epoch_and_stop():
    svg = trial_svg(trial(7, stopped=Stopped.OVERFIT, val=(0.9, 0.6, 0.7)), planned=20)
    assert {"trial 7: overfit", "best: epoch 2", "overfit: epoch 3", "★", "✕"} <= set(texts(svg))


def test_a_trial_that_ended_at_its_best_has_one_sign():
    assert "✕" not in texts(trial_svg(trial(7, "PRUNED", Stopped.HOPELESS), planned=20))
    finished = texts(trial_svg(trial(7, val=(0.9, 0.5, 0.6)), planned=3))
    assert "best: epoch 2" in finished
    assert "finished: epoch 3" not in finished


def test_every_colour_of_the_page_has_a_dark_one():
    svg = trial_svg(trial(7, val=(0.9, 0.5, 0.6)), planned=3)
    drawn, own = svg.split("</style>")[1], {marker.colour for marker in ENDINGS.values()}
    colours = set(re.findall(r'(?:fill|stroke)="(#\w+)"', drawn)) - own
    assert len(colours) == 4
    assert all(f'[fill="{colour}"] {{ fill: #' in svg for colour in colours)


def test_of_nothing_there_is_none():
    assert trial_svg(trial(0, "PRUNED", Stopped.ERROR, val=(), train=()), planned=20) is None
    assert trial_svg(trial(0, "PRUNED", Stopped.DIVERGED, val=(math.nan,), train=(math.inf,)), planned=20) is None


def test_a_loss_that_exploded_is_at_the_border_with_its_value():
    svg = trial_svg(trial(0, "PRUNED", Stopped.DIVERGED, val=(0.9, 0.8, 0.7, 83.0), train=[0.5] * 4), planned=20)
    assert "diverged: epoch 4, loss 83" in texts(svg)
    assert "50" not in texts(svg)  # no tick there


def test_losses_that_are_not_finite_are_left_out():
    diverged = trial(0, "PRUNED", Stopped.DIVERGED, val=(1.0, math.nan, 2.0), train=(1.0, math.inf, 0.0))
    assert "nan" not in trial_svg(diverged, planned=1).lower()
