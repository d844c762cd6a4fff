"""A whole rig drives a stimulator on the bench instead of an implant by one line of its YAML; the guard still rules."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from helpers import HAND

from prosthesis.assembly import connect, run_rig
from prosthesis.calibration.impedance import measure_kohm
from prosthesis.cli import main
from prosthesis.config import find, load_rig
from prosthesis.errors import ConfigError, LinkError
from prosthesis.messages import ImplantState, Refusal, Telemetry
from prosthesis.modulator import PulseModulator
from prosthesis.stimulator.model import StimulatorState
from prosthesis.stimulator.profile import capabilities
from prosthesis.stimulator.wired import WiredSession
from prosthesis.timing import ManualClock
from prosthesis_sim.backends.bench import stimulator_of
from prosthesis_sim.backends.intan import IntanServer
from prosthesis_sim.backends.stimulator import EmulatedStimulator

MS = 1_000_000


class Box:
    """An Intan-style command server at a port of its own, with what its electrodes got."""

    def __init__(self):
        self.pieces = []
        self.emulator = stimulator_of("intan_rhs", time.monotonic_ns, on_delivered=self.pieces.append)
        self.server, self._over = IntanServer(self.emulator, port=0), threading.Event()
        self._thread = threading.Thread(target=self.server.run, args=(self._over.is_set,))
        self._thread.start()

    def stop(self):
        self._over.set()
        self._thread.join()


@pytest.fixture
def box():
    made = Box()
    yield made
    made.stop()


@pytest.fixture
def lab(tmp_path):
    """The hand-checkable rig with an Intan's profile."""
    folder = Path(shutil.copytree(Path(HAND).parent, tmp_path / "lab"))
    rig = folder / "rig.yaml"
    rig.write_text(rig.read_text().replace("stimulator: stimulator.yaml", "stimulator: intan_rhs"))
    return rig


def with_line(rig, line):
    rig.write_text(rig.read_text() + line + "\n")
    return str(rig)


def test_one_line_of_the_rig_swaps_the_emulator_for_a_box_on_tcp(lab, box, capsys):
    line = f"backend: intan://127.0.0.1:{box.server.port}"
    assert main(["run", with_line(lab, line), "--seconds", "2", "--headless"]) == 0
    out, said = capsys.readouterr()
    assert "1 session(s)" in out
    assert "intan_rhs connected" not in said  # the state that is told is the newest
    assert "measures no impedances" in said
    assert "implant is stimulating" in said
    told = box.emulator.telemetry()
    assert (told.pulses[:4] > 0).all()
    assert not told.pulses[4:].any()
    assert not told.net_charge_pc.any()
    # hard limits of the hand rig: 60 uA calibrated; 100 Hz
    assert max(float(piece.amplitude_ua.max()) for piece in box.pieces) <= 60
    assert told.pulses.max() <= 100 * 2.5
    assert told.state is StimulatorState.STOPPED


