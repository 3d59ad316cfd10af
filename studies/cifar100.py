"""Search on CIFAR-100: 60,000 32x32 colour photographs in 100 classes."""

from search.study import main

if __name__ == "__main__":
    main(name="cifar100", dataset="CIFAR100", trials=60, epochs=30)
