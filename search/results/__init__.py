"""Reading and writing what a search has found: the study in its database, and best.yaml.

It may import the choice and the values of `Stopped`. It imports no torch, so that reading a search is quick,
and it knows nothing of training. Only recording writes to a study, and the dashboard its graphs and notes.
"""
