"""What turns evolved codes into images: a trained generator, or a linear basis where none of that size is at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.fft import idctn

from prosthesis_train.artefacts import Artefact
from prosthesis_train.data.images import U8
from prosthesis_train.reading.evolution import F32, F64


@dataclass(frozen=True, slots=True)
class Painter:
    """``images`` maps codes f64[n,dim], of variance about 1, to gray images f32[n,side,side] in 0..1."""

    name: str
    dim: int
    images: Callable[[F64], F32]


def of_artefact(model: Artefact) -> Painter:
    """Return a shipped generator of gray images as a painter."""

    def images(codes: F64) -> F32:
        made = model.generate(torch.from_numpy(codes.astype(np.float32)))[:, 0].numpy()
        return np.asarray((made + 1) / 2, np.float32)

    return Painter(model.name, model.dim_z, images)


def cosines(side: int = 64, shown: int = 64, contrast: float = 0.2) -> Painter:
    """Return ``side``^2 cosines (DCT-II) about gray with amplitudes of 1/f, as natural images have (Field 1987).

    Nothing is learned: a stand-in for generators of 4,096 dimensions, of which none is at hand. Images are averaged
    down to ``shown`` pixels, a divisor of ``side``, so the finest cosines may hardly show. ``contrast``: standard
    deviation of a random code's image before both that and the cut to 0..1; the choice is ours.
    """
    f = np.hypot(*np.meshgrid(np.arange(side), np.arange(side)))
    amplitude = np.where(f > 0, 1 / np.maximum(f, 1), 0)
    amplitude *= contrast * side / np.linalg.norm(amplitude)

    def images(codes: F64) -> F32:
        waves = idctn(codes.reshape(-1, side, side) * amplitude, axes=(1, 2), norm="ortho")
        full = np.clip(0.5 + waves, 0, 1).reshape(-1, shown, side // shown, shown, side // shown)
        return np.asarray(full.mean((2, 4)), np.float32)

    return Painter(f"{side * side} cosines", side * side, images)


def gray(pictures: U8) -> F32:
    """Return gray pictures u8[n,h,w,1] as a simulated brain sees them: f32[n,h,w] in 0..1."""
    return np.asarray(pictures[..., 0] / 255, np.float32)
