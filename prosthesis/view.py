"""Geometry of hop 2: which part of the camera's image is laid onto which part of the visual field.

Degrees run x to the right and y up from the centre of gaze; image rows run down. The camera is an ideal pinhole whose
axis is the line of sight: the direction (x, y) falls ``tan(x)`` to the right and ``tan(y)`` above the image's centre.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.calibration.table import Calibration
from prosthesis.config import CameraConfig, ViewConfig
from prosthesis.errors import ConfigError
from prosthesis.messages import U8

F64 = npt.NDArray[np.float64]
Interval = tuple[float, float]

# a receptive field reaches this far beyond its phosphene's centre: 95 % of a Gaussian's weight along each axis
PAD_SIGMAS = 2.0


@dataclass(frozen=True, slots=True)
class Field:
    """A square part of the visual field, in degrees: x to the right, y up."""

    x0_deg: float
    x1_deg: float
    y0_deg: float
    y1_deg: float


@dataclass(frozen=True, slots=True)
class View:
    """The part ``crop`` of the camera's image is laid onto ``field``.

    ``crop`` is (left, top, right, bottom) in fractions of the frame's width and height, rows down; what lies outside
    0..1 is seen as black. ``camera_deg`` is the (width, height) that the whole image covers; unless said otherwise,
    that of the reference rigs' cameras.
    """

    crop: tuple[float, float, float, float]
    field: Field
    camera_deg: Interval = (60.0, 34.0)


def make_view(config: ViewConfig, camera: CameraConfig, calibration: Calibration) -> View:
    """Return the view of the array's coverage: the enabled phosphenes and two ``rf_sigma_deg`` around each, squared.

    ``fit`` compresses ``crop_deg`` (default: the largest square the image holds) around ``centre_deg`` onto that field;
    a crop that is not square on the image is extended along its shorter side, so that shapes are kept, and its edges go
    to the nearest pixel's. ``true_scale``
    takes the part of the image in the field's own directions. It is exact on the field's edges; inside, where the map
    is even in degrees and the image in their tangents, a field of 20 deg errs by 0.04 deg around the centre of gaze
    and by 0.4 deg beside it.

    Raises ``ConfigError`` when no electrode is enabled, when an option does not apply to the mode, or when the camera
    sees nothing of the crop; a crop it sees in part is padded with black, for moving it would move the scene.
    """
    field = _coverage(calibration)
    crop = _fitted_crop(config, camera) if config.mode == "fit" else _true_scale_crop(config, camera, field)
    left, top, right, bottom = crop
    if right <= 0 or left >= 1 or bottom <= 0 or top >= 1:
        raise ConfigError(
            f"key 'view': the camera sees {_size(camera.field_deg)} deg, and nothing of the {config.mode} crop; "
            "change 'view.centre_deg' or 'view.mode', or use a camera with a wider 'field_deg'"
        )
    return View(crop, field, camera.field_deg)


def sample(rgb: U8, view: View, size: int) -> U8:
    """Return the view's crop of ``rgb`` u8[h, w, 3] as u8[size, size, 3]; black where the camera sees nothing.

    Area-averaged by halving while at least two camera pixels fall on a sample, then interpolated to the exact place:
    a plain area resize is five times slower and can only crop whole pixels.
    """
    plan = _plan(view, size, rgb.shape[0], rgb.shape[1])
    if plan is None:
        return np.zeros((size, size, 3), np.uint8)
    cut = rgb[plan.rows, plan.columns]
    if plan.places is None:
        resized: U8 = cv2.resize(cut, (size, size), interpolation=cv2.INTER_LINEAR)
        return resized
    small = _halve(cut, plan.block)
    sampled: U8 = cv2.remap(small, *plan.places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    _blacken(sampled, view.crop, size)
    return sampled


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to cut out of a frame, by how much to average it, and OpenCV's fixed-point maps from there to the samples.

    Without maps a plain resize is exact, and four times faster: the cut is whole pixels, none larger than a sample, so
    that no sample needs a pixel beyond it.
    """

    rows: slice
    columns: slice
    block: int
    places: tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]] | None


@functools.lru_cache(maxsize=16)
def _plan(view: View, size: int, height: int, width: int) -> _Plan | None:
    """Return how to sample frames of one size, ``None`` when no part of them is in view."""
    left, top, right, bottom = view.crop
    x_px, y_px = left * width, top * height
    x_step, y_step = (right - left) * width / size, (bottom - top) * height / size
    edges = (x_px, y_px, right * width, bottom * height)
    if 1 <= min(x_step, y_step) < 2 and _is_whole(edges, width, height):
        x0, y0, x1, y1 = (round(edge) for edge in edges)
        return _Plan(slice(y0, y1), slice(x0, x1), 1, None)
    block = 2 ** max(0, math.floor(math.log2(min(x_step, y_step))))
    columns = _window(x_px, x_px + size * x_step, width, block)
    rows = _window(y_px, y_px + size * y_step, height, block)
    if not columns or not rows:
        return None
    x = (x_px + (np.arange(size) + 0.5) * x_step - columns.start) / block - 0.5
    y = (y_px + (np.arange(size) + 0.5) * y_step - rows.start) / block - 0.5
    x_map, y_map = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    places = cv2.convertMaps(x_map, y_map, cv2.CV_16SC2)
    return _Plan(slice(rows.start, rows.stop), slice(columns.start, columns.stop), block, places)


def _is_whole(edges: tuple[float, float, float, float], width: int, height: int) -> bool:
    """Return whether a crop's edges (left, top, right, bottom, in pixels) are whole and within the frame."""
    inside = min(edges) >= -1e-6 and edges[2] <= width + 1e-6 and edges[3] <= height + 1e-6
    return inside and all(abs(edge - round(edge)) < 1e-6 for edge in edges)


