"""The rates of the faces' study on made-up identities, where they can be counted by hand."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="studies need prosthesis[train]")

from prosthesis.errors import ProsthesisError
from prosthesis.faces.gallery import Gallery
from prosthesis_train.studies.tasks import faces


def unit_rows(*axes):
    return np.eye(192, dtype=np.float32)[list(axes)]


def test_false_accepts_are_counted_by_pair():
    """Eight strangers of whom one is like an enrolled person and two are like each other."""
    gallery = Gallery().enrolled("ann", unit_rows(0)[0]).enrolled("bob", unit_rows(1)[0])
    found, single, anybody, apart = faces.false_accepts(unit_rows(0, 5, 5, 7, 8, 9, 10, 11), gallery, 0.45)
    assert found.value == 8
    assert single.value == pytest.approx(100 / 16)
    assert anybody.value == pytest.approx(100 / 8)
    assert apart.value == pytest.approx(100 / 28)
    assert single.low == 0
    assert single.value < single.high <= 25
    assert "16 pairs" in single.name
    assert "28 pairs" in apart.name


def test_a_portrait_is_laid_into_the_scene_by_its_face():
    rgb = np.zeros((200, 200, 3), np.uint8)
    rgb[80:120, 80:120] = 255
    frame = faces.in_scene(rgb, (100.0, 100.0), 40.0, 20.0, (50.0, 60.0))
    rows, columns = np.nonzero((frame == 255).all(axis=2))
    assert frame.shape == (180, 320, 3)
    assert (columns.mean(), rows.mean()) == (pytest.approx(49.5, abs=1), pytest.approx(59.5, abs=1))
    assert np.ptp(columns) == pytest.approx(19, abs=1)


def test_without_the_portraits_it_says_where_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(faces, "PORTRAITS", tmp_path / "gone")
    with pytest.raises(ProsthesisError, match=r"pip download .* face_recognition==1.3.0"):
        faces.people()
