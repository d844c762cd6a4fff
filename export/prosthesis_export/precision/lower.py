"""The most layers of a graph in FP16 or INT8 that keep its outputs within their tolerance.

Output layers stay float32. If that is not enough, more layers are put back, those whose input eight bits describe worst
first, by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prosthesis.bundle import Graph
from prosthesis.delivered import Layers, Parity
from prosthesis_export.frames import Inputs
from prosthesis_export.precision.graphs import layers, output_part, prepare
from prosthesis_export.precision.half import halved
from prosthesis_export.precision.int8 import calibrate, quantised
from prosthesis_export.precision.parity import Reference, parity

Lower = Literal["fp16", "int8-cpu", "int8-tensorrt"]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A graph in its precision, how many of its layers run in it, and its errors."""

    model: Any
    layers: Layers
    parity: tuple[Parity, ...]


def lower(graph: Graph, model: Any, recipe: Lower, calibration: Sequence[Inputs], known: Reference) -> Lowered:
    """Return the graph with as many layers lowered as the tolerances of its outputs allow, perhaps none."""
    ready = prepare(model)
    every, outputs = layers(ready), output_part(ready)
    free = [name for name in every if name not in outputs]
    if recipe == "fp16":

        def make(keep: set[str]) -> Any:
            return halved(ready, keep)

    else:
        found = calibrate(ready, calibration)
        free.sort(key=lambda name: -found.coarseness[name])

        def make(keep: set[str]) -> Any:
            return quantised(ready, found, recipe, keep)

    precision = "fp16" if recipe == "fp16" else "int8"

    def attempt(back: int) -> Lowered:
        if back == len(free):
            made, count = model, 0
        else:
            made, count = make(outputs | set(free[:back])), len(free) - back
        errors = parity(graph, made.SerializeToString(), known, precision)
        return Lowered(made, Layers(file=graph.file, lowered=count, of=len(every)), errors)

    return _least(attempt, len(free))


def _least(attempt: Callable[[int], Lowered], most: int) -> Lowered:
    """Return the attempt with the fewest layers put back that holds; the float graph when none does."""
    best = attempt(0)
    if _holds(best):
        return best
    low, high = 0, most
    best = attempt(most)
    while high - low > 1:
        middle = (low + high) // 2
        tried = attempt(middle)
        if _holds(tried):
            best, high = tried, middle
        else:
            low = middle
    return best


def _holds(lowered: Lowered) -> bool:
    return all(row.holds for row in lowered.parity)
