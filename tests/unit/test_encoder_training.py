"""Encoders trained through patients: runs that go on, bundles, black crops, adaptation to one calibration."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from made_up_patient import MadeUpPatient

from prosthesis.bundles.bundle import load_bundle
from prosthesis.encoders import open_encoder
from prosthesis.errors import ConfigError
from prosthesis.hops import MapEncoderConfig
from prosthesis.messages import Frame
from prosthesis_export.taskmaps import build_bundle
from prosthesis_train.data.sights import Sights, sights
from prosthesis_train.methods import encoder, personal
from prosthesis_train.networks.taskmap import Observer, TaskMapper
from prosthesis_train.observers.percepts import virtual_patient
from prosthesis_train.training import checkpoint
from prosthesis_train.training.report import write_report
from prosthesis_train.training.run import read_log

torch.set_num_threads(1)
PATIENTS = [MadeUpPatient(), MadeUpPatient((5,))]


def halves(n=40, cells=32):
    """The left or the right half of a crop is light."""
    random = np.random.default_rng(0)
    labels = random.integers(2, size=n)
    wanted = np.zeros((n, cells, cells), np.uint8)
    for picture, label in zip(wanted, labels, strict=True):
        picture[:, : cells // 2] = 255 * (1 - label)
        picture[:, cells // 2 :] = 255 * label
    crops = np.repeat(np.repeat(wanted, 2, 1), 2, 2)[..., None].repeat(3, -1)
    return Sights(crops, wanted, labels, ("left", "right"))


def settings_of(**changes):
    small = {"batch": 8, "together": 2, "steps": 4, "log_every": 1, "save_every": 2, "seed": 1}
    return encoder.Settings(**(small | changes))


def train(folder, **changes):
    return encoder.train(settings_of(**changes), folder, data=halves(), patients=PATIENTS)


def test_a_run_that_goes_on_ends_at_the_same_numbers(tmp_path, monkeypatch):
    whole = train(tmp_path / "whole")
    step = encoder._step

    def cut(nets, data, patients, settings, number, place):
        if number == 3:
            raise KeyboardInterrupt
        return step(nets, data, patients, settings, number, place)

    monkeypatch.setattr(encoder, "_step", cut)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts")
    monkeypatch.undo()
    assert checkpoint.load(tmp_path / "parts" / checkpoint.NAME)["step"] == 2
    train(tmp_path / "parts")
    other = encoder.load(tmp_path / "parts")[0]
    for a, b in zip(whole.mean.network.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ConfigError, match="charge"):
        train(tmp_path / "parts", charge=0.5)


def test_training_through_patients_lowers_what_it_should(tmp_path):
    train(tmp_path, steps=16, save_every=16)
    log = read_log(tmp_path)
    first, last = (
        [np.mean([e[k] for e in part]) for k in ("loss_task", "loss_picture")] for part in (log[:4], log[-4:])
    )
    assert last[0] < 0.7 * first[0]
    assert last[1] < first[1]
    assert write_report(tmp_path).stat().st_size > 10_000
    assert (tmp_path / "samples" / "0000016.png").is_file()


def test_groups_that_do_not_divide_the_batch_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="--together"):
        train(tmp_path, together=3)


@pytest.mark.parametrize("cells", [32, 64])
def test_a_black_crop_is_a_silent_map_and_a_dim_one_is_not(cells):
    mapper = TaskMapper(cells).eval()
    black = torch.zeros(1, 3, 2 * cells, 2 * cells)
    assert not mapper(black).any()
    assert bool((mapper(black + 0.02) > 0).all())
    assert mapper(black).shape == (1, cells, cells)


def test_a_finer_map_begins_with_a_coarser_ones_weights():
    coarse, fine = TaskMapper(32), TaskMapper(64)
    fine.take_over(coarse.state_dict())
    assert torch.equal(fine.down[1][0].weight, coarse.down[0][0].weight)
    assert torch.equal(fine.middle[1][0].weight, coarse.middle[1][0].weight)
    same = TaskMapper(32)
    same.take_over(coarse.state_dict())
    assert torch.equal(same.head.weight, coarse.head.weight)


def test_a_run_becomes_a_bundle_that_the_device_runs(tmp_path):
    train(tmp_path / "run", steps=2)
    folder = build_bundle(tmp_path / "run", tmp_path / "models")
    assert folder.name == "learned-letters-32"
    manifest = load_bundle(folder).manifest
    assert (manifest.map_shape, manifest.input_size) == ((32, 32), (64, 64))
    assert json.loads((folder / "card.json").read_text(encoding="utf-8"))["largest_difference_from_torch"] < 1e-4
    view = PATIENTS[0].view
    device = open_encoder(MapEncoderConfig(type="map", model=str(folder)), view)
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    shown = device.encode(Frame(0, 0, rgb), 0).values.reshape(32, 32)
    mapper = encoder.load(tmp_path / "run")[0]
    with torch.no_grad():
        own = mapper(torch.from_numpy(rgb)[None].permute(0, 3, 1, 2) / 255)[0].numpy()
    np.testing.assert_allclose(shown, own, atol=1e-4)
    assert not device.encode(Frame(1, 1, np.zeros_like(rgb)), 0).values.any()


@pytest.mark.parametrize("task", ["letters", "obstacle"])
def test_sights_are_repeatable_and_their_parts_differ(task):
    one, same, held = (sights(task, 12, 64, 32, held_out) for held_out in (False, False, True))
    assert one.digest == same.digest != held.digest
    assert one.crops.shape == (12, 64, 64, 3)
    assert one.wanted.shape == (12, 32, 32)
    if task == "letters":
        assert one.wanted.max(axis=(1, 2)).min() > 100
    else:
        assert [bool(w.any()) for w in one.wanted] == [bool(label) for label in one.labels]


def test_wanted_pictures_are_cut_to_what_the_array_covers():
    patient, data = MadeUpPatient(), halves(2)
    whole = encoder.wanted_of(data, torch.arange(2), patient)
    np.testing.assert_allclose(whole.numpy(), data.wanted / 255.0, atol=1e-6)


def test_adapting_to_a_calibration_lowers_the_loss_on_the_believed_patient():
    patient = personal.believed(virtual_patient("utah96", 1, 0.2, side=32, look="array"))
    assert not patient.currents(torch.zeros(1, 32, 32)).any()
    assert float(patient.currents(torch.ones(1, 32, 32)).max()) <= 1.0
    data = halves()
    torch.manual_seed(0)
    mapper, observer = TaskMapper(32).eval(), Observer(2, 32, 2).eval()
    own = personal.adapt(mapper, observer, patient, data, personal.Settings(steps=8, batch=8, lr=3e-3))
    chosen = torch.arange(len(data.labels))
    with torch.no_grad():
        before, after = (
            personal.seen_losses(m, observer, patient, data, chosen, torch.Generator().manual_seed(9))
            for m in (mapper, own)
        )
    assert float(after.picture) < float(before.picture)
