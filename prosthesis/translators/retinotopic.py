"""Hop 3: sample the task map at each electrode's phosphene, weighted by its receptive field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.calibration.curves import Curve
from prosthesis.calibration.table import Calibration
from prosthesis.messages import BrainCode, MachineCode, readonly
from prosthesis.view import View, cell_centres_deg

F64 = npt.NDArray[np.float64]
CUT_SIGMAS = 3.0


class RetinotopicTranslator:
    """A map value is the brightness wanted there; the calibrated curves turn brightness into activity."""

    def __init__(self, calibration: Calibration, view: View, shape: tuple[int, int]) -> None:
        self._shape = shape
        self.fields = _receptive_fields(calibration, view, shape)
        brightness = np.asarray(calibration.curve.brightness)
        activity = np.asarray(calibration.curve.activity)
        self._activity = Curve(brightness, activity)
        self._brightness = Curve(activity, brightness)

    def translate(self, code: MachineCode) -> BrainCode:
        """Return the wanted activity f32[n]; values outside 0..1 are clipped and counted, NaN passes on."""
        fields = self.fields
        brightness = np.add.reduceat(code.values.take(fields.cell) * fields.weight, fields.start)
        wanted, clipped = brightness, 0
        if not (brightness.min() >= 0.0 and brightness.max() <= 1.0):  # also when there is a NaN, which passes on
            wanted = brightness.clip(0.0, 1.0)
            clipped = int(np.count_nonzero(np.abs(brightness - wanted) > 1e-6))
        return BrainCode(code.seq, code.t_ns, readonly(self._activity(wanted), np.float32), clipped)

    def invert(self, code: BrainCode) -> MachineCode:
        """Return the map that the receptive fields paint when each electrode shows the brightness of its activity."""
        shown = self._brightness(code.activity.astype(np.float64))
        size, fields = self._shape[0] * self._shape[1], self.fields
        weight = fields.weight.astype(np.float64)
        painted = np.bincount(fields.cell, weight * np.repeat(shown, fields.length), size)
        covered = np.bincount(fields.cell, weight, size)
        values = np.divide(painted, covered, out=np.zeros(size), where=covered > 0)
        return MachineCode(code.seq, code.t_ns, readonly(values, np.float32), "map", self._shape)


@dataclass(frozen=True, slots=True)
class _Fields:
    """All receptive fields one after the other: map cells, weights, and where each electrode's begin; none is empty."""

    cell: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float32]
    start: npt.NDArray[np.intp]

    @property
    def length(self) -> npt.NDArray[np.intp]:
        return np.diff(np.append(self.start, len(self.cell)))


def _receptive_fields(calibration: Calibration, view: View, shape: tuple[int, int]) -> _Fields:
    """Return each electrode's cells and Gaussian weights that sum to 1.

    A receptive field smaller than a cell samples the nearest one; a disabled electrode or one outside the field samples
    nothing: one cell of weight 0.
    """
    x_cell, y_cell = (grid.ravel() for grid in cell_centres_deg(view.field, shape))
    spacing = (view.field.x1_deg - view.field.x0_deg) / shape[1]
    x, y = calibration.column("x_deg"), calibration.column("y_deg")
    sigma = np.maximum(calibration.column("rf_sigma_deg"), spacing / 4)
    cells, weights = [], []
    for x_i, y_i, sigma_i, enabled in zip(x, y, sigma, calibration.enabled, strict=True):
        squared = (x_cell - x_i) ** 2 + (y_cell - y_i) ** 2
        near = np.flatnonzero(squared <= (CUT_SIGMAS * sigma_i) ** 2) if enabled else np.empty(0, np.intp)
        weight = np.exp(-squared[near] / (2 * sigma_i**2))
        cells.append(near if len(near) else np.zeros(1, np.intp))
        weights.append(weight / weight.sum() if len(near) else np.zeros(1))
    lengths = np.array([len(near) for near in cells])
    start = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return _Fields(np.concatenate(cells), np.concatenate(weights).astype(np.float32), start)
