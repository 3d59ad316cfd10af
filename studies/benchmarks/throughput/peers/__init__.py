"""The contenders of throughput.py, each a script: `python -m peers.ours ...`.

A torchvision whose compiled operators do not fit the torch installed fails to import, though nothing here calls them.
What `search.datasets` does against that has to happen before any of the scripts imports it, or Lightning, which does.
"""

from search.data.datasets import _torchvision_datasets

_torchvision_datasets()
