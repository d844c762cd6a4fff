import numpy as np
import pytest
from sklearn.linear_model import Ridge

from prosthesis.errors import ProsthesisError
from prosthesis_train.reading.banded import fit_banded, fit_with, ridge_path


def made(seed, n=200, noise=(0.5, 2.0)):
    """Targets f64[n,4]; the first band sees two of them finely, the second the others coarsely."""
    random = np.random.default_rng(seed)
    targets = random.standard_normal((n, 4))
    bands = []
    for part, width, sd in ((targets[:, :2], 12, noise[0]), (targets[:, 2:], 60, noise[1])):
        bands.append(part @ random.standard_normal((2, width)) * 7 + sd * 7 * random.standard_normal((n, width)) + 3)
    return bands, targets


@pytest.mark.parametrize("n", [30, 200])  # fewer rows than columns, and more
@pytest.mark.parametrize("alphas", [(1.0, 1.0), (0.3, 40.0)])
def test_against_scikit_learn_on_scaled_bands_side_by_side(n, alphas):
    bands, targets = made(0, n)
    new, _ = made(1, 50)
    x, x_new = (
        np.concatenate([(b - b0.mean(0)) / b0.std(0) / a**0.5 for b, b0, a in zip(of, bands, alphas, strict=True)], 1)
        for of in (bands, new)
    )
    expected = Ridge(alpha=1.0).fit(x, targets).predict(x_new)
    assert fit_with(bands, targets, np.array(alphas)).predict(new) == pytest.approx(expected, abs=1e-8)


def test_every_penalty_of_a_path_against_scikit_learn():
    random = np.random.default_rng(0)
    for shape in ((40, 15), (15, 40)):
        x, y, new = (
            random.standard_normal(shape),
            random.standard_normal((shape[0], 3)),
            random.standard_normal((5, shape[1])),
        )
        for alpha, found in zip((0.1, 10.0), ridge_path(x, y, new, (0.1, 10.0)), strict=True):
            expected = Ridge(alpha=alpha, fit_intercept=False).fit(x, y).predict(new)
            assert found == pytest.approx(expected, abs=1e-9)


def test_both_bands_together_beat_each_alone():
    (train, targets), (test, truth) = made(2), made(2, 2)
    bands, z = made(3, 600)
    train, targets, test, truth = [b[:300] for b in bands], z[:300], [b[300:] for b in bands], z[300:]
    both = ((fit_banded(train, targets).predict(test) - truth) ** 2).mean()
    alone = [((fit_banded([train[k]], targets).predict([test[k]]) - truth) ** 2).mean() for k in (0, 1)]
    assert both < 0.6 * min(alone)


def test_pure_noise_beside_costs_next_to_nothing():
    costs = []
    for seed in range(8):
        bands, z = made(seed, 400)
        noise = np.random.default_rng(100 + seed).standard_normal((400, 200))
        errors = []
        for of in ([bands[0]], [bands[0], noise]):
            fitted = fit_banded([b[:200] for b in of], z[:200])
            errors.append(((fitted.predict([b[200:] for b in of]) - z[200:]) ** 2).mean())
        costs.append(errors[1] / errors[0] - 1)
    assert np.mean(costs) < 0.02
    assert max(costs) < 0.1


def test_one_penalty_for_all_would_cost_a_lot():
    # what banded ridge is for: the same noise under the fine band's penalty
    bands, z = made(0, 400)
    noise = np.random.default_rng(9).standard_normal((400, 190))
    plain = fit_with([bands[0][:200], noise[:200]], z[:200], np.array([1.0, 1.0]))
    banded = fit_banded([bands[0][:200], noise[:200]], z[:200])
    errors = [((f.predict([bands[0][200:], noise[200:]]) - z[200:]) ** 2).mean() for f in (plain, banded)]
    assert errors[1] < 0.6 * errors[0]
    assert banded.alphas[1] > 10 * banded.alphas[0]


def test_a_constant_column_counts_for_nothing():
    bands, z = made(0)
    with_constant = np.concatenate([bands[0], np.full((200, 1), 7.0)], axis=1)
    new = np.concatenate([bands[0], np.linspace(-50, 50, 200)[:, None]], axis=1)
    one, other = (fit_with([b], z, np.ones(1)) for b in (bands[0], with_constant))
    assert other.predict([new]) == pytest.approx(one.predict([bands[0]]), abs=1e-10)


def test_what_cannot_be_fitted_is_one_line():
    bands, z = made(0)
    with pytest.raises(ProsthesisError, match="do not go together"):
        fit_banded([bands[0], bands[1][:-1]], z)
    with pytest.raises(ProsthesisError, match="too few"):
        fit_banded([bands[0][:9]], z[:9])
    bands[0][3, 3] = np.nan
    with pytest.raises(ProsthesisError, match="NaN"):
        fit_banded(bands, z)
    with pytest.raises(ProsthesisError, match="columns were fitted"):
        fit_with([bands[1]], z, np.ones(1)).predict([bands[0]])
