"""Where the contacts are in the tissue: the arrays of one module a family, and their placement."""

from __future__ import annotations

from prosthesis_sim.electrodes.placement import ElectrodeArray, place

__all__ = ["ElectrodeArray", "place"]
