"""How often the test split has been opened."""

import json

import pytest

from search.errors import UserError
from search.use import openings
from search.use.openings import Openings


def test_each_confirmation_is_one_opening(tmp_path):
    for count in (1, 2, 3):
        opening = Openings(tmp_path, "mine")
        assert opening.count == count
        opening.end()
    assert Openings(tmp_path, "another").count == 4


def test_one_that_goes_on_opens_nothing_anew(tmp_path):
    assert Openings(tmp_path, "mine").count == 1  # and is killed
    assert Openings(tmp_path, "another").count == 2
    again = Openings(tmp_path, "mine")
    assert again.count == 2
    again.end()
    assert Openings(tmp_path, "mine").count == 3


def test_openings_meanwhile_are_not_lost(tmp_path):
    """A refit begins and ends while a confirmation is under way."""
    first = Openings(tmp_path, "confirm")
    other = Openings(tmp_path, "refit")
    other.end()
    first.end()
    openings = json.loads((tmp_path / "test_split.json").read_text())["openings"]
    assert openings == [{"of": "confirm", "ended": True}, {"of": "refit", "ended": True}]
    assert Openings(tmp_path, "confirm").count == 3


@pytest.mark.parametrize("content", ["", "{}", '{"openings": [{}]}', "[" * 100_000])
def test_a_damaged_count_is_set_aside(tmp_path, said, content):
    (tmp_path / "test_split.json").write_text(content)
    assert Openings(tmp_path, "mine").count == 1
    assert "test_split.json is damaged: it is set aside, and earlier openings" in said()
    assert (tmp_path / "test_split.json.damaged").read_text() == content
    assert len(json.loads((tmp_path / "test_split.json").read_text())["openings"]) == 1


def test_what_cannot_be_counted_is_not_opened(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openings, "replace_file", full)
    with pytest.raises(UserError, match=r"test_split\.json: No space left on device; .* the test split is unopened"):
        Openings(tmp_path, "mine")
