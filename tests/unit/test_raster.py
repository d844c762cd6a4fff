"""Pulse trains against an event by event count, and the five-point read-back against the circuit's own equations."""

from __future__ import annotations

import numpy as np
import pytest

from prosthesis.wire import Configuration, Modulated
from prosthesis_sim.frontend import Circuit
from prosthesis_sim.raster import Raster


def configuration(rates_hz, slots, slot_us=500):
    n = len(slots)
    return Configuration(
        Modulated.RATE, 16, 500, 8, 50, slot_us, np.full(n, 200, np.uint16), np.full(n, 1000, np.uint32),
        (np.asarray(rates_hz) * 1000).astype(np.uint32), np.asarray(slots, np.uint8),
    )  # fmt: skip


def test_counted_in_any_pieces_it_is_the_same_train():
    c = configuration([300, 100, 70, 300], [0, 1, 1, 2])
    amplitude = np.array([1000, 1000, 1000, 0])
    whole = Raster(c, 5)
    train = whole.train(5, 1_000_000_005, amplitude, c)
    pieces, rng, t, count = Raster(c, 5), np.random.default_rng(0), 5, np.zeros(4, np.int64)
    while t < 1_000_000_005:
        end = min(t + int(rng.integers(1, 20_000_000)), 1_000_000_005)
        pulses = np.zeros(4, np.int32)
        pieces.pulses(t, end, amplitude, pulses)
        count, t = count + pulses, end
    assert count.tolist() == [sum(p.electrode == n for p in train) for n in range(4)]
    assert count.tolist() == pytest.approx([300, 100, 70, 0], abs=1)


def test_slots_never_overlap_and_no_pulse_is_half():
    c = configuration([300, 300, 100, 45], [0, 1, 1, 2])
    train = Raster(c, 0).train(0, 300_000_000, np.full(4, 1000), c)
    for a in train:
        for b in train:
            if c.slot[a.electrode] != c.slot[b.electrode]:
                assert a.end_ns <= b.start_ns or b.end_ns <= a.start_ns
        (t0, first), (t1, none), (t2, second), (t3, end) = a.edges()
        assert (t1 - t0) * first + (t3 - t2) * second == 0
        assert (none, end) == (0, 0)


@pytest.mark.parametrize("rate_hz", [300, 299, 150.5, 7])
def test_nobody_is_driven_faster_than_asked(rate_hz):
    c = configuration([300, rate_hz], [0, 1])
    train = Raster(c, 0).train(0, 3_000_000_000, np.full(2, 1000), c)
    starts = np.array([p.start_ns for p in train if p.electrode == 1])
    assert len(starts) <= 3 * rate_hz + 1
    raster_ns = 1e9 / 300
    assert np.diff(starts).min() > 1e9 / rate_hz - raster_ns - 2


def test_new_rates_restart_nothing():
    c = configuration([100, 100], [0, 1])
    raster = Raster(c, 0)
    for t in range(0, 1_000_000_000, 3_000_000):
        raster.set_rates(np.array([100_000, 50_000]))
        count = np.zeros(2, np.int32)
        raster.pulses(t, t + 3_000_000, np.ones(2, np.int64), count)
    assert raster.visits(0, 1_000_000_000)[:2].tolist() == [100, 100]
    assert count.max() <= 1


def test_the_five_voltages_are_those_of_rs_and_cdl():
    # 10 kohm, 100 nF, no faradaic current to speak of; 20 uA x 200 us = 4 nC: 200 mV over Rs, 40 mV over Cdl
    circuit = Circuit(np.array([10.0]), np.array([100.0]), np.array([1e6]))
    before, first, gap, second, after = circuit.read_back(
        np.array([20.0]), np.array([200.0]), 50.0, np.array([0.0]), np.array([0.0])
    )[:, 0]
    assert before == 0
    assert first == pytest.approx(-0.24, rel=1e-4)
    assert gap == pytest.approx(-0.04, rel=1e-4)
    assert second == pytest.approx(0.2, rel=1e-3)
    assert after == pytest.approx(0.0, abs=1e-5)
    missing = circuit.read_back(np.array([20.0]), np.array([200.0]), 50.0, np.array([1.0]), np.array([0.0]))[:, 0]
    assert missing[4] == pytest.approx(-0.04, rel=1e-4), "what the missing phase left behind"
    assert circuit.impedance_kohm()[0] == pytest.approx(abs(10 + 1 / (2j * np.pi * 1e3 * 100e-9) / 1e3), rel=1e-4)


def test_a_faradaic_path_loses_charge():
    lossy = Circuit(np.array([10.0]), np.array([100.0]), np.array([0.01]))  # tau = 1 ms
    after = lossy.read_back(np.array([20.0]), np.array([200.0]), 500.0, np.array([0.0]), np.array([0.0]))[4, 0]
    assert after > 0.005
