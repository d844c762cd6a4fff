from __future__ import annotations

import dataclasses
import hashlib

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_train.animation import looker
from prosthesis_train.animation.clips import Clips, from_folder, rendered, shot
from prosthesis_train.animation.losses import equivariance, likeness, random_bend
from prosthesis_train.methods import animation
from prosthesis_train.networks.animation import (
    SIZES,
    Animator,
    Motion,
    Points,
    affine_motions,
    grid,
    inverse,
    warped,
)
from prosthesis_train.networks.parts import parameter_count
from prosthesis_train.studies.animation.remade import area_under_curve


def random_points(n=2, k=10, seed=0):
    random = torch.Generator().manual_seed(seed)
    at = torch.rand(n, k, 2, generator=random) * 2 - 1
    return Points(at, torch.eye(2) + 0.3 * torch.randn(n, k, 2, 2, generator=random))


def test_the_inverse_is_the_inverse():
    m = random_points().jacobian
    torch.testing.assert_close(inverse(m), torch.linalg.inv(m), rtol=1e-4, atol=1e-4)


def test_an_affine_change_of_keypoints_is_found_again_around_every_one_of_them():
    """Exact for affine motion, by the paper's equation 4: it is that motion's own first order."""
    driving, turn, shift = random_points(), torch.tensor([[0.9, -0.3], [0.2, 1.1]]), torch.tensor([0.1, -0.2])
    source = Points(driving.at @ turn.T + shift, turn @ driving.jacobian)
    places = grid(8, 8, turn)
    found = affine_motions(source, driving, places)
    torch.testing.assert_close(found[:, 0], places.expand(2, -1, -1, -1))
    wanted = (places @ turn.T + shift).expand(2, 10, -1, -1, -1)
    torch.testing.assert_close(found[:, 1:], wanted, rtol=1e-3, atol=1e-3)


def test_a_still_grid_warps_nothing_and_a_shifted_one_shifts():
    x = torch.rand(1, 3, 16, 16)
    still = grid(16, 16, x)[None]
    torch.testing.assert_close(warped(x, still), x, rtol=0, atol=1e-5)
    right = still + torch.tensor([2 / 16, 0])
    torch.testing.assert_close(warped(x, right)[..., :-1], x[..., 1:], rtol=0, atol=1e-5)


def test_a_bends_jacobian_is_its_derivative():
    bend = random_bend(1, torch.Generator().manual_seed(3))
    at = torch.tensor([[[0.3, -0.4]]])
    ours = bend.jacobian(at)[0, 0]
    theirs = torch.autograd.functional.jacobian(lambda z: bend.at(z[None, None])[0, 0], at[0, 0])
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_keypoints_that_follow_a_bend_cost_nothing_and_those_that_do_not_cost():
    bend, of_bent = random_bend(2, torch.Generator().manual_seed(1)), random_points(seed=4)
    followed = Points(bend.at(of_bent.at), bend.jacobian(of_bent.at) @ of_bent.jacobian)
    assert max(float(loss) for loss in equivariance(followed, of_bent, bend)) < 1e-4
    assert min(float(loss) for loss in equivariance(of_bent, of_bent, bend)) > 1e-2


def test_what_the_looker_tells_of_another_person_costs_more_than_of_the_same_in_another_pose():
    eye = looker.load("features")
    clips = rendered("faces", "test", 12, 3, 64, lambda _: None)
    pictures = torch.from_numpy(clips.frames).permute(1, 0, 4, 2, 3).float() / 255
    pixels, features, told = (float(x) for x in likeness(pictures[0], pictures[0], eye))
    assert pixels == features == told == 0
    _, _, posed = likeness(pictures[0], pictures[1], eye)
    _, _, others = likeness(pictures[0], pictures[1].roll(1, 0), eye)
    assert 0 < float(posed) < 0.8 * float(others)


