"""Layers of an ONNX graph, as a compiler for boards would fuse it: what is left is one row a kernel.

A convolution or matrix product takes with it what follows value by value, unless that is a gate: a product of two
tensors, or a function such as a sigmoid. A chain of gates, and of value-by-value operations elsewhere, is one kernel.
Views, casts and concatenations are none; what is known beforehand is folded away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from prosthesis.board.boards import Precision
from prosthesis.errors import ConfigError, MissingExtraError
from prosthesis_export.estimate.layers import Kind, Layer

# value by value, and simple enough to ride on the kernel before
SIMPLE = {"Abs", "Add", "And", "BatchNormalization", "Ceil", "Clip", "Div", "Equal", "Floor", "Greater", "LeakyRelu"}
SIMPLE |= {"Less", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round"}
SIMPLE |= {"Sign", "Sqrt", "Sub", "Where"}
# value by value, but with a function: TensorRT runs a chain of them by itself
GATED = {"Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Exp", "Log", "Softplus", "Elu", "Selu", "Mish", "Gelu"}
VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast", "Dropout", "Concat", "Split"}
VIEWS |= {"QuantizeLinear", "DequantizeLinear"}
FOLDED = {"Constant", "ConstantOfShape", "Shape", "Range"}
Sizes = dict[str, tuple[int, ...]]


def count(path: Path) -> list[Layer]:
    """Return the layers of one graph; ``ConfigError`` when it cannot be read or a shape is not fixed."""
    model = _load(path)
    return _Counter(model, _sizes(model, path)).layers()


def written_in(path: Path) -> Precision | None:
    """Return ``int8`` for a quantised graph, ``None`` for others: a compiler may run those in any precision."""
    return "int8" if any(node.op_type == "QuantizeLinear" for node in _load(path).graph.node) else None


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path))
    except Exception as error:  # onnx passes on whatever its parser meets
        raise ConfigError(f"{path}: not an ONNX graph ({type(error).__name__}); export it again") from error


class _Counter:
    """Walks a graph once; ``owner`` says which row made a tensor, ``known`` which tensors need no kernel at all."""

    def __init__(self, model: onnx.ModelProto, sizes: Sizes) -> None:
        self.graph, self.sizes = model.graph, sizes
        self.rows: list[Layer] = []
        self.sources: list[set[int | str]] = []
        self.owner: dict[str, int] = {}
        self.known = {item.name for item in model.graph.initializer}

    def layers(self) -> list[Layer]:
        for node in self.graph.node:
            given = [name for name in node.input if name]
            if node.op_type in FOLDED or (given and all(name in self.known for name in given)):
                self.known.update(node.output)
            elif node.op_type in VIEWS:
                self._hand_on(node, given)
            elif node.op_type in SIMPLE or node.op_type in GATED:
                self._value_by_value(node, given)
            else:
                self._own(node, given)
        return self.rows

    def _hand_on(self, node: onnx.NodeProto, given: list[str]) -> None:
        owners = [self.owner[name] for name in given if name in self.owner]
        if owners:
            self.owner.update(dict.fromkeys(node.output, max(owners)))

    def _value_by_value(self, node: onnx.NodeProto, given: list[str]) -> None:
        moving = [name for name in given if name not in self.known]
        size = self._size(node.output[0])
        gated = node.op_type in GATED or (node.op_type in ("Mul", "Div") and len(moving) > 1)
        onto = next((self.owner[name] for name in reversed(moving) if self._takes_on(name, size, gated)), None)
        if onto is None:
            self.rows.append(Layer(node.name or node.op_type, "move", float(size), 0, 0, size))
            self.sources.append(set())
            onto = len(self.rows) - 1
        for name in moving:
            source = self.owner.get(name, name)
            if source != onto and source not in self.sources[onto]:
                self.sources[onto].add(source)
                self.rows[onto] = replace(self.rows[onto], reads=self.rows[onto].reads + self._size(name))
        self.owner.update(dict.fromkeys(node.output, onto))

    def _takes_on(self, name: str, size: int, gated: bool) -> bool:
        """Whether the row that made ``name`` can do another operation of this size on its way."""
        row = self.rows[self.owner[name]] if name in self.owner else None
        return row is not None and row.writes == size and (not gated or row.kind == "move")

    def _own(self, node: onnx.NodeProto, given: list[str]) -> None:
        moving = [name for name in given if name not in self.known]
        weights = sum(self._size(name) for name in given if name in self.known)
        reads, writes = sum(map(self._size, moving)), sum(self._size(name) for name in node.output if name)
        work = self._work(node)
        if work is None:
            row = Layer(node.name or node.op_type, "move", float(reads), 0, reads, writes)
        else:
            kind, operations, high, wide, winograd = work
            label = f"{node.op_type} {'x'.join(map(str, self.sizes[node.output[0]]))}"
            row = Layer(node.name or label, kind, operations, weights, reads, writes, high, wide, winograd)
        self.rows.append(row)
        self.sources.append({self.owner.get(name, name) for name in moving})
        self.owner.update(dict.fromkeys(node.output, len(self.rows) - 1))

    def _work(self, node: onnx.NodeProto) -> tuple[Kind, float, int, int, bool] | None:
        """Return kind, operations, rows, columns and whether Winograd's way is open; ``None`` for what only moves."""
        out = self.sizes[node.output[0]]
        if node.op_type in ("Conv", "ConvTranspose"):
            return self._convolution(node, out)
        if node.op_type in ("MatMul", "Gemm"):
            first = self.sizes[node.input[0]]
            inner = first[0] if _attribute(node, "transA", 0) else first[-1]
            return "matrix", 2.0 * prod(out) * inner, prod(out[:-1]), out[-1], False
        if node.op_type in ("LSTM", "GRU"):
            weights = self._size(node.input[1]) + self._size(node.input[2])
            steps = self.sizes[node.input[0]][0]
            return "matrix", 2.0 * steps * weights, 1, self.sizes[node.input[1]][1], False
        return None

    def _convolution(self, node: onnx.NodeProto, out: tuple[int, ...]) -> tuple[Kind, float, int, int, bool]:
        weight, groups = self.sizes[node.input[1]], _attribute(node, "group", 1)
        places = out if node.op_type == "Conv" else self.sizes[node.input[0]]
        operations = 2.0 * places[0] * prod(weight) * prod(places[2:])
        depthwise = groups > 1 and weight[1] == 1
        strides = _attribute(node, "strides", [1])
        winograd = node.op_type == "Conv" and groups == 1 and weight[2:] == (3, 3) and set(strides) == {1}
        kind: Kind = "depthwise" if depthwise else "matrix"
        return kind, operations, out[0] * prod(out[2:]), out[1] // (1 if depthwise else groups), winograd

    def _size(self, name: str) -> int:
        return prod(self.sizes[name])


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = next((item for item in node.attribute if item.name == name), None)
    return default if found is None else onnx.helper.get_attribute_value(found)


