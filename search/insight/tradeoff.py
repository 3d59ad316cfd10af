"""What a study teaches: which parameters matter, what a smaller gap costs, where the space is too narrow."""

from collections.abc import Sequence

from search.choice.run import Run

PRICES = (0.0, 0.02, 0.05, 0.10)


def price_list(runs: Sequence[Run]) -> list[tuple[float, Run]]:
    """For each of `PRICES` (shares of the lowest validation loss): the feasible run of smallest gap within it."""
    feasible = [run for run in runs if run.feasible]
    if not feasible:
        return []
    lowest = min(run.val_loss for run in feasible)
    return [
        (
            price,
            min((run for run in feasible if run.val_loss <= (1 + price) * lowest), key=lambda run: run.objectives[1]),
        )
        for price in PRICES
    ]
