"""The closed loop's panels and figures, from a recording whose numbers are known."""

import numpy as np
import pytest
import zmq
from made_up_session import open_taps, wait_for

from prosthesis.messages import BrainCode, Evoked, Frame, MachineCode, Percept, readonly
from prosthesis.recording.recorder import Recorder
from prosthesis.schemas import TOPICS
from prosthesis_sim.film import PANEL, Moment
from prosthesis_sim.loop import LABELS, LoopStage, Reader, rowwise_r, share_of, summarise_loop

ENABLED = np.array([True, True, True, False])
EVOKED_HZ = np.array([50.0, 50.0, 20.0, 10.0])
FRAMES = 8


def reader():
    """Reads the first two sites' shares; paints the code's first number as gray."""

    def paint(code):
        return np.full((8, 8, 3), int(np.clip(code[0], 0, 1) * 255), np.uint8)

    return Reader(lambda hz: np.float32([hz[0] / 50, hz[1] / 50, 0.1]), paint, EVOKED_HZ, ENABLED)


def wanted(seq):
    return np.random.default_rng(seq).uniform(0.1, 0.9, 4)


def messages(seq):
    t_ns, share = 1000 * seq, wanted(seq)
    code = readonly([share[0], share[1], 0.1], np.float32)
    yield "device", "frame", Frame(seq, t_ns, np.zeros((16, 16, 3), np.uint8))
    yield "device", "machine_code", MachineCode(seq, t_ns, code, "latent", (3,))
    yield "device", "brain_code", BrainCode(seq, t_ns, readonly(share, np.float32), 2)
    for settled in (0.5, 1.0):  # the last one counts; the site not in use does as it likes
        rate_hz = settled * share * EVOKED_HZ * [1, 1, 1, 7]
        yield "world", "evoked", Evoked(seq, t_ns, readonly(rate_hz, np.float32))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("loop") / "run.mcap"
    with zmq.Context() as context:
        (device, one), (world, other) = open_taps(context), open_taps(context)
        recorder = Recorder(path, [one, other], {"rig": "hand2x2"})
        wait_for(lambda: device.wanted == world.wanted == set(TOPICS))
        for seq in range(1, FRAMES + 1):
            for end, topic, message in messages(seq):
                {"device": device, "world": world}[end].publish(topic, message)
        recorder.stop()
        device.close()
        world.close()
    return path


def test_correlations_by_rows_are_numpys():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 7))
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    assert rowwise_r(a, b) == pytest.approx(expected)
    assert np.isnan(rowwise_r(np.ones((1, 4)), b[:1, :4]))[0]


def test_a_loop_that_evokes_what_was_wanted_is_perfect_and_another_frames_code_is_not(log):
    found = summarise_loop(log, reader())
    assert found.frames == FRAMES
    assert found.sites_r == pytest.approx(1.0, abs=1e-6)
    assert found.pooled_r == pytest.approx(1.0, abs=1e-6)
    assert found.code_r == pytest.approx(1.0, abs=1e-6)
    assert found.code_r_other < 0.9


def test_shares_are_of_the_calibrated_maximum_and_none_where_the_site_is_not_in_use():
    evoked = Evoked(1, 1, readonly([25.0, 50.0, 40.0, 10.0], np.float32))
    assert share_of(evoked, reader()) == pytest.approx([0.5, 1.0, 2.0, 0.0])


def test_a_picture_has_its_six_panels_where_they_belong(hand_rig):
    stage = LoopStage(hand_rig, reader())
    empty = stage.draw(Moment(0.0, {}))
    assert empty.shape == (stage.size[1], stage.size[0], 3)
    assert stage.size[0] % 2 == stage.size[1] % 2 == 0  # codecs want even sides
    code = MachineCode(1, 1, readonly([1.0, 0.0, 0.1], np.float32), "latent", (3,))
    percept = Percept(1, 1, np.full((4, 4), 0.5, np.float32), (0, 0), (4, 4), 2, 1)
    evoked = Evoked(1, 1, readonly([25.0, 50.0, 20.0, 0.0], np.float32))
    full = stage.draw(Moment(1.0, {"machine_code": code, "percept": percept, "evoked": evoked}))
    changed = np.abs(full.astype(int) - empty).sum(axis=2) > 0
    columns = [16 + k * (PANEL + 16) for k in range(3)]
    rows = [76, 76 + PANEL + 30]
    touched = {
        LABELS[3 * r + c]
        for r, top in enumerate(rows)
        for c, left in enumerate(columns)
        if changed[top : top + PANEL, left : left + PANEL].mean() > 0.005
    }
    assert touched == {LABELS[1], LABELS[3], LABELS[4], LABELS[5]}
    assert full[rows[0] + 150, columns[1] + 150].tolist() == [255, 255, 255]  # the code's own picture
    assert full[rows[1] + 150, columns[1] + 150].tolist() == [127, 127, 127]  # what was read back
