"""Where a search keeps its pictures: settled at its first start, and the same at all later ones."""

import pytest
from builders import settings

from search.errors import UserError
from search.recording.artifacts import settle_artifacts
from search.recording.store import Store
from search.results import artifacts
from search.results.schema import StudyAttribute


@pytest.fixture
def checked(monkeypatch):
    """The places that were looked at."""
    places = []
    monkeypatch.setattr(artifacts, "check", lambda folder, url: places.append(url))
    return places


@pytest.fixture
def start(tmp_path):
    """Call it for one start of a search; returns what the study says then."""

    def started(url=None, trials=0):
        store = Store(f"sqlite:///{tmp_path / 'study.db'}", "digits", seed=0)
        settle_artifacts(settings(tmp_path, artifacts=url), store)
        for _ in range(trials):
            store.study.ask()
        return store.study.user_attrs.get(StudyAttribute.ARTIFACTS)

    return started


def test_a_later_start_goes_on_where_the_first_began(start, checked):
    assert start("s3://bucket/a", trials=1) == "s3://bucket/a"
    assert start() == "s3://bucket/a"
    assert start("s3://bucket/a") == "s3://bucket/a"
    assert checked == ["s3://bucket/a"] * 3


@pytest.mark.parametrize(("first", "named"), [("s3://bucket/a", "s3://bucket/a"), (None, "its run folder")])
def test_pictures_of_one_search_are_in_one_place(start, checked, first, named):
    start(first, trials=1)
    with pytest.raises(UserError, match=f"--artifacts is s3://bucket/b and this search keeps its pictures in {named};"):
        start("s3://bucket/b")
    assert start() == first


def test_before_its_first_trial_a_search_may_be_given_another_place(start, checked, monkeypatch):
    def refused(folder, url):
        raise UserError("no such bucket")

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "check", refused)
        with pytest.raises(UserError, match="no such bucket"):
            start("s3://buckte")
    assert start() is None
    assert start("s3://bucket") == "s3://bucket"
