"""Search on Kuzushiji-MNIST: 70,000 28x28 handwritten characters."""

from search.study import main

if __name__ == "__main__":
    main(name="kmnist", dataset="KMNIST", trials=60, epochs=30)
