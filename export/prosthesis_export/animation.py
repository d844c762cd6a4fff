"""A run of ``train animation`` as a bundle for the device: ``python -m prosthesis_export.animation RUN``.

Two graphs, compared with torch before they take their place: keypoints of the camera's bytes, and the source painted
as driving keypoints move it. Sampling is ONNX's ``GridSample``, which ONNX Runtime has since operator set 16.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from prosthesis.animation.animator import GRAPHS, MODEL, Made, open_animator
from prosthesis.animation.animator import Points as Known
from prosthesis.bundles.bundle import MANIFEST, MODELS, Manifest, load_bundle
from prosthesis.errors import ProsthesisError
from prosthesis_export.generators import graph
from prosthesis_train.animation.clips import rendered
from prosthesis_train.animation.shipped import networks
from prosthesis_train.methods import animation
from prosthesis_train.networks.animation import Animator, Points
from prosthesis_train.training import checkpoint

FILES = ("keypoints.onnx", "painter.onnx")
SUMMARY = (
    "Moves a still portrait as another face moves: keypoints, motion, occlusion, painter. "
    "Learned from drawn people only."
)
BASELINE = "A baseline of living pictures that warps nothing: its painter is told where the driving keypoints are."
PARITY = 1e-3  # of places, in half pictures: far below a pixel of 1/32
LEVELS = 1  # of 255, of the picture: a float's last bit may fall on the other side of a half
MEANINGS = {
    "picture": "RGB rows from the top, the square around a face",
    "points": "keypoints, x and y in -1..1",
    "jacobians": "their Jacobians, rows by columns",
    "driving_points": "keypoints wanted",
    "driving_jacobians": "Jacobians wanted",
    "made": "the picture painted, RGB rows from the top",
    "flow": "where each place comes from in the source, x and y in -1..1",
    "visible": "how much of the source is seen there, 0 to 1",
}


class Seeing(nn.Module):
    """Camera bytes to keypoints."""

    def __init__(self, net: Animator) -> None:
        super().__init__()
        self.net = net.keypoints

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return keypoints and Jacobians."""
        found = self.net(picture.permute(0, 3, 1, 2).float() / 255)
        return found.at, found.jacobian


class Painting(nn.Module):
    """Camera bytes and both keypoints to the picture painted, its motion and what is visible."""

    def __init__(self, net: Animator) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor, at: Tensor, jac: Tensor, to: Tensor, to_jac: Tensor) -> tuple[Tensor, ...]:
        """Return bytes, flow and visibility."""
        made, motion = self.net(picture.permute(0, 3, 1, 2).float() / 255, Points(at, jac), Points(to, to_jac))
        return (made * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1), motion.flow, motion.visible[:, 0]


def graphs(net: Animator, side: int) -> list[bytes]:
    """Return both graphs for one picture of ``side`` pixels at a time."""
    picture = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    k = net.size.points
    at, turn = torch.zeros(1, k, 2), torch.eye(2).expand(1, k, 2, 2).contiguous()
    examples: tuple[tuple[nn.Module, tuple[Tensor, ...]], ...] = (
        (Seeing(net), (picture,)),
        (Painting(net), (picture, at, turn, at, turn)),
    )
    return [
        graph(module.eval(), example, inputs, outputs, free=False)
        for (module, example), (inputs, outputs) in zip(examples, GRAPHS, strict=True)
    ]


def at_side(net: Animator, side: int) -> Animator:
    """Return the same networks for pictures of another size: convolutions have none of their own."""
    net.size = replace(net.size, side=side)
    return net


def build(source: Path, out: Path, side: int | None = None) -> Path:
    """Write the bundle of a run, or of a bundle for pictures of another size, to ``out/animation<side>``.

    That of networks that do not warp goes to ``out/unwarped<side>``.

    Raises ``ProsthesisError`` when a graph differs from torch, and then leaves what was there; or when the networks
    cannot halve pictures of ``side``.
    """
    if (source / MANIFEST).is_file():
        net, origin = networks(source), load_bundle(source).manifest.origin
    else:
        net, settings = animation.load(source)
        origin = f"{settings.data} of prosthesis_train.animation; {trained(source)}"
    side = side or net.size.side
    if side < (whole := net.size.shrink * 2 ** max(net.size.seeing[2], net.size.moving[2])) or side % whole:
        raise ProsthesisError(f"--side {side}: these networks halve pictures, so give a multiple of {whole}")
    folder = out / f"{MODEL.rstrip('0123456789') if net.size.warps else 'unwarped'}{side}"
    with TemporaryDirectory() as scratch:
        made = Path(scratch) / folder.name
        write(at_side(net, side), made, side, origin)
        places, levels = difference(net, made, side)
        if places > PARITY or levels > LEVELS:
            raise ProsthesisError(
                f"{folder}: not written, for the graphs differ from torch by {places:.2g} half pictures and {levels} "
                f"gray levels; at most {PARITY} and {LEVELS} are allowed"
            )
        shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder


