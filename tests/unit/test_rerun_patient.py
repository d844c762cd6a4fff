"""What a rerun's patient does with each command that the recorded implant obeyed, and what a rerun sends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import HAND

from prosthesis.config import load_rig
from prosthesis.messages import Delivered, Heard, StimulationPattern, readonly
from prosthesis.recording.rerun import HOPS, _Device
from prosthesis.recording.told import Told
from prosthesis.solver import open_modulator
from prosthesis_sim.patient import load_world
from prosthesis_sim.rerun import Patient

MS = 1_000_000
FRAME_NS = 30 * MS
CODES = readonly([300, 300, 300, 300], np.uint16)


class Session:
    """A patient whose implant hears ``commands`` first, and then a pattern each frame."""

    def __init__(self, *commands, offset_ns=0):
        rig = load_rig(HAND)
        world = load_world("world.yaml", rig.path.parent).model_dump_json(exclude_unset=True)
        about = {"sim_world_config": world, "sim_patient": "0", "sim_day": "0"}
        self.patient = Patient(rig, about, open_modulator(rig).configuration)
        self.now_ns, self.seq, self.offset_ns = 1000 * MS, 0, offset_ns
        self.hear(*commands)

    def hear(self, *commands):
        for what in commands:
            value = self.offset_ns if what == "offset" else 0
            self.patient.hear(Heard(0, 0, self.now_ns, what, (), value), None)

    def frame(self, codes=CODES):
        """Send a pattern and return how many pulses it gives, ``None`` where nothing can be compared."""
        self.seq += 1
        heard = Heard(self.seq, self.now_ns - self.offset_ns, self.now_ns, "tiles", (0,), self.now_ns)
        self.patient.hear(heard, codes)
        nothing = readonly(np.zeros(4), np.float32)
        recorded = Delivered(
            self.seq, heard.t_ns, self.now_ns, FRAME_NS, nothing, nothing, nothing.astype(int), nothing.astype(int)
        )
        self.now_ns += FRAME_NS
        delivered = self.patient.deliver(recorded, True)
        return None if delivered is None else int(delivered.pulses.sum())

    def frames(self, count):
        """Send ``count`` patterns and return the pulses of the last."""
        return [self.frame() for _ in range(count)][-1]


ARMED = ("open", "configure", "arm")


def test_it_stimulates_once_armed():
    assert Session(*ARMED).frames(3) > 0


def test_its_clock_may_be_another_than_the_devices():
    assert Session("open", "offset", "configure", "arm", offset_ns=700 * MS).frames(3) > 0


@pytest.mark.parametrize("command", ["stop", "lock"])
def test_it_is_silent_once_told(command):
    session = Session(*ARMED)
    assert session.frames(3) > 0
    session.hear(command)
    assert not session.frame()


def test_after_a_stop_it_can_be_armed_again_but_locked_it_must_be_reset():
    session = Session(*ARMED)
    session.frames(3)
    session.hear("stop")
    session.frames(11)
    session.hear("arm")
    assert session.frames(2) > 0
    session.hear("lock")
    session.frames(11)
    session.hear("arm")
    assert not session.frames(2)
    session.hear("reset", "arm")
    assert session.frames(2) > 0


def test_a_test_of_itself_leaves_a_stopped_implant_as_if_powered_up():
    session = Session(*ARMED)
    session.frames(3)
    session.hear("stop", "arm")  # refused: ten frames must come first
    assert not session.frame()
    session.hear("test", "arm")
    assert session.frames(2) > 0


def test_after_a_pattern_that_is_not_known_nothing_is_compared_until_one_is():
    session = Session(*ARMED)
    assert session.frames(3) > 0
    assert session.frame(None) is None
    assert session.frame() > 0


def test_what_is_sent_fits_the_air():
    rig = load_rig("utah96")
    link = rig.link.model_copy(update={"air_ms": 4.0, "radio": rig.link.radio.model_copy(update={"rate_kbps": 200.0})})
    rig = replace(rig, link=link)
    device, n = _Device(rig, HOPS, None, Told()), rig.electrodes
    columns = (readonly(np.full(n, value), np.float32) for value in (50.0, 170.0, 300.0))
    codes = device.codes(StimulationPattern(1, 0, *columns, readonly(np.zeros(n), np.uint8)))
    assert 0 < np.count_nonzero(codes) < n
