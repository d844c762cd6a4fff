"""Heads cut out along their outline: drawn ones of known outline, in any size and place, before an even dark ground."""

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")

from prosthesis.config import load_rig
from prosthesis.faces.detect import Face
from prosthesis.faces.head import MARGIN, SIDE, cut_out
from prosthesis.faces.layout import lay_out
from prosthesis.faces.present import LOOK_NS, paint_head
from prosthesis.faces.tracks import Track
from prosthesis.view import make_view

FRAME = (320, 180)


def scene(centre=(160, 90), half=(40, 52), ground=40, skin=170):
    """Return a frame with an oval head that has eyes and a mouth, and the face's true box."""
    x, y = centre
    random = np.random.default_rng(0)
    rgb = np.full((180, 320, 3), ground, np.float32)
    cv2.ellipse(rgb, centre, half, 0, 0, 360, (skin,) * 3, -1)
    for dx, dy, rx, ry in ((-0.4, -0.1, 6, 3), (0.4, -0.1, 6, 3), (0, 0.5, 14, 4)):
        cv2.ellipse(rgb, (int(x + dx * half[0]), int(y + dy * half[1])), (rx, ry), 0, 0, 360, (30,) * 3, -1)
    rgb = np.clip(rgb + random.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)
    width = 1.7 * half[0]
    box = (x - width / 2, y + 6 - width / 2, x + width / 2, y + 6 + width / 2)
    return rgb, Face(0.9, box, np.zeros((6, 2)))


def spans(drawing):
    lit = drawing > 0.05
    return np.ptp(np.flatnonzero(lit.any(axis=0))) + 1, np.ptp(np.flatnonzero(lit.any(axis=1))) + 1


@pytest.mark.parametrize("half", [(30, 52), (40, 52), (20, 26)])
@pytest.mark.parametrize("ground", [0, 60])
def test_the_drawing_is_the_head_as_high_as_it_fits_in_its_own_proportions(half, ground):
    drawing = cut_out(*scene(half=half, ground=ground))
    assert drawing.shape == (SIDE, SIDE)
    assert drawing.min() >= 0
    assert drawing.max() <= 1
    wide, high = spans(drawing)
    assert high == pytest.approx(SIDE / MARGIN, abs=2)
    assert wide / high == pytest.approx(half[0] / half[1], abs=0.06)
    assert not drawing[:4, :4].any()  # the ground is black whatever it was
    assert drawing[SIDE // 2, SIDE // 2] > 0.8


def test_where_and_how_large_the_head_was_does_not_matter():
    first = cut_out(*scene())
    for other in (scene(centre=(120, 80)), scene(half=(30, 39)), scene(skin=120)):
        assert np.abs(cut_out(*other) - first).mean() < 0.05
    assert np.abs(cut_out(*scene(half=(28, 52))) - first).mean() > 0.1  # who has a narrower head is drawn so


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7])
def test_a_box_of_part_of_the_face_grows_to_the_head(share):
    rgb, face = scene()
    left, top, right, bottom = face.box
    x, y, part = (left + right) / 2, (top + bottom) / 2, share * face.width / 2
    small = Face(0.9, (x - part, y - part, x + part, y + part), face.points)
    assert np.abs(cut_out(rgb, small) - cut_out(rgb, face)).mean() < 0.05


def test_a_head_beyond_the_edge_and_a_blank_picture_are_no_errors():
    rgb, face = scene(centre=(5, 90))
    assert cut_out(rgb, face).shape == (SIDE, SIDE)
    assert np.isfinite(cut_out(np.zeros_like(rgb), face)).all()


def test_a_head_fills_the_window_and_leaves_the_bar():
    rig = load_rig("utah96")
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    layout = lay_out(view, rig.calibration)
    rgb, face = scene()
    track = Track(face, cut_out(rgb, face), 0, (), 0.0)
    shown = paint_head(track, FRAME, view, layout, 0)
    picture = shown[layout.picture.slices]
    assert (picture > 0.5).mean() > 0.4
    assert picture[-1].max() < 0.5  # the chin's margin
    assert shown[layout.bar.slices].any()
    # half a second later its upper part, then its lower one, then all of it again
    upper, lower, again = (
        paint_head(track, FRAME, view, layout, look * LOOK_NS)[layout.picture.slices] for look in (1, 2, 3)
    )
    np.testing.assert_array_equal(again, picture)
    assert upper[-2].mean() > picture[-2].mean() + 0.2  # cheeks where the chin's margin was
    assert lower[1].mean() > picture[1].mean() + 0.2
