"""Search on CIFAR-10: 60,000 32x32 colour photographs in 10 classes."""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["cifar10"])
