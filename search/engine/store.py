"""The Optuna study behind a search: all contact with Optuna's storage is here.

One process, the parent of the workers, asks and tells. So no two workers can draw the same parameters, and
no database is fought over.
"""

import contextlib
import gc
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from search.choice.constraints import Terms
from search.choice.fit import fit_regime
from search.choice.pareto import clearly_beaten
from search.choice.run import Run
from search.errors import UserError
from search.measurement import History, Measurement
from search.stopping.hopeless import Curve
from search.stopping.stopped import Stopped
from search.training.trial import Job, Outcome

METRICS = ["val_loss", "gap"]
UNUSABLE = 10.0  # violation of a run that never had a finite loss: worse than any that had one
LIVE_SECONDS = 2.0  # a running trial's curves are stored at most this often


class EndedOutside(Exception):
    """Somebody has ended a running trial, in the dashboard perhaps."""


class Store:
    """A study with two objectives, and the trials of it that are running.

    Raises UserError where the storage cannot be opened.
    """

    def __init__(self, url: str, name: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = _open(url, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.set_metric_names(METRICS)
        self._seed = seed
        # a resumed search must not draw the first start's random parameters again
        with _no_collection():
            drawn = len(self.study.get_trials(deepcopy=False))
        self._finished = len(self.finished())
        sampler_seed = int(np.random.SeedSequence([seed, drawn]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(seed=sampler_seed, multivariate=True)
        self._running: dict[int, Trial] = {}
        self._stored_at: dict[int, float] = {}

    def settle(self, settings: Mapping[str, Any]) -> None:
        """Record what makes runs comparable, or check it against what an earlier start recorded.

        Raises UserError that names the first difference.
        """
        recorded = self.study.user_attrs.get("settings")
        if recorded is None:
            self.study.set_user_attr("settings", dict(settings))
            return
        for key in [*settings, *(recorded.keys() - settings.keys())]:
            before, now = recorded.get(key), settings.get(key)
            if before != now:
                raise UserError(
                    f"{key} was {_shown(before)} when this search began and is {_shown(now)} now, so its runs "
                    f"cannot be compared; go back to that, or start anew with another --out"
                )

    def remember(self, key: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What an earlier start recorded under `key`, or else what `make()` gives, recorded from now on."""
        if key not in self.study.user_attrs:
            self.study.set_user_attr(key, dict(make()))
        return dict(self.study.user_attrs[key])

    def describe(self, key: str, content: Mapping[str, Any] | Sequence[Any] | None) -> None:
        """Record `content` under `key` in place of what was there, for those who look at the study."""
        if self.study.user_attrs.get(key) != content:
            self.study.set_user_attr(key, content)

    def finished(self) -> list[FrozenTrial]:
        """COMPLETE and PRUNED trials, in order."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    def attributes(self, number: int) -> dict[str, Any]:
        """The user attributes of a trial."""
        return self.study.get_trials(deepcopy=False)[number].user_attrs

    def running(self, number: int) -> Trial:
        """A trial that was asked for here and has not ended."""
        return self._running[number]

    def count(self) -> int:
        """Trials that count towards `--trials`: finished ones and those running here."""
        return self._finished + len(self._running)

    def requeue_interrupted(self) -> int:
        """Queue again what an earlier start left running (it was killed); returns how many."""
        left = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in left:
            self._requeue(trial.number, trial.params, trial.user_attrs)
        return len(left)

    def ask(self, suggest: Callable[[Trial], dict[str, Any]]) -> tuple[Trial, dict[str, Any], int]:
        """A new trial, its configuration, and the number of the trial that first had it."""
        trial = self.study.ask()
        config = suggest(trial)
        lineage = int(trial.user_attrs.get("lineage", trial.number))
        trial.set_user_attr("config", config)
        trial.set_user_attr("lineage", lineage)
        self._running[trial.number] = trial
        return trial, config, lineage

    def trial_seed(self, lineage: int, repeat: int = 0) -> int:
        """The seed of a trial's initial weights, shuffling and augmentation; another one for each repeat of it."""
        return int(np.random.SeedSequence([self._seed, lineage, 1 + repeat]).generate_state(1)[0])

    def repeat_job(self, number: int, epochs: int, repeat: int) -> Job:
        """The configuration of a finished trial with the seed of its `repeat`-th repetition (from 1)."""
        attributes = self.attributes(number)
        lineage = int(attributes["lineage"])
        return Job(number, attributes["config"], self.trial_seed(lineage, repeat), epochs, lineage, keeps=False)

    def live(self, number: int, history: History) -> None:
        """Store the curves of a running trial, now and then. Raises EndedOutside."""
        now = time.monotonic()
        if now - self._stored_at.get(number, -math.inf) < LIVE_SECONDS:
            return
        self._stored_at[number] = now
        try:
            self._running[number].set_user_attr("history", _storable(history))
        except UpdateFinishedTrialError as error:
            raise EndedOutside from error

    def interrupt(self, number: int) -> None:
        """A running trial did not end by itself: queue its parameters again."""
        trial = self._running.pop(number)
        self._requeue(number, trial.params, trial.user_attrs)

    def drop(self, number: int) -> None:
        """Forget a running trial that somebody has ended from outside."""
        self._running.pop(number, None)

    def tell(self, outcome: Outcome, terms: Terms, device: str, finished: Sequence[Run]) -> Run | None:
        """Record how a running trial ended, judged beside the runs finished before it; its run if it is COMPLETE.

        Raises EndedOutside where somebody was faster.
        """
        trial = self._running.pop(outcome.number)
        run = run_of(outcome, terms)
        try:
            for key, value in _attributes(outcome, run, device).items():
                trial.set_user_attr(key, value)
            for key, violation in _violations(run, terms).items():
                trial.set_constraint(key, violation)
        except UpdateFinishedTrialError as error:
            raise EndedOutside from error
        self._finished += 1
        if run is None or not _complete(run, finished):
            self.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
            return None
        self.study.tell(trial, list(run.objectives), state=TrialState.COMPLETE, skip_if_finished=True)
        return run

    def _requeue(self, number: int, params: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        if params:  # none: it was stopped before anything had been drawn
            self.study.enqueue_trial(dict(params), user_attrs={"lineage": int(attributes.get("lineage", number))})
        self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def curve(history: History) -> Curve:
    """The curves that rules compare."""
    return Curve(history["val_loss"], history["gap"], history["val_loss_se"])


def run_of(outcome: Outcome, terms: Terms) -> Run | None:
    """The run at its best epoch; None where it has no finite one."""
    if outcome.best_epoch is None:
        return None
    at_best = {name: values[outcome.best_epoch] for name, values in outcome.history.items()}
    measured = Measurement(**{field.name: at_best[field.name] for field in fields(Measurement)})
    return Run(
        number=outcome.number,
        val_loss=measured.val_loss,
        gap=measured.gap,
        val_loss_se=measured.val_loss_se,
        gap_se=measured.gap_se,
        train_loss=measured.train_loss,
        train_accuracy=measured.train_accuracy,
        val_accuracy=measured.val_accuracy,
        accuracy_gap=measured.accuracy_gap,
        parameters=outcome.parameters,
        best_epoch=outcome.best_epoch,
        epochs_run=len(outcome.history["val_loss"]),
        stopped=outcome.stopped,
        fit=fit_regime(measured, terms.baseline_loss),
        feasible=terms.respected(measured.val_loss, measured.gap),
    )


def _complete(run: Run, finished: Sequence[Run]) -> bool:
    """Whether a run's best epoch is its result, and not just what it had reached when it was given up."""
    if run.stopped == Stopped.FINISHED:
        return True
    overfitted = run.stopped in (Stopped.OVERFIT, Stopped.DIVERGED)
    return overfitted and run.feasible and not clearly_beaten(run, finished)


def _violations(run: Run | None, terms: Terms) -> dict[str, float]:
    if run is None:
        return dict.fromkeys(terms.violations(1.0, 0.0), UNUSABLE)
    return terms.violations(run.val_loss, run.gap)


def _attributes(outcome: Outcome, run: Run | None, device: str) -> dict[str, Any]:
    """The user attributes of a trial."""
    at_best = {} if run is None else {k: v for k, v in asdict(run).items() if k not in ("number", "feasible")}
    return at_best | {
        "stopped": outcome.stopped,
        "reason": outcome.reason,
        "epochs_run": len(outcome.history.get("val_loss", ())),
        "parameters": outcome.parameters,
        "seconds": round(outcome.seconds, 2),
        "device": device,
        "history": _storable(outcome.history),
    }


def _storable(history: History) -> dict[str, list[float | None]]:
    """Six digits; None for what JSON has no word for."""
    return {
        name: [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
        for name, values in history.items()
    }


def _open(url: str, name: str) -> optuna.Study:
    try:
        shown = sqlalchemy.engine.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise UserError("--storage is no database URL; write for example sqlite:///runs/digits/study.db") from None
    sqlite = shown.get_backend_name() == "sqlite"
    engine_kwargs = {"connect_args": {"timeout": 60}} if sqlite else {}
    try:
        storage = _storage(url, engine_kwargs)
        if sqlite:
            _write_ahead(storage.engine)
        return optuna.create_study(
            storage=storage, study_name=name, directions=["minimize", "minimize"], load_if_exists=True
        )
    except (
        sqlalchemy.exc.SQLAlchemyError,
        ImportError,
        optuna.exceptions.OptunaError,
        RuntimeError,
    ) as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise UserError(
            f"cannot open the storage {shown.render_as_string(hide_password=True)}: {cause}; "
            f"give a reachable database with --storage, or leave it out"
        ) from error


def _storage(url: str, engine_kwargs: dict[str, Any]) -> optuna.storages.RDBStorage:
    """Tried twice: where a dashboard makes the tables of a new database at the same moment, one of the two fails."""
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=engine_kwargs)
    except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.OperationalError):
        time.sleep(1)
        return optuna.storages.RDBStorage(url, engine_kwargs=engine_kwargs)


def _write_ahead(engine: sqlalchemy.Engine) -> None:
    """Let the dashboard read while the search writes, and commit without waiting for the disk."""

    @sqlalchemy.event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:  # noqa: ANN401
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    engine.dispose()  # the connections opened so far have not been configured


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection meanwhile: where thousands of trials are read, it takes as long as reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _shown(value: object) -> str:
    return "not set" if value is None else repr(value)
