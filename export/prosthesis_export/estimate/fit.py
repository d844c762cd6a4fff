"""Fits the efficiencies: five to twelve published times on the Orin Nano, one to two on the Jetson Nano.

``python -m prosthesis_export.estimate.fit`` prints what the constants below must be; a test holds them to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prosthesis.boards import load_board
from prosthesis_export.estimate.networks import NETWORKS
from prosthesis_export.estimate.published import FIT, LANES, Measured
from prosthesis_export.estimate.roofline import Efficiency, seconds

# what ``fit()`` returns, rounded
FITTED = Efficiency(tf32=0.515, fp16=0.657, int8=0.407, lanes=0.449, memory=0.609, kernel_kilocycles=13.36)
START = Efficiency(tf32=0.4, fp16=0.4, int8=0.3, lanes=0.5, memory=0.7, kernel_kilocycles=10.0)
TENSOR = ("tf32", "fp16", "int8", "memory", "kernel_kilocycles")


def fit() -> Efficiency:
    """Return the efficiencies that make the squared relative errors least."""
    tensor = _least(START, TENSOR, FIT)
    return _least(tensor, ("lanes",), LANES)


def ratios(efficiency: Efficiency, measured: Sequence[Measured]) -> NDArray[np.float64]:
    """Return estimated over measured time of each."""
    return np.array([estimate_ms(efficiency, item) / item.ms for item in measured])


def estimate_ms(efficiency: Efficiency, item: Measured) -> float:
    """Return the middle estimate of one published time."""
    board = load_board(item.board)
    _, mode = board.mode(item.mode)
    return 1000 * seconds(NETWORKS[item.network](), board, mode, item.precision, efficiency)


def _least(start: Efficiency, names: Sequence[str], measured: Sequence[Measured]) -> Efficiency:
    """Gauss-Newton on the logarithms of the named efficiencies."""
    rows = [(NETWORKS[item.network](), load_board(item.board), item) for item in measured]

    def at(x: NDArray[np.float64]) -> Efficiency:
        return replace(start, **dict(zip(names, np.exp(x).tolist(), strict=True)))

    def errors(x: NDArray[np.float64]) -> NDArray[np.float64]:
        efficiency = at(x)
        times = [
            seconds(layers, board, board.mode(item.mode)[1], item.precision, efficiency) for layers, board, item in rows
        ]
        return np.log([1000 * time / item.ms for time, (_, _, item) in zip(times, rows, strict=True)])

    x = np.log([getattr(start, name) for name in names])
    for _ in range(30):
        step = np.linalg.lstsq(_slopes(errors, x), -errors(x), rcond=None)[0]
        x = x + np.clip(step, -0.3, 0.3)
        if np.abs(step).max() < 1e-6:
            break
    return at(x)


def _slopes(errors: Callable[[NDArray[np.float64]], NDArray[np.float64]], x: NDArray[np.float64]) -> NDArray[np.float64]:
    small = 1e-4
    return np.stack([(errors(x + d) - errors(x - d)) / (2 * small) for d in small * np.eye(len(x))], axis=1)


if __name__ == "__main__":
    sys.stdout.write(f"{fit()}\n")
