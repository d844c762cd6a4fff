"""A graph made ready for another precision, and which of its layers give the outputs."""

from __future__ import annotations

import copy
from typing import Any

from onnx import version_converter

from prosthesis_export.text import fold

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
OLDEST_FOR_CHANNELS = 13  # scales of channels have an axis since then
PARAMETERS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1}


def prepare(model: Any) -> Any:
    """Return a graph with constants folded (halved weights too), opset 13 at least, and each node named once."""
    ready = fold(copy.deepcopy(model))
    if ready.opset_import[0].version < OLDEST_FOR_CHANNELS:
        ready = version_converter.convert_version(ready, OLDEST_FOR_CHANNELS)
    for number, node in enumerate(ready.graph.node):
        node.name = f"{node.op_type}_{number}"
    return ready


def layers(model: Any) -> list[str]:
    """Return the names of nodes with weights, in order: what a precision is chosen for."""
    constants = {item.name for item in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in WEIGHTED and node.input[PARAMETERS[node.op_type]] in constants
    ]


def output_part(model: Any) -> set[str]:
    """Return the names of the last layers before each output and of everything behind them: these stay float."""
    makers = {value: node for node in model.graph.node for value in node.output}
    weighted, found = set(layers(model)), set[str]()
    waiting = [item.name for item in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.add(node.name)
        if node.name not in weighted:
            waiting += node.input
    return found


def between(model: Any, floats: set[str]) -> set[str]:
    """Return the nodes without weights that only layers in ``floats`` feed: lowering them gains nothing."""
    weighted, lowered = set(layers(model)), set[str]()  # values that a lowered layer leads to, through no other layer
    out = set()
    for node in model.graph.node:  # nodes are in the order they run
        if node.name in weighted:
            fed = node.name not in floats
        else:
            fed = any(value in lowered for value in node.input)
            if not fed:
                out.add(node.name)
        if fed:
            lowered.update(node.output)
    return out
