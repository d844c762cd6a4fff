"""Shapes and parameter counts of DCGAN and BigBiGAN against the papers' tables; skip-z; losses; truncated sampling."""

from __future__ import annotations

import dataclasses
import math

import pytest
import tiny_training
import torch
from torch import nn

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_train.methods import bigbigan
from prosthesis_train.networks import dcgan
from prosthesis_train.networks.bigbigan import (
    SIZES,
    Bottleneck,
    DownBlock,
    Encoder,
    Generator,
    JointDiscriminator,
    SameBlock,
    Scores,
    Tricks,
    UpBlock,
    size_named,
)
from prosthesis_train.networks.parts import SelfAttention, parameter_count


def shapes_of(network, *inputs, kinds):
    """The shapes that layers of these kinds give, in order."""
    seen = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
        for m in network.modules()
        if isinstance(m, kinds)
    ]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def test_dcgan_is_the_papers():
    g, d = dcgan.Generator(), dcgan.Discriminator()
    assert parameter_count(g) == 3_576_704  # 3.58 M
    assert parameter_count(d) == 2_765_568  # 2.77 M
    table = [
        (512, 4, 4),
        (256, 8, 8),
        (128, 16, 16),
        (64, 32, 32),
        (3, 64, 64),
    ]  # Radford et al. 2015, figure 1, halved
    assert shapes_of(g, torch.randn(2, 100), kinds=nn.ConvTranspose2d) == table
    back = [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (1, 1, 1)]
    assert shapes_of(d, torch.randn(2, 3, 64, 64), kinds=nn.Conv2d) == back


