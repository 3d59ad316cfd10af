"""Which entries of a configuration are read, and which name was meant."""

import copy
import json
import operator

import pytest

from search.checks.reading import Reads, Watched, likely

KNOWN = {"batch_size", "weight_decay", "learning_rate", "augmentation"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lr", "learning_rate"),
        ("LR", "learning_rate"),
        ("wd", "weight_decay"),
        ("batchsize", "batch_size"),
        ("learning_rat", "learning_rate"),
        ("augment", "augmentation"),
        ("decay", "weight_decay"),
        ("temperature", None),
        ("", None),
    ],
)
def test_by_initials_or_by_likeness(name, meant):
    assert likely(name, KNOWN) == meant


def test_of_nothing_nothing_is_meant():
    assert likely("lr", set()) is None


ALL = {"filters", "dropout"}


@pytest.mark.parametrize(
    ("read", "found", "missed"),
    [
        (lambda config: config["filters"], {"filters"}, set()),
        (lambda config: config.get("filters", 16), {"filters"}, set()),
        (lambda config: config.get("width", 16), set(), {"width"}),
        (lambda config: config.setdefault("filters", 16), {"filters"}, set()),
        (lambda config: config.setdefault("width", 16), set(), {"width"}),
        (lambda config: config.pop("filters"), {"filters"}, set()),
        (lambda config: config.pop("width", 16), set(), {"width"}),
        (lambda config: config.popitem(), {"dropout"}, set()),  # the last one
        (lambda config: "filters" in config, {"filters"}, set()),
        (operator.itemgetter("filters"), {"filters"}, set()),
        ("{filters}".format_map, {"filters"}, set()),
        (lambda config: config.update(width=3), set(), set()),
        (lambda config: operator.ior(config, {"width": 3}), set(), set()),
        *(
            (read, ALL, set())
            for read in (
                *(list, dict, copy.copy, copy.deepcopy, json.dumps),
                *(Watched.copy, Watched.keys, Watched.values, Watched.items),
                *(lambda config: config | {}, lambda config: {} | config, lambda config: {**config}),
                *(
                    lambda config: dict(**config),
                    lambda config: {}.update(config),
                    lambda config: list(reversed(config)),
                ),
            )
        ),
    ],
)
def test_whatever_a_dict_can_do_is_noted(read, found, missed):
    reads = Reads()
    read(Watched({"filters": 8, "dropout": 0.1}, reads))
    assert (reads.found, reads.missed) == (found, missed)


@pytest.mark.parametrize("name", ["filters", "width"])
def test_it_gives_what_a_dict_gives(name):
    plain = {"filters": 8, "dropout": 0.1}
    watched = Watched(plain, Reads())
    assert watched.setdefault(name, 3) == plain.setdefault(name, 3)
    assert list(reversed(watched)) == list(reversed(plain))
    assert watched.popitem() == plain.popitem()
    assert dict(watched) == plain
