"""The contenders of throughput.py, each a script: `python -m peers.ours ...`."""