def _sizes(model: onnx.ModelProto, path: Path) -> Sizes:
    """Return every tensor's shape, by inference, or where that stops by running the graph once on zeros."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    sizes: Sizes = {item.name: tuple(item.dims) for item in model.graph.initializer}
    sizes.update(_fixed([*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]))
    unknown = [name for node in model.graph.node for name in node.output if name and name not in sizes]
    for item in model.graph.input:
        if item.name not in sizes:
            raise ConfigError(f"{path}: the shape of input '{item.name}' is not fixed; export it with batch 1")
    if unknown:
        sizes.update(_run(model, unknown, sizes, path))
    return sizes


def _fixed(values: Iterable[onnx.ValueInfoProto]) -> Sizes:
    out: Sizes = {}
    for value in values:
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") and d.dim_value > 0 for d in kind.shape.dim):
            out[value.name] = tuple(int(d.dim_value) for d in kind.shape.dim)
    return out


def _run(model: onnx.ModelProto, wanted: list[str], sizes: Sizes, path: Path) -> Sizes:
    try:
        import onnxruntime
    except ImportError as missing:
        raise MissingExtraError(
            f"{path}: the shape of '{wanted[0]}' is found by running the graph; pip install 'prosthesis[laptop]'"
        ) from missing
    told = onnx.ModelProto()
    told.CopyFrom(model)
    named = {item.name for item in told.graph.output}
    told.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in named)
    session = onnxruntime.InferenceSession(told.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {
        item.name: np.zeros(sizes[item.name], onnx.helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type))
        for item in model.graph.input
        if item.name in {given.name for given in session.get_inputs()}
    }
    return {name: tuple(value.shape) for name, value in zip(wanted, session.run(wanted, feeds), strict=True)}
