"""What stands on the terminal at the end of a search."""

import shlex
from collections import Counter
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.choice.choose import Choice, nearest
from search.choice.constraints import Terms
from search.choice.pareto import front
from search.choice.run import Run
from search.insight.sentences import sentences
from search.settings import Settings

ROWS = 8


def summary(settings: Settings, study: optuna.Study, runs: Sequence[Run], choice: Choice | None, terms: Terms) -> str:
    """The best trials, why runs stopped, what was learned, the choice, and what to do next."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return "\n".join(
        [
            "",
            *_table(runs, choice),
            "",
            _stops(finished, settings.epochs),
            *sentences(finished, runs),
            *_chosen(settings, runs, choice, terms),
            *_others(settings),
            f"dashboard: python -m search dashboard {shlex.quote(str(settings.folder))}{_storage(settings)}",
        ]
    )


def _table(runs: Sequence[Run], choice: Choice | None) -> list[str]:
    """The feasible runs of lowest validation loss; the chosen one is among them."""
    best = sorted(runs, key=lambda run: (not run.feasible, run.val_loss))[:ROWS]
    if choice is not None and choice.run not in best:
        best.append(choice.run)
    if not best:
        return ["no trial has a result yet"]
    on_front = {run.number for run in front(runs)}
    lines = ["   trial  val_loss           gap                accuracy  epoch   parameters  fit              stopped"]
    for run in best:
        mark = "->" if choice is not None and run.number == choice.run.number else "  "
        lines.append(
            f"{mark} {run.number:5d}  {run.val_loss:.4f} ± {run.val_loss_se:.4f}  {run.gap:7.4f} ± {run.gap_se:.4f}  "
            f"{run.val_accuracy:8.1%}  {run.best_epoch + 1:2d} of {run.epochs_run:<3d}{run.parameters:9,d}  "
            f"{run.fit if run.feasible or run.fit == 'underfit' else run.fit + ' (above --max-gap)':15s}  {run.stopped}"
            f"{'  front' if run.number in on_front else ''}"
        )
    return lines


def _stops(finished: Sequence[FrozenTrial], epochs: int) -> str:
    counts = Counter(trial.user_attrs.get("stopped", "unknown") for trial in finished)
    run = sum(trial.user_attrs.get("epochs_run", 0) for trial in finished)
    planned = len(finished) * epochs
    stops = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    saved = f"; {run} of {planned} epochs trained, {1 - run / planned:.0%} saved" if run < planned else ""
    return f"{len(finished)} trials: {stops or 'none'}{saved}"


def _chosen(settings: Settings, runs: Sequence[Run], choice: Choice | None, terms: Terms) -> list[str]:
    if choice is not None:
        run = choice.run
        return [
            f"chosen: trial {run.number}, {choice.reason}",
            f"        val_loss {run.val_loss:.4f} (linear baseline {terms.baseline_loss:.4f}), gap {run.gap:.4f}, "
            f"accuracy {run.val_accuracy:.1%}, {run.fit}, epoch {run.best_epoch + 1}",
            f"written: {settings.folder / 'best.yaml'} and its weights, {settings.folder / 'best.pt'}",
        ]
    closest = nearest(runs, terms)
    if closest is None:
        return ["nothing to choose from yet"]
    ceiling = "" if terms.max_gap is None else f" with a gap of at most {terms.max_gap:g}"
    return [
        f"chosen: none. No trial beats the linear baseline (val_loss {terms.baseline_loss:.4f}){ceiling}; "
        f"no best.yaml is written",
        f"        nearest: trial {closest.number}, val_loss {closest.val_loss:.4f}, gap {closest.gap:.4f}",
    ]


def _others(settings: Settings) -> list[str]:
    """Where to see the trials that are not in the table; a database elsewhere may need its password."""
    return [] if settings.storage else [f"all trials: python -m search list {shlex.quote(str(settings.folder))}"]


def _storage(settings: Settings) -> str:
    """The flag for a storage elsewhere, without its password."""
    from sqlalchemy.engine import make_url

    if settings.storage is None:
        return ""
    return f" --storage {shlex.quote(make_url(settings.storage).render_as_string(hide_password=True))}"
