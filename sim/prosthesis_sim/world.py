"""Hop 8: what the electrodes delivered becomes what is seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ConfigError
from prosthesis.messages import Delivered, Percept, readonly
from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.gaze import Gaze
from prosthesis_sim.individual import Individual, draw
from prosthesis_sim.interaction import add_currents, in_same_slot, neighbours
from prosthesis_sim.patient import AxonMapSpread, CortexMap, WorldConfig
from prosthesis_sim.phosphenes import ChargeBrightness
from prosthesis_sim.realtime import live_charge, live_pulse, shine_charge, shine_pulse
from prosthesis_sim.screen import Spots, Streaks, sigma_mm
from prosthesis_sim.tissue import ChargeLaw, TissueState

F64 = npt.NDArray[np.float64]
# what a site does when driven to the brightest phosphene: where brightness is 0.99 of its most
SATURATION = 0.99


def _screen(config: WorldConfig, person: Individual, array: ElectrodeArray) -> Spots | Streaks:
    """Return what draws this world's phosphenes; ``ConfigError`` for streaks anywhere but on a retina."""
    spread = config.spread
    if not isinstance(spread, AxonMapSpread):
        return Spots(config.screen, person, spread, config.scatter.elongation)
    if isinstance(config.retinotopy, CortexMap):
        raise ConfigError(f"world '{config.name}': key 'spread': axon_map needs a retina; set retinotopy type: retina")
    return Streaks(config.screen, person, spread, array, config.retinotopy.build())


