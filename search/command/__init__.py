"""The command line: flags, the data sets that come along, and what `gapsearch` does with them.

It may import every other room. Nothing but the scripts' entry, `search.study`, imports it.
"""
