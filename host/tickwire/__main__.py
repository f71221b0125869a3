"""``python -m tickwire`` is the program ``tickwire``, where the script is not on the path."""

import sys

from tickwire.cli import main

if __name__ == "__main__":
    sys.exit(main())
