"""Where the contacts are in the tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.config import ArrayConfig, ImplantChoice
from prosthesis.layout import contacts
from prosthesis_sim.retinotopy import Hemisphere

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ElectrodeArray:
    """All contacts in index order: tissue places ``u_mm``, ``v_mm`` f64[n], and which placement each belongs to."""

    u_mm: F64
    v_mm: F64
    placement: npt.NDArray[np.int64]
    hemisphere: Hemisphere


def place(choice: ImplantChoice, array: ArrayConfig) -> ElectrodeArray:
    """Return the array's contacts, rotated and moved to each of the rig's placements in turn."""
    one = contacts(array)
    u, v = [], []
    for placement in choice.placements:
        angle = np.deg2rad(placement.rotation_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        u.append(placement.x_mm + (cos * one.x_um - sin * one.y_um) * 1e-3)
        v.append(placement.y_mm + (sin * one.x_um + cos * one.y_um) * 1e-3)
    index = np.repeat(np.arange(len(choice.placements)), len(one.x_um))
    return ElectrodeArray(np.concatenate(u), np.concatenate(v), index, choice.hemisphere)
