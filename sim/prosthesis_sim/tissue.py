"""What pulses do to tissue: activation and habituation, solved exactly for constant pulses, in the array API.

Two laws, each with one step of T equal to any subdivision of it; stepped by Euler, as published code does, percepts
depend on the frame rate. ``ChargeLaw`` is the published cortical model, in its units. ``PulseLaw`` is ours, in
multiples of an electrode's threshold: the same charge law for the cortex, Weiss' for the retina, and another
habituation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

Array = Any


@dataclass(frozen=True, slots=True)
class TissueState:
    """Per electrode: activation and habituation in the law's own units, and the last current that was not zero (uA)."""

    activation: Array
    trace: Array
    last_ua: Array


def at_rest(like: Array) -> TissueState:
    """Return the state of tissue never stimulated, one entry per entry of ``like``."""
    return TissueState(0 * like, 0 * like, 0 * like)


@dataclass(frozen=True, slots=True)
class ChargeLaw:
    """van der Grinten et al. 2024 (eLife): charge above a rheobase, which habituation raises.

    With duty d = pulse width x rate and I_eff = max(0, I - I0 - Q) d: dA/dt = -A / tau_act + I_eff and
    dQ/dt = -Q / tau_trace + kappa I_eff; A in uA s, Q and I in uA. Defaults are the published fits to Fernandez et al.
    2021 and Schmidt et al. 1996.
    """

    rheobase_ua: float = 23.9
    tau_act_s: float = 1 / 9
    tau_trace_s: float = 1967.65
    kappa_hz: float = 13.95528162

    def step(
        self,
        state: TissueState,
        amplitude_ua: Array,
        pulse_width_us: Array,
        rate_hz: Array,
        dt_s: float,
        scale_ua: Array | float = 1.0,
    ) -> TissueState:
        """Return the state after ``dt_s`` of constant pulses; currents are taken in units of ``scale_ua``.

        While I > I0 + Q the law is linear, with Q relaxing at rate 1/tau_trace + kappa d; otherwise both decay, and at
        most once in a step a decaying Q lets the current through: the step is split there.
        """
        xp = array_namespace(state.activation)
        duty = pulse_width_us * 1e-6 * rate_hz
        drive = xp.where(duty > 0, amplitude_ua / scale_ua - self.rheobase_ua, -xp.ones_like(state.activation))
        q0 = state.trace
        held = drive > 0
        safe = xp.where(held, drive, xp.ones_like(drive))
        wait = self.tau_trace_s * xp.log(xp.where(held & (q0 > safe), q0 / safe, xp.ones_like(q0)))
        wait = xp.where(held, xp.clip(wait, 0.0, dt_s), dt_s * xp.ones_like(wait))
        activation = state.activation * xp.exp(-wait / self.tau_act_s)
        trace = q0 * xp.exp(-wait / self.tau_trace_s)
        activation, trace = self._driven(activation, trace, safe, xp.where(held, duty, 0 * duty), dt_s - wait)
        return TissueState(activation, trace, _last(state, amplitude_ua, duty))

    def _driven(self, a0: Array, q0: Array, drive: Array, duty: Array, t: Array) -> tuple[Array, Array]:
        """Solve the linear law for ``t`` seconds above threshold."""
        xp = array_namespace(a0)
        fast = 1 / self.tau_act_s
        rate = 1 / self.tau_trace_s + self.kappa_hz * duty
        q_end = self.kappa_hz * duty * drive / rate
        steady = (drive - q_end) * self.tau_act_s * (-xp.expm1(-fast * t))
        activation = a0 * xp.exp(-fast * t) + duty * (steady - (q0 - q_end) * _mixed(fast + 0 * rate, rate, t))
        return activation, q_end + (q0 - q_end) * xp.exp(-rate * t)

    def threshold_ua(self, pulse_width_us: Array, rate_hz: Array, train_s: Array, activation_threshold: Array) -> Array:
        """Return the current at which a first train just reaches ``activation_threshold`` (uA s), not habituated."""
        xp = array_namespace(pulse_width_us)
        duty = pulse_width_us * 1e-6 * rate_hz
        reached_s = duty * self.tau_act_s * (-xp.expm1(-train_s / self.tau_act_s))
        return self.rheobase_ua + activation_threshold / reached_s


@dataclass(frozen=True, slots=True)
class Train:
    """The train for which thresholds are quoted."""

    pulse_width_us: float = 170.0
    rate_hz: float = 300.0
    train_s: float = 0.166


