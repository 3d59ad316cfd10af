"""Search on SVHN: 99,289 32x32 house numbers, cut from photographs."""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["svhn"])
