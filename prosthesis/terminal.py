"""Single keys at the terminal of a running device: 1 to 9 choose a task, t the next one."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from prosthesis.encoders.switching import Switchboard


class TaskKeys:
    """Keys from the terminal ``fd`` for a switchboard; with ``fd`` ``None`` there are none, and nothing happens."""

    def __init__(self, fd: int | None, say: Callable[[str], None]) -> None:
        self._fd, self._say = fd, say
        self._board: Switchboard | None = None

    def attach(self, board: Switchboard) -> None:
        """Choose on ``board`` from now on, and say which key is which task; with one task there is nothing to say."""
        if self._fd is None or len(board.names) < 2:
            return
        self._board = board
        self._say("keys: " + ", ".join(f"{i} {name}" for i, name in enumerate(board.names[:9], 1)) + ", t the next")

    def press(self) -> None:
        """Do what the keys pressed since last time say; never waits."""
        board = self._board
        if board is None or self._fd is None or not _foreground(self._fd):
            return
        if select.select([self._fd], [], [], 0)[0]:
            for key in os.read(self._fd, 64).decode("ascii", "ignore"):
                self._choose(board, key)

    def _choose(self, board: Switchboard, key: str) -> None:
        names = board.names
        if key == "t":
            board.choose(names[(names.index(board.wanted) + 1) % len(names)])
        elif key in "123456789" and int(key) <= len(names):
            board.choose(names[int(key) - 1])


@contextmanager
def task_keys(source: TextIO | None, say: Callable[[str], None]) -> Iterator[TaskKeys]:
    """Read single keys of ``source`` if it is our own terminal, which is as before afterwards."""
    if source is None or not source.isatty() or not _foreground(source.fileno()):
        yield TaskKeys(None, say)
        return
    fd = source.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd, termios.TCSANOW)
    try:
        yield TaskKeys(fd, say)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _foreground(fd: int) -> bool:
    """Return whether the terminal is ours: one in the background is stopped when it touches it."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
