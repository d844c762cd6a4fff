"""Maps between machine codes and brain codes: exactness, closed forms, other libraries, bad input."""

import io
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LinearRegression, Ridge

from prosthesis.codemap import CodeMap, Coupling, load_codemap
from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_train.reading import linear, maps
from prosthesis_train.reading.bijection import Settings, bijection
from prosthesis_train.reading.judging import correlation, jacobian_spectrum, judge, latent_error, round_trip
from prosthesis_train.reading.maps import KINDS, choose, fit_map

EXACT = ("ols", "gls", "ridge", "procrustes", "pca", "bijection", "chosen")
QUICK = Settings(exponent=-0.25, encoding=1.0, epochs=6, hidden=32, layers=4, batch=250)


def trials(n_trials, d, n, seed=0, noise=1.0, bend=0.0):
    """Codes, and responses that are linear in them up to ``bend``, with unequal noise."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n_trials, d)) * np.linspace(0.5, 1.5, d)
    w = np.random.default_rng(99).normal(size=(d, n))
    drive = z @ w
    spread = np.linspace(0.5, 2, n) * noise
    return z, 20 + drive + bend * np.exp(drive / 2) + rng.normal(size=(n_trials, n)) * spread


def couplings(d, rng, layers=4, hidden=8, size=0.5):
    out = []
    for k in range(layers):
        order = rng.permutation(d)
        given, moved = (order[: d // 2], order[d // 2 :])[:: 1 if k % 2 else -1]
        sizes = (len(given), hidden, hidden, 2 * len(moved))
        weights = tuple(rng.normal(size=(a, b)) * size for a, b in pairwise(sizes))
        out.append(Coupling(given, moved, weights, tuple(rng.normal(size=b) * size for b in sizes[1:])))
    return tuple(out)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), st.integers(2, 9), st.integers(0, 10**6))
def test_any_layers_are_undone_exactly_in_both_directions(d, n, seed):
    rng = np.random.default_rng(seed)
    z, r = trials(60, d, n, seed)
    start = linear.ols(z, r)
    found = CodeMap("x", *(getattr(start, name) for name in CodeMap.__slots__[1:7]), couplings(d, rng))
    trip = round_trip(found, z, r)
    # three layers of scales up to e amplify rounding; a wrong inverse is off by whole standard deviations
    assert trip.machine_max < 1e-7
    assert trip.brain_max < 1e-7


def test_a_ridge_of_fewer_trials_than_sites_takes_nearly_the_best_penalty_there_is():
    """Without an intercept leave-one-out takes the least penalty here, and new trials are missed by 20 % more."""
    z, r = trials(2100, 20, 300, noise=15.0)
    (few_z, few_r, means), scale = linear.centred(z[:100], r[:100]), linear.spread_of(r[:100])

    def missed(weights):
        return np.square(z[100:] - means[0] - (r[100:] - means[1]) @ weights).mean()

    every = [Ridge(alpha, fit_intercept=False).fit(few_r / scale, few_z).coef_.T for alpha in linear.ALPHAS]
    best = min(missed(weights / scale[:, None]) for weights in every)
    assert missed(linear.ridge_weights(few_r, few_z)) < 1.03 * best


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("n", [5, 12, 30])  # fewer sites than the code's 12 numbers, as many, more
def test_round_trips_of_fitted_maps(kind, n):
    z, r = trials(200, 12, n, bend=0.3)
    found = fit_map(kind, z, r)
    exact = round_trip(found, z, r)
    assert max(exact.machine_max, exact.brain_max) < 1e-10
    single = round_trip(found, z, r, np.float32)
    assert max(exact.machine_rms, exact.brain_rms) < max(single.machine_rms, single.brain_rms) < 3e-6


def test_two_maps_are_no_bijection():
    z, r = trials(200, 6, 20)
    assert round_trip(fit_map("two maps", z, r), z, r).machine_rms > 1e-3


def test_ols_is_the_regression_and_its_pseudo_inverse():
    z, r = trials(100, 5, 9)
    found, fitted = linear.ols(z, r), LinearRegression().fit(z, r)
    np.testing.assert_allclose(found.to_brain(z), fitted.predict(z), atol=1e-9)
    np.testing.assert_allclose(
        found.to_machine(r), (r - r.mean(0)) @ np.linalg.pinv(fitted.coef_.T) + z.mean(0), atol=1e-9
    )


def test_gls_is_the_least_variance_unbiased_decoder():
    z, r = trials(20_000, 4, 10)
    truth = np.random.default_rng(99).normal(size=(4, 10))
    precision = np.diag(1 / np.linspace(0.5, 2, 10) ** 2)
    ideal = precision @ truth.T @ np.linalg.inv(truth @ precision @ truth.T)
    found = linear.gls(z, r)
    np.testing.assert_allclose(found.brain_code @ found.machine_basis, ideal, atol=0.01)
    assert latent_error(found.to_machine(r), z) < latent_error(linear.ols(z, r).to_machine(r), z)


def test_canonical_pairs_are_those_of_another_library():
    z, r = trials(4000, 4, 6, noise=2)
    found = linear.canonical(z, r, 0.0).at(0.0)
    x = (z - z.mean(0)) @ found.machine_code
    q = (r - r.mean(0)) @ found.brain_code
    ours = np.array([np.corrcoef(x[:, k], q[:, k])[0, 1] for k in range(4)])
    a, b = CCA(4, scale=False, max_iter=5000, tol=1e-10).fit_transform(z, r)
    theirs = np.array([np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(4)])
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_the_exponent_goes_from_the_best_encoder_to_the_best_decoder():
    z, r = trials(3000, 6, 15, noise=3)
    encoder, decoder = linear.canonical(z, r, 0.0).at(1.0), linear.canonical(z, r, 0.0).at(-1.0)
    # the codes' covariance is shrunk a little, so nearly
    assert correlation(encoder.to_brain(z), linear.ols(z, r).to_brain(z)).min() > 0.9995
    regression = LinearRegression().fit(r, z).predict(r)
    assert correlation(decoder.to_machine(r), regression).min() > 0.9995
    between = [latent_error(linear.canonical(z, r, 0.0).at(p).to_machine(r), z) for p in (1, 0.5, 0, -0.5, -1)]
    assert between == sorted(between, reverse=True)


def test_procrustes_is_orthogonal():
    z, r = trials(500, 6, 6)
    found = linear.procrustes(z, (r - r.mean(0)) / r.std(0))
    whole = found.machine_code @ found.brain_basis
    scaled = whole.T @ whole
    np.testing.assert_allclose(scaled, np.eye(6) * scaled[0, 0], rtol=1e-2, atol=1e-2 * scaled[0, 0])


def test_layers_start_as_the_linear_map_and_then_beat_it_on_bent_responses():
    z, r = trials(3000, 8, 24, bend=0.8)
    train, test = slice(0, 2500), slice(2500, None)
    still = bijection(z[train], r[train], settings=replace(QUICK, epochs=0))
    own = np.random.default_rng(0).permutation(2500)[312:]
    start = linear.canonical(z[train][own], r[train][own], QUICK.shrink).at(QUICK.exponent)
    np.testing.assert_allclose(still.to_machine(r), start.to_machine(r), atol=1e-5)
    trained = bijection(z[train], r[train], settings=QUICK)
    others = (z[train], r[train])
    before, after = judge(start, z[test], r[test], others), judge(trained, z[test], r[test], others)
    assert after.latent_error < 0.9 * before.latent_error
    assert after.mean_r > before.mean_r


def test_torch_and_numpy_say_the_same():
    from prosthesis_train.reading.bijection import _Couplings

    d = 7
    torch.manual_seed(0)
    network = _Couplings(d, Settings(layers=3, hidden=8))
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn_like(p))
    z, r = trials(50, d, d)
    start = linear.ols(z, r)
    network.basis = torch.from_numpy(start.machine_basis.astype(np.float32))
    found = network.as_map(start)
    q = (r - r.mean(0)) @ start.brain_code
    theirs = network.decode(torch.from_numpy(q.astype(np.float32))).detach().numpy()
    np.testing.assert_allclose(found.to_machine(r) - z.mean(0), theirs, atol=1e-4)
    back = network.encode(torch.from_numpy((z - z.mean(0)).astype(np.float32))).detach().numpy()
    np.testing.assert_allclose(found.to_brain(z), back @ start.brain_basis + r.mean(0), atol=1e-3)


def test_the_choice_is_never_worse_than_gls_within_its_folds():
    z, r = trials(150, 10, 20, noise=4)
    choice = choose(z, r)
    best = next(c for c in choice.tried if c.name == choice.chosen)
    assert choice.tried[0].name == "gls"
    assert best.decoding.mean() <= choice.tried[0].decoding.mean()
    assert best.r.mean() >= (0.95 if best.name == "bijection" else 1.0) * choice.tried[0].r.mean()
    assert best.both <= choice.tried[0].both


def test_fewer_trials_than_numbers():
    z, r = trials(40, 60, 100, noise=3)
    test_z, test_r = trials(300, 60, 100, seed=1, noise=3)
    found = fit_map("chosen", z, r)
    assert np.isfinite(found.to_machine(test_r)).all()
    assert np.isfinite(found.to_brain(test_z)).all()


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_dead_site_is_borne(kind):
    z, r = trials(120, 6, 10)
    r[:, 3] = 7.0
    found = fit_map(kind, z, r)
    np.testing.assert_allclose(found.to_brain(z)[:, 3], 7.0, atol=1e-6)
    assert np.isfinite(found.to_machine(r)).all()


def test_what_is_wrong_with_trials_is_said():
    z, r = trials(40, 3, 5)
    with pytest.raises(ProsthesisError, match="no map is called 'best'"):
        fit_map("best", z, r)
    with pytest.raises(ProsthesisError, match="same trials"):
        fit_map("ols", z[:-1], r)
    with pytest.raises(ProsthesisError, match="too few"):
        fit_map("ols", z[:5], r[:5])
    r[4, 2] = np.nan
    with pytest.raises(ProsthesisError, match="responses: column 2"):
        fit_map("ols", z, r)
    with pytest.raises(ProsthesisError, match="nothing varies"):
        fit_map("ols", z, np.ones((40, 5)))


def test_saved_and_read_again(tmp_path):
    z, r = trials(100, 5, 8)
    found = bijection(z, r, settings=QUICK)
    found.save(tmp_path / "map.npz")
    again = load_codemap(tmp_path / "map.npz")
    np.testing.assert_array_equal(again.to_machine(r), found.to_machine(r))
    np.testing.assert_array_equal(again.to_brain(z), found.to_brain(z))


def test_damaged_files_are_refused(tmp_path):
    z, r = trials(100, 5, 8)
    path = tmp_path / "map.npz"
    with pytest.raises(ConfigError, match="not a readable code map"):
        load_codemap(path)
    bijection(z, r, settings=QUICK).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="not a readable code map"):
        load_codemap(path)
    content = dict(np.load(io.BytesIO(whole)))
    np.savez(path, **{**content, "brain_code": content["brain_code"][:-1]})
    with pytest.raises(ConfigError, match="'brain_code' should be"):
        load_codemap(path)
    np.savez(path, **{**content, "machine_basis": content["machine_basis"] * np.nan})
    with pytest.raises(ConfigError, match="'machine_basis' should be finite"):
        load_codemap(path)


def test_jacobian_of_a_linear_map_is_its_matrix():
    z, r = trials(300, 4, 6)
    found = linear.ols(z, r)
    q_scale = ((found.to_brain(z) - r.mean(0)) @ found.brain_code).std(0)
    matrix = z.std(0)[:, None] * found.machine_code / q_scale
    wanted = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(jacobian_spectrum(found, z)[0], wanted, rtol=1e-4)


def test_correlation_against_numpy():
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    np.testing.assert_allclose(correlation(a, b), [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(3)])
    assert correlation(np.ones((5, 1)), b[:5, :1])[0] == 0


def test_a_layer_is_another_librarys_coupling():
    transforms = pytest.importorskip("zuko.transforms")
    rng = np.random.default_rng(3)
    layer = couplings(6, rng)[0]
    x = rng.normal(size=(20, 6))
    mask = torch.zeros(6, dtype=torch.bool)
    mask[torch.from_numpy(layer.given)] = True
    order = np.argsort(layer.given)  # theirs reads the given numbers, and moves the others, in rising order
    moved = np.argsort(layer.moved)

    def meta(given):
        unsorted = np.empty_like(given.numpy())
        unsorted[:, order] = given.numpy()
        full = np.zeros((len(given), 6))
        full[:, layer.given] = unsorted
        log_scale, shift = layer._read(full)
        soft = log_scale / (1 - np.abs(log_scale) / -np.log(1e-3))  # undoes the bound that theirs puts on the scale
        return transforms.MonotonicAffineTransform(
            torch.from_numpy(shift[:, moved]), torch.from_numpy(soft[:, moved]), slope=1e-3
        )

    theirs = transforms.CouplingTransform(meta, mask)
    there = theirs(torch.from_numpy(x)).numpy()
    scale = theirs.log_abs_det_jacobian(torch.from_numpy(x), torch.from_numpy(there)).numpy().sum(1)
    np.testing.assert_allclose(layer._read(x)[0].sum(1), scale, atol=1e-9)
    np.testing.assert_allclose(layer.forward(x), there, atol=1e-9)
    np.testing.assert_allclose(layer.backward(there), x, atol=1e-9)


@pytest.mark.parametrize(("scarce", "folds", "tries_ours"), [(150, 10, False), (100, 3, True)])
def test_scarce_trials_get_fine_folds_and_no_couplings(monkeypatch, scarce, folds, tries_ours):
    monkeypatch.setattr(maps, "SCARCE", scarce)
    tried = choose(*trials(150, 10, 20, noise=4)).tried
    assert {len(one.decoding) for one in tried} == {folds}
    assert ("bijection" in [one.name for one in tried]) == tries_ours
