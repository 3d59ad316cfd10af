"""ensemble.pt: the weights of the chosen configuration's trainings, for one network made of all.

torch is imported where a network is built: it takes seconds.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import UserError, described
from search.files import replace_file

if TYPE_CHECKING:
    import torch

    from search.results.best_yaml import Best
    from search.training.ensemble import Ensemble

NAME = "ensemble.pt"


def write(folder: Path, members: Sequence[Mapping[str, "torch.Tensor"]]) -> str:
    """Write the weights of each network into `folder`; returns the hash of the file. Raises OSError."""
    import torch

    stream = io.BytesIO()
    torch.save([dict(weights) for weights in members], stream)
    replace_file(folder / NAME, lambda scratch: scratch.write_bytes(stream.getbuffer()))
    return hashlib.sha256(stream.getbuffer()).hexdigest()


def read(best: "Best") -> "Ensemble":
    """The networks as one. Raises UserError where there is none, or the file is not the one that best.yaml names."""
    import torch

    from search.training.ensemble import Ensemble

    if best.ensemble is None:
        raise UserError("there is no ensemble: its race had no training of the chosen configuration, or was left out")
    path = best.weights_file.with_name(NAME)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; a search with a race writes it") from None
    if hashlib.sha256(content).hexdigest() != best.ensemble["sha256"]:
        raise UserError(f"{path} is not the one that its best.yaml names; start the search again with the same --out")
    networks = []
    try:
        for weights in torch.load(io.BytesIO(content), map_location="cpu", weights_only=True):
            networks.append(best.build())
            networks[-1].load_state_dict(weights)
    except UserError:
        raise
    except Exception as error:  # torch fed with another file raises nearly anything
        raise UserError(f"{path} does not fit its best.yaml: {described(error)}") from error
    return Ensemble(networks)
