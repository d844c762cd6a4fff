"""``python -m prosthesis``."""

from __future__ import annotations

import sys

from prosthesis.cli import main

if __name__ == "__main__":
    sys.exit(main())