def test_every_loss_is_learned_from():
    pictures = tiny_clips().frames[:2]
    source, driving = (torch.from_numpy(pictures[:, k]).permute(0, 3, 1, 2).float() / 255 for k in (0, 1))
    kinds = ("pixels", "features", "told", "points", "jacobians")
    for kind in kinds:
        alone = animation.Settings(batch=2, **dict.fromkeys(kinds, 0.0) | {kind: 1.0})
        nets = animation.build(alone, torch.device("cpu"))
        before = {name: value.clone() for name, value in nets.net.named_parameters()}
        animation._step(nets, source, driving, looker.load("features"), alone, 0)
        assert any(not torch.equal(before[name], value) for name, value in nets.net.named_parameters()), kind


def test_a_picture_and_its_bent_copy_agree_where_the_bend_says():
    bend = random_bend(1, torch.Generator().manual_seed(2))
    # brightness is x, so the bent copy shows the x of where the bend leads
    x = grid(64, 64, torch.zeros(()))[None, None, ..., 0].contiguous()
    at = torch.tensor([[[0.1, 0.2], [-0.3, 0.4]]])
    shown = warped(bend.picture(x), at[:, None])[0, 0, 0]
    torch.testing.assert_close(shown, bend.at(at)[0, :, 0], rtol=0, atol=0.02)


def counted(size):
    """Parameters by arithmetic: a convolution has k k i o + o, a norm two of each channel."""

    def conv(i, o, k=3, norm=True):
        return k * k * i * o + o + (2 * o if norm else 0)

    def hourglass(inputs, width, most, depth):
        wide = [min(most, width * 2**k) for k in range(depth + 1)]
        down = sum(conv(i, o) for i, o in zip([inputs, *wide[1:-1]], wide[1:], strict=True))
        up = sum(conv(wide[k + 1] * (1 if k == depth - 1 else 2), wide[k]) for k in range(depth))
        return down + up, wide[0] + inputs

    k = size.kernel
    seeing, seen = hourglass(3, *size.seeing)
    moving, moved = hourglass(4 * (size.points + 1), *size.moving)
    width, most, halvings, blocks = size.painting
    wide = [min(most, width * 2**n) for n in range(halvings + 1)]
    painting = sum(conv(wide[n], wide[n + 1]) + conv(wide[n + 1], wide[n]) for n in range(halvings))
    painting += conv(3 if size.warps else 3 + size.points, width, k)
    painting += blocks * 2 * (9 * wide[-1] ** 2 + 3 * wide[-1]) + conv(width, 3, k, norm=False)
    heads = conv(seen, 5 * size.points, k, norm=False) + conv(moved, size.points + 2, k, norm=False)
    return seeing + moving + painting + heads


