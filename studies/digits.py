"""Search on scikit-learn's 1,797 handwritten digits: nothing to download, done in a minute or two."""

from search.study import main

if __name__ == "__main__":
    main(name="digits", dataset="digits", trials=60, epochs=20, ranges={"width": (8, 32), "depth": (2, 4)})
