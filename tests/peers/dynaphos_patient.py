"""dynaphos 0.1.3 behind the same verbs: a batch of no size, its own coordinates, one call a frame."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from dynaphos.cortex_models import get_mapping_from_visual_field_to_cortex, get_visual_field_coordinates_from_cortex
from dynaphos.simulator import GaussianSimulator
from dynaphos.utils import Map, load_params

PARAMETERS = load_params(str(Path(__file__).with_name("dynaphos.yaml")))
KNOWN = {"thresholding": {"activation_threshold_sd": 0.0}}


def parameters(**sections):
    changed = copy.deepcopy(PARAMETERS)
    for name, new in sections.items():
        changed[name].update(new)
    return changed


class Dynaphos:
    def brightness_after(self, amplitude_ua, seconds, fps):
        simulator = self._simulator(run={"fps": fps})
        for _ in range(round(seconds * fps)):
            self._frame(simulator, [amplitude_ua])
        return float(simulator.brightness.get())

    def light(self, amplitudes_ua, fps=60):
        simulator = self._simulator(run={"fps": fps})
        return np.array([float(self._frame(simulator, [a]).sum()) for a in amplitudes_ua])

    def image(self, x_deg, y_deg, sigma_px):
        # sigma = 0.5 sqrt(I / K) / M
        m = 17.3 * (1 / (np.hypot(x_deg, y_deg) + 0.75) - 1 / (np.hypot(x_deg, y_deg) + 120))
        spread = 100e-6 / (2 * m * sigma_px * 16 / 256) ** 2
        simulator = self._simulator([x_deg], [y_deg], size={"current_spread": spread})
        for _ in range(7):
            seen = self._frame(simulator, [100.0])
        return seen.numpy()

    def trained_light(self, amplitude_ua):
        simulator = self._simulator()
        for _ in range(6):
            seen = self._frame(simulator, [amplitude_ua])
        return float(seen.sum())

    def afterglow(self):
        simulator = self._simulator(thresholding={"use_threshold": False})
        for amplitude in [100.0] * 7 + [0.0] * 175:
            self._frame(simulator, [amplitude])
        return float(simulator.brightness.get())

    def light_and_gradient(self, amplitudes_ua):
        simulator = self._simulator(run={"dtype": "float64", "fps": 30})
        amplitude = torch.tensor(amplitudes_ua, dtype=torch.float64, requires_grad=True)
        for one in amplitude:
            seen = simulator(one[None] * 1e-6)
        seen.sum().backward()
        return float(seen.sum().detach()), amplitude.grad.numpy()

    def saturating_sizes(self, amplitudes_ua):
        simulator = self._simulator(size={"size_equation": "sigmoid"})
        sizes = []
        for amplitude in amplitudes_ua:
            self._frame(simulator, [amplitude])
            sizes.append(float(simulator.sigma.get()))
        return np.array(sizes)

    def thresholds(self, count):
        coarse = {**PARAMETERS, "run": {"resolution": [8, 8]}}
        return self._simulator(np.full(count, 5.0), np.zeros(count), **coarse).threshold.get().numpy().ravel()

    def lit_place(self, u_mm, v_mm, driven):
        with np.errstate(all="ignore"):
            places = get_visual_field_coordinates_from_cortex(
                PARAMETERS["cortex_model"], Map(x=np.array(u_mm), y=np.array(v_mm)), np.random.default_rng(0)
            )
        simulator = GaussianSimulator(parameters(**KNOWN), places, rng=np.random.default_rng(0))
        currents = np.zeros(simulator.num_phosphenes)
        currents[driven : driven + 1] = 100.0  # the electrode's index, as far as there is one
        for _ in range(7):
            seen = self._frame(simulator, currents).numpy()
        if not seen.any():
            return None
        at = -np.linspace(-8, 8, 256)  # from the cortex it flips both axes of the field
        return float(seen.sum(axis=0) @ at / seen.sum()), float(seen.sum(axis=1) @ at / seen.sum())

    def build(self):
        self._simulator()

    def tissue_of(self, x_deg, y_deg, alpha):
        mapping = get_mapping_from_visual_field_to_cortex({**PARAMETERS["cortex_model"], "alpha": alpha})
        w = mapping(np.array([x_deg + 1j * y_deg]))
        return float(w.real[0]), float(w.imag[0])

    def _simulator(self, x_deg=(5.0,), y_deg=(0.0,), **sections):
        places = Map(x=np.array(x_deg, float), y=np.array(y_deg, float))
        return GaussianSimulator(parameters(**{**KNOWN, **sections}), places, rng=np.random.default_rng(0))

    def _frame(self, simulator, currents_ua):
        with torch.no_grad():
            return simulator(torch.as_tensor(np.array(currents_ua) * 1e-6, dtype=torch.float32))
