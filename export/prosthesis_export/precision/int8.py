"""INT8 as pairs of QuantizeLinear and DequantizeLinear, by two recipes that are two different files.

``int8-cpu``, for ONNX Runtime's CPU provider: unsigned activations with a zero point, biases in INT32, and all that
lies between layers too. Weights have 7 bits: without VNNI instructions 8 bits saturate. ``int8-tensorrt``: what
TensorRT takes, which refuses zero points and quantised biases: symmetric, weights by channel, only inputs of layers.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from prosthesis_export.frames import Inputs
from prosthesis_export.precision.graphs import between, layers

Recipe = Literal["int8-cpu", "int8-tensorrt"]
LAYERS = ("Conv", "Gemm", "MatMul")
BETWEEN = (
    "Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Mul", "ReduceMean", "Relu",
    "Reshape", "Resize", "Sigmoid", "Slice", "Squeeze", "Transpose",
)  # fmt: skip
FOR_TENSORRT = {
    "QuantizeBias": False,
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "OpTypesToExcludeOutputQuantization": [*LAYERS],  # what follows reads the layer in float and is fused with it
}


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # a class of an untyped package
    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self._inputs: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)


def calibrate(model: Any, inputs: Sequence[Inputs]) -> Any:
    """Return the ranges, the least and greatest of each value over ``inputs`` (as NVIDIA advises for TensorRT)."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        calibrator = create_calibrator(path, [*LAYERS, *BETWEEN], augmented_model_path=f"{folder}/watched.onnx")
        calibrator.collect_data(_Reader(inputs))
        return calibrator.compute_data()


def eight_bit_layers(model: Any) -> list[str]:
    """Return the layers of a prepared graph that both recipes can put into INT8: no transposed convolutions."""
    able = {node.name for node in model.graph.node if node.op_type in LAYERS}
    return [name for name in layers(model) if name in able]


def quantised(model: Any, ranges: Any, recipe: Recipe, keep: Iterable[str]) -> Any:
    """Return a copy of a prepared graph in INT8 but for the nodes in ``keep`` and what only such layers feed."""
    on_cpu = recipe == "int8-cpu"
    spared = set(keep)
    able = eight_bit_layers(model)
    spared |= between(model, set(layers(model)) - {name for name in able if name not in spared})
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        quantizer = QDQQuantizer(
            load_model_with_shape_infer(path),
            per_channel=True,
            reduce_range=on_cpu,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8 if on_cpu else QuantType.QInt8,
            tensors_range=ranges,
            nodes_to_quantize=[] if on_cpu else able,
            nodes_to_exclude=sorted(spared),
            op_types_to_quantize=[*LAYERS, *BETWEEN] if on_cpu else [*LAYERS],
            extra_options={} if on_cpu else dict(FOR_TENSORRT),
        )
        quantizer.quantize_model()
    return quantizer.model.model


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice of the quantiser that was followed elsewhere."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
