"""Every shipped rig, from its own camera to a percept, in one process over the loopback link."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis.assembly import assemble, with_choices
from prosthesis.config import RigConfig, find, load_rig, names
from prosthesis.messages import ImplantState
from prosthesis.session import Credentials
from prosthesis.timing import MonotonicClock
from prosthesis.yamlfile import load_model
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.loopback import LoopbackLink
from prosthesis_sim.patient import load_world


@pytest.mark.parametrize("model", [None, "luminance-64", "saliency-32"])
@pytest.mark.parametrize("rig_name", names("rigs"))
def test_a_shipped_rig_carries_frames_to_a_percept(rig_name, model):
    if load_model(RigConfig, find("rigs", rig_name)).translator.type == "bijective" and model:
        pytest.skip("a code map belongs to its own encoder")
    rig = with_choices(load_rig(rig_name), task=model)
    clock = MonotonicClock()
    device_key, implant_key = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    known = frozenset([device_key.public_key().public_bytes_raw()])
    emulator = Emulator(rig, load_world(rig.config.world), implant_key, known, 0, clock.now_ns)
    emulator.world.warm_up()
    credentials = Credentials(device_key, implant_key.public_key().public_bytes_raw())
    device = assemble(rig, LoopbackLink(emulator, clock), credentials, clock)
    device.session.open()
    device.session.arm()
    brightest = 0.0
    try:
        for _ in range(20):
            frame = device.source.read(1.0)
            assert frame is not None
            passage = device.pipeline.process(frame)
            assert passage.sent
            time.sleep(0.012)  # the slowest radio's serialisation
            outcome = emulator.step(look=True)
            brightest = max(brightest, float(outcome.percept.image.max()))
    finally:
        device.source.close()
    assert emulator.implant.state is ImplantState.STIMULATING
    assert not emulator.implant.receipt().refusal.any(), "the implant refused what the guard let pass"
    assert emulator.world.state.last_ua.any()
    assert brightest > 0.05
