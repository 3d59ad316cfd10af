"""Search on Fashion-MNIST: 70,000 28x28 grey pictures of clothes."""

from search.command.presets import PRESETS
from search.study import main

if __name__ == "__main__":
    main(**PRESETS["fashion_mnist"])
