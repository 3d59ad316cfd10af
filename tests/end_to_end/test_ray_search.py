"""Whole searches whose workers are on Ray."""

import sys

import pytest
from builders import settings, study_of

from search import Search
from search.errors import UserError
from search.workers.ray_cluster import connected

COMPARED = ("config", "history", "val_loss", "gap", "stopped", "best_epoch")


def searched(folder, **changes):
    """The trials of a search, as far as they depend on no clock; and what was chosen."""
    known = {"trials": 3, "epochs": 4, "workers": 1, "start": True, "ranges": {}, "train_size": None, "val_size": None}
    result = Search(**vars(settings(folder, **known | changes))).run()
    trials = study_of(folder).get_trials(deepcopy=False)
    best = None if result.best is None else (result.best.trial, result.best.metrics)
    return [[trial.user_attrs.get(name) for name in COMPARED] for trial in trials], best


def test_with_one_worker_the_search_is_the_same_to_the_last_digit(tmp_path, ray_here):
    trials, best = searched(tmp_path / "ray", ray="local")
    assert (trials, best) == searched(tmp_path / "processes")
    assert best is not None


def test_checkpoints_elsewhere_are_gone_at_the_end(tmp_path, ray_here):
    place = tmp_path / "shared"
    searched(tmp_path / "run", trials=1, epochs=1, ray="local", checkpoints=str(place), race=False)
    assert list(place.iterdir()) == []


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--ray needs Ray, which is not installed: pip install 'gapsearch\[ray\]'"):
        connected("local").__enter__()


def test_checkpoints_elsewhere_are_for_ray(tmp_path):
    with pytest.raises(UserError, match="--checkpoints is for workers on Ray"):
        settings(tmp_path, checkpoints="s3://bucket")
