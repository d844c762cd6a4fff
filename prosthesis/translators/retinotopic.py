"""Hop 3: sample the task map at each electrode's phosphene, weighted by its receptive field."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.calibration import Calibration
from prosthesis.curves import Curve
from prosthesis.messages import BrainCode, MachineCode, readonly
from prosthesis.view import View, cell_centres_deg

F64 = npt.NDArray[np.float64]
CUT_SIGMAS = 3.0


class RetinotopicTranslator:
    """A map value is the brightness wanted there; the calibrated curves turn brightness into activity."""

    def __init__(self, calibration: Calibration, view: View, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._cell, self._weight = _receptive_fields(calibration, view, shape)
        brightness = np.asarray(calibration.curve.brightness)
        activity = np.asarray(calibration.curve.activity)
        self._activity = Curve(brightness, activity)
        self._brightness = Curve(activity, brightness)

    def translate(self, code: MachineCode) -> BrainCode:
        """Return the wanted activity f32[n]; values outside 0..1 are clipped and counted, NaN passes on."""
        brightness = np.einsum("nk,nk->n", code.values[self._cell], self._weight)
        wanted = brightness.clip(0.0, 1.0)
        clipped = int(np.count_nonzero(np.abs(brightness - wanted) > 1e-6))
        return BrainCode(code.seq, code.t_ns, readonly(self._activity(wanted), np.float32), clipped)

    def invert(self, code: BrainCode) -> MachineCode:
        """Return the map that the receptive fields paint when each electrode shows the brightness of its activity."""
        shown = self._brightness(code.activity.astype(np.float64))
        size = self._shape[0] * self._shape[1]
        cells = self._cell.ravel()
        painted = np.bincount(cells, (self._weight * shown[:, None]).ravel(), size)
        covered = np.bincount(cells, self._weight.ravel(), size)
        values = np.divide(painted, covered, out=np.zeros(size), where=covered > 0)
        return MachineCode(code.seq, code.t_ns, readonly(values, np.float32), "map", self._shape)


def _receptive_fields(
    calibration: Calibration, view: View, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return each electrode's cells [n, k] and Gaussian weights [n, k] that sum to 1; unused places weigh 0.

    A receptive field smaller than a cell samples the nearest cell; one outside the field samples nothing.
    """
    x_cell, y_cell = (grid.ravel() for grid in cell_centres_deg(view.field, shape))
    spacing = (view.field.x1_deg - view.field.x0_deg) / shape[1]
    x, y = calibration.column("x_deg"), calibration.column("y_deg")
    sigma = np.maximum(calibration.column("rf_sigma_deg"), spacing / 4)
    cells, weights = [], []
    for x_i, y_i, sigma_i in zip(x, y, sigma, strict=True):
        squared = (x_cell - x_i) ** 2 + (y_cell - y_i) ** 2
        near = np.flatnonzero(squared <= (CUT_SIGMAS * sigma_i) ** 2)
        weight = np.exp(-squared[near] / (2 * sigma_i**2))
        cells.append(near)
        weights.append(weight / weight.sum() if len(near) else weight)
    widest = max(1, max(len(near) for near in cells))
    cell = np.zeros((len(cells), widest), np.intp)
    weight_table = np.zeros((len(cells), widest), np.float32)
    for i, (near, weight) in enumerate(zip(cells, weights, strict=True)):
        cell[i, : len(near)], weight_table[i, : len(near)] = near, weight
    return cell, weight_table
