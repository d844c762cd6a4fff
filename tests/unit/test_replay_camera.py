import time

import numpy as np
import pytest
from made_up_session import FRAMES, LOST, PERIOD_S, picture, record_session

from prosthesis.cameras import open_camera
from prosthesis.cameras.replay import ReplayCamera
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.protocols import FrameSource
from prosthesis.recording.recorder import Recorder
from prosthesis.timing import ManualClock, MonotonicClock

CONFIG = CameraConfig(source="replay:run.mcap", width=80, height=60, fps=50, field_deg=(60, 45))
SEQS = [seq for seq in range(1, FRAMES + 1) if seq not in LOST]
START_NS = 5_000_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("session") / "run.mcap"
    record_session(path)
    return path


@pytest.fixture
def clock():
    return ManualClock(START_NS)


@pytest.fixture
def camera(log, clock):
    made = ReplayCamera(log, CONFIG, clock)
    yield made
    made.close()


def read_all(camera, timeout_s=1.0):
    frames = []
    try:
        while True:
            frames.append(camera.read(timeout_s))
    except EOFError:
        return frames


def test_a_patient_reader_gets_every_frame_with_its_number_gaps_and_picture(camera):
    frames = read_all(camera)
    assert [frame.seq for frame in frames] == SEQS
    assert all(np.array_equal(frame.rgb, picture(frame.seq)) for frame in frames)


def test_frames_come_at_their_own_spacing_stamped_anew(camera, clock):
    times = []
    for seq in SEQS:
        frame = camera.read(1.0)
        times.append(frame.t_ns)
        assert frame.t_ns == clock.now_ns()
        assert frame.t_ns - START_NS == round((seq - 1) * PERIOD_S * 1e9)
    assert times == sorted(times)


def test_a_late_reader_gets_the_newest_due_frame(camera, clock):
    camera.read(1.0)
    clock.advance(round(4.5 * PERIOD_S * 1e9))
    frame = camera.read(1.0)
    assert frame.seq == 5
    assert frame.t_ns == START_NS + round(4 * PERIOD_S * 1e9)


def test_none_when_no_frame_is_due_in_the_timeout_and_no_frame_is_lost_by_it(camera, clock):
    camera.read(0.0)
    assert camera.read(PERIOD_S / 4) is None
    assert clock.now_ns() == START_NS + round(PERIOD_S / 4 * 1e9)
    assert camera.read(1.0).seq == 2


def test_reading_starts_the_clock_not_opening(camera, clock):
    clock.advance(10**10)
    assert camera.read(0.0).seq == 1


def test_pictures_cannot_be_written(camera):
    with pytest.raises(ValueError, match="read-only"):
        camera.read(1.0).rgb[0, 0, 0] = 1


def test_another_size_is_resized_as_other_cameras_do(log, clock):
    camera = ReplayCamera(log, CONFIG.model_copy(update={"width": 40, "height": 30}), clock)
    frame = camera.read(1.0)
    camera.close()
    assert frame.rgb.shape == (30, 40, 3)
    averages = picture(1).reshape(30, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(frame.rgb - averages).max() <= 1
    assert not frame.rgb.flags.writeable


def test_it_is_a_source_that_is_not_live(camera):
    assert isinstance(camera, FrameSource)
    assert camera.live is False
    assert camera.fault is None


def test_the_end_is_said_every_time(camera):
    read_all(camera)
    for _ in range(2):
        with pytest.raises(EOFError, match="last frame"):
            camera.read(0.0)


def test_after_close_twice_reading_is_the_end(camera):
    camera.read(1.0)
    camera.close()
    camera.close()
    with pytest.raises(EOFError, match="closed"):
        camera.read(1.0)


def test_it_plays_in_real_time_through_its_uri(log):
    camera = open_camera(CONFIG.model_copy(update={"source": f"replay:{log}"}), MonotonicClock())
    start = time.monotonic()
    frames = [frame for frame in read_all(camera, 0.005) if frame]
    camera.close()
    assert 0.9 * FRAMES * PERIOD_S < time.monotonic() - start < 3 * FRAMES * PERIOD_S
    assert all(frame.t_ns <= time.monotonic_ns() for frame in frames)


def test_a_log_without_frames_is_one_line(tmp_path, clock):
    Recorder(tmp_path / "empty.mcap", [], {}).stop()
    with pytest.raises(CameraError, match=r"empty\.mcap: this recording has no frames to replay"):
        ReplayCamera(tmp_path / "empty.mcap", CONFIG, clock)


def test_what_is_no_log_is_one_line(tmp_path, clock):
    (tmp_path / "odd.mcap").write_text("hello, I am no recording")
    with pytest.raises(CameraError, match=r"odd\.mcap: damaged, or not a recording"):
        ReplayCamera(tmp_path / "odd.mcap", CONFIG, clock)
    with pytest.raises(CameraError, match=r"none\.mcap: cannot be read"):
        ReplayCamera(tmp_path / "none.mcap", CONFIG, clock)


def test_a_recording_that_was_cut_off_plays_to_where_it_was_cut(log, tmp_path, clock):
    record_session(tmp_path / "long.mcap", frames=60, period_s=0.01)
    data = (tmp_path / "long.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(data[: int(0.7 * len(data))])
    frames = read_all(ReplayCamera(tmp_path / "cut.mcap", CONFIG, clock))
    assert 0 < len(frames) < 58
    assert [frame.seq for frame in frames] == [s for s in range(1, 61) if s not in LOST][: len(frames)]
