"""When a search gives up, since nothing of it can work."""

import pytest
from builders import trial

from search.recording.first_errors import FirstErrors, SearchFailed
from search.stopping.stopped import Stopped

FAILED, HUNG, GOOD, PRUNED = (
    trial(0, "FAIL", stopped=Stopped.ERROR, reason="no such layer"),
    trial(3, "PRUNED", stopped=Stopped.HUNG, reason="no sign of life for 600 s"),
    trial(1),
    trial(2, "PRUNED", stopped=Stopped.HOPELESS),
)


def asked(first, count):
    for lineage in range(count):
        first.asked(lineage)
    return first


def test_the_first_three_that_fail_end_it():
    first = asked(FirstErrors([]), 16)
    first.ended(2, FAILED)
    first.ended(0, FAILED)
    with pytest.raises(SearchFailed, match="the first 3 trials failed; the last one with no such layer"):
        first.ended(1, FAILED)


@pytest.mark.parametrize("ends", [[HUNG, HUNG, HUNG], [FAILED, HUNG, HUNG], [HUNG, FAILED, HUNG]])
def test_so_do_the_first_three_that_hang(ends):
    first = asked(FirstErrors([HUNG]), 3)
    for lineage, end in enumerate(ends[:2]):
        first.ended(lineage, end)
    with pytest.raises(SearchFailed, match="the first 3 trials failed; the last one with no sign of life for 600 s"):
        first.ended(2, ends[2])


def test_of_many_side_by_side_those_that_fail_end_first_and_count_for_nothing():
    first = asked(FirstErrors([]), 16)
    for lineage in (1, 5, 9, 13, 15):
        first.ended(lineage, FAILED)
    first.ended(0, GOOD)
    first.ended(2, FAILED)


def test_a_trial_that_lost_its_worker_and_was_asked_for_again_is_the_same():
    first = FirstErrors([])
    for lineage in (0, 0, 1, 0, 2):
        first.asked(lineage)
    for lineage in (0, 1):
        first.ended(lineage, FAILED)
    with pytest.raises(SearchFailed):
        first.ended(2, FAILED)


@pytest.mark.parametrize("earlier", [GOOD, PRUNED])
def test_a_search_that_has_trained_goes_on(earlier):
    first = asked(FirstErrors([FAILED, earlier]), 3)
    for lineage in range(3):
        first.ended(lineage, FAILED)


def test_one_that_failed_before_is_watched_anew():
    first = asked(FirstErrors([FAILED] * 3), 3)
    for lineage in range(2):
        first.ended(lineage, FAILED)
    with pytest.raises(SearchFailed):
        first.ended(2, FAILED)