@pytest.mark.parametrize("name", ["small64", "unwarped64", "paper256"])
def test_networks_have_the_shapes_and_sizes_of_their_description(name):
    size = SIZES[name]
    with torch.device("meta"):  # shapes without numbers
        net = Animator(size).eval()
        x = torch.zeros(2, 3, size.side, size.side)
        points = net.keypoints(x)
        made, motion = net(x, points, points)
    assert points.at.shape == (2, 10, 2)
    assert points.jacobian.shape == (2, 10, 2, 2)
    assert made.shape == x.shape
    assert motion.flow.shape == (2, size.side // size.shrink, size.side // size.shrink, 2)
    assert motion.visible.shape == (2, 1, *motion.flow.shape[1:3])
    assert parameter_count(net) == counted(size)


def test_equal_keypoints_move_nothing():
    net = Animator(SIZES["small64"]).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        points = net.keypoints(x)
        _, motion = net(x, points, points)
        copy = net.painter(x, Motion(motion.flow, torch.ones_like(motion.visible)), points.at)
    torch.testing.assert_close(motion.flow[0], grid(32, 32, x), rtol=0, atol=1e-4)
    # what is all visible comes through as it is
    torch.testing.assert_close(copy, x, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("name", "moves"), [("small64", True), ("unwarped64", False)])
def test_only_a_network_that_warps_moves_what_is_visible(name, moves):
    net = Animator(SIZES[name]).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        points = net.keypoints(x)
        shifted = points._replace(at=points.at + 0.25)
        motion = net.motion(x, points, shifted)
        made = net.painter(x, Motion(motion.flow, torch.ones_like(motion.visible)), shifted.at)
    assert torch.allclose(made, x, atol=1e-3) is not moves


def test_an_unwarped_painter_is_told_where_the_driving_keypoints_are():
    net = Animator(SIZES["unwarped64"]).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        points = net.keypoints(x)
        motion = Motion(net.motion(x, points, points).flow, torch.zeros(1, 1, 32, 32).add(0.5))
        one, other = (net.painter(x, motion, at) for at in (points.at, points.at + 0.25))
    assert float((one - other).abs().max()) > 1e-4


def tiny_clips():
    return rendered("faces", "train", 3, 2, 64, lambda _: None)


def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path):
    clips = tiny_clips()
    settings = animation.Settings(batch=2, steps=4, save_every=2, log_every=1, seed=1)

    def digest(nets):
        whole = b"".join(v.numpy().tobytes() for v in nets.mean.state().values())
        return hashlib.sha256(whole).hexdigest()

    whole = digest(animation.train(settings, tmp_path / "whole", clips=clips))
    # the course of the rate depends on the steps to be done, so the first half must be told of all four
    stopped = dataclasses.replace(settings)
    original = animation._step
    try:
        calls = []

        def step(*given):
            if len(calls) == 2:
                raise KeyboardInterrupt
            calls.append(1)
            return original(*given)

        animation._step = step
        with pytest.raises(KeyboardInterrupt):
            animation.train(stopped, tmp_path / "halves", clips=clips)
    finally:
        animation._step = original
    assert digest(animation.train(stopped, tmp_path / "halves", clips=clips)) == whole
    net, found = animation.load(tmp_path / "whole")
    assert found == settings
    assert not net.training


def test_a_second_run_begins_with_the_averaged_networks_of_the_first(tmp_path):
    clips, settings = tiny_clips(), animation.Settings(batch=2, steps=1, save_every=1)
    animation.train(settings, tmp_path / "first", clips=clips)
    second = dataclasses.replace(settings, start=str(tmp_path / "first"), lr=0.0)
    assert second.seen != settings.seen
    found = dict(animation.train(second, tmp_path / "second", clips=clips).net.named_parameters())
    first, _ = animation.load(tmp_path / "first")
    assert all(torch.equal(found[name], value) for name, value in first.named_parameters())
    with pytest.raises(ConfigError, match="give --size small64"):
        animation.build(dataclasses.replace(second, size="unwarped64"), torch.device("cpu"))


def test_training_refuses_other_pictures_in_the_same_folder(tmp_path):
    clips, settings = tiny_clips(), animation.Settings(batch=2, steps=1, save_every=1)
    animation.train(settings, tmp_path, clips=clips)
    other = Clips(255 - clips.frames, clips.who)
    with pytest.raises(ConfigError, match="other pictures"):
        animation.train(settings, tmp_path, clips=other)


@pytest.mark.slow
def test_the_papers_size_takes_a_step():
    settings = animation.Settings(size="paper256", batch=1)
    nets = animation.build(settings, torch.device("cpu"))
    before = {k: v.clone() for k, v in nets.net.named_parameters()}
    pictures = torch.rand(2, 3, 256, 256)
    found = animation._step(nets, pictures[:1], pictures[1:], looker.load("features"), settings, 0)
    assert np.isfinite([float(x.detach()) for x in (found.pixels, found.features, found.points, found.jacobians)]).all()
    assert all(not torch.equal(v, before[k]) for k, v in nets.net.named_parameters())


def test_a_step_makes_nothing_on_another_device_than_its_pictures():
    """The meta device stands for a GPU: it refuses to be mixed with others."""
    net, eye = Animator(SIZES["small64"]).to("meta"), looker.load("features").to("meta")
    pictures = torch.rand(2, 3, 64, 64, device="meta")
    found = animation.losses(net, pictures, pictures, eye, torch.Generator().manual_seed(0))
    torch.autograd.backward(found.pixels + found.features + found.told + found.points + found.jacobians)
    assert all(number.grad.device.type == "meta" for number in net.parameters())


