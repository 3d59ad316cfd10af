"""Search on CIFAR-100: 60,000 32x32 colour photographs in 100 classes."""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["cifar100"])
