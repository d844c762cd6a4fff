"""Hops 3 to 5 for batches, in torch: task maps to the currents that the guard allows and the wire's codes can say.

Forward it is the device's own arithmetic; where that has steps (rounding, silence below threshold), gradients pass
through as if rounding were none and silence a soft step.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from prosthesis.calibration.table import Calibration
from prosthesis.config import Rig
from prosthesis.errors import ConfigError
from prosthesis.layout import raster_slots
from prosthesis.limits import guard_limits
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import View

# width of the soft step that gradients see, as a share of what is compared with
SOFTNESS = 0.1


class TorchDevice:
    """One rig with one calibration; ``enabled`` are the electrodes that it drives, in order.

    Raises ``ConfigError`` for rigs that modulate the rate, solve for crosstalk, or have hard limits that depend on
    history or on who else pulses (no shipped reference rig has).
    """

    def __init__(self, rig: Rig, view: View) -> None:
        calibration, modulator, limits = rig.calibration, rig.config.modulator, guard_limits(rig)
        enabled = np.flatnonzero(limits.enabled)
        slot = raster_slots(
            rig.array, len(rig.config.implant.placements), modulator.raster_groups, modulator.raster_order
        )
        _refuse(rig, int(np.bincount(slot).max()), limits.hard.simultaneous, limits.hard.average_nc_per_s)
        self.enabled = torch.as_tensor(enabled)
        self.slot = torch.as_tensor(slot[enabled].astype(np.int64))
        self.pulse_width_us, self.rate_hz = float(modulator.pulse_width_us), min(modulator.rate_hz, limits.hard.rate_hz)
        self._calibration, self._view, self._weights = calibration, view, dict[tuple[int, int], Tensor]()
        brightness, activity = (
            np.asarray(c)[enabled] for c in (calibration.curve.brightness, calibration.curve.activity)
        )
        fraction = np.broadcast_to(np.asarray(calibration.curve.fraction), activity.shape)
        self._activity, self._fraction = TorchCurve(brightness, activity), TorchCurve(activity, fraction)
        self._at_threshold = _f64(activity[:, 0])
        self._threshold = _f64(calibration.column("threshold_ua")[enabled])
        self._span = _f64(calibration.column("max_ua")[enabled]) - self._threshold
        caps = [
            np.minimum(c.current_ua, c.charge_nc * 1e3 / self.pulse_width_us) for c in limits.caps if c.tier == "hard"
        ]
        most = np.minimum.reduce([np.broadcast_to(cap, limits.enabled.shape) for cap in caps])[enabled]
        self._lsb_ua = limits.lsb_ua
        self._most = _f64(np.minimum(most, ((1 << rig.stimulator.dac_bits) - 1) * limits.lsb_ua))
        self._slot_ua = limits.hard.slot_current_ua
        self._slots = torch.nn.functional.one_hot(self.slot, limits.slots).to(torch.float64)

    def fields(self, shape: tuple[int, int]) -> Tensor:
        """Return the receptive fields over maps of ``shape``, f32[enabled, cells]: rows sum to 1."""
        if shape not in self._weights:
            self._weights[shape] = _receptive_fields(self._calibration, self._view, shape)[self.enabled]
        return self._weights[shape]

    def activity(self, maps: Tensor) -> Tensor:
        """Return the brain codes f32[b, enabled] that the translator makes of maps f32[b, rows, columns]."""
        return self.brain_code(self.sampled(maps))

    def sampled(self, maps: Tensor) -> Tensor:
        """Return what each electrode's receptive field holds of maps f32[b, rows, columns], f32[b, enabled]."""
        return maps.reshape(len(maps), -1) @ self.fields((maps.shape[1], maps.shape[2])).T

    def brain_code(self, brightness: Tensor) -> Tensor:
        """Return the activity f32[b, enabled] by which electrodes are seen as bright as wanted, by calibration."""
        return self._activity(brightness.clamp(0.0, 1.0).double()).float()

    def currents(self, activity: Tensor) -> Tensor:
        """Return what is delivered in uA, f32[b, enabled], of brain codes."""
        # in double precision, as on the device: rounding decides who falls silent at its threshold
        activity = activity.double()
        amplitude = self._threshold + self._fraction(activity) * self._span
        driven = step(activity - self._at_threshold, SOFTNESS, inclusive=True)
        driven = driven * (activity > 0)
        allowed = self._floor(torch.minimum(amplitude, self._most)) * driven
        totals = allowed @ self._slots
        if math.isfinite(self._slot_ua) and bool((totals > self._slot_ua).any()):
            scale = (self._slot_ua / totals.clamp(min=1e-6)).clamp(max=1.0)
            allowed = self._floor(allowed * scale[:, self.slot])
        return allowed.float()

    def _floor(self, amplitude: Tensor) -> Tensor:
        """Round down to whole LSBs; gradients pass straight through."""
        # 1e-3 LSB forgives rounding, as in the guard
        whole = torch.floor(amplitude / self._lsb_ua + 1e-3) * self._lsb_ua
        return amplitude + (whole - amplitude).detach()


