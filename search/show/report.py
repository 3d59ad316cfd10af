"""report.html: one file that tells of a search to somebody who was not there, offline, on a phone and on paper."""

import base64
import gzip
import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from search.choice.choose import nearest
from search.errors import UserError
from search.files import replace_file
from search.insight import sentences
from search.insight.confirmed import verdicts
from search.insight.doubts import because, beside, never_recognized
from search.insight.evidence import evidence, judged
from search.insight.fit_regimes import regimes, strongest_parameters
from search.insight.imbalance import imbalance
from search.insight.sentences import (
    bounds,
    cost_of_a_smaller_gap,
    nothing_closed_the_gap,
    underfitting,
    what_closed_the_gap,
)
from search.insight.stops import stops
from search.insight.tradeoff import tradeoff
from search.insight.worth import calibrated, source
from search.results import best_yaml
from search.results.schema import FROM_BEST
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult, ranked
from search.settings import DEFAULT_SPACE, FOLDER
from search.show.best import images_flag
from search.show.confusion import MOST_NAMED, MOST_WRITTEN
from search.show.epochs_trained import epochs_trained
from search.show.importance import importance
from search.show.learning_curves import learning_curves
from search.show.loss_against_gap import loss_against_gap
from search.show.mistakes import mistakes, suspects
from search.show.regime_map import regime_map
from search.show.reliability import reliability_of
from search.show.slices import slices
from search.show.text import plural, sentence, short
from search.show.theme import marker_of
from search.show.trial_table import FIGURES, STATE, TRIAL, filled, parameter, parameter_names
from search.start_weights import KEPT, NONE
from search.stopping.stopped import Stopped

NAME = "report.html"
MOST_CLASSES = 100  # that are named
MEANING: dict[str, str] = {  # of each cause that ends a trial
    Stopped.FINISHED: "all epochs are done, or those that there was time for",
    Stopped.OVERFIT: "validation loss rose from its best while training loss still fell; the best epoch is kept",
    Stopped.HOPELESS: "could not reach the useful runs any more; stopped before its best",
    Stopped.DIVERGED: "a loss was not finite, or far above that of guessing",
    Stopped.OUT_OF_MEMORY: "twice, the second time with nothing beside it",
    Stopped.HUNG: "twice no sign of life for too long (--hang-after); set aside",
    Stopped.CANCELLED: "ended by hand",
    Stopped.INTERRUPTED: "by Ctrl-C or the time limit; it is queued again",
    Stopped.ERROR: "the network or its training failed",
}


