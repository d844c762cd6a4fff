"""Hop 2's engines: what runs a bundle's graph. One file an engine, chosen here and nowhere else."""

from __future__ import annotations

from prosthesis.bundles.bundle import Bundle
from prosthesis.errors import EngineError
from prosthesis.protocols import Engine


def open_engine(bundle: Bundle, engine_name: str, provider: str = "cpu", index: int = 0) -> Engine:
    """Return an engine for one of the bundle's graphs, the first unless ``index`` says another.

    ``engine_name`` is ``onnx``, ``tensorrt``, ``openvino`` or ``null``; ``provider`` (``cpu``, ``cuda``, ``tensorrt``:
    ways of ONNX Runtime) concerns ``onnx`` only.
    Raises ``EngineError`` when the graph cannot run as asked and ``MissingExtraError`` when a package is missing.
    """
    graph = bundle.manifest.graphs[index]
    match engine_name:
        case "onnx":
            from prosthesis.engines.onnx import OnnxEngine

            return OnnxEngine(bundle.graph_path(graph), provider)
        case "null":
            from prosthesis.engines.null import NullEngine

            return NullEngine({tensor.name: (tensor.shape, tensor.dtype) for tensor in graph.outputs})
        case "tensorrt":
            from prosthesis.engines.tensorrt import open_tensorrt

            return open_tensorrt(bundle, graph)
        case "openvino":
            from prosthesis.engines.openvino import OpenvinoEngine

            return OpenvinoEngine(bundle.graph_path(graph))
        case _:
            raise EngineError(f"engine '{engine_name}': unknown; use 'onnx', 'tensorrt', 'openvino' or 'null'")
