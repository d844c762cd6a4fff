"""The parts of the generators against their formulas, written out another way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from prosthesis_train.networks.parts import (
    BatchNorm,
    ChunkNorm,
    SelfAttention,
    add_orthogonal_gradient,
    initialise,
    orthogonal_penalty,
    spectral_norm,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def close(a, b, rtol=1e-5, atol=1e-6):
    torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


def test_self_attention_is_its_formula_in_loops():
    layer = SelfAttention(16, spectral=False)
    nn.init.constant_(layer.gamma, 0.7)
    x = torch.randn(2, 16, 4, 6)
    y = layer(x)
    weight = {n: getattr(layer, n).weight.detach()[:, :, 0, 0] for n in ("query", "key", "value", "out")}
    for n in range(2):
        q = torch.einsum("oc,chw->ohw", weight["query"], x[n])
        k, v = (torch.einsum("oc,chw->ohw", weight[w], x[n]) for w in ("key", "value"))
        pooled = [(i, j) for i in range(2) for j in range(3)]  # cells of 2 x 2, each its maximum
        keys = [k[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((1, 2)) for i, j in pooled]
        values = [v[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((1, 2)) for i, j in pooled]
        for r in range(4):
            for c in range(6):
                e = [math.exp(float(q[:, r, c] @ key)) for key in keys]
                mixed = sum(w / sum(e) * value for w, value in zip(e, values, strict=True))
                close(y[n, :, r, c], x[n, :, r, c] + 0.7 * (weight["out"] @ mixed), rtol=1e-4)


def test_self_attention_starts_as_nothing():
    x = torch.randn(2, 16, 4, 4)
    assert torch.equal(SelfAttention(16, spectral=True)(x), x)


@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.Linear, (7, 5)), (nn.Conv2d, (3, 6, 4, 2, 1)), (nn.ConvTranspose2d, (6, 3, 4, 2, 1))]
)
def test_spectral_norm_makes_the_largest_singular_value_1(kind, shape):
    layer = kind(*shape)  # here and not among the parameters, where no seed is set
    raw = layer.weight.detach().clone()
    normed = spectral_norm(layer)
    for _ in range(60):  # one power iteration each
        effective = normed.weight
    rows = raw.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else raw
    close(effective, raw / torch.linalg.svdvals(rows.flatten(1))[0], rtol=1e-3, atol=1e-4)


def test_spectral_norm_off_is_the_layer_itself():
    layer = nn.Linear(3, 3)
    assert spectral_norm(layer, False) is layer


@pytest.mark.parametrize("shape", [(6, 3, 2, 2), (30, 4)])
def test_orthogonal_penalty_and_its_gradient(shape):
    layer = nn.Linear(1, 1, bias=False)
    layer.weight = nn.Parameter(torch.randn(shape))
    rows = layer.weight.detach().flatten(1)
    by_hand = sum(float(rows[i] @ rows[j]) ** 2 for i in range(shape[0]) for j in range(shape[0]) if i != j)
    penalty = orthogonal_penalty(layer.weight)
    assert penalty.item() == pytest.approx(by_hand, rel=1e-4)
    (expected,) = torch.autograd.grad(penalty, layer.weight)
    layer.weight.grad = torch.ones(shape)
    add_orthogonal_gradient(layer, 0.5)
    close(layer.weight.grad, 1 + 0.5 * expected, rtol=1e-4, atol=1e-3)


def test_orthogonal_rows_cost_nothing():
    rows = torch.linalg.qr(torch.randn(8, 8))[0][:5]
    assert float(orthogonal_penalty(3 * rows)) == pytest.approx(0, abs=1e-8)


def test_batch_norm_is_that_of_torch():
    ours, theirs = BatchNorm(5), nn.BatchNorm2d(5)
    for norm in (ours, theirs):
        nn.init.constant_(norm.weight, 1.3)
        nn.init.constant_(norm.bias, -0.2)
    for _ in range(3):
        x = torch.randn(4, 5, 3, 3) * 2 + 1
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_mean, theirs.running_mean)
    assert torch.equal(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    assert torch.equal(ours(x), theirs(x))


def test_batch_norm_over_processes_is_that_of_torch_with_one(monkeypatch):
    """The formula of many processes, run with a sum over one: values, gradients and running statistics."""
    ours, theirs = BatchNorm(5), nn.BatchNorm2d(5)
    monkeypatch.setattr("prosthesis_train.networks.parts.processes", lambda: 2)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: None)
    x = (torch.randn(4, 5, 3, 3) * 2 + 1).requires_grad_()
    y = x.detach().clone().requires_grad_()
    a, b = ours(x), theirs(y)
    close(a, b)
    for z in (a, b):
        (z * torch.arange(180.0).view(4, 5, 3, 3)).sum().backward()
    close(x.grad, y.grad, atol=1e-3)
    close(ours.running_mean, theirs.running_mean)
    close(ours.running_var, theirs.running_var)


def test_chunk_norm_scales_and_shifts_each_picture_by_its_own_chunk():
    norm, x, z = ChunkNorm(3, 4), torch.randn(5, 3, 2, 2), torch.randn(5, 4)
    y = norm(x, z)
    plain = nn.BatchNorm2d(3, affine=False)(x)
    for n in range(5):
        gain, bias = (norm.affine.weight @ z[n]).split(3)
        close(y[n], plain[n] * (1 + gain[:, None, None]) + bias[:, None, None])


def test_initialise():
    layer = nn.Linear(40, 30)
    initialise(layer, None)
    close(layer.weight @ layer.weight.T, torch.eye(30), atol=1e-5)
    assert not layer.bias.any()
    initialise(layer, 0.02)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
