"""From finished runs to one choice: constraints, the front, and what noise cannot tell apart.

Numbers in, decision out. It may import `search.measurement` alone; it knows neither torch nor Optuna nor files.
"""
