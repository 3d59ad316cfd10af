"""`python -m search`: what can be done with a finished search."""

import sys

from search.cli import main

if __name__ == "__main__":
    sys.exit(main())
