"""Published human data: the small tables that we quote, and where the larger digitised ones are read from.

Points were digitised from the papers' figures by others (neuralcodinglab/dynaphos-experiments, GPL-3) and are not part
of this product, but for the two tables quoted here. Set PROSTHESIS_DATA to a folder with the CSV files to use the rest.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError

F64 = npt.NDArray[np.float64]

# Fernandez et al. 2021 (J Clin Invest 131:e151331) fig. 2, 50 % thresholds: pulse width us, rate Hz, train s, uA.
# The middle condition is drawn in all three panels and was digitised three times.
FERNANDEZ_THRESHOLDS = np.array(
    [
        (100, 300, 0.166, 75.0),
        (170, 300, 0.166, 41.18),
        (400, 300, 0.166, 40.0),
        (800, 300, 0.166, 25.0),
        (170, 100, 0.166, 82.35),
        (170, 200, 0.166, 52.94),
        (170, 300, 0.166, 35.29),
        (170, 300, 0.050, 81.76),
        (170, 300, 0.083, 50.0),
        (170, 300, 0.166, 37.06),
    ]
)
# the same, fig. 6A: current uA, brightness 0..1
FERNANDEZ_BRIGHTNESS = np.array(
    [(10, 0.04), (20, 0.08), (30, 0.2), (40, 0.36), (50, 0.48), (60, 0.8), (70, 0.8), (80, 0.8), (90, 1.0), (100, 0.92)]
)


@dataclass(frozen=True, slots=True)
class Trains:
    """Conditions of an experiment, f64[n] each."""

    pulse_width_us: F64
    rate_hz: F64
    train_s: F64

    def pick(self, which: npt.NDArray[np.bool_]) -> Trains:
        """Return the chosen ones."""
        return Trains(self.pulse_width_us[which], self.rate_hz[which], self.train_s[which])

    def conditions(self) -> npt.NDArray[np.int64]:
        """Return which distinct condition each is, i64[n]."""
        rows = np.stack([self.pulse_width_us, self.rate_hz, self.train_s], axis=1).round(6)
        return np.unique(rows, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def fernandez_thresholds() -> tuple[Trains, F64]:
    """Return the ten trains and their 50 % thresholds in uA."""
    width, rate, train, current = FERNANDEZ_THRESHOLDS.T
    return Trains(width, rate, train), current


def fernandez_psychometric() -> tuple[Trains, F64, F64]:
    """Return trains, currents in uA and the proportions of trials in which a phosphene was seen (fig. 2)."""
    rows = _read("fernandez2021_fig2_psychometric.csv")
    width = rows["pulse_width"] * 1e6
    trains = Trains(width, rows["frequency"], rows["train_duration"])
    return trains, rows["charge_per_phase"] * 1e12 / width, rows["proportion_phosphene_perception"]


def schmidt_accommodation() -> tuple[F64, F64]:
    """Return times in s and mean brightness over the first train's (Schmidt et al. 1996, Brain 119:507)."""
    rows = _read("schmidt1996_accommodation.csv")
    return rows["time"], rows["y_mean"]


def _read(name: str) -> dict[str, F64]:
    folder = os.environ.get("PROSTHESIS_DATA")
    path = Path(folder or ".") / name
    if folder is None or not path.is_file():
        raise ProsthesisError(
            f"{name} is not part of this product; put the digitised points of neuralcodinglab/dynaphos-experiments "
            f"into a folder and name it in PROSTHESIS_DATA (now: {folder or 'not set'})"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys = [key for key in rows[0] if all(_is_number(row[key]) for row in rows)]
    return {key: np.array([float(row[key]) for row in rows]) for key in keys}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
