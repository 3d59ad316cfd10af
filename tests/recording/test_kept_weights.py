"""Which runs keep their weights: all that may be chosen, by a race too."""

from builders import EASY, exact_run, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import studies

from search.choice.choose import choose
from search.choice.race import Race
from search.recording.weights import KeptWeights, raced_anyway, to_be_kept
from search.training.precision import Precision
from search.training.trial import Conditions


@settings(derandomize=True, deadline=None, max_examples=200)
@given(studies(), st.integers(0, 1000))
def test_whatever_is_raced_keeps_its_weights(runs, epochs_trained):
    choice = choose(runs, {})
    if choice is None:
        return
    finalists = Race().qualified(runs, choice.run, epochs_trained)
    assert set(numbers(finalists)) <= set(numbers(to_be_kept(runs, EASY))) | set(numbers(raced_anyway(runs)))


def test_the_three_best_keep_theirs_however_far_ahead_the_first_is(tmp_path):
    conditions = Conditions(EASY, Precision(), tmp_path, "study", "data")
    (tmp_path / "weights").mkdir()
    runs = [exact_run(number, loss) for number, loss in enumerate([0.9, 0.1, 0.5, 0.3])]
    for run in runs:
        conditions.weights(run.number).touch()
    kept, notes = KeptWeights(conditions, lambda note: notes.append(note)), []
    kept.update(runs, set())
    # they are empty, so they are found damaged: where they were there is no doubt
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == [f"{n}.pt.damaged" for n in (1, 2, 3)]
    assert len(notes) == 3
