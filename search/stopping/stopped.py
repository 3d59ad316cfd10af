"""How a trial ended: by a rule, by the plan, by a fault or by a person."""

from enum import StrEnum


class Stopped(StrEnum):
    """The attribute `stopped` of a trial. Its values are what the study holds and what a person reads."""

    FINISHED = "finished"  # all epochs are done, or those that there was time for
    OVERFIT = "overfit"  # the best epoch is its result
    HOPELESS = "hopeless"  # given up before its best: its figures are censored
    DIVERGED = "diverged"  # a loss is not finite, or far above that of guessing
    OUT_OF_MEMORY = "out_of_memory"  # twice, the second time with nothing beside it
    HUNG = "hung"  # twice without a sign of life for too long
    CANCELLED = "cancelled"  # ended from outside, in the dashboard perhaps
    INTERRUPTED = "interrupted"  # by Ctrl-C or a deadline: it is queued again
    ERROR = "error"  # the network or its training failed

    @property
    def saves(self) -> bool:
        """Whether a rule stopped the run, so that the epochs that it did not train are saved; faults save none."""
        return self in (Stopped.OVERFIT, Stopped.HOPELESS, Stopped.DIVERGED)

    @property
    def failed(self) -> bool:
        """Whether a fault ended the run: its curves tell nothing that others could be held against."""
        return self in (Stopped.OUT_OF_MEMORY, Stopped.HUNG, Stopped.ERROR)

    @property
    def reached_best(self) -> bool:
        """Whether the run's best epoch is its best for good: more epochs would not, or must not, improve it."""
        return self in (Stopped.FINISHED, Stopped.OVERFIT, Stopped.DIVERGED)
