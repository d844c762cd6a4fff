"""INT8 as pairs of QuantizeLinear and DequantizeLinear, by two recipes that are two different files.

``int8-cpu``, for ONNX Runtime's CPU provider: unsigned activations with a zero point, biases in INT32, and all that lies
between layers too. Weights have 7 bits: without VNNI instructions 8 bits saturate. ``int8-tensorrt``: what TensorRT
takes, which refuses zero points and quantised biases: symmetric, weights by channel, layers with weights only.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from prosthesis_export.frames import Inputs
from prosthesis_export.precision.graphs import layers

Recipe = Literal["int8-cpu", "int8-tensorrt"]
LAYERS = ("Conv", "Gemm", "MatMul")
BETWEEN = (
    "Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Mul", "ReduceMean", "Relu",
    "Reshape", "Resize", "Sigmoid", "Slice", "Squeeze", "Transpose",
)  # fmt: skip
FOR_TENSORRT = {"QuantizeBias": False, "ActivationSymmetric": True, "WeightSymmetric": True}


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranges of every value of a graph over real inputs, and of each layer how coarse eight bits are for its input.

    ``coarseness`` is the noise of rounding over the root mean square of the input.
    """

    ranges: Any
    coarseness: dict[str, float]


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # a class of an untyped package
    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self._inputs: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)


def calibrate(model: Any, inputs: Sequence[Inputs]) -> Calibration:
    """Return the least and greatest of each value over ``inputs`` (maxima, as TensorRT's makers advise too)."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        calibrator = create_calibrator(path, [*LAYERS, *BETWEEN], augmented_model_path=f"{folder}/watched.onnx")
        calibrator.collect_data(_Reader(inputs))
        ranges = calibrator.compute_data()
    return Calibration(ranges, _coarseness(model, inputs[:8], ranges))


def quantised(model: Any, calibration: Calibration, recipe: Recipe, keep: Iterable[str]) -> Any:
    """Return a copy of a prepared graph with all layers but those in ``keep`` in INT8."""
    on_cpu = recipe == "int8-cpu"
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        quantizer = QDQQuantizer(
            load_model_with_shape_infer(path),
            per_channel=True,
            reduce_range=on_cpu,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8 if on_cpu else QuantType.QInt8,
            tensors_range=calibration.ranges,
            nodes_to_quantize=[] if on_cpu else layers(model),
            nodes_to_exclude=sorted(keep),
            op_types_to_quantize=[*LAYERS, *BETWEEN] if on_cpu else [*LAYERS],
            extra_options={} if on_cpu else dict(FOR_TENSORRT),
        )
        quantizer.quantize_model()
    return quantizer.model.model


def _coarseness(model: Any, inputs: Sequence[Inputs], ranges: Any) -> dict[str, float]:
    names = set(layers(model))
    inputs_of = {node.name: node.input[0] for node in model.graph.node if node.name in names}
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {item.name for item in (*model.graph.output, *model.graph.input)}
    for value in sorted(set(inputs_of.values()) - given):
        watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(value))
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    power: dict[str, list[float]] = {}
    for one in inputs:
        found = dict(zip([item.name for item in session.get_outputs()], session.run(None, dict(one)), strict=True))
        for value in set(inputs_of.values()):
            power.setdefault(value, []).append(float(np.mean(np.square({**one, **found}[value], dtype=np.float64))))
    out = {}
    for layer, value in inputs_of.items():
        low, high = (float(np.min(end)) for end in ranges[value].range_value) if value in ranges.data else (0.0, 1.0)
        step = (max(high, 0.0) - min(low, 0.0)) / 255
        out[layer] = step / np.sqrt(12) / max(float(np.sqrt(np.mean(power[value]))), 1e-12)
    return out


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice of the quantiser that was followed elsewhere."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
