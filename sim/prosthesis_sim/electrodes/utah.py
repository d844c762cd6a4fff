"""The Utah array: shanks of one length on a 400 um grid, with a bare tip each.

The CORTIVIS trial's array is the 96-channel NeuroPort; there is no second one.
"""

from __future__ import annotations

from prosthesis_sim.electrodes.geometry import Geometry, grid

PITCH_UM = 400.0
TIP_UM2 = 4000.0  # unverified; Negi 2010's charges and densities imply 3200 to 8000
SHANK_UM = 1500.0


def neuroport96() -> Geometry:
    """Return 10 x 10 shanks of which the corners are not wired."""
    return Geometry(
        grid(10, 10, (PITCH_UM, PITCH_UM), omit=(0, 9, 90, 99)),
        TIP_UM2,
        SHANK_UM,
        (
            "Fernandez et al. 2021, J Clin Invest 131:e151331 (10 x 10, 1.5 mm shanks, sputtered iridium oxide tips)",
            "pulse2percept cortivis.py (96 of 10 x 10, 400 um pitch)",
        ),
    )


def utah64() -> Geometry:
    """Return 8 x 8 shanks; sixteen such arrays make 1024 electrodes."""
    return Geometry(
        grid(8, 8, (PITCH_UM, PITCH_UM)),
        TIP_UM2,
        SHANK_UM,
        ("Chen et al. 2020, Science 370:1191; Chen et al. 2023, J Neural Eng 20:036039 (16 arrays of 8 x 8)",),
    )
