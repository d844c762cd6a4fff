"""An engine that runs nothing, so that scheduling can be tested without a model's cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class NullEngine:
    """Whatever goes in, zeros come out, shaped as ``outputs`` (name to shape and dtype) says."""

    def __init__(self, outputs: Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]) -> None:
        self._outputs = dict(outputs)

    @property
    def provider(self) -> str:
        """Always ``"null"``."""
        return "null"

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return fresh zeros by output name; ``inputs`` are not looked at."""
        return {name: np.zeros(shape, dtype) for name, (shape, dtype) in self._outputs.items()}
