"""A run folder's trials as a table."""

import sys

import pytest
from builders import recorded_study, recorded_trials

from search import Result, UserError


@pytest.fixture
def result(tmp_path):
    """Of a study by hand."""
    recorded_study(recorded_trials(), chosen=1, storage=f"sqlite:///{tmp_path / 'study.db'}")
    return Result(tmp_path)


def test_a_row_for_each_trial(result):
    pandas = pytest.importorskip("pandas")
    table = result.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.number) == [0, 1, 2, 3, 4, 5]
    assert list(table.chosen) == [False, True, False, False, False, False]
    assert list(table.params_dropout) == [0.1, 0.4, 0.05, 0.3, 0.45, 0.25]
    assert table.val_loss[1] == 0.52
    assert table.stopped[5] == "out_of_memory"


def test_without_pandas_it_names_the_remedy(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"needs pandas; pip install 'gapsearch\[pandas\]'"):
        result.to_dataframe()
