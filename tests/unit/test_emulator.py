"""The emulator's time and air: how far it may run ahead, and what waits for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
import zmq
from lab import MS, Wired

from prosthesis.config import RadioConfig
from prosthesis.messages import ImplantState, Receipt
from prosthesis.wire import stop_packet
from prosthesis_sim.serve import Server


def with_rate(rig, rate_hz):
    modulator = rig.config.modulator.model_copy(update={"rate_hz": float(rate_hz)})
    return replace(rig, config=rig.config.model_copy(update={"modulator": modulator}))


@pytest.mark.parametrize("rate_hz", [100, 20, 8, 5, 3])
def test_fresh_frames_keep_it_stimulating_at_any_pulse_rate(hand_rig, rate_hz):
    wired = Wired(with_rate(hand_rig, rate_hz))
    wired.emulator.implant.changes()
    charge_pc = 0
    for _ in range(300):
        wired.session.send(wired.message())
        while (said := wired.session.receive()) is not None:
            charge_pc += int(said.charge_pc[0]) if isinstance(said, Receipt) else 0
        wired.clock.advance(33 * MS)
    assert [state for state, _ in wired.emulator.implant.changes()] == [ImplantState.STIMULATING]
    assert charge_pc / (20 * 200) == pytest.approx(9.9 * rate_hz, abs=1 + 0.1 * rate_hz)  # it may be 100 ms ahead


def test_stop_overtakes_the_pattern_that_waits_for_the_air(hand_rig):
    radio = RadioConfig(rate_kbps=200, delay_ms=1)  # some 2 ms for a pattern
    wired = Wired(replace(hand_rig, link=hand_rig.link.model_copy(update={"radio": radio})))
    wired.emulator.hear(wired.message())
    wired.wait(20)
    assert wired.emulator.implant.state is ImplantState.STIMULATING
    wired.emulator.hear(wired.message())
    wired.emulator.hear(stop_packet(0, 0))
    wired.emulator.hear(wired.message())
    wired.emulator.hear(wired.message())
    wired.wait(6)
    assert wired.emulator.implant.state is ImplantState.STOPPED
    assert wired.emulator.implant.skipped == 1


@pytest.mark.parametrize("order", ["stop first", "stop last"])
def test_the_server_skips_old_patterns_but_no_stop(hand_rig, order):
    stop, old, new = stop_packet(0, 0), b"old pattern", b"new pattern"
    arrived = [stop, old, new] if order == "stop first" else [old, new, stop]
    heard = []

    class Socket:
        def recv(self, flags):
            if not arrived:
                raise zmq.Again
            return arrived.pop(0)

    server = Server.__new__(Server)
    server._patterns, server._emulator = Socket(), Wired(hand_rig).emulator
    server._emulator.hear = heard.append
    assert server._hear_newest()
    assert sorted(heard) == sorted([stop, new])
    assert server._emulator.implant.skipped == 1


def test_what_comes_up_takes_the_air_time_of_its_bytes_and_never_queues(hand_rig):
    radio = RadioConfig(rate_kbps=2, delay_ms=3)
    wired = Wired(replace(hand_rig, link=hand_rig.link.model_copy(update={"radio": radio, "ttl_ms": 1000})))
    emulator = wired.emulator
    emulator.arrived_up()
    wired.wait(2000)
    emulator.receipt()
    size = 52 + 12 + 5 * 4  # a packet's own, sequence and time, and five bytes an electrode
    wired.wait(size * 8 // 2 - 2)
    emulator.receipt()  # the way is busy: none is made
    assert emulator.arrived_up() == []
    wired.wait(7)
    (packet,) = emulator.arrived_up()
    assert len(packet) == size
    wired.wait(2000)
    assert emulator.arrived_up() == []
