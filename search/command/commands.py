"""The commands of `gapsearch`: each takes its options and returns an exit code, 0 where all is well.

What takes long to import is imported in the functions, so that --help answers at once.
"""

import csv
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import UserError, one_line, printable

if TYPE_CHECKING:
    from search.api import Search
    from search.results.snapshot import StudySnapshot
    from search.results.trial_result import TrialResult


def run(dataset: str, **flags: Any) -> int:  # noqa: ANN401
    """Search on `dataset`, a data set's name or a folder of images; `flags` are those that were given."""
    _search(dataset, flags).run()
    return 0


def check(dataset: str, **flags: Any) -> int:  # noqa: ANN401
    """See whether the networks of a space can memorize a few images of `dataset`; 1 where they cannot."""
    search = _search(dataset, flags)

    from search.engine import launch

    return 0 if launch.check(search) else 1


def best(place: Path) -> int:
    """Show the best.yaml at `place`, or in the run folder `place`."""
    from search.results.best_yaml import best_file, read
    from search.show.best import describe

    path = best_file(place)
    print("\n".join(map(one_line, describe(read(path), path))))
    return 0


def list_trials(place: Path, storage: str | None, study: str | None, csv: bool) -> int:
    """Show all trials of the search in the run folder `place`, or beside the best.yaml `place`."""
    from search.results.best_yaml import run_folder
    from search.results.run_folder import Result
    from search.results.trial_result import ranked

    trials = ranked([trial for trial in Result(run_folder(place), storage, study).trials if not trial.replaced])
    if csv:
        _write_csv(trials)
    else:
        _show([*_table(trials), *_legend(trials)])
    return 0


def report(place: Path, storage: str | None, study: str | None) -> int:
    """Write the report of the search in the run folder `place`, or beside the best.yaml `place`."""
    from search.results.best_yaml import run_folder
    from search.show.report import write_report
    from search.show.text import plural

    folder = run_folder(place)
    snapshot = _snapshot(folder, storage, study)
    trials = sum(not trial.replaced for trial in snapshot.trials)
    print(f"{plural(trials, 'trial')}, {len(snapshot.ended)} of them ended", flush=True)  # the rest takes seconds
    print(printable(f"written: {write_report(folder, snapshot)}"))
    return 0


def compare(places: Sequence[Path]) -> int:
    """Show the searches in these run folders, or beside these best.yaml, side by side."""
    from search.results.best_yaml import run_folder
    from search.show.compare import compare as compared

    folders = list(dict.fromkeys(map(run_folder, places)))
    if len(folders) < 2:
        raise UserError("compare wants two run folders or more, such as runs/digits runs/again")
    searches = {str(folder): _snapshot(folder, None, _study_name(folder)) for folder in folders}
    print("\n".join(map(one_line, compared(searches))))
    return 0


def dashboard(place: Path, storage: str | None, port: int) -> int:
    """Serve the Optuna dashboard of the search in the run folder `place`, or beside the best.yaml `place`."""
    from search.results.best_yaml import run_folder
    from search.show.server import serve

    serve(run_folder(place), storage, port)
    return 0


def cache(clear: bool) -> int:
    """Show how much the image cache holds, or empty it, with what was tried out on this machine."""
    from search.data.cache import cache_folder
    from search.data.cache_room import LIMIT, entries, make_room
    from search.show.text import plural
    from search.workers.remembered import forget

    if clear:
        make_room(0)
        forget()
    sizes = entries()
    kept = "; what a search uses now stays" if clear and sizes else ""
    print(
        f"{cache_folder()}: {plural(len(sizes), 'set')} of images, {sum(sizes.values()) / 1e6:,.1f} MB{kept} "
        f"(at most {LIMIT / 1e9:.0f} GB; what was used least recently goes first)"
    )
    return 0


def train(place: Path, data_root: Path | None, device: str | None) -> int:
    """Train a best.yaml, or that of a run folder, again; 1 where it does not give the recorded figures."""
    from search.results.best_yaml import best_file, load
    from search.use.retrain import retrain

    path = best_file(place)
    return 0 if retrain(path, data_root, device or load(path).environment["device"]) else 1


def confirm(
    place: Path,
    data_root: Path | None,
    device: str | None,
    seeds: int,
    top: int,
    storage: str | None,
    ray: str | None,
) -> int:
    """Train a best.yaml, or that of a run folder, with fresh seeds and measure it on the test split."""
    for name, value in (("seeds", seeds), ("top", top)):
        if value < 1:
            raise UserError(f"--{name} is {value}; it must be at least 1")

    from search.results.best_yaml import best_file, load
    from search.use import confirm as confirmation

    path = best_file(place)
    confirmation.confirm(path, data_root, device or load(path).environment["device"], seeds, top, storage, ray)
    return 0


