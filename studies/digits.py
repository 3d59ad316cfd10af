"""Search on scikit-learn's 1,797 handwritten digits: nothing to download, done in a few minutes."""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["digits"])