class TorchCurve:
    """The device's ``Curve`` for batches: rows that never fall, through the origin below, flat beyond."""

    def __init__(self, xs: np.ndarray, ys: np.ndarray) -> None:
        zero = np.zeros((len(xs), 1))
        xs, ys = np.hstack((zero, xs)), np.hstack((zero, ys))
        step, rise = np.diff(xs, axis=1), np.diff(ys, axis=1)
        slope = np.hstack((np.divide(rise, step, out=np.zeros_like(rise), where=step > 0), zero))
        self._later = _f64(xs[:, 1:])
        # the row's line through each piece, y = slope x + base
        self._slope, self._base = _f64(slope), _f64(ys - slope * xs)

    def __call__(self, x: Tensor) -> Tensor:
        """Return y f32[b, n] at x f32[b, n]: 0 at or below 0."""
        piece = (x.detach()[:, :, None] >= self._later).sum(dim=2)
        rows = torch.arange(x.shape[1])
        return torch.where(x <= 0, 0.0, self._slope[rows, piece] * x + self._base[rows, piece])


def step(above: Tensor, softness: float, inclusive: bool = False) -> Tensor:
    """Return 1 where ``above`` is over 0, else 0, with the gradient of a logistic step of width ``softness``."""
    hard = (above >= 0 if inclusive else above > 0).to(above.dtype)
    if not (torch.is_grad_enabled() and above.requires_grad):
        return hard
    soft = torch.sigmoid(above / softness)
    return soft + (hard - soft).detach()


def _receptive_fields(calibration: Calibration, view: View, shape: tuple[int, int]) -> Tensor:
    """Return the translator's own weights as a matrix f32[n, cells]."""
    fields = RetinotopicTranslator(calibration, view, shape).fields
    weights = np.zeros((len(fields.start), shape[0] * shape[1]), np.float32)
    # a disabled electrode has one cell of weight 0
    weights[np.repeat(np.arange(len(fields.start)), fields.length), fields.cell] = fields.weight
    return torch.as_tensor(weights)


def _refuse(rig: Rig, most_in_a_slot: int, simultaneous: float, average_nc_per_s: float) -> None:
    modulator = rig.config.modulator
    if modulator.modulate != "amplitude" or modulator.solve != "curves":
        raise ConfigError(f"{rig.path}: key 'modulator': virtual patients know 'amplitude' and 'curves'; choose those")
    if most_in_a_slot > simultaneous or math.isfinite(average_nc_per_s):
        raise ConfigError(
            f"{rig.path}: virtual patients have no memory and give every electrode its slot; this rig's hard limits "
            f"need both: {most_in_a_slot} electrodes in a slot of {simultaneous:g}, "
            f"{average_nc_per_s:g} nC/s on average"
        )


def _f64(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.array(values, np.float64))
