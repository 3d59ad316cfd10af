"""What a search records while it runs: its study, and in the run folder weights and checkpoints that may still count.

It alone writes to a study, the graphs and notes of the dashboard apart. It knows nothing of workers.
"""
