"""A trained encoder as a bundle for the device: ``python -m prosthesis_export.taskmaps runs/encoder-letters-32-0``.

One graph from the camera's crop u8[1, 2c, 2c, 3] to the map f32[1, c, c] in 0..1, batch norms folded. It is compared
with torch on the same crops before it is kept, and ``card.json`` beside it says what it was trained on and how.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from prosthesis.bundles.bundle import MANIFEST, MODELS, Manifest
from prosthesis.errors import ProsthesisError
from prosthesis_train.methods.encoder import Settings, load
from prosthesis_train.networks.taskmap import TaskMapper

GRAPH, CARD, OPSET = "graph.onnx", "card.json", 18
PARITY = 1e-4  # of a map's 0..1: below a step of any shipped stimulator


class FromCamera(nn.Module):
    """What the device runs: bytes of the crop, rows of RGB, in front of the network."""

    def __init__(self, mapper: TaskMapper) -> None:
        super().__init__()
        self.mapper = mapper

    def forward(self, frame: Tensor) -> Tensor:
        """Return maps f32[n, c, c] of crops u8[n, 2c, 2c, 3]."""
        maps: Tensor = self.mapper(frame.float().permute(0, 3, 1, 2) / 255)
        return maps


def graph(mapper: TaskMapper) -> bytes:
    """Return the network as one ONNX file of batch 1 that keeps no trace of this machine."""
    out: Any = io.BytesIO()
    frame = torch.zeros(1, 2 * mapper.cells, 2 * mapper.cells, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter says that it is older; the newer needs onnxscript
        torch.onnx.export(
            FromCamera(mapper).eval(), (frame,), out, opset_version=OPSET, input_names=["frame"],
            output_names=["map"], dynamo=False,
        )  # fmt: skip
    model = onnx.load_from_string(out.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def parity(content: bytes, mapper: TaskMapper, crops: int = 16) -> float:
    """Return the largest difference of the graph from torch on random crops."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    random, side, worst = np.random.default_rng(0), 2 * mapper.cells, 0.0
    for _ in range(crops):
        frame = random.integers(0, 256, (1, side, side, 3), dtype=np.uint8)
        with torch.no_grad():
            own = FromCamera(mapper)(torch.from_numpy(frame)).numpy()
        worst = max(worst, float(np.abs(session.run(["map"], {"frame": frame})[0] - own).max()))
    return worst


def build_bundle(run: Path, out: Path) -> Path:
    """Write the bundle of a run's encoder to ``out/learned-TASK-CELLS`` and return that folder.

    Raises ``ProsthesisError`` when the graph differs from torch.
    """
    mapper, _, settings = load(run)
    content = graph(mapper)
    differs = parity(content, mapper)
    if differs > PARITY:
        raise ProsthesisError(f"{run}: the graph differs from torch by {differs:.2g}; at most {PARITY} is allowed")
    facts = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    folder = out / f"learned-{settings.seen}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH).write_bytes(content)
    manifest = Manifest.model_validate(_manifest(settings, facts, hashlib.sha256(content).hexdigest()))
    card = {
        "data": f"crops of task {settings.task}, the tasks' train part (digest {facts['data_sha256'][:16]})",
        "patients": f"{settings.patients} virtual patients of {settings.rig}",
        "licence": "Apache-2.0",
        "command": facts["command"],
        "commit": facts["commit"],
        "seed": settings.seed,
        "settings": asdict(settings),
        "largest_difference_from_torch": differs,
        "scores": "docs/learned.md",
    }
    for name, said in ((MANIFEST, manifest.model_dump(mode="json", exclude_defaults=True)), (CARD, card)):
        (folder / name).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return folder


def _manifest(settings: Settings, facts: dict[str, Any], sha256: str) -> dict[str, Any]:
    cells, side = settings.cells, 2 * settings.cells
    frame = {"name": "frame", "shape": (1, side, side, 3), "dtype": "uint8", "meaning": "RGB rows from the top"}
    task_map = {"name": "map", "shape": (1, cells, cells), "dtype": "float32", "meaning": "brightness wanted, 0 to 1"}
    return {
        "schema_version": 0,
        "name": f"learned-{settings.seen}",
        "summary": f"Map of {settings.task} trained end to end through virtual patients of {settings.rig}.",
        "task": settings.task,
        "kind": "map",
        "processor": {"name": "taskmap", "version": 1},
        "graphs": ({"file": GRAPH, "sha256": sha256, "opset": OPSET, "inputs": (frame,), "outputs": (task_map,)},),
        "colour_order": "rgb",
        "normalisation": "in_graph",
        "input_size": (side, side),
        "map_shape": (cells, cells),
        "field_deg": (20.0, 20.0),
        "origin": f"{facts['command']}, commit {facts['commit'][:12]}",
        "licence": "Apache-2.0",
        "built_by": f"python -m prosthesis_export.taskmaps runs/encoder-{settings.seen}-{settings.seed}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the bundle of one run into ``--out`` (default: the models shipped with the device)."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_export.taskmaps", description=main.__doc__)
    parser.add_argument("run", type=Path, help="the run's folder, e.g. runs/encoder-letters-32-0")
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR")
    asked = parser.parse_args(arguments)
    sys.stdout.write(f"wrote {build_bundle(asked.run, asked.out)}\n")


if __name__ == "__main__":
    main()
