"""A shipped generator's encoder as a bundle for the device: ``python -m prosthesis_export.latents bigbigan-scenes``.

Two graphs: ``graph.onnx`` takes the camera's crop u8[1, side, side, 3] to the code f32[1, d] (the encoder's mean, with
the normalisation in front), ``generator.onnx`` takes a code to the picture f32[1, channels, side, side] in -1..1 for
those who look. Gray encoders get luma as the baselines do: Rec. 709 weights on the camera's values.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from prosthesis.bundles.bundle import MANIFEST, MODELS, Manifest
from prosthesis.errors import ProsthesisError
from prosthesis_export.baselines import IR_VERSION, LUMA
from prosthesis_train.artefacts import ENCODER, GENERATOR, Artefact, load_artefact

GRAPH = "graph.onnx"


def encoder_graph(encoder: Any, side: int, channels: int, dim: int) -> Any:
    """Return an encoder (pictures f32[n, c, side, side] in -1..1 to mean, sigma, ...) from the camera's bytes to mean.

    Raises ``ProsthesisError`` when the encoder takes neither gray nor colour.
    """
    if channels not in (1, 3):
        raise ProsthesisError(f"an encoder of {channels} channels has no camera; train one on gray or colour")
    whole = onnx.utils.Extractor(encoder).extract_model(["pictures"], ["mean"])
    body = whole.graph
    mix = LUMA[:, None] if channels == 1 else np.eye(3)
    constants = [
        numpy_helper.from_array((mix / 127.5).astype(np.float32), "camera_mix"),
        numpy_helper.from_array(np.float32(1.0), "camera_one"),
    ]
    front = [
        helper.make_node("Cast", ["frame"], ["camera_values"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["camera_values", "camera_mix"], ["camera_mixed"]),
        helper.make_node("Sub", ["camera_mixed", "camera_one"], ["camera_centred"]),
        helper.make_node("Transpose", ["camera_centred"], ["pictures"], perm=[0, 3, 1, 2]),
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, side, side, 3])
    code = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, dim])
    graph = helper.make_graph([*front, *body.node], "encoder", [frame], [code], [*constants, *body.initializer])
    return _checked(graph, whole.opset_import)


def generator_graph(generator: Any, side: int, channels: int, dim: int) -> Any:
    """Return a generator for one code at a time."""
    body = generator.graph
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, dim])
    picture = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [1, channels, side, side])
    graph = helper.make_graph(list(body.node), "generator", [z], [picture], list(body.initializer))
    return _checked(graph, generator.opset_import)


def _checked(graph: Any, opset: Any) -> Any:
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="prosthesis")
    onnx.checker.check_model(model, full_check=True)
    return model


def build_latent(artefact: Artefact, out: Path) -> Path:
    """Write the bundle of a shipped model to ``out/<name>`` and return that folder."""
    card = artefact.card
    side, channels, dim = int(card["side"]), int(card["channels"]), artefact.dim_z
    sizes = (side, channels, dim)
    graphs = {
        GRAPH: encoder_graph(onnx.load(artefact.folder / ENCODER), *sizes),
        GENERATOR: generator_graph(onnx.load(artefact.folder / GENERATOR), *sizes),
    }
    folder = out / artefact.name
    folder.mkdir(parents=True, exist_ok=True)
    pins = {}
    for name, model in graphs.items():
        data = model.SerializeToString(deterministic=True)
        (folder / name).write_bytes(data)
        pins[name] = (hashlib.sha256(data).hexdigest(), int(model.opset_import[0].version))
    manifest = Manifest.model_validate(_manifest(artefact.name, card, sizes, pins))
    text = json.dumps(manifest.model_dump(mode="json", exclude_defaults=True), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return folder


def _manifest(
    name: str, card: dict[str, Any], sizes: tuple[int, int, int], pins: dict[str, tuple[str, int]]
) -> dict[str, Any]:
    side, channels, dim = sizes
    frame = {"name": "frame", "shape": (1, side, side, 3), "dtype": "uint8", "meaning": "RGB rows from the top"}
    code = {"name": "mean", "shape": (1, dim), "dtype": "float32", "meaning": "latent code, about unit normal"}
    z = {"name": "z", "shape": (1, dim), "dtype": "float32", "meaning": "latent code"}
    picture = {
        "name": "pictures",
        "shape": (1, channels, side, side),
        "dtype": "float32",
        "meaning": "-1 (black) to 1 (white), gray or RGB, rows from the top",
    }
    ends = {GRAPH: ((frame,), (code,)), GENERATOR: ((z,), (picture,))}
    graphs = tuple(
        {"file": file, "sha256": sha256, "opset": opset, "inputs": ends[file][0], "outputs": ends[file][1]}
        for file, (sha256, opset) in pins.items()
    )
    return {
        "schema_version": 0,
        "name": name,
        "summary": f"Latent code of {dim} numbers of what is seen, and its generator ({card['method']}).",
        "task": "latent",
        "kind": "latent",
        "processor": {"name": "latent", "version": 1},
        "graphs": graphs,
        "colour_order": "rgb",
        "normalisation": "in_graph",
        "input_size": (side, side),
        "map_shape": None,
        "field_deg": (20.0, 20.0),
        "origin": f"{card['data']}; {card['command']}, commit {card['commit'][:12]}",
        "licence": card["licence"],
        "built_by": f"python -m prosthesis_export.latents {name}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the bundle of one shipped model into ``--out`` (default: the models shipped with the device)."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_export.latents", description=main.__doc__)
    parser.add_argument("model", help="a shipped model's name, or its folder, e.g. bigbigan-scenes")
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR")
    asked = parser.parse_args(arguments)
    sys.stdout.write(f"wrote {build_latent(load_artefact(asked.model), asked.out)}\n")


if __name__ == "__main__":
    main()
