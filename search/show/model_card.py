"""A model card: what a person should know who is handed a network, in Markdown.

After Mitchell et al., "Model Cards for Model Reporting" (2019): figures with their errors, where they come from, and
what they do not say.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from search.choice.rivals import Rivals
from search.insight.confirmed import verdicts
from search.insight.doubts import beside, doubt, never_recognized
from search.insight.evidence import from_few_images, judged, wilson
from search.insight.worth import source
from search.show.notes import markdown
from search.show.text import plural, sentence, short, with_error

MOST_CLASSES = 100  # that are named


def model_card(content: Mapping[str, Any], files: Mapping[str, str], origin: str = "best.yaml") -> str:
    """The card of the network of a best.yaml, or of the final.yaml of a refit.

    content: of the file that is called `origin`. files: the names of the exported files beside the card, by `onnx`,
    `torch` or `safetensors`.
    """
    data, refitted = content["data"], ", refitted" if content.get("refit") else ""
    parts = [
        f"# Model card: {markdown(content['study'])}, trial {content['trial']}{refitted}",
        f"It tells {len(data['classes'])} classes of images apart; found by a search with gapsearch.",
        "## Figures",
        _table(_figures(content)),
        "After ± stands a standard error; losses are mean cross-entropies in nats.",
        "## Limits",
        _bullets(sentence(markdown(line)) for line in _limits(content)),
        "## Data",
        _bullets(_data(data)),
        "## How it was found",
        _bullets(_found(content)),
        "## Input and output",
        _bullets(_interface(content)),
        "## How to load it",
        *(_loading(kind, name, data, origin) for kind, name in files.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(content: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, figure, and what it was measured on."""
    metrics, expected, images = content["metrics"], content.get("expected"), content["data"]["val_size"]
    yield from _refitted(content.get("refit"))
    if expected:
        low, high = expected["loss_interval"]
        where = f"an estimate for new images, {source(expected['seeds'])}"
        yield "loss, expected", f"{expected['loss']:.4f} (90%: {low:.4f} to {high:.4f})", where
        yield "accuracy, expected", f"{expected['accuracy']:.1%}", where
        if (balanced := expected.get("balanced_accuracy")) is not None:
            yield "balanced accuracy, expected", f"{balanced:.1%}", where
        yield "gap, expected", f"{expected['gap']:.4f}", where
    low, high = wilson(metrics["val_accuracy"], images)
    before = " (before the refit)" if content.get("refit") else ""
    where = f"{images:,} validation images, by which it was chosen{before}: likely too good"
    yield "loss, recorded", with_error(metrics["val_loss"], metrics["val_loss_se"]), where
    yield "accuracy, recorded", f"{metrics['val_accuracy']:.1%} (90%: {low:.1%} to {high:.1%})", where
    if (balanced := metrics.get("val_balanced_accuracy")) is not None:
        yield "balanced accuracy, recorded", f"{balanced:.1%}", where
    yield "gap, recorded", with_error(metrics["gap"], metrics["gap_se"]), "validation loss minus training loss"
    yield from _confirmed(content.get("confirmation"))
    yield from _calibrated(content.get("calibration"), images)


