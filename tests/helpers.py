"""What several test folders need."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

HAND = str(Path(__file__).parent / "rigs" / "hand2x2" / "rig.yaml")


def wait_for(condition, seconds: float = 5.0, what: str = "it") -> float:
    """Wait until ``condition()`` holds and return how long it took."""
    began = time.monotonic()
    while not condition():
        told = what() if callable(what) else what
        assert time.monotonic() - began < seconds, f"{told} did not happen within {seconds} s"
        time.sleep(0.002)
    return time.monotonic() - began


def shared_data(name: str) -> Path:
    """Return a file of the data folder beside a checkout (or beside the folder of its worktrees); skip without it."""
    here = Path(__file__).resolve()
    for above in list(here.parents)[1:]:
        for folder in (above / "shared" / "data", above.parent / "shared" / "data"):
            if (folder / name).is_file():
                return folder / name
    pytest.skip(f"{name} is not in shared/data beside the checkout; docs/brains.md says where to get it")
