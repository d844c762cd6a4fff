"""The implant emulator behind its door, driven by the device's own session in manual time."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from lab import MS, DirectLink, Lab, refused

from prosthesis import control
from prosthesis.config import Limit, load_rig
from prosthesis.control import Command
from prosthesis.errors import LinkError
from prosthesis.limits import guard_limits
from prosthesis.messages import BrainCode, ImplantState, Refusal
from prosthesis.safety import Guard
from prosthesis.wire import PacketType, split, stop_packet


@pytest.fixture
def lab(hand_rig):
    return Lab(hand_rig)


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
    assert lab.implant.state is ImplantState.STOPPED
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


def changed(model, **values):
    return model.model_copy(update=values)


def by_rate(rig, **values):
    return replace(rig, config=changed(rig.config, modulator=changed(rig.config.modulator, modulate="rate", **values)))


def test_modulated_by_rate_each_electrode_pulses_at_its_own(hand_rig):
    lab = Lab(by_rate(hand_rig))
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


def hard(part, **values):
    limits = {name: Limit(value=value, source="made up") for name, value in values.items()}
    return changed(part, limits=changed(part.limits, hard=changed(part.limits.hard, **limits)))


@pytest.mark.parametrize("limit", ["none", "compliance", "slot current", "average charge"])
def test_modulated_by_rate_what_the_guard_allows_is_what_is_delivered(hand_rig, limit):
    rig = by_rate(hand_rig, fixed_amplitude=1.0)
    if limit == "compliance":  # 0.9 x 10 V / 300 kohm = 30 uA of 60
        rig = replace(rig, calibration=changed(rig.calibration, impedance_kohm=(300.0,) * 4))
    if limit == "slot current":  # two of 60 uA share a slot
        rig = replace(rig, stimulator=hard(rig.stimulator, slot_current_ua=70.0))
    if limit == "average charge":  # 60 uA x 200 us x 100 Hz = 1200 nC/s
        rig = replace(rig, array=hard(rig.array, average_charge_nc_per_s=300.0))
    lab, guard = Lab(rig), Guard(guard_limits(rig))
    lab.session.open()
    lab.session.arm()
    state, delivered_nc, driven = guard.initial(), 0.0, 0
    for seq in range(300):
        wanted = lab.modulator.modulate(BrainCode(seq, 0, np.array([1, 0.5, 1, 0], np.float32), 0))
        allowed, _, state = guard.allow(wanted, state, 0.033)
        on = np.asarray(allowed.amplitude_ua) > 0
        for piece in lab.frame(lab.modulator.codes(allowed), dt_ms=33):
            assert piece.amplitude_ua.tolist() == pytest.approx(allowed.amplitude_ua.tolist())
            assert not piece.pulses[~on].any()
            delivered_nc += float((piece.pulses * piece.amplitude_ua * piece.pulse_width_us).sum()) * 1e-3
        driven += int(on.sum())
    assert 0 < driven <= 900
    assert (driven < 900) == (limit == "average charge")
    # the guard has not yet booked the last frame, and counts pulses that the clock has begun
    assert delivered_nc == pytest.approx(1e3 * state.session_uc, rel=0.02)


def test_configured_anew_it_wants_ten_fresh_frames_again(lab):
    lab.stimulating()
    lab.wait(400)
    for _ in range(10):
        lab.frame()
    assert lab.session.arm().refusal is Refusal.NONE
    lab.session.command(Command.CONFIGURE, lab.modulator.configuration.encode())
    assert lab.implant.state is ImplantState.SAFE
    assert lab.session.arm().refusal is Refusal.NOT_READY


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"slot_us": 499}, Refusal.TIMING),  # 2 x 200 us, 50 between and 50 to recover
        ({"interphase_us": 201, "slot_us": 651}, Refusal.TIMING),
        ({"interphase_us": 200, "slot_us": 650}, Refusal.NONE),
        ({"lsb": 99}, Refusal.CODE_RANGE),
        ({"bits": 11}, Refusal.CODE_RANGE),
    ],
)
def test_a_configuration_beyond_its_hardware_is_refused(lab, change, reason):
    assert lab.implant.configure(replace(lab.modulator.configuration, **change)) is reason


def test_fixed_amplitudes_between_two_steps_of_the_dac_are_refused(hand_rig):
    lab = Lab(by_rate(hand_rig))
    between = replace(lab.modulator.configuration, amplitude_na=np.full(4, 40_050, np.uint32))
    assert lab.implant.configure(between) is Refusal.CODE_RANGE


def test_a_rate_below_the_stimulators_slowest_drives_nothing(hand_rig):
    lab = Lab(by_rate(replace(hand_rig, stimulator=changed(hand_rig.stimulator, rate_hz=(20.0, 500.0)))))
    lab.session.open()
    lab.session.arm()
    pieces = [piece for _ in range(50) for piece in lab.frame((39, 40, 0, 0), dt_ms=20)]  # 19.5 and 20 Hz
    assert sum(p.pulses.astype(int) for p in pieces).tolist() == pytest.approx([0, 20, 0, 0], abs=1)
    assert lab.implant.receipt().refusal.tolist() == [Refusal.TIMING, 0, 0, 0]


@pytest.mark.parametrize(("scale", "reason"), [("macro", Refusal.CHARGE_DENSITY), ("micro", Refusal.NONE)])
def test_shannons_law_holds_in_the_implant_for_macro_contacts(hand_rig, scale, reason):
    array = hard(hand_rig.array, shannon_k=0.5)  # sqrt(10^0.5 x 1e-4 cm2) = 17.783 nC a phase, 88.91 uA x 200 us
    lab = Lab(replace(hand_rig, array=changed(array, contact=changed(array.contact, scale=scale))))
    lab.session.open()
    lab.session.arm()
    lab.frame((889, 0, 0, 0))
    assert not lab.implant.receipt().refusal.any()
    lab.frame((890, 0, 0, 0))
    assert lab.implant.receipt().refusal[0] == reason


def test_a_code_wider_than_the_dac_loses_its_own_tile_and_no_other():
    lab = Lab(load_rig("icvp400", uncalibrated=True)).stimulating()
    codes = np.zeros(400, np.uint16)
    codes[[0, 64]] = 3, 1 << lab.modulator.configuration.bits
    lab.link.send(lab.message(codes))
    assert refused(lab, Refusal.LAYOUT) == 1
    amplitude = lab.wait(1)[0].amplitude_ua
    assert amplitude[0] > 0
    assert not amplitude[64:128].any()


@pytest.mark.parametrize("offset_ns", [2_000_000_000, -(1 << 63)])
def test_an_offset_that_puts_the_devices_time_beyond_its_messages_is_refused(lab, offset_ns):
    lab.session.open()
    assert lab.session.command(Command.OFFSET, struct.pack("<q", offset_ns)).refusal is Refusal.LAYOUT
    assert lab.implant.offset_ns == 0


def test_a_capture_time_beyond_its_messages_is_stale(lab):
    lab.stimulating()
    lab.implant.offset_ns = -(1 << 63)
    lab.seq += 1
    lab.link.send(lab.session.seal(lab.seq, lab.clock.now_ns() + (1 << 63), np.array([300, 0, 0, 0], np.uint16)))
    assert refused(lab, Refusal.STALE) == 1


def test_a_deadline_that_time_has_run_past_falls_due_before_anything_is_delivered(lab):
    lab.stimulating()
    message = lab.message((300, 0, 0, 0))  # expires in 100 ms
    received_ns = lab.clock.now_ns() + 50 * MS
    lab.implant.advance(received_ns + 51 * MS)  # ahead, as an emulator may be at low rates
    lab.implant.receive(list(split(message)), received_ns)
    pieces = lab.implant.advance(received_ns + 60 * MS)
    assert not any(piece.amplitude_ua.any() for piece in pieces)
