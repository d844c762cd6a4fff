"""What every ``FrameSource`` must do, whatever is behind it. A new source is one more line in ``SOURCES``."""

import threading
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest
import zmq

from prosthesis.cameras import open_camera
from prosthesis.cameras.newest import NewestReader
from prosthesis.config import CameraConfig
from prosthesis.messages import Frame, readonly
from prosthesis.processes import free_port
from prosthesis.protocols import FrameSource
from prosthesis.taps import Tap
from prosthesis.timing import MonotonicClock

WIDTH, HEIGHT, FPS = 80, 60, 50.0
RED_BGR = np.full((48, 64, 3), (0, 0, 255), np.uint8)


def from_uri(uri):
    config = CameraConfig(source=uri, width=WIDTH, height=HEIGHT, fps=FPS, field_deg=(60, 45))
    return open_camera(config, MonotonicClock())


def picture(folder):
    cv2.imwrite(str(folder / "red.png"), RED_BGR)
    return from_uri(f"file://{folder}/red.png")


def folder_of_pictures(folder):
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.png"), RED_BGR)
    return from_uri(str(folder))


def movie(folder):
    writer = cv2.VideoWriter(str(folder / "red.avi"), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (64, 48))
    for _ in range(8):
        writer.write(RED_BGR)
    writer.release()
    return from_uri(str(folder / "red.avi"))


def tap(folder):
    """Another device that sees red."""

    class Camera:
        def __init__(self):
            self._port, self._context = free_port(), zmq.Context()
            self._tap = Tap(f"tcp://127.0.0.1:{self._port}", self._context)
            self._camera = from_uri(f"tap:127.0.0.1:{self._port}")
            self._closed = threading.Event()
            self._thread = threading.Thread(target=self._publish)
            self._thread.start()

        def _publish(self):
            rgb, seq = readonly(np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8), np.uint8), 0
            while not self._closed.wait(1 / FPS):
                seq += 1
                self._tap.publish("frame", Frame(seq, time.monotonic_ns(), rgb))

        @property
        def live(self):
            return self._camera.live

        @property
        def fault(self):
            return self._camera.fault

        def read(self, timeout_s):
            return self._camera.read(timeout_s)

        def close(self):
            self._camera.close()
            if not self._closed.is_set():
                self._closed.set()
                self._thread.join()
                self._tap.close()
                self._context.term()

    return Camera()


class RedSensor:
    def grab(self):
        time.sleep(1 / FPS)

    def retrieve(self):
        return np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8)

    def close(self):
        pass


# name -> (make(tmp_path), whether its pictures are red)
SOURCES = {
    "synthetic:bar": (lambda folder: from_uri("synthetic:bar"), False),
    "synthetic:letters": (lambda folder: from_uri("synthetic:letters"), False),
    "synthetic:corridor": (lambda folder: from_uri("synthetic:corridor"), False),
    "clip:street": (lambda folder: from_uri("clip:street"), False),
    "picture": (picture, True),
    "folder": (folder_of_pictures, True),
    "movie": (movie, True),
    "tap": (tap, True),
    "sensor": (lambda folder: NewestReader(RedSensor, MonotonicClock()), True),
}
RED = [name for name, (_, red) in SOURCES.items() if red]


@pytest.fixture
def source(request, tmp_path):
    made = SOURCES[request.param][0](tmp_path)
    yield made
    made.close()


every_source = pytest.mark.parametrize("source", SOURCES, indirect=True)


@every_source
def test_it_has_the_protocols_shape(source):
    assert isinstance(source, FrameSource)
    assert isinstance(source.live, bool)
    assert source.fault is None


@every_source
def test_frames_are_rgb_of_the_configured_size_and_cannot_be_written(source):
    frame = source.read(2)
    assert frame.rgb.shape == (HEIGHT, WIDTH, 3)
    assert frame.rgb.dtype == np.uint8
    assert frame.rgb.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        frame.rgb[0, 0, 0] = 1


@pytest.mark.parametrize("source", RED, indirect=True)
def test_red_comes_out_red(source):
    assert np.abs(source.read(2).rgb.reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 5


@every_source
def test_seq_rises_from_at_least_1_and_capture_times_never_fall_or_lie_ahead(source):
    frames = []
    for _ in range(5):
        frames.append(source.read(2))
        assert frames[-1].t_ns <= time.monotonic_ns()
    seqs, times = [frame.seq for frame in frames], [frame.t_ns for frame in frames]
    assert seqs[0] >= 1
    assert all(later > earlier for earlier, later in pairwise(seqs))
    assert times == sorted(times)


@every_source
def test_a_frame_is_handed_out_once_and_the_timeout_is_kept(source):
    source.read(2)
    start = time.monotonic()
    found = [source.read(0.0) for _ in range(3)]
    assert time.monotonic() - start < 0.5
    assert None in found


@every_source
def test_reading_after_close_is_the_end_and_closing_twice_is_fine(source):
    source.read(2)
    start = time.monotonic()
    source.close()
    source.close()
    with pytest.raises(EOFError):
        source.read(2)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("source", ["folder", "movie"], indirect=True)
def test_what_ends_says_so_every_time(source):
    def read_all():
        while True:
            source.read(2)

    for _ in range(2):
        with pytest.raises(EOFError):
            read_all()
