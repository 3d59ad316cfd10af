"""The files that a network can be taken away in: written into bytes, and opened again to be checked.

Torch programs and ONNX models hold all of a `Classifier`: uint8 images (n, height, width, channels) in, probabilities
(n, classes) out, for any n. Safetensors hold the weights alone.
"""

import functools
import importlib.util
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from search.errors import UserError
from search.results.best_yaml import Best
from search.training.classifier import Classifier

METADATA = "metadata.json"  # the file inside a torch program
INPUT, OUTPUT = "images", "probabilities"  # of an ONNX model

Run = Callable[[np.ndarray], np.ndarray]  # images as a `Classifier` takes them -> probabilities


@dataclass(frozen=True)
class Format:
    """One kind of file."""

    suffix: str
    packages: tuple[str, ...]  # that it needs besides torch
    write: Callable[[Classifier, torch.Tensor, Mapping[str, str]], bytes]  # with two images, and what it is to tell
    read: Callable[[bytes, Best], Run]

    def require(self) -> None:
        """Raise UserError where a package is missing."""
        if missing := [name for name in self.packages if importlib.util.find_spec(name) is None]:
            raise UserError(f"export to {self.suffix} needs {', '.join(missing)}; pip install 'gapsearch[export]'")


def classifier_of(best: Best, network: torch.nn.Module) -> Classifier:
    """`network` with what `best` has around it, its weights where they are in memory."""
    return Classifier(network, best.data["mean"], best.data["std"], best.temperature)


def run(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """The probabilities by PyTorch."""
    with torch.inference_mode():
        return classifier(torch.from_numpy(images)).numpy()


def _program(classifier: Classifier, example: torch.Tensor) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(classifier, (example,), dynamic_shapes=({0: torch.export.Dim("n", min=1)},))


def _write_torch(classifier: Classifier, example: torch.Tensor, metadata: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    torch.export.save(_program(classifier, example), stream, extra_files={METADATA: json.dumps(dict(metadata))})
    return stream.getvalue()


def _read_torch(content: bytes, best: Best) -> Run:
    program = torch.export.load(io.BytesIO(content)).module()

    def run_program(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return program(torch.from_numpy(images)).numpy()

    return run_program


def _write_onnx(classifier: Classifier, example: torch.Tensor, metadata: Mapping[str, str]) -> bytes:
    import onnx

    program = _program(classifier, example)
    made = torch.onnx.export(
        program, (example,), dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False
    )
    assert made is not None
    model = made.model_proto
    onnx.helper.set_model_props(model, dict(metadata))
    return model.SerializeToString()


def _read_onnx(content: bytes, best: Best) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def _write_safetensors(classifier: Classifier, example: torch.Tensor, metadata: Mapping[str, str]) -> bytes:
    from safetensors.torch import save

    weights = classifier.network.state_dict()
    return save({name: tensor.contiguous().clone() for name, tensor in weights.items()}, dict(metadata))


def _read_safetensors(content: bytes, best: Best) -> Run:
    from safetensors.torch import load

    network = best.build()
    network.load_state_dict(load(content))
    return functools.partial(run, classifier_of(best, network))


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxruntime", "onnxscript"), _write_onnx, _read_onnx),
    "torch": Format(".pt2", (), _write_torch, _read_torch),
    "safetensors": Format(".safetensors", ("safetensors",), _write_safetensors, _read_safetensors),
}
