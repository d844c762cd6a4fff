"""ONNX Runtime, on the CPU or a GPU, and never on another device than the one asked for."""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from prosthesis.engines.placement import as_words, nodes_elsewhere, profiled, zeros_for
from prosthesis.engines.plans import cache_folder
from prosthesis.errors import EngineError, MissingExtraError

# what to ask ONNX Runtime for; the first must be what it really uses
CPU = "CPUExecutionProvider"
PROVIDERS: dict[str, tuple[str, ...]] = {
    "cpu": (CPU,),
    "cuda": ("CUDAExecutionProvider", CPU),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", CPU),
}
KINDS = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


class OnnxEngine:
    """Runs the graph in ``path`` on one thread (the board's cores belong to the pipeline).

    ``elsewhere`` says which nodes a GPU provider left to another, empty when none; it is also told on stderr.

    Raises ``EngineError`` naming file and remedy when the file is missing or broken or the ``provider`` (``cpu``,
    ``cuda``, ``tensorrt``) cannot really be used, ``MissingExtraError`` when ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, provider: str = "cpu") -> None:
        self._path = path
        self._session, self.elsewhere = _open(path, provider)
        self._inputs = _signature(self._session)
        self._outputs = [item.name for item in self._session.get_outputs()]

    @property
    def provider(self) -> str:
        """What really computes, e.g. ``"CPUExecutionProvider"``."""
        return str(self._session.get_providers()[0])

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs by name; ``EngineError`` when an input's name, shape or dtype is not the graph's."""
        self._check(inputs)
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # ONNX Runtime's errors share no narrower base
            raise EngineError(f"{self._path}: the graph failed: {_one_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))

    def _check(self, inputs: Mapping[str, npt.NDArray[Any]]) -> None:
        if inputs.keys() != self._inputs.keys():
            raise EngineError(f"{self._path}: takes inputs {sorted(self._inputs)}, got {sorted(inputs)}; rename them")
        for name, array in inputs.items():
            shape, kind = self._inputs[name]
            if KINDS.get(array.dtype.name) != kind or not _fits(array.shape, shape):
                got = f"{array.dtype} {list(array.shape)}"
                raise EngineError(
                    f"{self._path}: input '{name}' must be {kind} {list(shape)}, got {got}; "
                    "convert it, or choose a model of that size"
                )


def _signature(session: Any) -> dict[str, tuple[tuple[Any, ...], str]]:
    return {item.name: (tuple(item.shape), item.type) for item in session.get_inputs()}


def _open(path: Path, provider: str) -> tuple[Any, str]:
    if provider not in PROVIDERS:
        raise EngineError(f"provider '{provider}': unknown; use one of {', '.join(PROVIDERS)}")
    runtime = _import_runtime(provider)
    if not path.is_file():
        raise EngineError(f"{path}: no such model file; copy or build the bundle again")
    wanted = PROVIDERS[provider]
    if wanted[0] not in runtime.get_available_providers():
        reason = "this onnxruntime is built without it"
        raise _fallback(wanted[0], CPU, reason, "pip uninstall onnxruntime, then pip install 'prosthesis[gpu]'")
    if wanted[0] == CPU:
        return _create(runtime, path, wanted, _options(runtime)), ""
    options = _options(runtime)
    with profiled(options):
        with _captured_stderr() as noise:
            session = _create(runtime, path, wanted, options)
        used = session.get_providers()[0]
        if used != wanted[0]:  # "available" only means built in: without a driver it runs on the CPU and returns 0
            remedy = "install the GPU's driver and libraries, or use provider 'cpu'"
            raise _fallback(wanted[0], used, _reason(noise), remedy)
        return session, _elsewhere(session, path, used)


def _elsewhere(session: Any, path: Path, used: str) -> str:
    """Return which nodes are not where they were asked to be, and say so: part of the graph is slower than it looks."""
    try:
        words = as_words(nodes_elsewhere(session, used, zeros_for(_signature(session), KINDS)))
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        raise EngineError(f"{path}: {used} opens the graph but cannot run it: {_one_line(error)}") from error
    if words:
        sys.stderr.write(f"{path}: {used} does not take all of it: {words}\n")
    return words


def _import_runtime(provider: str) -> Any:
    extra = "laptop" if provider == "cpu" else "gpu"
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError(
            f"engine 'onnx' needs ONNX Runtime ({_one_line(error)}); pip install 'prosthesis[{extra}]'"
        ) from error
    if not hasattr(runtime, "InferenceSession"):  # uninstalling one of onnxruntime and -gpu guts the other
        raise MissingExtraError(
            "engine 'onnx': ONNX Runtime is only half installed; pip uninstall onnxruntime onnxruntime-gpu, "
            f"then pip install 'prosthesis[{extra}]'"
        )
    return runtime


def _create(runtime: Any, path: Path, providers: tuple[str, ...], options: Any) -> Any:
    asked = [(name, _tensorrt_options()) if name == PROVIDERS["tensorrt"][0] else name for name in providers]
    try:
        session = runtime.InferenceSession(str(path), options, providers=asked, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        first = "" if providers[0] == CPU else "try provider 'cpu'; if that fails too, "
        raise EngineError(
            f"{path}: {providers[0]} cannot open it ({_one_line(error)}); {first}copy or build the bundle again"
        ) from error
    session.disable_fallback()  # versions that ignore enable_fallback would change to the CPU in the middle of a run
    return session


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _tensorrt_options() -> dict[str, str]:
    """Return options by which the provider keeps the engines that it builds, or every start would take minutes."""
    folder = cache_folder() / "onnxruntime"
    folder.mkdir(parents=True, exist_ok=True)
    return {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder), "trt_timing_cache_enable": "1"}


def _fallback(wanted: str, used: str, reason: str, remedy: str) -> EngineError:
    return EngineError(f"asked for {wanted}, got {used}: {reason}; {remedy}")


def _reason(noise: list[str]) -> str:
    """Return the shared library that ONNX Runtime complained about, if it named one."""
    missing = re.search(r"\S+: cannot open shared object file", " ".join(noise))
    return missing.group() if missing else "ONNX Runtime fell back without a reason"


@contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Collect what native code writes to file descriptor 2, filled in at the end: its only word on a fallback."""
    lines: list[str] = []
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                yield lines
            finally:
                os.dup2(saved, 2)
                caught.seek(0)
                lines.extend(caught.read().decode(errors="replace").splitlines())
    finally:
        os.close(saved)


def _fits(shape: tuple[int, ...], wanted: tuple[Any, ...]) -> bool:
    """Compare with a graph's shape, whose free axes are names or None."""
    if len(shape) != len(wanted):
        return False
    return all(not isinstance(want, int) or size == want for size, want in zip(shape, wanted, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
