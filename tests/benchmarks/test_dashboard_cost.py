"""The studies and the timer of the dashboard benchmark; its pages are opened by hand."""

import pytest
from optuna_dashboard import get_note

from search.results.database import default_storage_url
from search.results.snapshot import read_snapshot
from search.results.storage import open_study
from search.show.dashboard import Publisher
from search.stopping.stopped import Stopped
from studies.benchmarks.overhead import dashboard, timed_search


@pytest.mark.parametrize("additions", [True, False])
def test_a_made_up_study_reads_like_that_of_a_search(tmp_path, additions):
    dashboard.fill(tmp_path / "study", 6, additions=additions)
    with open_study(default_storage_url(tmp_path / "study"), None) as study:
        snapshot = read_snapshot(study)
        note = get_note(study)
    finished, hopeless = Stopped.FINISHED, Stopped.HOPELESS
    assert [trial.stopped for trial in snapshot.ended] == [finished, hopeless, hopeless] * 2
    assert [run.number for run in snapshot.runs] == [0, 3]
    assert len(list((tmp_path / "study" / "artifacts").iterdir())) == 6
    assert bool(note) == additions


def test_the_timer_finds_what_it_times():
    spent = []
    assert all(callable(getattr(Publisher, name)) for name in timed_search.TIMED)
    timed_search.timed(lambda argument: None, spent)("argument")
    assert len(spent) == 1
    assert spent[0] >= 0
