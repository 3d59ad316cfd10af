"""What a search shows in the Optuna dashboard while it runs: graphs, notes, and an image of each trial's curves."""

import contextlib
import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import optuna
import plotly.graph_objects as go
from optuna.artifacts import get_all_artifact_meta, upload_artifact
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial
from optuna_dashboard import save_note, save_plotly_graph_object
from optuna_dashboard.artifact import get_artifact_path

from search.choice.constraints import Constraints
from search.choice.pareto import on_front
from search.choice.run import Run
from search.errors import described
from search.results.artifacts import artifact_store
from search.results.schema import StudyAttribute
from search.results.snapshot import StudySnapshot, read_snapshot
from search.results.trial_result import TrialResult, trial_result
from search.show.epochs_trained import epochs_trained
from search.show.importance import importance, nothing_stands_out
from search.show.learning_curves import learning_curves
from search.show.loss_against_gap import loss_against_gap
from search.show.notes import study_note, trial_note
from search.show.trial_svg import trial_svg

GRAPHS = {"curves": learning_curves, "loss-against-gap": loss_against_gap, "epochs": epochs_trained}
IMPORTANCE = "importance"  # the graph of importances: it costs more than all others together
SHARE = 0.005  # of the time that each may take while trials run: graphs, importances, pictures that were not taken
LEAST_SECONDS = 2.0  # between two refreshments
CURVES = "\n\n![curves]"  # in the note of a trial, what comes after its text
MOST_NOTES = 300  # for each trial the dashboard looks through the notes of all: 1,000 would cost its page 4 s

logger = logging.getLogger(__name__)


