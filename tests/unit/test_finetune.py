import sys
from dataclasses import replace

import pytest
import torch

from prosthesis.errors import MissingExtraError, ProsthesisError
from prosthesis_train.artefacts import load_artefact
from prosthesis_train.methods import classifier
from prosthesis_train.reading import finetune as ft

FAST = ft.FinetuneSettings(steps=12, batch=16, check_every=6)


@pytest.fixture(scope="module")
def shipped():
    return load_artefact("bigbigan-fashion")


@pytest.fixture(scope="module")
def net():
    return classifier.load()[0]


@pytest.fixture(scope="module")
def pairs(shipped):
    """Brain codes of 100 sites f32[160,100] and the pictures of the codes that they are linear in."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(160, shipped.dim_z, generator=random)
    mixing = torch.randn(shipped.dim_z, 100, generator=random) / 10
    return z @ mixing + 0.05 * torch.randn(160, 100, generator=random), shipped.generate(z), z, mixing


def test_the_torch_generator_is_the_shipped_graph(shipped):
    z = torch.randn(8, shipped.dim_z, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = ft.torch_generator(shipped)(z)
    assert torch.allclose(found, shipped.generate(z), atol=1e-5)


def test_a_reader_starts_as_the_linear_reader_it_is_made_of(shipped, pairs):
    brain, _, _, mixing = pairs
    weights, intercept = torch.linalg.pinv(mixing), torch.full((shipped.dim_z,), 0.1)
    reader = ft.linear_reader(weights, intercept, ft.torch_generator(shipped))
    with torch.no_grad():
        assert torch.allclose(reader(brain), shipped.generate(brain @ weights + intercept), atol=1e-4)


@pytest.mark.parametrize("change", [{}, {"adversarial": 0.0}, {"feature": 0.0}, {"pixel": 0.0}])
def test_training_lowers_the_held_out_error_and_leaves_the_start_alone(shipped, pairs, net, change):
    brain, pictures, _, mixing = pairs
    start = ft.linear_reader(torch.linalg.pinv(mixing) * 0.5, torch.zeros(shipped.dim_z), ft.torch_generator(shipped))
    before = {key: value.clone() for key, value in start.state_dict().items()}
    said = []
    found = ft.finetune(start, brain, pictures, net, replace(FAST, lr_linear=5e-4, **change), said.append)
    assert found.held_out[-1] < found.held_out[0]
    assert len(found.held_out) == len(said) == 3
    assert all(torch.equal(value, before[key]) for key, value in start.state_dict().items())


def test_the_best_seen_reader_is_returned_even_if_it_is_the_first(shipped, pairs, net):
    brain, pictures, _, mixing = pairs
    start = ft.linear_reader(torch.linalg.pinv(mixing), torch.zeros(shipped.dim_z), ft.torch_generator(shipped))
    wild = replace(FAST, lr_linear=3.0)
    found = ft.finetune(start, brain, pictures, net, wild)
    assert found.held_out[0] == min(found.held_out)
    with torch.no_grad():
        assert torch.equal(found.reader(brain[:4]), start(brain[:4]))


def test_a_seed_fixes_the_reader(pairs, net):
    brain, pictures, *_ = pairs
    start = ft.small_generator(100, width=4)
    made = [ft.finetune(start, brain, pictures, net, FAST).reader(brain[:2]) for _ in range(2)]
    assert torch.equal(*made)
    assert made[0].shape == (2, 1, 32, 32)


def test_the_critic_rests_when_it_wins(pairs, net, monkeypatch):
    brain, pictures, *_ = pairs
    monkeypatch.setattr(ft.Balance, "learn", (False, True))
    found = ft.finetune(ft.small_generator(100, width=4), brain, pictures, net, FAST)
    assert (found.d_rested, found.g_rested) == (FAST.steps, 0)


def test_what_cannot_be_trained_is_one_line(pairs, net, monkeypatch, shipped):
    brain, pictures, *_ = pairs
    off = ft.FinetuneSettings(pixel=0, feature=0, adversarial=0)
    with pytest.raises(ProsthesisError, match="all three losses are off"):
        ft.finetune(ft.small_generator(100), brain, pictures, net, off)
    with pytest.raises(ProsthesisError, match="only a BigBiGAN"):
        ft.torch_generator(load_artefact("dcgan-fashion"))
    broken = brain.clone()
    broken[:] = float("nan")
    with pytest.raises(ProsthesisError, match="no number"):
        ft.finetune(ft.small_generator(100, width=4), broken, pictures, net, FAST)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"prosthesis\[export\]"):
        ft.torch_generator(shipped)
