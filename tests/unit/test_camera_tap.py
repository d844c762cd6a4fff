"""Another device's frames as a camera: the very frames, the newest only."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from helpers import wait_for

from prosthesis.cameras import open_camera
from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError
from prosthesis.messages import Frame, readonly
from prosthesis.processes import free_port
from prosthesis.taps import Tap
from prosthesis.timing import MonotonicClock


def camera(source, width=32):
    config = CameraConfig(source=source, width=width, height=width // 2, fps=30, field_deg=(60, 34))
    return open_camera(config, MonotonicClock())


def frame(seq):
    return Frame(seq, 1_000 * seq, readonly(np.full((16, 32, 3), seq, np.uint8), np.uint8))


@pytest.fixture
def device():
    context = zmq.Context()
    port = free_port()
    tap = Tap(f"tcp://127.0.0.1:{port}", context)
    tap.source = f"tap:127.0.0.1:{port}"
    yield tap
    tap.close()
    context.term()


def test_frames_keep_number_time_and_pixels_and_only_the_newest_is_read(device):
    seen = camera(device.source)
    wait_for(lambda: "frame" in device.wanted)
    for seq in range(1, 6):
        device.publish("frame", frame(seq))
    got = []
    wait_for(lambda: got.append(seen.read(0.05)) or (got[-1] is not None and got[-1].seq == 5))
    newest = got[-1]
    assert (newest.t_ns, newest.rgb.shape, int(newest.rgb.max())) == (5_000, (16, 32, 3), 5)
    assert seen.read(0.01) is None
    assert not seen.live
    seen.close()
    seen.close()
    with pytest.raises(EOFError):
        seen.read(0.01)


def test_another_size_is_made_the_rigs(device):
    seen = camera(device.source, width=64)
    wait_for(lambda: "frame" in device.wanted)
    device.publish("frame", frame(3))
    assert seen.read(2.0).rgb.shape == (32, 64, 3)
    seen.close()


@pytest.mark.parametrize("source", ["tap:", "tap:nowhere", "tap:host:port"])
def test_an_address_that_is_none_is_said(source):
    with pytest.raises(CameraError, match="tap:HOST:PORT"):
        camera(source)
