"""An array's contacts, placed in one patient's tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.config import ArrayConfig, ImplantChoice
from prosthesis.layout import places_mm
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

    >>> from prosthesis.config import load_rig
    >>> rig = load_rig("nhp1024")
    >>> placed = place(rig.config.implant, rig.array)
    >>> len(placed.u_mm), int(placed.placement.max()) + 1, placed.hemisphere
    (1024, 16, 'left')
    """
    own_mm = np.asarray(array.depths_um) * 1e-3
    u, v = places_mm(array, choice.placements)
    depth = []
    for placement in choice.placements:
        deeper = 0.0 if placement.depth_mm is None else placement.depth_mm - own_mm.min()
        depth.append(own_mm + deeper)
    index = np.repeat(np.arange(len(choice.placements)), len(own_mm))
    return ElectrodeArray(u, v, index, choice.hemisphere, np.concatenate(depth))
