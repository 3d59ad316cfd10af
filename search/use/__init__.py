"""What is done with a best.yaml: train it again, confirm it on the test split, refit it.

It trains with fresh seeds by itself or on the Ray cluster of the workers; no search knows of it.
"""
