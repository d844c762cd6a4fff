"""Time of a network on a board: a roofline a layer, a floor a kernel, and efficiencies fitted to measurements.

time = sum over layers of max(operations / (efficiency x peak x filling), bytes / (efficiency x bandwidth)) + floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prosthesis.board.boards import BoardConfig, Mode, Precision
from prosthesis_export.estimate.layers import Layer

BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, "int8": 1}
# a factor of two in all: published times of one network on one board differ by nearly that between laboratories
LOW, HIGH = 0.7, 1.4
# results are made in tiles, one multiprocessor a tile (CUTLASS's common sizes)
TILES = ((128, 128), (128, 64), (64, 64))
# F(2x2, 3x3) needs 16 multiplications where the plain way needs 36 (Lavin and Gray 2016, arXiv 1509.09308)
WINOGRAD = 36 / 16


@dataclass(frozen=True, slots=True)
class Range:
    """A low and a high value, with the middle one that they were made from."""

    low: float
    middle: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Which share of a peak is reached, by tensor cores in three precisions, by plain lanes, and by the memory.

    ``kernel_kilocycles`` is the floor: what a kernel takes at least, in thousands of the processor's clocks. ``speed``
    divides the whole time, for families of which no more is known. The range is ``low`` to ``high`` times it.
    """

    tf32: float
    fp16: float
    int8: float
    lanes: float
    memory: float
    kernel_kilocycles: float
    speed: float = 1.0
    low: float = LOW
    high: float = HIGH

    def spread(self, middle: float) -> Range:
        """Return the range that is printed for a middle estimate."""
        return Range(self.low * middle, middle, self.high * middle)


@dataclass(frozen=True, slots=True)
class Cost:
    """One layer's share: ``bound`` says what it waits for, ``compute``, ``memory`` or ``launch``."""

    layer: Layer
    seconds: float
    bound: str


def costs(
    layers: Sequence[Layer], board: BoardConfig, mode: Mode, precision: Precision, efficiency: Efficiency
) -> list[Cost]:
    """Return what each layer costs; ``ConfigError`` when the board does not run ``precision``."""
    board.peak(precision, mode)
    bandwidth = efficiency.memory * board.bytes_per_s(mode)
    floor = efficiency.kernel_kilocycles * 1e-3 / mode.mhz
    out = []
    for layer in layers:
        compute = layer.operations / _rate(layer, board, mode, precision, efficiency)
        moved = bytes_moved(layer, precision) / bandwidth
        bound = max((compute, "compute"), (moved, "memory"), (floor, "launch"))[1]
        out.append(Cost(layer, (max(compute, moved) + floor) / efficiency.speed, bound))
    return out


def seconds(
    layers: Sequence[Layer], board: BoardConfig, mode: Mode, precision: Precision, efficiency: Efficiency
) -> float:
    """Return the middle estimate of a network's time."""
    return sum(cost.seconds for cost in costs(layers, board, mode, precision, efficiency))


def bytes_moved(layer: Layer, precision: Precision) -> int:
    """Return the bytes that one layer reads and writes."""
    return (layer.weights + layer.reads + layer.writes) * BYTES[precision]


def filling(rows: int, columns: int, units: int) -> float:
    """Return the share of the multiprocessors' tiles that a result of this size fills, with the best of the tiles.

    The last round of tiles may leave multiprocessors idle, and the outermost tiles may stick out.
    """
    shares = []
    for high, wide in TILES:
        tiles = -(-rows // high) * -(-columns // wide)
        rounds = -(-tiles // units)
        shares.append(rows * columns / (rounds * units * high * wide))
    return max(shares)


def _rate(layer: Layer, board: BoardConfig, mode: Mode, precision: Precision, efficiency: Efficiency) -> float:
    """Return the operations a second that one layer reaches."""
    if layer.kind != "matrix":
        return board.peak("fp32", mode) * efficiency.lanes
    each = board.processor.tf32_operations if precision == "fp32" else board.processor.operations[precision]
    if board.processor.tensor_cores and each is not None:
        full = mode.units * mode.mhz * 1e6 * each
        share = {"fp32": efficiency.tf32, "fp16": efficiency.fp16, "int8": efficiency.int8}[precision]
        return full * share * filling(layer.rows, layer.columns, mode.units)
    fewer = WINOGRAD if layer.winograd and board.processor.type == "gpu" else 1.0
    return board.peak(precision, mode) * efficiency.lanes * fewer
