from __future__ import annotations

import dataclasses
import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="studies need prosthesis[train]")
pytest.importorskip("onnxruntime", reason="the bundle needs an engine")
pytest.importorskip("onnx", reason="its weights are read from the graphs")

import torch

from prosthesis.animation.animator import open_animator
from prosthesis.bundles.bundle import load_bundle
from prosthesis.errors import ProsthesisError
from prosthesis.messages import Frame, MachineCode, readonly
from prosthesis_export import animation as export
from prosthesis_train.animation.clips import rendered, shot
from prosthesis_train.animation.shipped import UNWARPED, networks
from prosthesis_train.methods import animation
from prosthesis_train.studies.animation import facetask, remade
from prosthesis_train.studies.animation.steady import SteadyEncoder, flow_and_visibility
from prosthesis_train.tasks.task import SQUARE


@pytest.fixture(scope="module")
def clip():
    return remade.remade(networks(), networks(UNWARPED, "unwarped64"), shot("faces", "test", 0, 4, 64))


def test_the_bundle_read_back_paints_what_the_engine_paints(clip):
    frames = shot("faces", "test", 0, 4, 64).frames()
    animator = open_animator()
    source = animator.points(frames[0])
    made = animator.make(frames[0], source, animator.points(frames[2])).picture
    ours = clip.made["living picture"][1].permute(1, 2, 0).numpy() * 255
    assert np.abs(made - ours).max() < 1


def test_a_run_becomes_a_bundle_that_says_what_made_it(tmp_path):
    clips = rendered("faces", "train", 2, 2, 64, lambda _: None)
    first = animation.Settings(size="unwarped64", batch=2, steps=1, save_every=1)
    animation.train(first, tmp_path / "first", clips=clips)
    second = dataclasses.replace(first, start=str(tmp_path / "first"))
    animation.train(second, tmp_path / "second", clips=clips)
    folder = export.build(tmp_path / "second", tmp_path)
    assert folder.name == "unwarped64"
    assert load_bundle(folder).manifest.origin.count(" 1 steps, ") == 2
    found, (wanted, _) = networks(folder, "unwarped64").state_dict(), animation.load(tmp_path / "second")
    assert all(torch.equal(found[name], value) for name, value in wanted.state_dict().items())
    with pytest.raises(ProsthesisError, match=r"holds no painter\.first\.0\.weight of small64"):
        networks(folder, "small64")


@pytest.mark.parametrize("far", [(1.0, 0), (0.0, 2)])
def test_graphs_that_differ_from_torch_leave_the_bundle_that_was_there(tmp_path, monkeypatch, far):
    shipped = load_bundle("animation64").folder
    folder = tmp_path / "animation64"
    shutil.copytree(shipped, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(export, "difference", lambda *_: far)
    with pytest.raises(ProsthesisError, match="not written, for the graphs differ"):
        export.build(shipped, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_painter_that_differs_is_noticed(tmp_path, monkeypatch):
    net = networks()
    export.write(net, tmp_path / "animation64", 64, "a test")
    assert export.difference(net, tmp_path / "animation64", 64)[1] <= export.LEVELS
    with torch.no_grad():
        net.painter.last.bias += 0.3
    assert export.difference(net, tmp_path / "animation64", 64)[1] > export.LEVELS


@pytest.mark.parametrize(
    ("words", "said"), [(["gone"], "no checkpoint"), ([None, "--side", "100"], "a multiple of 32")]
)
def test_what_cannot_be_exported_is_told_in_one_line(tmp_path, words, said):
    given = [str(load_bundle("animation64").folder) if word is None else word for word in words]
    with pytest.raises(SystemExit) as caught:
        export.main([*given, "--out", str(tmp_path)])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_models_weights_are_refused():
    with pytest.raises(ProsthesisError, match="holds no"):
        networks("edges-32")


def test_every_way_starts_from_the_same_source(clip):
    assert set(clip.made) == set(remade.WAYS)
    assert all(made.shape == clip.true.shape for made in clip.made.values())
    copied = clip.made["source copied"]
    assert torch.equal(copied[0], copied[-1])
    assert not torch.equal(clip.made["living picture"][0], clip.made["living picture"][-1])


def test_living_pictures_are_nearer_the_truth_than_the_source(clip):
    off = {way: float((made - clip.true).abs().mean()) for way, made in clip.made.items()}
    assert off["living picture"] < 0.9 * off["source copied"]


def test_the_interval_of_a_mean_holds_it_and_narrows_with_people():
    random = np.random.default_rng(0)
    few, many = random.normal(3, 1, 20), random.normal(3, 1, 500)
    widths = []
    for values in (few, many):
        low, high = remade.spread(values)
        assert low < values.mean() < high
        widths.append(high - low)
    # the standard error's closed form: 2 x 1.96 / sqrt(n)
    assert widths[1] == pytest.approx(2 * 1.96 / np.sqrt(500), rel=0.15)
    assert widths[0] > 3 * widths[1]


def test_an_animated_drawing_stays_a_drawing_of_the_task():
    animator, random = open_animator(), np.random.default_rng(0)
    still = facetask.TASK.draw("train", 0, random)[0]
    driving = shot("faces", "train", 3000, 6, animator.side).frames()
    made = facetask.animated(animator, still, driving, random)
    assert made.shape == (SQUARE, SQUARE)
    # the same person on the same black: far more like the still than another's drawing
    small = [cv2.resize(one, (32, 32), interpolation=cv2.INTER_AREA).astype(float).ravel() for one in (still, made)]
    assert np.corrcoef(small)[0, 1] > 0.7


class Plain:
    """An encoder whose map is the frame's gray."""

    shape = (60, 80)

    def encode(self, frame, now_ns):
        gray = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        return MachineCode(frame.seq, frame.t_ns, readonly(gray, np.float32).reshape(-1), "map", self.shape)


def scene():
    random = np.random.default_rng(4)
    coarse = random.integers(40, 215, (8, 10, 3), np.uint8)
    return cv2.resize(coarse, (80, 60), interpolation=cv2.INTER_CUBIC)


def test_a_still_noisy_scene_gets_steadier_by_the_closed_form():
    random, rgb = np.random.default_rng(0), scene()
    steady, errors = SteadyEncoder(Plain(), 0.5, with_flow=False), []
    for k in range(40):
        noisy = np.clip(rgb + random.normal(0, 20, rgb.shape), 0, 255).astype(np.uint8)
        errors.append(steady.encode(Frame(k, k, readonly(noisy, np.uint8)), k).values.reshape(60, 80))
    flicker = np.diff(np.stack(errors[10:]), axis=0).std()
    plain = np.sqrt(2) * 20 / 255 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    # y' = y + (1 - a) (x - y): the variance of its steps is 2 (1 - a)^2 / (1 + a) times the noise's
    assert flicker / plain == pytest.approx(np.sqrt(0.25 / 1.5), rel=0.1)


def test_flow_follows_a_shifted_scene():
    gray = cv2.resize(cv2.cvtColor(scene(), cv2.COLOR_RGB2GRAY), (160, 120), interpolation=cv2.INTER_CUBIC)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    moved = np.roll(gray, 3, axis=1)
    flow, seen = flow_and_visibility(dis, moved, gray)
    inner = (slice(20, -20), slice(20, -20))
    assert np.median(flow[inner][..., 0]) == pytest.approx(-3, abs=0.5)
    assert seen[inner].mean() > 0.9
