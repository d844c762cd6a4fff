import os
import socket
import time

import cv2
import numpy as np
import pytest

from prosthesis.cameras import open_camera, opencv
from prosthesis.cameras.newest import NewestReader
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.timing import ManualClock, MonotonicClock


def config(source, width=64, height=48, fps=25.0):
    return CameraConfig(source=str(source), width=width, height=height, fps=fps, field_deg=(60, 45))


def opened(source, **sizes):
    return open_camera(config(source, **sizes), ManualClock())


def write_movie(path, pictures, fps=20.0):
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def gray(level, width=64, height=48):
    return np.full((height, width, 3), level, np.uint8)


def levels(camera):
    """The mean level of each picture up to the end."""
    found = []

    def read_all():
        while True:
            found.append(round(camera.read(1).rgb.mean()))

    with pytest.raises(EOFError):
        read_all()
    return found


def told(source):
    """The one line a source that cannot be opened gives, and that it comes soon."""
    start = time.monotonic()
    with pytest.raises(CameraError) as caught:
        opened(source)
    assert time.monotonic() - start < 5
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_movie_plays_once_at_its_own_pace(tmp_path):
    path = write_movie(tmp_path / "m.avi", [gray(20 * k) for k in range(10)], fps=20)
    camera = opened(f"file://{path}", fps=50)
    first, second = camera.read(1), camera.read(1)
    assert second.t_ns - first.t_ns == 50_000_000
    assert levels(camera) == pytest.approx([40, 60, 80, 100, 120, 140, 160, 180], abs=2)


def test_a_late_reader_of_a_movie_skips_pictures(tmp_path):
    path = write_movie(tmp_path / "m.avi", [gray(20 * k) for k in range(10)], fps=20)
    clock = ManualClock()
    camera = open_camera(config(path), clock)
    camera.read(1)
    clock.advance(260_000_000)
    frame = camera.read(1)
    assert frame.seq == 6
    assert frame.rgb.mean() == pytest.approx(100, abs=2)


def test_a_picture_repeats_at_the_configured_pace(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), gray(77))
    camera = opened(tmp_path / "p.png", fps=10)
    frames = [camera.read(1) for _ in range(50)]
    assert {frame.rgb.mean() for frame in frames} == {77}
    assert frames[49].t_ns - frames[0].t_ns == 4_900_000_000


def test_a_folder_plays_sorted_once_and_ignores_what_is_no_picture(tmp_path):
    for name, level in (("b.png", 2), ("a.png", 1), ("c.PNG", 3)):
        (tmp_path / name).write_bytes(cv2.imencode(".png", gray(level))[1].tobytes())
    (tmp_path / "notes.txt").write_text("hello")
    assert levels(opened(f"file://{tmp_path}")) == [1, 2, 3]


def test_a_path_in_a_uri_may_be_percent_encoded(tmp_path):
    cv2.imwrite(str(tmp_path / "my picture.png"), gray(5))
    assert opened(f"file://{tmp_path}/my%20picture.png").read(1).rgb.mean() == 5
    assert opened(tmp_path / "my picture.png").read(1).rgb.mean() == 5


def test_shrinking_averages_areas(tmp_path):
    stripes = gray(0, 128, 96)
    stripes[:, ::2] = 200
    cv2.imwrite(str(tmp_path / "p.png"), stripes)
    assert (opened(tmp_path / "p.png").read(1).rgb == 100).all()


def test_the_packaged_clip_loops_for_ever():
    camera = opened("clip:street", width=160, height=86)
    frames = [camera.read(1) for _ in range(80)]
    assert np.array_equal(frames[0].rgb, frames[36].rgb)
    assert np.array_equal(frames[7].rgb, frames[79].rgb)
    assert len({frame.rgb.tobytes() for frame in frames}) == 36
    assert frames[36].t_ns == pytest.approx(1_468_000_000, abs=2_000_000)  # 36 pictures at 24.52 per second