def test_what_the_device_cannot_do_is_in_the_guards_report(tmp_path, box):
    shipped = find("rigs", "utah96").read_text()
    rig = tmp_path / "rig.yaml"
    rig.write_text(shipped.replace("stimulator: neuroport96", "stimulator: intan_rhs"))
    passages = []

    def on_frame(passage, summary):
        if passage and passage.sent:
            passages.append(passage)
        return len(passages) < 3

    run_rig(load_rig(with_line(rig, f"backend: intan://127.0.0.1:{box.server.port}")), 20, on_frame=on_frame)
    newest = passages[-1]
    # 170 us are five samples of 33.3 us, written 167
    assert {i.worst for i in newest.guard.interventions if i.rule == "stimulator pulse width"} == {3.0}
    on = newest.allowed.amplitude_ua > 0
    np.testing.assert_array_equal(newest.allowed.pulse_width_us[on], 167)
    told = box.emulator.telemetry()
    assert set(np.flatnonzero(told.pulses)) <= set(np.flatnonzero(load_rig("utah96").calibration.column("enabled")))
    assert np.count_nonzero(told.pulses) > 20


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("backend: usb0", "'usb0' is no stimulator's address; write one of intan://"),
        ("backend: cerestim://0", "cerestim is of style program, stimulator 'intan_rhs' of style channels"),
    ],
)
def test_a_wrong_line_is_told_with_its_file(lab, line, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_rig(with_line(lab, line))
    assert str(lab) in str(caught.value)


def test_a_box_that_is_not_there_is_looked_for_again_and_never_a_crash(lab):
    said = []
    rig = load_rig(with_line(lab, "backend: intan://127.0.0.1:1"))
    summary = run_rig(rig, 1.0, say=said.append)
    assert summary.sent == summary.sessions == 0
    assert "no RHX command server at 127.0.0.1:1" in said[0]


class Bench:
    """A wired session with an emulator, in manual time; each connection is a new plug into the same device."""

    def __init__(self, rig, profile="intan_rhs", **options):
        self.clock = ManualClock(1_000_000_000)
        self.emulator = EmulatedStimulator(capabilities(rig.stimulator), self.clock.now_ns, **options)
        self.modulator = PulseModulator(rig)
        self.session = WiredSession(lambda: self.emulator, self.modulator.configuration, 0.1, self.clock)
        self.seq = 0

    def frame(self, codes=(50, 0, 0, 40), ms=33, age_ms=0):
        self.seq += 1
        t_ns = self.clock.now_ns() - age_ms * MS
        sent = self.session.send(self.session.seal(self.seq, t_ns, np.asarray(codes, np.uint16)))
        self.clock.advance(ms * MS)
        return sent

    def told(self):
        found = []
        while (said := self.session.receive()) is not None:
            found.append(said)
        return found


@pytest.fixture
def bench(lab):
    made = Bench(load_rig(str(lab)))
    made.session.open()
    return made


def test_nothing_is_played_before_it_is_armed_or_after_it_is_stopped(bench):
    assert not bench.frame()
    bench.session.arm()
    assert bench.frame()
    assert bench.emulator.telemetry().pulses[:4].tolist() == [4, 0, 0, 4]  # 33 ms at 100 Hz
    bench.session.stop()
    pulses = bench.emulator.telemetry().pulses.copy()
    assert not bench.frame()
    np.testing.assert_array_equal(bench.emulator.telemetry().pulses, pulses)


def test_a_host_that_goes_quiet_leaves_a_device_that_ends_by_itself(bench):
    bench.session.arm()
    bench.frame(ms=10_000)
    # a tenth of a second at 100 Hz, whatever happens to the host
    assert bench.emulator.telemetry().pulses[0] == 10
    assert bench.emulator.telemetry().state is StimulatorState.STOPPED
    assert bench.told()[-1].state is ImplantState.HOLD


def test_a_stale_pattern_is_not_obeyed_and_counted(bench):
    bench.session.arm()
    assert not bench.frame(age_ms=101)
    assert bench.told()[-1].refused[Refusal.STALE] == 1


def test_a_device_that_counts_tells_what_it_delivered(bench):
    bench.session.arm()
    bench.frame()
    bench.frame()
    first, second, health = bench.told()
    assert first.charge_pc.tolist() == [0, 0, 0, 0]
    assert second.charge_pc.tolist() == [4 * 50 * 200, 0, 0, 4 * 40 * 200]
    assert isinstance(health, Telemetry)
    assert (health.state, health.accepted) == (ImplantState.STIMULATING, 2)


def test_a_locked_device_is_safe_silent_and_says_why(bench):
    bench.session.arm()
    bench.frame()
    bench.emulator.abort()
    assert not bench.frame((20, 20, 20, 20))
    health = bench.told()[-1]
    assert health.state is ImplantState.SAFE
    assert "DEVICE_LOCKED" in health.reason


def test_impedances_are_the_devices_own(bench):
    rig = load_rig(HAND)
    bench.emulator._impedance_ohm[2] = 70_000
    assert measure_kohm(bench.session, rig)[[0, 2]].tolist() == [50, 70]


def test_connecting_fails_in_the_links_words(lab):
    rig = load_rig(with_line(lab, "backend: intan://127.0.0.1:1"))
    with ExitStack() as stack:
        session, _ = connect(rig, ManualClock(1), stack)
        with pytest.raises(LinkError, match="Remote TCP Control"):
            session.open()


def test_a_reset_connects_anew_and_leaves_the_device_silent_until_it_is_armed(bench):
    bench.session.arm()
    bench.frame()
    bench.session.stop()
    assert bench.session.reset().refusal is Refusal.NONE
    assert not bench.frame()
    bench.session.permit()
    bench.session.arm()
    assert bench.frame()
