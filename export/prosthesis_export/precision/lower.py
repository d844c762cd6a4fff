"""The most layers of a graph in FP16 or INT8 that keep its outputs within their tolerance.

Output layers stay float32. If that is not enough, blocks of layers are put back, those first that alone do most harm,
by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prosthesis.bundles.bundle import Graph
from prosthesis.bundles.delivered import Layers, Parity
from prosthesis_export.frames import Inputs
from prosthesis_export.precision.graphs import layers, output_part, prepare
from prosthesis_export.precision.half import halved
from prosthesis_export.precision.int8 import calibrate, eight_bit_layers, quantised
from prosthesis_export.precision.parity import Reference, parity

Lower = Literal["fp16", "int8-cpu", "int8-tensorrt"]
BLOCKS = 8  # of consecutive layers, that are tried, and put back, together
FEW = 4  # inputs on which a block alone is tried


@dataclass(frozen=True, slots=True)
class Lowered:
    """A graph in its precision, how many layers run in it, its errors, and those with all but output layers lowered."""

    model: Any
    layers: Layers
    parity: tuple[Parity, ...]
    whole: tuple[Parity, ...]


def lower(
    graph: Graph, model: Any, recipe: Lower, calibration: Sequence[Inputs], known: Reference, share: float = 1.0
) -> Lowered:
    """Return the graph with as many layers lowered as ``share`` of its outputs' tolerances allows, perhaps none.

    With an infinite share all but the output layers are lowered, whatever the errors.
    """
    ready = prepare(model)
    every, outputs = layers(ready), output_part(ready)
    able = every if recipe == "fp16" else eight_bit_layers(ready)
    free = [name for name in able if name not in outputs]
    make = _maker(ready, recipe, calibration)
    precision = "fp16" if recipe == "fp16" else "int8"

    def attempt(back: Collection[str], known: Reference = known) -> tuple[Any, tuple[Parity, ...]]:
        made = model if len(back) == len(free) else make(outputs.union(back))
        return made, parity(graph, made.SerializeToString(), known, precision)

    made, errors = whole = attempt(())
    back: list[str] = []
    if not _holds(errors, share):
        size = max(1, len(free) // BLOCKS)
        blocks = [free[start : start + size] for start in range(0, len(free), size)]
        few = known.first(FEW)
        blocks.sort(key=lambda block: -_worst(attempt([name for name in free if name not in block], few)[1]))
        back, (made, errors) = _fewest(attempt, blocks, share)
    return Lowered(made, Layers(file=graph.file, lowered=len(free) - len(back), of=len(every)), errors, whole[1])


def _maker(ready: Any, recipe: Lower, calibration: Sequence[Inputs]) -> Callable[[set[str]], Any]:
    if recipe == "fp16":
        return lambda keep: halved(ready, keep)
    ranges = calibrate(ready, calibration)
    return lambda keep: quantised(ready, ranges, recipe, keep)


Attempt = tuple[Any, tuple[Parity, ...]]


def _fewest(
    attempt: Callable[[list[str]], Attempt], blocks: list[list[str]], share: float
) -> tuple[list[str], Attempt]:
    """Return the fewest layers, worst blocks first, that must be put back for the rest to hold, and that attempt."""

    def first(count: int) -> list[str]:
        return [name for block in blocks[:count] for name in block]

    low, high = 0, len(blocks)
    best = attempt(first(high))
    while high - low > 1:
        middle = (low + high) // 2
        tried = attempt(first(middle))
        if _holds(tried[1], share):
            best, high = tried, middle
        else:
            low = middle
    return first(high), best


def _worst(rows: tuple[Parity, ...]) -> float:
    return max(row.error / row.tolerance for row in rows)


def _holds(rows: tuple[Parity, ...], share: float) -> bool:
    return _worst(rows) <= share
