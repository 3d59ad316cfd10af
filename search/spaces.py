"""Finding a space of networks: a family that comes along, a module by name, or a file of the user's own.

A search keeps a copy of such a file in its run folder: workers load that, so an edit made meanwhile changes
nothing, and best.yaml works wherever the run folder is taken. Modules by name are neither kept nor compared
between starts; nor is what a file imports.
"""

import ast
import functools
import hashlib
import importlib
import json
import os
import pkgutil
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import spaces
from search.errors import BadTrial, Unwanted, UserError, described

if TYPE_CHECKING:  # both take seconds to import, and --help reads this module
    import torch
    from optuna.trial import Trial

Suggest = Callable[["Trial"], dict[str, Any]]  # draws a configuration
BUILT_IN = tuple(module.name for module in pkgutil.iter_modules(spaces.__path__) if not module.name.startswith("_"))
CHOICES = f"{', '.join(BUILT_IN)}, a module's dotted name, or a Python file such as my_space.py"


class Space(Protocol):
    """A module (or anything else) with these two functions.

    suggest: Optuna trial -> configuration: a dict that JSON can hold. `batch_size`, `weight_decay`,
        `learning_rate` and `augmentation` are read by training; see `search.training.recipe.Recipe` for what
        stands in for those that are missing.
    build: configuration, `channels=`, `image_size=` (height, width), `classes=` -> network with logits (n, classes).

    It may have a third one, `start`: nothing -> the configurations that a search tries first, in that order, each a
    dict of the parameters that `suggest` draws, by name. One that is missing there is drawn. Of pretrained networks it
    may have `fetch`, see `search.start_weights`.
    """

    def suggest(self, trial: "Trial") -> dict[str, Any]: ...

    def build(
        self, config: dict[str, Any], *, channels: int, image_size: tuple[int, int], classes: int
    ) -> "torch.nn.Module": ...


def full_name(space: str) -> str:
    """`cnn` -> `spaces.cnn`; `mine` -> `mine.py` where the current folder has that file; else as it is."""
    if space in BUILT_IN:
        return f"spaces.{space}"
    return f"{space}.py" if os.path.isfile(f"{space}.py") else space


def is_file(space: str) -> bool:
    """Whether a space is named by its file."""
    return space.endswith(".py")


def load_space(space: str) -> Space:
    """The module of that dotted name, or of that Python file; each content of a file is run once.

    Raises UserError where there is none, where it cannot be run, or where it lacks `suggest` or `build`.
    """
    module = _run_file(Path(space)) if is_file(space) else _import(space)
    for function in ("suggest", "build"):
        if not callable(getattr(module, function, None)):
            raise UserError(
                f"the space {space} has no function {function}; it needs suggest(trial) and "
                f"build(config, *, channels, image_size, classes)"
            )
    return module


def suggester(space: str, ranges: Mapping[str, tuple[float, float]], weights: str | None = None) -> Suggest:
    """The `suggest` of a space, with some of its ranges changed, and what it returns checked.

    weights: that its networks begin with, see `search.start_weights`; None for what the space says.

    Raises UserError where the space has no such range, or its networks begin with none. What it returns raises
    BadTrial where the space's own function fails, and UserError where that is anything but a dict for JSON.
    """
    module = load_space(space)
    changed: dict[str, Any] = {}
    if weights is not None:
        if not hasattr(module, "fetch"):
            raise UserError(
                f"--weights is for a space of pretrained networks, and {space} is none; leave it out, or take "
                f"--space pretrained"
            )
        changed["weights"] = weights
    if ranges:
        changed["ranges"] = _changed_ranges(space, module, ranges)
    return functools.partial(_checked, space, ranges, functools.partial(module.suggest, **changed))


def _changed_ranges(space: str, module: Space, ranges: Mapping[str, tuple[float, float]]) -> object:
    """The space's `Ranges`, some of them changed. Raises UserError where it has no such range."""
    known = getattr(getattr(module, "Ranges", None), "__dataclass_fields__", {})
    if unknown := [name for name in ranges if name not in known]:
        has = f"it has those of {', '.join(known)}" if known else "change it in its suggest"
        raise UserError(f"the space {space} has no range of {unknown[0]} that can be set; {has}")
    for name, (low, high) in ranges.items():
        if str(known[name].type) == "tuple[int, int]" and (low != int(low) or high != int(high)):
            raise UserError(f"the range of {name} is {low:g} to {high:g}; it takes whole numbers")
    return module.Ranges(**{name: tuple(bounds) for name, bounds in ranges.items()})  # type: ignore[attr-defined]


def named_start(space: str) -> list[dict[str, Any]]:
    """The configurations that the space's `start` names, as JSON gives them back; none where it has no such function.

    Raises UserError where that function fails, or returns anything but a list of dicts for JSON.
    """
    module = load_space(space)
    start = getattr(module, "start", None)
    if not callable(start):
        return []
    try:
        named = json.loads(json.dumps(start()))
    except (Exception, SystemExit) as error:
        raise UserError(
            f"start of the space {space} failed: {described(error, getattr(module, '__file__', None))}; mend it"
        ) from error
    if not isinstance(named, list) or not all(isinstance(one, dict) for one in named):
        raise UserError(f"start of the space {space} returned {_kind(named)}; it must return a list of dicts")
    return named