class Pace:
    """When something may be done again, so that it takes at most `share` of the time. clock: seconds that only grow."""

    def __init__(self, share: float, least: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share, self._least, self._clock = share, least, clock
        self._next = clock() + least

    def due(self) -> bool:
        """Whether it may be done now."""
        return self._clock() >= self._next

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Around what is done: the longer it takes, the longer until the next time."""
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            self._next = now + max(self._least, (now - began) / self._share)


class Publisher:
    """Keeps the dashboard of a running search current, from the one process that writes to the study.

    folder: the run folder. planned: epochs of a whole run. What fails here is told once and ends no search.
    """

    def __init__(self, study: optuna.Study, folder: Path, constraints: Constraints, planned: int) -> None:
        self._study, self._constraints, self._planned = study, constraints, planned
        self._artifacts = artifact_store(folder, study.user_attrs.get(StudyAttribute.ARTIFACTS))
        self._attach_from = -math.inf  # in seconds of `time.monotonic`
        self._pace, self._pace_of_importance = Pace(SHARE, LEAST_SECONDS), Pace(SHARE, LEAST_SECONDS)
        self._failed = False
        self._news = False  # trials have ended since importances were drawn
        self._drawn: dict[str, str] = {}  # figures as JSON, by graph
        self._notes: dict[int | None, str] = {}  # what has been written, by trial; None is the study's
        with self._guarded():
            self._notes = self._notes_before()

    def attach_curves(self, result: TrialResult, trial: Trial) -> None:
        """Attach the curves to `trial`, which is about to end: one that has ended takes no artifacts."""
        with self._guarded():
            svg = trial_svg(result, self._planned)
            if svg is not None and time.monotonic() >= self._attach_from:
                self._attach(trial, svg)

    def ended(self, number: int, runs: Sequence[Run], chosen: int | None) -> None:
        """Write the note of a trial that has just ended, beside the `runs` finished so far."""
        self._news = True
        with self._guarded():
            run = next((run for run in reversed(runs) if run.number == number), None)
            front = run is not None and on_front(run, runs)
            frozen = self._study.get_trials(deepcopy=False)[number]
            trial = trial_result(frozen, self._constraints, front=front, chosen=number == chosen)
            self._note_trial(trial, frozen)

    def update(self) -> None:
        """Called a few times a second: refresh the graphs and notes if it is time to."""
        if self._pace.due():
            with self._guarded(), self._pace.measured():
                self._publish(read_snapshot(self._study))
        elif self._news and self._pace_of_importance.due():
            self._news = False
            with self._guarded(), self._pace_of_importance.measured():
                self._draw_importance(read_snapshot(self._study))

    def close(self) -> None:
        """Publish everything as it is at the end."""
        with self._guarded():
            snapshot = read_snapshot(self._study)
            self._publish(snapshot)
            self._draw_importance(snapshot)

    def _publish(self, snapshot: StudySnapshot) -> None:
        for name, figure in GRAPHS.items():
            self._draw(name, figure(snapshot))
        frozen = self._study.get_trials(deepcopy=False)
        for trial in snapshot.trials:
            if trial.state in ("COMPLETE", "PRUNED", "FAIL"):
                self._note_trial(trial, frozen[trial.number])
        self._note_study(study_note(snapshot))

    def _draw_importance(self, snapshot: StudySnapshot) -> None:
        self._draw(IMPORTANCE, importance(snapshot) or nothing_stands_out(snapshot))

    def _draw(self, name: str, figure: go.Figure | None) -> None:
        if figure is not None and (drawn := figure.to_json()) != self._drawn.get(name):
            save_plotly_graph_object(self._study, figure, graph_object_id=name)
            self._drawn[name] = drawn

    def _note_study(self, text: str) -> None:
        if text != self._notes.get(None):
            save_note(self._study, text)
            self._notes[None] = text

    def _note_trial(self, trial: TrialResult, frozen: FrozenTrial) -> None:
        first = trial.number not in self._notes
        if first and len(self._notes) >= MOST_NOTES and not (trial.chosen or trial.front):
            return
        text = self._trial_note(trial)
        if text != self._notes.get(trial.number):
            writable = self._writable(frozen)
            save_note(writable, text + self._attached_curves(writable))
            self._notes[trial.number] = text

    def _trial_note(self, trial: TrialResult) -> str:
        return trial_note(trial, trial.epochs_planned or self._planned, self._constraints)

    def _notes_before(self) -> dict[int | None, str]:
        """What an earlier start left, without the curves: a kill may have come before the notes of others changed."""
        from optuna_dashboard._note import get_note_from_system_attrs  # private: a release without it ends no search

        stored = self._study._storage.get_study_system_attrs(self._study._study_id)  # `get_note` reads all for each
        trials = self._study.get_trials(deepcopy=False)
        bodies = {trial.number: get_note_from_system_attrs(stored, trial._trial_id)["body"] for trial in trials}
        return {number: body.partition(CURVES)[0] for number, body in bodies.items() if body}

    def _attach(self, trial: Trial, svg: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "curves.svg"
            path.write_text(svg, encoding="utf-8")
            began = time.monotonic()
            try:
                upload_artifact(artifact_store=self._artifacts, file_path=str(path), study_or_trial=trial)
            except OSError:
                now = time.monotonic()  # a store that is away may take seconds: none for a while
                self._attach_from = now + (now - began) / SHARE
                raise

    def _attached_curves(self, trial: Trial) -> str:
        """As Markdown, for the note: as an artifact the image has the size of a stamp."""
        attached = get_all_artifact_meta(trial)
        return "".join(f"{CURVES}({get_artifact_path(trial, meta.artifact_id)})" for meta in attached)

    def _writable(self, frozen: FrozenTrial) -> Trial:
        """The trial that takes notes and artifacts; only a private attribute leads there. It draws no parameters."""
        return Trial(self._study, frozen._trial_id)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Tell the first failure, and let none through."""
        try:
            yield
        except UpdateFinishedTrialError:  # ended from outside at this moment: nothing to show
            pass
        except Exception as error:
            if not self._failed:
                self._failed = True
                logger.warning(f"the dashboard's graphs and notes are not all current: {described(error)}")
