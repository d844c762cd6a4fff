"""One cortical patient as pure functions of any array library: the compiled world's oracle, differentiable.

``step`` and ``see`` do what ``World.step`` and ``World.percept`` do, on numpy or torch arrays alike. Gradients flow
through activation and habituation of all earlier frames; with ``softness`` also through the visibility threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from prosthesis.errors import ConfigError
from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.individual import draw
from prosthesis_sim.interaction import dense_shares
from prosthesis_sim.patient import AxonMapSpread, ChargeTissue, PulseTissue, WorldConfig
from prosthesis_sim.phosphenes import render_reference, visible
from prosthesis_sim.screen import SpotSpread, coverage, sigma_mm
from prosthesis_sim.tissue import TissueState, at_rest

Array = Any


@dataclass(frozen=True, slots=True)
class Cortex:
    """What is constant of one patient, arrays [n]; ``shares`` [n, n] or ``None`` without interaction."""

    tissue: ChargeTissue | PulseTissue
    spread: SpotSpread
    threshold: Array
    scale_ua: Array
    x_deg: Array
    y_deg: Array
    mm_per_deg: Array
    shares: Array | None
    x_edges_deg: Array
    y_edges_deg: Array

    def rest(self) -> TissueState:
        """Return the state of a patient never stimulated."""
        return at_rest(0 * self.x_deg)


def cortex(
    config: WorldConfig,
    array: ElectrodeArray,
    patient: int,
    day: float = 0.0,
    asarray: Callable[[Any], Array] = np.asarray,
) -> Cortex:
    """Return the patient that ``World`` with the same arguments is; ``asarray`` makes the library's arrays.

    Gaze stays straight ahead, and phosphenes are round; ``ConfigError`` for worlds with an axon map.
    """
    if isinstance(config.spread, AxonMapSpread):
        raise ConfigError(f"world '{config.name}': key 'spread': for axon maps use axonmap.axon_map_reference")
    person = draw(config, array, patient, day)
    part, strength = config.screen.part or coverage(person), config.interaction.strength
    (x, y), (wide, high) = part.centre_deg, part.extent_deg
    return Cortex(
        config.tissue,
        config.spread,
        asarray(person.threshold),
        asarray(person.scale_ua),
        asarray(person.x_deg),
        asarray(person.y_deg),
        asarray(person.mm_per_deg),
        asarray(dense_shares(array.u_mm, array.v_mm, strength, config.interaction.per_mm2)) if strength else None,
        asarray(x + wide * np.linspace(-0.5, 0.5, config.screen.width + 1)),
        asarray(y + high * np.linspace(-0.5, 0.5, config.screen.height + 1)),
    )


def step(
    patient: Cortex,
    state: TissueState,
    amplitude_ua: Array,
    pulse_width_us: Array,
    rate_hz: Array,
    slot: Array,
    dt_s: float,
) -> TissueState:
    """Return the state ``dt_s`` later under constant pulses, all arrays [n]; ``slot`` are the raster slots."""
    xp = array_namespace(state.activation)
    pulsing = xp.where(rate_hz > 0, amplitude_ua, 0 * amplitude_ua)
    if patient.shares is not None:
        together = xp.astype(slot[:, None] == slot[None, :], pulsing.dtype)
        more = xp.matmul(patient.shares * together, pulsing)
        pulsing = xp.where(pulsing > 0, pulsing + more, pulsing)
    return patient.tissue.build().step(state, pulsing, pulse_width_us, rate_hz, dt_s, patient.scale_ua)


def see(patient: Cortex, state: TissueState, softness: float = 0.0) -> Array:
    """Return the image [h, w] in 0..1 that is seen now."""
    brightness = patient.tissue.brightness()(state, patient.threshold)
    brightness = brightness * visible(state.activation, patient.threshold, softness)
    sigma = sigma_mm(patient.spread, state.last_ua) / patient.mm_per_deg
    return render_reference(patient.x_edges_deg, patient.y_edges_deg, patient.x_deg, patient.y_deg, sigma, brightness)
