"""Where commands write: never over what a search has found."""

import os
from pathlib import Path

from search.errors import UserError
from search.results.database import FILE
from search.results.ensemble import NAME

FOUND = ("best.yaml", "best.pt", "final.yaml", "final.pt", NAME, FILE)


def check_target(out: Path, best: Path) -> None:
    """Raise UserError where `out` is no file, or writing to it would lose a best.yaml, its weights or its study."""
    if os.path.exists(out) and not os.path.isfile(out):
        raise UserError(f"--out {out} is no file; name one")
    ours = (best, best.with_suffix(".pt"), *(best.with_name(name) for name in FOUND))
    if out.resolve() in [path.resolve() for path in ours]:
        raise UserError(f"--out {out} would overwrite what the search found; name another file")
