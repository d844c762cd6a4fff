"""How well a reader of ordinary print would tell letters as this patient sees them, by nothing but the calibration.

A map becomes brightness at each electrode as on the device: sampled by the translator, silent below what the electrode
shows at threshold, at most what it shows at its maximum. Each electrode paints a Gaussian of its calibrated size at its
calibrated place; where many overlap it is no brighter than white. The reader compares this picture with the letters as
they should be, in the same place, by correlation. What will fail and how exact the places are is not known, so
electrodes are left out and moved at random.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.calibration import Calibration
from prosthesis.curves import Curve
from prosthesis.messages import F32, MachineCode, readonly
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import View, cell_centres_deg

F64 = npt.NDArray[np.float64]

PICTURE = 32  # the predicted picture's side
DROPOUT, DRAWS, SEED = 0.2, 3, 0
BLUR = 1.0  # standard deviation in the picture's pixels: how exactly forms are compared
MISPLACED = 1.0  # standard deviation of a phosphene's place, of its calibrated size, which is half the way to the next
SHARPNESS = 20.0  # of the reader's choice: how much likelier a letter is that correlates better


class Legibility:
    """Predicts pictures of maps f32[side, side] for one patient; ``surprise`` by a set of letters is to be small."""

    def __init__(self, calibration: Calibration, view: View, side: int) -> None:
        self._translator = RetinotopicTranslator(calibration, view, (side, side))
        curve = calibration.curve
        brightness, activity = np.asarray(curve.brightness), np.asarray(curve.activity)
        self._brightness = Curve(activity, brightness)
        self._least, self._most = activity[:, 0], brightness[:, -1]
        self._side = side
        random = np.random.default_rng(SEED)
        self._phosphenes = _phosphenes(calibration, view, np.zeros((2, calibration.electrodes)))
        self._draws = [
            (random.random(calibration.electrodes) >= DROPOUT)[:, None]
            * _phosphenes(calibration, view, random.normal(0.0, MISPLACED, (2, calibration.electrodes)))
            for _ in range(DRAWS)
        ]

    def shown(self, maps: F32) -> F32:
        """Return the brightness f32[k, n] in 0..1 that each electrode shows of each of ``maps`` f32[k, side, side]."""
        out = np.empty((len(maps), len(self._least)), np.float32)
        for row, task_map in zip(out, maps, strict=True):
            code = MachineCode(0, 0, readonly(task_map, np.float32).reshape(-1), "map", task_map.shape)
            wanted = self._translator.translate(code).activity
            seen = np.minimum(self._brightness(wanted), self._most)
            row[:] = np.where((wanted <= 0) | (wanted < self._least), 0.0, seen)
        return out

    def pictures(self, maps: F32) -> F32:
        """Return the predicted pictures f32[k, PICTURE, PICTURE] of ``maps``, row 0 on top, nothing left out."""
        return _painted(self.shown(maps), self._phosphenes)

    def surprise(self, maps: F32, ideal: F32) -> float:
        """Return the reader's mean surprise in nats at what each of ``maps`` is meant to be, 0 when sure and right.

        ``ideal`` f32[k, side, side] are the forms the reader knows, one a map; the reader who guesses gets log(k).
        """
        shown, known = self.shown(maps), _comparable(_small(ideal))
        alike = np.concatenate([_comparable(_painted(shown, draw)) @ known.T for draw in self._draws])
        logits = SHARPNESS * alike
        right = np.tile(np.arange(len(maps)), len(self._draws))
        most = logits.max(axis=1, keepdims=True)
        total = np.log(np.exp(logits - most).sum(axis=1)) + most[:, 0]
        return float((total - logits[np.arange(len(right)), right]).mean())


def _painted(shown: F32, phosphenes: F32) -> F32:
    light = np.minimum(shown @ phosphenes, 1.0)
    return np.asarray(light.reshape(-1, PICTURE, PICTURE), np.float32)


def _small(maps: F32) -> F32:
    size = (PICTURE, PICTURE)
    return np.stack([cv2.resize(task_map, size, interpolation=cv2.INTER_AREA) for task_map in maps])


def _comparable(pictures: F32) -> F32:
    """Return pictures blurred, as vectors f32[k, PICTURE * PICTURE] of mean 0 and length 1; a flat one stays 0."""
    blurred = np.stack([cv2.GaussianBlur(picture, (0, 0), BLUR) for picture in pictures]).reshape(len(pictures), -1)
    blurred -= blurred.mean(axis=1, keepdims=True)
    return np.asarray(blurred / np.maximum(np.linalg.norm(blurred, axis=1, keepdims=True), 1e-6), np.float32)


def _phosphenes(calibration: Calibration, view: View, moved: F64) -> F32:
    """Return each electrode's Gaussian f32[n, PICTURE * PICTURE], peak 1, at least a pixel wide; 0 where disabled.

    ``moved`` f64[2, n] are errors of x and y in sizes.
    """
    x, y = (grid.ravel() for grid in cell_centres_deg(view.field, (PICTURE, PICTURE)))
    pixel = (view.field.x1_deg - view.field.x0_deg) / PICTURE
    sigma = np.maximum(calibration.column("rf_sigma_deg"), pixel / 2)[:, None]
    x0, y0 = calibration.column("x_deg")[:, None], calibration.column("y_deg")[:, None]
    far = (x - x0 - sigma * moved[0][:, None]) ** 2 + (y - y0 - sigma * moved[1][:, None]) ** 2
    enabled = calibration.column("enabled")[:, None]
    return np.asarray(enabled * np.exp(-far / (2 * sigma**2)), np.float32)
