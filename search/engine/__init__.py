"""The search as it runs: asks, hands out, judges, tells, repeats, chooses, exports, confirms.

It may import every other room, and no other room imports it. It alone writes to a study, the dashboard's graphs and
notes apart.
"""
