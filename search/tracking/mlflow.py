"""Runs of MLflow: one for the search, and below it one for each trial."""

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from search.measurement import History
from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped
from search.tracking.figures import at_best, points

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

STUDY, TRIAL, PARENT = "gapsearch.study", "gapsearch.trial", "mlflow.parentRunId"  # tags
MOST_METRICS, MOST_PARAMS = 1000, 100  # of a request
MOST_SIGNS, MOST_OF_NAME = 500, 250  # of a parameter's value, and of its name
FAILED = (Stopped.ERROR, Stopped.HUNG, Stopped.OUT_OF_MEMORY)
QUIET = {  # unless somebody has set them: few tries, no line on the screen for each run, nothing told to others
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
LOGGERS = ("mlflow", "alembic", "urllib3")  # whose lines are not for the screen, and may hold the URI


class Runs:
    """The runs of one search on a tracking server, or in a database.

    uri: of it. name: of the search, and so of the experiment. identity: tells the study from others of that name.
    description: of the search, for the parameters of its run.
    """

    def __init__(self, uri: str, name: str, identity: str, description: Mapping[str, Any]) -> None:
        self._uri, self._name, self._identity, self._description = uri, name, identity, description
        self._parent = ""  # id of the search's run
        self._experiment = ""
        self._running: dict[int, str] = {}  # ids of the runs of running trials
        self._written: dict[int, int] = {}  # epochs of theirs

    def begin(self, ended: Sequence[TrialResult]) -> None:
        """Go on in the run of an earlier start: what it has not ended is removed, what it lacks is added."""
        self._client = self._connected()
        self._experiment = self._experiment_id()
        before = self._recorded()
        parents = [run for run in before if PARENT not in run.data.tags]
        self._parent = parents[0].info.run_id if parents else self._new_parent()
        self._client.update_run(self._parent, status="RUNNING")
        with_result, there = {trial.number for trial in ended}, set[int]()
        for run in before:
            if PARENT in run.data.tags:
                number = int(run.data.tags[TRIAL])
                if number in with_result and run.info.status != "RUNNING":
                    there.add(number)
                else:
                    self._client.delete_run(run.info.run_id)
        for trial in ended:
            if trial.number not in there:
                self.ended(trial)

    def epoch(self, number: int, history: History) -> None:
        """Add the epochs that are missing."""
        first = self._written.get(number, 0)
        new = points(history, first)
        self._add_metrics(self._run(number), new, first + 1)  # epochs are shown from 1
        self._written[number] = first + len(new)

    def forget(self, number: int) -> None:
        """Delete its run."""
        self._written.pop(number, None)
        run = self._running.pop(number, None)
        for id_ in [run] if run else [one.info.run_id for one in self._recorded(number)]:
            self._client.delete_run(id_)

    def ended(self, trial: TrialResult) -> None:
        """Add its figures, and what was drawn for it."""
        from mlflow.entities import Param, RunTag

        self.epoch(trial.number, trial.history)
        run = self._run(trial.number)
        self._add_metrics(run, [at_best(trial)], trial.epochs_run)
        params = [Param(_taken(name), str(value)[:MOST_SIGNS]) for name, value in trial.params.items()]
        for first in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(run, params=params[first : first + MOST_PARAMS])
        tags = {"gapsearch.stopped": str(trial.ending), "gapsearch.reason": (trial.reason or "")[:MOST_SIGNS]}
        self._client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items() if value])
        self._client.set_terminated(run, "FAILED" if trial.stopped in FAILED else "FINISHED")
        self._written.pop(trial.number, None)
        self._running.pop(trial.number, None)

    def close(self) -> None:
        """The search's run has ended; another start opens it again."""
        self._client.set_terminated(self._parent, "FINISHED")

    def _connected(self) -> "MlflowClient":
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
        from mlflow.tracking import MlflowClient

        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        return MlflowClient(tracking_uri=self._uri)

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._name)
        return str(found.experiment_id if found is not None else self._client.create_experiment(self._name))

    def _new_parent(self) -> str:
        run = self._client.create_run(self._experiment, run_name=self._name, tags={STUDY: self._identity})
        for name, value in self._description.items():
            self._client.log_param(run.info.run_id, name, str(value)[:MOST_SIGNS])
        return str(run.info.run_id)

    def _recorded(self, number: int | None = None) -> list["Run"]:
        """The runs of this study, or of one of its trials."""
        query, found, token = f"tags.`{STUDY}` = '{self._identity}'", [], None
        if number is not None:
            query += f" and tags.`{TRIAL}` = '{number}'"
        while True:
            page = self._client.search_runs([self._experiment], query, page_token=token)
            found += list(page)
            token = page.token
            if not token:
                return found

    def _run(self, number: int) -> str:
        """The run of a trial; made where it has none."""
        if number not in self._running:
            tags = {STUDY: self._identity, TRIAL: str(number), PARENT: self._parent}
            run = self._client.create_run(self._experiment, run_name=f"trial {number}", tags=tags)
            self._running[number] = str(run.info.run_id)
        return self._running[number]

    def _add_metrics(self, run: str, epochs: Sequence[Mapping[str, float]], first: int) -> None:
        """first: the step of the first of the epochs."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, step)
            for step, values in enumerate(epochs, start=first)
            for name, value in values.items()
        ]
        for start in range(0, len(metrics), MOST_METRICS):
            self._client.log_batch(run, metrics=metrics[start : start + MOST_METRICS])


def _taken(name: str) -> str:
    """A parameter's name as MLflow takes it."""
    return re.sub(r"[^\w./ :-]", "_", name)[:MOST_OF_NAME]


def scrubbed(text: str, uri: str) -> str:
    """`text`, perhaps a driver's, without what only those who know the URI may see: its user, password and query."""
    try:
        place = urlsplit(uri)
        secrets = {place.password or place.username, place.query, place.netloc.rpartition("@")[0]}
    except ValueError:
        secrets = {uri}
    plain = {unquote(secret) for secret in secrets if secret} | {secret for secret in secrets if secret}
    forms = {form(secret) for secret in plain for form in (str, quote, quote_plus)}
    for secret in sorted(forms, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
