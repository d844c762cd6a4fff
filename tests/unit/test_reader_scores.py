"""Scores of a brain reader against closed forms, plain loops and other libraries."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the desk's scores need prosthesis[train]")
pytest.importorskip("sklearn", reason="the desk's scores need prosthesis[train]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from scipy.spatial.distance import pdist  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402

from prosthesis.errors import ProsthesisError  # noqa: E402
from prosthesis_train.scores.reader import null as nulls  # noqa: E402
from prosthesis_train.scores.reader import pairs  # noqa: E402
from prosthesis_train.scores.reader.ceiling import reliability, scored_sites  # noqa: E402
from prosthesis_train.scores.reader.code_probe import CodeProbe  # noqa: E402
from prosthesis_train.scores.reader.conditions import derangement  # noqa: E402
from prosthesis_train.scores.reader.responding import controllability, predictivity  # noqa: E402
from prosthesis_train.scores.two_afc import two_afc  # noqa: E402

torch.set_num_threads(1)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 12), st.integers(0, 999), st.booleans())
def test_a_dealt_score_is_the_score_of_what_was_dealt(n, seed, ties):
    x, y = normal(n, 5, seed=seed), normal(n, 5, seed=seed + 1)
    if ties:
        y[::2] = y[0]
    order, same = np.random.default_rng(seed).permutation(n), np.arange(n)
    weights = pairs.bootstrap_weights(n, 0)
    found = pairs.identified("2AFC", x, y)
    assert found.dealt(same) == pytest.approx(found.value)
    dealt = two_afc(torch.from_numpy(x).float(), torch.from_numpy(y[order]).float()).share
    assert found.dealt(order) == pytest.approx(dealt)
    for make in (lambda y: pairs.latent_error(x, y, weights), lambda y: pairs.correlated("r", x, y, weights)):
        assert make(y).dealt(same) == pytest.approx(make(y).value, abs=1e-6)
        assert make(y).dealt(order) == pytest.approx(make(y[order]).value, abs=1e-6)
    assert pairs.rsa(x, y, 0).dealt(order) == pytest.approx(pairs.rsa(x, y[order], 0).value, abs=1e-9)


def test_latent_error_is_0_for_the_truth_1_for_the_mean_and_2_for_an_unrelated_code():
    z, weights = normal(4000, 10), pairs.bootstrap_weights(4000, 0)
    assert pairs.latent_error(z, z, weights).value == 0
    mean = pairs.latent_error(z, np.repeat(z.mean(0)[None], len(z), 0), weights)
    assert mean.value == pytest.approx(1)
    assert mean.low <= 1 <= mean.high
    assert pairs.latent_error(z, normal(4000, 10, seed=1), weights).value == pytest.approx(2, abs=0.05)


def test_latent_error_interval_is_as_wide_as_repeats_differ():
    runs = [
        pairs.latent_error(normal(80, 4, seed=s), normal(80, 4, seed=500 + s), pairs.bootstrap_weights(80, s))
        for s in range(120)
    ]
    spread = np.std([run.value for run in runs])
    assert np.mean([(run.high - run.low) / (2 * 1.96) for run in runs]) == pytest.approx(spread, rel=0.2)


def test_mean_picture_correlation_against_numpy():
    x, y = normal(7, 20), normal(7, 20) + normal(7, 20, seed=1)
    expected = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)])
    assert pairs.correlated("r", x, y, pairs.bootstrap_weights(7, 0)).value == pytest.approx(expected, abs=1e-6)


def test_rsa_against_scipy():
    x = normal(40, 12)
    y = x + normal(40, 12, seed=1)
    expected = spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic
    found = pairs.rsa(x, y, 0)
    assert found.value == pytest.approx(expected, abs=1e-4)  # distances are rounded to six digits
    assert found.low < found.value < found.high
    assert pairs.rsa(x, x, 0).value == pytest.approx(1)


def test_rsa_of_one_picture_over_and_over_is_0():
    assert pairs.rsa(normal(10, 4), np.ones((10, 4)), 0).value == 0


def test_top1_counts_right_labels():
    found = pairs.top1("top-1", np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0]))
    assert found.value == 0.75
    assert found.dealt(np.array([1, 0, 2, 3])) == 0.25
    assert found.low < 0.75 < found.high


def test_probe_of_codes_reads_classes_and_never_with_the_pictures_own_code():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    codes = np.eye(3)[labels] * 4 + rng.normal(size=(200, 3))
    assert (CodeProbe(codes, labels, 0)(codes) == labels).mean() > 0.9
    noise = rng.normal(size=(200, 150))  # enough dimensions to know every row by heart
    assert (CodeProbe(noise, labels, 0)(noise) == labels).mean() < 0.5


def test_reliability_is_what_signal_and_noise_say():
    rng, repeats, n = np.random.default_rng(0), 4, 20_000
    noise_sd = np.array([0.0, 1.0, 3.0])
    responses = rng.normal(size=(n, 3)) + noise_sd * rng.normal(size=(repeats, n, 3))
    assert reliability(responses) == pytest.approx(repeats / (repeats + noise_sd**2), abs=0.02)


def test_reliability_is_cronbachs_alpha():
    x = normal(3, 30, 5) + normal(30, 5, seed=1)
    k = len(x)
    expected = k / (k - 1) * (1 - x.var(1).sum(0) / x.sum(0).var(0))
    assert reliability(x) == pytest.approx(np.clip(expected, 0, 1))


def test_dead_and_unreliable_sites_are_counted_and_left_out():
    x = normal(1, 200, 4) + 0.3 * normal(3, 200, 4, seed=1)
    x[:, :, 1] = 7.25
    x[:, :, 3] = [normal(200, seed=11), -normal(200, seed=11), normal(200, seed=12)]  # repeats that contradict
    found = scored_sites(x)
    assert (found.dead, found.unreliable) == (1, 1)
    assert found.kept.tolist() == [True, False, True, False]
    assert scored_sites(x[:1]).ceiling is None


def test_controllability_is_1_at_the_noise_ceiling_and_0_for_an_unrelated_picture():
    true = normal(3000, 8)
    responses = true + 1.5 * normal(2, 3000, 8, seed=1)
    sites, weights = scored_sites(responses), pairs.bootstrap_weights(3000, 0)
    measured, corrected = (controllability(sites, true[None], weights, how) for how in (False, True))
    assert measured.value == pytest.approx((2 / (2 + 1.5**2)) ** 0.5, abs=0.03)
    assert corrected.value == pytest.approx(1, abs=0.03)
    # the same brain measured again, as noisily: both ceilings count
    again = controllability(sites, true + 1.5 * normal(2, 3000, 8, seed=2), weights, True)
    assert again.value == pytest.approx(1, abs=0.06)
    unrelated = controllability(sites, normal(1, 3000, 8, seed=3), weights, True)
    assert unrelated.low < 0 < unrelated.high


def test_controllability_of_sites_against_numpy():
    responses, again = normal(1, 30, 3), normal(1, 30, 3) + normal(1, 30, 3, seed=1)
    found = controllability(scored_sites(responses), again, pairs.bootstrap_weights(30, 0), False)
    expected = np.median([np.corrcoef(responses[0, :, s], again[0, :, s])[0, 1] for s in range(3)])
    assert found.value == pytest.approx(expected)
    order = np.random.default_rng(0).permutation(30)
    dealt = np.median([np.corrcoef(responses[0, :, s], again[0, order, s])[0, 1] for s in range(3)])
    assert found.dealt(order) == pytest.approx(dealt, abs=1e-5)


def test_a_site_that_answers_every_reconstruction_alike_counts_as_0():
    responses = normal(1, 50, 3)
    again = np.full((1, 50, 3), 4.2)
    assert controllability(scored_sites(responses), again, pairs.bootstrap_weights(50, 0), False).value == 0


def test_responses_without_a_live_site_are_an_error():
    with pytest.raises(ProsthesisError, match=r"no site can be scored \(2 dead"):
        scored_sites(np.ones((2, 9, 2)))


def test_predictivity_of_linear_unrelated_and_constant_features():
    x = normal(300, 30)
    true = x @ normal(30, 12, seed=1)
    sites = scored_sites(true + true.std() * normal(3, 300, 12, seed=2))
    weights = pairs.bootstrap_weights(300, 0)
    value, low, high = predictivity(sites, x, weights, 0)
    assert value == pytest.approx(1, abs=0.12)
    assert low < value < high
    assert abs(predictivity(sites, normal(300, 30, seed=5), weights, 0)[0]) < 0.2
    assert predictivity(sites, np.ones((300, 30)), weights, 0) == (0, 0, 0)


def test_predictivity_against_scikit_learns_own_cross_validation():
    linear = pytest.importorskip("sklearn.cross_decomposition")
    selection = pytest.importorskip("sklearn.model_selection")
    x = normal(100, 40)
    y = x[:, :6] + normal(100, 6, seed=1)
    folds = np.random.default_rng(3)
    folds.permutation(6)  # which sites, first
    split = selection.PredefinedSplit(folds.permutation(100) % 5)
    predicted = selection.cross_val_predict(linear.PLSRegression(25, scale=False, tol=1e-4), x, y, cv=split)
    expected = np.median([np.corrcoef(predicted[:, s], y[:, s])[0, 1] for s in range(6)])
    found = predictivity(scored_sites(y[None]), x, pairs.bootstrap_weights(100, 0), 3)[0]
    assert found == pytest.approx(expected, abs=0.02)  # ours standardises the responses first


def test_a_row_that_knows_nothing_is_called_out_in_one_of_twenty():
    alarms, n = 0, 24
    for seed in range(100):
        x, y = normal(n, 6, seed=seed), normal(n, 6, seed=1000 + seed)
        weights = pairs.bootstrap_weights(n, seed)
        scores = [pairs.identified("2AFC", x, y), pairs.latent_error(x, y, weights), pairs.rsa(x, y, seed)]
        found = nulls.tested(scores, nulls.permuted(scores, n, seed, 59))
        alarms += any(null.p <= 0.05 for null in found)
    assert 1 <= alarms <= 12  # 5 expected; with p taken singly about 12


def test_what_reads_has_the_least_p_there_is():
    x = normal(40, 6)
    scores = [
        pairs.identified("2AFC", x, x + 0.1 * normal(40, 6, seed=1)),
        pairs.identified("other", x, np.ones((40, 6))),
    ]
    good, blind = nulls.tested(scores, nulls.permuted(scores, 40, 0, 99))
    assert good.p == 1 / 100
    assert good.low < good.mean < good.high < scores[0].value
    assert (blind.p, blind.mean, blind.low, blind.high) == (1, 0.5, 0.5, 0.5)  # no order changes it


def test_a_null_that_does_not_lie_at_half_is_believed():
    """A score of 0.6 is no evidence where refits to permuted pairs reach as much."""
    score = pairs.Paired("2AFC", "identification", 0.6, 0.5, 0.7, lambda order: 0.5)
    artefact = np.random.default_rng(0).normal(0.6, 0.05, (50, 1))
    assert nulls.tested([score], artefact)[0].p > 0.2
    assert nulls.tested([score], artefact - 0.2)[0].p < 0.03


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 50), st.integers(0, 99))
def test_in_a_derangement_nothing_keeps_its_place(n, seed):
    order = derangement(n, np.random.default_rng(seed))
    assert sorted(order) == list(range(n))
    assert (order != np.arange(n)).all()
