"""Search on SVHN: 99,289 32x32 house numbers, cut from photographs."""

from search.study import main

if __name__ == "__main__":
    main(name="svhn", dataset="SVHN", trials=60, epochs=30)
