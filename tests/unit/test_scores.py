"""Scores against closed forms, plain loops and hand-made sets."""

import functools
import hashlib
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the desk's scores need prosthesis[train]")
pytest.importorskip("torchmetrics", reason="the desk's scores need prosthesis[train]")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from scipy.linalg import sqrtm  # noqa: E402

from prosthesis.errors import ProsthesisError  # noqa: E402
from prosthesis_train.scores import card as cards  # noqa: E402
from prosthesis_train.scores.features import FeatureNetwork, averages, inception  # noqa: E402
from prosthesis_train.scores.frechet import frechet, normalised  # noqa: E402
from prosthesis_train.scores.inception import inception_score  # noqa: E402
from prosthesis_train.scores.kid import kid  # noqa: E402
from prosthesis_train.scores.manifold import manifold, radii  # noqa: E402
from prosthesis_train.scores.probe import fit, probe  # noqa: E402
from prosthesis_train.scores.two_afc import two_afc, wilson  # noqa: E402

# small sums: threads that wait for each other take longer than one alone
torch.set_num_threads(1)


def normal(n, k, seed=0):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def white(n, k, seed=0):
    """Rows whose sample mean is 0 and whose sample covariance is exactly the identity."""
    x = normal(n, k, seed)
    x = x - x.mean(0)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(x.T)), x.T, upper=False).T


def test_frechet_distance_of_gaussians_with_known_moments():
    mean, a, b = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 2.0, 0.1]), torch.tensor([0.5, 2.0, 3.0])
    found = frechet(white(50, 3) * a, white(70, 3, 1) * b + mean)
    assert found == pytest.approx(float((mean**2).sum() + ((a - b) ** 2).sum()), rel=1e-6)


def test_frechet_distance_with_covariances_that_do_not_commute():
    x, y = normal(40, 5) @ normal(5, 5, 2), normal(60, 5, 1) @ normal(5, 5, 3) + 1
    sx, sy = np.cov(x.numpy().T), np.cov(y.numpy().T)
    gap = (x.mean(0) - y.mean(0)).numpy()
    expected = gap @ gap + np.trace(sx + sy - 2 * sqrtm(sx @ sy).real)
    assert frechet(x, y) == pytest.approx(expected, rel=1e-6)
    assert frechet(x, x) == pytest.approx(0, abs=1e-5)


def test_frechet_refuses_what_cannot_be_compared():
    with pytest.raises(ProsthesisError, match="one network"):
        frechet(normal(5, 3), normal(5, 4))
    with pytest.raises(ProsthesisError, match="broken down"):
        frechet(normal(5, 3), normal(5, 3) * math.nan)
    with pytest.raises(ProsthesisError, match="at least two"):
        frechet(normal(1, 3), normal(5, 3))


def test_normalised_is_0_at_the_floor_and_1_at_noise():
    assert normalised(2, 2, 10) == 0
    assert normalised(10, 2, 10) == 1
    with pytest.raises(ProsthesisError, match="blind"):
        normalised(1, 2, 2)


def test_kid_against_a_loop():
    x, y = normal(9, 4).float(), normal(9, 4, 1).float() + 0.5

    def kernel(a, b):
        return (float(a @ b) / 4 + 1) ** 3

    n = len(x)
    same = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(a, b) for a in x for b in y) / n**2
    found = kid(x, y, subsets=3)
    assert found.value == pytest.approx(same - 2 * other, rel=1e-4)
    assert found.sd == pytest.approx(0, abs=1e-4)  # each subset is the whole set


def test_kid_is_unbiased_and_repeats():
    same = kid(normal(400, 4).float(), normal(400, 4, 1).float(), subset_size=50)
    far = kid(normal(400, 4).float(), normal(400, 4, 1).float() + 1, subset_size=50)
    assert abs(same.value) < 0.1 < far.value
    assert same == kid(normal(400, 4).float(), normal(400, 4, 1).float(), subset_size=50)


@pytest.mark.parametrize("classes", [2, 10])
def test_inception_score_at_worst_and_at_best(classes):
    same = torch.full((100, classes), 1 / classes)
    assert inception_score(same).value == pytest.approx(1)
    sure = torch.eye(classes).repeat(200, 1)
    assert inception_score(sure, splits=1).value == pytest.approx(classes, rel=1e-6)


def test_inception_score_against_its_formula():
    p = torch.softmax(3 * normal(60, 5), 1)
    expected = math.exp(float((p * (p.log() - p.mean(0).log())).sum(1).mean()))
    assert inception_score(p, splits=1).value == pytest.approx(expected, rel=1e-6)


