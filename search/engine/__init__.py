"""The search as it runs: asks, hands out, judges, tells, and has the finals choose.

It may import every other room but `use`, which takes a signal handler from it and no more.
"""
