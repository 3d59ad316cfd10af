"""The benchmark of long searches follows a real one, and its table is worked out by hand."""

import pytest

from search.recording.store import Store
from search.results.database import default_storage_url
from search.results.storage import open_study
from studies.benchmarks.overhead import long_search
from studies.benchmarks.overhead.long_search import COLUMNS, Moment, Watch, growth, milliseconds, row


def moment(trials, memory=0, **seconds):
    """After so many trials; the search's process has `memory` bytes of its own."""
    return Moment(trials, dict.fromkeys(COLUMNS, 0.0) | seconds, memory, 2 * memory, 19, 11)


def test_the_table_by_hand():
    before = moment(250, 500_000_000, wall=10.0, search=5.0, ask=2.0, tell=1.0, worker=1.0)
    after = moment(500, 505_000_000, wall=35.0, search=17.5, ask=7.0, tell=6.0, worker=3.5)
    found = milliseconds(before, after)
    assert {name: value for name, value in found.items() if value} == pytest.approx(
        {"wall": 100.0, "search": 50.0, "ask": 20.0, "tell": 20.0, "rest": 10.0, "worker": 10.0}
    )
    assert row(before, after) == (
        "| 250 to 500 | 100.0 | 50.0 | 20.0 | 20.0 | 0.0 | 0.0 | 0.0 | 10.0 | 0.0 | 10.0 | 505.0 | 1010.0 | 19, 11 |"
    )


def test_growth_is_that_of_the_second_half():
    moments = [moment(trials, memory) for trials, memory in ((0, 0), (100, 9_000), (200, 10_000), (300, 11_000))]
    assert growth(moments, "search_bytes") == pytest.approx(10.0)
    assert growth(moments, "worker_bytes") == pytest.approx(20.0)


def test_it_follows_a_real_search(tmp_path, capsys):
    ask, watch = Store.ask, Watch(every=2)
    long_search.search(tmp_path / "run", 5, watch)
    assert Store.ask is ask
    assert [moment.trials for moment in watch.moments] == [2, 4]
    found = milliseconds(*watch.moments)
    assert min(found[name] for name in ("wall", "search", "ask", "tell", "dashboard")) > 0
    assert found["search"] <= found["wall"]
    with open_study(default_storage_url(tmp_path / "run"), None) as study:
        assert len(study.get_trials(deepcopy=False)) == 5
    assert "| 2 to 4 |" in capsys.readouterr().out
