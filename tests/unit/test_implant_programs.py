"""A device of programs beyond the air: its bank and program bind there as they do on the bench."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lab import Lab

from prosthesis.config import StimulatorConfig, find, load_rig
from prosthesis.messages import BrainCode, Refusal, readonly
from prosthesis.yamlfile import load_model


@pytest.fixture
def programmed():
    """A CereStim's profile beyond the air: utah96 with its 15 waveforms and 128 commands."""
    rig = load_rig("utah96", uncalibrated=True)
    config = load_model(StimulatorConfig, find("stimulators", "cerestim_r96"))
    lab = Lab(replace(rig, stimulator=config))
    lab.session.open()
    assert lab.session.arm().refusal is Refusal.NONE
    return lab


def amplitudes(levels, electrodes=96):
    return np.where(np.arange(96) < electrodes, 10 + np.arange(96) % levels, 0)


def test_a_pattern_of_more_waveforms_than_the_bank_has_is_refused_whole(programmed):
    programmed.frame(amplitudes(15))
    assert not programmed.implant.receipt().refusal.any()
    pieces = programmed.frame(amplitudes(16))
    assert set(programmed.implant.receipt().refusal.tolist()) == {Refusal.PROGRAM}
    assert not any(piece.pulses.any() for piece in pieces)
    programmed.frame(amplitudes(16, electrodes=15))
    assert not programmed.implant.receipt().refusal.any(), "fifteen electrodes have fifteen amplitudes at most"


def test_a_sweep_of_more_commands_than_a_program_holds_is_refused_whole():
    rig = load_rig("utah96", uncalibrated=True)
    config = load_model(StimulatorConfig, find("stimulators", "cerestim_r96"))
    # 96 stimuli, seven groups with their ends and a wait: 111
    for commands, refused in ((111, False), (110, True)):
        few = config.model_copy(update={"commands": config.commands.model_copy(update={"program": commands})})
        lab = Lab(replace(rig, stimulator=few))
        lab.session.open()
        lab.session.arm()
        lab.frame(amplitudes(3))
        assert lab.implant.receipt().refusal.any() == refused


def test_what_the_device_fits_to_the_profile_the_implant_plays():
    rig = load_rig("utah96", uncalibrated=True)
    config = load_model(StimulatorConfig, find("stimulators", "cerestim_r96"))
    few = config.model_copy(update={"commands": config.commands.model_copy(update={"program": 60, "waveforms": 4})})
    lab = Lab(replace(rig, stimulator=few))
    lab.session.open()
    lab.session.arm()
    random = np.random.default_rng(2)
    for _ in range(20):
        wanted = lab.modulator.modulate(BrainCode(1, 1, readonly(random.uniform(0, 0.3, 96), np.float32), 0))
        fitted, lost = lab.modulator.fit(wanted)
        lab.frame(lab.modulator.codes(fitted))
        assert not lab.implant.receipt().refusal.any()
        assert {loss.rule for loss in lost} >= {"stimulator waveforms", "stimulator program"}
