"""What is asked of files before one of them is written over."""

from __future__ import annotations

from pathlib import Path


def same_file(one: Path, other: Path) -> bool:
    """Return whether both are one file, by whatever names and links; where one is no file, they are not."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # ValueError: the text is no path at all
        return False
