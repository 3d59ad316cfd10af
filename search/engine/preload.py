"""Imported by the fork server, so that no worker has to: the engine, and what torch itself puts off.

The first optimizer of a process imports torch's compiler, whether it is used or not: 0.8 s.
"""

import torch

import search.engine.workers  # noqa: F401

torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
