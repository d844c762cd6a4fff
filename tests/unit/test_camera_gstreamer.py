import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from prosthesis.cameras import gstreamer, newest, open_camera, opencv
from prosthesis.cameras.gstreamer import GstPipe, command, csi_source
from prosthesis.cameras.newest import NewestReader
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.timing import MonotonicClock

needs_gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None, reason="gst-launch-1.0 is missing; install gstreamer1.0-tools"
)
RED = "videotestsrc is-live=true pattern=red"


def config(width=640, height=480, fps=30.0):
    return CameraConfig(source="csi://0", width=width, height=height, fps=fps, field_deg=(60, 45))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_the_csi_pipeline_asks_the_sensor_for_size_rate_and_number():
    source = csi_source(1, config(1280, 720, 29.97))
    assert source == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=2997/100,format=NV12"
        " ! nvvidconv ! video/x-raw,format=BGRx"
    )


def test_the_childs_command_is_one_argument_a_word():
    words = command("videotestsrc pattern=red ! identity", 64, 48, 7)
    assert " ".join(words) == (
        "gst-launch-1.0 -q videotestsrc pattern=red ! identity ! videoconvert"
        " ! video/x-raw,format=RGB,width=64,height=48 ! fdsink fd=7"
    )


def test_without_any_gstreamer_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(opencv, "has_gstreamer", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CameraError) as caught:
        open_camera(config(), MonotonicClock())
    assert str(caught.value) == (
        "csi://0: OpenCV here has no GStreamer and gst-launch-1.0 was not found; install gstreamer1.0-tools"
    )


def test_a_sensor_that_is_no_number_is_refused():
    with pytest.raises(CameraError, match="'left' is not a sensor number"):
        gstreamer.open_csi("left", config(), MonotonicClock())


def test_a_launcher_that_cannot_run_is_told(monkeypatch):
    monkeypatch.setattr(gstreamer, "LAUNCH", "no-such-launcher")
    with pytest.raises(CameraError, match="no-such-launcher cannot be run"):
        GstPipe(RED, "test", 64, 48)


@needs_gstreamer
def test_a_csi_camera_on_a_machine_without_one_gives_gstreamers_reason(monkeypatch):
    monkeypatch.setattr(opencv, "has_gstreamer", lambda: False)
    start = time.monotonic()
    with pytest.raises(CameraError, match=r"csi://0: GStreamer ended: .*nvarguscamerasrc"):
        open_camera(config(), MonotonicClock())
    assert time.monotonic() - start < 5


@needs_gstreamer
@pytest.mark.parametrize("width", [64, 66, 67])  # rows of 66 and 67 pixels are padded
def test_pictures_are_whole_and_in_rgb_order(width):
    pipe = GstPipe(RED, "test", width, 48)
    try:
        for _ in range(3):
            pipe.grab()
            rgb = pipe.retrieve()
            assert rgb.shape == (48, width, 3)
            assert np.abs(rgb.astype(int) - [255, 0, 0]).max() < 6
    finally:
        pipe.close()


@needs_gstreamer
def test_close_kills_the_child_and_twice_is_fine():
    pipe = GstPipe(RED, "test", 64, 48)
    pipe.grab()
    assert alive(pipe._child.pid)
    pipe.close()
    pipe.close()
    assert not alive(pipe._child.pid)


@needs_gstreamer
def test_a_child_that_dies_mid_stream_is_started_again_and_seq_goes_on(monkeypatch):
    monkeypatch.setattr(newest, "BACKOFF_S", (0.01, 0.04))
    pipes = []

    def start():
        pipes.append(GstPipe(RED, "test", 64, 48))
        return pipes[-1]

    reader = NewestReader(start, MonotonicClock())
    try:
        before = reader.read(2).seq
        os.kill(pipes[0]._child.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while len(pipes) < 2 and time.monotonic() < deadline:
            reader.read(0.05)
        assert reader.read(2).seq > before
        assert reader.fault == "test: GStreamer ended: it said nothing (reconnect 1)"
    finally:
        reader.close()
    assert not any(alive(pipe._child.pid) for pipe in pipes)


def read_all(pipe):
    for _ in range(3):
        pipe.grab()


@needs_gstreamer
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nosuchelement", 'no element "nosuchelement"'),
        ("filesrc location=/no/such/file", "GStreamer ended: ERROR: "),
        (f"{RED} num-buffers=1", "it said nothing"),
    ],
)
def test_a_stream_that_ends_or_cannot_start_gives_the_last_words(source, words):
    pipe = GstPipe(source, "test", 64, 48)
    with pytest.raises(CameraError, match=words):
        read_all(pipe)
    pipe.close()


@needs_gstreamer
def test_a_stream_that_hangs_is_told_in_bounded_time():
    pipe = GstPipe(f"{RED} ! valve drop=true", "test", 64, 48, patience_s=0.3)
    start = time.monotonic()
    with pytest.raises(CameraError, match=r"no picture for 0\.3 s"):
        pipe.grab()
    assert time.monotonic() - start < 2
    pipe.close()


@needs_gstreamer
def test_the_child_ends_when_this_process_is_killed():
    code = (
        "import time\nfrom prosthesis.cameras.gstreamer import GstPipe\n"
        f"pipe = GstPipe({RED!r}, 'test', 64, 48)\npipe.grab()\nprint(pipe._child.pid, flush=True)\ntime.sleep(30)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 3
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)
