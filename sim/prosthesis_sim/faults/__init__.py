"""Faults as data: what can go wrong, when and where; injected into an emulator, its air, or a device's camera."""

from prosthesis_sim.faults.catalogue import CATALOGUE, Fault, Kind, Layer, load_faults, parse_fault

__all__ = ["CATALOGUE", "Fault", "Kind", "Layer", "load_faults", "parse_fault"]
