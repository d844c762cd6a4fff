"""pulse2percept 0.11's DynaphosModel behind the same verbs: a percept of a whole stimulus, no state to step."""

from __future__ import annotations

import numpy as np
from pulse2percept.implants import ElectrodeArray, Implant, PointSource
from pulse2percept.models.cortex import DynaphosModel
from pulse2percept.stimuli import BiphasicPulseTrain
from pulse2percept.topography.cortex import Polimeni2006Map

MAP = {"k": 17.3, "a": 0.75, "b": 120}


def implant(x_um, y_um):
    return Implant(ElectrodeArray([PointSource(x, y, 0) for x, y in zip(x_um, y_um, strict=True)]))


def model(x_um, y_um, **settings):
    field = Polimeni2006Map(alpha1=settings.pop("alpha", 0.95), **MAP)
    # pixels of 1/16 degree, so that 5 degrees is a pixel's centre
    given = {"xrange": (-8, 8), "yrange": (-8, 8), "step": 1 / 16, "verbose": False, **settings}
    return DynaphosModel(implant(x_um, y_um), visual_field_map=field, **given).build()


class Pulse2Percept:
    def brightness_after(self, amplitude_ua, seconds, fps):
        return self._brightness(amplitude_ua, round(seconds * fps), 1000 / fps)

    def whole(self, amplitude_ua, seconds, fps):
        return self._brightness(amplitude_ua, round(seconds * fps), 1000 / fps)

    def streamed(self, amplitude_ua, seconds, fps):
        return self._brightness(amplitude_ua, 1, 1000 / fps)  # every frame is the first

    def image(self, x_deg, y_deg, sigma_px):
        m = 17.3 * (1 / (np.hypot(x_deg, y_deg) + 0.75) - 1 / (np.hypot(x_deg, y_deg) + 120))
        spread = 100 / (2 * m * sigma_px / 16) ** 2
        return self._percept([x_deg], [y_deg], [100.0], 10, 20, excitability=spread)

    def thresholds(self, count):
        return np.full(count, self._model([5.0], [0.0]).a_thr)  # its only one

    def seen_at_its_threshold(self):
        dt_ms, amplitude_ua = 20, 60.0
        # the activation after one step, as its law says it
        reached = np.maximum(0, (amplitude_ua - 23.9 - 0.0) * 300 * 0.170 / 1000) * 1e-6 * (dt_ms / 1000)
        return bool(self._percept([5.0], [0.0], [amplitude_ua], 1, dt_ms, a_thr=reached).any())

    def lit_place(self, u_mm, v_mm, driven):
        x_um, y_um = -20e3 - np.array(u_mm) * 1e3, -np.array(v_mm) * 1e3
        try:
            seen = self._run(model(x_um, y_um), np.eye(len(u_mm))[driven] * 100.0, 10, 20)
        except ValueError as refusal:
            raise AssertionError(str(refusal)) from refusal
        if not seen.any():
            return None
        at = np.linspace(-8, 8, 257)
        return float(seen.sum(axis=0) @ at / seen.sum()), float(-seen.sum(axis=1) @ at / seen.sum())

    def _model(self, x_deg, y_deg, **settings):
        x_um, y_um = Polimeni2006Map(alpha1=0.95, **MAP).dva_to_v1(np.array(x_deg), np.array(y_deg))
        return model(x_um, y_um, **settings)

    def _percept(self, x_deg, y_deg, currents_ua, frames, dt_ms, **settings):
        return self._run(self._model(x_deg, y_deg, dt=dt_ms, **settings), np.array(currents_ua), frames, dt_ms)

    def _run(self, built, currents_ua, frames, dt_ms):
        """Return the percept after ``frames`` steps, driven by trains, as its documentation does."""
        seconds_ms = frames * dt_ms
        trains = {n: BiphasicPulseTrain(300, a, 0.17, stim_dur=seconds_ms) for n, a in enumerate(currents_ua)}
        return built.predict_percept(trains, t_percept=[seconds_ms]).data[..., 0]

    def _brightness(self, amplitude_ua, frames, dt_ms):
        narrow = {"xrange": (4, 6), "yrange": (-1, 1), "step": 1}
        return float(self._percept([5.0], [0.0], [amplitude_ua], frames, dt_ms, **narrow).max())