def test_an_unknown_clip_or_scheme_lists_what_there_is():
    assert told("clip:mars") == "no clip named 'mars'; there are: street"
    message = told("ftp://host/movie")
    assert "unknown scheme 'ftp:'" in message
    for scheme in ("synthetic:", "clip:", "replay:", "v4l2:", "csi:", "rtsp:", "file:"):
        assert scheme in message


def test_a_missing_file(tmp_path):
    assert told(tmp_path / "no.mp4") == f"{tmp_path}/no.mp4: no such file; check the path"


@pytest.mark.parametrize("name", ["zero.mp4", "zero.png"])
def test_a_file_without_content(tmp_path, name):
    (tmp_path / name).touch()
    assert "the file is empty" in told(tmp_path / name)


@pytest.mark.parametrize(("name", "kind"), [("text.mp4", "movie"), ("text.png", "picture"), ("text", "movie")])
def test_a_file_that_is_something_else(tmp_path, name, kind):
    (tmp_path / name).write_text("these are not pixels\n" * 50)
    assert f"{name}: not a {kind} that OpenCV can" in told(tmp_path / name)


def test_a_movie_cut_off_before_its_index(tmp_path):
    (tmp_path / "cut.mp4").write_bytes((opencv.CLIPS / "street.mp4").read_bytes()[:50_000])
    assert "not a movie that OpenCV can play, or cut off" in told(tmp_path / "cut.mp4")


def test_a_movie_cut_off_in_the_middle_says_so_after_its_last_picture(tmp_path):
    rng = np.random.default_rng(0)
    whole = write_movie(tmp_path / "m.avi", [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(40)])
    data = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 6 // 10])
    camera = opened(tmp_path / "cut.avi")
    with pytest.raises(CameraError, match=r"cut\.avi: ends after 2\d of 40 pictures; it is cut off"):
        levels(camera)


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "no pictures in this folder" in told(tmp_path)


def test_a_folder_with_an_unreadable_picture_names_it_before_playing(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), gray(1))
    (tmp_path / "b.png").write_text("not a picture")
    assert f"{tmp_path}/b.png: not a picture" in told(tmp_path)


def test_a_picture_damaged_behind_its_header_is_named_when_reached(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), gray(1))
    cv2.imwrite(str(tmp_path / "b.png"), gray(1))
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:20])
    camera = opened(tmp_path)
    camera.read(1)
    with pytest.raises(CameraError, match=r"b\.png: not a picture"):
        camera.read(1)


@pytest.mark.parametrize("source", ["91", "v4l2:///dev/video91"])
def test_a_webcam_that_is_not_there(source):
    assert "/dev/video91: no such camera; there are: " in told(source)


def test_a_device_node_that_is_no_camera():
    assert "/dev/null: is not a camera" in told("v4l2:///dev/null")


def test_nobody_listens_at_the_rtsp_port_and_the_password_is_not_repeated():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        message = told(f"rtsp://me:secret@127.0.0.1:{port}/stream")
    assert message == f"rtsp://127.0.0.1:{port}: no video stream there; check host, port, path and password"
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" not in os.environ


def test_an_rtsp_server_that_never_answers(monkeypatch):
    monkeypatch.setattr(opencv, "RTSP_TIMEOUT_MS", 300)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert "no video stream there" in told(f"rtsp://127.0.0.1:{mute.getsockname()[1]}/stream")


class Capture:
    """Stands in for a ``cv2.VideoCapture`` whose camera is unplugged after five pictures."""

    def __init__(self):
        self.left = 5

    def grab(self):
        time.sleep(0.002)
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, gray(self.left)

    def release(self):
        pass


def test_a_webcam_unplugged_in_use_is_opened_again():
    reader = NewestReader(lambda: opencv.CaptureDevice(Capture(), "cam0", config("0")), MonotonicClock())
    try:
        while reader.read(1).seq < 7:
            pass
        assert reader.fault.startswith("cam0: gives no more pictures; is it still connected? (reconnect")
    finally:
        reader.close()


def test_a_camera_without_colour_is_refused():
    with pytest.raises(CameraError, match=r"gives uint16\[48, 64\], not 8-bit colour"):
        opencv.to_rgb(np.zeros((48, 64), np.uint16), 64, 48)
