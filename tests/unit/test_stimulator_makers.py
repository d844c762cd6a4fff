"""What the adapters of Ripple and CereStim say to the makers' modules, and what they make of the answers."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from fake_stimulators import FIRST, Stimpy, Xipppy

from prosthesis.config import StimulatorConfig, find
from prosthesis.errors import MissingExtraError
from prosthesis.messages import StimulationPattern, readonly
from prosthesis.stimulator.cerestim import CereStimBackend
from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.driver import StimulatorDriver
from prosthesis.stimulator.model import EventKind, Group, Program, StimulatorState, Trigger, Wait, Waveform
from prosthesis.stimulator.profile import capabilities
from prosthesis.stimulator.ripple import RippleBackend
from prosthesis.stimulator.rules import ceiling_of
from prosthesis.timing import ManualClock
from prosthesis.yamlfile import load_model
from prosthesis_sim.backends.stimulator import EmulatedStimulator

MS = 1_000_000


def profile(name):
    return capabilities(load_model(StimulatorConfig, find("stimulators", name)))


class Ripple:
    def __init__(self, c=None):
        self.clock = ManualClock(1)
        self.emulator = EmulatedStimulator(profile("ripple_nano"), self.clock.now_ns)
        self.xipppy = Xipppy(self.emulator)
        self.backend = RippleBackend(c or profile("ripple_nano"), now_ns=self.clock.now_ns, xipppy=self.xipppy)


class CereStim:
    def __init__(self):
        self.clock = ManualClock(1)
        self.emulator = EmulatedStimulator(profile("cerestim_r96"), self.clock.now_ns)
        self.backend = CereStimBackend(profile("cerestim_r96"), now_ns=self.clock.now_ns, stimpy=Stimpy(self.emulator))


def refused(code, act, *arguments):
    with pytest.raises(StimulatorError) as caught:
        act(*arguments)
    assert caught.value.code is code
    return str(caught.value)


def test_a_train_is_segments_of_whole_cycles_on_the_processors_own_channel():
    bench = Ripple()
    bench.backend.configure(Waveform(8, 100_000, 100_000, 200, 200, 100, 30, 33_334))
    bench.backend.load(Program((Wait(1000), Group(((7, 8),)))))
    bench.backend.play()
    ((sequence,),) = bench.xipppy.calls
    # the manual's own example: 6, 3 and 6 cycles, 1000 a period, 30 times, here after a millisecond of 30 cycles
    assert (sequence.elec, sequence.period, sequence.repeats) == (FIRST + 7, 1000, 30)
    said = [(s.length, s.amplitude, s.polarity, s.enable) for s in sequence.segments]
    assert said == [(30, 0, -1, False), (6, 10, -1, True), (3, 0, 1, False), (6, 10, 1, True)]
    bench.clock.advance(1100 * MS)
    assert bench.emulator.telemetry().pulses[7] == 30
    assert bench.emulator.telemetry().charge_pc[7] == 30 * 100 * 200


def test_ripples_step_is_set_with_stimulation_off_and_read_back():
    bench = Ripple()
    assert [bench.xipppy.stim_get_res(FIRST + e) for e in (0, 31, 32, 127)] == [3, 3, 3, 3]
    other = replace(profile("ripple_nano"), step_na=3000)
    assert "no front end steps 3000 nA" in refused(StimulatorCode.INVALID_INTERFACE, Ripple, other)


def test_a_ripple_without_enough_channels_is_refused_and_let_go():
    c = replace(profile("ripple_nano"), electrodes=256)
    emulator = EmulatedStimulator(profile("ripple_nano"), ManualClock(1).now_ns)
    xipppy = Xipppy(emulator)
    text = refused(StimulatorCode.INVALID_INTERFACE, lambda: RippleBackend(c, xipppy=xipppy))
    assert "128 stimulating channels are there, the profile has 256" in text
    assert xipppy.opened == 0


def test_a_late_start_that_leaves_no_room_for_the_pulse_is_refused():
    bench = Ripple()
    bench.backend.configure(Waveform(1, 20_000, 20_000, 200, 200, 0, 5, 10_000))
    refused(StimulatorCode.INVALID_INTERPULSE, bench.backend.load, Program((Wait(9_700), Group(((0, 1),)))))


def test_ripple_tells_impedances_without_voltages():
    bench = Ripple()
    measured = bench.backend.measure(5)
    assert (measured.millivolts, measured.impedance_ohm) == (None, 50_000)
    refused(StimulatorCode.INVALID_CHANNEL, bench.backend.measure, 128)


def test_an_error_of_xipppys_is_told_in_its_words():
    bench = Ripple()
    bench.xipppy.StimSeq.send_stim_seqs = staticmethod(lambda sequences: 1 / 0)
    bench.backend.configure(Waveform(1, 20_000, 20_000, 200, 200, 0, 5, 10_000))
    bench.backend.load(Program((Group(((0, 1),)),)))
    assert "division by zero" in refused(StimulatorCode.NOK, bench.backend.play)
    assert bench.backend.telemetry().state is StimulatorState.STOPPED


def test_a_cerestim_pauses_and_goes_on():
    bench = CereStim()
    bench.backend.configure(Waveform(3, 20_000, 20_000, 200, 200, 60, 1, 5000))
    bench.backend.load(Program((Group(((0, 3), (95, 3))), Wait(9000)), repeats=10))
    bench.backend.play()
    bench.clock.advance(25 * MS)
    bench.backend.pause()
    assert bench.backend.telemetry().state is StimulatorState.PAUSED
    bench.clock.advance(500 * MS)
    assert bench.emulator.telemetry().pulses[[0, 95]].tolist() == [3, 3]
    bench.backend.play()
    bench.clock.advance(500 * MS)
    assert bench.emulator.telemetry().pulses.sum() == 20
    assert bench.backend.telemetry().state is StimulatorState.STOPPED


def test_a_cerestim_waits_for_its_trigger_and_is_let_out_of_it():
    bench = CereStim()
    bench.backend.configure(Waveform(1, 20_000, 20_000, 200, 200, 60, 5, 10_000))
    bench.backend.load(Program((Group(((0, 1),)),)))
    bench.backend.wait_for(Trigger.FALLING)
    refused(StimulatorCode.DEVICE_LOCKED, bench.backend.play)
    bench.emulator.edge(rising=False)
    bench.clock.advance(100 * MS)
    assert bench.emulator.telemetry().pulses[0] == 5
    bench.backend.stop()
    assert bench.backend.telemetry().state is StimulatorState.STOPPED
    assert bench.emulator.telemetry().state is StimulatorState.STOPPED
    assert [e.kind for e in bench.backend.events()] == [EventKind.STOP]


def test_the_librarys_own_refusal_keeps_its_code():
    bench = CereStim()
    low = replace(ceiling_of(profile("cerestim_r96")), amplitude_na=50_000, charge_pc=10**9)
    bench.emulator.restrict(low)  # by somebody with the administrator's password
    text = refused(
        StimulatorCode.AMPLITUDE_GREATER_MAX,
        bench.backend.configure,
        Waveform(1, 60_000, 60_000, 200, 200, 60, 1, 5000),
    )
    assert "br_stimpy says" in text
    assert dict(bench.backend.telemetry().refused) == {StimulatorCode.AMPLITUDE_GREATER_MAX: 1}


def test_a_train_at_no_whole_hertz_is_refused_and_a_single_pulse_is_not():
    bench = CereStim()
    wave = Waveform(1, 20_000, 20_000, 200, 200, 60, 2, 3717)
    refused(StimulatorCode.INVALID_FREQUENCY, bench.backend.configure, wave)
    bench.backend.configure(replace(wave, pulses=1))


def test_a_pattern_of_96_electrodes_takes_so_many_calls_of_the_library():
    bench = CereStim()
    driver = StimulatorDriver(bench.backend, 60)
    device = bench.backend._device
    n, before = 96, device.calls
    columns = [readonly(np.full(n, v), np.float32) for v in (60.0, 170.0, 300.0)]
    driver.deliver(StimulationPattern(1, 1, *columns, np.arange(n, dtype=np.uint8) % 6))
    # a waveform; begin, six groups of 16 with their ends, a wait, end; play: 2 ms each on the real USB
    assert device.calls - before == 1 + 1 + 6 * 18 + 1 + 1 + 1
    bench.clock.advance(100 * MS)
    assert (bench.emulator.telemetry().pulses >= 20).all()


@pytest.mark.parametrize(
    ("module", "make", "said"),
    [
        ("xipppy", lambda: RippleBackend(profile("ripple_nano")), "get it from Ripple"),
        ("br_stimpy.stimpy", lambda: CereStimBackend(profile("cerestim_r96")), "br_stimpy"),
    ],
)
def test_without_the_makers_module_one_is_told_where_it_comes_from(monkeypatch, module, make, said):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=said):
        make()