def short_name(space: str) -> str:
    """Of a file its name, wherever it lies; of a module its dotted name."""
    return Path(space).name if is_file(space) else space


def fingerprint(space: str) -> str | None:
    """A hash of the content of a space's file, 16 hex digits; None for a module.

    Raises UserError where the file cannot be read.
    """
    return _hash(_read(Path(space))) if is_file(space) else None


def portable(space: str) -> str:
    """The name for best.yaml: of a file its path below the current folder, or else its name alone."""
    path, here = Path(space).resolve(), Path.cwd().resolve()
    if not is_file(space):
        return space
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name


def keep(space: str, folder: Path) -> str:
    """Copy the file of a space into the run folder; returns the name to load it by from now on.

    Raises UserError where the file cannot be read, OSError where the copy cannot be written.
    """
    if not is_file(space):
        return space
    content, copy = _read(Path(space)), folder / Path(space).name
    if not copy.is_file() or copy.read_bytes() != content:
        copy.write_bytes(content)
    return str(copy)


def imported_beside(space: str) -> list[str]:
    """The modules in the folder of a space's file that the file imports: they are neither kept nor compared.

    Raises UserError where the file cannot be read.
    """
    if not is_file(space):
        return []
    names = dict.fromkeys(name.partition(".")[0] for name in _imports(_read(Path(space))))
    folder, ours = Path(space).parent, ("", "search", "spaces")
    there = [name for name in names if (folder / name).exists() or (folder / f"{name}.py").exists()]
    return [name for name in there if name not in ours]


def _imports(source: bytes) -> Iterator[str]:
    """The modules that a source names in its imports; relative ones without their dots."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def find_space(space: str, folder: Path) -> Space:
    """The space that a best.yaml in `folder` names: a file lies beside it, or where the current folder says.

    Raises UserError where it cannot be found or loaded, and for a file elsewhere: best.yaml may come from anybody.
    """
    if is_file(space):
        if Path(space).is_absolute() or ".." in Path(space).parts:
            raise UserError(f"{space} leads elsewhere, so it is not run; put it beside best.yaml and name it alone")
        places = [path for path in (folder / Path(space).name, Path(space)) if os.path.isfile(path)]
        if not places:
            raise UserError(f"{space} lies neither beside it nor below the current folder; put it there")
        space = str(places[0])
    return load_space(space)


def _checked(space: str, ranges: Mapping[str, tuple[float, float]], suggest: Suggest, trial: "Trial") -> dict[str, Any]:
    """What `suggest` draws for a trial, as JSON gives it back. ranges: those that were changed.

    Raises BadTrial where it fails, Unwanted where it raises optuna.TrialPruned, and UserError where it returns anything
    but a dict for JSON.
    """
    from optuna.exceptions import OptunaError, TrialPruned

    queued = getattr(trial, "_fixed_params", None)  # only a private attribute tells of them
    try:
        config = suggest(trial)
    except TrialPruned as error:
        turned_down = f"suggest of the space {space} turns down {_listed(trial.params)}"
        raise Unwanted(turned_down, queued=bool(queued)) from error
    except OptunaError:  # of the storage, perhaps
        raise
    except (Exception, SystemExit) as error:
        where = getattr(load_space(space), "__file__", None)
        if queued:
            raise BadTrial(
                f"trial {trial.number} was queued with {_listed(queued)}, which the space {space} cannot take: "
                f"{described(error, where)}",
                queued=True,
            ) from error
        what = f" with the ranges {_listed(ranges)}" if ranges else ""
        raise BadTrial(f"suggest of the space {space} failed{what}: {described(error, where)}; mend that") from error
    if not isinstance(config, dict):
        raise UserError(
            f"suggest of the space {space} returned {_kind(config)}; it must return a dict of what it has drawn"
        )
    try:
        return json.loads(json.dumps(config))  # so that a trial trains what best.yaml will say
    except (TypeError, ValueError) as error:
        raise UserError(
            f"suggest of the space {space} returned what cannot be stored ({error}); "
            f"return numbers, strings, booleans and lists, and let build make something of them"
        ) from error


def _listed(queued: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in queued.items())


def _kind(thing: object) -> str:
    return "nothing" if thing is None else f"a {type(thing).__name__}"


def _import(name: str) -> types.ModuleType:
    """The module of that dotted name. Raises UserError where there is none or it cannot be run."""
    _allow_imports_from(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"there is no space {name}; take {CHOICES}") from error
        raise UserError(f"cannot import the space {name}: {described(error)}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"cannot import the space {name}: {described(error)}; mend it") from error


def _run_file(path: Path) -> types.ModuleType:
    """The module of a file, under a name of its own: in a worker process no path leads to it by name.

    Raises UserError where the file cannot be read or run.
    """
    source = _read(path)
    name = f"space_{path.stem}_{_hash(str(path.resolve()).encode() + source)}"
    if name in sys.modules:
        return sys.modules[name]
    _allow_imports_from(path.parent)
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"cannot run the space {path}: {described(error, str(path))}; mend it") from error
    return module


def _allow_imports_from(folder: Path) -> None:
    """Let modules in `folder` be imported, after all others; worker processes take this over."""
    if str(folder.resolve()) not in sys.path:
        sys.path.append(str(folder.resolve()))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the space {path}: {error.strerror}; take {CHOICES}") from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
