"""Our patient with one defect of a peer each, so that every check is seen to fail without the peers installed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from our_patient import PIXEL_DEG, Ours

from prosthesis_sim.tissue import TissueState


class EulerStep(Ours):
    def _lived(self, patient, state, amplitude_ua, seconds):
        law, drive = patient.tissue.build(), amplitude_ua - 23.9 - state.trace
        activation = state.activation + (np.maximum(drive, 0) * 0.051 - state.activation / law.tau_act_s) * seconds
        return TissueState(activation, state.trace, 0 * drive + amplitude_ua)


class SizeOfTheMoment(Ours):
    def _deliver(self, world, amplitude_ua, seconds):
        super()._deliver(world, amplitude_ua, seconds)
        world.state.last_ua[:] = np.maximum(amplitude_ua, 1e-22)


class PointSampled(Ours):
    def image(self, x_deg, y_deg, sigma_px):
        at = (np.arange(256) + 0.5 - 128) * PIXEL_DEG
        across, up = (np.exp(-(((at - c) / (sigma_px * PIXEL_DEG)) ** 2) / 2) for c in (x_deg, y_deg))
        return np.outer(up, across)


class Detached(Ours):
    def _lived(self, patient, state, amplitude_ua, seconds):
        old = TissueState(*(part.detach() for part in (state.activation, state.trace, state.last_ua)))
        return super()._lived(patient, old, amplitude_ua, seconds)


class HardThreshold(Ours):
    def _softness(self):
        return 0.0


class SizesInAmpere(Ours):
    def saturating_sizes(self, amplitudes_ua):
        return super().saturating_sizes(np.asarray(amplitudes_ua) * 1e-6)


class ClippedThresholds(Ours):
    def thresholds(self, count):
        return np.clip(np.random.default_rng(0).normal(9.14e-8, 6.72e-8, count), 0, None)


class OneThreshold(Ours):
    def thresholds(self, count):
        return np.full(count, 9.14e-8)


class AtOrAbove(Ours):
    def seen_at_its_threshold(self):
        return bool(np.array([0.25]) >= np.array([0.25]))


class DropsElectrodes(Ours):
    def lit_place(self, u_mm, v_mm, driven):
        return super().lit_place(u_mm[-1:], v_mm[-1:], min(driven, 0))


class RefusesElectrodes(Ours):
    def lit_place(self, u_mm, v_mm, driven):
        raise AssertionError("refused")


class SeedsEverybody(Ours):
    def build(self):
        np.random.seed(42)  # noqa: NPY002


class IgnoresAlpha(Ours):
    def tissue_of(self, x_deg, y_deg, alpha):
        return super().tissue_of(x_deg, y_deg, 1.0)


class Pedestal(Ours):
    def _trained_peak(self, patient, state):
        return patient.tissue.brightness()(state, patient.threshold)


class Forgets(Ours):
    def _deliver(self, world, amplitude_ua, seconds):
        world.state = replace(world.state, activation=np.zeros(1), trace=np.zeros(1))
        super()._deliver(world, amplitude_ua, seconds)
