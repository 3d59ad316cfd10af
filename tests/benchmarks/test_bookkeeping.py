"""The bookkeeping benchmark measures what a real search does."""

import sqlite3
from contextlib import closing

import optuna

from search.recording.store import Store
from studies.benchmarks.overhead import bookkeeping, filled_study
from studies.benchmarks.overhead.instant_workers import Clock


def test_its_trials_look_like_those_of_a_search(tmp_path):
    filled_study.fill(tmp_path, 30)
    found = bookkeeping.bookkeeping(tmp_path, 30, 5)
    trials = Store(filled_study.url(tmp_path), filled_study.NAME, seed=0).study.get_trials(deepcopy=False)
    assert len(trials) == 35
    made_up, real = trials[0], trials[-1]
    assert made_up.user_attrs.keys() == real.user_attrs.keys()
    assert made_up.user_attrs["history"].keys() == real.user_attrs["history"].keys()
    assert made_up.constraints.keys() == real.constraints.keys()
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    for step in ("ask", "stored", "tell"):
        every, inside = found[step]
        assert every > inside > 0, step


def test_filling_goes_on_where_it_stopped(tmp_path):
    for size in (3, 5):
        filled_study.fill(tmp_path, size)
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        assert database.execute("SELECT count(*) FROM trials").fetchone() == (5,)


def test_the_table_tells_our_part_from_optunas():
    figures = {
        "resume": (2.0, 1.5),
        "ask": (2.0, 1.5),
        "epoch": (0.0001, 0.0),
        "report": (float("nan"), 0.0),
        bookkeeping.MEMORY: (4000.0, 0.0),
    }
    assert bookkeeping.table({100: figures}).splitlines()[2:] == [
        "| resume | 100 | 2,000 | alone: 1,500 |  |",
        "| ask | 100 | 2,000 | 1,500 | 500.0 |",
        "| epoch | 100 | 0.1 |  | 0.1 |",
        f"| {bookkeeping.MEMORY} | 100 | 4.0 |  |  |",
    ]


def test_the_clock_leaves_optuna_as_it_was():
    before = optuna.Study.ask
    clock = Clock()
    with clock.running():
        optuna.create_study().ask()
    assert optuna.Study.ask is before
    every, inside = clock.now()
    assert 0 < inside < every