def trained(run: Path) -> str:
    """Return the commands that made a run, with steps and commits; those of the run that it began with come first."""
    state = checkpoint.load(run / checkpoint.NAME)
    facts = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    text = f"{facts['command']}, {state['step']} steps, commit {facts['commit'][:12]}"
    start = json.loads(state["settings"]).get("start", "")
    return f"{trained(Path(start))}; then {text}" if start else text


def write(net: Animator, folder: Path, side: int, origin: str) -> None:
    """Write graphs and manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, content in zip(FILES, graphs(net, side), strict=True):
        (folder / name).write_bytes(content)
        entries.append(
            {"file": name, "sha256": hashlib.sha256(content).hexdigest(), **_ends(onnx.load_from_string(content))}
        )
    manifest = Manifest.model_validate(
        {
            "schema_version": 0,
            "name": folder.name,
            "summary": SUMMARY if net.size.warps else BASELINE,
            "task": "animation",
            "kind": "task",
            "processor": {"name": "animation", "version": 1},
            "graphs": tuple(entries),
            "colour_order": "rgb",
            "normalisation": "in_graph",
            "input_size": (side, side),
            "map_shape": None,
            "field_deg": None,
            "origin": origin,
            "licence": "Apache-2.0",
            "built_by": "python -m prosthesis_export.animation RUN",
        }
    )
    text = json.dumps(manifest.model_dump(mode="json", exclude_defaults=True), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _ends(model: Any) -> dict[str, Any]:
    """Return what a manifest says of a graph's opset, inputs and outputs."""

    def tensor(value: Any) -> dict[str, Any]:
        kind = value.type.tensor_type
        dtype = "uint8" if kind.elem_type == onnx.TensorProto.UINT8 else "float32"
        shape = tuple(axis.dim_value for axis in kind.shape.dim)
        return {"name": value.name, "shape": shape, "dtype": dtype, "meaning": MEANINGS[value.name]}

    return {
        "opset": int(model.opset_import[0].version),
        "inputs": tuple(tensor(value) for value in model.graph.input),
        "outputs": tuple(tensor(value) for value in model.graph.output),
    }


@torch.no_grad()
def difference(net: Animator, folder: Path, side: int) -> tuple[float, int]:
    """Return how far the bundle in ONNX Runtime is from torch: keypoints, flow or visibility; gray levels painted."""
    frames = rendered("faces", "test", 1, 2, side, lambda _: None).frames[0]
    animator = open_animator(str(folder.resolve()))
    found = [animator.points(frame) for frame in frames]
    made: Made = animator.make(frames[0], found[0], found[1])
    seeing, painting = Seeing(net), Painting(net)
    wanted = [seeing(torch.from_numpy(frame[None])) for frame in frames]
    painted, flow, visible = painting(torch.from_numpy(frames[:1]), *wanted[0], *wanted[1])
    pairs = [
        (known, want)
        for one, two in zip(found, wanted, strict=True)
        for known, want in zip(_parts(one), two, strict=True)
    ]
    pairs += [(made.flow, flow), (made.visible, visible)]
    levels = int(np.abs(made.picture.astype(int) - painted[0].numpy().astype(int)).max())
    return max(float(np.abs(ours - theirs[0].numpy()).max()) for ours, theirs in pairs), levels


def _parts(points: Known) -> tuple[Any, Any]:
    return points.at, points.jacobian


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the bundle of a run into ``--out`` (default: the models shipped with the device)."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_export.animation", description=main.__doc__)
    parser.add_argument("run", type=Path, help="its folder, e.g. runs/animation-faces-small64-0; or a bundle's")
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR")
    parser.add_argument("--side", type=int, metavar="PX", help="of pictures (default: as trained)")
    asked = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"wrote {build(asked.run, asked.out, asked.side)}\n")
    except ProsthesisError as error:
        sys.exit(f"prosthesis_export.animation: {error}")


if __name__ == "__main__":
    main()
