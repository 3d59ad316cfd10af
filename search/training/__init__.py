"""One configuration -> one measurement per epoch -> one outcome.

It may import data, stopping, choice and `search.measurement`. It knows neither Optuna nor the study: what a trial is
part of reaches it as arguments.
"""
