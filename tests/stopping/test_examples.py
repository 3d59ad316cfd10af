"""The examples in the docstrings of the rules are true."""

import doctest
import importlib

import pytest

import search.stopping
from search.stopping import Decision, DivergedRule, HopelessRule, OverfitRule, StoppingRule


@pytest.mark.parametrize("rule", [OverfitRule, HopelessRule, DivergedRule])
def test_the_example_of_a_rule_runs(rule):
    tried = doctest.testmod(importlib.import_module(rule.__module__))
    assert (tried.failed, tried.attempted > 0) == (0, True)


@pytest.mark.parametrize("rule", [OverfitRule(), DivergedRule(classes=10)])
def test_a_rule_of_one_run_keeps_the_protocol(rule: StoppingRule):
    assert rule.update(1.0, 2.0) == Decision(stop=False, best_epoch=0)


def test_the_room_names_what_it_offers():
    assert all(getattr(search.stopping, name) is not None for name in search.stopping.__all__)