@pytest.mark.parametrize("kind", ["faces", "figures"])
def test_drawn_people_of_the_training_part_are_learned_from(kind):
    clips = animation.open_clips(animation.Settings(data=kind, people=2, frames=2))
    assert clips.who == ("train 0", "train 1")
    wanted = [shot(kind, "train", number, 2, 64).frames() for number in (0, 1)]
    np.testing.assert_array_equal(clips.frames, wanted)


@pytest.mark.parametrize("wrong", [{"frames": 1}, {"frames": 0}, {"people": 0}, {"batch": 0}, {"lr": -1.0}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"--{next(iter(wrong))} "):
        animation.Settings(**wrong)


def test_films_deep_in_folders_are_of_whom_the_uppermost_names(tmp_path):
    for person in range(30):
        for video in range(3):
            film(tmp_path / f"person{person}" / f"video{video}" / "a.avi", 3)
    parts = [set(from_folder(tmp_path, part, 2, 16).who) for part in ("train", "test")]
    assert parts[0] | parts[1] == {f"person{k}" for k in range(30)}
    assert not parts[0] & parts[1]


def film(path, frames, side=48):
    path.parent.mkdir(parents=True, exist_ok=True)
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (side + 16, side))
    for k in range(frames):
        out.write(np.full((side, side + 16, 3), 20 * k, np.uint8))
    out.release()


def test_a_folder_of_films_is_split_by_identity(tmp_path):
    for k in range(40):
        film(tmp_path / f"person{k}" / "a.avi", 4)
        film(tmp_path / f"person{k}" / "b.avi", 4)
    parts = {part: from_folder(tmp_path, part, 3, 32) for part in ("train", "test")}
    assert parts["train"].frames.shape[1:] == (3, 32, 32, 3)
    assert set(parts["train"].who) | set(parts["test"].who) == {f"person{k}" for k in range(40)}
    assert not set(parts["train"].who) & set(parts["test"].who)
    assert len(parts["train"].who) + len(parts["test"].who) == 80


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no films there"),
        (lambda folder: film(folder / "zz" / "short.avi", 2), "2 frames can be read, 4 are needed"),
        (lambda folder: (folder / "broken.mp4").write_bytes(b"no film"), "0 frames can be read"),
    ],
)
def test_a_folder_that_is_no_good_is_told_so(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(ProsthesisError, match=said) as caught:
        from_folder(tmp_path, "train", 4, 32)
    assert "\n" not in str(caught.value)


def test_the_area_under_the_curve_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    score, true = random.integers(0, 9, 300) / 8, random.random(300) < 0.3
    assert area_under_curve(score, true) == pytest.approx(metrics.roc_auc_score(true, score))


@pytest.mark.parametrize("name", ["features", "judge"])
def test_a_looker_finds_the_eyes_of_people_it_never_saw(name):
    clips = rendered("faces", "test", 12, 2, 64, lambda _: None)
    net = looker.load(name)
    pictures = torch.from_numpy(clips.frames.reshape(-1, 64, 64, 3)).permute(0, 3, 1, 2).float() / 255
    _, where = looker.told(net, pictures)
    truth = clips.landmarks.reshape(-1, 10, 2)
    off = np.linalg.norm(where - truth, axis=-1).mean()
    guess = np.linalg.norm(truth - truth.mean(0), axis=-1).mean()
    assert off < 0.5 * guess


def test_a_looker_that_was_changed_is_refused(tmp_path):
    settings = dataclasses.replace(looker.SHIPPED["features"], width=4)
    looker.save(looker.Looker(4), "mine", settings, tmp_path)
    looker.load("mine", tmp_path)
    (tmp_path / "mine.npz").write_bytes(b"other")
    with pytest.raises(ProsthesisError, match="sha256"):
        looker.load("mine", tmp_path)
