"""What the fork server imports so that no worker has to."""

import gc
import multiprocessing
import sys

import psutil
import torch

from search.processes import start_fork_server


def _imported_by_a_first_optimizer():
    before = set(sys.modules)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    return len(set(sys.modules) - before)


def test_what_torch_puts_off_until_the_first_optimizer_is_imported_before_workers_are_forked():
    start_fork_server()
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.apply(_imported_by_a_first_optimizer) == 0


def _own_bytes_that_a_collection_adds():
    """Of memory that this process shares with no other."""
    before = psutil.Process().memory_full_info().uss
    gc.collect()
    return psutil.Process().memory_full_info().uss - before


def test_a_collection_in_a_worker_copies_nothing_that_workers_share():
    start_fork_server()
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.apply(_own_bytes_that_a_collection_adds) < 20e6  # 76 MB without a freeze
