"""Keys at a real pseudo-terminal."""

from __future__ import annotations

import os
import termios

import pytest
from test_switching import frame, make_board

from prosthesis import terminal
from prosthesis.encoders.switching import Switchboard, Way
from prosthesis.terminal import task_keys


@pytest.fixture
def tty():
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as source:
        yield ours, source
    os.close(ours)


@pytest.fixture
def in_front(monkeypatch):
    monkeypatch.setattr(terminal, "_foreground", lambda fd: True)


def test_keys_choose_by_number_and_t_goes_round(tty, in_front):
    ours, source = tty
    said, board = [], make_board()
    with task_keys(source, said.append) as keys:
        keys.attach(board)
        assert said == ["keys: 1 still, 2 counting, 3 wide, t the next"]
        for typed, task in (
            ("2", "counting"),
            ("", "counting"),
            ("t", "wide"),
            ("t", "still"),
            ("9x\n3", "wide"),
            ("tt", "counting"),
        ):
            os.write(ours, typed.encode())
            keys.press()
            assert board.wanted == task
    board.encode(frame(1), 0)
    assert board.current == "counting"


def test_the_terminal_is_as_before_afterwards_also_after_an_error(tty, in_front):
    _, source = tty
    before = termios.tcgetattr(source.fileno())

    def fail():
        with task_keys(source, print):
            modes = termios.tcgetattr(source.fileno())[3]
            assert not modes & termios.ICANON, "single keys, without Enter"
            assert modes & termios.ISIG, "Ctrl-C still ends the run"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert termios.tcgetattr(source.fileno()) == before


@pytest.mark.parametrize("where", ["nothing", "file", "a terminal that is not ours"])
def test_without_a_terminal_of_our_own_there_are_no_keys(tty, tmp_path, where):
    ours, source = tty
    os.write(ours, b"2\n")
    file = tmp_path / "keys"
    file.write_text("2")
    board, said = make_board(), []
    with file.open() as text, task_keys({"nothing": None, "file": text}.get(where, source), said.append) as keys:
        keys.attach(board)
        keys.press()
    assert (board.wanted, said) == ("still", [])


def test_one_task_needs_no_keys(tty, in_front):
    said = []
    with task_keys(tty[1], said.append) as keys:
        keys.attach(Switchboard({"only": Way(object(), object())}))
        keys.press()
    assert said == []
