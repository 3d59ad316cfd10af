"""What is done with a best.yaml: train it again, confirm it on the test split, refit it.

It may use the engine, which knows nothing of it.
"""
