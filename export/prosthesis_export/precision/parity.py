"""How far a graph's outputs are from those of the graph it was made of, on real inputs, and how far they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime

from prosthesis.bundles.bundle import Graph
from prosthesis.bundles.delivered import Parity
from prosthesis_export.frames import Inputs

STEP = 1 / 1023  # of a stimulator's 10-bit converter, over a map's 0..1
MAPS = ("map", "drawing")
# of maps the largest difference; of all else the error relative to how much the output varies: -20, -40 and -80 dB
MAP_TOLERANCE = {"fp32": 1e-4, "fp16": 2 * STEP, "int8": 2 * STEP}
RELATIVE_TOLERANCE = {"fp32": 1e-4, "fp16": 1e-2, "int8": 1e-1}
Array = npt.NDArray[Any]


def measure_of(output: str) -> Literal["largest", "relative"]:
    """Return by what an output is judged: maps of brightness by their largest difference."""
    return "largest" if output in MAPS else "relative"


def tolerance_of(output: str, precision: str) -> float:
    """Return how far an output may be off."""
    return (MAP_TOLERANCE if output in MAPS else RELATIVE_TOLERANCE)[precision]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the original graph gave: its outputs over all inputs, by name."""

    inputs: tuple[Inputs, ...]
    outputs: dict[str, Array]

    def first(self, count: int) -> Reference:
        """Return the first ``count`` of them."""
        return Reference(self.inputs[:count], {name: value[:count] for name, value in self.outputs.items()})


def reference(content: bytes, inputs: Sequence[Inputs]) -> Reference:
    """Run the original once."""
    return Reference(tuple(inputs), _outputs(content, inputs))


def parity(graph: Graph, content: bytes, known: Reference, precision: str) -> tuple[Parity, ...]:
    """Return the errors of a changed graph, one row an output."""
    found = _outputs(content, known.inputs)
    return tuple(_row(graph.file, name, known, found[name], precision) for name in known.outputs)


def session(content: bytes) -> Any:
    """Open a graph as the device does: on the CPU, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _outputs(content: bytes, inputs: Sequence[Inputs]) -> dict[str, Array]:
    opened = session(content)
    names = [item.name for item in opened.get_outputs()]
    rows = [opened.run(names, dict(one)) for one in inputs]
    return {name: np.stack([row[k] for row in rows]) for k, name in enumerate(names)}


def _row(file: str, name: str, known: Reference, found: Array, precision: str) -> Parity:
    truth = known.outputs[name].astype(np.float64)
    off = np.nan_to_num(np.abs(found - truth), nan=np.inf)
    largest, measure = float(off.max()), measure_of(name)
    relative = float(np.sqrt(np.mean(off**2)) / max(float(truth.std()), 1e-9))
    return Parity(
        file=file,
        output=name,
        measure=measure,
        error=min(largest if measure == "largest" else relative, 1e9),
        tolerance=tolerance_of(name, precision),
        largest=min(largest, 1e9),
        inputs=len(known.inputs),
    )
