"""Small graphs with manifests' entries, for what delivers graphs."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from prosthesis.bundles.bundle import Graph

SIDE = 8


def entry(content, name="map", file="graph.onnx", opset=18, shape=(1, 2, SIDE, SIDE)):
    frame = {"name": "frame", "shape": (1, 3, SIDE, SIDE), "dtype": "float32", "meaning": "anything"}
    out = {"name": name, "shape": shape, "dtype": "float32", "meaning": "anything"}
    sha256 = hashlib.sha256(content).hexdigest()
    return Graph.model_validate({"file": file, "sha256": sha256, "opset": opset, "inputs": (frame,), "outputs": (out,)})


def model(nodes, constants=(), name="map", opset=18, batch=1, shape=(1, 2, SIDE, SIDE), domains=()):
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape[1:]])
    graph = helper.make_graph(list(nodes), "tiny", [frame], [out], list(constants))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def convolutions(name="map", opset=18, batch=1):
    """Three convolutions with ReLUs between; the last gives the output."""
    random, nodes, constants, value = np.random.default_rng(3), [], [], "frame"
    for k, (into, out) in enumerate(((3, 6), (6, 6), (6, 2))):
        weights = random.normal(0, 1 / np.sqrt(9 * into), (out, into, 3, 3)).astype(np.float32)
        constants += [numpy_helper.from_array(weights, f"w{k}"), numpy_helper.from_array(np.zeros(out, "f4"), f"b{k}")]
        after = name if k == 2 else f"c{k}"
        nodes.append(helper.make_node("Conv", [value, f"w{k}", f"b{k}"], [after], pads=[1, 1, 1, 1]))
        value = f"r{k}"
        if k < 2:
            nodes.append(helper.make_node("Relu", [after], [value]))
    return model(nodes, constants, name, opset, batch)


def inputs(count=4, seed=0):
    random = np.random.default_rng(seed)
    return [{"frame": random.uniform(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(count)]


def content(graph):
    return graph.SerializeToString()


def constants_of(graph):
    return {item.name: onnx.numpy_helper.to_array(item) for item in graph.graph.initializer}