def write_report(folder: Path, snapshot: StudySnapshot) -> Path:
    """Write report.html into the run folder. Returns its path.

    Raises UserError where it cannot be written.
    """
    path = folder / NAME
    text = render(snapshot, _exported(folder, snapshot), folder)
    try:
        replace_file(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; see to the disk and its permissions") from error
    return path


def render(snapshot: StudySnapshot, exported: Mapping[str, Any] | None = None, folder: Path | None = None) -> str:
    """The report as HTML. exported: the content of best.yaml, where there is one of the chosen trial.

    folder: the run folder where it lies now; None for where the search wrote it.
    """
    place = run_folder(snapshot) if folder is None else folder.as_posix()
    ended, parameters = snapshot.ended, strongest_parameters(snapshot.ended)
    return _environment().get_template("report.html").render(
        snapshot=snapshot,
        written=datetime.now(UTC),
        ended=len(ended),
        running=sum(trial.running for trial in snapshot.trials),
        planned=snapshot.plan.get("trials"),
        chosen=snapshot.chosen_trial,
        because=because(snapshot),
        rivals=beside(snapshot.rivals),
        warnings=[sentence(line) for line in (*never_recognized(snapshot.unrecognized), *evidence(snapshot))],
        imbalance=[sentence(line) for line in imbalance(snapshot.data, bool(snapshot.settings.get("balance")))],
        nearest=nearest(snapshot.reached, snapshot.constraints),
        exported=exported,
        **_of_the_exported(exported or {}, folder),
        lessons=_lessons(ended),
        drivers=[sentence(line) for line in sentences.importance(ended)],
        **_tables(snapshot),
        tradeoff=tradeoff(ended),
        smaller_gap=cost_of_a_smaller_gap(ended),
        graphs=_graphs(snapshot, parameters),
        slices=[_graph(figure) for figure in slices(snapshot)],
        mistakes=[] if folder is None else mistakes(folder, exported),
        suspects=None if folder is None else suspects(folder, exported),
        regimes=regimes(ended, parameters),
        parameters=parameters,
        stops=stops(snapshot),
        meaning=MEANING,
        key={ending: marker_of(ending) for ending in sorted({trial.ending for trial in ended})},
        folder=shlex.quote(place),
        search_call=search_call(snapshot, place),
        plotly=_packed_plotly(),
    )  # fmt: skip


def _of_the_exported(exported: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """What best.yaml and the files beside it say of the weights taken home. exported: empty where there is none."""
    calibration = exported.get("calibration")
    return {
        "images_flag": images_flag(exported) if exported else "",
        "confirmation": exported.get("confirmation"),
        "verdicts": _verdicts(exported),
        "calibrated": sentence(calibrated(calibration)) if calibration else None,
        "reliability": _graph(reliability_of(folder, exported)) if folder else None,
    }


def _tables(snapshot: StudySnapshot) -> dict[str, Any]:
    """The front and all trials, and the columns of each."""
    trials = [trial for trial in snapshot.trials if not trial.replaced]
    return {
        "front": ranked([trial for trial in trials if trial.front]),
        "columns": filled((TRIAL, *FIGURES), trials),
        "trials": ranked(trials),
        "all_columns": filled((TRIAL, *FIGURES, STATE, *map(parameter, parameter_names(trials))), trials),
    }


def _graphs(snapshot: StudySnapshot, parameters: Sequence[str]) -> dict[str, Markup | None]:
    """All but the slices. parameters: the axes of the map of fit regimes."""
    return {
        "loss_against_gap": _graph(loss_against_gap(snapshot)),
        "learning_curves": _graph(learning_curves(snapshot)),
        "importance": _graph(importance(snapshot)),
        "regime_map": _graph(regime_map(snapshot, parameters)),
        "epochs_trained": _graph(epochs_trained(snapshot)),
    }


def run_folder(snapshot: StudySnapshot) -> str:
    """The run folder as commands name it; of an absolute path its last part, since that folder may have moved."""
    out = Path(snapshot.plan.get("out", f"runs/{snapshot.name}"))
    return out.name if out.is_absolute() else out.as_posix()


def search_call(snapshot: StudySnapshot, place: str) -> str:
    """Python code that starts the same search anew. place: the run folder."""
    settings = snapshot.settings
    folder = settings.get("dataset") == FOLDER
    begun_with = {trial.start for trial in snapshot.trials} - {None}
    arguments = {
        "name": snapshot.name,
        "dataset": settings.get("dataset"),
        "data_root": _data_root(snapshot),
        "image_size": settings.get("image_size") if folder else None,
        "space": _space(snapshot, place),
        "ranges": {name: tuple(ends) for name, ends in settings.get("ranges", {}).items()} or None,
        "start": None if begun_with - {FROM_BEST} else False,
        "start_from": "PATH/best.yaml" if FROM_BEST in begun_with else None,
        "trials": snapshot.plan.get("trials"),
        "epochs": snapshot.plan.get("epochs"),
        "timeout": snapshot.plan.get("timeout"),
        "race": None if snapshot.plan.get("race", True) else False,
        "weights": _weights(settings.get("weights"), place),
        **{name: settings.get(name) for name in ("train_size", "val_size", "seed", "max_gap", "balance", "flip")},
        "out": "runs/again",
    }
    lines = [f"    {name}={value!r}," for name, value in arguments.items() if value is not None]
    return "\n".join(["from search import Search", "", "Search(", *lines, ").run()"])


def _data_root(snapshot: StudySnapshot) -> str | None:
    """As an argument; None for the default one, and for images that come with a package."""
    if snapshot.settings.get("dataset") == FOLDER:
        return snapshot.plan.get("data_root", "DIR")
    place = snapshot.plan.get("data_root", "data")
    return None if place == "data" else place


def _space(snapshot: StudySnapshot, place: str) -> str | None:
    """As an argument; None for the default one. A file's copy lies in the run folder."""
    space = snapshot.settings.get("space", DEFAULT_SPACE)
    if snapshot.settings.get("space_fingerprint"):
        return f"{place}/{space}"
    return None if space == DEFAULT_SPACE else space


def _weights(recorded: str | None, place: str) -> str | None:
    """As an argument. recorded: what the study knows of them. A file's copy lies in the run folder."""
    return recorded if recorded in (None, NONE) else f"{place}/{KEPT}"


def _lessons(trials: Sequence[TrialResult]) -> list[str]:
    """The sentences at the top: what closed the gap, where the space is too narrow, whether everything underfits."""
    lessons = [
        *underfitting(trials),
        *what_closed_the_gap(trials),
        *nothing_closed_the_gap(trials),
        *bounds(trials),
    ]
    return [sentence(lesson) for lesson in lessons]


def _verdicts(exported: Mapping[str, Any]) -> list[str]:
    """What a confirmation says, where there is one. exported: the content of best.yaml."""
    confirmation = exported.get("confirmation")
    return [sentence(line) for line in verdicts(exported["metrics"], confirmation)] if confirmation else []


def _exported(folder: Path, snapshot: StudySnapshot) -> dict[str, Any] | None:
    """The content of best.yaml, unless it is missing, broken, or of a trial chosen before."""
    try:
        content = best_yaml.read(folder / "best.yaml")
    except UserError:
        return None
    return content if content["trial"] == snapshot.chosen else None


def _graph(figure: go.Figure | None) -> Markup | None:
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
    environment.globals |= {"MOST_CLASSES": MOST_CLASSES, "MOST_WRITTEN": MOST_WRITTEN, "MOST_NAMED": MOST_NAMED}
    environment.filters |= {
        "figure": _figure,
        "graph": _graph,
        "judged": judged,
        "percent": _percent,
        "plural": plural,
        "short": short,
        "source": source,
        "with_minus": _with_minus,
    }
    return environment


def _figure(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else _with_minus(f"{value:.4f}")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _with_minus(figures: str) -> str:
    """Figures with the sign for minus, as long as the one for plus, in place of a hyphen."""
    return figures.replace("-", "−")
