"""Hop 8: what the electrodes delivered becomes what is seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.messages import Delivered, Percept, readonly
from prosthesis_sim.electrodes import ElectrodeArray
from prosthesis_sim.patient import CurrentSpread, FieldPart, WorldConfig
from prosthesis_sim.phosphenes import Brightness, spread_radius_mm
from prosthesis_sim.realtime import light, live, render
from prosthesis_sim.tissue import Tissue, TissueState

F64 = npt.NDArray[np.float64]
# what a site does when driven to the brightest phosphene: where brightness is 0.99 of its most
SATURATION = 0.99


def _truncated_normal(random: np.random.Generator, mean: float, sd: float, n: int) -> F64:
    """Draw n thresholds, again where one falls below a fifth of the mean.

    Clipping at 0, as the published code does, leaves electrodes that are visible for ever after their first pulse.
    """
    drawn: F64 = random.normal(mean, sd, n)
    while (low := drawn < mean / 5).any():
        drawn[low] = random.normal(mean, sd, int(low.sum()))
    return drawn


class World:
    """One patient with one array: places, thresholds and dropouts drawn once from ``seed``, then only time."""

    def __init__(self, config: WorldConfig, array: ElectrodeArray, seed: int) -> None:
        self.config = config
        random = np.random.default_rng(seed)
        n, t = len(array.u_mm), config.tissue
        retinotopy = config.retinotopy.build()
        shift = config.scatter.position_mm * random.normal(0.0, 1.0, (2, n))
        inside = np.asarray(retinotopy.inside(array.u_mm, array.v_mm))
        u, v = array.u_mm + shift[0], array.v_mm + shift[1]
        inside &= np.asarray(retinotopy.inside(u, v))
        with np.errstate(all="ignore"):
            x, y = retinotopy.to_field(u, v, array.hemisphere)
        self.x_deg, self.y_deg = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
        self._mm_per_deg = retinotopy.magnification(self.x_deg, self.y_deg)
        self.responsive = inside & (random.random(n) >= config.scatter.dropout)
        threshold = _truncated_normal(random, t.threshold_mean_ua_s, t.threshold_sd_ua_s, n)
        self.threshold_ua_s = np.where(self.responsive, threshold, np.inf)
        self._tissue = Tissue(t.rheobase_ua, t.tau_act_s, t.tau_trace_s, t.kappa_hz)
        self._bright = Brightness(t.slope_per_ua_s, t.half_ua_s)
        self._full_ua_s = t.half_ua_s + np.log(SATURATION / (1 - SATURATION)) / t.slope_per_ua_s
        self.state = TissueState(np.zeros(n), np.zeros(n), np.zeros(n))
        self._screen(config)

    def _screen(self, config: WorldConfig) -> None:
        s = config.screen
        self._part = s.part or self._coverage()
        (x, y), (wide, high) = self._part.centre_deg, self._part.extent_deg
        per_deg_x, per_deg_y = s.width / wide, s.height / high
        self._column = (self.x_deg - x) * per_deg_x + s.width / 2
        self._row = (y - self.y_deg) * per_deg_y + s.height / 2
        self._aspect = per_deg_y / per_deg_x
        n = len(self.x_deg)
        self._peaks, self._sigma_px = np.zeros(n), np.ones(n)
        self._sigma_px_per_root_ua, self._sigma_px_fixed = np.zeros(n), np.zeros(n)
        if isinstance(config.spread, CurrentSpread):
            one_ua_mm = 0.5 * spread_radius_mm(np.ones(n), config.spread.k_ua_per_mm2)
            self._sigma_px_per_root_ua = one_ua_mm / self._mm_per_deg * per_deg_x
        else:
            self._sigma_px_fixed = config.spread.sigma_mm / self._mm_per_deg * per_deg_x

    def _coverage(self) -> FieldPart:
        """Return the square around all phosphenes, with a tenth to spare on each side."""
        x, y = self.x_deg[self.responsive], self.y_deg[self.responsive]
        if not len(x):
            x = y = np.zeros(1)
        side = 1.2 * max(float(np.ptp(x)), float(np.ptp(y)), 0.5)
        centre = (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2)
        return FieldPart(centre_deg=centre, extent_deg=(side, side))

    def step(self, delivered: Delivered) -> None:
        """Live through one interval of delivery; the pulses are spread over it evenly."""
        if delivered.dt_ns <= 0:
            return
        state, law = self.state, self._tissue
        live(
            state.activation,
            state.trace_ua,
            state.last_ua,
            delivered.amplitude_ua,
            delivered.pulse_width_us,
            delivered.pulses,
            delivered.dt_ns * 1e-9,
            law.rheobase_ua,
            law.tau_act_s,
            law.tau_trace_s,
            law.kappa_hz,
        )

    def brightness(self) -> F64:
        """Return each phosphene's peak f64[n] in 0..1; 0 below its threshold."""
        return self.brightness_of(self.state.activation)

    def brightness_of(self, activation: F64) -> F64:
        """Return the peaks that activations f64[n] (uA s) are seen as; 0 below threshold."""
        seen: F64 = np.where(activation > self.threshold_ua_s, self._bright(activation), 0.0)
        return seen

    def sigma_deg(self) -> F64:
        """Return each phosphene's size f64[n]; after a train that of its last current, so that it fades."""
        spread = self.config.spread
        if isinstance(spread, CurrentSpread):
            sigma: F64 = 0.5 * spread_radius_mm(self.state.last_ua, spread.k_ua_per_mm2) / self._mm_per_deg
        else:
            sigma = spread.sigma_mm / self._mm_per_deg
        return sigma

    def percept(self, seq: int, t_ns: int, made_ns: int) -> Percept:
        """Return what is seen now, by the compiled path: ``brightness`` at ``sigma_deg``, as the reference draws it."""
        s, t, part = self.config.screen, self.config.tissue, self._part
        peaks, sigma_px = self._peaks, self._sigma_px
        visible = light(
            self.state.activation,
            self.threshold_ua_s,
            self.state.last_ua,
            t.slope_per_ua_s,
            t.half_ua_s,
            self._sigma_px_per_root_ua,
            self._sigma_px_fixed,
            peaks,
            sigma_px,
        )
        image = np.empty((s.height, s.width), np.float32)
        render(image, self._column, self._row, sigma_px, self._aspect, peaks)
        image.flags.writeable = False
        return Percept(seq, t_ns, image, part.centre_deg, part.extent_deg, visible, made_ns)

    def activity(self) -> F64:
        """Return each site's evoked activity f64[n] in 0..1, 1 where brightness would be 0.99."""
        share: F64 = np.clip(self.state.activation / self._full_ua_s, 0.0, 1.0)
        return share

    def warm_up(self) -> None:
        """Compile what is compiled, before time matters."""
        n = len(self.x_deg)
        zero = readonly(np.zeros(n), np.float32)
        pulses = readonly(np.zeros(n), np.int32)
        self.step(Delivered(0, 0, 0, 1, zero, zero, pulses, readonly(np.zeros(n), np.uint8)))
        self.percept(0, 0, 0)
