"""Gennaris: wireless tiles of 43 penetrating electrodes, up to eleven in one hemisphere."""

from __future__ import annotations

import math

from prosthesis_sim.electrodes.geometry import Geometry, points
from prosthesis_sim.electrodes.grids import hexagonal_within

PITCH_UM = 1000.0  # unverified: 43 electrodes on a tile of 9 x 9 mm
ANNULUS_UM2 = 38000.0
DEPTH_UM = 1500.0  # unverified; layer 4 of V1 is the published aim


def gennaris43() -> Geometry:
    """Return one tile. Its layout is assumed: a hexagonal lattice has 43 sites within sqrt(12) pitches of one."""
    return Geometry(
        points(hexagonal_within(math.sqrt(12) * PITCH_UM, PITCH_UM)),
        ANNULUS_UM2,
        DEPTH_UM,
        (
            "Rosenfeld et al. 2020, tissue response to the Gennaris array (43 electrodes a device)",
            "Monash University, bionic eye (tiles of 9 x 9 mm, up to 473 = 11 x 43 phosphenes)",
            "Front Neurosci 2015, 9:265 (platinum-iridium annuli, 38000 um2 recommended)",
        ),
    )
