"""Time of a network on a board: a roofline a layer, a floor a kernel, and efficiencies fitted to measurements.

time = sum over layers of max(operations / (efficiency x peak), bytes / (efficiency x bandwidth)) + floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prosthesis.boards import BoardConfig, Mode, Precision
from prosthesis_export.estimate.layers import Layer

BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
# published times of one network on one board differ this much between laboratories; a factor of two in all
LOW, HIGH = 0.7, 1.4


@dataclass(frozen=True, slots=True)
class Efficiency:
    """How much of a peak is reached: shares of the dense peaks and of the bandwidth, and a floor in us a kernel.

    ``fp32`` is of the CUDA cores' peak and may pass 1, since TensorRT takes tensor cores for FP32 too (TF32).
    """

    fp32: float
    fp16: float
    int8: float
    memory: float
    kernel_us: float


@dataclass(frozen=True, slots=True)
class Cost:
    """One layer's share: ``bound`` says what it waits for, ``compute``, ``memory`` or ``launch``."""

    layer: Layer
    seconds: float
    bound: str


@dataclass(frozen=True, slots=True)
class Range:
    """A low and a high value, with the middle one that they were made from."""

    low: float
    middle: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def spread(middle: float) -> Range:
    """Return the range that is printed for a middle estimate of a time."""
    return Range(LOW * middle, middle, HIGH * middle)


def costs(
    layers: Sequence[Layer], board: BoardConfig, mode: Mode, precision: Precision, efficiency: Efficiency
) -> list[Cost]:
    """Return what each layer costs; ``ConfigError`` when the board does not run ``precision``."""
    rates = _rates(board, mode, precision, efficiency)
    bandwidth = efficiency.memory * board.bytes_per_s(mode)
    floor = efficiency.kernel_us * 1e-6
    out = []
    for layer in layers:
        compute = layer.operations / rates["matrix" if layer.kind == "matrix" else "other"]
        moved = bytes_moved(layer, precision) / bandwidth
        bound = max((compute, "compute"), (moved, "memory"), (floor, "launch"))[1]
        out.append(Cost(layer, max(compute, moved) + floor, bound))
    return out


def seconds(
    layers: Sequence[Layer], board: BoardConfig, mode: Mode, precision: Precision, efficiency: Efficiency
) -> float:
    """Return the middle estimate of a network's time."""
    return sum(cost.seconds for cost in costs(layers, board, mode, precision, efficiency))


def bytes_moved(layer: Layer, precision: Precision) -> int:
    """Return the bytes that one layer reads and writes."""
    return (layer.weights + layer.reads + layer.writes) * BYTES[precision]


def _rates(board: BoardConfig, mode: Mode, precision: Precision, efficiency: Efficiency) -> dict[str, float]:
    """Return operations a second of what tensor cores do and of the rest."""
    peak = board.peak(precision, mode)
    plain = board.peak("fp32", mode) * efficiency.fp32
    if board.processor.tensor_cores and precision != "fp32":
        return {"matrix": peak * (efficiency.fp16 if precision == "fp16" else efficiency.int8), "other": plain}
    # without tensor cores every precision runs on the same lanes, as well filled as in FP32
    return {"matrix": peak * efficiency.fp32, "other": plain}
