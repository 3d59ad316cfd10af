"""What graphs, notes and the report read of a search."""

from pathlib import Path

import optuna

from search import Search
from search.results.snapshot import read_story
from search.results.storage import opened


def test_a_study_without_a_start_has_an_empty_story():
    story = read_story(optuna.create_study(study_name="new", directions=["minimize", "minimize"]))
    assert (story.name, story.trials, story.runs, story.chosen, story.band) == ("new", (), (), None, ())


def test_the_story_names_the_choice_that_was_exported(tmp_path: Path):
    result = Search(
        name="s", dataset="digits", trials=3, epochs=4, out=str(tmp_path / "run"), workers=1, device="cpu"
    ).run()
    with opened(f"sqlite:///{tmp_path / 'run' / 'study.db'}", None) as study:
        story = read_story(study)
    assert result.best is not None
    assert story.chosen == result.best.trial
    assert story.chosen in story.band
    assert story.because
    assert story.plan["epochs"] == 4
    assert story.data["name"] == "digits"
    assert story.data["shape"] == [1, 8, 8]
    assert [trial.number for trial in story.trials if trial.chosen] == [story.chosen]
    assert len(story.trials) == 3
    assert story.terms.baseline_loss < 1
