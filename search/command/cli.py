"""The command line of `gapsearch` and `python -m search`, and how every command line here ends."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from search.command import commands
from search.command.flags import STORAGE_UNSET, add_check_flags, add_flags, purpose, read_storage
from search.command.presets import BY_DATASET, PRESETS, preset
from search.errors import SearchInterrupted, UserError, one_line, printable
from search.log import show_log
from search.settings import FOLDER

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]


BAD_INPUT = 2
EXPORTED = ("onnx", "torch", "safetensors")


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line, and help that no folder's name can disturb."""

    def format_help(self) -> str:
        """What --help shows."""
        return printable(super().format_help())

    def error(self, message: str) -> NoReturn:
        """Raise UserError; `guarded` prints it."""
        raise UserError(f"{message}; see --help")


def guarded(command: Callable[[], int]) -> int:
    """Run a command; its exit code.

    2 after bad input, 128 and the number of the signal after Ctrl-C (130) or SIGTERM (143); each with one line on
    stderr.
    """
    try:
        code = command()
        sys.stdout.flush()  # so that a broken pipe shows here
        return code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except SearchInterrupted as error:
        return _interrupted(error.signal, error.stand)
    except KeyboardInterrupt:
        return _interrupted(signal.SIGINT)
    except BrokenPipeError:  # the reader of our output has gone, `head` perhaps
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = "" if error.filename is None else f"cannot use {one_line(os.fsdecode(error.filename))}: "
        print(f"error: {place}{error.strerror or one_line(str(error))}", file=sys.stderr)
        return BAD_INPUT


def _interrupted(number: int, stand: str | None = None) -> int:
    print(f"interrupted: {stand}" if stand else "interrupted", file=sys.stderr)
    return 128 + number


def main(arguments: Sequence[str] | None = None, program: str = "gapsearch") -> int:
    """Run one command; `program` is how it was started, for --help."""
    return guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments, program))


def _run(arguments: Sequence[str], program: str) -> int:
    parser = Parser(prog=program, description="Search a configuration, and use what a search has found.")
    parser.add_argument("--version", action="version", version=f"gapsearch {_version()}")
    to = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    study = _named_study(arguments)
    _add_run(to, study)
    _add_check(to, study)
    shows = (_add_best, _add_list, _add_compare, _add_dashboard, _add_report)
    uses = (_add_train, _add_confirm, _add_labels, _add_refit, _add_predict, _add_export)
    for add in (*shows, *uses, _add_cache):
        add(to)
    options = vars(parser.parse_args(arguments))
    del options["command"]
    run: Callable[..., int] = options.pop("run")
    show_log()
    return run(**options)


def _version() -> str:
    try:
        return version("gapsearch")
    except PackageNotFoundError:
        return "(not installed)"


def _named_study(arguments: Sequence[str]) -> dict[str, Any]:
    """The settings whose defaults `run --help` shows: those of `run DATASET`, or else what most data sets have."""
    if len(arguments) > 1 and arguments[0] in ("run", "check") and not arguments[1].startswith("-"):
        return preset(arguments[1])
    return PRESETS[FOLDER] | {"name": "NAME"}


def _add_run(to: "Commands", study: dict[str, Any]) -> None:
    text = "search a configuration"
    run = _add(to, "run", commands.run, text, purpose("a data set or a folder of images"), "digits --trials 20")
    run.epilog = f"{run.epilog}; {run.prog} digits --help shows the defaults for digits"
    _add_dataset(run)
    add_flags(run, study)


def _add_check(to: "Commands", study: dict[str, Any]) -> None:
    text = "see whether the networks of a space can overfit at all"
    about = (
        f"{text}: the largest and the smallest are trained on 20 images without regularization, with true and with "
        "random labels, for at most 300 steps. Exits 1 where one cannot memorize them, and names it."
    )
    check = _add(to, "check", commands.check, text, about, "digits --space my_space.py")
    _add_dataset(check)
    add_check_flags(check, study)


def _add_dataset(parser: Parser) -> None:
    names = ", ".join(BY_DATASET)
    parser.add_argument(
        "dataset", metavar="DATASET|FOLDER", help=f"{names}; or a folder that holds a folder of images for each class"
    )


def _add_best(to: "Commands") -> None:
    text = "show the chosen configuration"
    best = _add(to, "best", commands.best, text, f"{text}, its figures, and why it was chosen.", "runs/digits")
    _add_place(best)


def _add_list(to: "Commands") -> None:
    text = "list all trials"
    about = f"{text} by validation loss, those that may be chosen first; also while the search is running."
    trials = _add(to, "list", commands.list_trials, text, about, "runs/digits")
    _add_study_flags(trials)
    trials.add_argument(
        "--csv", action="store_true", help="every figure and parameter, for a spreadsheet (default: a table)"
    )


def _add_compare(to: "Commands") -> None:
    text = "show searches side by side"
    about = f"{text}: what each chose, what to expect of it, what it cost, and whether their losses may be compared."
    searches = _add(to, "compare", commands.compare, text, about, "runs/digits runs/again")
    searches.add_argument("places", type=Path, nargs="+", metavar="RUN", help="run folder, or the best.yaml in it")


def _add_dashboard(to: "Commands") -> None:
    text = "watch a search in the Optuna dashboard"
    about = f"{text}, on this machine alone; while it runs, and afterwards. Ctrl-C ends it."
    dashboard = _add(to, "dashboard", commands.dashboard, text, about, "runs/digits")
    _add_place(dashboard)
    _add_storage(dashboard)
    dashboard.add_argument("--port", type=int, default=8080, metavar="P", help="to listen on (default: 8080)")