def test_manifold_scores_of_a_hand_made_set():
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    # nearest neighbours are 1, 1, 1 and 8 away: the ball about 10 reaches from 2 to 18
    fake = torch.tensor([[0.5], [0.6], [17.0], [-5.0]])
    found = manifold(real, fake, k=1)
    assert found.precision == 3 / 4  # -5 is in no ball
    # 0.5 and 0.6 are each in the balls about 0 and 1; 17 is in the one about 10
    assert found.density == pytest.approx((2 + 2 + 1) / 4)
    assert found.coverage == 3 / 4  # nothing within 1 of 2
    # the fakes' balls: 0.1, 0.1, 16.4 (0.6 to 33.4) and 5.5 (-10.5 to 0.5)
    assert found.recall == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_manifold_scores_against_loops(seed, k):
    real, fake = normal(7, 2, seed).float(), normal(6, 2, seed + 1).float()

    def radius(points, i):
        return sorted(float((points[i] - p).norm()) for j, p in enumerate(points) if j != i)[k - 1]

    def held(centres, points):
        return np.array([[float((c - p).norm()) < radius(centres, i) for p in points] for i, c in enumerate(centres)])

    found, in_real, in_fake = manifold(real, fake, k), held(real, fake), held(fake, real)
    assert found.precision == pytest.approx(in_real.any(0).mean())
    assert found.recall == pytest.approx(in_fake.any(0).mean())
    assert found.density == pytest.approx(in_real.sum() / (k * len(fake)))
    assert found.coverage == pytest.approx(in_real.any(1).mean())


def test_a_duplicate_is_a_neighbour_but_the_point_itself_is_not():
    assert radii(torch.tensor([[0.0], [0.0], [3.0]]), 1).tolist() == [0, 0, 3]


def test_manifold_needs_more_pictures_than_neighbours():
    with pytest.raises(ProsthesisError, match="5 neighbours"):
        manifold(normal(5, 2), normal(50, 2))


def test_two_afc_perfect_chance_constant_and_reversed():
    x = normal(300, 20)
    assert two_afc(x, 3 * x + 1).share == 1
    assert two_afc(x, torch.ones_like(x)).share == 0.5
    assert two_afc(x, -x).share == 0
    unrelated = two_afc(x, normal(300, 20, 9))
    assert unrelated.low < 0.5 < unrelated.high


def test_two_afc_against_a_loop():
    x, y = normal(8, 5), normal(8, 5) + 2 * normal(8, 5, 1)
    r = np.corrcoef(x.numpy(), y.numpy())[:8, 8:]
    expected = np.mean([r[i, i] > r[i, j] for i in range(8) for j in range(8) if i != j])
    assert two_afc(x, y).share == pytest.approx(expected)


def test_two_afc_interval_is_as_wide_as_repeats_differ():
    runs = [two_afc(normal(100, 6, s), normal(100, 6, s) + 1.5 * normal(100, 6, 1000 + s)) for s in range(100)]
    spread = np.std([run.share for run in runs])
    claimed = np.mean([(run.high - run.low) / (2 * 1.96) for run in runs])
    assert claimed == pytest.approx(spread, rel=0.15)


def test_wilson_interval():
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_probe_reads_what_is_linear_and_nothing_else():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 900)
    x = (np.eye(3)[labels] @ rng.normal(size=(3, 8)) * 1.5 + rng.normal(size=(900, 8))).astype(np.float32)
    good = probe(x[:600], labels[:600], x[600:], labels[600:], steps=200)
    blind = probe(x[:600], rng.permutation(labels[:600]), x[600:], labels[600:], steps=200)
    assert good.top1 > 0.85
    assert good.low < good.top1 < good.high
    assert blind.top1 < 0.5


def test_probe_finds_what_another_solver_finds():
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3000, 6)).astype(np.float32)
    y = (x @ rng.normal(size=(6, 4)) + rng.gumbel(size=(3000, 4))).argmax(1)
    decay = 1e-2
    ours = fit(torch.from_numpy(x), torch.from_numpy(y), decay, 2000, 0).weight.detach().numpy()
    # its penalty is |W|^2 / 2 on the sum of losses over C, ours on the mean
    theirs = linear.LogisticRegression(C=1 / (decay * len(x)), max_iter=500).fit(x, y).coef_
    assert ours - ours.mean(0) == pytest.approx(theirs - theirs.mean(0), abs=0.08)


def test_probe_chooses_its_strength_without_the_test_rows():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(300, 40)).astype(np.float32), rng.integers(0, 2, 300)
    x[:, 0] += 2 * y
    one = probe(x[:200], y[:200], x[200:], y[200:], steps=100)
    other = probe(x[:200], y[:200], x[200:], 1 - y[200:], steps=100)
    assert one.decay == other.decay
    assert one.top1 == pytest.approx(1 - other.top1)


