"""What every stimulator must do: the emulator of each shipped profile, and each adapter with a device behind it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from fake_stimulators import Stimpy, Xipppy

from prosthesis.config import StimulatorConfig, find, names
from prosthesis.messages import readonly
from prosthesis.stimulator.backend import StimulatorBackend
from prosthesis.stimulator.cerestim import CereStimBackend
from prosthesis.stimulator.codes import StimulatorCode as Code
from prosthesis.stimulator.codes import StimulatorError
from prosthesis.stimulator.intan import IntanBackend
from prosthesis.stimulator.model import (
    UNLIMITED,
    EventKind,
    Group,
    Program,
    StimulationFrame,
    StimulatorState,
    Trigger,
    Wait,
    Waveform,
)
from prosthesis.stimulator.profile import capabilities
from prosthesis.stimulator.ripple import RippleBackend
from prosthesis.stimulator.rules import ceiling_of
from prosthesis.timing import ManualClock
from prosthesis.yamlfile import load_model
from prosthesis_sim.backends.intan import IntanServer
from prosthesis_sim.backends.stimulator import EmulatedStimulator

MS = 1_000_000


def profile(name):
    return capabilities(load_model(StimulatorConfig, find("stimulators", name)))


class Bench:
    """A backend, how to let its time pass, and the emulator at its far end, if one can be asked."""

    def __init__(self, name, request):
        self.name, _, behind = name.partition(" behind ")
        c = profile(self.name)
        self.clock = ManualClock(1)
        now_ns = self.clock.now_ns
        self.backend = self.emulator = EmulatedStimulator(c, now_ns)
        if behind == "xipppy":
            self.backend = RippleBackend(c, now_ns=now_ns, xipppy=Xipppy(self.emulator))
        if behind == "br_stimpy":
            self.backend = CereStimBackend(c, now_ns=now_ns, stimpy=Stimpy(self.emulator))
        if behind != "TCP":
            return
        self.clock = None
        self.emulator = EmulatedStimulator(c, time.monotonic_ns)
        server, over = IntanServer(self.emulator, port=0), threading.Event()
        thread = threading.Thread(target=server.run, args=(over.is_set,))
        thread.start()
        request.addfinalizer(lambda: (over.set(), thread.join()))
        self.backend = IntanBackend(c, port=server.port)
        request.addfinalizer(self.backend.close)

    def wait(self, ms):
        if self.clock is None:
            time.sleep(ms / 1000 + 0.05)
        else:
            self.clock.advance(ms * MS)

    def pulses(self):
        return self.emulator.telemetry().pulses

    def waveform(self, **changes):
        """A legal waveform of this device: 5 pulses, 100 Hz or what is nearest."""
        c = self.backend.capabilities
        rate_mhz = min(max(100_000, c.rate_mhz[0]), c.rate_mhz[1])
        width = max(c.on_clock(200), c.width_us[0])
        amplitude = max(c.amplitude_na[0], min(20_000 // c.step_na * c.step_na, c.amplitude_na[1] // 2))
        amplitude = amplitude // c.step_na * c.step_na
        gap = c.on_clock(c.interphase_us[0])
        made = Waveform(1, amplitude, amplitude, width, width, gap, 5, c.period_us(rate_mhz))
        return replace(made, **changes)

    def ready(self, **changes):
        """Configure, load and, on a framebuffer, show."""
        c = self.backend.capabilities
        self.backend.configure(self.waveform(**changes))
        self.backend.load(Program((Group(((2, 1),)),)))
        if c.style == "framebuffer":
            amplitude = np.zeros(c.electrodes, np.int64)
            amplitude[2] = self.waveform().amplitude1_na
            self.backend.show(StimulationFrame(1, 1, readonly(amplitude, np.int64)))


ADAPTERS = ["intan_rhs behind TCP", "ripple_nano behind xipppy", "cerestim_r96 behind br_stimpy"]
BENCHES = [*names("stimulators"), *ADAPTERS]


@pytest.fixture(params=BENCHES)
def bench(request):
    return Bench(request.param, request)


def refused(code, act, *arguments):
    with pytest.raises(StimulatorError) as caught:
        act(*arguments)
    assert caught.value.code is code


def test_it_is_a_backend_and_starts_silent(bench):
    assert isinstance(bench.backend, StimulatorBackend)
    assert bench.backend.telemetry().state is StimulatorState.STOPPED
    bench.wait(50)
    assert not bench.pulses().any()
    refused(Code.SEQUENCE_ERROR, bench.backend.play)


def test_it_plays_what_it_was_told_and_says_when(bench):
    bench.ready()
    assert not bench.pulses().any()
    bench.backend.play()
    assert bench.backend.telemetry().state is StimulatorState.PLAYING
    bench.wait(400 if bench.backend.capabilities.rate_mhz[1] < 90_000 else 100)
    pulses = bench.pulses()
    assert pulses[2] >= 3
    assert pulses.sum() == pulses[2]
    bench.backend.stop()
    assert bench.backend.telemetry().state is StimulatorState.STOPPED
    kinds = [event.kind for event in bench.backend.events()]
    assert kinds[0] is EventKind.START
    before = bench.pulses()
    bench.wait(50)
    np.testing.assert_array_equal(bench.pulses(), before)


def test_it_balances_what_it_delivers(bench):
    bench.ready()
    bench.backend.play()
    bench.wait(30)
    told = bench.emulator.telemetry()
    assert told.charge_pc[2] > 0
    assert not told.net_charge_pc.any()


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (Code.INVALID_CONFIG, {"slot": 0}),
        (Code.INVALID_CONFIG, {"slot": 1 << 20}),
        (Code.INVALID_AMPLITUDE, {"amplitude1_na": -1}),
        (Code.INVALID_AMPLITUDE, {"amplitude1_na": 1 << 40}),
        (Code.INVALID_WIDTH, {"width1_us": 0}),
        (Code.INVALID_WIDTH, {"width2_us": 1 << 30}),
        (Code.INVALID_INTERPHASE, {"interphase_us": 1 << 30}),
        (Code.INVALID_PULSES, {"pulses": 1 << 30}),
        (Code.INVALID_PULSES, {"pulses": -1}),
        (Code.FREQUENCY_PERIOD_ZERO, {"period_us": 0}),
        (Code.INVALID_FREQUENCY, {"period_us": 10**8}),
    ],
)
def test_it_refuses_what_it_cannot_make(bench, code, changes):
    refused(code, bench.backend.configure, bench.waveform(**changes))
    assert dict(bench.backend.telemetry().refused) == {code: 1}


def test_it_refuses_programs_it_cannot_play(bench):
    c, load = bench.backend.capabilities, bench.backend.load
    bench.backend.configure(bench.waveform())
    refused(Code.SEQUENCE_ERROR, load, Program(()))
    refused(Code.INVALID_CHANNEL, load, Program((Group(((c.electrodes, 1),)),)))
    refused(Code.INVALID_NUMBER, load, Program((Group(()),)))
    refused(Code.CHANNEL_USED_IN_GROUP, load, Program((Group(((0, 1), (0, 1))),)))
    refused(Code.INVALID_CONFIG, load, Program((Group(((0, 0),)),)))
    if c.waveforms > 1:
        refused(Code.EMPTY_CONFIG, load, Program((Group(((0, 2),)),)))
    refused(Code.INVALID_NUMBER, load, Program((Wait(0), Group(((0, 1),)))))
    if c.wait_us > 1:
        refused(Code.INVALID_NUMBER, load, Program((Wait(c.wait_us + 1), Group(((0, 1),)))))
    if c.simultaneous < c.electrodes and c.style == "program":
        many = Group(tuple((e, 1) for e in range(c.simultaneous + 1)))
        refused(Code.STIMULI_MODULES, load, Program((many,)))
        load(Program((Group(many.stimuli[:-1]),)))
    if c.commands < UNLIMITED:
        load(Program((Group(((0, 1),)),) * c.commands))
        refused(Code.SEQUENCE_ERROR, load, Program((Group(((0, 1),)),) * (c.commands + 1)))


def test_balance_is_demanded_where_the_device_or_its_adapter_demands_it(bench):
    unbalanced = bench.waveform(amplitude2_na=bench.waveform().amplitude1_na + bench.backend.capabilities.step_na)
    if bench.backend.capabilities.balanced or bench.backend is not bench.emulator:
        refused(Code.PHASE_NOT_BALANCED, bench.backend.configure, unbalanced)
        return
    bench.backend.configure(unbalanced)
    bench.backend.load(Program((Group(((2, 1),)),)))
    bench.backend.play()
    bench.wait(30)
    assert bench.emulator.telemetry().net_charge_pc[2] < 0


def test_abort_locks_until_reset(bench):
    bench.ready()
    bench.backend.play()
    bench.wait(15)
    bench.backend.abort()
    delivered = bench.pulses()
    assert bench.backend.telemetry().state is StimulatorState.LOCKED
    refused(Code.DEVICE_LOCKED, bench.backend.play)
    refused(Code.DEVICE_LOCKED, bench.backend.configure, bench.waveform())
    bench.backend.stop()
    assert bench.backend.telemetry().state is StimulatorState.LOCKED
    bench.wait(50)
    np.testing.assert_array_equal(bench.pulses(), delivered)
    bench.backend.reset()
    refused(Code.SEQUENCE_ERROR, bench.backend.play)
    bench.ready()
    bench.backend.play()


def test_limits_are_only_lowered(bench):
    c, now = bench.backend.capabilities, ceiling_of(bench.backend.capabilities)
    low = replace(now, amplitude_na=bench.waveform().amplitude1_na - c.step_na, charge_pc=10**7)
    bench.backend.restrict(low)
    refused(Code.AMPLITUDE_GREATER_MAX, bench.backend.configure, bench.waveform())
    refused(Code.AMPLITUDE_GREATER_MAX, bench.backend.restrict, now)
    refused(Code.INVALID_VOLTAGE, bench.backend.restrict, replace(low, compliance_mv=1))
    bench.backend.reset()
    refused(Code.AMPLITUDE_GREATER_MAX, bench.backend.configure, bench.waveform())
    width = bench.waveform().width1_us
    bench.backend.restrict(replace(low, charge_pc=width * low.amplitude_na // 2000, amplitude_na=low.amplitude_na))
    if low.amplitude_na >= max(c.amplitude_na[0], c.step_na):
        small = bench.waveform(amplitude1_na=low.amplitude_na, amplitude2_na=low.amplitude_na)
        refused(Code.PHASE_GREATER_MAX, bench.backend.configure, small)


def test_only_what_can_be_told_while_it_plays_is_taken(bench):
    bench.ready()
    bench.backend.play()
    if bench.backend.capabilities.updates:
        bench.backend.configure(bench.waveform())
    else:
        refused(Code.SEQUENCE_ERROR, bench.backend.configure, bench.waveform())
    refused(Code.SEQUENCE_ERROR, bench.backend.play)


def test_frames_are_for_framebuffers(bench):
    c = bench.backend.capabilities
    frame = StimulationFrame(1, 1, readonly(np.zeros(c.electrodes), np.int64))
    if c.style != "framebuffer":
        refused(Code.NOT_IMPLEMENTED, bench.backend.show, frame)
        return
    refused(Code.SEQUENCE_ERROR, bench.backend.show, frame)
    bench.ready(pulses=0)
    bench.backend.play()
    bench.wait(500)
    pulses = bench.pulses()[2]
    assert pulses > 5 or c.rate_mhz[1] < 31_000
    bench.backend.show(frame)
    bench.wait(500)
    assert bench.pulses()[2] == pulses
    amplitude = frame.amplitude_na.copy()
    amplitude[0] = c.amplitude_na[1] + c.step_na
    refused(Code.INVALID_AMPLITUDE, bench.backend.show, replace(frame, amplitude_na=amplitude))


def test_an_external_trigger_starts_it_and_the_sync_output_says_when(bench):
    c = bench.backend.capabilities
    bench.ready()
    for trigger in set(Trigger) - set(c.triggers) - {Trigger.DISABLED}:
        refused(Code.INVALID_TRIGGER, bench.backend.wait_for, trigger)
    if not c.triggers or bench.backend is not bench.emulator:
        return
    bench.backend.wait_for(Trigger.RISING)
    assert bench.backend.telemetry().state is StimulatorState.WAITING
    refused(Code.DEVICE_LOCKED, bench.backend.play)
    bench.wait(7)
    bench.emulator.edge(rising=False)
    bench.wait(3)
    assert not bench.pulses().any()
    bench.emulator.edge(rising=True)
    bench.wait(100)
    events = bench.backend.events()
    assert [(e.kind, e.t_ns) for e in events][:2] == [(EventKind.TRIGGER, 10 * MS + 1), (EventKind.START, 10 * MS + 1)]
    assert bench.pulses()[2] == 5
    bench.backend.wait_for(Trigger.DISABLED)
    assert bench.backend.telemetry().state is StimulatorState.STOPPED
    bench.emulator.edge(rising=True)
    bench.wait(100)
    assert bench.pulses()[2] == 5
