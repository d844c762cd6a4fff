"""The bundle ``reading``: find lines of text and read them. ``python -m prosthesis_export.text [--out DIR]``.

The weights are PP-OCRv4's, as the wheel of ``rapidocr-onnxruntime`` holds them (fetched by pip; nothing of it is
installed or run). Made ours:

- fixed shapes of batch 1, the preprocessing in the graph (pixels u8 RGB in), constants folded by ONNX Runtime;
- the recogniser's last layer cut from 6625 characters to the blank and printable ASCII. A softmax keeps the order of
  its logits, so the likeliest of those that are left is the likeliest of them before; only the probabilities grow, all
  by the same factor;
- weights rounded to half precision in the file and cast back when it is opened: half the size, the same arithmetic.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.bundles.bundle import MANIFEST, MODELS, Manifest
from prosthesis.errors import MissingExtraError, ProsthesisError
from prosthesis.reading.characters import CHARACTERS

try:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    raise MissingExtraError("building graphs needs onnx; pip install 'prosthesis[laptop,export]'") from missing

PACKAGE, VERSION, LICENCE = "rapidocr-onnxruntime", "1.4.4", "Apache-2.0"
DETECTOR, RECOGNISER = "ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"
SHA256 = {
    DETECTOR: "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    RECOGNISER: "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
}
COMMAND = "python -m prosthesis_export.text"
IR_VERSION = 8  # read by ONNX Runtime 1.14 and later
# (width, height), multiples of 32 for the detector; chosen by words found against time, see docs/text.md
DETECTOR_PX, RECOGNISER_PX = (640, 384), (320, 48)
SMALL = 64  # constants of fewer values stay in single precision

Array = npt.NDArray[Any]


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel into ``folder`` with pip; ``ProsthesisError`` when that fails."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    done = subprocess.run([*pip, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, timeout=600)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        why = " ".join(done.stderr.split()[-20:])
        raise ProsthesisError(f"pip could not fetch {PACKAGE} {VERSION} ({why}); give a copy with --wheel")
    return wheels[0]


def read_wheel(wheel: Path, name: str) -> bytes:
    """Return the bytes of model file ``name`` of the wheel; ``ProsthesisError`` when they are not those we know."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(f"rapidocr_onnxruntime/models/{name}")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ProsthesisError(
            f"{wheel}: no wheel with {name} ({error}); pip download --no-deps {PACKAGE}=={VERSION}"
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise ProsthesisError(f"{wheel}: its {name} is not that of version {VERSION}; download that version")
    return data


def characters(recogniser: Any) -> tuple[str, ...]:
    """Return what each of the recogniser's columns stands for: the blank (empty), its list, and a space."""
    listed = {item.key: item.value for item in recogniser.metadata_props}["character"].split("\n")
    return ("", *listed, " ")


def cut_characters(recogniser: Any, kept: str = CHARACTERS) -> Any:
    """Keep the blank and ``kept`` of the last layer's columns, in that order; ``recogniser`` is changed in place."""
    known = characters(recogniser)
    columns = np.array([known.index(character) for character in ("", *kept)])
    softmax = recogniser.graph.node[-1]
    shift = _maker(recogniser, softmax.input[0])
    product = _maker(recogniser, shift.input[0])
    for node in (product, shift):
        holder = _maker(recogniser, node.input[1]).attribute[0]
        values = numpy_helper.to_array(holder.t)
        holder.t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values[..., columns]), holder.t.name))
    recogniser.graph.output[0].type.tensor_type.shape.dim[-1].dim_value = len(columns)
    return recogniser


def take_pixels(model: Any, size_px: tuple[int, int], output: str, meaning_shape: tuple[int, ...]) -> Any:
    """Return ``model`` with ``pixels`` u8[1, h, w, 3] RGB in place of its input, and its one output called ``output``.

    The networks were trained on blue, green, red, each from -1 to 1.
    """
    (width, height), graph = size_px, model.graph
    network, old = graph.input[0].name, graph.output[0].name
    mix = np.zeros((3, 3, 1, 1), np.float32)
    mix[[0, 1, 2], [2, 1, 0]] = 2 / 255
    before = [
        helper.make_node("Cast", ["pixels"], ["pixels_f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels_f"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "mix", "offset"], [network]),
    ]
    constants = [numpy_helper.from_array(mix, "mix"), numpy_helper.from_array(np.full(3, -1, np.float32), "offset")]
    for node in graph.node:
        node.output[:] = [output if name == old else name for name in node.output]
    shaped = helper.make_graph(
        [*before, *graph.node],
        output,
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, height, width, 3])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, list(meaning_shape))],
        [*graph.initializer, *constants],
    )
    return helper.make_model(shaped, opset_imports=model.opset_import, ir_version=IR_VERSION)


