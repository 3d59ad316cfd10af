"""report.html: one file that tells of a search to somebody who was not there, offline, on a phone and on paper."""

import base64
import gzip
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from search.choice.choose import nearest
from search.choice.pareto import front
from search.errors import UserError
from search.insight import sentences as findings
from search.insight.tradeoff import price_list
from search.results import best_yaml as best
from search.results.snapshot import Story
from search.results.trial_result import TrialResult
from search.show import fit_regimes, slices
from search.show.epochs import epochs_spent
from search.show.importance import drivers
from search.show.learning_curves import curves
from search.show.loss_against_gap import loss_against_gap
from search.show.theme import ending, look
from search.stopping.stopped import Stopped

if TYPE_CHECKING:
    import plotly.graph_objects as go


NAME = "report.html"
MOST_CLASSES = 100  # named
FLAGS = ("train_size", "val_size", "seed", "max_gap", "flip")
MEANING = {
    Stopped.FINISHED: "all epochs are done",
    Stopped.OVERFIT: "validation loss rose from its best while training loss still fell; the best epoch is kept",
    Stopped.HOPELESS: "could not reach the useful runs any more; stopped before its best",
    Stopped.DIVERGED: "a loss was not finite, or far above that of guessing",
    Stopped.OUT_OF_MEMORY: "twice, the second time with nothing beside it",
    Stopped.CANCELLED: "ended by hand",
    Stopped.ERROR: "the network or its training failed",
}


@dataclass(frozen=True)
class Stops:
    """The ended trials that one reason stopped, and their epochs."""

    reason: str
    meaning: str
    trials: int
    trained: int
    saved: int


def write(folder: Path, story: Story) -> Path:
    """Write report.html into the run folder; a reader never sees half of it. Returns its path.

    Raises UserError where it cannot be written.
    """
    path, scratch = folder / NAME, folder / f"{NAME}.tmp"
    text = render(story, _best_of(folder, story))
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; see to the disk and its permissions") from error
    return path


def render(story: Story, exported: Mapping[str, Any] | None = None) -> str:
    """The report as HTML. exported: the content of best.yaml, where there is one of the chosen trial."""
    chosen = next((trial for trial in story.trials if trial.chosen), None)
    by_number = {trial.number: trial for trial in story.trials}
    ended = ended_trials(story)
    knobs = fit_regimes.strongest(story)
    return _environment().get_template("report.html").render(
        story=story,
        written=datetime.now(UTC),
        ended=len(ended),
        running=sum(trial.state == "RUNNING" for trial in story.trials),
        planned=story.plan.get("trials"),
        chosen=chosen,
        config=_config(story),
        nearest=nearest(story.runs, story.terms),
        exported=exported,
        confirmation=(exported or {}).get("confirmation"),
        lessons=_lessons(story),
        front=[by_number[run.number] for run in front(story.runs)],
        prices=[(price, by_number[run.number]) for price, run in price_list(story.runs)],
        priced=findings.prices(story.runs),
        graphs={
            "loss_against_gap": _graph(loss_against_gap(story)),
            "curves": _graph(curves(story)),
            "drivers": _graph(drivers(story)),
            "regimes": _graph(fit_regimes.regime_map(story, knobs)),
            "epochs": _graph(epochs_spent(story)),
        },
        slices=[_graph(figure) for figure in slices.slices(story)],
        regimes=fit_regimes.regimes(story, knobs),
        knobs=knobs,
        stops=stops(story),
        key={stopped: look(stopped) for stopped in sorted({ending(trial) for trial in ended})},
        run=run_folder(story),
        search=search_call(story),
        plotly=_packed_plotly(),
    )  # fmt: skip


def ended_trials(story: Story) -> list[TrialResult]:
    """Those with a result, if only that they have none."""
    return [trial for trial in story.trials if trial.state in ("COMPLETE", "PRUNED")]


def stops(story: Story) -> list[Stops]:
    """Why trials ended, most frequent first, with the epochs that this saved."""
    ended = ended_trials(story)
    planned = max([story.plan.get("epochs", 0), *(trial.epochs_run for trial in ended)], default=0)
    counts = Counter(ending(trial) for trial in ended)
    trained = {reason: sum(t.epochs_run for t in ended if ending(t) == reason) for reason in counts}
    return [
        Stops(reason, MEANING.get(Stopped(reason), ""), count, trained[reason], count * planned - trained[reason])
        for reason, count in counts.most_common()
    ]


def run_folder(story: Story) -> str:
    """The run folder as commands name it; of an absolute path its last part, since that folder may have moved."""
    out = Path(story.plan.get("out", f"runs/{story.name}"))
    return out.name if out.is_absolute() else out.as_posix()


def search_call(story: Story) -> str:
    """Python code that starts the same search anew."""
    settings = story.settings
    dataset, space = settings.get("data set"), str(settings.get("space", "spaces.cnn"))
    file, _, fingerprint = space.partition(" of fingerprint ")
    arguments = {
        "name": story.name,
        "dataset": dataset,
        "data_root": "DIR" if dataset == "folder" else None,
        "image_size": settings.get("--image-size") if dataset == "folder" else None,
        "space": f"{run_folder(story)}/{file}" if fingerprint else None if space == "spaces.cnn" else space,
        "ranges": {name: tuple(bounds) for name, bounds in settings.get("ranges", {}).items()} or None,
        "trials": story.plan.get("trials"),
        "epochs": story.plan.get("epochs"),
        **{flag: settings.get("--" + flag.replace("_", "-")) for flag in FLAGS},
        "out": "runs/again",
    }
    lines = [f"    {name}={value!r}," for name, value in arguments.items() if value is not None]
    return "\n".join(["from search import Search", "", "Search(", *lines, ").run()"])


def _lessons(story: Story) -> list[str]:
    """The sentences at the top: what closed the gap, where the space is too narrow, whether everything underfits."""
    finished, runs = story.finished, story.runs
    sentences = [
        *findings.underfitting(finished, runs),
        *findings.gap_closers(finished),
        *findings.nothing_closed_the_gap(finished),
        *findings.bounds(finished, runs),
    ]
    return [sentence[0].upper() + sentence[1:] + "." for sentence in sentences]


def _config(story: Story) -> dict[str, Any]:
    """The chosen trial's whole configuration: what was drawn, and what its space added."""
    configs = (trial.user_attrs.get("config", trial.params) for trial in story.finished if trial.number == story.chosen)
    return next(configs, {})


def _best_of(folder: Path, story: Story) -> dict[str, Any] | None:
    """best.yaml, unless it is missing, broken, or of a trial chosen before."""
    try:
        content = best.read(folder / "best.yaml")
    except UserError:
        return None
    return content if content["trial"] == story.chosen else None


def _graph(figure: "go.Figure | None") -> Markup | None:
    """A figure as JSON that no text in it can turn into markup of the page."""
    return None if figure is None else Markup(figure.to_json().replace("<", "\\u003c"))


def _packed_plotly() -> Markup:
    """plotly.js for the page, from 4.8 MB to 2.0."""
    from plotly.offline import get_plotlyjs

    return Markup(base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode())


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("search.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["MOST_CLASSES"] = MOST_CLASSES
    environment.filters |= {"figure": _figure, "measured": _measured, "percent": _percent, "short": _short}
    return environment


def _figure(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.4f}".replace("-", "−")


def _measured(trial: TrialResult, name: str) -> str:
    """A figure of a trial with its standard error."""
    return f"{_figure(getattr(trial, name))} ± {_figure(getattr(trial, name + '_se'))}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
