"""Several tasks behind one encoder: what takes effect when, and what is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosthesis.assembly import with_tasks
from prosthesis.encoders.switching import Switchboard, Way
from prosthesis.errors import ConfigError
from prosthesis.messages import BrainCode, Findings, Frame, MachineCode, readonly
from prosthesis.protocols import Encoder, Forgetful, Pointing, Translator

NAMES = ("still", "counting", "wide")


class Still:
    """A map whose every value says which encoder made it."""

    def __init__(self, mark, shape=(2, 2)):
        self._mark, self.shape = mark, shape

    def encode(self, frame, now_ns):
        values = readonly(np.full(np.prod(self.shape), self._mark), np.float32)
        return MachineCode(frame.seq, frame.t_ns, values, "map", self.shape)


class Counting(Still):
    """Remembers how many frames it has seen."""

    seen = 0

    def encode(self, frame, now_ns):
        self.seen += 1
        return super().encode(frame, now_ns)

    def forget(self):
        self.seen = 0


class Finder(Still):
    """Finds nothing, and says so of every frame."""

    def encode(self, frame, now_ns):
        self.seq = frame.seq
        return super().encode(frame, now_ns)

    def found(self):
        return (Findings(self.seq, 0, "text", ()),)


class Marking:
    """A translator that refuses codes of any encoder but its own."""

    def __init__(self, mark):
        self._mark = mark

    def translate(self, code):
        assert code.values[0] == self._mark, "the code of one task reached the translator of another"
        return BrainCode(code.seq, code.t_ns, code.values, 0)

    def invert(self, code):
        return MachineCode(code.seq, code.t_ns, code.activity, "map", (1, 1))


def way(encoder, mark):
    return Way(encoder, Marking(mark))


@pytest.fixture
def board():
    return make_board()


def make_board():
    ways = {"still": way(Still(1), 1), "counting": way(Counting(2), 2), "wide": way(Still(3, (4, 8)), 3)}
    return Switchboard(ways)


def frame(seq):
    return Frame(seq, 10 * seq, np.zeros((16, 16, 3), np.uint8))


def test_it_is_an_encoder_and_a_translator(board):
    assert isinstance(board, Encoder)
    assert isinstance(board, Translator)
    assert isinstance(Counting(2), Forgetful)
    assert not isinstance(Still(1), Forgetful)


def test_the_first_is_in_force_and_a_choice_takes_effect_at_the_next_frame(board):
    assert (board.current, board.shape) == ("still", (2, 2))
    code = board.encode(frame(1), 0)
    board.choose("wide")
    assert (board.wanted, board.current) == ("wide", "still")
    assert board.translate(code).activity[0] == 1
    code = board.encode(frame(2), 0)
    assert (code.shape, board.shape, board.current) == ((4, 8), (4, 8), "wide")
    assert board.translate(code).activity[0] == 3


def test_a_recorded_code_is_translated_without_its_frame_by_the_task_that_made_it(board):
    code = Still(3, (4, 8)).encode(frame(1), 0)
    board.choose("wide")
    board.turn()
    assert board.translate(code).activity[0] == 3


def test_a_switch_is_told_once_and_choosing_what_is_in_force_is_no_switch(board):
    board.choose("still")
    board.encode(frame(1), 0)
    assert board.said() == ()
    board.choose("counting")
    board.encode(frame(2), 0)
    assert board.said() == ("task is now 'counting'",)
    assert board.said() == ()


def test_only_what_the_task_in_force_found_is_told():
    board = Switchboard({"still": way(Still(1), 1), "finder": way(Finder(2), 2)})
    assert isinstance(board, Pointing)
    assert not isinstance(Still(1), Pointing)
    board.encode(frame(1), 0)
    assert board.found() == ()
    board.choose("finder")
    board.encode(frame(2), 0)
    assert [one.seq for one in board.found()] == [2]
    board.choose("still")
    board.encode(frame(3), 0)
    assert board.found() == ()


def test_a_name_that_is_not_loaded_is_refused_and_changes_nothing(board):
    with pytest.raises(ConfigError, match="no task 'tetx' is loaded; choose one of: still, counting, wide"):
        board.choose("tetx")
    board.encode(frame(1), 0)
    assert board.current == "still"


@given(st.lists(st.one_of(st.sampled_from(NAMES), st.just("frame")), max_size=40))
def test_a_way_with_memory_knows_only_the_frames_since_it_came_into_force(steps):
    counting = Counting(2)
    board = Switchboard({"still": way(Still(1), 1), "counting": way(counting, 2), "wide": way(Still(3), 3)})
    wanted, in_force, since = "still", "still", 0
    for step in steps:
        if step != "frame":
            board.choose(step)
            wanted = step
            continue
        since = since + 1 if wanted == in_force else 1
        in_force = wanted
        board.translate(board.encode(frame(since), 0))
        assert board.current == in_force
        if in_force == "counting":
            assert counting.seen == since


def test_tasks_of_a_rig_are_named_by_bundle_or_file_and_the_first_takes_the_encoders_place(hand_rig, tmp_path):
    file = tmp_path / "edgy.yaml"
    file.write_text("name: edgy\nsummary: Edges.\nencoder: {type: map, model: edges-32}\n")
    rig, encoders = with_tasks(hand_rig, ("contrast-64", str(file)))
    assert list(encoders) == ["contrast-64", "edgy"]
    assert [encoder.model for encoder in encoders.values()] == ["contrast-64", "edges-32"]
    assert rig.config.encoder.model == "contrast-64"
    assert list(with_tasks(hand_rig, ())[1].values()) == [hand_rig.config.encoder]
    with pytest.raises(ConfigError, match="two have the same name"):
        with_tasks(hand_rig, ("edges-32", "edges-32"))
