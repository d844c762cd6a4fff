"""Where published recordings lie that tests may use and users of the product do not have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_file(name: str) -> Path:
    """Return a file of the shared data, or skip the test that asks for it."""
    folder = Path(os.environ.get("PROSTHESIS_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / name).is_file():
        pytest.skip(
            f"{name} is not part of the product; put it into {folder} or name its folder in PROSTHESIS_SHARED_DATA"
        )
    return folder / name
