"""What observers are trained on: a task's pictures drawn plainly onto the array, and through classical encoders."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis_train.observers.percepts import VirtualPatient, array_part
from prosthesis_train.tasks.task import U8, framed
from prosthesis_train.tasks.under_test import shipped

I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
PLAIN_SIDE = 64
CLASSICAL = ("luminance-32", "contrast-32", "edges-32")


@dataclass(frozen=True, slots=True)
class Source:
    """Task maps f32[k, t, rows, columns] of one encoder, and their labels."""

    encoder: str
    maps: Tensor
    labels: Tensor


def plain_maps(squares: U8) -> F32:
    """Return gray squares u8[k, t, s, s] as maps f32[k, t, 64, 64]: plain drawing.

    Averaged, and stretched from the ground's gray (a trial's lower quartile) to the lightest; the lowest fifth of that
    is black, for a map's faintest gray already lights phosphenes.
    """
    k, t, side, _ = squares.shape
    flat = squares.reshape(k * t, side, side)
    small = [cv2.resize(picture, (PLAIN_SIDE, PLAIN_SIDE), interpolation=cv2.INTER_AREA) for picture in flat]
    maps = (np.stack(small).astype(np.float32)).reshape(k, t, PLAIN_SIDE, PLAIN_SIDE)
    low = np.quantile(maps, 0.25, axis=(1, 2, 3), keepdims=True)
    high = np.quantile(maps, 0.99, axis=(1, 2, 3), keepdims=True)
    stretched = (maps - low) / np.maximum(high - low, 1.0)
    drawn: F32 = np.clip((stretched - 0.2) / 0.8, 0.0, 1.0).astype(np.float32)
    return drawn


def sources(squares: U8, labels: I64, patient: VirtualPatient, classical: int) -> list[Source]:
    """Return plain maps of all the pictures, and maps of the first ``classical`` of them by each classical encoder."""
    answers = torch.as_tensor(labels)
    found = [Source("plain", torch.as_tensor(plain_maps(squares)), answers)]
    for name in CLASSICAL:
        maps = shipped(name)(framed(squares[:classical]), patient)
        found.append(Source(name, torch.as_tensor(maps), answers[:classical]))
    return found


def enlarged(maps: Tensor, patient: VirtualPatient, random: np.random.Generator) -> Tensor:
    """Return plain maps [b, t, s, s] laid onto the part of the field where this patient has phosphenes, loosely.

    The pictures' middle half goes there, by chance a fifth smaller or larger, a quarter narrower or wider, and a
    twelfth aside.
    """
    b, t, side, _ = maps.shape
    field, part = patient.view.field, array_part(patient.calibration)
    whole = field.x1_deg - field.x0_deg
    on = np.asarray(patient.calibration.enabled, bool)
    spans = [float(np.ptp(patient.calibration.column(axis)[on])) / whole for axis in ("x_deg", "y_deg")]
    middle = (part.x0_deg + part.x1_deg - field.x0_deg - field.x1_deg) / whole
    level = (field.y0_deg + field.y1_deg - part.y0_deg - part.y1_deg) / whole
    fit = 2 * min(spans) * random.uniform(0.8, 1.25, b)
    stretch = random.uniform(0.87, 1.15, b)
    x_scale, y_scale = fit * stretch, fit / stretch
    aside = random.uniform(-1 / 6, 1 / 6, (2, b)) * np.array(spans)[:, None]
    theta = np.zeros((b, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 1, 1] = 1 / x_scale, 1 / y_scale
    theta[:, 0, 2], theta[:, 1, 2] = -(middle + aside[0]) / x_scale, -(level + aside[1]) / y_scale
    grid = torch.nn.functional.affine_grid(torch.as_tensor(theta), [b, t, side, side], align_corners=False)
    return torch.nn.functional.grid_sample(maps, grid, align_corners=False)
