"""What the dashboard tells in words: a note for the study, and one for each trial. Markdown."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.choice.constraints import Terms
from search.results.snapshot import Story
from search.results.trial_result import TrialResult

MOST_CLASSES = 10  # that are named
ENDS = {  # what stands before "of 20 epochs"; the rest of a first sentence is the rule's own
    "overfit": "Stopped at",
    "diverged": "Stopped at",
    "hopeless": "Given up at",
    "out_of_memory": "Out of memory after",
    "error": "Failed after",
}


def markdown(text: object) -> str:
    """Shown as it is: no markup, no HTML, no formulas, one line."""
    return re.sub(r"([\\`*_\[\]<>&|~#!$])", r"\\\1", " ".join(str(text).split()))


def trial_note(trial: TrialResult, planned: int, terms: Terms) -> str:
    """In two sentences: how an ended trial ended, and what came of it. planned: epochs of a whole run.

    Each is a paragraph, since the dashboard makes the page as wide as its longest attribute.
    """
    if trial.state == "FAIL":
        return (
            f"Ended after {trial.epochs_run} of {planned} epochs without a result.\n\nIt was interrupted, and its "
            "parameters were queued again, or somebody has ended it from outside."
        )
    return f"{_end(trial, planned)}\n\n{_result(trial, terms)}"


def study_note(story: Story) -> str:
    """What is searched, on what, where it stands, what is chosen and why, and how to go on."""
    return "\n".join(
        [
            f"# {markdown(story.name)}",
            "",
            *_searched(story),
            "",
            *_chosen(story),
            "",
            *_stand(story),
            "",
            *_further(story),
        ]
    )


def _end(trial: TrialResult, planned: int) -> str:
    if trial.stopped == "finished":
        best = "the last was" if trial.best_epoch == trial.epochs_run - 1 else f"epoch {_best(trial)} was"
        return f"Trained for all {trial.epochs_run} epochs; {best} its best."
    begin = ENDS.get(trial.stopped or "", "Ended after")
    reason = f": {markdown(trial.reason).rstrip('.')}" if trial.reason else ""
    return f"{begin} epoch {trial.epochs_run} of {planned}{reason}."


def _result(trial: TrialResult, terms: Terms) -> str:
    if trial.best_epoch is None or trial.val_loss is None or trial.gap is None:
        return "No epoch gave a finite loss: it counts as infeasible and is never chosen."
    if trial.stopped not in ("finished", "overfit", "diverged"):
        return f"Its figures are those of epoch {_best(trial)}, the best so far: it takes no part in the choice."
    kept = "" if trial.stopped == "finished" else "Best epoch kept: "
    if trial.chosen:
        return _sentence(f"{kept}it is the chosen one.")
    if trial.front:
        return _sentence(f"{kept}it is on the front.")
    if trial.val_loss >= terms.baseline_loss:
        return f"It is no better than the linear baseline ({terms.baseline_loss:.4f}) and never chosen."
    if terms.max_gap is not None and trial.gap > terms.max_gap:
        return f"Its gap, {trial.gap:.4f}, is above the ceiling of {terms.max_gap:g}: it is never chosen."
    if trial.state == "PRUNED":
        return f"Its best epoch, {_best(trial)}, is clearly beaten by another run in both loss and gap."
    return _sentence(f"{kept}another run is at least as good in both loss and gap.")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _best(trial: TrialResult) -> int:
    """Best epoch, counted from 1."""
    return (trial.best_epoch or 0) + 1


def _searched(story: Story) -> Iterator[str]:
    data, space = story.data, story.settings.get("space")
    if not data:
        return
    channels, height, width = data["shape"]
    classes = [markdown(name) for name in data["classes"][:MOST_CLASSES]]
    more = len(data["classes"]) - len(classes)
    yield (
        f"**Searched:** {_ranges(story) or 'hyperparameters'}, of the space {markdown(space)}, for a low validation "
        "loss and a small gap between it and the training loss."
    )
    yield ""
    yield (
        f"**On:** {markdown(data['name'])}, {data['train_size']:,} images to train on and {data['val_size']:,} to "
        f"validate on, {height}x{width}x{channels}, {len(data['classes'])} classes: {', '.join(classes)}"
        + (f" and {more} more." if more else ".")
    )


def _ranges(story: Story) -> str:
    ranges: dict[str, BaseDistribution] = {}
    for trial in story.finished:
        ranges |= trial.distributions
    return ", ".join(f"{markdown(name)} {_range(of)}" for name, of in ranges.items())


def _range(distribution: Any) -> str:  # noqa: ANN401
    if isinstance(distribution, CategoricalDistribution):
        return " / ".join(markdown(choice) for choice in distribution.choices)
    return f"{distribution.low:g} to {distribution.high:g}"


def _chosen(story: Story) -> Iterator[str]:
    chosen = next((trial for trial in story.trials if trial.chosen), None)
    if chosen is None or chosen.val_loss is None or chosen.gap is None or chosen.val_accuracy is None:
        yield "**Chosen at present:** none. No trial yet beats the linear baseline within what is asked for."
        return
    yield (
        f"**Chosen at present: trial {chosen.number}**, {markdown(story.because)}: val\\_loss {chosen.val_loss:.4f} ± "
        f"{chosen.val_loss_se:.4f} (linear baseline {story.terms.baseline_loss:.4f}), gap {chosen.gap:.4f} ± "
        f"{chosen.gap_se:.4f}, accuracy {chosen.val_accuracy:.1%}, {markdown(chosen.fit)}, best epoch {_best(chosen)}."
    )
    yield ""
    yield from _table(["parameter", "value"], [[name, _short(value)] for name, value in chosen.params.items()])
    yield ""
    yield (
        "Trust this choice rather than the dashboard's *Best Trials*: those ignore that a run must beat the linear "
        "baseline" + ("" if story.terms.max_gap is None else f" and keep to a gap of {story.terms.max_gap:g}") + "."
    )


def _stand(story: Story) -> Iterator[str]:
    states = Counter(trial.state for trial in story.trials)
    stops = Counter(trial.stopped for trial in story.trials if trial.state in ("COMPLETE", "PRUNED"))
    listed = ", ".join(f"{count} {markdown(stopped)}" for stopped, count in stops.most_common())
    running = f", {states['RUNNING']} running" if states["RUNNING"] else ""
    yield (
        f"**Where it stands:** {stops.total()} of {story.plan.get('trials', stops.total())} trials ended{running}"
        + (f": {listed}" if listed else "")
        + ". An overfitted run counts with its best epoch, so its state is COMPLETE: look at `stopped`."
    )


def _further(story: Story) -> Iterator[str]:
    folder, trials = str(story.plan.get("out", "runs/NAME")), story.plan.get("trials", 0)
    quoted = shlex.quote(folder)
    yield (
        f"**To go on:** start the same command again with a larger `--trials` than {trials}; what is here is kept. "
        "With these tools:"
    )
    yield ""
    commands = [f"list {quoted}"]
    if story.chosen is not None:
        commands += [f"best {quoted}", f"confirm {shlex.quote(folder + '/best.yaml')}"]
    for command in commands:
        yield f"    python -m search {command}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + " --- |" * len(header)
    for row in rows:
        yield f"| {' | '.join(markdown(cell) for cell in row)} |"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
