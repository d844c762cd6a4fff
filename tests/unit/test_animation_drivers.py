"""Where driving pictures come from, how fast and in what shape, and how long their films last."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_up_session import record_session

from prosthesis.animation import drivers
from prosthesis.animation.drivers import driving
from prosthesis.animation.films import Film, Paced
from prosthesis.errors import CameraError
from prosthesis.messages import Frame

SIZE = (96, 64)  # width and height in pixels, not those of a camera


def write_film(path, fps=10, count=12, size=SIZE):
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    for k in range(count):
        out.write(np.full((size[1], size[0], 3), 20 * k, np.uint8))
    out.release()
    return path


def levels(path):
    """Return the mean of each picture of a film."""
    capture = cv2.VideoCapture(str(path))
    found = []
    while (picture := capture.read()[1]) is not None:
        found.append(float(picture.mean()))
    return found


class Camera:
    """Frames of given capture times in ms, and then the end; their levels are 0, 10, 20..."""

    def __init__(self, times_ms):
        self._frames = [Frame(k, t * 1_000_000, np.full((60, 80, 3), 10 * k, np.uint8)) for k, t in times_ms]
        self.closed = False

    def read(self, timeout_s):
        if not self._frames:
            raise EOFError
        return self._frames.pop(0)

    def close(self):
        self.closed = True


@pytest.mark.parametrize("before", ["", "file:", "file://"])
def test_a_film_comes_whole_at_its_own_pace_and_size_however_it_is_named(tmp_path, before):
    path = write_film(tmp_path / "a film.avi")
    pictures, fps = driving(f"{before}{str(path).replace(' ', '%20') if before else path}")
    seen = list(pictures)
    assert fps == pytest.approx(10)
    assert [one.at_s for one in seen] == pytest.approx([k / 10 for k in range(12)])
    assert {one.rgb.shape for one in seen} == {(SIZE[1], SIZE[0], 3)}
    assert [one.rgb.mean() for one in seen] == pytest.approx([20 * k for k in range(12)], abs=4)


def test_a_films_name_may_have_a_colon(tmp_path, monkeypatch):
    write_film(tmp_path / "made.avi").rename(tmp_path / "a:b.avi")
    monkeypatch.chdir(tmp_path)
    assert len(list(driving("a:b.avi")[0])) == 12


@pytest.mark.parametrize("many", [False, True], ids=["picture", "folder"])
def test_pictures_by_their_uri_keep_their_shape(tmp_path, many):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((90, 160, 3), np.uint8))
    pictures, _ = driving(f"file://{tmp_path if many else tmp_path / 'a.png'}")
    assert next(pictures).rgb.shape == (90, 160, 3)


def test_a_picture_larger_than_may_be_asked_for_keeps_its_proportions(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((1000, 8000, 3), np.uint8))
    assert next(driving(f"file://{tmp_path / 'a.png'}")[0]).rgb.shape == (240, 1920, 3)


def test_a_clip_and_a_recording_keep_their_shape(tmp_path):
    capture = cv2.VideoCapture(str(drivers.CLIPS / "street.mp4"))
    assert next(driving("clip:street")[0]).rgb.shape == capture.read()[1].shape
    record_session(tmp_path / "run.mcap", frames=4)
    assert next(driving(f"replay:{tmp_path / 'run.mcap'}")[0]).rgb.shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("source", "said"),
    [("file://none.avi", "no such file"), ("clip:none", "no clip named"), ("replay:none.mcap", "none.mcap")],
)
def test_what_is_not_there_is_told_by_who_opens_it(source, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CameraError, match=said):
        driving(source)


def test_a_cameras_pictures_have_their_capture_times(monkeypatch):
    camera = Camera([(0, 5000), (1, 5100), (2, 5350)])
    monkeypatch.setattr(drivers, "open_camera", lambda config, clock: camera)
    pictures, fps = driving("0")
    assert fps == 30
    assert [one.at_s for one in pictures] == pytest.approx([5.0, 5.1, 5.35])
    assert camera.closed


def test_a_tap_with_nobody_there_is_given_up_in_one_line(monkeypatch):
    monkeypatch.setattr(drivers, "FIRST_S", 0.2)
    with pytest.raises(CameraError, match=r"^tap:127\.0\.0\.1:9: no first picture came in 0\.2 s; start .*$"):
        next(driving("tap:127.0.0.1:9")[0])


def test_a_camera_may_be_silent_once_it_has_begun(monkeypatch):
    camera = Camera([(0, 0), (1, 900)])
    first, second = camera._frames
    camera._frames = [first, *[None] * 3, second]
    monkeypatch.setattr(drivers, "FIRST_S", 1e-6)
    monkeypatch.setattr(drivers, "open_camera", lambda config, clock: camera)
    assert len(list(driving("0")[0])) == 2


@pytest.mark.parametrize(
    ("times_s", "standing"),
    [
        ([k / 10 for k in range(12)], [k for k in range(12) for _ in range(3)]),  # 10 a second: thrice each
        ([3 + k / 30 for k in range(6)], list(range(6))),
        ([k / 90 for k in range(6)], [0, 2, 5]),  # too fast: a third of them
        ([0, 0.1, 0.4], [0] * 3 + [1] * 9 + [2] * 9),
        ([100, 100.1, 2, 2.1], [0] * 3 + [1] + [2] * 3 + [3] * 3),  # the clock began anew
        ([0, 0.1, 9000, 9000.1], [0] * 3 + [1] + [2] * 3 + [3] * 3),
        ([7], [0]),
    ],
)
def test_each_picture_stands_until_the_next_was_seen(tmp_path, times_s, standing):
    film = Paced(Film(tmp_path / "o.mp4", 30))
    for k, at_s in enumerate(times_s):
        film.add(np.full((64, 64, 3), 20 * k, np.uint8), at_s)
    film.close()
    assert [round(level / 20) for level in levels(tmp_path / "o.mp4")] == standing
