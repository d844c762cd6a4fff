"""Alignment undoes any turn, size and place of a face, and never mirrors it."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosthesis.faces.align import SIDE, TEMPLATE, aligned, similarity

ANGLES, SIZES, PLACES = st.floats(-math.pi, math.pi), st.floats(0.2, 5.0), st.floats(-500, 500)


def moved(points, angle, size, x, y):
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return size * points @ turn.T + [x, y]


@given(ANGLES, SIZES, PLACES, PLACES)
def test_a_turned_scaled_shifted_template_comes_back(angle, size, x, y):
    points = moved(TEMPLATE, angle, size, x, y)
    matrix = similarity(points, TEMPLATE)
    assert points @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(TEMPLATE, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_least_squares_similarity(seed):
    """Oracle: the linear least-squares fit of [a -b; b a] and a shift."""
    points = np.random.default_rng(seed).normal(0, 40, (4, 2))
    zero, one = np.zeros(4), np.ones(4)
    x, y = points.T
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(rows, TEMPLATE.T.ravel(), rcond=None)[0]
    assert similarity(points, TEMPLATE) == pytest.approx(np.array([[a, -b, tx], [b, a, ty]]), abs=1e-6)


@given(ANGLES, SIZES)
def test_a_mirrored_face_is_not_mirrored_back(angle, size):
    matrix = similarity(moved(TEMPLATE * [-1, 1], angle, size, 0, 0), TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_that_coincide_are_only_shifted():
    matrix = similarity(np.full((4, 2), 7.0), TEMPLATE)
    assert matrix[:, :2] == pytest.approx(np.eye(2))


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.6, 0.6), st.floats(1.0, 6.0))
def test_the_picture_follows_the_points(angle, size):
    """A smooth picture in the template's frame, laid into a large one turned and scaled, comes back as it was."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    smooth = (127 + 60 * np.sin(x / 17) + 60 * np.cos(y / 13)).astype(np.uint8)
    own = np.repeat(smooth[..., None], 3, axis=2)
    matrix = similarity(TEMPLATE, moved(TEMPLATE - 56, angle, size, 600, 600))
    scene = cv2.warpAffine(own, matrix, (1200, 1200), flags=cv2.INTER_LINEAR)
    points = np.concatenate([moved(TEMPLATE - 56, angle, size, 600, 600), np.zeros((2, 2))])
    back = aligned(scene, points)[8:-8, 8:-8].astype(float)
    assert np.abs(back - own[8:-8, 8:-8]).mean() < 2.5


def test_a_face_half_outside_is_black_there():
    points = np.concatenate([TEMPLATE - [56, 0], np.zeros((2, 2))])
    face = aligned(np.full((112, 112, 3), 255, np.uint8), points)
    assert not face[:, :50].any()
    assert face[:, 62:].min() == 255
