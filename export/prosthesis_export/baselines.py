"""The classical encoders every paper compares with, as graphs: ``python -m prosthesis_export.baselines [--out DIR]``.

Each takes ``frame`` u8[1, 4 side, 4 side, 3] RGB and gives ``map`` f32[1, side, side] in 0..1; one cell of the map is
4 x 4 pixels. All begin with luma: the Rec. 709 weights on gamma-encoded values as the camera gives them, not
linearised, because displays and phosphene simulations alike take such values for brightness.

Every filter weight is a multiple of a power of two, so that sums over a flat frame are exact in float32 and its edges,
contrast and saliency are exactly 0. Borders repeat the outermost value (``Pad`` mode edge), so the frame's own border
is no edge.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import MANIFEST, MODELS, Manifest
from prosthesis.errors import MissingExtraError

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    raise MissingExtraError("building graphs needs onnx; pip install 'prosthesis[export]'") from missing

OPSET = 18  # ONNX Runtime has CUDA kernels for Resize and ReduceMax up to here only
IR_VERSION = 8  # read by ONNX Runtime 1.14 and later
SIDES = (32, 64)
CELL = 4
WHITE = 255.0
# what maps relative to the frame's maximum divide by at least: an edge of 7 % of full scale, or a cell 9 % brighter
FLOOR = WHITE / 64

LUMA = np.array([218, 732, 74]) / 1024  # Rec. 709: 0.2126, 0.7152, 0.0722
RED_GREEN = np.array([1.0, -1.0, 0.0])
BLUE_YELLOW = np.array([-0.5, -0.5, 1.0])
SMOOTH = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16  # Gaussian, sigma 1 pixel
SOBEL_ALONG = np.convolve(SMOOTH, [-0.5, 0.0, 0.5])
SOBEL_ACROSS = np.convolve(SMOOTH, [0.25, 0.5, 0.25])
WINDOW = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]) / 16  # two cells wide at half height
SHRINK = np.array([1.0, 3.0, 3.0, 1.0]) / 8  # even, so that a smaller scale is not shifted

Array = npt.NDArray[Any]


class GraphBuilder:
    """Nodes and constants in the order they are added; each value is called after its place in that order."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return its output's name."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Append an initializer and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def colour_averages(graph: GraphBuilder, side: int, weights: Array, block: int) -> str:
    """Return weights [channels, 3] times the mean colour of each block of pixels, f32[1, channels, h, w], 0..255.

    The interleaved colours are read as a wide grey image, so that one strided convolution mixes and averages at once.
    """
    length = side * CELL
    pixels = graph.add("Cast", "frame", to=TensorProto.FLOAT)
    plane = graph.add("Reshape", pixels, graph.constant([1, 1, length, 3 * length], np.int64))
    kernel = np.tile(weights[:, None, None, :] / block**2, (1, 1, block, block))
    return graph.add("Conv", plane, graph.constant(kernel), strides=[block, 3 * block])


def separable(graph: GraphBuilder, value: str, along_x: Array, along_y: Array, stride: int = 1) -> str:
    """Filter each channel by its taps ``along_x`` [channels, k] then ``along_y``; the border value is repeated."""
    channels, taps = along_x.shape
    pad = (taps - 1) // 2
    padded = graph.add("Pad", value, graph.constant([0, 0, pad, pad] * 2, np.int64), mode="edge")
    rows = graph.add("Conv", padded, graph.constant(along_x[:, None, None, :]), strides=[1, stride], group=channels)
    return graph.add("Conv", rows, graph.constant(along_y[:, None, :, None]), strides=[stride, 1], group=channels)


def relative_to_maximum(graph: GraphBuilder, value: str) -> str:
    """Divide by the frame's maximum, but never by less than ``FLOOR``: faint stays faint, and flat is 0."""
    maximum = graph.add("ReduceMax", value, graph.constant([1, 2, 3], np.int64), keepdims=1)
    return graph.add("Div", value, graph.add("Max", maximum, graph.constant(FLOOR)))


def luminance(graph: GraphBuilder, side: int) -> str:
    """Mean luma of the cell over white: no stretching, black is 0 and white is 1."""
    return graph.add("Div", colour_averages(graph, side, LUMA[None], CELL), graph.constant(WHITE))


