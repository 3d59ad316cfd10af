"""Search on Fashion-MNIST: 70,000 28x28 grey pictures of clothes."""

from search.study import main

if __name__ == "__main__":
    main(name="fashion_mnist", dataset="FashionMNIST", trials=60, epochs=30)
