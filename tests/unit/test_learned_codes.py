"""Codes that are learned, and what they are worth: closed forms, a made-up patient, and the shipped files."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_up_patient import MadeUpPatient

from prosthesis.errors import ProsthesisError
from prosthesis_train.methods import codes
from prosthesis_train.observers import taught

torch.set_num_threads(1)
PATIENTS = [MadeUpPatient(), MadeUpPatient((5,)), MadeUpPatient((10, 3))]


@pytest.mark.parametrize(("k", "wrong"), [(4, 0.2), (26, 0.1), (10, 0.0)])
def test_information_of_a_symmetric_channel_is_the_closed_form(k, wrong):
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(k), 40_000 // k)
    other = (labels + random.integers(1, k, len(labels))) % k
    said = np.where(random.random(len(labels)) < wrong, other, labels)
    lost = -(1 - wrong) * math.log2(1 - wrong) - wrong * math.log2(wrong / (k - 1)) if wrong else 0.0
    assert taught.bits_per_symbol(labels, said, k) == pytest.approx(math.log2(k) - lost, abs=0.02)


def test_guesses_carry_no_information():
    random = np.random.default_rng(1)
    labels, said = random.integers(26, size=(2, 2600))
    plain_bias = 25 * 25 / (2 * 2600 * math.log(2))  # about 0.17 bits that are not there
    assert taught.bits_per_symbol(labels, said, 26) < 0.2 * plain_bias


def test_everything_lit_is_shown_beside_with_the_same_electrodes_lost():
    patient, maps = MadeUpPatient(), torch.ones(3, 32, 32)
    seen = taught.exposed(patient, maps, torch.Generator().manual_seed(3), lost=0.9)
    assert seen.shape == (3, 2, 32, 32)
    squares = seen.reshape(3, 2, 4, 8, 4, 8).mean((3, 5))
    dark = squares < 0.3
    assert 0 < int(dark[0, 0].sum()) < 16
    assert bool((dark == dark[0, 0]).all())


def test_gradients_reach_the_map_but_not_where_nothing_answers():
    maps = torch.full((1, 32, 32), 0.5, requires_grad=True)
    taught.exposed(MadeUpPatient((0,)), maps, torch.Generator().manual_seed(0))[:, 0].sum().backward()
    assert maps.grad is not None
    assert not maps.grad[0, :8, :8].any()
    assert maps.grad[0, 8:, 8:].all()


def test_a_learned_code_is_told_apart_by_one_who_was_taught_it_on_others():
    settings = codes.Settings(symbols="identities", grid=4, steps=40, together=2)
    code = codes.learn(settings, PATIENTS)
    assert code.letters.tolist() == list("0123456789")
    assert code.field_deg == pytest.approx(16.0)
    maps, random = torch.from_numpy(code.maps), torch.Generator().manual_seed(1)
    observer = taught.teach(*taught.lessons(PATIENTS[:2], maps, 6, random, 0.25), taught.Teaching(steps=80))
    asked, labels = taught.lessons([MadeUpPatient((12,))], maps, 6, random)
    assert (taught.answers(observer, asked) == labels.numpy()).mean() > 0.9
    assert taught.learning_curve(PATIENTS, maps, (1,), random)[1] > 0.9


def test_files_are_pinned(tmp_path):
    code = codes.Code(np.array(["A", "B"]), np.zeros((2, 32, 32), np.float32), 2.5)
    path = codes.save(code, "letters-x", tmp_path, {"licence": "Apache-2.0"})
    kept = codes.load("letters-x", tmp_path)
    assert (kept.letters.tolist(), kept.maps.shape, kept.field_deg) == (["A", "B"], (2, 32, 32), 2.5)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ProsthesisError, match="sha256"):
        codes.load("letters-x", tmp_path)
    with pytest.raises(ProsthesisError, match="--rig y"):
        codes.load("letters-y", tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in codes.CODES.glob("*.npz")))
def test_shipped_codes_are_what_the_device_reads(name):
    code = codes.load(name)
    symbols, _, _ = name.partition("-")
    assert code.letters.dtype.kind == "U"
    assert tuple(code.letters) == codes.SYMBOLS[symbols]
    assert code.maps.dtype == np.float32
    assert code.maps.shape == (len(code.letters), 32, 32)
    assert code.maps.min() >= 0
    assert code.maps.max() <= 1
    apart = np.abs(code.maps[:, None] - code.maps[None]).mean((2, 3))
    assert apart[~np.eye(len(apart), dtype=bool)].min() > 0.1
