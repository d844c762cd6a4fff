"""What every graph must pass before it is delivered; each refusal names the cause and what to do."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto

from prosthesis.bundles.bundle import Graph
from prosthesis.errors import ProsthesisError

OURS = 18  # the opset of graphs that we make; those of others stay as they came
OLDEST = 7
STANDARD = ("", "ai.onnx")
# TensorRT's importer knows no way to run these (asked of tensorrt-rtx 1.7.1)
NOT_IN_TENSORRT = ("Det", "Unique", "DFT", "DeformConv", "Multinomial", "SplitToSequence", "ConcatFromSequence")
DTYPES = {TensorProto.UINT8: "uint8", TensorProto.FLOAT: "float32"}
AGAIN = "copy or build the bundle again"


class GateError(ProsthesisError):
    """A graph that must not be delivered."""


def cleaned(model: Any) -> Any:
    """Return ``model``, changed in place, in the order it runs and without a trace of where or by what it was made."""
    _sort(model.graph)
    model.producer_name, model.producer_version, model.doc_string = "prosthesis", "", ""
    del model.metadata_props[:]
    parts = [model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info]
    for part in (*parts, *model.graph.initializer):
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
    return model


def read_graph(content: bytes, name: str) -> Any:
    """Return the graph in ``content``; ``GateError`` when it is broken off or no ONNX at all."""
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's errors have no base of their own
        raise GateError(f"{name}: broken off or not ONNX ({len(content)} bytes); {AGAIN}") from error
    if not model.graph.node or not model.opset_import:
        raise GateError(f"{name}: broken off or empty: no nodes or no opset; {AGAIN}")
    return model


def check(content: bytes, graph: Graph, ours: bool, tensorrt: bool) -> Any:
    """Return the graph after all gates; ``ours`` asks for our opset, ``tensorrt`` for what that can run.

    Raises ``GateError``.
    """
    model = read_graph(content, graph.file)
    _check_opset(model, graph, ours)
    _check_nodes(model, graph.file, tensorrt)
    _check_stored(model, graph.file)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker and the inference of shapes raise classes of their own
        raise GateError(f"{graph.file}: not valid ONNX: {_first_line(error)}; {_remedy(model)}") from error
    _check_ends(model, graph)
    return model


def _sort(graph: Any) -> None:
    """Put nodes after those they read: converters append their casts at the end, which ONNX forbids."""
    waiting, known = list(graph.node), {"", *(item.name for item in (*graph.input, *graph.initializer))}
    ordered: list[Any] = []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            return  # a circle, or a value from nowhere: the checker names it
        ordered += ready
        known.update(value for node in ready for value in node.output)
        done = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in done]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _check_opset(model: Any, graph: Graph, ours: bool) -> None:
    found = next((item.version for item in model.opset_import if item.domain in STANDARD), 0)
    if ours and found < OURS:
        raise GateError(
            f"{graph.file}: opset {found}; ours are {OURS}: torch's newer exporter breaks files of 17 and less; "
            f"export with opset_version={OURS}"
        )
    if found < OLDEST or found > onnx.defs.onnx_opset_version():
        known = onnx.defs.onnx_opset_version()
        raise GateError(f"{graph.file}: opset {found}; {OLDEST} to {known} can be checked; export with opset {OURS}")


def _check_nodes(model: Any, name: str, tensorrt: bool) -> None:
    for number, node in enumerate(model.graph.node):
        where = f"{name}: node {number} ('{node.name or node.output[0]}') is {node.domain or 'onnx'}.{node.op_type}"
        if node.domain not in STANDARD:
            raise GateError(f"{where}, which is no standard operator; write it with standard ones")
        if not onnx.defs.has(node.op_type):
            raise GateError(f"{where}, which onnx {onnx.__version__} does not know; write it with standard operators")
        if tensorrt and node.op_type in NOT_IN_TENSORRT:
            raise GateError(f"{where}, which TensorRT cannot run; replace it, or export for board laptop_cpu")


def _check_stored(model: Any, name: str) -> None:
    for item in model.graph.initializer:
        if item.data_location == TensorProto.EXTERNAL:
            raise GateError(f"{name}: '{item.name}' lies in another file; export with external_data=False")


def _check_ends(model: Any, graph: Graph) -> None:
    for said, found in ((graph.inputs, model.graph.input), (graph.outputs, model.graph.output)):
        wanted = [(tensor.name, tensor.shape, tensor.dtype) for tensor in said]
        got = [(item.name, _shape(item), DTYPES.get(item.type.tensor_type.elem_type, "another type")) for item in found]
        if wanted != got:
            raise GateError(
                f"{graph.file}: the manifest says {_told(wanted)}, the graph has {_told(got)}; free sizes (?) are not "
                "delivered: fix the graph's shapes or the manifest"
            )


def _shape(item: Any) -> tuple[int | str, ...]:
    return tuple(dim.dim_value if dim.HasField("dim_value") else "?" for dim in item.type.tensor_type.shape.dim)


def _told(ends: Any) -> str:
    return ", ".join(f"{name} {dtype}[{', '.join(map(str, shape))}]" for name, shape, dtype in ends)


def _remedy(model: Any) -> str:
    if model.opset_import[0].version < OURS:
        return f"an attribute of a later opset in an older graph comes from conversion; export with opset {OURS}"
    return "build the graph again"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
