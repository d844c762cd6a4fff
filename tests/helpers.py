"""What several test folders need."""

from __future__ import annotations

import time
from pathlib import Path

HAND = str(Path(__file__).parent / "rigs" / "hand2x2" / "rig.yaml")


def wait_for(condition, seconds: float = 5.0, what: str = "it") -> float:
    """Wait until ``condition()`` holds and return how long it took."""
    began = time.monotonic()
    while not condition():
        told = what() if callable(what) else what
        assert time.monotonic() - began < seconds, f"{told} did not happen within {seconds} s"
        time.sleep(0.002)
    return time.monotonic() - began
