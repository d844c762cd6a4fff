"""TensorRT on the board: the engine is built here once, then every frame is one launch of a CUDA graph.

A small encoder has some thirty kernels, and launching them one by one costs more than they take.
"""

from __future__ import annotations

import hashlib
import sys
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import Bundle, Graph
from prosthesis.engines.cuda import Cuda, load_cuda
from prosthesis.engines.plans import PlanKey, Say, build, cache_folder, keep, kept, load_tensorrt, logger
from prosthesis.errors import EngineError


def say_to_stderr(text: str) -> None:
    """Tell a person at the terminal; builds take minutes."""
    sys.stderr.write(text + "\n")


def open_tensorrt(bundle: Bundle, graph: Graph, say: Say = say_to_stderr) -> TensorrtEngine:
    """Return an engine for one of the bundle's graphs, building it if none is kept that fits this machine.

    Raises ``MissingExtraError`` without TensorRT or ``cuda-python``, ``EngineError`` when the graph, the GPU or the
    versions do not fit.
    """
    trt, cuda = load_tensorrt(), Cuda(load_cuda())
    path = bundle.graph_path(graph)
    key = PlanKey(
        onnx_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        tensorrt=str(trt.__version__),
        architecture=cuda.architecture,
        precision=str(getattr(bundle.manifest, "precision", None) or "as in the graph"),
        profile=", ".join(f"{t.name}:{'x'.join(map(str, t.shape))}:{t.dtype}" for t in graph.inputs),
    )
    name, folder = f"{bundle.manifest.name}-{path.stem}", cache_folder()
    data = kept(folder, name, key, say)
    parts = _deserialise(trt, data) if data is not None else None
    if parts is None or parts[-1] is None:
        if parts is not None:
            say(f"{name}: TensorRT does not take the engine that was kept ({parts[0].last})")
        parts = _deserialise(trt, _build_and_keep(trt, path, folder, name, key, say))
    if parts[-1] is None:
        raise EngineError(f"{path}: TensorRT does not take the engine it has just built ({parts[0].last}); {_ADVICE}")
    return TensorrtEngine(trt, parts, cuda, path)


_ADVICE = "run 'prosthesis doctor', or use engine 'onnx'"


def _build_and_keep(trt: ModuleType, path: Path, folder: Path, name: str, key: PlanKey, say: Say) -> bytes:
    say(f"{name}: building for TensorRT {key.tensorrt} and {key.architecture}; minutes, once")
    began = time.monotonic()
    data = build(trt, path, say)
    seconds = time.monotonic() - began
    keep(folder, name, key, data, seconds)
    say(f"{name}: built in {seconds:.0f} s")
    return data


def _deserialise(trt: ModuleType, data: bytes) -> tuple[Any, Any, Any]:
    """Return logger, runtime and engine, each of which must outlive the next; the engine is ``None`` if refused."""
    log = logger(trt)
    runtime = trt.Runtime(log)
    return log, runtime, runtime.deserialize_cuda_engine(data)


class TensorrtEngine:
    """Runs one engine on its own stream, inputs and outputs in pinned memory, all of it one CUDA graph.

    An engine that cannot be captured is run call by call, and ``provider`` says so.
    """

    def __init__(self, trt: ModuleType, parts: tuple[Any, Any, Any], cuda: Cuda, path: Path) -> None:
        self._path, self._cuda = path, cuda
        # logger, runtime, engine: none may go before what was made by it
        self._alive = parts
        engine = parts[-1]
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"{path}: no memory for the engine; close other programs, or use engine 'onnx'")
        self._inputs: dict[str, tuple[npt.NDArray[Any], int]] = {}
        self._outputs: dict[str, tuple[npt.NDArray[Any], int]] = {}
        for index in range(engine.num_io_tensors):
            self._bind(trt, engine, engine.get_tensor_name(index))
        weakref.finalize(self, cuda.close)
        self._graph = self._capture()
        how = "CUDA graph" if self._graph is not None else "call by call: cannot be captured as a CUDA graph"
        self._provider = f"TensorRT {trt.__version__}, {how}"

    @property
    def provider(self) -> str:
        """What really computes, e.g. ``"TensorRT 10.3.0, CUDA graph"``."""
        return self._provider

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs by name; ``EngineError`` when an input's name, shape or dtype is not the graph's."""
        self._check(inputs)
        for name, array in inputs.items():
            np.copyto(self._inputs[name][0], array)
        if self._graph is not None:
            self._cuda.launch(self._graph)
        else:
            self._enqueue()
        self._cuda.wait()
        return {name: host.copy() for name, (host, _) in self._outputs.items()}

    def _bind(self, trt: ModuleType, engine: Any, name: str) -> None:
        shape, dtype = tuple(engine.get_tensor_shape(name)), np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        if min(shape, default=1) < 1:
            raise EngineError(f"{self._path}: tensor '{name}' is {list(shape)}: shapes must be fixed; export it again")
        host = self._cuda.pinned(shape, dtype)
        host[...] = 0
        device = self._cuda.allocate(host.nbytes)
        self._context.set_tensor_address(name, device)
        side = self._inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else self._outputs
        side[name] = (host, device)

    def _capture(self) -> Any:
        """Return the frame's work as a graph, ``None`` when the engine does what cannot be captured."""
        # the first call sets up what a capture may not: TensorRT asks for one before it
        self._enqueue()
        self._cuda.wait()
        try:
            self._cuda.begin_capture()
            try:
                self._enqueue()
            finally:
                graph = self._cuda.end_capture()
            self._cuda.launch(graph)
            self._cuda.wait()
        except EngineError:
            self._cuda.forget_error()
            return None
        return graph

    def _enqueue(self) -> None:
        for host, device in self._inputs.values():
            self._cuda.upload(device, host)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise EngineError(f"{self._path}: TensorRT could not run the graph; {_ADVICE}")
        for host, device in self._outputs.values():
            self._cuda.download(host, device)

    def _check(self, inputs: Mapping[str, npt.NDArray[Any]]) -> None:
        if inputs.keys() != self._inputs.keys():
            raise EngineError(f"{self._path}: takes inputs {sorted(self._inputs)}, got {sorted(inputs)}; rename them")
        for name, array in inputs.items():
            host = self._inputs[name][0]
            if (array.dtype, array.shape) != (host.dtype, host.shape):
                raise EngineError(
                    f"{self._path}: input '{name}' must be {host.dtype} {list(host.shape)}, got {array.dtype} "
                    f"{list(array.shape)}; convert it, or choose a model of that size"
                )
