"""Shipped models: export equals torch, cards pin every byte, the classifier is the one its card says."""

import json
from dataclasses import asdict

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the desk needs prosthesis[train]")
pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")
pytest.importorskip("onnx", reason="export needs prosthesis[export]")

from prosthesis.errors import ProsthesisError  # noqa: E402
from prosthesis_export import generators as exporter  # noqa: E402
from prosthesis_train.artefacts import MODELS, artefact_names, load_artefact  # noqa: E402
from prosthesis_train.data import fashion  # noqa: E402
from prosthesis_train.data.images import ImageSet, open_images  # noqa: E402
from prosthesis_train.methods import bigbigan, classifier, dcgan  # noqa: E402
from prosthesis_train.networks.bigbigan import Encoder, Generator, size_named  # noqa: E402
from prosthesis_train.networks.dcgan import Generator as PlainGenerator  # noqa: E402
from prosthesis_train.scores import card as cards  # noqa: E402
from prosthesis_train.studies import gallery  # noqa: E402
from prosthesis_train.studies import generators as study  # noqa: E402
from prosthesis_train.training import checkpoint  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for k in range(600):
        small = random.integers(0, 256, (4, 4, 1)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{k}.png"), cv2.resize(small, (32, 32), interpolation=cv2.INTER_NEAREST))
    return folder


def shaken(network):
    """Weights and running statistics as after training: at the start gains are 0 or 1 and hide mistakes."""
    random = torch.Generator().manual_seed(3)
    for value in network.state_dict().values():
        if value.dtype == torch.float32:
            value.add_(0.1 * torch.rand(value.shape, generator=random) - 0.05)
    return network.state_dict()


def run_folder(folder, settings, networks):
    state = {"step": 7, "seconds": 61.0, "digest": "", "settings": json.dumps(asdict(settings)), **networks}
    checkpoint.save(folder / checkpoint.NAME, state)
    facts = {"command": "prosthesis train x", "commit": "abc", "settings": {}}
    (folder / "settings.json").write_text(json.dumps(facts))


@pytest.fixture(scope="module")
def big(pictures, tmp_path_factory):
    """An exported BigBiGAN with every trick that changes a network, never trained."""
    run, out = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("big")
    settings = bigbigan.Settings(data=str(pictures), side=32, channels=1, spectral_norm="GD")
    size = size_named(settings.size)
    g, e = Generator(size, 1, bigbigan.tricks_of(settings)), Encoder(size, 1)
    run_folder(run, settings, {"mean_g": shaken(g), "mean_e": shaken(e)})
    differ = exporter.export(run, out)
    return run, out, differ


def test_graphs_equal_torch_at_any_batch(big):
    run, out, differ = big
    assert set(differ) == {"pictures", "mean", "sigma", "features"}
    assert max(differ.values()) < 1e-4
    model, (g, e, _) = load_artefact(out), bigbigan.load(run)
    random = torch.Generator().manual_seed(1)
    for n in (1, 5):
        z = torch.randn(n, model.dim_z, generator=random)
        with torch.no_grad():
            made, (mean, sigma) = g(z), e(g(z))
        assert torch.allclose(model.generate(z), made, atol=1e-4)
        found = model.encode(made)
        assert torch.allclose(found[0], mean, atol=1e-3)
        assert torch.allclose(found[1], sigma, atol=1e-3)
        assert model.features(made).shape == e.features(made).shape
    assert made.std() > 0.01  # not two flat grays that would be equal anyhow


def test_graphs_are_small_and_keep_no_path(big):
    _, out, _ = big
    for name in ("generator.onnx", "encoder.onnx"):
        content = (out / name).read_bytes()
        assert len(content) < 8_000_000
        for trace in (b"prosthesis_train/", b'.py"', b"site-packages", str(out).encode()):
            assert trace not in content


def test_the_card_tells_where_it_comes_from(big, pictures):
    card = json.loads((big[1] / "model.json").read_text())
    assert card["command"] == "prosthesis train x"
    assert (card["steps"], card["seconds"], card["seed"]) == (7, 61, 0)
    assert card["data_digest"] == open_images(str(pictures), 32, 1).digest


def test_a_changed_graph_is_refused(big, tmp_path):
    for path in big[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    load_artefact(tmp_path)
    graph = tmp_path / "encoder.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(ProsthesisError, match="changed or damaged"):
        load_artefact(tmp_path)
    graph.unlink()
    with pytest.raises(ProsthesisError, match="cannot be read"):
        load_artefact(tmp_path)
    with pytest.raises(ProsthesisError, match="no model there"):
        load_artefact("no-such-model")


def test_scores_go_into_the_card_with_their_controls(big):
    made = exporter.score(big[1], 40)
    rows = json.loads((big[1] / "model.json").read_text())["scores"]["rows"]
    assert set(rows) == {row.condition for row in made.rows} >= {cards.REAL, cards.NOISE, cards.RANDOM, cards.PERMUTED}
    assert f"| {cards.MEAN} |" in (big[1] / "card.md").read_text()
    assert rows[cards.PICTURES]["2AFC pixels"][0] == 1


def test_a_dcgan_has_no_encoder(pictures, tmp_path):
    settings = dcgan.Settings(data=str(pictures), side=32, channels=1, width=8)
    (tmp_path / "run").mkdir()
    run_folder(tmp_path / "run", settings, {"mean_g": shaken(PlainGenerator(32, 1, 8))})
    exporter.main([str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--n", "0"])
    model = load_artefact(tmp_path / "out")
    assert model.generate(torch.zeros(2, 100)).shape == (2, 1, 32, 32)
    assert model.model().encode is None
    with pytest.raises(ProsthesisError, match="has no encoder"):
        model.encode(torch.zeros(1, 1, 32, 32))


def test_the_gallery_shows_what_it_says(big, monkeypatch, tmp_path):
    monkeypatch.setattr(gallery, "artefact_names", lambda: ["big"])
    monkeypatch.setattr(gallery, "load_artefact", lambda name: load_artefact(big[1]))
    page = gallery.make(tmp_path).read_text()
    drawn = {path.name for path in (tmp_path / "images" / "generators").iterdir()}
    assert len(drawn) == 4
    assert all(f"images/generators/{name}" in page for name in drawn)


def test_the_results_have_every_score_every_control_and_both_probes(big, monkeypatch, tmp_path):
    torch.manual_seed(0)
    net = classifier.Classifier().eval()
    (train, y), (test, t) = labelled(80, 0), labelled(60, 1)
    data = ImageSet("bars", train, test, y, t, ("a", "b", "c"), "", "")
    monkeypatch.setattr(classifier, "load", lambda folder=None: (net, "ab" * 32))
    monkeypatch.setattr(study, "open_images", lambda *_: data)
    monkeypatch.setattr(study, "artefact_names", lambda: ["bigbigan-fashion"])
    monkeypatch.setattr(study, "load_artefact", lambda name: load_artefact(big[1]))
    monkeypatch.setattr(cards, "N", 60)
    monkeypatch.setattr(study, "STEPS", 50)
    names = {figure.name: figure for figure in study.measure()}
    for row in (cards.REAL, cards.NOISE, cards.RANDOM, cards.MEAN, cards.RECONSTRUCTED, cards.PERMUTED):
        for score in ("Frechet classifier distance", "KID", "inception score", "precision", "recall", "density"):
            assert f"BigBiGAN, {row}: {score}" in names
        for pairs in ("2AFC pixels", "2AFC features", "top-1"):
            figure = names[f"BigBiGAN, {row}: {pairs}"]
            assert figure.low <= figure.value <= figure.high
    pixels = names["BigBiGAN, linear probe of raw pixels: top-1"].value
    assert pixels > 0.9  # bars are linear in pixels
    assert "BigBiGAN, linear probe of encoder's mean codes: top-1" in names
    assert "BigBiGAN, linear probe of untrained encoder's features: top-1" in names
    gain = names["BigBiGAN, linear probe: features above raw pixels"].value
    assert gain == pytest.approx(100 * (names["BigBiGAN, linear probe of encoder's features: top-1"].value - pixels))
    assert study.draw(tmp_path) == ["generators.png"]
    assert (tmp_path / "generators.png").stat().st_size > 5000


def test_interpolations_keep_the_length_of_random_codes():
    random = torch.Generator().manual_seed(0)
    start, end = torch.randn(3, 400, generator=random), torch.randn(3, 400, generator=random)
    way = gallery._between(start, end).reshape(3, gallery.COLUMNS, 400)
    assert torch.allclose(way[:, 0], start, atol=1e-4)
    assert torch.allclose(way[:, -1], end, atol=1e-4)
    assert way.norm(dim=2).min() > 0.9 * min(start.norm(dim=1).min(), end.norm(dim=1).min())


@pytest.mark.parametrize("name", artefact_names())
def test_every_shipped_model_is_whole(name):
    model = load_artefact(name)
    made = model.generate(torch.zeros(1, model.dim_z))
    assert made.shape == (1, model.card["channels"], model.card["side"], model.card["side"])
    assert made.abs().max() <= 1
    assert {"data_digest", "command", "commit", "seed", "steps", "seconds", "licence", "scores"} <= set(model.card)
    if model.encoder is not None:
        mean, sigma = model.encode(made)
        assert mean.shape == sigma.shape == (1, model.dim_z)
        assert (sigma > 0).all()


def labelled(n, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.integers(0, 90, (n, 32, 32, 1)).astype(np.uint8)
    for k, label in enumerate(labels):
        images[k, 4 + 8 * label : 10 + 8 * label] += 120
    return images, labels.astype(np.int64)


def test_a_classifier_learns_saves_and_is_pinned(tmp_path):
    (train, y), (test, t) = labelled(300, 0), labelled(60, 1)
    data = ImageSet("bars", train, test, y, t, ("a", "b", "c"), "", "")
    settings = classifier.Settings(cycles=((2, 4e-3), (1, 2e-3)), batch=25)
    net = classifier.train(data, settings)
    assert classifier.accuracy(net, test, t) > 0.9
    sha256 = classifier.save(net, tmp_path, {"data": "bars"})
    again, found = classifier.load(tmp_path)
    assert found == sha256
    shown = classifier.to_float(test)
    with torch.no_grad():
        assert torch.equal(again(shown), net(shown))
        assert again.features(shown).shape == (60, 128)
    weights = tmp_path / classifier.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ProsthesisError, match="changed or damaged"):
        classifier.load(tmp_path)
    weights.unlink()
    with pytest.raises(ProsthesisError, match="no classifier"):
        classifier.load(tmp_path)


def test_a_classifier_needs_classes():
    pixels = np.zeros((4, 32, 32, 1), np.uint8)
    with pytest.raises(ProsthesisError, match="has no classes"):
        classifier.train(ImageSet("bare", pixels, pixels, None, None, (), "", ""), classifier.Settings())


@pytest.mark.skipif(not classifier.SHIPPED.is_dir(), reason="the classifier is not trained yet")
def test_the_shipped_classifier_is_small_and_good():
    card = json.loads((classifier.SHIPPED / classifier.CARD).read_text())
    assert card["test_accuracy"] >= 0.91
    assert sum(p.stat().st_size for p in (MODELS / "fashion-classifier").iterdir()) < 1_000_000
    if not fashion.DEBIAN.is_dir():
        pytest.skip("Debian's dataset-fashion-mnist is not installed")
    data = fashion.fashion(32, 1, fashion.DEBIAN)
    net, _ = classifier.load()
    assert classifier.accuracy(net, data.test[:1500], data.test_labels[:1500]) > 0.89