def _refitted(found: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    if found is None:
        return
    where = "the test split, these weights themselves"
    yield "loss, test", with_error(found["test_loss"], found["test_loss_se"]), where
    yield "accuracy, test", _with_error(found["test_accuracy"], found["test_accuracy_se"], ".1%"), where
    if (balanced := found.get("test_balanced_accuracy")) is not None:
        yield "balanced accuracy, test", f"{balanced:.1%}", where
    yield "gap, test", f"{found['test_gap']:.4f}", "test loss minus training loss"


def _confirmed(found: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    if found is None:
        return
    if "openings" not in found:  # of an older release
        yield "loss, confirmed", f"{found['test_loss']:.4f}", "the test split"
        yield "accuracy, confirmed", f"{found['test_accuracy']:.1%}", "the test split"
        return
    images = f"{found['test_images']:,} test images"
    where = f"{images}, trained again with {plural(len(found['seeds']), 'fresh seed')}"
    for name, figure in (("loss", "test_loss"), ("gap", "test_gap")):
        yield f"{name}, confirmed", _with_error(found[figure], found[f"{figure}_se"], ".4f"), where
    yield "accuracy, confirmed", _with_error(found["test_accuracy"], found["test_accuracy_se"], ".1%"), where
    if (balanced := found.get("test_balanced_accuracy")) is not None:
        error = found.get("test_balanced_accuracy_se")
        yield "balanced accuracy, confirmed", _with_error(balanced, error, ".1%"), where
    where = f"{images}, these weights themselves"
    yield "loss, test", with_error(found["exported_test_loss"], found["exported_test_loss_se"]), where
    accuracy, error = found["exported_test_accuracy"], found["exported_test_accuracy_se"]
    yield "accuracy, test", _with_error(accuracy, error, ".1%"), where


def _calibrated(found: Mapping[str, Any] | None, images: int) -> Iterator[tuple[str, str, str]]:
    if found is None:
        return
    where = f"{images:,} validation images, cross-fitted over two halves"
    yield "loss, calibrated", f"{found['val_loss_calibrated']:.4f} (before: {found['val_loss']:.4f})", where
    before, after = found["calibration_error"], found["calibration_error_calibrated"]
    yield "expected calibration error", f"{after:.1%} (before: {before:.1%})", where


def _limits(content: Mapping[str, Any]) -> Iterator[str]:
    """What speaks against it, and what nobody has measured; without full stops."""
    metrics, choice, images = content["metrics"], content["choice"], content["data"]["val_size"]
    rivals = Rivals.recorded(choice)
    expected, confirmation = content.get("expected"), content.get("confirmation")
    alike = len(content["data"]["classes"]) if content["data"].get("balance") else None
    if doubted := doubt(metrics, expected, rivals, choice["baseline_loss"], alike):
        yield doubted
    yield f"fit: {judged(metrics['fit'], images)} (training accuracy {metrics['train_accuracy']:.1%})"
    yield from never_recognized(choice.get("unrecognized", ()))
    yield from from_few_images(metrics["val_accuracy"], metrics["val_loss_se"], images, rivals)
    if refit := content.get("refit"):
        yield f"the test split was opened for time {refit['openings']} from this run folder, for these weights"
        yield "fit, choice and expected figures are those before the refit; it was measured on the test split alone"
    elif confirmation is None:
        yield "not confirmed on test images: gapsearch confirm trains it with fresh seeds and measures it on them"
    else:
        yield from verdicts(metrics, confirmation)
    if refit and content.get("calibration") is not None:
        yield "the temperature was fitted to the network as it was before the refit"
    if content.get("calibration") is None:
        yield "its probabilities are not calibrated: it may be surer than it is right"
    yield "it answers every image with one of its classes, one that shows none of them too"
    yield "nothing was measured on images from elsewhere, taken or cropped otherwise: expect less there"


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    classes = data["classes"]
    more = f" and {len(classes) - MOST_CLASSES} more" if len(classes) > MOST_CLASSES else ""
    yield f"data set: {markdown(data['name'])}, fingerprint {data['fingerprint']}"
    sizes = f"{data['train_size']:,} images to train on and {data['val_size']:,} to validate on"
    yield f"{sizes}, split with seed {data['seed']}"
    if data.get("balance"):
        yield "the classes weigh alike in the training and in all losses, however many images they have"
    yield f"{len(classes)} classes: {', '.join(map(markdown, classes[:MOST_CLASSES]))}{more}"


def _found(content: Mapping[str, Any]) -> Iterator[str]:
    choice, metrics, where = content["choice"], content["metrics"], content["environment"]
    rivals = Rivals.recorded(choice)
    known = f", accuracies {beside(rivals)}" if rivals.known else ""
    config = ", ".join(f"{markdown(name)} {markdown(short(value))}" for name, value in content["config"].items())
    yield f"chosen: {markdown(choice['because'])}"
    yield f"space: {markdown(content['space'])}, {metrics['parameters']:,} parameters; {config}"
    trained = f"trained for {plural(content['epochs'], 'epoch')} with seed {content['seed']}"
    if refit := content.get("refit"):
        yield f"{trained}, on the {refit['images']:,} images that trained and validated together"
    else:
        yield f"{trained}, up to its best; stopped: {markdown(choice['stopped'])}"
    yield f"held against a linear baseline of loss {choice['baseline_loss']:.4f}{known}"
    numbers = "bfloat16" if where["bf16"] else "float32"
    hardware, torch = markdown(where["hardware"]), markdown(where["torch"])
    yield f"trained on {hardware} in {numbers} with torch {torch}; exported in float32"


def _interface(content: Mapping[str, Any]) -> Iterator[str]:
    data, calibration = content["data"], content.get("calibration")
    height, width = data["image_size"]
    colours = {1: "grey", 3: "red, green, blue"}.get(data["channels"], "channels")
    yield (
        f"input of ONNX and torch: `images`, uint8 (n, {height}, {width}, {data['channels']}), {colours}, "
        "from 0 to 255; n is any"
    )
    yield f"of a larger image its central square, scaled (bicubic) to {height} x {width} pixels; no more is to be done"
    yield f"output: `probabilities`, float32 (n, {len(data['classes'])}), of the classes in the order above"
    yield (
        f"inside: pixels / 255, minus the mean {data['mean']}, divided by the deviation {data['std']}; the network's "
        f"logits divided by the temperature {calibration['temperature'] if calibration else 1:g}; softmax. safetensors "
        "hold the network's weights alone, so all that is left to you"
    )


def _loading(kind: str, name: str, data: Mapping[str, Any], origin: str) -> str:
    """A block of Python that works in the folder of the file."""
    shape = (1, *data["image_size"], data["channels"])
    file = json.dumps(name)
    lines = {
        "onnx": [
            "import json, numpy, onnxruntime",
            f"session = onnxruntime.InferenceSession({file})",
            f'probabilities = session.run(None, {{"images": numpy.zeros({shape}, numpy.uint8)}})[0]',
            'classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])',
        ],
        "torch": [
            "import json, torch",
            'told = {"metadata.json": ""}',
            f"program = torch.export.load({file}, extra_files=told).module()",
            f"probabilities = program(torch.zeros({shape}, dtype=torch.uint8))",
            'classes = json.loads(json.loads(told["metadata.json"])["classes"])',
        ],
        "safetensors": [
            f"import search  # gapsearch, for the network's code; {origin} is the file that it came from",
            "from safetensors.torch import load_file",
            f"network = search.load({json.dumps(origin)}).build()",
            f"network.load_state_dict(load_file({file}))",
        ],
    }
    return "\n".join(["```python", *lines[kind], "```"])


def _table(rows: Iterator[tuple[str, str, str]]) -> str:
    cells = [("figure", "value", "measured on"), ("---", "---", "---"), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _bullets(lines: Iterator[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _with_error(value: float, error: float | None, form: str) -> str:
    return f"{value:{form}}" + ("" if error is None else f" ± {error:{form}}")
