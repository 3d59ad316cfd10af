"""What stands on the terminal at the end of a search."""

import shlex
from pathlib import Path

from search.choice.choose import nearest
from search.insight.doubts import because, held_against, never_recognized
from search.insight.evidence import evidence, judged
from search.insight.imbalance import balanced_accuracy
from search.insight.sentences import sentences
from search.insight.stops import stops
from search.insight.worth import expectation, raced
from search.results.database import may_be_shown
from search.results.snapshot import StudySnapshot
from search.results.trial_result import ranked
from search.show.text import plural
from search.show.trial_table import CHOSEN, FIGURES, FRONT, TRIAL, table

ROWS = 8  # of the table


def summary(snapshot: StudySnapshot, folder: Path, storage: str | None) -> str:
    """The best trials, why runs stopped, what was learned, the choice, and what to do next.

    folder: the run folder. storage: URL of a database elsewhere, if the study is kept in one.
    """
    return "\n".join(
        [
            "",
            *_best_trials(snapshot),
            "",
            _stops(snapshot),
            *sentences(snapshot.ended),
            *raced(snapshot.race),
            *_chosen(snapshot, folder),
            *_commands(folder, storage, snapshot.name),
        ]
    )


def _best_trials(snapshot: StudySnapshot) -> list[str]:
    """The feasible runs of lowest validation loss; the chosen one is among them."""
    best = ranked([trial for trial in snapshot.trials if trial.complete and trial.run is not None])[:ROWS]
    chosen = snapshot.chosen_trial
    if chosen is not None and chosen not in best:
        best.append(chosen)
    return table(best, (CHOSEN, TRIAL, *FIGURES, FRONT)) if best else ["no trial has a result yet"]


def _stops(snapshot: StudySnapshot) -> str:
    rows = stops(snapshot)
    trained, saved = sum(row.trained for row in rows), sum(row.saved for row in rows)
    planned = trained + saved
    causes = ", ".join(f"{row.trials} {row.ending}" for row in rows) or "none"
    spared = f"; {trained} of {planned} epochs trained, {saved / planned:.0%} saved" if saved else ""
    race = f"; the race: {plural(snapshot.race_epochs, 'epoch')} more" if snapshot.race_epochs else ""
    return f"{plural(sum(row.trials for row in rows), 'trial')}: {causes}{spared}{race}"


def _chosen(snapshot: StudySnapshot, folder: Path) -> list[str]:
    chosen = snapshot.chosen_trial
    if chosen is None or chosen.run is None:
        return _none_chosen(snapshot)
    run, baseline = chosen.run, snapshot.constraints.baseline_loss
    weights = f" and its weights, {folder / 'best.pt'}" if (folder / "best.pt").exists() else ""
    expected = [] if snapshot.expected is None else [expectation(snapshot.expected, snapshot.rivals)]
    return [
        f"chosen: trial {run.number}, {because(snapshot)}",
        *(f"        expected: {figures}" for figures in expected),
        f"        recorded: val_loss {run.at_best.val_loss:.4f} (linear baseline {baseline:.4f}), "
        f"gap {run.at_best.gap:.4f}, accuracy {held_against(run.at_best.val_accuracy, snapshot.rivals)}"
        f"{balanced_accuracy(run.at_best.val_balanced_accuracy)}, {judged(run.fit, snapshot.data.get('val_size'))}, "
        f"epoch {run.best_epoch + 1}",
        *(f"        {line}" for line in (*never_recognized(snapshot.unrecognized), *evidence(snapshot))),
        f"written: {folder / 'best.yaml'}{weights}",
    ]


def _none_chosen(snapshot: StudySnapshot) -> list[str]:
    constraints = snapshot.constraints
    closest = nearest(snapshot.reached, constraints)
    if closest is None:
        return ["nothing to choose from yet"]
    last = closest.best_epoch + 1 == snapshot.planned_epochs
    more = "; its last epoch was its best, a larger --epochs may help" if last else ""
    ceiling = "" if constraints.max_gap is None else f" with a gap of at most {constraints.max_gap:g}"
    return [
        f"chosen: none. No trial beats the linear baseline (val_loss {constraints.baseline_loss:.4f}){ceiling}; "
        "no best.yaml is written",
        f"        nearest: trial {closest.number}, val_loss {closest.at_best.val_loss:.4f}, "
        f"gap {closest.at_best.gap:.4f}, accuracy {held_against(closest.at_best.val_accuracy, snapshot.rivals)}"
        f"{balanced_accuracy(closest.at_best.val_balanced_accuracy)}{more}",
        *(f"        {line}" for line in evidence(snapshot)),
    ]


def _commands(folder: Path, storage: str | None, study: str) -> list[str]:
    """Where to see all trials, and the dashboard. A database elsewhere may need its password, which is not shown."""
    place = shlex.quote(str(folder))
    commands = [("all trials", f"gapsearch list {place}"), ("dashboard", f"gapsearch dashboard {place}")]
    if storage is None:
        return [f"{purpose}: {command}" for purpose, command in commands]
    commands[0] = commands[0][0], f"{commands[0][1]} --study {shlex.quote(study)}"  # there may be others
    if may_be_shown(storage):
        return [f"{purpose}: {command} --storage {shlex.quote(storage)}" for purpose, command in commands]
    return [f"{purpose}: {command}  (name the database as for the search)" for purpose, command in commands]
