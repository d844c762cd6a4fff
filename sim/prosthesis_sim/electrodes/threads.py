"""Flexible threads: contacts one under the other, inserted from the surface."""

from __future__ import annotations

import math

from prosthesis_sim.electrodes.geometry import Geometry, points

SITE_UM = (14.0, 24.0)


def thread(contacts: int = 32, spacing_um: float = 50.0, first_um: float = 0.0) -> Geometry:
    """Return one thread, its shallowest contact first, at ``first_um`` from the surface.

    How deep a thread goes is the surgeon's choice: a rig's placement says it by ``depth_mm``.
    """
    return Geometry(
        points([(0.0, 0.0)] * contacts),
        float(round(math.pi / 4 * SITE_UM[0] * SITE_UM[1])),
        tuple(first_um + spacing_um * i for i in range(contacts)),
        (
            "Musk & Neuralink 2019, J Med Internet Res 21:e16194 (3072 electrodes on 96 threads, 32 each)",
            "pulse2percept neuralink.py (32 sites 50 um apart on a thread, 14 x 24 um)",
        ),
    )
