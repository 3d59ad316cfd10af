"""Images that do not fit into memory, as one line."""

import contextlib
from collections.abc import Iterator

from search.errors import UserError
from search.training.trial import is_memory_error


@contextlib.contextmanager
def enough_memory(doing: str) -> Iterator[None]:
    """Around what needs memory for all images. Raises UserError where there is not enough, of a GPU perhaps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        cause = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(
            f"too little memory for {doing} ({cause}); use fewer images, with --train-size and --val-size, "
            f"or smaller ones, with --image-size"
        ) from error
