import numpy as np
import pytest
import torch
from torch import nn

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.photographs import WHEELS, patches
from prosthesis_train.methods import classifier
from prosthesis_train.reading.dream import DreamSettings, activity, dream, layer_outputs
from prosthesis_train.reading.texture import (
    convolutions,
    gram,
    gram_loss,
    kept,
    mean_rates,
    phase_scrambled,
    pixel_shuffled,
    synthesise,
)


def test_of_a_linear_unit_the_dream_is_the_sign_of_its_weights():
    # closed form: the picture in -1..1 that drives w . x most is sign(w); smooth weights, so coarse octaves help too
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    weights = torch.exp(-(x**2 + y**2) * 3) * torch.cos(6 * x + 2 * y)
    settings = DreamSettings(step=0.3, jitter_px=0)
    made = dream(lambda p: (p[:, 0] * weights).sum((1, 2)), torch.zeros(1, 1, 32, 32), settings)
    assert float((made[0, 0] * weights).sum() / weights.abs().sum()) > 0.95


@pytest.mark.parametrize(("layer", "channel"), [("head", 7), ("body.6", None), ("body.6", 3)])
def test_a_dream_drives_its_unit_or_layer_far_above_the_start(layer, channel):
    net, _ = classifier.load()
    objective = activity(net, layer, channel)
    start = 0.1 * torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    made = dream(objective, start)
    assert made.shape == start.shape
    assert made.abs().max() <= 1
    assert (objective(made) > objective(start) + objective(start).abs()).all()
    assert torch.equal(made, dream(objective, start))


def test_activity_against_the_network_itself():
    net, _ = classifier.load()
    pictures = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    assert torch.allclose(activity(net, "head", 4)(pictures), net(pictures)[:, 4])
    inside = net.body[:7](pictures)
    assert torch.allclose(activity(net, "body.6")(pictures), inside.square().mean((1, 2, 3)) / 2)
    assert not any(module._forward_hooks for module in net.modules())


def test_no_such_layer_and_no_gradient_are_one_line():
    with pytest.raises(ProsthesisError, match="no layer 'tail'"):
        activity(classifier.Classifier(), "tail")
    with pytest.raises(ProsthesisError, match="no finite gradient"):
        dream(lambda p: (p * float("nan")).sum((1, 2, 3)), torch.zeros(1, 1, 8, 8))


def test_gram_and_its_loss_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]])  # one picture, two channels, two places
    found = gram(features)
    assert found.tolist() == [[[5.0, 6.0], [6.0, 9.0]]]
    # squared differences 25 + 36 + 36 + 81 over 4 * 2^2 * 2^2
    assert float(gram_loss([found], [torch.zeros(1, 2, 2)], [2])) == pytest.approx(178 / 64)


def test_a_texture_comes_near_its_targets_gram_matrices():
    net, _ = classifier.load()
    brick = torch.from_numpy(patches(WHEELS[3:5], 2, 32, 1, 0)).permute(0, 3, 1, 2) / 127.5 - 1
    said = []
    made = synthesise(brick, net, steps=30, say=said.append)
    noise = torch.randn(brick.shape, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)

    def off(pictures):
        with torch.no_grad():
            a, b = (layer_outputs(net, convolutions(net), p) for p in (pictures, brick))
        return float(gram_loss([gram(f) for f in a], [gram(f) for f in b], [f.shape[2] * f.shape[3] for f in a]))

    assert off(made) < 0.1 * off(noise)
    assert len(convolutions(net)) == 4
    assert len(said) == 3
    # another picture of the texture, not the same one
    assert (np.corrcoef(made[0].flatten(), brick[0].flatten())[0, 1]) < 0.9


def test_controls_keep_what_they_should():
    images = np.random.default_rng(0).random((3, 32, 32), np.float32) * 0.2 + 0.4
    shuffled, scrambled = pixel_shuffled(images), phase_scrambled(images)
    assert np.array_equal(np.sort(shuffled.reshape(3, -1)), np.sort(images.reshape(3, -1)))
    assert np.abs(np.fft.fft2(scrambled)) == pytest.approx(np.abs(np.fft.fft2(images)), abs=1e-3)
    for made in (shuffled, scrambled):
        assert abs(np.corrcoef(made.ravel(), images.ravel())[0, 1]) < 0.2


def test_what_has_no_place_is_kept_and_what_is_other_is_not():
    random = np.random.default_rng(0)
    weights = random.standard_normal((1024, 50))
    images = np.stack([random.random((32, 32)) ** k for k in (1, 2, 4)]).astype(np.float32)

    def rates_hz(x):
        return np.maximum(x.reshape(len(x), -1) @ weights, 0) + 1

    rates = mean_rates(rates_hz, images, 8)
    assert rates.shape == (3, 50)
    assert kept(rates, rates) == pytest.approx(1)
    assert kept(rates, rates[::-1])[[0, 2]].max() < 0.5
    with pytest.raises(ProsthesisError, match="two images"):
        kept(rates[:1], rates[:1])


def test_the_classifier_is_a_module_with_rectified_layers():
    assert all(isinstance(layer, nn.ReLU) for layer in convolutions(classifier.Classifier()))
