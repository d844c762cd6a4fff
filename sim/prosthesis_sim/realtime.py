"""The laws of ``tissue.py`` and ``phosphenes.py`` compiled, for the world's hot path; tested equal."""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def shine_charge(activation: F64, threshold: F64, slope: float, half: float, brightness: F64) -> int:
    """Fill peak ``brightness`` f64[n], 0 below threshold, by ``ChargeBrightness``; return how many are visible."""
    seen = 0
    for n in range(len(activation)):
        brightness[n] = 0.0
        if activation[n] > threshold[n]:
            brightness[n] = 1.0 / (1.0 + math.exp(-slope * (activation[n] - half)))
            seen += 1
    return seen


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def shine_pulse(
    activation: F64,
    trace: F64,
    threshold: F64,
    rheobase: float,
    root: float,
    half: float,
    exponent: float,
    brightness: F64,
) -> int:
    """Fill peak ``brightness`` f64[n], 0 below threshold, by ``PulseBrightness``; return how many are visible."""
    seen = 0
    for n in range(len(activation)):
        brightness[n] = 0.0
        if activation[n] > threshold[n]:
            strength = activation[n] if root == 1.0 else activation[n] ** root
            current = rheobase + (1.0 - rheobase) * strength
            brightness[n] = 1.0 / (1.0 + (half / current) ** exponent) / (1.0 + trace[n])
            seen += 1
    return seen


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mixed(fast: float, rate: float, t: float) -> float:
    """Return the integral of exp(-fast (t - s)) exp(-rate s) over s from 0 to t."""
    gap = abs(fast - rate)
    spread = -math.expm1(-gap * t) / gap if gap > 1e-9 else t
    return math.exp(-min(fast, rate) * t) * spread


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def live_charge(
    activation: F64,
    trace_ua: F64,
    last_ua: F64,
    amplitude_ua: F64,
    pulse_width_us: F32,
    pulses: I32,
    dt_s: float,
    scale_ua: F64,
    rheobase_ua: float,
    tau_act_s: float,
    tau_trace_s: float,
    kappa_hz: float,
) -> None:
    """Carry activation, trace and last current f64[n], in place, through one interval; ``tissue.ChargeLaw``."""
    fast = 1.0 / tau_act_s
    fade_act, fade_trace = math.exp(-fast * dt_s), math.exp(-dt_s / tau_trace_s)
    rise = -math.expm1(-fast * dt_s)
    # electrodes mostly share their duty, and exponentials are all that takes time here
    common, rate, mixed, relax = -1.0, 0.0, 0.0, 0.0
    for n in range(len(activation)):
        duty = pulses[n] * pulse_width_us[n] * 1e-6 / dt_s
        if duty > 0.0 and amplitude_ua[n] > 0.0:
            last_ua[n] = amplitude_ua[n]
        drive = amplitude_ua[n] / scale_ua[n] - rheobase_ua
        if duty <= 0.0 or drive <= 0.0:
            activation[n] *= fade_act
            trace_ua[n] *= fade_trace
            continue
        if duty != common:
            common, rate = duty, 1.0 / tau_trace_s + kappa_hz * duty
            mixed, relax = _mixed(fast, rate, dt_s), math.exp(-rate * dt_s)
        trace_end = kappa_hz * duty * drive / rate
        if trace_ua[n] <= drive:
            above = trace_ua[n] - trace_end
            steady = (drive - trace_end) * tau_act_s * rise
            activation[n] = activation[n] * fade_act + duty * (steady - above * mixed)
            trace_ua[n] = trace_end + above * relax
            continue
        wait = min(tau_trace_s * math.log(trace_ua[n] / drive), dt_s)
        t = dt_s - wait
        activation[n] *= math.exp(-fast * wait)
        trace_ua[n] *= math.exp(-wait / tau_trace_s)
        above = trace_ua[n] - trace_end
        steady = (drive - trace_end) * tau_act_s * -math.expm1(-fast * t)
        activation[n] = activation[n] * math.exp(-fast * t) + duty * (steady - above * _mixed(fast, rate, t))
        trace_ua[n] = trace_end + above * math.exp(-rate * t)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def live_pulse(
    activation: F64,
    trace: F64,
    last_ua: F64,
    amplitude_ua: F64,
    pulse_width_us: F32,
    pulses: I32,
    dt_s: float,
    threshold_ua: F64,
    rheobase: float,
    chronaxie_us: float,
    exponent: float,
    width_power: float,
    per_pulse: float,
    tau_act_s: float,
    tau_trace_s: float,
    kappa_hz: float,
) -> None:
    """Carry activation, trace and last current f64[n], in place, through one interval; ``tissue.PulseLaw``."""
    fast, slow = 1.0 / tau_act_s, 1.0 / tau_trace_s
    decay, fade = math.exp(-fast * dt_s), math.exp(-slow * dt_s)
    mixed = (decay - fade) / (slow - fast)
    whole = -math.expm1(-slow * dt_s) * tau_trace_s
    for n in range(len(activation)):
        steady = 0.0
        width = float(pulse_width_us[n])
        if pulses[n] > 0 and amplitude_ua[n] > 0.0 and width > 0.0:
            last_ua[n] = amplitude_ua[n]
            above = amplitude_ua[n] / threshold_ua[n] / (1.0 + chronaxie_us / width) - rheobase
            if above > 0.0:
                # most patients have 1 here, and a power takes as long as all the rest
                effect = above if exponent == 1.0 else above**exponent
                effect *= width if width_power == 1.0 else width**width_power
                steady = per_pulse * pulses[n] / dt_s * effect * tau_act_s
        trace[n] = trace[n] * fade + kappa_hz * (steady * (whole - mixed) + activation[n] * mixed)
        activation[n] = steady + (activation[n] - steady) * decay
