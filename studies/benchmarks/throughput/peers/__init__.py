"""The contenders of the throughput benchmark. Each module whose name a `Contender` has is a script.

The import of torchvision fails if its compiled operators do not fit the installed torch, though nothing here calls
them. `search.data.datasets` prevents that. This has to happen before a script imports torchvision, or Lightning, which
imports it too.
"""

from search.data.datasets import _torchvision_datasets

_torchvision_datasets()
