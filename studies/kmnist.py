"""Search on Kuzushiji-MNIST: 70,000 28x28 handwritten characters."""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["kmnist"])
