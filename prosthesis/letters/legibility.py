"""How far apart letters are as this patient would see them, by nothing but the calibration.

A map becomes brightness at each electrode as on the device: sampled by the translator, silent below what the electrode
shows at threshold, at most what it shows at its maximum. Each electrode paints a Gaussian of its calibrated size at its
calibrated place. What will fail later is not known, so distances are averaged over random dropouts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.calibration import Calibration
from prosthesis.curves import Curve
from prosthesis.messages import F32, MachineCode, readonly
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import View, cell_centres_deg

F64 = npt.NDArray[np.float64]

PICTURE = 24  # the predicted picture's side
DROPOUT, DRAWS, SEED = 0.2, 4, 0
# the middle pair of letters, in plain type, is this many standard deviations apart: a weak eye, so that the closest
# pairs decide
MIDDLE_D = 6.0


class Legibility:
    """Predicts pictures of maps f32[side, side] for one patient; ``confusion`` of a set of letters is to be small."""

    def __init__(self, calibration: Calibration, view: View, side: int) -> None:
        self._translator = RetinotopicTranslator(calibration, view, (side, side))
        curve = calibration.curve
        brightness, activity = np.asarray(curve.brightness), np.asarray(curve.activity)
        self._brightness = Curve(activity, brightness)
        self._least, self._most = activity[:, 0], brightness[:, -1]
        self._side = side
        self._phosphenes = _phosphenes(calibration, view)
        keep = np.random.default_rng(SEED).random((DRAWS, calibration.electrodes)) >= DROPOUT
        self._kept = keep.astype(np.float32)
        self._noise: float | None = None

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
        """Return the predicted pictures f32[k, PICTURE, PICTURE] of ``maps``, row 0 on top."""
        return np.asarray((self.shown(maps) @ self._phosphenes).reshape(-1, PICTURE, PICTURE), np.float32)

    def distances(self, maps: F32) -> F64:
        """Return the distances [draws, pairs] between the pictures of each two of ``maps``, under each dropout."""
        shown, pairs = self.shown(maps), np.triu_indices(len(maps), 1)
        out = []
        for kept in self._kept:
            seen = (shown * kept) @ self._phosphenes
            product = (seen @ seen.T).astype(np.float64)
            power = np.diag(product)
            squared = power[:, None] + power[None, :] - 2 * product
            out.append(np.sqrt(np.maximum(squared[pairs], 0.0)))
        return np.array(out)

    def confusion(self, maps: F32) -> float:
        """Return Bhattacharyya's bound on confusing two letters, averaged over pairs and dropouts; 0.5 is chance.

        The picture's noise is the same for every set compared: it is fixed by the first one.
        """
        distances = self.distances(maps)
        if self._noise is None:
            self._noise = float(np.median(distances)) / MIDDLE_D or 1.0
        return float(0.5 * np.exp(-((distances / self._noise) ** 2) / 8).mean())


def _phosphenes(calibration: Calibration, view: View) -> F32:
    """Return each electrode's Gaussian f32[n, PICTURE * PICTURE], peak 1, at least a pixel wide; 0 where disabled."""
    x, y = (grid.ravel() for grid in cell_centres_deg(view.field, (PICTURE, PICTURE)))
    pixel = (view.field.x1_deg - view.field.x0_deg) / PICTURE
    sigma = np.maximum(calibration.column("rf_sigma_deg"), pixel / 2)[:, None]
    far = (x - calibration.column("x_deg")[:, None]) ** 2 + (y - calibration.column("y_deg")[:, None]) ** 2
    enabled = calibration.column("enabled")[:, None]
    return np.asarray(enabled * np.exp(-far / (2 * sigma**2)), np.float32)
