"""Images: found, decoded, kept in a cache that all workers map, split, and handed to training as tensors.

The modules here import `search.errors`, `search.files` and `search.processes`, and nothing else of `search`. They know
neither the settings of a search, nor training, nor Optuna.
"""

from typing import Literal

TrainOrTest = Literal["train", "test"]  # a part of a data set: what a search splits, or what `confirm` alone opens
FOLDER = "folder"  # the name of the data set that is a folder of images
