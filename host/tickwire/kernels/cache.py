"""Where compiled code is kept between runs: the folder that ``TICKWIRE_CACHE`` names."""

import os
from pathlib import Path

BASE = Path(os.environ.get("TICKWIRE_CACHE")
            or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickwire")
"""Folder of everything that is compiled at a user's machine; each entry is ``NAME-DIGEST``."""