def edges(graph: GraphBuilder, side: int) -> str:
    """Sobel magnitude of the smoothed half-resolution luma, averaged over the cell, relative to the frame's maximum."""
    luma = colour_averages(graph, side, LUMA[None], CELL // 2)
    both = graph.add("Concat", luma, luma, axis=1)
    gradient = separable(graph, both, np.stack([SOBEL_ALONG, SOBEL_ACROSS]), np.stack([SOBEL_ACROSS, SOBEL_ALONG]))
    magnitude = graph.add("ReduceL2", gradient, graph.constant([1], np.int64), keepdims=1)
    return relative_to_maximum(graph, graph.add("AveragePool", magnitude, kernel_shape=[2, 2], strides=[2, 2]))


def contrast(graph: GraphBuilder, side: int) -> str:
    """Local RMS contrast (after Peli 1990): twice the RMS difference from the local mean luma, over white.

    The window falls off over two cells. No stretching: black and white stripes 2 or 4 pixels wide are 1.
    """
    luma = colour_averages(graph, side, LUMA[None], CELL // 2)
    difference = graph.add("Sub", luma, separable(graph, luma, WINDOW[None], WINDOW[None]))
    variance = separable(graph, graph.add("Mul", difference, difference), WINDOW[None], WINDOW[None])
    rms = graph.add("Sqrt", graph.add("AveragePool", variance, kernel_shape=[2, 2], strides=[2, 2]))
    twice = graph.add("Div", rms, graph.constant(WHITE / 2))
    return graph.add("Min", twice, graph.constant(1.0))


def saliency(graph: GraphBuilder, side: int) -> str:
    """Centre-surround differences of luma, red-green and blue-yellow over scales, relative to the frame's maximum.

    After Itti, Koch & Niebur (1998): centres at one and two cells, surrounds two and three octaves coarser; their
    orientation channels and map normalisation N() are left out.
    """
    scales = [colour_averages(graph, side, np.stack([LUMA, RED_GREEN, BLUE_YELLOW]), CELL)]
    taps = np.tile(SHRINK, (3, 1))
    for _ in range(4):
        scales.append(separable(graph, scales[-1], taps, taps, stride=2))
    fine, coarse = (_centre_surround(graph, scales, centre) for centre in (0, 1))
    features = graph.add("Add", fine, _enlarge(graph, coarse))
    mean = graph.add("ReduceMean", features, graph.constant([1], np.int64), keepdims=1)
    return relative_to_maximum(graph, graph.add("Div", mean, graph.constant(4.0)))


def _centre_surround(graph: GraphBuilder, scales: list[str], centre: int) -> str:
    differences = []
    for surround in (centre + 2, centre + 3):
        enlarged = scales[surround]
        for _ in range(surround - centre):
            enlarged = _enlarge(graph, enlarged)
        differences.append(graph.add("Abs", graph.add("Sub", scales[centre], enlarged)))
    return graph.add("Add", *differences)


def _enlarge(graph: GraphBuilder, value: str) -> str:
    scales = graph.constant([1, 1, 2, 2])
    return graph.add("Resize", value, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")


BASELINES: dict[str, Callable[[GraphBuilder, int], str]] = {
    "luminance": luminance,
    "edges": edges,
    "contrast": contrast,
    "saliency": saliency,
}


def build_graph(task: str, side: int) -> Any:
    """Return the checked ``onnx.ModelProto`` of one baseline for a map of ``side`` x ``side`` cells."""
    graph = GraphBuilder()
    value = BASELINES[task](graph, side)
    graph.nodes.append(helper.make_node("Reshape", [value, graph.constant([1, side, side], np.int64)], ["map"]))
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, CELL * side, CELL * side, 3])
    task_map = helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, side, side])
    body = helper.make_graph(graph.nodes, f"{task}-{side}", [frame], [task_map], graph.constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, opset_imports=opset, ir_version=IR_VERSION, producer_name="prosthesis")
    onnx.checker.check_model(model, full_check=True)
    return model


def build_bundle(task: str, side: int, out: Path) -> Path:
    """Write one baseline's graph and manifest to ``out/<task>-<side>`` and return that folder."""
    folder = out / f"{task}-{side}"
    folder.mkdir(parents=True, exist_ok=True)
    data = build_graph(task, side).SerializeToString(deterministic=True)
    (folder / "graph.onnx").write_bytes(data)
    manifest = Manifest.model_validate(_manifest(task, side, hashlib.sha256(data).hexdigest()))
    text = json.dumps(manifest.model_dump(mode="json", exclude_defaults=True), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return folder


def _manifest(task: str, side: int, sha256: str) -> dict[str, Any]:
    pixels = CELL * side
    frame = {"name": "frame", "shape": (1, pixels, pixels, 3), "dtype": "uint8", "meaning": "RGB rows from the top"}
    task_map = {"name": "map", "shape": (1, side, side), "dtype": "float32", "meaning": "brightness wanted, 0 to 1"}
    graph = {"file": "graph.onnx", "sha256": sha256, "opset": OPSET, "inputs": (frame,), "outputs": (task_map,)}
    return {
        "schema_version": 0,
        "name": f"{task}-{side}",
        "summary": (BASELINES[task].__doc__ or "").splitlines()[0],
        "task": task,
        "kind": "map",
        "processor": {"name": "taskmap", "version": 1},
        "graphs": (graph,),
        "colour_order": "rgb",
        "normalisation": "in_graph",
        "input_size": (pixels, pixels),
        "map_shape": (side, side),
        "field_deg": (20.0, 20.0),
        "origin": "a formula; no training data",
        "licence": "Apache-2.0",
        "built_by": "python -m prosthesis_export.baselines",
    }


def main(arguments: list[str] | None = None) -> None:
    """Build every baseline at every size into ``--out`` (default: the models shipped with the device)."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_export.baselines", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR")
    out = parser.parse_args(arguments).out
    for task in BASELINES:
        for side in SIDES:
            build_bundle(task, side, out)


if __name__ == "__main__":
    main()
