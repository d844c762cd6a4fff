"""Plain drawing: a picture's contrast stretched and its middle half laid onto the part where the phosphenes are.

The simplest encoder that knows its patient: no network, and only the calibration's places. Observers are trained on
the same with sizes and places by chance.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis.view import sample
from prosthesis_train.observers.percepts import VirtualPatient, array_part

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
SIDE = 64


def stretched(squares: U8) -> F32:
    """Return gray squares u8[k, t, s, s] as maps f32[k, t, 64, 64].

    Averaged, and stretched from the ground's gray (a trial's lower quartile) to the lightest; the lowest fifth of that
    is black, for a map's faintest gray already lights phosphenes.
    """
    k, t, side, _ = squares.shape
    flat = squares.reshape(k * t, side, side)
    small = [cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for picture in flat]
    maps = np.stack(small).astype(np.float32).reshape(k, t, SIDE, SIDE)
    low = np.quantile(maps, 0.25, axis=(1, 2, 3), keepdims=True)
    high = np.quantile(maps, 0.99, axis=(1, 2, 3), keepdims=True)
    drawn: F32 = np.clip(((maps - low) / np.maximum(high - low, 1.0) - 0.2) / 0.8, 0.0, 1.0).astype(np.float32)
    return drawn


def laid(maps: Tensor, patient: VirtualPatient, size: F64, stretch: F64, aside: F64) -> Tensor:
    """Return maps [b, t, s, s] whose middle half fills the shorter side of the array's part, where ``size`` is 1.

    ``stretch`` f64[b] is the wide over the high, its root; ``aside`` f64[2, b] moves it, in shares of the array's
    width and height.
    """
    b, t, side, _ = maps.shape
    calibration, field, part = patient.calibration, patient.view.field, array_part(patient.calibration)
    whole, on = field.x1_deg - field.x0_deg, np.asarray(calibration.enabled, bool)
    spans = np.array([float(np.ptp(calibration.column(axis)[on])) / whole for axis in ("x_deg", "y_deg")])
    middle = (part.x0_deg + part.x1_deg - field.x0_deg - field.x1_deg) / whole
    level = (field.y0_deg + field.y1_deg - part.y0_deg - part.y1_deg) / whole
    fit, moved = 2 * spans.min() * size, 2 * aside * spans[:, None]
    x_scale, y_scale = fit * stretch, fit / stretch
    theta = np.zeros((b, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 1, 1] = 1 / x_scale, 1 / y_scale
    theta[:, 0, 2], theta[:, 1, 2] = -(middle + moved[0]) / x_scale, -(level + moved[1]) / y_scale
    grid = torch.nn.functional.affine_grid(torch.as_tensor(theta), [b, t, side, side], align_corners=False)
    return torch.nn.functional.grid_sample(maps, grid, align_corners=False)


def fitted(frames: U8, patient: VirtualPatient) -> F32:
    """Return the maps f32[k, t, 64, 64] of camera frames u8[k, t, h, w, 3]."""
    flat = frames.reshape(-1, *frames.shape[2:])
    crops = [cv2.cvtColor(sample(frame, patient.view, 2 * SIDE), cv2.COLOR_RGB2GRAY) for frame in flat]
    maps = stretched(np.stack(crops).reshape(*frames.shape[:2], 2 * SIDE, 2 * SIDE))
    one = np.ones(len(maps))
    found: F32 = laid(torch.as_tensor(maps), patient, one, one, np.zeros((2, len(maps)))).numpy()
    return found