def labels(place: Path, data_root: Path | None, device: str | None, networks: int, storage: str | None) -> int:
    """Find the images whose labels look wrong, of those that a best.yaml, or that of a run folder, was found on."""
    if networks < 1:
        raise UserError(f"--networks is {networks}; it must be at least 1")

    from search.results.best_yaml import best_file, load
    from search.use import labels as judging

    path = best_file(place)
    judging.labels(path, data_root, device or load(path).environment["device"], networks, storage)
    return 0


def refit(place: Path, data_root: Path | None, device: str | None, seeds: int, anneal: bool, ray: str | None) -> int:
    """Train a best.yaml, or that of a run folder, on train and validation images together; writes final.yaml."""
    if seeds < 1:
        raise UserError(f"--seeds is {seeds}; it must be at least 1")

    from search.results.best_yaml import best_file, load
    from search.use import refit as refitting

    path = best_file(place)
    refitting.refit(path, data_root, device or load(path).environment["device"], seeds, anneal=anneal, ray=ray)
    return 0


def predict(place: Path, images: Sequence[Path], out: Path | None) -> int:
    """Classify images with a best.yaml, or that of a run folder; 1 where some cannot be read.

    The rows go to the file `out`, or to stdout where it is None, all else to stderr.
    """
    from search.command.classify import classify
    from search.results.best_yaml import best_file, load
    from search.use.targets import check_target

    path = best_file(place)
    if out is not None:
        check_target(out, path)
    return classify(load(path), images, out)


def export(place: Path, format: str, out: Path | None) -> int:
    """Write the network of a best.yaml, or that of a run folder, in a format for other programs."""
    from search.results.best_yaml import best_file
    from search.use import export as exporting

    exporting.export(best_file(place), format, out)
    return 0


def _study_name(folder: Path) -> str | None:
    """Of the search in a run folder, by its best.yaml; None where that is not there yet. Raises UserError."""
    from search.results.best_yaml import read

    path = folder / "best.yaml"
    return str(read(path)["study"]) if os.path.lexists(path) else None


def _snapshot(folder: Path, storage: str | None, study: str | None) -> "StudySnapshot":
    """The search in `folder` as it is now."""
    from search.results.snapshot import read_snapshot
    from search.results.storage import open_study, storage_url

    with open_study(storage_url(folder, storage), study) as stored:
        return read_snapshot(stored)


def _search(dataset: str, flags: dict[str, Any]) -> "Search":
    """On `dataset`, with the flags that were given. Raises UserError."""
    from search.command.flags import search_of
    from search.command.presets import preset

    study = preset(dataset)
    if "data_root" in study and "data_root" in flags:
        raise UserError(f"the images are those in {dataset}; leave --data-root out")
    return search_of(study, flags)


def _table(trials: Sequence["TrialResult"]) -> list[str]:
    """A header and one line for each trial; of the parameters those that differ between trials."""
    from search.show.trial_table import CHOSEN, FIGURES, FRONT, STATE, TRIAL, parameter, parameter_names, table

    names = parameter_names(trials)
    if len(trials) > 1:
        names = [name for name in names if len({str(trial.params.get(name)) for trial in trials}) > 1]
    return table(trials, (CHOSEN, TRIAL, *FIGURES, STATE, FRONT, *map(parameter, names)))


def _legend(trials: Sequence["TrialResult"]) -> list[str]:
    from search.show.text import plural

    counts = Counter(trial.stopped or trial.state.lower() for trial in trials)
    listed = ", ".join(f"{count} {ending}" for ending, count in counts.most_common()) or "none yet"
    chosen = "; -> is the chosen one" if any(trial.chosen for trial in trials) else ""
    return ["", f"{plural(len(trials), 'trial')}: {listed}{chosen}"]


def _show(lines: Sequence[str]) -> None:
    """On a terminal, lines end at its edge and overfitted runs stand out: their state COMPLETE hides it."""
    if not sys.stdout.isatty():
        print("\n".join(lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        text = Text(line)
        text.highlight_regex(r"(?<!partial )(?<!true )overfit ", "bold yellow")  # `stopped`, not `fit`
        console.print(text, no_wrap=True, overflow="crop", crop=True)


def _write_csv(trials: Sequence["TrialResult"]) -> None:
    from search.show.trial_table import parameter_names

    rows = [trial.figures() for trial in trials]
    figures = list(dict.fromkeys(name for row in rows for name in row))
    names = parameter_names(trials)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*figures, *map(printable, names)])
    for trial, row in zip(trials, rows, strict=True):
        cells = [row.get(name) for name in figures] + [trial.params.get(name) for name in names]
        writer.writerow([printable(cell) if isinstance(cell, str) else cell for cell in cells])
