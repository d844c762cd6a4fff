"""Faces are found where they are; the network's boxes are decoded as its layout says."""

import numpy as np
import pytest
from face_pictures import admiral, astronaut, in_scene

pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")

from prosthesis.bundles.bundle import load_bundle
from prosthesis.engines import open_engine
from prosthesis.faces.align import aligned
from prosthesis.faces.detect import SIDE, anchors, decode, find_faces, letterbox, overlap
from prosthesis.faces.gallery import embed

# read off the photograph by eye, under a grid
ASTRONAUT = {"right eye": (203, 101), "left eye": (246, 103), "nose": (224, 126), "mouth": (224, 145)}


@pytest.fixture(scope="module")
def detector():
    return open_engine(load_bundle("faces"), "onnx")


def outputs(boxes):
    """Return the network's outputs for boxes {anchor: (score, 16 numbers)}, nothing elsewhere."""
    scores, values = np.zeros(896, np.float32), np.zeros((896, 16), np.float32)
    for anchor, (score, numbers) in boxes.items():
        scores[anchor], values[anchor] = score, numbers
    return scores, values


def test_anchors_are_cell_centres_fine_scale_first():
    places = anchors()
    assert places.shape == (896, 2)
    assert places[0] == pytest.approx([0.5 / 16, 0.5 / 16])
    assert places[1] == pytest.approx(places[0])  # two a cell
    assert places[2] == pytest.approx([1.5 / 16, 0.5 / 16])  # along the row first
    assert places[2 * 16] == pytest.approx([0.5 / 16, 1.5 / 16])
    assert places[512] == pytest.approx([0.5 / 8, 0.5 / 8])
    assert places[512 + 6] == pytest.approx([1.5 / 8, 0.5 / 8])


def test_a_box_is_pixels_from_its_anchor():
    numbers = [10, -20, 40, 60, *range(12)]
    (face,) = decode(*outputs({2 * 16: (0.9, numbers)}))
    x, y = 8, 24
    assert face.score == pytest.approx(0.9)
    assert face.box == pytest.approx((x + 10 - 20, y - 20 - 30, x + 10 + 20, y - 20 + 30))
    assert face.points == pytest.approx(np.arange(12).reshape(6, 2) + np.array([x, y]))


def test_boxes_of_one_face_are_merged_by_their_scores():
    one, other = [0, 0, 40, 40, *[0] * 12], [8, 0, 40, 40, *[4] * 12]
    (face,) = decode(*outputs({0: (0.9, one), 1: (0.6, other)}))
    assert face.score == pytest.approx(0.9)
    assert face.centre == pytest.approx((8 + 8 * 0.6 / 1.5, 8))
    assert face.points[0] == pytest.approx([8 + 4 * 0.4, 8 + 4 * 0.4])


def test_boxes_apart_are_two_faces_and_the_unlikely_or_senseless_are_none():
    box = [0, 0, 20, 20, *[0] * 12]
    found = decode(*outputs({0: (0.6, box), 100: (0.9, box), 200: (0.4, box), 300: (0.9, [0, 0, -5, 20, *[0] * 12])}))
    assert [face.score for face in found] == pytest.approx([0.9, 0.6])


def test_overlap_by_hand():
    assert overlap((0, 0, 2, 2), [(1, 0, 3, 2), (5, 5, 6, 6), (0, 0, 2, 2)]) == pytest.approx([1 / 3, 0, 1])


def test_a_letterbox_keeps_shapes():
    picture, scale, corner = letterbox(np.full((180, 320, 3), 200, np.uint8))
    assert (scale, corner) == (0.8, (0, 56))
    assert picture[56:200].min() == 200
    assert not picture[:56].any()
    assert not picture[200:].any()


def test_the_astronauts_features_are_found_where_they_are(detector):
    (face,) = find_faces(astronaut(), detector)
    for place, found in zip(ASTRONAUT.values(), face.points, strict=False):
        assert found == pytest.approx(place, abs=5)


def test_a_face_is_found_wherever_it_is_in_a_wide_frame(detector):
    for x in (40, 160, 280):
        (face,) = find_faces(in_scene(astronaut(), 40, (x, 90)), detector)
        assert face.centre == pytest.approx((x, 90), abs=6)
        assert face.width == pytest.approx(40, rel=0.25)


def test_things_are_no_faces(detector):
    rng = np.random.default_rng(0)
    for rgb in (np.zeros((180, 320, 3), np.uint8), rng.integers(0, 256, (180, 320, 3), dtype=np.uint8)):
        assert find_faces(rgb, detector) == []


def test_two_faces_are_two(detector):
    both = np.concatenate(
        [in_scene(astronaut(), 60, (80, 90), (160, 180)), in_scene(astronaut(), 40, (80, 90), (160, 180))], 1
    )
    assert sorted(round(face.centre[0] / 10) for face in find_faces(both, detector)) == [8, 24]


def test_an_identity_survives_size_and_light_and_tells_two_people_apart(detector):
    embedder = open_engine(load_bundle("faces"), "onnx", index=1)

    def identity(rgb):
        return embed(aligned(rgb, find_faces(rgb, detector)[0].points), embedder)

    same = identity(astronaut())
    assert np.linalg.norm(same) == pytest.approx(1, abs=1e-5)
    assert same @ identity(in_scene(astronaut(), 40, (160, 90))) > 0.8
    assert same @ identity((astronaut() * 0.5).astype(np.uint8)) > 0.8
    assert same @ identity(admiral()) < 0.3


def test_the_side_is_the_bundles():
    assert load_bundle("faces").manifest.input_size == (SIDE, SIDE)