def fold(model: Any) -> Any:
    """Return ``model`` after ONNX Runtime's basic optimisations: constants folded, standard operators only."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "folded.onnx")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = path
        options.log_severity_level = 3
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(path)
    del folded.metadata_props[:]
    standard = [opset for opset in folded.opset_import if opset.domain in ("", "ai.onnx")]
    del folded.opset_import[:]
    folded.opset_import.extend(standard)
    return folded


def halve_weights(model: Any) -> Any:
    """Store large float32 constants as float16 with a cast behind each; ``model`` is changed in place."""
    casts = []
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name, half = constant.name, f"{constant.name}_half"
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def build_graphs(wheel: Path) -> dict[str, bytes]:
    """Return the two checked graphs by file name."""
    (find_w, find_h), (read_w, _) = DETECTOR_PX, RECOGNISER_PX
    detector = onnx.load_from_string(read_wheel(wheel, DETECTOR))
    recogniser = cut_characters(onnx.load_from_string(read_wheel(wheel, RECOGNISER)))
    made = {
        "find.onnx": take_pixels(detector, DETECTOR_PX, "text", (1, 1, find_h, find_w)),
        "read.onnx": take_pixels(recogniser, RECOGNISER_PX, "steps", (1, read_w // 8, len(CHARACTERS) + 1)),
    }
    out = {}
    for name, model in made.items():
        small = halve_weights(fold(model))
        small.producer_name = "prosthesis"
        onnx.checker.check_model(small, full_check=True)
        out[name] = small.SerializeToString(deterministic=True)
    return out


def build_bundle(wheel: Path, out: Path) -> Path:
    """Write the bundle to ``out/reading`` and return that folder."""
    folder = out / "reading"
    folder.mkdir(parents=True, exist_ok=True)
    graphs = build_graphs(wheel)
    for name, data in graphs.items():
        (folder / name).write_bytes(data)
    manifest = Manifest.model_validate(_manifest(graphs))
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return folder


def _manifest(graphs: dict[str, bytes]) -> dict[str, Any]:
    steps = "probability of the blank and of each character of prosthesis.reading.characters, at every eighth column"
    return {
        "schema_version": 0,
        "name": "reading",
        "summary": "Finds lines of text in a picture and reads them: Latin letters, digits and punctuation.",
        "task": "text",
        "kind": "task",
        "processor": {"name": "reading", "version": 1},
        "graphs": (
            _graph("find.onnx", graphs, DETECTOR_PX, "text", "probability of text, shrunk, at each pixel"),
            _graph("read.onnx", graphs, RECOGNISER_PX, "steps", steps),
        ),
        "colour_order": "rgb",
        "normalisation": "in_graph",
        "input_size": DETECTOR_PX,
        "map_shape": None,
        "field_deg": None,
        "origin": "PP-OCRv4 mobile, detector and recogniser, trained by PaddleOCR's authors on Chinese and Latin text",
        "licence": LICENCE,
        "built_by": COMMAND,
        "weights": tuple(
            {
                "package": PACKAGE,
                "version": VERSION,
                "file": f"rapidocr_onnxruntime/models/{name}",
                "sha256": SHA256[name],
                "licence": LICENCE,
                "converter": f"{COMMAND}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}",
            }
            for name in (DETECTOR, RECOGNISER)
        ),
    }


def _graph(name: str, graphs: dict[str, bytes], size_px: tuple[int, int], output: str, meaning: str) -> dict[str, Any]:
    data = graphs[name]
    model = onnx.load_from_string(data)
    shape = tuple(dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim)
    (width, height), opset = size_px, model.opset_import[0].version
    pixels = {"name": "pixels", "shape": (1, height, width, 3), "dtype": "uint8", "meaning": "RGB rows from the top"}
    found = {"name": output, "shape": shape, "dtype": "float32", "meaning": meaning}
    sha256 = hashlib.sha256(data).hexdigest()
    return {"file": name, "sha256": sha256, "opset": opset, "inputs": (pixels,), "outputs": (found,)}


def _maker(model: Any, value: str) -> Any:
    """Return the node that makes ``value``."""
    return next(node for node in model.graph.node if value in node.output)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the bundle from the wheel of its weights."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=main.__doc__)
    parser.add_argument("--wheel", type=Path, help=f"{PACKAGE} {VERSION}, if it is here already (default: by pip)")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder for bundles (default: the package's own)")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        build_bundle(chosen.wheel or fetch_wheel(Path(folder)), chosen.out)


if __name__ == "__main__":
    main()
