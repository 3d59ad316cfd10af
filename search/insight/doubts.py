"""What speaks against the chosen configuration: accuracies that it does not beat, classes that it never recognizes."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.choice.rivals import Rivals
from search.results.snapshot import StudySnapshot

MOST_NAMED = 10  # classes


def beside(rivals: Rivals) -> str:
    """`linear baseline 71.1%, largest class 51.2%`: what stands beside an accuracy; nothing where none is known."""
    named = {name: f"{name} {accuracy:.1%}" for name, accuracy in rivals.known.items()}
    if rivals.baseline_balanced is not None:
        named["linear baseline"] += f" (balanced {rivals.baseline_balanced:.1%})"
    return ", ".join(named.values())


def held_against(accuracy: float, rivals: Rivals) -> str:
    """`67.1% (linear baseline 71.1%, largest class 51.2%)`."""
    return f"{accuracy:.1%} ({beside(rivals)})" if rivals.known else f"{accuracy:.1%}"


def doubt(
    recorded: Mapping[str, Any],
    expected: Mapping[str, Any] | None,
    rivals: Rivals,
    baseline_loss: float,
    alike: int | None = None,
) -> str:
    """`in accuracy (67.1%) no better than the linear baseline (71.1%)`; nothing where it is better than all rivals.

    recorded, expected: figures of a network, see best.yaml; the lower accuracy and the expected loss count.
    baseline_loss: of the linear baseline, in nats. alike: how many classes there are, where they weigh alike: balanced
    accuracy is what counts then.
    """
    loss = (expected or {}).get("loss", 0.0)  # the recorded one is below the baseline's, or it would not be chosen
    said = [f"in expected loss ({loss:.4f}) no better than the linear baseline ({baseline_loss:.4f})"]
    return ", and ".join([*(said if loss >= baseline_loss else []), *_in_accuracy(recorded, expected, rivals, alike)])


def _in_accuracy(
    recorded: Mapping[str, Any], expected: Mapping[str, Any] | None, rivals: Rivals, alike: int | None
) -> list[str]:
    kind = ""
    if alike is not None and rivals.baseline_balanced is not None:
        kind, rivals = "balanced_", rivals.balanced(alike)
    found = [recorded.get(f"val_{kind}accuracy"), (expected or {}).get(f"{kind}accuracy")]
    accuracy = min((one for one in found if one is not None), default=1.0)
    unbeaten = [f"the {name} ({rival:.1%})" for name, rival in rivals.unbeaten(accuracy).items()]
    what = f"{kind.replace('_', ' ')}accuracy ({accuracy:.1%})"
    return [f"in {what} no better than {' and '.join(unbeaten)}"] if unbeaten else []


def because(snapshot: StudySnapshot) -> str:
    """Why the chosen trial was chosen, after what speaks against it, if anything does."""
    chosen = snapshot.chosen_trial
    recorded = {} if chosen is None or chosen.run is None else chosen.run.at_best.as_dict()
    alike = len(snapshot.data["classes"]) if snapshot.settings.get("balance") else None
    doubted = doubt(recorded, snapshot.expected, snapshot.rivals, snapshot.constraints.baseline_loss, alike)
    return f"{doubted}; {snapshot.because}" if doubted else str(snapshot.because)


def never_recognized(classes: Sequence[str]) -> list[str]:
    """A line that names the classes of recall 0; none where every class was recognized at least once."""
    if not classes:
        return []
    return [f"never recognized on the validation images (recall 0): {named(classes)}"]


def named(classes: Sequence[str]) -> str:
    """`oak, elm`; of many the first, and how many more there are."""
    more = f" and {len(classes) - MOST_NAMED} more" if len(classes) > MOST_NAMED else ""
    return f"{', '.join(classes[:MOST_NAMED])}{more}"
