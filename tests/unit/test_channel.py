from __future__ import annotations

import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis.config import RadioConfig, load_rig
from prosthesis.errors import MissingExtraError
from prosthesis.radio import air_bytes, packet_loss
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
    n = 60_000
    got = []
    for i in range(n):
        before = channel.lost
        channel.send([b"x"], i)
        got.append(channel.lost - before)
    lost = np.array(got)
    bursts = np.flatnonzero(np.diff(np.concatenate(([0], lost, [0]))) == 1).size
    # four standard errors: bursts are geometric and independent of each other
    assert lost.mean() == pytest.approx(loss, rel=4 * np.sqrt(2 * burst / (loss * n)))
    assert lost.sum() / bursts == pytest.approx(burst, rel=4 / np.sqrt(bursts))


def test_one_seed_is_one_weather():
    def weather(seed):
        channel = Channel(RadioConfig(loss=0.3), seed)
        channel.send([bytes([i]) for i in range(200)], 0)
        return channel.arrivals(0)

    assert weather(1) == weather(1) != weather(2)


def passed(radio, packets, seed=3, apart_ns=0):
    """Send packets ``apart_ns`` apart; return the channel and (arrival, packet) in order of arrival."""
    channel = Channel(radio, seed)
    for i, packet in enumerate(packets):
        channel.send([packet], i * apart_ns)
    arrived = []
    while (t_ns := channel.next_arrival_ns()) is not None:
        arrived += [(t_ns, packet) for packet in channel.arrivals(t_ns)]
    return channel, arrived


def test_wrong_bits_are_as_many_as_stated_and_anywhere():
    n, size, rate = 2000, 125, 1e-3
    _, arrived = passed(RadioConfig(bit_error=rate), [bytes(size)] * n)
    bits = np.unpackbits(np.frombuffer(b"".join(packet for _, packet in arrived), np.uint8)).reshape(n, -1)
    expected = rate * bits.size
    assert abs(int(bits.sum()) - expected) < 4 * np.sqrt(expected)
    places = bits.sum(axis=0, dtype=int)  # Poisson of mean 2 at each of 1000 places: its variance is its mean
    assert places.var() == pytest.approx(places.mean(), rel=0.25)


def test_the_mean_delay_and_its_spread_are_those_of_the_jitter():
    n = 4000
    _, arrived = passed(RadioConfig(delay_ms=2, jitter_ms=0.5), [b"x"] * n, apart_ns=100 * MS)
    late_ms = np.array([t_ns for t_ns, _ in arrived]) / MS - 100 * np.arange(n) - 2
    # exponential: mean and standard deviation 0.5 ms
    assert late_ms.mean() == pytest.approx(0.5, rel=4 / np.sqrt(n))
    assert late_ms.std() == pytest.approx(0.5, rel=8 / np.sqrt(n))


def test_jitter_alone_puts_nothing_out_of_order():
    packets = [bytes([i]) for i in range(200)]
    _, arrived = passed(RadioConfig(jitter_ms=5), packets, apart_ns=MS)
    assert [packet for _, packet in arrived] == packets


def test_duplicates_and_disorder_are_as_many_as_stated():
    n = 4000
    packets = [i.to_bytes(2, "big") for i in range(n)]
    _, arrived = passed(RadioConfig(duplicate=0.05, reorder=0.02, reorder_ms=3), packets, apart_ns=2 * MS)
    twice = len(arrived) - n
    assert abs(twice - 0.05 * n) < 4 * np.sqrt(0.05 * n)
    late = sum(t_ns > 2 * MS * int.from_bytes(packet, "big") for t_ns, packet in dict.fromkeys(arrived))
    assert abs(late - 0.02 * n) < 4 * np.sqrt(0.02 * n)
    order = [packet for _, packet in arrived]
    assert any(a > b for a, b in itertools.pairwise(order))


def test_outages_come_as_often_and_last_as_long_as_stated():
    n, every_ms = 40_000, 20
    _, arrived = passed(RadioConfig(outage_every_s=4, outage_s=(0.2, 2.0)), [b"x"] * n, apart_ns=every_ms * MS)
    gaps_s = np.diff([t_ns for t_ns, _ in arrived]) / 1e9
    outages = gaps_s[gaps_s > 1.5 * every_ms / 1000]
    expected = n * every_ms / 1000 / (4 + 1.1)
    assert abs(len(outages) - expected) < 4 * np.sqrt(expected)
    assert outages.min() >= 0.2
    assert np.quantile(outages, 0.95) <= 2.0 + 2 * every_ms / 1000
    assert np.median(outages) == pytest.approx(1.1, abs=0.02 + 4 * 0.9 / np.sqrt(len(outages)))


def test_what_is_cut_lets_nothing_through_until_it_is_mended():
    channel = Channel(RadioConfig(), 0)
    channel.cut(10, 20)
    for t_ns in (5, 10, 19, 20):
        channel.send([bytes([t_ns])], t_ns)
    assert channel.arrivals(100) == [b"\x05", b"\x14"]
    channel.cut()
    channel.send([b"x"], 200)
    channel.mend()
    channel.send([b"y"], 201)
    assert channel.arrivals(201) == [b"y"]
    assert channel.lost == 3


@pytest.mark.parametrize("parity", [0, 16])
def test_packets_with_errors_left_are_as_many_as_the_binomial_says(parity):
    pytest.importorskip("reedsolo")
    n, size = 300, 132
    radio = RadioConfig(bit_error=6e-3 if parity else 5e-4, parity=parity)
    channel, arrived = passed(radio, [bytes(size)] * n)
    expected = n * packet_loss(size, radio)
    assert 20 < expected < n - 20
    assert abs(channel.spoiled - expected) < 4 * np.sqrt(expected * (1 - expected / n))
    assert sum(packet != bytes(size) for _, packet in arrived) == channel.spoiled
    assert channel.mended > 0 or not parity


def test_parity_takes_its_time_on_the_air():
    assert air_bytes(132, 16) == 148
    assert air_bytes(1332, 16) == 1332 + 6 * 16  # blocks of 239 bytes
    channel = Channel(RadioConfig(rate_kbps=200, parity=16), 0)
    channel.send([bytes(132)], 0)
    assert channel.free_ns == pytest.approx(148 * 8 / 200 * MS, abs=1)


def test_without_the_extra_the_code_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "reedsolo", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'prosthesis\[fec\]'"):
        Channel(RadioConfig(parity=2), 0)


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
