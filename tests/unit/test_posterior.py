"""Posterior of a code map: closed form, coverage, exact inverse."""

import numpy as np
import pytest

from prosthesis.errors import ProsthesisError
from prosthesis_train.reading import linear
from prosthesis_train.reading.posterior import coverage, fit_posterior


def gaussian(n_trials, seed):
    rng = np.random.default_rng(seed)
    w = np.random.default_rng(7).normal(size=(5, 12))
    z = rng.normal(size=(n_trials, 5))
    return z, z @ w + rng.normal(size=(n_trials, 12)) * np.linspace(0.5, 3, 12), w


def test_of_a_gaussian_world_it_is_bayes_posterior_and_covers():
    z, r, w = gaussian(8000, 0)
    decoder = linear.canonical(z, r, 0.0).at(-1.0)
    held_z, held_r, _ = gaussian(4000, 1)
    found = fit_posterior(decoder, held_z, held_r)
    precision = np.eye(5) + w @ np.diag(1 / np.linspace(0.5, 3, 12) ** 2) @ w.T
    np.testing.assert_allclose(found.factor.T @ found.factor, np.linalg.inv(precision), atol=0.02)
    test_z, test_r, _ = gaussian(4000, 2)
    each, joint = coverage(found, test_z, test_r, 0.9)
    assert each == pytest.approx(0.9, abs=0.01)
    assert joint == pytest.approx(0.9, abs=0.02)


def test_too_narrow_a_posterior_is_seen_not_to_cover():
    z, r, _ = gaussian(2000, 0)
    found = fit_posterior(linear.canonical(z, r, 0.0).at(-1.0), z, r)
    narrow = type(found)(found.code_map, found.mean, found.factor / 2)
    assert max(coverage(narrow, z, r, 0.9)) < 0.7


def test_samples_have_the_factors_spread_and_are_undone():
    z, r, _ = gaussian(2000, 0)
    found = fit_posterior(linear.gls(z, r), z, r)
    drawn = found.sample(r[:3], 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(drawn[:, 1].T), found.factor.T @ found.factor, atol=0.03)
    e = found.nuisance(drawn[0], r[:3])
    again = found.code_map.to_machine(r[:3]) + found.mean + e @ found.factor
    np.testing.assert_allclose(again, drawn[0], atol=1e-12)


def test_too_few_trials_are_refused():
    z, r, _ = gaussian(100, 0)
    with pytest.raises(ProsthesisError, match="5 trials for the errors of 5 numbers"):
        fit_posterior(linear.gls(z, r), z[:5], r[:5])
