"""What charge does to tissue: activation and habituation, solved exactly for a constant drive, in the array API.

van der Grinten et al. 2024 (eLife), with duty d = pulse width x rate and I_eff = max(0, I - I0 - Q) d:
dA/dt = -A / tau_act + I_eff and dQ/dt = -Q / tau_trace + kappa I_eff; A in uA s, Q and I in uA.
The published code steps these by Euler, which makes percepts depend on the frame rate; here one step of T equals any
subdivision of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

Array = Any


@dataclass(frozen=True, slots=True)
class Tissue:
    """The law's constants; defaults are the published fits to Fernandez et al. 2021 and Schmidt et al. 1996."""

    rheobase_ua: float = 23.9
    tau_act_s: float = 1 / 9
    tau_trace_s: float = 1967.65
    kappa_hz: float = 13.95528162


@dataclass(frozen=True, slots=True)
class TissueState:
    """Per electrode: activation A (uA s), habituation Q (uA), and the last current that was not zero (uA)."""

    activation: Array
    trace_ua: Array
    last_ua: Array


def step(tissue: Tissue, state: TissueState, amplitude_ua: Array, duty: Array, dt_s: float) -> TissueState:
    """Return the state ``dt_s`` later under constant pulses: ``duty`` is the share of time in a phase.

    While I > I0 + Q the law is linear, with Q relaxing at rate 1/tau_trace + kappa d; otherwise both decay, and at most
    once in a step a decaying Q lets the current through: the step is split there.
    """
    xp = array_namespace(state.activation)
    drive = xp.where(duty > 0, amplitude_ua - tissue.rheobase_ua, -xp.ones_like(state.activation))
    q0 = state.trace_ua
    held = drive > 0
    safe = xp.where(held, drive, xp.ones_like(drive))
    wait = tissue.tau_trace_s * xp.log(xp.where(held & (q0 > safe), q0 / safe, xp.ones_like(q0)))
    wait = xp.where(held, xp.clip(wait, 0.0, dt_s), dt_s * xp.ones_like(wait))
    activation = state.activation * xp.exp(-wait / tissue.tau_act_s)
    trace = q0 * xp.exp(-wait / tissue.tau_trace_s)
    activation, trace = _driven(tissue, activation, trace, safe, xp.where(held, duty, 0 * duty), dt_s - wait)
    last = xp.where((amplitude_ua > 0) & (duty > 0), amplitude_ua, state.last_ua)
    return TissueState(activation, trace, last)


def _driven(tissue: Tissue, a0: Array, q0: Array, drive: Array, duty: Array, t: Array) -> tuple[Array, Array]:
    """Solve the linear law for ``t`` seconds above threshold."""
    xp = array_namespace(a0)
    rate = 1 / tissue.tau_trace_s + tissue.kappa_hz * duty
    q_end = tissue.kappa_hz * duty * drive / rate
    decay_q = xp.exp(-rate * t)
    trace = q_end + (q0 - q_end) * decay_q
    fast = 1 / tissue.tau_act_s
    decay_a = xp.exp(-fast * t)
    # the integral of exp(-fast (t - s)) exp(-rate s), written so that neither overflow nor equal rates hurt
    slower, gap = xp.minimum(fast + 0 * rate, rate), xp.abs(fast - rate)
    near = gap < 1e-9
    spread = xp.where(near, t, -xp.expm1(-gap * t) / xp.where(near, 1.0 + 0 * gap, gap))
    mixed = xp.exp(-slower * t) * spread
    steady = (drive - q_end) * tissue.tau_act_s * (-xp.expm1(-fast * t))
    return a0 * decay_a + duty * (steady - (q0 - q_end) * mixed), trace


def threshold_current_ua(
    tissue: Tissue, pulse_width_us: Array, rate_hz: Array, train_s: Array, activation_threshold: Array
) -> Array:
    """Return the current at which a first train just reaches ``activation_threshold``; habituation in it is ignored."""
    xp = array_namespace(pulse_width_us)
    duty = pulse_width_us * 1e-6 * rate_hz
    return tissue.rheobase_ua + activation_threshold / (
        duty * tissue.tau_act_s * (-xp.expm1(-train_s / tissue.tau_act_s))
    )
