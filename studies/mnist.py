"""Search on MNIST: 70,000 28x28 handwritten digits."""

from search.study import main

if __name__ == "__main__":
    main(name="mnist", dataset="MNIST", trials=60, epochs=30)
