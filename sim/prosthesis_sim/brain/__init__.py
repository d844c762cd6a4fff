"""Simulated brains to read from and to write to: sites that answer images with spikes, and stimulation too."""

from __future__ import annotations

from prosthesis_sim.brain.evoked import SiteResponse, evoked_hz
from prosthesis_sim.brain.frozen import NAMES, frozen_brain, patient_of
from prosthesis_sim.brain.noise import POISSON, Noise, counts, noise_ceiling
from prosthesis_sim.brain.population import Population
from prosthesis_sim.brain.trains import Course, Spikes, psth, spike_trains

__all__ = [
    "NAMES",
    "POISSON",
    "Course",
    "Noise",
    "Population",
    "SiteResponse",
    "Spikes",
    "counts",
    "evoked_hz",
    "frozen_brain",
    "noise_ceiling",
    "patient_of",
    "psth",
    "spike_trains",
]
