"""The search as it runs: asks, hands out, judges, tells, repeats, chooses, exports.

It may import every other room but `use`, and `use` alone imports it. It alone writes to a study, the
graphs and notes of the dashboard apart.
"""
