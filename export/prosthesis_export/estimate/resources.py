"""Energy and memory of a network on a board.

Energy after Pagoda (arXiv 2509.20189): E = a operations + b bytes + idle power x time. Of these b is taken from LPDDR5
(an assumption) and the idle power from the board; a is fitted to six published powers of the Orin Nano, and for boards
without tensor cores to one of the Jetson Nano.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prosthesis.board.boards import BoardConfig, Mode, Precision
from prosthesis_export.estimate.layers import Layer, total_operations, total_weights
from prosthesis_export.estimate.networks import NETWORKS
from prosthesis_export.estimate.published import FIT
from prosthesis_export.estimate.roofline import BYTES, Range, bytes_moved

JOULE_PER_BYTE = 0.12e-9
# what ``fit_energy`` returns, rounded
JOULE_PER_OPERATION: dict[Precision, float] = {"fp32": 3.1e-12, "fp16": 1.6e-12, "int8": 1.2e-12}
# without tensor cores: what is left of 8.8 W at the wall at 10.6 frames of YOLOX-s a second (Idein's Jetson Nano, FP16)
JOULE_PER_LANE_OPERATION: dict[Precision, float] = {"fp32": 50e-12, "fp16": 25e-12}
# where a board's idle power is not known: shares of its largest budget, as the Jetson Nano's and Orin Nano's are
IDLE_SHARES = (0.15, 0.24)
# how far energy was off where it could be checked
ENERGY_LOW, ENERGY_HIGH = 0.7, 1.4
# a process with its runtime, in bytes: NetsPresso's table of 0.3 GB (JetPack 5, AGX Orin) to 1.3 GB (JetPack 4); ONNX
# Runtime on the CPU measured by us
RUNTIME = {"gpu": (0.3e9, 1.3e9), "cpu": (0.1e9, 0.2e9)}
# tegrastats of an idle Orin Nano 8 GB without a desktop: 519 of 7607 MB in use
VISIBLE, SYSTEM = 7607 / 8192, 0.52e9


def energy_j(layers: Sequence[Layer], board: BoardConfig, mode: Mode, precision: Precision, time_s: Range) -> Range:
    """Return the energy of one run, at most what the mode's budget allows in that time; NaN for plain processors."""
    if board.processor.type == "cpu":
        nan = float("nan")
        return Range(nan, nan, nan)
    moved = sum(bytes_moved(layer, precision) for layer in layers)
    each = JOULE_PER_OPERATION if board.processor.tensor_cores else JOULE_PER_LANE_OPERATION
    work = total_operations(list(layers)) * each[precision] + moved * JOULE_PER_BYTE
    low_w, high_w = idle_w(board)
    low = ENERGY_LOW * work + low_w * time_s.low
    high = ENERGY_HIGH * work + high_w * time_s.high
    middle = work + (low_w + high_w) / 2 * time_s.middle
    if mode.budget_w is not None:
        low, middle, high = (
            min(energy, mode.budget_w * time)
            for energy, time in ((low, time_s.low), (middle, time_s.middle), (high, time_s.high))
        )
    return Range(low, middle, high)


def idle_w(board: BoardConfig) -> tuple[float, float]:
    """Return the least and the most that a board draws when it does nothing."""
    if board.idle_w is not None:
        return board.idle_w, board.idle_w
    most = max((mode.budget_w or 0.0 for mode in board.modes.values()), default=0.0)
    return IDLE_SHARES[0] * most, IDLE_SHARES[1] * most


def memory_bytes(graphs: Sequence[Sequence[Layer]], board: BoardConfig, precision: Precision) -> Range:
    """Return what a process with these graphs takes: weights, the largest activations, and the runtime itself."""
    each = BYTES[precision]
    weights = sum(total_weights(list(layers)) for layers in graphs) * each
    active = sum(max((layer.reads + layer.writes for layer in layers), default=0) for layers in graphs) * each
    low, high = RUNTIME[board.processor.type]
    # compilers keep padded weights, and buffers of several layers at once
    least, most = low + weights + active, high + 2 * weights + 3 * active
    return Range(least, (least + most) / 2, most)


def usable_bytes(board: BoardConfig) -> float:
    """Return what a board has for one process; a card of its own has everything, shared memory holds the system too."""
    total = board.memory.gb * 2**30
    return total * VISIBLE - SYSTEM if board.memory.shared else total


def fit_energy() -> dict[Precision, float]:
    """Return joules an operation for each precision, the mean over the two modes that were measured."""
    layers = NETWORKS["yolov8n"]()
    found: dict[Precision, list[float]] = {}
    for item in FIT:
        if item.power_w is None:
            continue
        time = item.ms / 1000
        moved = sum(bytes_moved(layer, item.precision) for layer in layers) * JOULE_PER_BYTE
        # the Orin Nano's own idle power
        rest = item.power_w * time - 6.0 * time - moved
        found.setdefault(item.precision, []).append(rest / total_operations(layers))
    return {precision: float(np.mean(values)) for precision, values in found.items()}
