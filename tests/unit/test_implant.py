"""The implant emulator behind its door, driven by the device's own session in manual time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis import control
from prosthesis.config import load_rig
from prosthesis.control import Command
from prosthesis.errors import LinkError
from prosthesis.messages import ImplantState, Refusal
from prosthesis.modulator import PulseModulator
from prosthesis.session import Credentials, Session
from prosthesis.timing import ManualClock
from prosthesis.wire import PacketType, split, stop_packet
from prosthesis_sim.door import ImplantDoor
from prosthesis_sim.implant import Implant

MS = 1_000_000


class DirectLink:
    """Hands bytes to an implant at once."""

    def __init__(self, implant, door, clock):
        self.implant, self.door, self.clock, self.sent = implant, door, clock, []

    def send(self, data):
        self.sent.append(data)
        self.implant.receive(list(split(data)), self.clock.now_ns())
        return True

    def receive(self, timeout_s):
        return None

    def request(self, data, timeout_s):
        self.implant.advance(self.clock.now_ns())
        return self.door.answer(data, self.clock.now_ns())

    def close(self):
        pass


class Lab:
    def __init__(self, rig, allowed=True):
        self.clock = ManualClock(1_000_000_000)
        implant_key, device_key = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        known = frozenset([device_key.public_key().public_bytes_raw()] if allowed else [])
        self.implant = Implant(rig, self.clock.now_ns())
        self.door = ImplantDoor(self.implant, implant_key, known)
        self.link = DirectLink(self.implant, self.door, self.clock)
        self.modulator = PulseModulator(rig)
        credentials = Credentials(device_key, implant_key.public_key().public_bytes_raw())
        self.session = Session(self.link, credentials, self.modulator.configuration, rig.link.ttl_ms, self.clock)
        self.seq = 0

    def message(self, codes):
        self.seq += 1
        return self.session.seal(self.seq, self.clock.now_ns(), np.asarray(codes, np.uint16))

    def frame(self, codes=(200, 0, 0, 0), dt_ms=10):
        self.link.send(self.message(codes))
        return self.wait(dt_ms)

    def wait(self, ms):
        self.clock.advance(round(ms * MS))
        return self.implant.advance(self.clock.now_ns())

    def stimulating(self):
        self.session.open()
        assert self.session.arm().refusal is Refusal.NONE
        self.frame()
        assert self.implant.state is ImplantState.STIMULATING
        return self


@pytest.fixture
def lab(hand_rig):
    return Lab(hand_rig)


def refused(lab, reason):
    return lab.implant.telemetry(0).refused[reason]


def test_it_powers_up_silent_and_ignores_frames_until_armed(lab):
    assert lab.implant.state is ImplantState.SILENT
    lab.session.open()
    pieces = lab.frame()
    assert sum(p.pulses.sum() for p in pieces) == 0
    assert refused(lab, Refusal.NOT_ARMED) == 1


def test_armed_and_fed_it_delivers_whole_pulses_at_the_configured_rate(lab):
    lab.stimulating()
    pieces = [piece for _ in range(30) for piece in lab.frame(dt_ms=33.3)]
    pulses = sum(p.pulses.astype(int) for p in pieces)
    assert abs(pulses[0] - 999 * 100 / 1000) <= 1
    assert pulses[1:].sum() == 0
    assert pieces[-1].amplitude_ua[0] == pytest.approx(20.0)


def test_frames_do_not_restart_the_pulse_clock(lab):
    lab.stimulating()
    # a frame every 3 ms, pulses every 10: a restarted clock would never pulse, or pulse every frame
    pieces = [piece for _ in range(100) for piece in lab.frame(dt_ms=3)]
    assert sum(int(p.pulses[0]) for p in pieces) in (30, 31)


def test_receipts_report_the_charge_of_one_phase_in_picocoulomb(lab):
    lab.stimulating()
    lab.implant.receipt()
    for _ in range(5):
        lab.frame(dt_ms=20)
    receipt = lab.implant.receipt()
    assert receipt.charge_pc.tolist() == [10 * 20 * 200, 0, 0, 0]  # 10 pulses x 20 uA x 200 us
    assert receipt.seq == lab.seq


def test_no_new_pulses_once_the_time_to_live_is_over_and_safe_after_250_ms(lab):
    lab.stimulating()
    pieces = lab.wait(1000)
    assert sum(p.dt_ns for p in pieces) == 1000 * MS
    silent_from = next(p.t0_ns for p in pieces if not p.amplitude_ua.any())
    assert silent_from - 1_000_000_000 == 100 * MS
    assert lab.implant.state is ImplantState.SAFE
    assert "250 ms" in lab.implant.reason


def test_a_short_gap_is_held_and_resumed_without_arming(lab):
    lab.stimulating()
    lab.wait(150)
    assert lab.implant.state is ImplantState.HOLD
    lab.frame()
    assert lab.implant.state is ImplantState.STIMULATING


def test_after_safe_it_wants_ten_fresh_frames_and_then_arming(lab):
    lab.stimulating()
    lab.wait(400)
    for _ in range(9):
        assert lab.frame()[0].pulses.sum() == 0
    assert lab.session.arm().refusal is Refusal.NOT_READY
    lab.frame()
    assert lab.session.arm().refusal is Refusal.NONE
    lab.frame()
    assert lab.implant.state is ImplantState.STIMULATING


@pytest.mark.parametrize("sealed", [True, False])
def test_stop_is_obeyed_at_once_sealed_or_not(lab, sealed):
    lab.stimulating()
    if sealed:
        lab.session.command(Command.STOP)
    else:
        lab.link.send(stop_packet(123, 0))
    assert lab.implant.state is ImplantState.SAFE
    assert sum(p.pulses.sum() for p in lab.wait(50)) == 0


def test_abort_locks_until_reset(lab):
    lab.stimulating()
    lab.session.command(Command.ABORT)
    assert lab.implant.state is ImplantState.LOCKED
    assert lab.session.arm().refusal is Refusal.LOCKED
    lab.frame()
    assert lab.implant.state is ImplantState.LOCKED
    lab.session.reset()
    assert lab.session.arm().refusal is Refusal.NONE


def test_replayed_and_reordered_frames_change_nothing(lab):
    lab.stimulating()
    old = lab.link.sent[-1]
    lab.frame((0, 0, 0, 0))
    lab.link.send(old)
    assert refused(lab, Refusal.REPLAYED) == 1
    assert lab.wait(10)[0].amplitude_ua.tolist() == [0, 0, 0, 0]


def test_a_stale_frame_is_refused(lab):
    lab.stimulating()
    late = lab.message((300, 0, 0, 0))
    lab.clock.advance(101 * MS)
    lab.link.send(late)
    assert refused(lab, Refusal.STALE) == 1


def test_clocks_that_disagree_are_aligned(hand_rig):
    lab = Lab(hand_rig)
    ahead = 5_000_000_000_000

    class Skewed(DirectLink):
        def send(self, data):
            self.implant.receive(list(split(data)), self.clock.now_ns() + ahead)
            return True

        def request(self, data, timeout_s):
            self.implant.advance(self.clock.now_ns() + ahead)
            return self.door.answer(data, self.clock.now_ns() + ahead)

    lab.session._link = lab.link = Skewed(lab.implant, lab.door, lab.clock)
    lab.session.open()
    assert lab.implant.offset_ns == ahead
    lab.session.arm()
    lab.link.send(lab.message((200, 0, 0, 0)))
    assert lab.implant.state is ImplantState.STIMULATING


def test_frames_of_an_older_session_or_configuration_are_refused(lab):
    lab.stimulating()
    old = lab.message((1000, 0, 0, 0))
    lab.session.open()
    lab.link.send(old)
    assert refused(lab, Refusal.SESSION) == 1
    assert lab.implant.state is ImplantState.SAFE


def test_a_recorded_open_does_not_disturb_the_running_session(lab):
    opens = []
    request = lab.link.request
    lab.link.request = lambda data, timeout_s: (opens.append(data), request(data, timeout_s))[1]
    lab.stimulating()
    lab.door.answer(opens[0], lab.clock.now_ns())
    lab.frame()
    assert lab.implant.state is ImplantState.STIMULATING


def test_a_device_that_is_not_allowed_gets_no_session(hand_rig):
    with pytest.raises(LinkError, match="not among its allowed keys"):
        Lab(hand_rig, allowed=False).session.open()


def test_an_impostor_without_the_implants_key_is_noticed(hand_rig):
    lab = Lab(hand_rig)
    lab.door._identity = X25519PrivateKey.generate()
    with pytest.raises(LinkError, match="not authentic"):
        lab.session.open()


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ((1001, 0, 0, 0), Refusal.AMPLITUDE),  # 100.1 uA against 100
        ((800, 800, 0, 0), Refusal.NONE),  # neighbours in one row pulse in different slots
        ((800, 0, 800, 0), Refusal.SLOT_CURRENT),
    ],
)
def test_its_own_limits_refuse_what_a_guard_should_have_stopped(hand_rig, codes, reason):
    lab = Lab(hand_rig)
    slots = lab.modulator.configuration.slot.tolist()
    lab.session.open()
    lab.session.arm()
    if reason is Refusal.SLOT_CURRENT:  # put both strong ones into one slot, wherever the raster has it
        pair = [i for i in range(4) if slots[i] == slots[0]][:2]
        codes = [800 if i in pair else 0 for i in range(4)]
    if reason is Refusal.NONE:
        other = next(i for i in range(4) if slots[i] != slots[0])
        codes = [800 if i in (0, other) else 0 for i in range(4)]
    piece = lab.frame(codes, dt_ms=100 - 1)[0]
    receipt = lab.implant.receipt()
    if reason is Refusal.NONE:
        assert not receipt.refusal.any()
        assert piece.pulses.sum() > 0
    else:
        assert set(receipt.refusal[np.asarray(codes) > 0]) == {reason}
        assert piece.pulses.sum() == 0


def test_what_flows_back_is_sealed_and_survives(lab):
    lab.stimulating()
    packet = lab.implant.seal_up(PacketType.TELEMETRY, control.encode_telemetry(lab.implant.telemetry(5)))
    lab.link.receive = lambda timeout_s: packet
    telemetry = lab.session.receive()
    assert telemetry.state is ImplantState.STIMULATING
    assert telemetry.accepted == 1
    packet = packet[:-6] + b"\0" + packet[-5:]
    assert lab.session.receive() is None


def test_a_tile_that_keeps_getting_lost_goes_silent_alone():
    lab = Lab(load_rig("icvp400", uncalibrated=True)).stimulating()
    codes = np.full(400, 3)
    lab.frame(codes, dt_ms=1)
    for _ in range(6):  # 120 ms of frames of which only the first 64 electrodes' tile arrives
        first_tile = next(split(lab.message(codes)))
        lab.link.send(first_tile)
        pieces = lab.wait(20)
    assert lab.implant.state is ImplantState.STIMULATING
    assert pieces[-1].amplitude_ua[:64].all()
    assert not pieces[-1].amplitude_ua[64:].any()


def test_modulated_by_rate_each_electrode_pulses_at_its_own(hand_rig):
    modulator = hand_rig.config.modulator.model_copy(update={"modulate": "rate"})
    lab = Lab(replace(hand_rig, config=hand_rig.config.model_copy(update={"modulator": modulator})))
    lab.session.open()
    lab.session.arm()
    pieces = [piece for _ in range(100) for piece in lab.frame((200, 100, 50, 0), dt_ms=20)]
    pulses = sum(p.pulses.astype(int) for p in pieces)
    assert pulses.tolist() == pytest.approx([200, 100, 50, 0], abs=1)  # 2 s at 100, 50, 25 and 0 Hz
    assert pieces[-1].amplitude_ua.tolist() == pytest.approx([40, 40, 40, 0])


def test_a_frame_from_the_future_is_refused(lab):
    lab.stimulating()
    lab.seq += 1
    ahead = lab.session.seal(lab.seq, lab.clock.now_ns() + 101 * MS, np.array([300, 0, 0, 0], np.uint16))
    lab.link.send(ahead)
    assert refused(lab, Refusal.STALE) == 1


@pytest.mark.parametrize("rate_mhz", [0, 999, 500_001])
def test_a_rate_that_the_stimulator_cannot_keep_is_refused(lab, rate_mhz):
    configuration = replace(lab.modulator.configuration, rate_mhz=np.full(4, rate_mhz, np.uint32))
    assert lab.implant.configure(configuration) is Refusal.TIMING
