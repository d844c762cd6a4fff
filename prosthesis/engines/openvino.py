"""OpenVINO on the CPU: a peer of ONNX Runtime to compare with, on one thread as it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import EngineError, MissingExtraError


class OpenvinoEngine:
    """Runs the graph in ``path``; ``MissingExtraError`` without OpenVINO, ``EngineError`` when it cannot open it."""

    def __init__(self, path: Path) -> None:
        try:
            openvino = importlib.import_module("openvino")
        except ImportError as error:
            raise MissingExtraError(
                f"engine 'openvino' needs OpenVINO ({' '.join(str(error).split())}); pip install 'prosthesis[openvino]'"
            ) from error
        self._path = path
        # FP32 as the graph says: on processors that have it OpenVINO takes BF16 of its own accord
        options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        try:
            core = openvino.Core()
            model = core.compile_model(core.read_model(str(path)), "CPU", options)
        except Exception as error:  # OpenVINO's errors share no narrower base
            raise EngineError(f"{path}: OpenVINO cannot open it: {' '.join(str(error).split())}") from error
        self._request = model.create_infer_request()
        self._outputs = [output.get_any_name() for output in model.outputs]
        self._version = str(openvino.__version__).split("-")[0]

    @property
    def provider(self) -> str:
        """What really computes, e.g. ``"OpenVINO 2026.4.1 CPU"``."""
        return f"OpenVINO {self._version} CPU"

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs by name."""
        try:
            self._request.infer(dict(inputs))
        except Exception as error:  # as above
            raise EngineError(f"{self._path}: OpenVINO failed: {' '.join(str(error).split())}") from error
        return {name: np.array(self._request.get_tensor(name).data) for name in self._outputs}
