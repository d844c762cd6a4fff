from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from prosthesis_train.animation.people import bodies, landmarks, motions, somebody, turned
from prosthesis_train.animation.scene import Body, Mark, grid, placed, render, trace, true_motion

UPRIGHT = np.eye(3, dtype=np.float32)
GRAY = (0.5, 0.5, 0.5)


def ball(x=0.0, y=0.0, z=0.0, radius=0.5, turn=UPRIGHT, **more):
    return Body(np.float32([x, y, z]), turn, np.float32([radius] * 3), GRAY, **more)


def warped(picture, at):
    """The picture at places in -1..1, nearest pixel: an oracle that shares no code with what is tested."""
    side = len(picture)
    column, row = (np.clip(((at[..., k] + 1) * side / 2 - 0.5).round().astype(int), 0, side - 1) for k in (0, 1))
    return picture[row, column]


def test_an_ellipsoid_covers_the_area_of_its_outline():
    body = Body(np.zeros(3, np.float32), UPRIGHT, np.float32([0.6, 0.3, 0.4]), GRAY)
    seen = trace([body], grid(200)).what >= 0
    assert seen.mean() * 4 == pytest.approx(np.pi * 0.6 * 0.3, rel=0.01)


def test_what_is_nearer_hides_what_is_farther():
    seen = trace([ball(z=-1.0), ball(z=1.0, radius=0.2)], np.float32([[0, 0], [0.3, 0], [0.9, 0.9]]))
    assert seen.what.tolist() == [64, 0, -1]


def test_a_shift_is_its_own_flow_and_hides_the_crescent_behind():
    side, shift = 64, 0.25
    at, hidden = true_motion([ball(x=-shift / 2)], [ball(x=shift / 2)], side)
    on = (trace([ball(x=shift / 2)], grid(side)).what == 0).reshape(side, side)
    off = at - grid(side).reshape(side, side, 2)
    np.testing.assert_allclose(off[on], np.float32([-shift, 0]) * np.ones((on.sum(), 2)), atol=1e-5)
    np.testing.assert_array_equal(off[~on], 0)
    was = (trace([ball(x=-shift / 2)], grid(side)).what == 0).reshape(side, side)
    np.testing.assert_array_equal(hidden, was & ~on)


def test_a_turned_ball_carries_its_front_by_the_sine():
    angle = 0.4
    front = np.array([0]), np.float32([[0, 0, 1]])
    where, depth = placed([ball(turn=turned(angle, 0, 0))], *front)
    np.testing.assert_allclose(where, [[0.5 * np.sin(angle), 0]], atol=1e-6)
    np.testing.assert_allclose(depth, [0.5 * np.cos(angle)], atol=1e-6)


def test_what_turns_away_is_hidden():
    at, hidden = true_motion([ball(turn=turned(1.2, 0, 0))], [ball()], 64)
    # the driving picture's right edge was turned out of sight in the source, its left was not
    assert hidden[32, 46]
    assert not hidden[32, 20]
    assert at.shape == (64, 64, 2)


def test_a_mark_moves_with_its_body_and_stretches():
    small, large = (ball(marks=(Mark((0.2, -0.1), (0.2, half), (1, 0, 0)),)) for half in (0.1, 0.2))
    top = np.array([1]), np.float32([[0, -1, 0]])
    for body, half in ((small, 0.1), (large, 0.2)):
        np.testing.assert_allclose(placed([body], *top)[0], 0.5 * np.float32([[0.2, -0.1 - half]]), atol=1e-6)


def test_edges_are_smooth():
    picture = render([ball()], np.zeros((64, 64, 3), np.float32))[..., 0]
    inside = picture > 0
    partly = inside & (picture < 0.3)
    assert partly.sum() > 20
    assert picture.max() <= 1


@pytest.mark.parametrize("kind", ["faces", "figures"])
def test_true_flow_makes_the_driving_picture_of_the_source_where_it_is_not_hidden(kind):
    side = 96
    who = somebody(kind, "test", 3, side)
    scenes = [bodies(who, pose) for pose in motions(kind, 5, np.random.default_rng(1))][::4]
    # one gray light for all turns: shading is no part of motion
    source, driving = (render(scene, who.ground, 1) for scene in scenes)
    at, hidden = true_motion(scenes[0], scenes[1], side)
    off = np.abs(warped(source, at) - driving).mean(-1)
    assert 0.01 < hidden.mean() < 0.4
    assert off[~hidden].mean() < 0.02
    assert off[hidden].mean() > 5 * off[~hidden].mean()
    assert np.abs(source - driving).mean() > 1.5 * off.mean()


def test_people_are_the_same_again_and_never_in_both_parts():
    one, again, other = (somebody("faces", part, 5, 16) for part in ("train", "train", "test"))
    assert one.traits == again.traits
    assert one.traits != other.traits
    np.testing.assert_array_equal(one.ground, again.ground)


def test_landmarks_lie_on_what_they_name():
    who = somebody("faces", "train", 0, 16)
    still = dict.fromkeys(motions("faces", 2, np.random.default_rng(0))[0], 0.0)
    shut, wide = (landmarks(bodies(who, {**still, "gape": gape})) for gape in (0.0, 1.0))
    eyes, mouth = shut[[0, 2]], shut[5:9]
    assert (eyes[:, 1] < shut[4, 1]).all()
    assert (mouth[:, 1] > shut[4, 1]).all()
    assert wide[8, 1] - wide[7, 1] > 1.5 * (shut[8, 1] - shut[7, 1])
    np.testing.assert_allclose(shut[0, 0], -shut[2, 0], atol=1e-5)
