"""How a folder of images is laid out: which folders are its parts, and which files lie in which class folder."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.data.decoding import SUFFIXES
from search.errors import UserError

PARTS = {  # what the folder of a part may be called, in small letters or capitals
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
RUN_FOLDER = ("artifacts", "checkpoints", "losses", "weights")  # the folders that a search makes in its own
NAMED = 3  # files or classes that a message names


@dataclass(frozen=True)
class ClassFolders:
    """The class folders in one folder."""

    images: dict[str, list[str]]  # sorted class -> sorted image files, as paths below the root, with `/`
    empty: list[str]  # folders without images, likewise; they are no classes
    loose: list[str]  # images that are in no class folder, likewise
    nested: list[str]  # images in folders inside a class folder; they are among `images`
    others: list[str]  # files in class folders that are no images


def parts_of(root: Path) -> Mapping[str, str]:
    """The folders of a divided folder: `train`, `val` or `test` -> its name. Empty where it is not divided.

    One folder of such a name may as well be a class, of locomotives perhaps: then it has no folders inside.

    Raises UserError where the train part or every other one is missing, and where two folders are the same part.
    """
    found: dict[str, str] = {}
    for name in folders(root):
        part = next((part for part, names in PARTS.items() if name.lower() in names), None)
        if part in found:
            raise UserError(f"{root} has both {found[part]} and {name}; keep one of them")
        if part is not None:
            found[part] = name
    if "train" in found and len(found) > 1:
        return {part: found[part] for part in PARTS if part in found}
    if not any(folders(root / name) for name in found.values()):
        return {}
    have, missing = next(iter(found.values())), "train" if "train" not in found else "test"
    raise UserError(
        f"{root} has a folder {have} with class folders, and no folder {missing}; add one with the same "
        f"classes, or name {root / have} to have a fifth of each class set aside as the test part"
    )


def scan(root: Path, home: str) -> ClassFolders:
    """The class folders in `home`, a path below `root` that is empty or ends with `/`. Raises OSError."""
    above = frozenset(map(os.path.realpath, (root, root / home)))
    loose = [f"{home}{name}" for name in _files(root / home) if is_image(name)]
    found = ClassFolders({}, [], loose, [], [])
    for folder in folders(root / home):
        if _is_run_folder(root / home / folder):
            continue
        files = sorted(_below(root, f"{home}{folder}", above))
        images = [name for name in files if is_image(name)]
        if images:
            found.images[folder] = images
        elif not any(_is_run_folder(root / home / folder / name) for name in folders(root / home / folder)):
            found.empty.append(f"{home}{folder}")
        found.others.extend(name for name in files if not is_image(name))
        found.nested.extend(name for name in images if os.path.dirname(name) != f"{home}{folder}")
    return found


def folders(home: Path) -> list[str]:
    """Sorted names of folders, hidden ones left out. Raises OSError."""
    with os.scandir(home) as entries:
        return sorted(entry.name for entry in entries if _is_folder(entry) and not _is_hidden(entry.name))


def is_image(name: str) -> bool:
    """Whether a file is an image, by its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not _is_hidden(os.path.basename(name))


def shown(name: str) -> str:
    """A file's name without what cannot be printed: bytes that are no UTF-8."""
    return os.fsencode(name).decode(errors="replace")


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(shown, names[:NAMED])) + more


def number_of_images(count: int) -> str:
    """`1 image`, `2 images`."""
    return "1 image" if count == 1 else f"{count:,} images"


def _is_run_folder(folder: Path) -> bool:
    """Whether a search has made it: the pictures there are no images of a class."""
    return all((folder / name).is_dir() for name in RUN_FOLDER)


def _below(root: Path, folder: str, above: frozenset[str]) -> Iterator[str]:
    """The files in a folder and all folders inside it, but run folders; a link to one that it is in leads nowhere."""
    here = os.path.realpath(root / folder)
    if here in above or _is_run_folder(root / folder):
        return
    yield from (f"{folder}/{name}" for name in _files(root / folder))
    for name in folders(root / folder):
        yield from _below(root, f"{folder}/{name}", above | {here})


def _files(home: Path) -> list[str]:
    """Names of files, hidden ones left out."""
    with os.scandir(home) as entries:
        return sorted(entry.name for entry in entries if not _is_folder(entry) and not _is_hidden(entry.name))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """A link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
