"""An array's contacts, placed in one patient's tissue."""

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
    """All contacts in index order: tissue places ``u_mm``, ``v_mm`` f64[n], and which placement each belongs to.

    ``depth_mm`` f64[n] is measured from the tissue's surface.
    """

    u_mm: F64
    v_mm: F64
    placement: npt.NDArray[np.int64]
    hemisphere: Hemisphere
    depth_mm: F64


def place(choice: ImplantChoice, array: ArrayConfig) -> ElectrodeArray:
    """Return the array's contacts, rotated and moved to each of the rig's placements in turn.

    A placement's ``depth_mm`` moves its shallowest contact there, and all others as far.
    """
    one, own_mm = contacts(array), np.asarray(array.depths_um) * 1e-3
    u, v, depth = [], [], []
    for placement in choice.placements:
        angle = np.deg2rad(placement.rotation_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        u.append(placement.x_mm + (cos * one.x_um - sin * one.y_um) * 1e-3)
        v.append(placement.y_mm + (sin * one.x_um + cos * one.y_um) * 1e-3)
        deeper = 0.0 if placement.depth_mm is None else placement.depth_mm - own_mm.min()
        depth.append(own_mm + deeper)
    index = np.repeat(np.arange(len(choice.placements)), len(one.x_um))
    return ElectrodeArray(np.concatenate(u), np.concatenate(v), index, choice.hemisphere, np.concatenate(depth))