def cell_centres_deg(field: Field, shape: tuple[int, int]) -> tuple[F64, F64]:
    """Return x_deg[h, w] and y_deg[h, w] of the centres of a map's cells; row 0 is the top, the largest y."""
    rows, columns = shape
    x_deg = field.x0_deg + (np.arange(columns) + 0.5) * (field.x1_deg - field.x0_deg) / columns
    y_deg = field.y1_deg - (np.arange(rows) + 0.5) * (field.y1_deg - field.y0_deg) / rows
    x_grid, y_grid = np.meshgrid(x_deg, y_deg)
    return x_grid, y_grid


def _coverage(calibration: Calibration) -> Field:
    enabled = np.asarray(calibration.enabled, dtype=bool)
    if not enabled.any():
        raise ConfigError("key 'calibration': no electrode is enabled, so there is no field to show; calibrate again")
    pad = PAD_SIGMAS * calibration.column("rf_sigma_deg")[enabled]
    x, y = calibration.column("x_deg")[enabled], calibration.column("y_deg")[enabled]
    x_span, y_span = _squared(_span(x, pad), _span(y, pad))
    return Field(*x_span, *y_span)


def _span(centre: F64, pad: F64) -> Interval:
    return float((centre - pad).min()), float((centre + pad).max())


def _squared(first: Interval, second: Interval) -> tuple[Interval, Interval]:
    """Extend the shorter interval around its middle, so that a cell is as wide as it is high."""
    half = max(first[1] - first[0], second[1] - second[0]) / 2
    middles = (sum(first) / 2, sum(second) / 2)
    return (middles[0] - half, middles[0] + half), (middles[1] - half, middles[1] + half)


def _fitted_crop(config: ViewConfig, camera: CameraConfig) -> tuple[float, float, float, float]:
    x_deg, y_deg = config.centre_deg
    if config.crop_deg is None:
        half = min(_tan(camera.field_deg[0] / 2), _tan(camera.field_deg[1] / 2))
        x, y = _tan(x_deg), _tan(y_deg)
        return _whole(_fractions((x - half, x + half), (y - half, y + half), camera), camera)
    width, height = config.crop_deg
    x_span, y_span = _tangents(x_deg - width / 2, x_deg + width / 2), _tangents(y_deg - height / 2, y_deg + height / 2)
    return _whole(_fractions(*_squared(x_span, y_span), camera), camera)


def _whole(crop: tuple[float, float, float, float], camera: CameraConfig) -> tuple[float, float, float, float]:
    """Return a crop within the frame with its edges on the nearest of the camera's pixel edges."""
    if min(crop) < 0 or max(crop) > 1:
        return crop
    left, top, right, bottom = crop
    w, h = camera.width, camera.height
    return round(left * w) / w, round(top * h) / h, round(right * w) / w, round(bottom * h) / h


def _true_scale_crop(config: ViewConfig, camera: CameraConfig, field: Field) -> tuple[float, float, float, float]:
    if config.crop_deg is not None or config.centre_deg != (0.0, 0.0):
        raise ConfigError(
            "key 'view': true_scale takes its crop from the array's own coverage; "
            "remove 'crop_deg' and 'centre_deg', or use mode fit"
        )
    x_span, y_span = _tangents(field.x0_deg, field.x1_deg), _tangents(field.y0_deg, field.y1_deg)
    return _fractions(x_span, y_span, camera)


def _fractions(x_span: Interval, y_span: Interval, camera: CameraConfig) -> tuple[float, float, float, float]:
    """Return intervals of the image plane (tangents, y up) as left, top, right, bottom of the frame (y down)."""
    width, height = 2 * _tan(camera.field_deg[0] / 2), 2 * _tan(camera.field_deg[1] / 2)
    left, right = 0.5 + x_span[0] / width, 0.5 + x_span[1] / width
    return left, 0.5 - y_span[1] / height, right, 0.5 - y_span[0] / height


def _tangents(low_deg: float, high_deg: float) -> Interval:
    return _tan(low_deg), _tan(high_deg)


def _tan(angle_deg: float) -> float:
    if not -90.0 < angle_deg < 90.0:
        raise ConfigError(
            f"key 'view': the crop reaches {angle_deg:g} deg from the camera's axis, where no image is; keep within 90"
        )
    return math.tan(math.radians(angle_deg))


def _size(width_height: tuple[float, float]) -> str:
    return f"{width_height[0]:g} x {width_height[1]:g}"


def _window(low_px: float, high_px: float, length: int, block: int) -> range:
    """Return the camera's pixels from ``low_px`` to ``high_px`` in whole blocks, with a margin to interpolate with."""
    start = max(0, math.floor(low_px) - block)
    blocks = math.ceil((high_px - start) / block) + 1
    return range(start, min(length, start + blocks * block))


def _halve(rgb: U8, block: int) -> U8:
    """Return the averages over blocks of ``block`` (a power of two) pixels; a broken last block repeats its edge."""
    height, width = rgb.shape[:2]
    below, beside = -height % block, -width % block
    if below or beside:
        rgb = cv2.copyMakeBorder(rgb, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    while block > 1:  # by twos, because only that is vectorised in OpenCV
        rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
        block //= 2
    return rgb


def _blacken(sampled: U8, crop: tuple[float, float, float, float], size: int) -> None:
    """Black out the samples whose centres lie outside the frame."""
    for axis, (low, high) in enumerate(((crop[1], crop[3]), (crop[0], crop[2]))):
        first = max(0, math.ceil((0.0 - low) / (high - low) * size - 0.5))
        last = min(size, math.floor((1.0 - low) / (high - low) * size - 0.5) + 1)
        lines = np.moveaxis(sampled, axis, 0)
        lines[:first] = 0
        lines[last:] = 0
