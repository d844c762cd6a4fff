"""The world's hot path, compiled: the laws of ``tissue.py`` and the rendering of ``phosphenes.py``, tested equal.

Outside ``CUT_SIGMAS`` a phosphene is left out, an error of at most exp(-4^2 / 2) = 3.4e-4 of its peak.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
CUT_SIGMAS = 4.0
_ROOT_TWO_PI = math.sqrt(2 * math.pi)
# linear interpolation errs by at most 1.5e-7 at 512 entries a sigma; erf itself took two thirds of the time
_REACH, _PER_SIGMA = 6.0, 512
# three-point Gauss-Legendre on one part of a pixel
_NODES = (-0.5 * math.sqrt(0.6), 0.0, 0.5 * math.sqrt(0.6))
_WEIGHTS = (5 / 18, 8 / 18, 5 / 18)
_TABLE = np.array([0.5 * (1 + math.erf(i / _PER_SIGMA / math.sqrt(2))) for i in range(-6 * 512, 6 * 512 + 1)])


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _normal(z: float) -> float:
    """Return the normal distribution's integral up to ``z``, from the table."""
    at = (min(max(z, -_REACH), _REACH) + _REACH) * _PER_SIGMA
    i = min(int(at), len(_TABLE) - 2)
    below, above = float(_TABLE[i]), float(_TABLE[i + 1])
    return below + (at - i) * (above - below)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(weights: F64, centre: float, sigma: float, first: int, last: int) -> None:
    """Put the mean over each pixel first..last of a Gaussian into ``weights``; all in pixels."""
    scale, per_sigma = sigma * _ROOT_TWO_PI, 1.0 / sigma
    before = _normal((first - centre) * per_sigma)
    for i in range(first, last + 1):
        after = _normal((i + 1 - centre) * per_sigma)
        weights[i - first] = (after - before) * scale
        before = after


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def render(image: F32, column: F64, row: F64, sigma_px: F64, aspect: float, brightness: F64) -> None:
    """Draw phosphenes into ``image`` f32[h, w], replacing it, clipped at 1.

    ``column``, ``row`` f64[n] are centres in pixels from the upper left corner; ``sigma_px`` f64[n] is the size across,
    ``aspect`` times that the size down; ``brightness`` f64[n] are the peaks, and those of 0 are skipped.
    """
    height, width = image.shape
    image[:] = 0.0
    across = np.empty(width)
    down = np.empty(height)
    for n in range(len(column)):
        if brightness[n] <= 0.0:
            continue
        sx, sy = sigma_px[n], sigma_px[n] * aspect
        x0 = max(0, math.floor(column[n] - CUT_SIGMAS * sx))
        x1 = min(width - 1, math.floor(column[n] + CUT_SIGMAS * sx))
        y0 = max(0, math.floor(row[n] - CUT_SIGMAS * sy))
        y1 = min(height - 1, math.floor(row[n] + CUT_SIGMAS * sy))
        if x1 < x0 or y1 < y0:
            continue
        _fill(across, column[n], sx, x0, x1)
        _fill(down, row[n], sy, y0, y1)
        for i in range(y0, y1 + 1):
            peak = brightness[n] * down[i - y0]
            for j in range(x0, x1 + 1):
                image[i, j] += np.float32(peak * across[j - x0])
    for i in range(height):
        for j in range(width):
            if image[i, j] > 1.0:
                image[i, j] = 1.0


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def render_tilted(image: F32, column: F64, row: F64, long_px: F64, short_px: F64, angle: F64, brightness: F64) -> None:
    """Draw elliptical phosphenes, as ``render``: ``long_px``, ``short_px`` f64[n] are their sigmas in square pixels.

    ``angle`` f64[n] turns the long axis from the right to the top. Along a row a cut through a tilted Gaussian is a
    Gaussian, integrated exactly; down the column by three-point Gauss-Legendre on parts finer than the short axis.
    """
    height, width = image.shape
    image[:] = 0.0
    for n in range(len(column)):
        if brightness[n] <= 0.0:
            continue
        cos, sin = math.cos(angle[n]), math.sin(angle[n])
        long2, short2 = long_px[n] ** 2, short_px[n] ** 2
        # covariance in pixels, rows running down
        xx, yy = cos * cos * long2 + sin * sin * short2, sin * sin * long2 + cos * cos * short2
        slant = -cos * sin * (long2 - short2) / yy
        cut = math.sqrt(long2 * short2 / yy)
        down, reach = math.sqrt(yy), math.sqrt(xx)
        y0 = max(0, math.floor(row[n] - CUT_SIGMAS * down))
        y1 = min(height - 1, math.floor(row[n] + CUT_SIGMAS * down))
        if column[n] + CUT_SIGMAS * reach < 0 or column[n] - CUT_SIGMAS * reach > width:
            continue
        parts = 1 + int(1.0 / max(short_px[n], 0.05))
        for i in range(y0, y1 + 1):
            for part in range(3 * parts):
                k = part % 3
                y = i + (part // 3 + 0.5 + _NODES[k]) / parts - row[n]
                centre = column[n] + slant * y
                x0 = max(0, math.floor(centre - CUT_SIGMAS * cut))
                x1 = min(width - 1, math.floor(centre + CUT_SIGMAS * cut))
                peak = brightness[n] * _WEIGHTS[k] / parts * math.exp(-0.5 * y * y / yy) * cut * _ROOT_TWO_PI
                before = _normal((x0 - centre) / cut)
                for j in range(x0, x1 + 1):
                    after = _normal((j + 1 - centre) / cut)
                    image[i, j] += np.float32(peak * (after - before))
                    before = after
    for i in range(height):
        for j in range(width):
            if image[i, j] > 1.0:
                image[i, j] = 1.0


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
def pulse(
    phase: F64, rate_mhz: I64, amplitude_na: I64, width_us: I64, charge_fc: I64, dt_s: float, pulses: I32
) -> None:
    """Run the pulse clock for ``dt_s``: move ``phase`` f64[n] (pulses), count whole ``pulses``, add up ``charge_fc``.

    The clock also runs for silent electrodes. 1e-9 of a pulse forgives the sum's own rounding, so that 10 ms at 300 Hz
    are three pulses.
    """
    for n in range(len(phase)):
        at = phase[n] + rate_mhz[n] * dt_s * 1e-3
        whole = math.floor(at + 1e-9)
        phase[n] = at - whole
        pulses[n] = whole if amplitude_na[n] > 0 else 0
        charge_fc[n] += pulses[n] * amplitude_na[n] * width_us[n]


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
    for n in range(len(activation)):
        duty = pulses[n] * pulse_width_us[n] * 1e-6 / dt_s
        if duty > 0.0 and amplitude_ua[n] > 0.0:
            last_ua[n] = amplitude_ua[n]
        drive = amplitude_ua[n] / scale_ua[n] - rheobase_ua
        if duty <= 0.0 or drive <= 0.0:
            activation[n] *= fade_act
            trace_ua[n] *= fade_trace
            continue
        t = dt_s
        if trace_ua[n] > drive:
            wait = min(tau_trace_s * math.log(trace_ua[n] / drive), dt_s)
            activation[n] *= math.exp(-fast * wait)
            trace_ua[n] *= math.exp(-wait / tau_trace_s)
            t -= wait
        rate = 1.0 / tau_trace_s + kappa_hz * duty
        trace_end = kappa_hz * duty * drive / rate
        gap = abs(fast - rate)
        spread = -math.expm1(-gap * t) / gap if gap > 1e-9 else t
        mixed = math.exp(-min(fast, rate) * t) * spread
        steady = (drive - trace_end) * tau_act_s * -math.expm1(-fast * t)
        above = trace_ua[n] - trace_end
        activation[n] = activation[n] * math.exp(-fast * t) + duty * (steady - above * mixed)
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
        rest = activation[n] - steady
        trace[n] = trace[n] * fade + kappa_hz * (steady * tau_trace_s * (1.0 - fade) + rest * mixed)
        activation[n] = steady + rest * decay
