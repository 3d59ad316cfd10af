"""A Ray cluster whose nodes are processes of this machine: they join and die as machines do."""

import contextlib
import os
import random
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

MOST_ATTEMPTS = 5
MEMORY = 80 * 2**20  # bytes of each node's object store


class Nodes:
    """A head that has no core for workers, and nodes of one core each."""

    def __init__(self, cluster: Any) -> None:  # noqa: ANN401
        self._cluster = cluster
        self.nodes: list[Any] = []

    @property
    def address(self) -> str:
        """For `--ray`."""
        return self._cluster.address

    def join(self) -> None:
        """One more node; Ray gives it up where it takes more than 30 s to start, and then it is asked for again."""
        for _ in range(MOST_ATTEMPTS):
            with contextlib.suppress(Exception):
                self.nodes.append(self._cluster.add_node(wait=False, num_cpus=1, object_store_memory=MEMORY))
                return
        raise SystemExit("no node would start")

    def kill(self, rng: random.Random) -> None:
        """A node loses its power."""
        node = self.nodes.pop(rng.randrange(len(self.nodes)))
        self._cluster.remove_node(node, allow_graceful=False)


@contextlib.contextmanager
def cluster(count: int, environment: Mapping[str, str]) -> Iterator[Nodes]:
    """With so many nodes at first; environment: of what runs there."""
    with mock.patch.dict(os.environ, {"RAY_USAGE_STATS_ENABLED": "0", **environment}):
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            nodes = Nodes(made)
            for _ in range(count):
                nodes.join()
            yield nodes
        finally:
            made.shutdown()
