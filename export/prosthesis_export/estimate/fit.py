"""Fits the efficiencies: five to twelve published times on the Orin Nano, and few more to few times of other families.

``python -m prosthesis_export.estimate.fit`` prints what the constants below must be; a test holds them to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from prosthesis.board.boards import BoardConfig, load_board
from prosthesis.bundles.bundle import MODELS
from prosthesis_export.estimate.counting import count
from prosthesis_export.estimate.layers import Layer
from prosthesis_export.estimate.networks import NETWORKS
from prosthesis_export.estimate.published import CPU, FIT, LANES, THOR, Measured
from prosthesis_export.estimate.roofline import Efficiency, Range, seconds

Vector = NDArray[np.float64]
# what ``fit_*()`` return, rounded
JETSON = Efficiency(tf32=0.515, fp16=0.657, int8=0.407, lanes=0.449, memory=0.609, kernel_kilocycles=13.36)
BLACKWELL = replace(JETSON, speed=1.925)
# plain cores; a runtime without a compiler, so a wider range
CORES = Efficiency(tf32=1.0, fp16=1.0, int8=1.0, lanes=0.785, memory=0.133, kernel_kilocycles=15.2, low=0.5, high=2.0)
FAMILIES = {"blackwell": BLACKWELL}
NOTES = {
    "maxwell": "one efficiency fitted on a Jetson Nano; depthwise convolutions took twice as long",
    "pascal": "not fitted on this family, but inside the range on it; depthwise convolutions took twice as long",
    "volta": "not fitted on this family, but inside the range on it",
    "blackwell": "one factor of speed fitted on three published times of a T5000; its lower modes are not known",
}
UNCHECKED = "not checked on any published time of this processor"
ROUGH = "rough: fitted on five graphs on one processor, with a range of a factor of four"


def efficiency_of(board: BoardConfig) -> Efficiency:
    """Return the efficiencies that stand for a board's family."""
    if board.processor.type == "cpu":
        return CORES
    return FAMILIES.get(board.processor.architecture, JETSON)


def caveat(board: BoardConfig) -> str:
    """Return how far the family was tested, empty where the range held."""
    if board.processor.type == "cpu":
        return ROUGH
    if board.processor.architecture in NOTES:
        return NOTES[board.processor.architecture]
    return "" if board.processor.compute_capability == "8.7" else UNCHECKED


def fit_jetson() -> Efficiency:
    """Return the efficiencies that make the squared relative errors least, on the Orin Nano and then the Nano."""
    start = Efficiency(tf32=0.4, fp16=0.4, int8=0.3, lanes=0.5, memory=0.7, kernel_kilocycles=10.0)
    tensor = _least(start, ("tf32", "fp16", "int8", "memory", "kernel_kilocycles"), FIT)
    return _least(tensor, ("lanes",), LANES)


def fit_blackwell() -> Efficiency:
    """Return the Orin's efficiencies with the factor that Thor was faster by."""
    return _least(JETSON, ("speed",), THOR)


def fit_cores() -> Efficiency:
    """Return the efficiencies of one plain core under ONNX Runtime."""
    return _least(
        replace(CORES, lanes=0.7, memory=0.2, kernel_kilocycles=5.0), ("lanes", "memory", "kernel_kilocycles"), CPU
    )


def expected(item: Measured) -> Range:
    """Return the range that is printed for a published time, in ms."""
    efficiency = efficiency_of(_board(item.board))
    return efficiency.spread(1000 * _seconds(efficiency, item))


def ratios(measured: Sequence[Measured]) -> Vector:
    """Return estimated over measured time of each."""
    return np.array([expected(item).middle / item.ms for item in measured])


def _seconds(efficiency: Efficiency, item: Measured) -> float:
    board = _board(item.board)
    return seconds(_layers(item.network), board, board.mode(item.mode)[1], item.precision, efficiency)


@cache
def _board(name: str) -> BoardConfig:
    return load_board(name)


@cache
def _layers(name: str) -> tuple[Layer, ...]:
    return tuple(NETWORKS[name]() if name in NETWORKS else count(MODELS / f"{name}.onnx"))


def _least(start: Efficiency, names: Sequence[str], measured: Sequence[Measured]) -> Efficiency:
    """Gauss-Newton on the logarithms of the named efficiencies."""

    def at(x: Vector) -> Efficiency:
        return replace(start, **dict(zip(names, np.exp(x).tolist(), strict=True)))

    def errors(x: Vector) -> Vector:
        return np.log([1000 * _seconds(at(x), item) / item.ms for item in measured])

    x = np.log([getattr(start, name) for name in names])
    for _ in range(40):
        step = np.linalg.lstsq(_slopes(errors, x), -errors(x), rcond=None)[0]
        x = x + np.clip(step, -0.3, 0.3)
        if np.abs(step).max() < 1e-6:
            break
    return at(x)


def _slopes(errors: Callable[[Vector], Vector], x: Vector) -> Vector:
    small = 1e-4
    return np.stack([(errors(x + d) - errors(x - d)) / (2 * small) for d in small * np.eye(len(x))], axis=1)


if __name__ == "__main__":
    sys.stdout.write(f"{fit_jetson()}\n{fit_blackwell()}\n{fit_cores()}\n")
