import time

import numpy as np
import pytest

from prosthesis.cameras.checks import FrameCheck
from prosthesis.messages import Frame, readonly


def frame(rgb, t_s=0.0, seq=1):
    return Frame(seq, round(t_s * 1e9), readonly(rgb, np.uint8))


def noise(seed, width=64, height=48):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_moving_picture_passes():
    check = FrameCheck(64, 48, live=True)
    assert [check.fault(frame(noise(k), k / 10)) for k in range(20)] == [None] * 20


@pytest.mark.parametrize("live", [True, False])
def test_the_wrong_size_or_type_is_told(live):
    check = FrameCheck(64, 48, live)
    assert check.fault(frame(noise(0, 48, 64))) == "wrong size"
    assert check.fault(Frame(1, 0, np.zeros((48, 64, 3), np.float32))) == "wrong size"
    assert check.fault(frame(noise(0))) is None


def test_black_is_told_only_of_a_live_camera():
    dark = np.minimum(noise(1), 15)
    assert FrameCheck(64, 48, live=True).fault(frame(dark)) == "black"
    assert FrameCheck(64, 48, live=False).fault(frame(dark)) is None


def test_one_lit_pixel_anywhere_is_not_black():
    for place in (0, 1, 4999, 64 * 48 * 3 - 1):
        dark = np.zeros(64 * 48 * 3, np.uint8)
        dark[place] = 16
        assert FrameCheck(64, 48, live=True).fault(frame(dark.reshape(48, 64, 3))) is None


def test_frozen_after_half_a_second_of_equal_frames_and_not_before():
    check = FrameCheck(64, 48, live=True)
    faults = [check.fault(frame(noise(7), t_s)) for t_s in (3.0, 3.2, 3.499999999, 3.5, 9.0)]
    assert faults == [None, None, None, "frozen", "frozen"]
    assert check.fault(frame(noise(8), 9.1)) is None
    assert check.fault(frame(noise(8), 9.5)) is None


def test_one_changed_value_anywhere_is_life():
    for place in (0, 5, 4711, 64 * 48 * 3 - 1):
        check = FrameCheck(64, 48, live=True)
        check.fault(frame(noise(7), 0.0))
        other = noise(7).reshape(-1)
        other[place] ^= 1
        assert check.fault(frame(other.reshape(48, 64, 3), 1.0)) is None


def test_equal_frames_of_a_size_not_divisible_by_eight_are_found():
    check = FrameCheck(17, 19, live=True)
    check.fault(frame(noise(7, 17, 19), 0.0))
    assert check.fault(frame(noise(7, 17, 19), 1.0)) == "frozen"


def test_a_file_may_stand_still():
    check = FrameCheck(64, 48, live=False)
    assert check.fault(frame(noise(7), 0.0)) is None
    assert check.fault(frame(noise(7), 5.0)) is None


def test_a_check_costs_far_less_than_a_frame():
    pictures = [frame(noise(k, 640, 480), k / 30) for k in range(4)]
    check = FrameCheck(640, 480, live=True)
    took = []
    for turn in range(60):
        start = time.perf_counter()
        check.fault(pictures[turn % 4])
        took.append(time.perf_counter() - start)
    assert min(took) < 100e-6
