"""When a run should stop: losses go in, a decision comes out, in anybody's training loop.

The room may import `search.measurement` and NumPy. It must not know torch, Optuna, files or how a network is trained.
"""

from search.stopping.base import Decision, StoppingRule
from search.stopping.diverged import DivergedRule
from search.stopping.hopeless import Curve, HopelessRule
from search.stopping.overfit import OverfitRule
from search.stopping.stopped import Stopped

__all__ = ["Curve", "Decision", "DivergedRule", "HopelessRule", "OverfitRule", "Stopped", "StoppingRule"]
