"""The pipeline's patterns on a device of programs, programs in time, and a patient on the bench."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prosthesis.config import StimulatorConfig, find, load_rig
from prosthesis.limits import guard_limits
from prosthesis.messages import BrainCode, StimulationPattern, readonly
from prosthesis.modulator import PulseModulator
from prosthesis.safety import Guard
from prosthesis.stimulator.codes import StimulatorCode
from prosthesis.stimulator.compiler import compile_pattern
from prosthesis.stimulator.driver import StimulatorDriver
from prosthesis.stimulator.model import EventKind, Group, Program, Sync, Wait, Waveform
from prosthesis.stimulator.profile import capabilities
from prosthesis.timing import ManualClock
from prosthesis.yamlfile import load_model
from prosthesis_sim.backends.bench import BenchPatient, stimulator_of
from prosthesis_sim.backends.intan import IntanCommands
from prosthesis_sim.backends.playback import Playback
from prosthesis_sim.backends.stimulator import EmulatedStimulator

MS = 1_000_000


def config(name):
    return load_model(StimulatorConfig, find("stimulators", name))


CERESTIM, ASIC = capabilities(config("cerestim_r96")), capabilities(config("asic_1024"))


@pytest.fixture(scope="module")
def rig():
    return replace(load_rig("utah96"), stimulator=config("cerestim_r96"))


def full(amplitude_ua, groups=6, width_us=170, rate_hz=300):
    n = len(amplitude_ua)
    arrays = (amplitude_ua, np.full(n, width_us), np.full(n, rate_hz))
    slot = readonly(np.arange(n) % groups, np.uint8)
    return StimulationPattern(1, 1, *(readonly(a, np.float32) for a in arrays), slot)


def test_a_full_array_at_300_hz_becomes_six_groups_and_a_wait_of_whole_ms():
    # facts: six groups of 170+60+170+53 us are 2.7 ms of a period of 3.3 ms, and waits are whole ms
    compiled = compile_pattern(full(np.full(96, 50.0)), CERESTIM, 60)
    assert compiled.program.size == 6 * 18 + 1
    assert [type(command) for command in compiled.program.commands] == [Group] * 6 + [Wait]
    assert compiled.program.commands[-1] == Wait(1000)
    assert len(compiled.waveforms) == 1
    np.testing.assert_allclose(compiled.pattern.rate_hz, 1e6 / (6 * 453 + 1000), rtol=1e-4)
    assert [loss.rule for loss in compiled.losses] == ["stimulator rate"]


def test_96_amplitudes_become_15_and_the_report_says_what_was_lost():
    wanted = full(np.arange(1.0, 97.0))
    compiled = compile_pattern(wanted, CERESTIM, 60)
    got = compiled.pattern.amplitude_ua
    assert len({w.amplitude1_na for w in compiled.waveforms}) == 15
    loss = next(loss for loss in compiled.losses if loss.rule == "stimulator waveforms")
    assert (loss.electrodes, loss.worst) == (int((got < wanted.amplitude_ua).sum()), 6.0)
    assert (wanted.amplitude_ua - got).sum() == 6 * (7 * 6 // 2) + 9 * (6 * 5 // 2)  # six runs of 7, nine of 6


def test_what_the_emulator_counts_is_what_the_compiler_said():
    clock = ManualClock(1)
    emulator = EmulatedStimulator(CERESTIM, clock.now_ns, np.full(96, 10_000))
    compiled = compile_pattern(full(np.arange(1.0, 97.0)), CERESTIM, 60, train_s=1.0)
    for waveform in compiled.waveforms:
        emulator.configure(waveform)
    emulator.load(compiled.program)
    emulator.play()
    clock.advance(1000 * MS)
    told = emulator.telemetry()
    assert np.abs(told.pulses - compiled.pattern.rate_hz).max() <= 1
    np.testing.assert_allclose(told.charge_pc, told.pulses * compiled.pattern.amplitude_ua * 170, atol=1)
    assert not told.net_charge_pc.any()


def test_the_pipeline_on_a_cerestim_never_asks_for_more_than_15_amplitudes(rig):
    modulator, guard = PulseModulator(rig), Guard(guard_limits(rig))
    assert (modulator.configuration.rate_mhz <= 300_000).all()
    # seven groups of 453 us and a wait of 1 ms
    assert set(modulator.configuration.rate_mhz.tolist()) == {239_750}
    rng = np.random.default_rng(1)
    wanted = modulator.modulate(BrainCode(1, 1, readonly(rng.uniform(0, 1, 96), np.float32), 0))
    allowed = guard.allow(wanted, guard.initial(), 0.0)[0]
    fitted, lost = modulator.fit(allowed)
    assert (fitted.amplitude_ua <= allowed.amplitude_ua).all()
    assert len(set(modulator.codes(fitted).tolist()) - {0}) <= 15 < len(set(modulator.codes(allowed).tolist()))
    assert [loss.rule for loss in lost] == ["stimulator waveforms"]
    assert modulator.fit(fitted)[0].amplitude_ua.tolist() == fitted.amplitude_ua.tolist()


def test_a_framebuffer_gets_the_pattern_as_it_is():
    rig = load_rig("utah96")
    pattern = full(np.arange(1.0, 97.0))
    assert PulseModulator(rig).fit(pattern) == (pattern, ())


@pytest.mark.parametrize("seed", range(8))
def test_no_way_of_asking_loses_or_doubles_a_pulse(seed):
    rng = np.random.default_rng(seed)
    bank = {slot: Waveform(slot, 9000, 9000, 100, 100, 60, int(rng.integers(1, 5)), 5000) for slot in (1, 2)}
    program = Program((Group(((0, 1), (1, 2))), Wait(3000), Group(((0, 2),)), Wait(1000)), int(rng.integers(0, 4)))
    playback = Playback(program, bank, CERESTIM)
    times = np.sort(rng.integers(0, 200 * MS, 50)).tolist()
    parts = sum(playback.started(b) - playback.started(a) for a, b in zip([0, *times[:-1]], times, strict=True))
    np.testing.assert_array_equal(parts, playback.started(times[-1]))
    if program.repeats:
        pulses = [bank[slot].pulses * program.repeats for slot in playback.slot]
        np.testing.assert_array_equal(playback.started(playback.end_ns), pulses)


def test_syncs_come_at_their_time_and_pauses_delay_them():
    clock = ManualClock(0)
    emulator = EmulatedStimulator(ASIC, clock.now_ns)
    emulator.configure(Waveform(1, 5000, 5000, 100, 100, 0, 2, 10_000))
    emulator.load(Program((Wait(2000), Sync(3), Wait(1000), Group(((0, 1),)))))
    emulator.play()
    clock.advance(1 * MS)
    emulator.pause()
    clock.advance(50 * MS)
    emulator.play()
    clock.advance(50 * MS)
    events = [(event.kind, event.t_ns, event.line) for event in emulator.events()]
    end = 50 * MS + 3 * MS + 10 * MS + 210_000
    assert events == [(EventKind.START, 0, 0), (EventKind.SYNC, 52 * MS, 3), (EventKind.END, end, 0)]


def test_the_supply_cuts_the_current_and_the_measurement_shows_why():
    clock = ManualClock(0)
    emulator = EmulatedStimulator(CERESTIM, clock.now_ns, np.full(96, 190_000))
    emulator.configure(Waveform(1, 100_000, 100_000, 200, 200, 60, 1, 10_000))
    emulator.load(Program((Group(((4, 1),)),)))
    emulator.play()
    clock.advance(10 * MS)
    told = emulator.telemetry()
    assert told.charge_pc[4] == 50 * 200  # 9.5 V through 190 kohm are 50 uA
    assert told.limited.nonzero()[0].tolist() == [4]
    measured = emulator.measure(4)
    assert measured.impedance_ohm == 190_000
    assert measured.millivolts == (0, -1900, 0, 1900, 0)


def test_the_codes_are_the_makers():
    # BStimulator.h 4.01
    known = {-109: "INVALID_AMPLITUDE", -117: "STIMULI_MODULES", -119: "CHANNEL_USED_IN_GROUP", -132: "ECHO_ERROR"}
    known |= {-122: "PHASE_NOT_BALANCED", -123: "PHASE_GREATER_MAX", -131: "DEVICE_LOCKED", -102: "SEQUENCE_ERROR"}
    assert {code: StimulatorCode(code).name for code in known} == known
    assert sorted(code.value for code in StimulatorCode if code <= -100) == [*range(-132, -101), -100]


def test_a_patient_on_the_bench_sees_what_a_labs_client_stimulates(hand_rig):
    clock = ManualClock(0)
    person = BenchPatient(hand_rig)
    rhx = IntanCommands(stimulator_of("intan_rhs", clock.now_ns, on_delivered=person.feel))
    words = "stimenabled true|source keypressf1|pulseortrain pulsetrain|numberofstimpulses 100"
    words += "|pulsetrainperiodmicroseconds 3333|firstphasedurationmicroseconds 200|secondphasedurationmicroseconds 200"
    words += "|firstphaseamplitudemicroamps 100|secondphaseamplitudemicroamps 100"
    rhx.answer(";".join(f"set a-001.{word}" for word in words.split("|")))
    assert rhx.answer("execute uploadstimparameters a-001; set runmode run") == ""
    clock.advance(200 * MS)
    rhx.answer("get runmode")
    assert person.visible() == 0
    assert rhx.answer("execute manualstimtriggerpulse f1") == ""
    clock.advance(300 * MS)
    rhx.answer("set runmode stop")
    assert person.world.brightness()[1] > 0


@pytest.mark.parametrize("name", ["cerestim_r96", "intan_rhs", "ripple_nano", "asic_1024"])
def test_a_driver_keeps_any_device_at_the_newest_pattern(name):
    clock = ManualClock(0)
    emulator = stimulator_of(name, clock.now_ns, impedance_ohm=np.full(capabilities(config(name)).electrodes, 10_000))
    driver = StimulatorDriver(emulator, 60)
    first, second = full(np.full(96, 20.0)), full(np.where(np.arange(96) < 48, 40.0, 0.0))
    before = np.zeros(96, np.int64)
    for pattern in (first, second, full(np.zeros(96))):
        for _ in range(10):
            compiled = driver.deliver(pattern)
            clock.advance(33 * MS)
        charge = emulator.telemetry().charge_pc[:96]
        rate = np.where(compiled.pattern.amplitude_ua > 0, compiled.pattern.rate_hz, 0)
        width = emulator.capabilities.on_clock(170)
        expected = compiled.pattern.amplitude_ua * width * rate * 0.33
        # a train of channels is over after 250 ms and starts again with the next pattern
        np.testing.assert_allclose(charge - before, expected, rtol=0.06)
        before = charge
    assert not emulator.telemetry().refused
