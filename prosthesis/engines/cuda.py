"""The few calls of the CUDA runtime that an engine needs, through NVIDIA's ``cuda-python``, each one checked."""

from __future__ import annotations

import ctypes
import importlib
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import EngineError, MissingExtraError

# the first is cuda-python 12.6 and later, the second older ones and what JetPack 6's users have
BINDINGS = ("cuda.bindings.runtime", "cuda.cudart")


def load_cuda() -> ModuleType:
    """Return the bindings of the CUDA runtime; ``MissingExtraError`` with the install line when there are none."""
    for name in BINDINGS:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise MissingExtraError(
        "engine 'tensorrt' needs NVIDIA's cuda-python; pip install 'cuda-python==12.*' on JetPack 6, "
        "'cuda-python==13.*' on JetPack 7"
    )


class Cuda:
    """One device, one stream, and what was allocated on them.

    Raises ``EngineError`` with CUDA's own word when there is no usable device.
    """

    def __init__(self, bindings: ModuleType) -> None:
        self._cuda = bindings
        self._host: list[int] = []
        self._device: list[int] = []
        self._graphs: list[Any] = []
        self._stream: Any = None
        self._index = self._call("cudaGetDevice")
        self._stream = self._call("cudaStreamCreate")

    @property
    def stream(self) -> int:
        """The stream's handle, as TensorRT takes it."""
        return int(self._stream)

    @property
    def architecture(self) -> str:
        """The device's architecture, e.g. ``"sm_87"`` for an Orin."""
        kind = self._cuda.cudaDeviceAttr
        major, minor = (
            self._call("cudaDeviceGetAttribute", attribute, self._index)
            for attribute in (kind.cudaDevAttrComputeCapabilityMajor, kind.cudaDevAttrComputeCapabilityMinor)
        )
        return f"sm_{major}{minor}"

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return page-locked memory as an array, which must not outlive this object."""
        size = np.dtype(dtype).itemsize * int(np.prod(shape))
        address = int(self._call("cudaMallocHost", size))
        self._host.append(address)
        return np.frombuffer(memoryview((ctypes.c_byte * size).from_address(address)), dtype).reshape(shape)

    def allocate(self, size: int) -> int:
        """Return the address of ``size`` bytes on the device."""
        address = int(self._call("cudaMalloc", size))
        self._device.append(address)
        return address

    def upload(self, address: int, array: npt.NDArray[Any]) -> None:
        """Queue the copy of a pinned array to the device."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, self._stream)

    def download(self, array: npt.NDArray[Any], address: int) -> None:
        """Queue the copy of what is on the device to a pinned array."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, self._stream)

    def wait(self) -> None:
        """Return when all that was queued is done."""
        self._call("cudaStreamSynchronize", self._stream)

    def begin_capture(self) -> None:
        """From here on calls are noted into a graph, not carried out."""
        # other threads (a second encoder's) may allocate meanwhile
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)

    def end_capture(self) -> Any:
        """Return what was noted, ready to launch."""
        graph = self._call("cudaStreamEndCapture", self._stream)
        try:
            ready = self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)
        self._graphs.append(ready)
        return ready

    def forget_error(self) -> None:
        """Clear what a capture that failed has left, so that later calls do not report it."""
        self._cuda.cudaGetLastError()

    def launch(self, graph: Any) -> None:
        """Queue a captured graph."""
        self._call("cudaGraphLaunch", graph, self._stream)

    def close(self) -> None:
        """Free everything; errors are no longer of interest."""
        for free, items in (
            ("cudaGraphExecDestroy", self._graphs),
            ("cudaFree", self._device),
            ("cudaFreeHost", self._host),
        ):
            while items:
                getattr(self._cuda, free)(items.pop())
        if self._stream is not None:
            self._cuda.cudaStreamDestroy(self._stream)
            self._stream = None

    def _call(self, name: str, *arguments: Any) -> Any:
        """Return the call's value, ``None`` if it has none; every call returns its status first."""
        status, *values = getattr(self._cuda, name)(*arguments)
        if int(status) != 0:
            word = getattr(status, "name", str(status))
            raise EngineError(f"CUDA: {name} failed with {word}; is this the board's GPU, its driver and its CUDA?")
        return values[0] if values else None
