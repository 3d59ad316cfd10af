"""Search on scikit-learn's 1,797 handwritten digits: nothing to download, done in a minute or two."""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["digits"])
