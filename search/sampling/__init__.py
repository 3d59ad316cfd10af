"""Drawing the next configuration from what the trials before have shown.

It reads an Optuna study and writes to none. It may import results and what they import; it knows nothing of training,
of the engine, or of what a study is shown as.
"""
