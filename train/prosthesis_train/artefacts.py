"""Trained generators and encoders as shipped: a folder of ONNX graphs and the card that pins them.

The graphs run in ONNX Runtime, so scores, gallery and other rooms use exactly what users get.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import imported
from prosthesis_train.scores.card import Model

MODELS = Path(__file__).resolve().parent / "models"
CARD, GENERATOR, ENCODER = "model.json", "generator.onnx", "encoder.onnx"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A shipped model: what its card says, and its verified graphs (``encoder`` is None for a plain GAN)."""

    folder: Path
    card: dict[str, Any]
    generator: Any
    encoder: Any | None

    @property
    def name(self) -> str:
        """Return the folder's name."""
        return self.folder.name

    @property
    def dim_z(self) -> int:
        """Return how many numbers a code has."""
        return int(self.card["dim_z"])

    def generate(self, z: Tensor) -> Tensor:
        """Return pictures f32[n,c,h,w] in [-1,1] for codes f32[n,dim_z]."""
        return _run(self.generator, "pictures", z)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and sigma, f32[n,dim_z] each, of the codes of pictures f32[n,c,h,w] in [-1,1]."""
        return _run(self._encoder(), "mean", images), _run(self._encoder(), "sigma", images)

    def features(self, images: Tensor) -> Tensor:
        """Return the encoder's features f32[n,k]: what a linear probe reads."""
        return _run(self._encoder(), "features", images)

    def _encoder(self) -> Any:
        if self.encoder is None:
            raise ProsthesisError(f"{self.folder}: this model has no encoder; choose a BigBiGAN")
        return self.encoder

    def model(self) -> Model:
        """Return what the score card scores."""
        encode = None if self.encoder is None else lambda images: self.encode(images)[0]
        return Model(self.name, self.dim_z, self.generate, encode)


def load_artefact(name_or_folder: str | Path) -> Artefact:
    """Load a shipped model by name, or any by its folder, and verify every graph against the card.

    Raises ``ProsthesisError`` when it is missing or a graph is not the one the card pins.

    >>> model = load_artefact("dcgan-fashion")
    >>> tuple(model.generate(torch.zeros(2, model.dim_z)).shape)
    (2, 1, 32, 32)
    """
    folder = Path(name_or_folder)
    if isinstance(name_or_folder, str) and "/" not in name_or_folder:
        folder = MODELS / name_or_folder
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        known = ", ".join(artefact_names()) or "none"
        raise ProsthesisError(f"{folder}: no model there ({error}); shipped are: {known}") from error
    for file, sha256 in card["sha256"].items():
        _verify(folder / file, sha256)
    encoder = _session(folder / ENCODER) if ENCODER in card["sha256"] else None
    return Artefact(folder, card, _session(folder / GENERATOR), encoder)


def artefact_names() -> list[str]:
    """Return the names of the shipped models, sorted."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{CARD}"))


def _verify(path: Path, sha256: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ProsthesisError(f"{path}: cannot be read ({error.strerror}); restore or export it again") from error
    if found != sha256:
        raise ProsthesisError(f"{path}: sha256 is not the card's: changed or damaged; restore or export it again")


def _session(path: Path) -> Any:
    runtime = imported("onnxruntime", "laptop", "running a shipped model")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: Any, output: str, inputs: Tensor) -> Tensor:
    name = session.get_inputs()[0].name
    found = session.run([output], {name: np.ascontiguousarray(inputs.detach().numpy(), np.float32)})[0]
    return torch.from_numpy(found)
