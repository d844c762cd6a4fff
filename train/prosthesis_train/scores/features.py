"""Frozen networks whose features scores compare: ours, or a user's TorchScript Inception; both pinned by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from prosthesis.errors import ProsthesisError
from prosthesis_train.methods import classifier

Describe = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class FeatureNetwork:
    """``describe`` maps pictures f32[n,c,h,w] in [-1,1] to features f32[n,k] and class probabilities f32[n,classes].

    ``distance`` names its Frechet distance: only the Inception network of 2015 makes a 'Frechet Inception distance'.
    """

    name: str
    sha256: str
    distance: str
    describe: Describe
    batch: int = 500

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and probabilities of any number of pictures."""
        parts = [self.describe(images[k : k + self.batch]) for k in range(0, len(images), self.batch)]
        return torch.cat([features for features, _ in parts]), torch.cat([odds for _, odds in parts])

    def features(self, images: Tensor) -> Tensor:
        """Return features f32[n,k]."""
        return self(images)[0]

    def probabilities(self, images: Tensor) -> Tensor:
        """Return class probabilities f32[n,classes]."""
        return self(images)[1]

    def label(self) -> str:
        """Return what must stand beside every number this network makes."""
        return f"{self.name}, sha256 {self.sha256[:12]}"


def own_classifier(folder: Path = classifier.SHIPPED) -> FeatureNetwork:
    """Return our classifier of clothes: 128 features, ten classes; it sees 32 x 32 gray pictures."""
    net, sha256 = classifier.load(folder)

    def describe(images: Tensor) -> tuple[Tensor, Tensor]:
        features = net.features(images)
        return features, torch.softmax(net.head(features), 1)

    return FeatureNetwork(folder.name, sha256, "Frechet classifier distance", describe)


def averages(cells: int = 8) -> FeatureNetwork:
    """Return no network at all: the means of ``cells`` x ``cells`` squares, for pictures that no classifier knows."""
    name = f"means of {cells} x {cells} squares"

    def describe(images: Tensor) -> tuple[Tensor, Tensor]:
        return adaptive_avg_pool2d(images, cells).flatten(1), torch.ones(len(images), 1)

    return FeatureNetwork(name, hashlib.sha256(name.encode()).hexdigest(), "Frechet distance of means", describe)


def inception(path: Path, sha256: str) -> FeatureNetwork:
    """Return a user's TorchScript Inception file (``inception-2015-12-05.pt`` of NVIDIA's StyleGAN repositories).

    It takes 0..255 RGB of any size, and resizes by itself. ``sha256`` is the file's, in hexadecimal.
    Raises ``ProsthesisError`` when the file is missing, is another one, or is not TorchScript.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProsthesisError(f"{path}: cannot be read ({error.strerror}); give your Inception file's path") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise ProsthesisError(f"{path}: sha256 is {found}, not {sha256}; a score of another network would mislead")
    try:
        net: torch.nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ProsthesisError(f"{path}: not a TorchScript file; torch.jit.load cannot read it") from error

    def describe(images: Tensor) -> tuple[Tensor, Tensor]:
        rgb = images.expand(-1, 3, -1, -1).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        # without the output's bias, as published Inception scores are (Karras et al. 2020, inception_score.py)
        return net(rgb, return_features=True), net(rgb, no_output_bias=True)

    return FeatureNetwork(path.name, found, "Frechet Inception distance", describe, batch=50)
