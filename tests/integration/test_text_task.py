"""``prosthesis run`` with the text task: words on a picture come out as events and as patterns."""

import cv2
import numpy as np
import pytest

from prosthesis.assembly import run_rig, with_choices
from prosthesis.config import load_rig


@pytest.fixture
def sign(tmp_path):
    rgb = np.full((180, 320, 3), 40, np.uint8)
    cv2.putText(rgb, "EXIT", (70, 110), cv2.FONT_HERSHEY_DUPLEX, 2.0, (250, 250, 250), 4, cv2.LINE_AA)
    path = tmp_path / "sign.png"
    cv2.imwrite(str(path), rgb)
    return path


def test_a_run_reads_a_sign_aloud_and_stimulates(port, sign, sim):
    sim("utah96")
    rig = with_choices(load_rig("utah96"), source=f"file://{sign}", task="text", port=port)
    said, driven = [], []

    def on_frame(passage, summary):
        if passage is not None:
            driven.append(int(np.count_nonzero(passage.allowed.amplitude_ua)))
        return not ("EXIT" in said and driven and driven[-1] > 3)

    summary = run_rig(rig, seconds=25, on_frame=on_frame, say=said.append)
    assert said.count("EXIT") == 1
    assert max(driven) > 3
    assert summary.faulty == 0
