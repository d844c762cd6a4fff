import threading
import time

import numpy as np
import pytest

from prosthesis.cameras import newest
from prosthesis.cameras.newest import NewestReader, PacedCamera
from prosthesis.errors import CameraError
from prosthesis.timing import ManualClock, MonotonicClock


class Sensor:
    """Pictures numbered in their pixels; ``script`` is run at each grab and may wait or raise."""

    def __init__(self, script=lambda count: time.sleep(0.002)):
        self.script, self.count, self.opened, self.closed = script, 0, 0, 0

    def open(self):
        self.opened += 1
        return self

    def grab(self):
        self.script(self.count)
        self.count += 1

    def retrieve(self):
        return np.full((2, 2, 3), self.count % 256, np.uint8)

    def close(self):
        self.closed += 1


def camera_threads(at_most=0):
    """Wait for camera threads to end until ``at_most`` are left; return how many are."""
    deadline = time.monotonic() + 3
    while True:
        alive = sum(thread.name == "camera" for thread in threading.enumerate())
        if alive <= at_most or time.monotonic() > deadline:
            return alive
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _hasty_and_tidy(monkeypatch):
    monkeypatch.setattr(newest, "BACKOFF_S", (0.01, 0.04))
    yield
    assert camera_threads() == 0


@pytest.fixture
def readers():
    """Collects readers and closes them, so that no thread outlives its test."""
    made = []
    yield made
    for reader in made:
        reader.close()


def test_the_newest_picture_is_handed_out_and_replaced_ones_are_gaps(readers):
    step = threading.Semaphore(1)
    sensor = Sensor(lambda count: step.acquire(timeout=2))
    reader = NewestReader(sensor.open, MonotonicClock())
    readers.append(reader)
    assert reader.read(1).seq == 1
    step.release(4)  # four more while nobody reads
    deadline = time.monotonic() + 2
    while sensor.count < 5 and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(0.02)
    frame = reader.read(1)
    assert frame.seq == 5
    assert (frame.rgb == 5).all()
    assert reader.read(0.01) is None
    step.release(10)


def test_frames_are_stamped_by_the_injected_clock_before_decoding(readers):
    clock = ManualClock(1000)
    sensor = Sensor()
    decode = sensor.retrieve
    sensor.retrieve = lambda: (clock.advance(500), decode())[1]
    reader = NewestReader(sensor.open, clock)
    readers.append(reader)
    assert reader.read(1).t_ns % 500 == 0
    first = reader.read(1)
    assert first.t_ns == 1000 + 500 * (first.seq - 1)


def test_read_returns_none_after_the_timeout(readers):
    first = threading.Event()
    sensor = Sensor(lambda count: first.wait(1) if count else None)
    reader = NewestReader(sensor.open, MonotonicClock())
    readers.append(reader)
    assert reader.read(1).seq == 1
    start = time.monotonic()
    assert reader.read(0.05) is None
    assert 0.04 < time.monotonic() - start < 0.5
    first.set()


def test_an_unplugged_camera_is_opened_again_and_seq_goes_on(readers):
    def unplug(count):
        time.sleep(0.002)
        if count == 3 and sensor.opened == 1:
            raise CameraError("cam0: gone")

    sensor = Sensor(unplug)
    reader = NewestReader(sensor.open, MonotonicClock())
    readers.append(reader)
    seqs = [reader.read(1).seq for _ in range(8)]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] >= 8
    assert sensor.opened == 2
    assert sensor.closed == 1
    assert reader.fault == "cam0: gone (reconnect 1)"


def test_the_reason_stays_known_when_reopening_fails_for_a_while(readers):
    def open_device():
        sensor.opened += 1
        if 1 < sensor.opened < 5:
            raise CameraError("cam0: no such camera")
        return sensor

    def unplug(count):
        time.sleep(0.002)
        if count == 2 and sensor.opened == 1:
            raise ValueError("driver gibberish")

    sensor = Sensor(unplug)
    reader = NewestReader(open_device, MonotonicClock())
    readers.append(reader)
    while reader.read(1).seq < 4:
        pass
    assert sensor.opened == 5
    assert reader.fault == "cam0: no such camera (reconnect 4)"


def test_a_camera_that_cannot_be_opened_says_why_at_once():
    def fail():
        raise CameraError("cam9: no such camera")

    start = time.monotonic()
    with pytest.raises(CameraError, match=r"^cam9: no such camera$"):
        NewestReader(fail, MonotonicClock())
    assert time.monotonic() - start < 1
    assert camera_threads() == 0


