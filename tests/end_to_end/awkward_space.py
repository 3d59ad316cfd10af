"""A space for tests of what goes wrong: some of its networks run out of memory, raise, or kill their process."""

import multiprocessing
import os
import signal
from pathlib import Path

from spaces import cnn


def suggest(trial):
    config = cnn.suggest(trial, cnn.Ranges(depth=(2, 2), width=(8, 8)))
    fault = os.environ.get("FAULT", "")
    first = trial.user_attrs.get("lineage", trial.number)  # a trial that is queued again has another number
    return config | {
        "fault": fault if first in (1, 3) or fault == "always" else "",
        "killed": os.environ.get("KILLED", ""),  # the file that tells of an earlier kill
    }


def build(config, **shape):
    fault, killed = config["fault"], Path(config["killed"])
    if multiprocessing.parent_process() is None or multiprocessing.current_process().name == "corners":
        return cnn.build(config, **shape)  # faults are for workers
    if fault == "memory":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 PB")
    if fault in ("error", "always"):
        raise ValueError("no such layer\nsecond line")
    if fault == "kill" or (fault == "kill once" and not killed.exists()):
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return cnn.build(config, **shape)
