"""Any studies, for hypothesis."""

from builders import exact_run
from hypothesis import strategies as st


@st.composite
def studies(draw):
    """Runs on a coarse grid, so that ties in one objective and in both are frequent, in any order."""
    points = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 5), st.booleans()), max_size=12))
    return [exact_run(number, loss / 8, gap / 8, feasible=ok) for number, (loss, gap, ok) in enumerate(points)]
