"""The rules of the source: who may import whom, who may write to a study, how long files and functions may be.

`tests/test_rooms.py` holds the project to them.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FRONT = ("", "__main__", "api", "command", "study")  # what people call; "" is search/__init__.py
LIBRARY = (  # what every room of a running search may import
    *("choice", "data", "insight", "results", "sampling", "show", "stopping", "tracking", "training"),
    *(
        "balance",
        "errors",
        "files",
        "log",
        "measurement",
        "networks",
        "processes",
        "settings",
        "spaces",
        "start_weights",
    ),
)
SEARCHING = (*LIBRARY, "checks", "workers", "recording", "finals")  # what the engine may
MAY_IMPORT = {  # of search, besides itself: rooms, modules beside them, or single modules of a room
    "balance": (),
    "errors": (),
    "files": (),
    "log": ("errors",),
    "measurement": (),
    "networks": (),
    "processes": ("errors",),
    "spaces": ("errors",),
    "start_weights": ("errors", "files", "networks", "spaces"),
    "settings": ("data", "errors", "results", "spaces", "start_weights"),
    "stopping": ("measurement",),
    "choice": ("balance", "measurement"),
    "data": ("balance", "errors", "files", "processes"),
    "training": ("balance", "choice", "data", "errors", "files", "measurement", "networks", "stopping"),
    "results": (
        *("choice", "errors", "files", "measurement", "networks", "spaces", "start_weights", "stopping.stopped"),
        *("data.pixels", "training.classifier", "training.ensemble", "training.precision"),  # what `Best.predict` needs
    ),
    "insight": ("balance", "choice", "measurement", "results", "stopping.stopped"),
    "sampling": ("results",),
    "tracking": ("errors", "measurement", "results", "stopping.stopped"),
    "show": (
        "choice",
        "errors",
        "files",
        "insight",
        "log",
        "measurement",
        "results",
        "settings",
        "start_weights",
        "stopping.stopped",
    ),
    "checks": LIBRARY,
    "workers": (*LIBRARY, "checks"),
    "recording": (*LIBRARY, "checks"),
    "finals": (*LIBRARY, "workers", "recording"),
    "engine": SEARCHING,
    "use": (*LIBRARY, "workers.ray_cluster", "finals.pictures", "finals.predictions", "engine.interruption"),
    **dict.fromkeys(FRONT, (*SEARCHING, *FRONT, "engine", "use")),
}
NEVER = {  # libraries that a room does not know, wherever the import stands
    "torch": ("choice", "insight", "sampling", "stopping"),
    "optuna": ("choice", "data", "stopping", "training"),
}
NOT_AT_IMPORT = {
    "torch": ("choice", "insight", "results", "sampling", "stopping")
}  # nor by way of others: it takes seconds
WRITING = (  # calls by which a study is changed
    *("create_study", "enqueue_trial", "set_constraint", "set_user_attr", "tell"),
    *("save_note", "save_plotly_graph_object", "upload_artifact"),
)
MAY_WRITE = ("recording", "show.dashboard")
MAY_CREATE = "results.storage"  # a study, besides; one without a storage is in memory, and anybody's
TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 300, 40  # the latter but for those that say why: `# long: <why>`


@dataclass(frozen=True)
class Import:
    """One imported name, by its module where it is known, and whether it is imported as soon as its importer is."""

    target: str
    at_import: bool


def violations(sources: Mapping[str, str]) -> list[str]:
    """What breaks the rules above. sources: of each module of search and spaces, by its dotted name."""
    found = []
    imported = {module: list(_imports(module, source, sources)) for module, source in sources.items()}
    for module, source in sources.items():
        room = _room(module)
        if room is None:
            continue
        if room not in MAY_IMPORT:
            found.append(f"{module} is in no room; give it a line in the table")
        found += [
            f"{module} imports {one.target}, {problem}"
            for one in imported[module]
            if (problem := _problem(room, one.target, sources))
        ]
        found += [
            f"{module} imports {library} as soon as it is imported, by way of {way}"
            for library, rooms in NOT_AT_IMPORT.items()
            if room in rooms and (way := _way(module, library, imported))
        ]
        if not _named(module, MAY_WRITE):
            found += [f"{module} writes to a study, by {call}" for call in _writing(source, module)]
    return sorted(set(found))


def too_long(name: str, source: str) -> list[str]:
    """Of a file: itself, and those of its functions that do not say why. source: Python where the name ends in .py."""
    lines = source.splitlines()
    found = [f"{name} has {len(lines)} lines"] if len(lines) > LINES_OF_A_FILE else []
    for node in ast.walk(ast.parse(source)) if name.endswith(".py") else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            length = (node.end_lineno or 0) - node.lineno + 1
            explained = any("# long: " in lines[line - 1] for line in {node.lineno, first - 1} - {0})
            if length > LINES_OF_A_FUNCTION and not explained:
                found.append(f"{name}: {node.name} has {length} lines")
    return found


def _room(module: str) -> str | None:
    """The folder or module directly below search; None outside of search."""
    package, *parts = module.split(".")
    return None if package != "search" else parts[0] if parts else ""


def _named(module: str, names: tuple[str, ...]) -> bool:
    """Whether a module of search is one of `names`, or in one of those folders."""
    below = module.removeprefix("search").removeprefix(".")
    return any(below == name or below.startswith(f"{name}.") for name in names if name or not below)


def _problem(room: str, target: str, sources: Mapping[str, str]) -> str | None:
    """What is wrong with an import, if anything is."""
    library = target.partition(".")[0]
    if library != "search":
        return "which this room does not know" if room in NEVER.get(library, ()) else None
    if target not in sources:
        return "which is not there"
    allowed = _room(target) == room or _named(target, MAY_IMPORT.get(room, ()))
    return None if allowed else "which this room may not"


def _way(module: str, library: str, imported: Mapping[str, list[Import]]) -> str | None:
    """The module that imports a library, of those that are imported as soon as `module` is; None where none does."""
    seen, ahead = set[str](), [module]
    while ahead:
        name = ahead.pop(0)
        if name in seen or name not in imported:
            continue
        seen.add(name)
        targets = [one.target for one in imported[name] if one.at_import]
        if any(target.partition(".")[0] == library for target in targets):
            return name
        for target in (name, *targets):  # each with the packages that it is in
            parts = target.split(".")
            ahead += [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return None


def _imports(module: str, source: str, sources: Mapping[str, str]) -> Iterator[Import]:
    """Every import of a module, those in functions and under TYPE_CHECKING included."""
    for node, at_import in _statements(ast.parse(source), at_import=True):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = _package(module, node.level, sources) if node.level else ""
            origin = ".".join(part for part in (package, node.module or "") if part)
            for alias in node.names:  # a module of a package, or a name in a module
                name = f"{origin}.{alias.name}"
                yield Import(name if name in sources else origin, at_import)
        elif isinstance(node, ast.Call) and _called(node) == "import_module":
            yield from (Import(str(name.value), at_import) for name in node.args[:1] if isinstance(name, ast.Constant))


def _statements(node: ast.AST, *, at_import: bool) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes below, and whether they run as soon as the module is imported."""
    for child in ast.iter_child_nodes(node):
        runs = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and child in node.body and ast.unparse(node.test) in TYPE_CHECKING:
            runs = False
        yield child, runs
        yield from _statements(child, at_import=runs)


def _package(module: str, level: int, sources: Mapping[str, str]) -> str:
    """The package that a relative import starts from."""
    parts = module.split(".")
    is_package = any(name.startswith(f"{module}.") for name in sources)
    return ".".join(parts[: len(parts) - level + is_package])


def _writing(source: str, module: str) -> Iterator[str]:
    """The calls by which a module changes a study."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (name := _called(node)) in WRITING:
            stored = node.args or any(keyword.arg == "storage" for keyword in node.keywords)
            if name == "create_study" and (not stored or _named(module, (MAY_CREATE,))):
                continue
            if node.args or node.keywords:  # `tell()` is a file's
                yield name


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
