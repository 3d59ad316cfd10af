"""Search on CIFAR-10: 60,000 32x32 colour photographs in 10 classes."""

from search.study import main

if __name__ == "__main__":
    main(name="cifar10", dataset="CIFAR10", trials=60, epochs=30)
