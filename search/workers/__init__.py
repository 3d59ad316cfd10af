"""The workers that train trials: processes of this machine or actors of a Ray cluster, and what the machine can do.

They know nothing of the study. It may import checks and all that the engine does, but for the rooms beside it.
"""
