from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis.config import RadioConfig, load_rig
from prosthesis.timing import ManualClock
from prosthesis_sim.channel import Channel
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.patient import load_world

MS = 1_000_000


def test_a_perfect_air_delivers_at_once_and_in_order():
    channel = Channel(RadioConfig(), 0)
    channel.send([b"a", b"b"], 5)
    assert channel.arrivals(5) == [b"a", b"b"]
    assert channel.next_arrival_ns() is None


def test_delay_and_serialisation_add_up():
    # 1320 bytes at 200 kb/s take 52.8 ms, and one follows the other
    channel = Channel(RadioConfig(delay_ms=3.0, rate_kbps=200), 0)
    channel.send([bytes(1320), bytes(1320)], 0)
    assert channel.next_arrival_ns() == pytest.approx(55.8 * MS, abs=1)
    assert len(channel.arrivals(int(55.9 * MS))) == 1
    assert channel.next_arrival_ns() == pytest.approx((2 * 52.8 + 3) * MS, abs=2)


@pytest.mark.parametrize(("loss", "burst"), [(0.01, 3.0), (0.05, 6.0), (0.2, 1.5)])
def test_loss_and_its_bursts_are_as_long_as_stated(loss, burst):
    channel = Channel(RadioConfig(loss=loss, mean_burst=burst), 1)
    n = 200_000
    got = []
    for i in range(n):
        before = channel.lost
        channel.send([b"x"], i)
        got.append(channel.lost - before)
    lost = np.array(got)
    bursts = np.flatnonzero(np.diff(np.concatenate(([0], lost, [0]))) == 1).size
    assert lost.mean() == pytest.approx(loss, rel=0.12)
    assert lost.sum() / bursts == pytest.approx(burst, rel=0.12)


def test_one_seed_is_one_weather():
    def weather(seed):
        channel = Channel(RadioConfig(loss=0.3), seed)
        channel.send([bytes([i]) for i in range(200)], 0)
        return channel.arrivals(0)

    assert weather(1) == weather(1) != weather(2)


def test_a_slow_air_carries_the_newest_pattern_and_counts_the_ones_it_had_no_time_for():
    rig = load_rig("icvp400", uncalibrated=True)
    radio = RadioConfig(rate_kbps=1000)
    rig = replace(rig, link=rig.link.model_copy(update={"radio": radio}))
    clock = ManualClock(10)
    key = X25519PrivateKey.generate()
    emulator = Emulator(rig, load_world(rig.config.world), key, frozenset(), 0, clock.now_ns, see=False)
    sent = []
    emulator.channel.send = lambda packets, now_ns: sent.append(b"".join(packets)) or occupy(now_ns)

    def occupy(now_ns):
        emulator.channel._free_ns = now_ns + 8 * MS

    for i in range(100):  # a message a millisecond over an air that takes eight for each
        emulator.hear(bytes([i]) * 60)
        clock.advance(MS)
        emulator.step()
    assert 12 <= len(sent) <= 14
    carried = [message[0] for message in sent]
    assert all(b - a >= 7 for a, b in itertools.pairwise(carried))
    assert emulator.implant.skipped == 100 - len(sent) - (emulator._waiting is not None)