@dataclass(frozen=True, slots=True)
class PulseLaw:
    """A leaky counter of pulses, each as effective as its current x over threshold and its width w make it.

    dA/dt = -A / tau_act + rate e / e_ref, e = w^p max(0, x / (1 + c / w) - rho)^m, dQ/dt = -Q / tau_trace + kappa A.
    All without units: x = 1 with the ``reference`` train just reaches A = 1, the threshold. Habituation Q dims what is
    seen (``phosphenes.PulseBrightness``) and does not act back on A.

    p 1, c 0, m 1: charge above a rheobase ``rho`` (van der Grinten et al. 2024), which fits human cortex best.
    p 0, rho 0: Weiss' strength-duration law of chronaxie c and a power m, which fits the retina (``docs/results``).

    >>> law = PulseLaw()
    >>> one = np.ones(1)
    >>> state = law.step(at_rest(one), 2 * one, 170 * one, 300 * one, dt_s=0.166)  # twice the threshold current
    >>> bool(state.activation[0] > 1)
    True
    >>> round(float(law.threshold(170 * one, 300 * one, 0.166 * one)[0]), 6)  # of the reference train itself
    1.0
    """

    rheobase: float = 0.5
    chronaxie_us: float = 0.0
    exponent: float = 1.0
    width_power: float = 1.0
    tau_act_s: float = 1 / 9
    tau_trace_s: float = 1217.0
    kappa_hz: float = 0.0
    reference: Train = Train()

    @property
    def per_pulse(self) -> float:
        """Return 1 / e_ref: the activation that one pulse adds, per unit of its effect."""
        ref = self.reference
        count = float(self.count(np.float64(ref.rate_hz), np.float64(ref.train_s)))
        at_threshold = 1 / (1 + self.chronaxie_us / ref.pulse_width_us) - self.rheobase
        return float(1 / (count * ref.pulse_width_us**self.width_power * at_threshold**self.exponent))

    def count(self, rate_hz: Array, train_s: Array) -> Array:
        """Return what the leaky counter holds just after a train's last pulse; 1 for a train of one pulse."""
        xp = array_namespace(rate_hz)
        pulses = xp.maximum(xp.round(rate_hz * train_s), xp.ones_like(rate_hz))
        per_pulse = 1 / (rate_hz * self.tau_act_s)
        return xp.expm1(-pulses * per_pulse) / xp.expm1(-per_pulse)

    def step(
        self,
        state: TissueState,
        amplitude_ua: Array,
        pulse_width_us: Array,
        rate_hz: Array,
        dt_s: float,
        scale_ua: Array | float = 1.0,
    ) -> TissueState:
        """Return the state after ``dt_s`` of constant pulses; ``scale_ua`` [n] are the thresholds of the electrodes."""
        xp = array_namespace(state.activation)
        # the discarded branch of a where still gets a gradient, and it must be finite
        width = xp.where(pulse_width_us > 0, pulse_width_us, xp.ones_like(state.activation))
        above = amplitude_ua / scale_ua / (1 + self.chronaxie_us / width) - self.rheobase
        driven = (amplitude_ua > 0) & (pulse_width_us > 0) & (above > 0)
        effect = width**self.width_power * xp.where(driven, above, xp.ones_like(above)) ** self.exponent
        drive = xp.where(driven, self.per_pulse * rate_hz * effect, xp.zeros_like(above))
        fast, slow = 1 / self.tau_act_s, 1 / self.tau_trace_s
        steady = drive * self.tau_act_s
        rest = state.activation - steady
        decay, fade = math.exp(-fast * dt_s), math.exp(-slow * dt_s)
        mixed = (decay - fade) / (slow - fast)
        # expm1, for 1 - fade would lose in a short step what the two terms then have left of each other
        whole = -math.expm1(-slow * dt_s) * self.tau_trace_s
        trace = state.trace * fade + self.kappa_hz * (steady * (whole - mixed) + state.activation * mixed)
        return TissueState(steady + rest * decay, trace, _last(state, amplitude_ua, pulse_width_us * rate_hz))

    def threshold(self, pulse_width_us: Array, rate_hz: Array, train_s: Array) -> Array:
        """Return the current over that of the reference train with which a first train is just seen."""
        effect = 1 / (self.per_pulse * self.count(rate_hz, train_s) * pulse_width_us**self.width_power)
        return (1 + self.chronaxie_us / pulse_width_us) * (self.rheobase + effect ** (1 / self.exponent))


Law = ChargeLaw | PulseLaw


def _last(state: TissueState, amplitude_ua: Array, pulsing: Array) -> Array:
    xp = array_namespace(state.activation)
    return xp.where((amplitude_ua > 0) & (pulsing > 0), amplitude_ua, state.last_ua)


def _mixed(fast: Array, rate: Array, t: Array) -> Array:
    """Return the integral of exp(-fast (t - s)) exp(-rate s), so that neither overflow nor equal rates hurt."""
    xp = array_namespace(rate)
    slower, gap = xp.minimum(fast, rate), xp.abs(fast - rate)
    near = gap < 1e-9
    spread = xp.where(near, t, -xp.expm1(-gap * t) / xp.where(near, 1.0 + 0 * gap, gap))
    return xp.exp(-slower * t) * spread
