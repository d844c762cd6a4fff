"""The shipped bundle's networks in torch again: parts of it can then be left out, or other sizes of picture tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from prosthesis.animation.animator import MODEL
from prosthesis.bundles.bundle import load_bundle
from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import imported
from prosthesis_train.networks.animation import SIZES, Animator

UNWARPED = Path(__file__).resolve().parents[1] / "models" / "unwarped64"  # the baseline, for the desk only


def networks(model: str | Path = MODEL, size: str = "small64") -> Animator:
    """Return a bundle's networks in eval mode; ``ProsthesisError`` when its graphs are not of networks of ``size``."""
    bundle = load_bundle(model)
    onnx: Any = imported("onnx", "export", "reading a bundle's weights")
    net = Animator(SIZES[size])
    wanted = net.state_dict()
    found: dict[str, torch.Tensor] = {}
    for graph in bundle.manifest.graphs:
        for constant in onnx.load(bundle.graph_path(graph)).graph.initializer:
            name = constant.name.removeprefix("net.")
            for full in (name, f"keypoints.{name}"):
                if full in wanted and tuple(constant.dims) == tuple(wanted[full].shape):
                    found[full] = torch.from_numpy(np.array(onnx.numpy_helper.to_array(constant)))
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise ProsthesisError(f"{bundle.folder}: holds no {missing[0]} of {size}; export it again, or name its size")
    net.load_state_dict(found)
    return net.eval()
