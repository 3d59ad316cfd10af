"""Families of networks: each module holds the ranges, `suggest(trial) -> config` and `build(config, ...)`."""