def test_a_camera_that_opens_but_gives_nothing_is_an_error_in_bounded_time():
    hang = threading.Event()
    sensor = Sensor(lambda count: hang.wait(5))
    start = time.monotonic()
    with pytest.raises(CameraError, match=r"no picture in 0\.1 s"):
        NewestReader(sensor.open, MonotonicClock(), open_s=0.1)
    assert time.monotonic() - start < 2
    hang.set()


def test_a_hung_grab_is_left_behind_and_the_camera_opened_again(readers):
    hang, rest = threading.Event(), threading.Event()
    old = Sensor(lambda count: hang.wait(5) if count else None)
    new = Sensor(lambda count: rest.wait(5) if count else None)
    sensors = iter((old, new))
    reader = NewestReader(lambda: next(sensors).open(), MonotonicClock(), stall_s=0.1)
    readers.append(reader)
    start = time.monotonic()
    assert [reader.read(2).seq, reader.read(2).seq] == [1, 2]
    assert time.monotonic() - start < 2
    assert reader.fault == "the camera gave no picture for 0.1 s (reconnect 1)"
    reader._stall_s = 5.0
    hang.set()  # the thread left behind wakes: it must close its device and publish nothing
    assert camera_threads(at_most=1) == 1
    assert (old.closed, new.closed) == (1, 0)
    assert reader.read(0.0) is None
    rest.set()


def test_a_driver_that_hangs_for_good_ends_in_an_error_not_in_a_pile_of_threads():
    hang = threading.Event()
    sensor = Sensor(lambda count: hang.wait(5) if count else None)
    before = threading.active_count()
    reader = NewestReader(sensor.open, MonotonicClock(), open_s=0.05, stall_s=0.05)
    reader.read(1)

    def read_on():
        for _ in range(100):
            reader.read(0.05)

    with pytest.raises(CameraError, match="hung 3 times"):
        read_on()
    assert threading.active_count() <= before + newest.MOST_HUNG
    hang.set()
    reader.close()
    assert camera_threads() == 0


def test_close_is_bounded_even_when_the_grab_hangs_and_twice_is_fine(monkeypatch):
    monkeypatch.setattr(newest, "CLOSE_S", 0.1)
    hang = threading.Event()
    sensor = Sensor(lambda count: hang.wait(5) if count else None)
    reader = NewestReader(sensor.open, MonotonicClock())
    start = time.monotonic()
    reader.close()
    reader.close()
    assert time.monotonic() - start < 1
    with pytest.raises(EOFError):
        reader.read(1)
    hang.set()


def test_close_ends_the_thread_and_releases_the_device():
    sensor = Sensor()
    reader = NewestReader(sensor.open, MonotonicClock())
    reader.close()
    assert camera_threads() == 0
    assert sensor.closed == 1


def test_close_wakes_a_waiting_reader():
    hang = threading.Event()
    sensor = Sensor(lambda count: hang.wait(5) if count else None)
    reader = NewestReader(sensor.open, MonotonicClock())
    reader.read(1)
    threading.Timer(0.05, reader.close).start()
    start = time.monotonic()
    with pytest.raises(EOFError):
        reader.read(5)
    assert time.monotonic() - start < 2
    hang.set()


def numbered(index):
    return np.full((2, 2, 3), index, np.uint8) if index < 100 else None


def test_paced_pictures_come_at_their_due_time():
    clock = ManualClock(7_000)
    camera = PacedCamera(numbered, 50.0, clock)
    frames = [camera.read(1) for _ in range(4)]
    assert [frame.t_ns - 7_000 for frame in frames] == [0, 20_000_000, 40_000_000, 60_000_000]
    assert [frame.seq for frame in frames] == [1, 2, 3, 4]
    assert [frame.rgb[0, 0, 0] for frame in frames] == [0, 1, 2, 3]
    assert clock.now_ns() == frames[-1].t_ns


def test_a_late_reader_gets_the_newest_due_picture_and_sees_the_gap():
    clock = ManualClock()
    camera = PacedCamera(numbered, 50.0, clock)
    camera.read(1)
    clock.advance(90_000_000)
    frame = camera.read(1)
    assert (frame.seq, frame.t_ns) == (5, 80_000_000)
    assert camera.read(1).seq == 6


def test_pacing_does_not_drift_at_odd_rates():
    camera = PacedCamera(lambda index: np.zeros((1, 1, 3), np.uint8), 29.97, ManualClock())
    for _ in range(999):
        camera.read(1)
    frame = camera.read(1)
    assert frame.seq == 1000
    assert frame.t_ns == round(999 * 1e9 / 29.97)
