"""`python -m search`: the command `gapsearch`, where that is not on the path."""

import sys

from search.command.cli import main

if __name__ == "__main__":
    sys.exit(main(program="python -m search"))
