"""A TensorRT and a CUDA that keep the real ones' order of calls and compute nothing but x + 1.

Device memory is host memory that only the copies may touch, so a test sees a copy that was forgotten. What real ones
refuse, these refuse: work on a closed stream, a capture before the first call, an engine that is not theirs.
"""

from __future__ import annotations

import ctypes
import enum
from types import SimpleNamespace

import numpy as np

MAGIC = b"plan of "
NOT_PERMITTED = 900


class Status(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorStreamCaptureUnsupported = NOT_PERMITTED


class FakeCuda:
    """The calls of ``cuda.bindings.runtime`` that we use; each returns its status first."""

    cudaDeviceAttr = SimpleNamespace(cudaDevAttrComputeCapabilityMajor=75, cudaDevAttrComputeCapabilityMinor=76)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, architecture=(8, 7), driver=True):
        self.architecture, self.driver = architecture, driver
        self.calls, self.memory, self.capture, self.enqueued = [], {}, None, 0

    def _do(self, what):
        if self.capture is not None:
            self.capture.append(what)
        else:
            what()

    def _note(self, name):
        self.calls.append(name)

    def cudaGetDevice(self):
        return (Status.cudaSuccess, 0) if self.driver else (Status.cudaErrorInsufficientDriver, None)

    def cudaDeviceGetAttribute(self, attribute, device):
        return Status.cudaSuccess, self.architecture[attribute - 75]

    def cudaStreamCreate(self):
        self._note("stream")
        return Status.cudaSuccess, 7

    def _allocate(self, size):
        buffer = (ctypes.c_byte * size)()
        ctypes.memset(buffer, 0x55, size)  # as uninitialised memory is: not zero
        self.memory[ctypes.addressof(buffer)] = buffer
        return Status.cudaSuccess, ctypes.addressof(buffer)

    cudaMalloc = cudaMallocHost = _allocate

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        assert stream == 7
        device = to if kind == 1 else source
        assert device in self.memory, "the device side of a copy must be what cudaMalloc gave"
        self._do(lambda: ctypes.memmove(to, source, size))
        return (Status.cudaSuccess,)

    def cudaStreamSynchronize(self, stream):
        assert self.capture is None, "waiting is not permitted while capturing"
        self._note("wait")
        return (Status.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream, mode):
        assert self.enqueued, "TensorRT must have run once before it is captured"
        self._note("begin")
        self.capture = []
        return (Status.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        graph, self.capture = self.capture, None
        self._note("end")
        return (Status.cudaSuccess, graph)

    def cudaGraphInstantiate(self, graph, flags):
        if "broken" in graph:
            return Status.cudaErrorStreamCaptureUnsupported, None
        return Status.cudaSuccess, list(graph)

    def cudaGraphDestroy(self, graph):
        return (Status.cudaSuccess,)

    def cudaGraphLaunch(self, graph, stream):
        self._note("launch")
        for step in graph:
            step()
        return (Status.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph):
        self._note("free graph")
        return (Status.cudaSuccess,)

    def cudaFree(self, address):
        del self.memory[address]
        return (Status.cudaSuccess,)

    cudaFreeHost = cudaFree

    def cudaStreamDestroy(self, stream):
        self._note("destroy stream")
        return (Status.cudaSuccess,)

    def cudaGetLastError(self):
        self._note("forget")
        return (Status.cudaSuccess,)


class ILogger:
    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)


class IProgressMonitor:
    pass


def fake_tensorrt(cuda, version="10.3.0", inputs=(("frame", (1, 2, 2, 3), np.uint8),), capturable=True):
    """Return a module-like TensorRT whose engines give ``map`` = first input + 1, as float32 of its shape."""
    tensors = [*((name, shape, dtype, "in") for name, shape, dtype in inputs)]
    tensors.append(("map", inputs[0][1], np.float32, "out"))
    trt = SimpleNamespace(
        __version__=version,
        ILogger=ILogger,
        IProgressMonitor=IProgressMonitor,
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
        MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
        TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"),
        nptype=lambda dtype: dtype,
        builds=0,
        refuses="",
        fails="",
    )

    class Context:
        def __init__(self):
            self.addresses = {}

        def set_tensor_address(self, name, address):
            assert address in cuda.memory
            self.addresses[name] = address
            return True

        def execute_async_v3(self, stream):
            assert stream == 7
            assert self.addresses.keys() == {name for name, *_ in tensors}
            cuda.enqueued += 1
            if cuda.capture is not None and not capturable:
                cuda.capture.append("broken")
                return False
            cuda._do(self._compute)
            return True

        def _compute(self):
            name, shape, dtype, _ = tensors[0]
            value = np.frombuffer(cuda.memory[self.addresses[name]], dtype).reshape(shape).astype(np.float32) + 1
            np.frombuffer(cuda.memory[self.addresses["map"]], np.float32)[:] = value.ravel()

    class Engine:
        num_io_tensors = len(tensors)
        create_execution_context = staticmethod(Context)

        def get_tensor_name(self, index):
            return tensors[index][0]

        def get_tensor_shape(self, name):
            return next(shape for n, shape, *_ in tensors if n == name)

        def get_tensor_dtype(self, name):
            return next(dtype for n, _, dtype, _ in tensors if n == name)

        def get_tensor_mode(self, name):
            return next(mode for n, *_, mode in tensors if n == name)

    class Runtime:
        def __init__(self, log):
            self.log = log

        def deserialize_cuda_engine(self, data):
            if data != MAGIC + trt.__version__.encode():
                self.log.log(ILogger.Severity.ERROR, "version tag does\nnot match")
                return None
            return Engine()

    class Builder:
        def __init__(self, log):
            self.log = log

        def create_network(self, flags):
            assert flags == 1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
            return SimpleNamespace(parsed=False)

        def create_builder_config(self):
            return SimpleNamespace(set_memory_pool_limit=lambda pool, size: None)

        def build_serialized_network(self, network, config):
            assert network.parsed
            trt.builds += 1
            monitor = config.progress_monitor
            monitor.phase_start("Building", None, 3)
            monitor.phase_start("tactics", "Building", 9)
            assert all(monitor.step_complete("Building", step) for step in range(3))
            monitor.phase_finish("Building")
            if trt.fails:
                self.log.log(ILogger.Severity.ERROR, trt.fails)
                return None
            return MAGIC + trt.__version__.encode()

    class OnnxParser:
        def __init__(self, network, log):
            self.network = network
            self.num_errors = 0

        def parse(self, data):
            self.network.parsed = not trt.refuses
            self.num_errors = int(bool(trt.refuses))
            return self.network.parsed

        def get_error(self, index):
            return trt.refuses

    trt.Runtime, trt.Builder, trt.OnnxParser = Runtime, Builder, OnnxParser
    return trt