def _add_report(to: "Commands") -> None:
    text = "write report.html"
    about = f"{text} into the run folder: one file that tells of the search, offline; also while it is running."
    _add_study_flags(_add(to, "report", commands.report, text, about, "runs/digits"))


def _add_train(to: "Commands") -> None:
    text = "train the configuration of a best.yaml again"
    about = (
        f"{text}: to the last digit on a CPU, and within 5% of the recorded validation loss on CUDA. "
        "Exits 1 where it comes out otherwise."
    )
    train = _add(to, "train", commands.train, text, about, "runs/digits/best.yaml")
    _add_retraining_flags(train)


def _add_confirm(to: "Commands") -> None:
    text = "measure the chosen configuration on the test split"
    about = (
        f"{text}, which the search never saw, after training it with fresh seeds; tells luck and the split apart, "
        "names the worst classes, and writes the figures into best.yaml and the report."
    )
    confirm = _add(to, "confirm", commands.confirm, text, about, "runs/digits/best.yaml --top 3")
    _add_retraining_flags(confirm)
    confirm.add_argument("--seeds", type=int, default=5, metavar="N", help="trainings of each (default: 5)")
    what = "configurations: the chosen one, the one of lowest recorded loss, the runners-up (default: 1)"
    confirm.add_argument("--top", type=int, default=1, metavar="N", help=what)
    _add_ray(confirm, "processes of this machine")
    _add_storage(confirm)


def _add_labels(to: "Commands") -> None:
    text = "find the images whose labels look wrong"
    about = (
        f"{text}: each half of the images is judged by networks that are trained on the other half, of up to three of "
        "the best configurations. It costs as much as --networks trials; labels.csv and the report list the images."
    )
    labels = _add(to, "labels", commands.labels, text, about, "runs/digits")
    _add_retraining_flags(labels)
    labels.add_argument("--networks", type=int, default=3, metavar="N", help="that judge each image (default: 3)")
    _add_storage(labels)


def _add_refit(to: "Commands") -> None:
    text = "train the chosen configuration on train and validation images together"
    about = (
        f"{text}, for as many epochs as were found best; then measure it on the test split, once, and write final.yaml "
        "and final.pt."
    )
    refit = _add(to, "refit", commands.refit, text, about, "runs/digits/best.yaml")
    _add_retraining_flags(refit)
    refit.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="trainings; final.pt is of the first (default: 1)"
    )
    what = "whether the learning rate falls to zero over the last fifth (default: --no-anneal)"
    refit.add_argument("--anneal", action=argparse.BooleanOptionalAction, default=False, help=what)
    _add_ray(refit, "one after the other on this machine")


def _add_ray(command: argparse.ArgumentParser, default: str) -> None:
    where = f"train on a Ray cluster (default: {default})"
    command.add_argument("--ray", nargs="?", const="auto", metavar="ADDRESS|auto|local", help=where)


def _add_predict(to: "Commands") -> None:
    text = "classify images"
    about = (
        f"{text} with the chosen network: a CSV row for each, with the probability of each class. Images in the folder "
        "of their class give accuracy and loss too. Exits 1 where an image cannot be read; all others are classified."
    )
    predict = _add(to, "predict", commands.predict, text, about, "runs/digits photo.jpg photos --out predictions.csv")
    _add_place(predict)
    what = "an image; or a folder of images, or of folders of images that are called as their classes"
    predict.add_argument("images", type=_path, nargs="+", metavar="IMAGE|FOLDER", help=what)
    predict.add_argument("--out", type=_path, metavar="FILE", help="where the rows go (default: to stdout)")


def _add_export(to: "Commands") -> None:
    text = "write the network into a file for other programs"
    about = (
        f"{text}, checked against PyTorch, with a model card beside it. ONNX models and torch programs take uint8 "
        "images (n, height, width, channels) and give probabilities; safetensors hold the weights alone."
    )
    export = _add(to, "export", commands.export, text, about, "runs/digits --format onnx")
    _add_place(export)
    export.add_argument("--format", required=True, choices=EXPORTED, help="of the file")
    what = "where it goes (default: beside best.yaml, as best.onnx, best.pt2 or best.safetensors)"
    export.add_argument("--out", type=_path, metavar="FILE", help=what)


def _add_cache(to: "Commands") -> None:
    text = "show or empty the image cache"
    about = f"{text}: what has been decoded, so that the next start need not."
    cache = _add(to, "cache", commands.cache, text, about, "--clear")
    cache.add_argument(
        "--clear", action="store_true", help="remove all that no search uses now, and what was tried out here"
    )


def _add_study_flags(parser: Parser) -> None:
    _add_place(parser)
    _add_storage(parser)
    parser.add_argument("--study", metavar="NAME", help="which study of the database (default: the only one)")


def _add_place(parser: Parser) -> None:
    parser.add_argument("place", type=_path, metavar="RUN", help="run folder, or the best.yaml in it")


def _add_storage(parser: Parser) -> None:
    text = f"the study's database (default: {STORAGE_UNSET})"
    parser.add_argument("--storage", type=read_storage, metavar="URL", help=text)


def _add_retraining_flags(parser: Parser) -> None:
    _add_place(parser)
    text = "where the images are (default: where they were)"
    parser.add_argument("--data-root", type=_path, metavar="DIR", help=text)
    parser.add_argument("--device", default=None, help="where to train (default: the kind it was found on)")


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # a shell does so at the beginning of a word alone


def _add(to: "Commands", name: str, run: Callable[..., int], text: str, about: str, example: str) -> Parser:
    """A command: `run` is called with its options, and returns the exit code."""
    parser = to.add_parser(name, help=text, description=about[0].upper() + about[1:])
    parser.epilog = f"example: {parser.prog} {example}"
    parser.set_defaults(run=run)
    return parser
