"""A face's caricature as a graph: what of it is not everybody's, exaggerated. The mean face is that of many people.

After Irons et al. 2017, who found that caricature helps recognition through 40 x 40 phosphenes; theirs changes shapes,
this one changes light and shade, for BlazeFace gives six landmarks only.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

from prosthesis.engines.onnx import OnnxEngine
from prosthesis.faces.align import aligned
from prosthesis.faces.detect import find_faces
from prosthesis_export.baselines import IR_VERSION, LUMA, GraphBuilder

CARICATURE = 28  # pixels along a side of the drawing: four of the aligned face's each
EXAGGERATION = 1.8  # differences from the mean face, at equal contrast, times this; see docs/faces.md
CONTRAST = 4.0  # standard deviations of brightness from black to white


def _oval() -> Any:
    """Return 1 within the oval that a face fills in the ArcFace template, 0 outside, f32[28, 28]."""
    middle = (np.arange(CARICATURE) + 0.5) / CARICATURE * 2 - 1
    x, y = np.meshgrid(middle, middle)
    return ((x / 0.72) ** 2 + ((y - 0.05) / 1.0) ** 2 <= 1).astype(np.float32)


OVAL = _oval()


def mean_face(lfw: bytes, detector: Path) -> Any:
    """Return the mean f32[28, 28] of the faces in scikit-image's ``lfw_subset``, aligned, at mean 0 and deviation 1.

    The first 100 of its pictures, f64[200, 25, 25] in 0..1, are faces; those that the detector misses are left out.
    """
    engine = OnnxEngine(detector)
    pictures = (np.load(io.BytesIO(lfw), allow_pickle=False)[:100] * 255).astype(np.uint8)
    total = np.zeros((CARICATURE, CARICATURE))
    for picture in pictures:
        large = cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, 100, 100, 100, 100, cv2.BORDER_REPLICATE)
        rgb = np.repeat(framed[..., None], 3, axis=2)
        for face in find_faces(rgb, engine)[:1]:
            blocks = aligned(rgb, face.points)[..., 0].reshape(CARICATURE, 4, CARICATURE, 4).mean(axis=(1, 3))
            total += _standard(blocks)
    return _standard(total + total[:, ::-1]).astype(np.float32)


def _standard(picture: Any) -> Any:
    """Return a picture [28, 28] at mean 0 and deviation 1 within the oval."""
    inside = picture[OVAL > 0]
    return (picture - inside.mean()) / inside.std()


def caricature_graph(mean: Any) -> Any:
    """Return the graph from ``face`` u8[1, 112, 112, 3], aligned, to ``drawing`` f32[1, 28, 28] in 0..1.

    Luma at mean 0 and deviation 1 within an oval, its difference from the ``mean`` face times ``EXAGGERATION``; outside
    the oval, where hair and background would take the contrast, it is black.
    """
    graph = GraphBuilder()
    values = graph.add("Cast", "face", to=TensorProto.FLOAT)
    luma = graph.add("MatMul", values, graph.constant(LUMA[:, None]))
    plane = graph.add("Reshape", luma, graph.constant([1, 1, 4 * CARICATURE, 4 * CARICATURE], np.int64))
    small = graph.add("AveragePool", plane, kernel_shape=[4, 4], strides=[4, 4])
    axes = graph.constant([1, 2, 3], np.int64)
    share = graph.constant(OVAL / OVAL.sum())
    centred = graph.add("Sub", small, graph.add("ReduceSum", graph.add("Mul", small, share), axes, keepdims=1))
    squares = graph.add("Mul", centred, centred)
    power = graph.add("ReduceSum", graph.add("Mul", squares, share), axes, keepdims=1)
    # a flat picture is no face: 1 of 255 is the least deviation
    deviation = graph.add("Max", graph.add("Sqrt", power), graph.constant(1.0))
    own = graph.add("Sub", graph.add("Div", centred, deviation), graph.constant(mean))
    drawn = graph.add("Add", graph.add("Mul", own, graph.constant(EXAGGERATION)), graph.constant(mean))
    light = graph.add("Add", graph.add("Div", drawn, graph.constant(CONTRAST)), graph.constant(0.5))
    clipped = graph.add("Min", graph.add("Max", light, graph.constant(0.0)), graph.constant(1.0))
    masked = graph.add("Mul", clipped, graph.constant(OVAL))
    shape = graph.constant([1, CARICATURE, CARICATURE], np.int64)
    graph.nodes.append(helper.make_node("Reshape", [masked, shape], ["drawing"]))
    side = 4 * CARICATURE
    face = helper.make_tensor_value_info("face", TensorProto.UINT8, [1, side, side, 3])
    drawing = helper.make_tensor_value_info("drawing", TensorProto.FLOAT, [1, CARICATURE, CARICATURE])
    body = helper.make_graph(graph.nodes, "caricature", [face], [drawing], graph.constants)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(body, opset_imports=opset, ir_version=IR_VERSION, producer_name="prosthesis")
    onnx.checker.check_model(model, full_check=True)
    return model
