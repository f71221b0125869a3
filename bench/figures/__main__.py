"""Draw the figures of the documents again: ``python -m bench.figures``."""

import sys

from bench.figures import add_order

sys.stdout.write(f"{add_order.main()}\n")
