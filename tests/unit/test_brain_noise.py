from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis_sim.brain import POISSON, Course, Noise, counts, noise_ceiling, psth, spike_trains


def test_variance_is_that_of_goris_and_the_gain():
    noise, rates = Noise(0.5, 0.3), np.tile([5.0, 20.0, 100.0], (40_000, 1))
    got = counts(rates, 0.2, np.random.default_rng(0), noise)
    mean = rates[0] * 0.2
    assert got.mean(axis=0) == pytest.approx(mean, rel=0.02)
    assert got.var(axis=0) == pytest.approx(mean + 0.25 * mean**2, rel=0.06)
    assert got.var(axis=0) / got.mean(axis=0) == pytest.approx(noise.fano(mean), rel=0.06)


def test_shared_gain_correlates_sites_as_the_closed_form_says():
    noise, rates = Noise(0.4, 0.5), np.tile([30.0, 30.0, 90.0], (60_000, 1))
    found = np.corrcoef(counts(rates, 0.2, np.random.default_rng(1), noise).T)
    mean = rates[0] * 0.2
    wanted = noise.correlation(mean[:, None], mean)
    assert found[np.triu_indices(3, 1)] == pytest.approx(wanted[np.triu_indices(3, 1)], abs=0.015)
    alone = np.corrcoef(counts(rates, 0.2, np.random.default_rng(1), Noise(0.4, 0.0)).T)
    assert alone[np.triu_indices(3, 1)] == pytest.approx(0, abs=0.015)


def test_without_gain_noise_it_is_poisson():
    got = counts(np.full((40_000, 1), 50.0), 0.2, np.random.default_rng(2), POISSON)
    assert got.var() / got.mean() == pytest.approx(1, abs=0.03)


@given(st.floats(0, 2), st.floats(0, 1), st.floats(0.1, 50), st.floats(0.1, 50))
def test_a_correlation_is_one(gain_sd, shared, first, second):
    noise = Noise(gain_sd, shared)
    assert 0 <= noise.correlation(np.array(first), np.array(second)) <= shared + 1e-9


def test_the_same_seed_gives_the_same_counts():
    rates = np.full((3, 4), 20.0)
    assert np.array_equal(*(counts(rates, 0.2, np.random.default_rng(7)) for _ in range(2)))


def test_trains_have_the_counts_and_the_course_of_their_rates():
    rates, spontaneous, course = np.tile([40.0, 5.0], (8000, 1)), np.array([10.0, 5.0]), Course()
    spikes = spike_trains(rates, spontaneous, 0.2, np.random.default_rng(3), POISSON)
    number = spikes.counts()
    assert number.mean(axis=0) == pytest.approx([8, 1], rel=0.03)
    assert number.var(axis=0) == pytest.approx([8, 1], rel=0.05)
    seen, t = psth(spikes, 0.01), np.arange(0.005, 0.2, 0.01)
    wanted = 10 + 30 * course.density(t, 0.2)
    assert seen[:, 0] == pytest.approx(wanted, rel=0.1)
    assert seen[:, 1] == pytest.approx(np.full(20, 5.0), rel=0.3)
    assert seen[:5, 0] == pytest.approx(np.full(5, 10.0), rel=0.15), "silent above spontaneous until the latency"
    assert seen[5, 0] > 1.5 * seen[-1, 0], "a transient"
    assert seen.mean(axis=0) == pytest.approx(number.mean(axis=0) / 0.2)


def test_a_course_keeps_the_mean_and_needs_to_begin():
    fine = (np.arange(20_000) + 0.5) / 20_000 * 0.3
    assert Course().density(fine, 0.3).mean() == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="latency"):
        Course().density(fine, 0.04)


def test_the_noise_ceiling_is_the_correlation_of_the_truth_with_the_mean():
    random = np.random.default_rng(4)
    truth = random.normal(0, 1, (2000, 5))
    repeats = truth + np.array([0.0, 0.5, 1.0, 2.0, 4.0]) * random.standard_normal((6, 2000, 5))
    mean = repeats.mean(axis=0)
    known = [np.corrcoef(truth[:, k], mean[:, k])[0, 1] for k in range(5)]
    assert noise_ceiling(repeats) == pytest.approx(known, abs=0.02)
    # Spearman and Brown's prophecy from two halves
    a, b = repeats[:3].mean(axis=0), repeats[3:].mean(axis=0)
    half = np.array([np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(5)])
    assert noise_ceiling(repeats) == pytest.approx(np.sqrt(2 * half / (1 + half)), abs=0.04)


def test_where_there_is_no_signal_the_ceiling_is_low_and_nothing_divides_by_zero():
    pure = np.random.default_rng(5).standard_normal((4, 3000, 2))
    assert (noise_ceiling(pure) < 0.25).all()
    assert np.array_equal(noise_ceiling(np.ones((3, 10, 2))), np.zeros(2))
    with pytest.raises(ValueError, match="2 repeats"):
        noise_ceiling(np.ones((1, 10, 2)))