@pytest.mark.parametrize(("side", "channels"), [(32, 1), (32, 3), (64, 1), (64, 3)])
def test_dcgan_sizes(side, channels):
    g, d = dcgan.Generator(side, channels, 8), dcgan.Discriminator(side, channels, 8)
    x = g(torch.randn(3, 100))
    assert x.shape == (3, channels, side, side)
    assert x.abs().max() <= 1
    assert d(x).shape == (3,)
    weights = torch.cat([m.weight.flatten() for m in g.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)


def test_dcgan_refuses_other_sides():
    with pytest.raises(ConfigError, match="32 or 64 pixels, not 48"):
        dcgan.Generator(48)


@pytest.mark.parametrize("name", ["small32", "codes120", "small64"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("tricks", [Tricks(), Tricks(False, False, ""), Tricks(spectral_norm="GD")])
def test_small_sizes(name, channels, tricks):
    size = size_named(name)
    g, e, d = Generator(size, channels, tricks), Encoder(size, channels), JointDiscriminator(size, channels, tricks)
    z = torch.randn(2, size.latent)
    x = g(z)
    assert x.shape == (2, channels, size.side, size.side)
    assert x.abs().max() <= 1
    mean, sigma = e(x)
    assert mean.shape == sigma.shape == z.shape
    assert (sigma > 0).all()
    scores = d(x, z)
    assert scores.picture.shape == scores.code.shape == scores.joint.shape == (2,)


def test_an_unknown_size_names_the_known():
    with pytest.raises(ConfigError, match="small32, codes120, small64, paper128"):
        size_named("huge")


def test_skip_z_takes_each_chunk_to_its_own_place():
    """A chunk changes what its norm gives first, and nothing before it."""
    size = SIZES["small32"]
    g = Generator(size, 1, Tricks(self_attention=False)).eval()
    for block in g.blocks:
        nn.init.normal_(block.norm1.affine.weight)
    nn.init.normal_(g.norm.affine.weight)
    z = torch.randn(1, size.latent)
    seen = {}
    places = [g.start, *(b.norm1 for b in g.blocks), g.norm]
    for i, place in enumerate(places):
        place.register_forward_hook(lambda _m, _i, out, i=i: seen.__setitem__(i, out))
    with torch.no_grad():
        g(z)
        before = dict(seen)
        for chunk in range(len(places)):
            changed = z.clone()
            changed[:, chunk * size.chunk : (chunk + 1) * size.chunk] += 1
            g(changed)
            same = [torch.equal(before[i], seen[i]) for i in range(len(places))]
            assert same == [i < chunk for i in range(len(places))]


def test_paper128_is_the_papers():
    """Layers of BigGAN's table 4 (Brock et al. 2019) at 128 pixels and of ResNet-50, on tensors without numbers."""
    size, tricks, ch = SIZES["paper128"], Tricks(spectral_norm=""), 96
    with torch.device("meta"):
        g, d, e = Generator(size, 3, tricks), JointDiscriminator(size, 3, tricks), Encoder(size, 3)
        z, big = torch.randn(2, 120), torch.randn(2, 3, 256, 256)
        widths = [(16 * ch, 8), (8 * ch, 16), (4 * ch, 32), (2 * ch, 64), (ch, 128)]
        assert shapes_of(g, z, kinds=UpBlock) == [(c, s, s) for c, s in widths]
        assert shapes_of(g, z, kinds=SelfAttention) == [(2 * ch, 64, 64)]
        x = g(z)
        assert x.shape == (2, 3, 128, 128)
        down = [(ch, 64), (2 * ch, 32), (4 * ch, 16), (8 * ch, 8), (16 * ch, 4), (16 * ch, 4)]
        assert shapes_of(d.pictures, x, kinds=(DownBlock, SameBlock)) == [(c, s, s) for c, s in down]
        assert shapes_of(d.pictures, x, kinds=SelfAttention) == [(ch, 64, 64)]
        assert d.pictures(x).shape == (2, 16 * ch)
        stages = [(256, 64)] * 3 + [(512, 32)] * 4 + [(1024, 16)] * 6 + [(2048, 8)] * 3
        assert shapes_of(e, big, kinds=Bottleneck) == [(c, s, s) for c, s in stages]
        assert e(big)[0].shape == (2, 120)
    assert len(d.codes.pairs) * 2 == len(d.joint.pairs) * 2 == 8
    # the authors' PyTorch port counts 70,433,988 and 87,982,370; it has 1,000 classes: an embedding of 128 that goes to
    # every conditional norm (gains and biases of 7,392 channels), and a projection and a last layer on 1,536 features
    assert parameter_count(g) == 70_433_988 - 1000 * 128 - 128 * 2 * 7392
    assert parameter_count(d.pictures) == 87_982_370 - 1000 * 1536 - 1537


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_paper128_does_a_step(tmp_path):
    made = tiny_training.made_up_images(n=4, side=256)
    images = dataclasses.replace(made, train=made.train.repeat(3, axis=-1))
    settings = bigbigan.Settings(
        size="paper128", channels=3, batch=2, steps=1, averaging="none", spectral_norm="GD", cycle=1.0
    )
    nets = bigbigan.train(settings, tmp_path, images=images)
    moved = [any(p.grad is not None and p.grad.any() for p in n.parameters()) for n in (nets.g, nets.e, nets.d)]
    assert moved == [True] * 3


def test_small64_in_colour_does_a_step(tmp_path):
    made = tiny_training.made_up_images(n=4, side=64)
    images = dataclasses.replace(made, train=made.train.repeat(3, axis=-1))
    settings = bigbigan.Settings(size="small64", channels=3, batch=4, steps=1)
    assert bigbigan.train(settings, tmp_path, images=images).mean_g.network(torch.zeros(1, 100)).shape == (1, 3, 64, 64)


def scores(*values):
    return Scores(*(torch.tensor(v) for v in values))


def test_losses_by_hand():
    """Halves: (x, E(x)) then (G(z), z)."""
    s = scores([2.0, -1.0], [0.5, 0.5], [-3.0, 0.0])
    on = bigbigan.Settings()
    d = max(0, 1 - 2) + max(0, 1 - 1) + max(0, 1 - 0.5) + max(0, 1 + 0.5) + max(0, 1 + 3) + max(0, 1 + 0)
    assert float(bigbigan.discriminator_loss(s, on)) == pytest.approx(d)
    assert float(bigbigan.generator_loss(s, on)) == pytest.approx(2 - -1 + 0.5 - 0.5 + -3 - 0)
    joint = bigbigan.Settings(unary=False)
    assert float(bigbigan.discriminator_loss(s, joint)) == pytest.approx(4 + 1)
    assert float(bigbigan.generator_loss(s, joint)) == pytest.approx(-3)
    logistic = bigbigan.Settings(unary=False, loss="logistic")
    assert float(bigbigan.discriminator_loss(s, logistic)) == pytest.approx(math.log1p(math.e**3) + math.log(2))
    assert float(bigbigan.generator_loss(s, logistic)) == pytest.approx(math.log1p(math.e**-3) + math.log(2))


def test_truncated_normal():
    z = bigbigan.truncated_normal(4000, 10, 0.5, torch.Generator().manual_seed(1))
    assert z.abs().max() <= 0.5
    # variance of a normal cut at a: 1 - 2 a phi(a) / (2 Phi(a) - 1)
    a = 0.5
    phi = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    assert float(z.var()) == pytest.approx(1 - 2 * a * phi / math.erf(a / math.sqrt(2)), rel=0.02)
    with pytest.raises(ProsthesisError, match="above 0"):
        bigbigan.truncated_normal(1, 1, 0.0, torch.Generator())
