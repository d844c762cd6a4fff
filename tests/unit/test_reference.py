"""The compiled world against the pure functions, and those on torch with gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis.messages import Delivered
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import load_world
from prosthesis_sim.reference import cortex, see, step
from prosthesis_sim.world import World

WORLDS = ("human_v1_habituating", "van_der_grinten_2024")


def patient(world):
    rig = load_rig("utah96", uncalibrated=True)
    config = load_world(world)
    config = config.model_copy(update={"screen": config.screen.model_copy(update={"width": 96, "height": 96})})
    return config, place(rig.config.implant, rig.array)


def patterns(count, n=96):
    """Return changing amplitudes [count, n]: some electrodes silent at times."""
    random = np.random.default_rng(2)
    return random.uniform(30, 150, (count, n)) * (random.random((count, n)) < 0.8)


@pytest.mark.parametrize("world", WORLDS)
def test_the_compiled_world_shows_what_the_pure_functions_show(world):
    config, array = patient(world)
    real, pure = World(config, array, 17), cortex(config, array, 17)
    state, slot = pure.rest(), np.arange(96) % 4
    width, pulses = np.full(96, 170.0), np.full(96, 10)
    for amplitude in patterns(12):
        f32 = amplitude.astype(np.float32)
        real.step(Delivered(
            1, 1, 0, 33_333_333, f32, width.astype(np.float32), pulses.astype(np.int32), slot.astype(np.uint8)
        ))  # fmt: skip
        dt_s = 0.033333333
        state = step(pure, state, f32.astype(float), width, pulses / dt_s, slot, dt_s)
        assert real.state.activation == pytest.approx(state.activation, rel=1e-6)
        image = real.percept(1, 1, 1).image
        assert image.max() > 0.1
        # the compiled renderer leaves out what lies beyond four sigmas: 3.4e-4 of a peak, of several at once
        assert np.abs(image - see(pure, state)).max() < 2e-3


torch = pytest.importorskip("torch", reason="needs the [train] extra")


def on_torch(world):
    config, array = patient(world)
    return cortex(config, array, 17), cortex(config, array, 17, asarray=lambda a: torch.asarray(np.asarray(a)))


def run(pure, amplitudes, lib, frames, softness=0.05):
    """Return the sum of the last image under a fixed weighting, so that every pixel counts differently."""
    state, one = pure.rest(), lib.ones(96, dtype=lib.float64)
    slot = lib.zeros(96, dtype=lib.int32)
    for k in range(frames):
        state = step(pure, state, amplitudes[k], 170 * one, 300 * one, slot, 1 / 30)
    image = see(pure, state, softness)
    weight = lib.asarray(np.random.default_rng(0).uniform(0, 1, (96, 96)))
    return (image * weight).sum(), image


@pytest.mark.parametrize("world", WORLDS)
def test_torch_and_numpy_see_the_same(world):
    numpy_pure, torch_pure = on_torch(world)
    amplitude = patterns(5)
    _, expected = run(numpy_pure, amplitude, np, 5)
    _, got = run(torch_pure, torch.asarray(amplitude), torch, 5)
    # torch has its own erf, numpy's is good to 1.5e-7
    assert np.abs(got.numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("world", WORLDS)
def test_gradients_through_twenty_frames_are_the_finite_differences(world):
    """The published simulator detaches its state: for the last frame but one it even has the wrong sign."""
    _, pure = on_torch(world)
    amplitude = torch.asarray(patterns(20) + 1.0).requires_grad_(True)
    total, _ = run(pure, amplitude, torch, 20)
    (gradient,) = torch.autograd.grad(total, amplitude)
    assert torch.isfinite(gradient).all()
    checked = 0
    for frame in (0, 10, 18, 19):
        strongest = int(gradient[frame].abs().argmax())
        shift = torch.zeros_like(amplitude)
        shift[frame, strongest] = 1e-4
        with torch.no_grad():
            up, down = run(pure, amplitude + shift, torch, 20)[0], run(pure, amplitude - shift, torch, 20)[0]
        difference = float(up - down) / 2e-4
        assert float(gradient[frame, strongest]) == pytest.approx(difference, rel=1e-3)
        checked += abs(difference) > 1e-6
    assert checked >= 3
