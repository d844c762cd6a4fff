"""The wireless floating microelectrode array of the ICVP trial: sixteen shafts of two lengths, 25 arrays a patient."""

from __future__ import annotations

import math

from prosthesis_sim.electrodes.geometry import Geometry, points

SPACING_UM = 400.0
SHAFT_UM = (650.0, 850.0)
TIP_UM2 = 3000.0
# the published numbers of each column and where it starts, in um; R ends the first column and C begins the last:
# reference and counter electrode, which do not stimulate
COLUMNS = ((range(1, 5), 900.0), (range(5, 9), 700.0), (range(9, 14), 900.0), (range(14, 17), 300.0))
SHORT = (2, 4, 6, 8, 9, 11, 13, 15)


def wfma16() -> Geometry:
    """Return the sixteen working electrodes in the order of their published numbers."""
    column_um = SPACING_UM * math.sqrt(3) / 2
    xy = [
        ((column - 1.5) * column_um, row * SPACING_UM - start)
        for column, (numbers, start) in enumerate(COLUMNS)
        for row, _ in enumerate(numbers)
    ]
    depth = tuple(SHAFT_UM[0] if number in SHORT else SHAFT_UM[1] for number in range(1, 17))
    return Geometry(
        points(xy),
        TIP_UM2,
        depth,
        (
            "Microprobes, first human implantation of the WFMA (25 arrays of 16 = 400 channels)",
            "pulse2percept icvp.py (four columns, 400 um hexagonal spacing, 650 and 850 um deep)",
            "Front Neurosci 2022, 16:876032 (3000 um2 AIROF electrodes of the WFMA)",
        ),
    )
