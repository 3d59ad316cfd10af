"""What the dashboard tells in words: a note for the study, and one for each trial. Markdown."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.choice.constraints import Constraints
from search.insight.doubts import because, held_against, never_recognized
from search.insight.evidence import evidence, judged
from search.insight.imbalance import balanced_accuracy
from search.insight.stops import stops
from search.insight.worth import expectation, raced
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.text import sentence, short, with_error
from search.stopping.stopped import Stopped

MOST_CLASSES = 10  # that are named
BEGINNINGS: dict[str, str] = {  # what stands before "of 20 epochs"; the rest of a first sentence is the rule's own
    Stopped.OVERFIT: "Stopped at",
    Stopped.DIVERGED: "Stopped at",
    Stopped.HOPELESS: "Given up at",
    Stopped.OUT_OF_MEMORY: "Out of memory after",
    Stopped.HUNG: "Hung after",
    Stopped.ERROR: "Failed after",
}


def markdown(text: object) -> str:
    """Shown as it is: no markup, no HTML, no formulas, one line."""
    return re.sub(r"([\\`*_\[\]<>&|~#!$])", r"\\\1", " ".join(str(text).split()))


def trial_note(trial: TrialResult, planned: int, constraints: Constraints) -> str:
    """In two sentences: how an ended trial ended, and what came of it; in a third why it was tried first.

    planned: epochs of a whole run. Each is a paragraph, since the dashboard makes the page as wide as its longest
    attribute.
    """
    begun = f"\n\nOne of those tried first: {markdown(trial.start)}." if trial.start else ""
    return _outcome(trial, planned, constraints) + begun


def _outcome(trial: TrialResult, planned: int, constraints: Constraints) -> str:
    """How an ended trial ended, and what came of it."""
    if trial.state != "FAIL" and trial.replaced:
        return f"{_end(trial, trial.epochs_run)}\n\nTrial {trial.replaced_by} went on with it and stands for it."
    if trial.state == "FAIL" and trial.continues is not None and trial.stopped is not None:
        return f"{_end(trial, planned)}\n\nIt went on with trial {trial.continues}, which stays as it was."
    if trial.state == "FAIL" and trial.stopped is None and trial.reason is not None:
        return f"Left out before it was trained: {markdown(trial.reason).rstrip('.')}."
    if trial.state == "FAIL":
        return (
            f"Ended after {trial.epochs_run} of {planned} epochs without a result.\n\nIt was interrupted, and its "
            "parameters were queued again, or somebody has ended it from outside."
        )
    return f"{_end(trial, planned)}\n\n{_result(trial, constraints)}"


def study_note(snapshot: StudySnapshot) -> str:
    """What is searched, on what, where it stands, what is chosen and why, and how to go on."""
    return "\n".join(
        [
            f"# {markdown(snapshot.name)}",
            "",
            *_searched(snapshot),
            "",
            *_chosen(snapshot),
            "",
            *_stand(snapshot),
            "",
            *_further(snapshot),
        ]
    )


def _end(trial: TrialResult, planned: int) -> str:
    if trial.stopped == Stopped.FINISHED and trial.run is not None and trial.reason is None:  # which would be: no time
        last = trial.run.best_epoch == trial.epochs_run - 1
        best = "the last was" if last else f"epoch {trial.run.best_epoch + 1} was"
        return f"Trained for all {trial.epochs_run} epochs; {best} its best."
    begin = BEGINNINGS.get(trial.ending, "Ended after")
    reason = f": {markdown(trial.reason).rstrip('.')}" if trial.reason else ""
    return f"{begin} epoch {trial.epochs_run} of {planned}{reason}."


def _result(trial: TrialResult, constraints: Constraints) -> str:
    run = trial.run
    if run is None:
        return "No epoch gave a finite loss: it counts as infeasible and is never chosen."
    if not trial.reached_best:
        return f"Its figures are those of epoch {run.best_epoch + 1}, the best so far: it takes no part in the choice."
    kept = "" if trial.stopped == Stopped.FINISHED else "best epoch kept: "
    if trial.chosen:
        return sentence(f"{kept}it is the chosen one")
    if trial.front:
        return sentence(f"{kept}it is on the front")
    if run.at_best.val_loss >= constraints.baseline_loss:
        return f"It is no better than the linear baseline ({constraints.baseline_loss:.4f}) and never chosen."
    if constraints.max_gap is not None and run.at_best.gap > constraints.max_gap:
        return f"Its gap, {run.at_best.gap:.4f}, is above the ceiling of {constraints.max_gap:g}: it is never chosen."
    if not trial.complete:
        return f"Its best epoch, {run.best_epoch + 1}, is clearly beaten by another run in both loss and gap."
    return sentence(f"{kept}another run is at least as good in both loss and gap")


def _searched(snapshot: StudySnapshot) -> Iterator[str]:
    data, space = snapshot.data, snapshot.settings.get("space")
    if not data:
        return
    channels, height, width = data["shape"]
    classes = ", ".join(markdown(name) for name in data["classes"][:MOST_CLASSES])
    unnamed = len(data["classes"]) - MOST_CLASSES
    more = f" and {unnamed} more" if unnamed > 0 else ""
    yield (
        f"**Searched:** {_ranges(snapshot) or 'hyperparameters'}, of the space {markdown(space)}, for a low validation "
        "loss and a small gap between it and the training loss."
    )
    yield ""
    yield (
        f"**On:** {markdown(data['name'])}, {data['train_size']:,} images to train on and {data['val_size']:,} to "
        f"validate on, {height}x{width}x{channels}, {len(data['classes'])} classes: {classes}{more}."
    )


def _ranges(snapshot: StudySnapshot) -> str:
    """Of each parameter, as it was drawn from."""
    distributions: dict[str, BaseDistribution] = {}
    for trial in snapshot.ended:
        distributions |= trial.distributions
    return ", ".join(f"{markdown(name)} {_range(distribution)}" for name, distribution in distributions.items())


def _range(distribution: Any) -> str:  # noqa: ANN401
    if isinstance(distribution, CategoricalDistribution):
        return " / ".join(markdown(choice) for choice in distribution.choices)
    return f"{distribution.low:g} to {distribution.high:g}"


def _chosen(snapshot: StudySnapshot) -> Iterator[str]:
    chosen, constraints = snapshot.chosen_trial, snapshot.constraints
    if chosen is None or chosen.run is None:
        yield "**Chosen at present:** none. No trial yet beats the linear baseline within what is asked for."
        yield from (f"\n**{markdown(sentence(line))}**" for line in evidence(snapshot))
        return
    at_best = chosen.run.at_best
    yield f"**Chosen at present: trial {chosen.number}**, {markdown(because(snapshot))}."
    yield ""
    if snapshot.expected is not None:
        yield f"**Expected on new images:** {markdown(expectation(snapshot.expected, snapshot.rivals))}."
        yield ""
    yield (
        f"**Recorded:** val\\_loss {with_error(at_best.val_loss, at_best.val_loss_se)} "
        f"(linear baseline {constraints.baseline_loss:.4f}), gap {with_error(at_best.gap, at_best.gap_se)}, "
        f"accuracy {held_against(at_best.val_accuracy, snapshot.rivals)}"
        f"{balanced_accuracy(at_best.val_balanced_accuracy)}, "
        f"{judged(markdown(chosen.run.fit), snapshot.data.get('val_size'))}, best epoch {chosen.run.best_epoch + 1}."
    )
    yield ""
    for line in (*never_recognized(snapshot.unrecognized), *evidence(snapshot)):
        yield f"**{markdown(sentence(line))}**"
        yield ""
    yield from _table(["parameter", "value"], [[name, short(value)] for name, value in chosen.params.items()])
    yield ""
    for line in raced(snapshot.race):
        yield f"{markdown(sentence(line))}"
        yield ""
    ceiling = "" if constraints.max_gap is None else f" or keep to a gap of {constraints.max_gap:g}"
    yield (
        "Trust this choice rather than the dashboard's *Best Trials*: those are the whole front, and ignore noise and "
        f"the race. A run that does not beat the linear baseline{ceiling} is PRUNED, so that it is not among them."
    )
    yield ""
    yield (
        "The dashboard's own *Hyperparameter Importance* is another measure (PED-ANOVA: what sets the best tenth of "
        "the COMPLETE trials apart), without intervals. *What drives the loss and the gap* below is the one that "
        "terminal and report show; it counts stopped runs too, but none that diverged."
    )


def _stand(snapshot: StudySnapshot) -> Iterator[str]:
    rows = stops(snapshot)
    ended = sum(row.trials for row in rows)
    causes = ", ".join(f"{row.trials} {markdown(row.ending)}" for row in rows)
    listed = f": {causes}" if causes else ""
    number = sum(trial.running for trial in snapshot.trials)
    running = f", {number} running" if number else ""
    yield (
        f"**Where it stands:** {ended} of {snapshot.plan.get('trials', ended)} trials ended{running}{listed}. "
        "An overfitted run counts with its best epoch, so its state is COMPLETE: look at `stopped`. "
        "The attribute `best_epoch` counts from 0; what is written here counts from 1."
    )


def _further(snapshot: StudySnapshot) -> Iterator[str]:
    folder, trials = Path(snapshot.plan.get("out", "runs/NAME")), snapshot.plan.get("trials", 0)
    yield (
        f"**To go on:** start the same command again with a larger `--trials` than {trials}; what is here is kept. "
        "With a larger `--epochs`, runs that were still improving go on. "
        "With these tools:"
    )
    yield ""
    elsewhere = snapshot.plan.get("elsewhere", False)
    study = f" --study {shlex.quote(snapshot.name)}  (name the database as for the search)" if elsewhere else ""
    yield f"    gapsearch list {_quoted(folder)}{study}"
    if snapshot.chosen is not None:
        yield f"    gapsearch best {_quoted(folder)}"
        yield f"    gapsearch confirm {_quoted(folder / 'best.yaml')}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + " --- |" * len(header)
    for row in rows:
        yield f"| {' | '.join(markdown(cell) for cell in row)} |"