class World:
    """Patient number ``patient`` of a world with one array, ``day`` days after surgery: drawn once, then only time.

    ``person`` is the individual; ``state`` the tissue's. ``step`` and ``percept`` are the compiled path of the laws in
    ``tissue.py``, ``phosphenes.py`` and ``interaction.py``, and tested equal to them.

    >>> from prosthesis.config import load_rig
    >>> from prosthesis_sim.electrodes import place
    >>> from prosthesis_sim.patient import load_world
    >>> rig = load_rig("utah96")
    >>> world = World(load_world(rig.config.world), place(rig.config.implant, rig.array), patient=0)
    >>> n, ms = rig.electrodes, 1_000_000
    >>> current, width = np.full(n, 60, np.float32), np.full(n, 170, np.float32)
    >>> pulses, slot = np.full(n, 50, np.int32), np.zeros(n, np.uint8)
    >>> world.step(Delivered(1, 0, 0, 167 * ms, current, width, pulses, slot))
    >>> percept = world.percept(1, 0, 0)
    >>> 0 < percept.visible <= n, float(percept.image.max()) <= 1
    (True, True)
    """

    def __init__(self, config: WorldConfig, array: ElectrodeArray, patient: int, day: float = 0.0) -> None:
        self.config = config
        self.person = draw(config, array, patient, day)
        self.law, self.bright = config.tissue.build(), config.tissue.brightness()
        self.gaze = Gaze(config.gaze, patient)
        n = len(array.u_mm)
        self.state = TissueState(np.zeros(n), np.zeros(n), np.zeros(n))
        self._near = neighbours(array.u_mm, array.v_mm, config.interaction.strength, config.interaction.per_mm2)
        self._raster = np.zeros(n, np.uint8)
        self._together = in_same_slot(self._near, self._raster)
        self._screen = _screen(config, self.person, array)
        self._summed_ua, self._peaks, self._last_width_us = np.zeros(n), np.zeros(n), np.zeros(n)

    def step(self, delivered: Delivered) -> None:
        """Live through one interval of delivery; the pulses are spread over it evenly."""
        if delivered.dt_ns <= 0:
            return
        state, law, dt_s = self.state, self.law, delivered.dt_ns * 1e-9
        self.gaze.step(dt_s)
        if isinstance(self._screen, Streaks):  # a spot's size does not depend on the width of pulses
            np.copyto(self._last_width_us, delivered.pulse_width_us, where=delivered.pulses > 0)
        self._sum_currents(delivered)
        given = (self._summed_ua, delivered.pulse_width_us, delivered.pulses, dt_s)
        if isinstance(law, ChargeLaw):
            constants = (law.rheobase_ua, law.tau_act_s, law.tau_trace_s, law.kappa_hz)
            live_charge(state.activation, state.trace, state.last_ua, *given, self.person.scale_ua, *constants)
        else:
            pulse = (law.rheobase, law.chronaxie_us, law.exponent, law.width_power, law.per_pulse)
            times = (law.tau_act_s, law.tau_trace_s, law.kappa_hz)
            live_pulse(state.activation, state.trace, state.last_ua, *given, self.person.scale_ua, *pulse, *times)

    def _sum_currents(self, delivered: Delivered) -> None:
        """Add what neighbours in the same raster slot contribute; who they are is worked out once per raster."""
        if not len(self._near.electrode):
            self._summed_ua[:] = delivered.amplitude_ua
            return
        if delivered.slot.tobytes() != self._raster.tobytes():
            self._raster, self._together = delivered.slot, in_same_slot(self._near, delivered.slot)
        near = self._together
        currents = (delivered.amplitude_ua, delivered.pulses, self._summed_ua)
        add_currents(near.start, near.electrode, near.share, *currents)

    def percept(self, seq: int, t_ns: int, made_ns: int) -> Percept:
        """Return what is seen now."""
        state, threshold, bright = self.state, self.person.threshold, self.bright
        if isinstance(bright, ChargeBrightness):
            visible = shine_charge(state.activation, threshold, bright.slope_per_ua_s, bright.half_ua_s, self._peaks)
        else:
            curve = (bright.rheobase, bright.root, bright.half, bright.exponent)
            visible = shine_pulse(state.activation, state.trace, threshold, *curve, self._peaks)
        image, part = self._draw(), self._screen.part
        return Percept(seq, t_ns, image, part.centre_deg, part.extent_deg, visible, made_ns, self.gaze.deg)

    def _draw(self) -> npt.NDArray[np.float32]:
        return self._screen.draw(self._peaks, self.state.last_ua, self._last_width_us, self.gaze.deg)

    def brightness(self) -> F64:
        """Return each phosphene's peak f64[n] in 0..1; 0 below its threshold."""
        return self.brightness_of(self.state.activation)

    def brightness_of(self, activation: F64) -> F64:
        """Return the peaks that activations f64[n] are seen as, habituated as now; 0 below threshold."""
        threshold = self.person.threshold
        lit = self.bright(TissueState(activation, self.state.trace, self.state.last_ua), threshold)
        seen: F64 = np.where(activation > threshold, lit, 0.0)
        return seen

    def sigma_deg(self) -> F64:
        """Return each phosphene's size f64[n]; after a train that of its last current, so that it fades.

        Of a streak it is the width, for pulses as wide as its model assumes.
        """
        spread = self.config.spread
        if isinstance(spread, AxonMapSpread):
            return spread.rho_um * 1e-3 / self.person.mm_per_deg
        sigma: F64 = sigma_mm(spread, self.state.last_ua) / self.person.mm_per_deg
        return sigma

    def activity(self) -> F64:
        """Return each site's evoked activity f64[n] in 0..1, 1 where brightness would be 0.99; 0 at a dead site."""
        share: F64 = np.clip(self.state.activation / self.bright.reaching(SATURATION, self.person.threshold), 0.0, 1.0)
        return np.where(self.person.responsive, share, 0.0)

    def warm_up(self) -> None:
        """Compile what is compiled, before time matters."""
        n = len(self.state.activation)
        zero = readonly(np.zeros(n), np.float32)
        pulses = readonly(np.zeros(n), np.int32)
        self.step(Delivered(0, 0, 0, 1, zero, zero, pulses, readonly(np.zeros(n), np.uint8)))
        self.percept(0, 0, 0)
