"""A checkpoint serves the run that it was made for, and no other."""

from dataclasses import replace

import pytest
import torch
from builders import CONFIG

from search.training.trial import Job, run_trial
from spaces import cnn

JOB = Job(0, CONFIG, seed=1, epochs=4, lineage=0)


@pytest.fixture
def left_behind(digits, conditions, monkeypatch):
    """A run that was interrupted after a checkpoint of its second epoch."""
    monkeypatch.setattr("search.training.trial.CHECKPOINT_SECONDS", -1.0)
    reports = []
    run_trial(
        JOB, cnn.build, digits.to(torch.device("cpu")), conditions,
        report=reports.append, interrupted=lambda: len(reports) == 2,
    )  # fmt: skip
    assert conditions.checkpoint(0).is_file()
    return conditions


def taken_up(digits, conditions, job):
    """The epochs that a job finds done."""
    reported = []
    run_trial(
        job, cnn.build, digits.to(torch.device("cpu")), conditions,
        report=lambda report: reported.append(len(report.history["val_loss"])), interrupted=lambda: bool(reported),
    )  # fmt: skip
    return reported[0] - 1


def test_the_same_run_goes_on(digits, left_behind):
    assert taken_up(digits, left_behind, JOB) == 2


def test_under_another_trial_number_and_for_more_epochs_too(digits, left_behind):
    assert taken_up(digits, left_behind, replace(JOB, number=7, epochs=40)) == 2


@pytest.mark.parametrize(
    "changes",
    [{"config": CONFIG | {"dropout": 0.2}}, {"seed": 2}],
    ids=["another configuration", "another seed"],
)
def test_another_run_starts_afresh(digits, left_behind, changes):
    assert taken_up(digits, left_behind, replace(JOB, **changes)) == 0


@pytest.mark.parametrize("changes", [{"study": "another study"}, {"data": "other images"}])
def test_another_study_or_other_data_start_afresh(digits, left_behind, changes):
    assert taken_up(digits, replace(left_behind, **changes), JOB) == 0


def test_it_is_left_until_the_end_of_the_run_has_been_recorded(digits, left_behind):
    outcome = run_trial(JOB, cnn.build, digits.to(torch.device("cpu")), left_behind)
    assert outcome.stopped == "finished"
    assert left_behind.checkpoint(0).is_file()  # whoever records the outcome removes it