class FakeInception(torch.nn.Module):
    def forward(self, img: torch.Tensor, return_features: bool = False, no_output_bias: bool = False) -> torch.Tensor:
        flat = img.float().mean([2, 3])
        return flat if return_features else torch.softmax(flat, 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_users_inception_is_checked_and_named(tmp_path):
    path = tmp_path / "their-inception.pt"
    torch.jit.script(FakeInception()).save(str(path))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    net = inception(path, sha256)
    features, odds = net(torch.ones(3, 1, 8, 8))
    assert features.tolist() == [[255.0] * 3] * 3  # gray became RGB of 0..255
    assert odds.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert net.distance == "Frechet Inception distance"
    assert net.label() == f"their-inception.pt, sha256 {sha256[:12]}"
    with pytest.raises(ProsthesisError, match="would mislead"):
        inception(path, "0" * 64)
    with pytest.raises(ProsthesisError, match="cannot be read"):
        inception(tmp_path / "absent.pt", sha256)
    path.write_bytes(b"no network")
    with pytest.raises(ProsthesisError, match="not a TorchScript"):
        inception(path, hashlib.sha256(b"no network").hexdigest())


def test_means_of_squares_need_no_network():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    features, odds = averages(4)(images)
    assert features.shape == (2, 48)
    assert features[1, 16 + 5] == pytest.approx(float(images[1, 1, 4:8, 4:8].mean()))
    assert odds.shape == (2, 1)  # no classes, so the card has no Inception score


# a world of four gray levels in the four quarters: the code is the levels, and the network sees them
def spread(z):
    return torch.tanh(z).reshape(-1, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)


def quarters(images):
    return images.reshape(-1, 2, 4, 2, 4).mean((2, 4)).flatten(1)


@functools.cache
def made_card(encode=True):
    net = FeatureNetwork(
        "quarters", "ab" * 32, "Frechet quarter distance", lambda x: (quarters(x), torch.softmax(4 * quarters(x), 1))
    )
    pictures = spread(normal(350, 4).float())
    back = (lambda x: torch.atanh(quarters(x).clamp(-0.999, 0.999))) if encode else None
    model = cards.Model("toy", 4, spread, back)
    labels = quarters(pictures[200:]).argmax(1)
    return cards.score_card(model, pictures[:200], pictures[200:], net, labels, n=150)


def test_the_card_prints_every_control_with_its_network():
    card = made_card()
    text = cards.table(card)
    wanted = (cards.PICTURES, cards.REAL, cards.NOISE, cards.RANDOM, cards.MEAN, cards.RECONSTRUCTED, cards.PERMUTED)
    for condition in wanted:
        assert f"| {condition} |" in text
    assert "Frechet quarter distance by quarters, sha256 abababababab" in text
    assert "150 test pictures" in text


def test_the_card_tells_a_reader_from_a_dreamer():
    card = made_card()
    value = {row.condition: row for row in card.rows}
    assert value[cards.RECONSTRUCTED].of_pairs["2AFC pixels"][0] > 0.999
    for control in (cards.REAL, cards.NOISE, cards.RANDOM, cards.MEAN, cards.PERMUTED):
        assert value[control].of_pairs["2AFC pixels"][0] == pytest.approx(0.5, abs=0.1)
    # a distance between sets cannot see the pairing: the permuted row scores the same
    assert value[cards.PERMUTED].of_set["distance"] == pytest.approx(
        value[cards.RECONSTRUCTED].of_set["distance"], abs=1e-6
    )
    assert value[cards.RECONSTRUCTED].of_pairs["top-1"][0] > 0.95
    assert value[cards.PERMUTED].of_pairs["top-1"][0] < 0.5
    assert card.normalised(cards.REAL) == 0
    assert card.normalised(cards.NOISE) == 1
    assert abs(card.normalised(cards.RANDOM)) < 0.1 < card.normalised(cards.MEAN)


def test_a_card_repeats_and_needs_no_encoder():
    card = made_card(encode=False)
    assert card == made_card.__wrapped__(encode=False)
    assert [row.condition for row in card.rows][-1] == cards.MEAN


def test_a_card_of_too_few_pictures_is_refused():
    net = FeatureNetwork("q", "0" * 64, "d", lambda x: (quarters(x), quarters(x)))
    with pytest.raises(ProsthesisError, match="10000 pictures are wanted"):
        cards.score_card(cards.Model("toy", 4, spread), torch.zeros(5, 1, 8, 8), torch.zeros(5, 1, 8, 8), net)
