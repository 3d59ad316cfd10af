"""Imported by the fork server, so that no worker has to: the workers, and what torch itself puts off.

The first optimizer of a process imports torch's compiler, whether it is used or not: 0.8 s.
"""

import atexit
import gc

import torch

import search.workers.process_pool  # noqa: F401

torch.optim.AdamW([torch.zeros(1, requires_grad=True)])

# A collector that looks at an object writes to it. So the first full collection of a worker would copy what all of them
# share: 84 MB each, and 0.2 s.
gc.collect()
gc.freeze()
atexit.register(gc.unfreeze)  # of the fork server itself: else libraries complain about what they find left
