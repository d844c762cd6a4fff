"""How the reading study counts, and that its figures can be made where no picture is installed."""

import pytest

from prosthesis_train.studies.tasks import reading
from prosthesis_train.studies.tasks.reading import Count, count


@pytest.mark.parametrize(
    ("read", "labels", "counted"),
    [
        (["Exit", "24,"], ["EXIT", "24"], Count(2, 0, 0)),
        (["NO"], ["NO", "NO"], Count(1, 1, 0)),
        (["NO", "NO", "N0"], ["NO"], Count(1, 0, 2)),
        (["--", ""], ["A"], Count(0, 1, 0)),
    ],
)
def test_words_are_counted_as_bags_without_case_or_punctuation(read, labels, counted):
    assert count(read, labels) == counted


def test_the_interval_of_a_count_is_wilsons():
    assert reading._wilson(9, 10) == pytest.approx((5.958, 9.821), abs=0.01)


def test_figures_are_made_without_any_installed_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "OPENCV_DOC", tmp_path)
    monkeypatch.setattr(reading, "STREET", ("no_such_package", "ucsb-bike.jpg", "STOP"))
    pictures = reading.rendered_pictures(3)
    monkeypatch.setattr(reading, "rendered_pictures", lambda: pictures)
    said = []
    figures = {figure.name: figure for figure in reading.measure(said.append)}
    assert "left out: scenetext01" in said[0]
    assert 0 <= figures["3 rendered words over photographs: words found of 3"].value <= 3
    assert figures["detector, a frame"].value > 0
    assert not any("real pictures" in name for name in figures)
