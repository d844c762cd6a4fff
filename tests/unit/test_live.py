"""Lines that steer a running device, and the tone in which its encoders see."""

from __future__ import annotations

from queue import SimpleQueue

import numpy as np
import pytest

from prosthesis.encoders.switching import Switchboard, Way
from prosthesis.errors import ConfigError, LinkError
from prosthesis.live import Desk
from prosthesis.messages import Frame, MachineCode, readonly
from prosthesis.tone import Tone


class Mean:
    shape = (1, 1)

    def encode(self, frame, now_ns):
        return MachineCode(frame.seq, frame.t_ns, readonly([frame.rgb.mean()], np.float32), "map", (1, 1))


class SessionOf:
    """A session whose implant confirms STOP at the ``deaf + 1``-th time of asking."""

    def __init__(self, deaf=0):
        self.overruled, self.deaf, self.asked = False, deaf, 0

    def permit(self):
        self.overruled = False

    def stop(self):
        self.asked += 1
        if self.asked <= self.deaf:
            raise LinkError("nobody answers")


@pytest.fixture
def board():
    return Switchboard({name: Way(Mean(), None) for name in ("one", "two")})


def grey(level):
    return Frame(1, 0, readonly(np.full((4, 4, 3), level, np.uint8), np.uint8))


def test_lines_are_obeyed_in_order_and_nonsense_is_answered(board):
    spoken = SimpleQueue()
    desk = Desk(board, SessionOf(), spoken)
    for line in ("task two", "task three", "sing", "tone loudness=3", "tone contrast=9"):
        spoken.put(line)
    said = desk.listen()
    assert board.wanted == "two"
    assert [any(word in text for word in ("three", "not understood", "loudness", "0..4")) for text in said[1:]] == [
        True
    ] * 4
    assert desk.listen() == []


def test_tone_is_what_encoders_see_and_is_announced(board):
    desk = Desk(board, SessionOf(), SimpleQueue())
    desk.obey("tone brightness=0.1")
    desk.obey("tone contrast=2")  # the other stays
    assert board.encode(grey(100), 0).values[0] == round((100 - 127.5) * 2 + 127.5 + 25.5)
    assert board.said() == ("brightness is now +0.10, contrast 1.00", "brightness is now +0.10, contrast 2.00")


def test_a_neutral_tone_leaves_the_very_frame():
    frame = grey(7)
    assert Tone().apply(frame) is frame
    with pytest.raises(ConfigError, match="brightness"):
        Tone(brightness=float("nan"))


def test_stop_is_repeated_until_confirmed_and_holds_until_arm(board):
    session, spoken = SessionOf(deaf=2), SimpleQueue()
    desk = Desk(board, session, spoken)
    spoken.put("stop")
    assert "not confirmed" in desk.listen()[-1]
    assert "not confirmed" in desk.listen()[-1]
    assert desk.listen() == ["the implant has confirmed STOP"]
    assert desk.listen() == []
    assert session.overruled
    desk.obey("arm")
    assert not session.overruled
