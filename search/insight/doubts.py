"""What speaks against the chosen configuration: accuracies that it does not beat, classes that it never recognizes."""

from collections.abc import Iterable, Sequence

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


def doubt(accuracies: Iterable[float], rivals: Rivals) -> str:
    """`in accuracy (67.1%) no better than the linear baseline (71.1%)`; nothing where it is better than all rivals.

    accuracies: as recorded, and as expected where that is known; the lowest counts.
    """
    accuracy = min(accuracies, default=1.0)
    unbeaten = [f"the {name} ({rival:.1%})" for name, rival in rivals.unbeaten(accuracy).items()]
    return f"in accuracy ({accuracy:.1%}) no better than {' and '.join(unbeaten)}" if unbeaten else ""


def because(snapshot: StudySnapshot) -> str:
    """Why the chosen trial was chosen, after what speaks against it, if anything does."""
    chosen, expected = snapshot.chosen_trial, snapshot.expected
    recorded = [] if chosen is None or chosen.run is None else [chosen.run.at_best.val_accuracy]
    doubted = doubt([*recorded, *([] if expected is None else [expected["accuracy"]])], snapshot.rivals)
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
