"""One thing that ``prosthesis doctor`` examined."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined: ``level`` is ok, warn or fail; ``remedy`` is empty when there is nothing to do."""

    name: str
    level: str
    text: str
    remedy: str = ""
