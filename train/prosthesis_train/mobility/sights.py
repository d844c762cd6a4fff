"""What each encoder makes of one camera frame of the walk: the map f32[32,32] that goes to the patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders.taskmap import TaskMapEncoder
from prosthesis.engines import open_engine
from prosthesis.messages import Frame
from prosthesis.view import Field, View
from prosthesis_train.data.images import to_channels
from prosthesis_train.mobility.arena import F32, U8, Sight
from prosthesis_train.mobility.protocol import GAIN, GAMMA, MAP_SIDE, PICTURE_SIDE, RGB_SIDE

CLASSICAL = ("luminance", "contrast", "edges", "saliency")
OBSTACLE = "obstacle"
Exposure = tuple[float, float]
RAW_FAR = 512.0  # units: where the picture of depth is black


def exposures(n: int, seed: int) -> list[Exposure]:
    """Return gamma and gain of ``n`` walks."""
    random = np.random.default_rng([seed, 77])
    low, high = np.log([GAMMA, GAIN]).T
    return [(float(a), float(b)) for a, b in np.exp(random.uniform(low, high, (n, 2)))]


def exposed(rgb: U8, exposure: Exposure) -> U8:
    """Return what a camera of another gamma and gain makes of the same scene."""
    gamma, gain = exposure
    table = np.clip(gain * (np.arange(256) / 255) ** gamma * 255, 0, 255).astype(np.uint8)
    return np.asarray(table[rgb], np.uint8)


def classical() -> Mapping[str, Callable[[U8], F32]]:
    """Return the shipped classical encoders, each given the whole square."""
    return {name: _shipped(f"{name}-{MAP_SIDE}") for name in CLASSICAL}


def _shipped(model: str) -> Callable[[U8], F32]:
    bundle = load_bundle(model)
    view = View((0.0, 0.0, 1.0, 1.0), Field(-1.0, 1.0, -1.0, 1.0))
    encoder = TaskMapEncoder(bundle, open_engine(bundle, "onnx", "cpu"), view)
    return lambda rgb: encoder.encode(Frame(0, 0, rgb), 0).values.reshape(encoder.shape)


def picture(rgb: U8, sight: Sight) -> U8:
    """Return full vision for the walker, u8[24,24,2]: the camera's gray picture and nearness of every pixel."""
    near = 255 * np.clip(1 - sight.depth / RAW_FAR, 0, 1)
    both = np.dstack([to_channels(rgb[None], 1)[0], near.astype(np.uint8)])
    return np.asarray(cv2.resize(both, (PICTURE_SIDE, PICTURE_SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def small(rgb: U8) -> U8:
    """Return the frame as the nearness encoder is given it, u8[64,64,3]."""
    return np.asarray(cv2.resize(rgb, (RGB_SIDE, RGB_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
