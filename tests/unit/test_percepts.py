"""The batched patient against the device's own hops and the real world, electrode by electrode and pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prosthesis.errors import ConfigError
from prosthesis.limits import guard_limits
from prosthesis.messages import Delivered, MachineCode, readonly
from prosthesis.modulator import PulseModulator
from prosthesis.safety import Guard
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import Field
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import FieldPart, load_world
from prosthesis_sim.world import World
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient

SIDE, SECONDS = 48, 0.5


def maps(count: int, shape: tuple[int, int]) -> np.ndarray:
    """Return noise, a white map, a bar and a ramp: what drives few, all, some and each a little."""
    random = np.random.default_rng(0)
    some = random.uniform(0, 1, (count, *shape)) * random.uniform(0.2, 1, (count, 1, 1))
    some[0] = 1.0
    some[1] = 0.0
    some[1, :, 12:18] = 0.9
    some[2] = np.linspace(0, 1, shape[1])
    return some.astype(np.float32)


def really(patient: VirtualPatient, dropout: float, seed: int, task_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the currents f64[n] and the percept f32[side, side] by hops 3 to 8 themselves."""
    rig, modulator = patient.rig, PulseModulator(patient.rig)
    code = MachineCode(1, 0, readonly(task_map.ravel(), np.float32), "map", patient.map_shape)
    wanted = modulator.modulate(RetinotopicTranslator(rig.calibration, patient.view, patient.map_shape).translate(code))
    guard = Guard(guard_limits(rig))
    allowed, _, _ = guard.allow(wanted, guard.initial(), 0.0)
    amplitude = modulator.codes(allowed) * (rig.stimulator.lsb_na / 1000)
    pulses = np.where(amplitude > 0, round(rig.config.modulator.rate_hz * SECONDS), 0)
    world = _world(patient.part, rig, dropout, seed)
    width = readonly(np.full(rig.electrodes, rig.config.modulator.pulse_width_us), np.float32)
    given = (readonly(amplitude, np.float32), width, readonly(pulses, np.int32), wanted.slot)
    world.step(Delivered(1, 0, 0, int(SECONDS * 1e9), *given))
    return amplitude, world.percept(1, 0, 0).image


def _world(f: Field, rig, dropout: float, seed: int) -> World:
    config = load_world(rig.config.world)
    part = FieldPart(
        centre_deg=((f.x0_deg + f.x1_deg) / 2, (f.y0_deg + f.y1_deg) / 2),
        extent_deg=(f.x1_deg - f.x0_deg, f.y1_deg - f.y0_deg),
    )
    screen = config.screen.model_copy(update={"width": SIDE, "height": SIDE, "part": part})
    scatter = config.scatter.model_copy(update={"dropout": dropout})
    config = config.model_copy(update={"screen": screen, "scatter": scatter})
    return World(config, place(rig.config.implant, rig.array), seed)


# spots are exact but for the world's cut of 3.4e-4 of a peak; streaks are read from a grid
@pytest.mark.parametrize(
    ("rig", "look", "tolerance"), [("utah96", "field", 2e-3), ("icvp400", "array", 2e-3), ("argus60", "field", 0.04)]
)
def test_percepts_are_those_of_the_pipeline_and_the_world(rig, look, tolerance):
    patient = virtual_patient(rig, seed=5, dropout=0.2, side=SIDE, seconds=SECONDS, look=look)
    shown = maps(6, patient.map_shape)
    with torch.no_grad():
        currents = patient.currents(torch.as_tensor(shown)).numpy()
        seen = patient.percepts(torch.as_tensor(shown)).numpy()
    lit = 0.0
    for k, task_map in enumerate(shown):
        amplitude, image = really(patient, 0.2, 5, task_map)
        differs = np.abs(currents[k] - amplitude[patient.device.enabled.numpy()])
        # float32 may fall to the other side of a step of the DAC, on an electrode in a thousand
        assert differs.max() <= 1.01 * patient.rig.stimulator.lsb_na / 1000
        assert (differs > 1e-3).mean() < 0.02
        assert np.abs(seen[k] - image).max() < tolerance
        lit = max(lit, float(image.max()))
    assert lit > 0.3


def test_slot_current_is_limited_as_by_the_guard():
    """A white map asks of the 1024 electrodes' supply more than it has."""
    patient = virtual_patient("nhp1024", seed=5, dropout=0.2, side=SIDE)
    white = np.ones((1, *patient.map_shape), np.float32)
    with torch.no_grad():
        currents = patient.currents(torch.as_tensor(white)).numpy()[0]
    amplitude, _ = really(patient, 0.2, 5, white[0])
    totals = np.bincount(patient.device.slot.numpy(), currents)
    assert totals.max() <= patient.rig.stimulator.limits.hard.slot_current_ua.value
    assert np.abs(currents - amplitude[patient.device.enabled.numpy()]).max() <= 0.101


def test_gradients_reach_the_map_and_point_uphill():
    patient = virtual_patient("utah96", seed=2, dropout=0.2)
    task_map = torch.full((1, *patient.map_shape), 0.55, requires_grad=True)
    before = patient.percepts(task_map).sum()
    (gradient,) = torch.autograd.grad(before, task_map)
    assert torch.isfinite(gradient).all()
    with torch.no_grad():
        after = patient.percepts(task_map + 0.2 * gradient / gradient.abs().max()).sum()
    assert after.item() > before.item() * 1.02


def test_dropout_is_nested_and_the_device_finds_it_out():
    few, many = (virtual_patient("utah96", seed=7, dropout=d) for d in (0.0, 0.3))
    assert set(many.device.enabled.tolist()) < set(few.device.enabled.tolist())
    assert len(many.device.enabled) < 0.85 * len(few.device.enabled)


def test_calibration_is_a_measurement_not_the_truth():
    patient = virtual_patient("utah96", seed=7, dropout=0.1)
    world = _world(patient.part, patient.rig, 0.1, 7)
    on = patient.device.enabled.numpy()
    ratio = np.log(patient.calibration.column("threshold_ua")[on] / world.person.scale_ua[on])
    assert 0.01 < ratio.std() < 0.1
    away = np.hypot(
        patient.calibration.column("x_deg")[on] - world.person.x_deg[on],
        patient.calibration.column("y_deg")[on] - world.person.y_deg[on],
    )
    assert 0.02 < np.median(away) < 0.3
    assert virtual_patient("utah96", seed=7, dropout=0.1).calibration.digest == patient.calibration.digest


def test_other_seeds_are_other_patients():
    a, b = (virtual_patient("argus60", seed=s) for s in (0, 1))
    assert a.calibration.threshold_ua != b.calibration.threshold_ua


def test_rigs_it_cannot_do_are_refused():
    with pytest.raises(ConfigError, match="modulator"):
        virtual_patient("utah96_latent", seed=0)


@pytest.mark.parametrize("rig", ["utah96", "argus60"])
def test_another_patient_has_the_same_calibration_and_sees_otherwise(rig):
    patient = virtual_patient(rig, seed=4, dropout=0.1)
    other = patient.another(np.random.default_rng(0))
    shown = torch.as_tensor(maps(3, patient.map_shape))[1:]
    with torch.no_grad():
        assert torch.equal(patient.currents(shown), other.currents(shown))
        a, b = patient.percepts(shown), other.percepts(shown)
    assert float((a - b).abs().max()) > 0.05
    # the same errors, only dealt anew
    assert np.allclose(*(np.sort(np.hypot(*p._away_deg)) for p in (patient, other)))
