"""A network slower than the camera beside the path: one thread works on the newest picture, nobody waits for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

CLOSE_S = 2.0  # the longest that a network may need for the item in hand


class Background(Generic[T, R]):
    """Runs ``work`` in a daemon thread, on the newest offered item only; items replaced before their turn are lost.

    ``skipped`` counts these. What a result must say of its item (``seq``, ``t_ns``) is for ``work`` to put into it.
    An error of ``work`` is raised by the next ``offer`` or ``latest``, once; the thread goes on with the next item.
    The thread also ends when nobody holds this object any more, or the program exits, so ``work`` must not hold it.
    """

    def __init__(self, work: Callable[[T], R], name: str = "background") -> None:
        self._desk: _Desk[T, R] = _Desk()
        self._thread = threading.Thread(target=_work, args=(self._desk, work), name=name, daemon=True)
        # also at exit: a thread inside a network while the interpreter goes away can crash it
        self._close = weakref.finalize(self, _close, self._desk, self._thread)
        self._thread.start()

    @property
    def skipped(self) -> int:
        """How many items were replaced before the thread came to them."""
        return self._desk.skipped

    def offer(self, item: T) -> None:
        """Hand over ``item`` to be worked on next; takes microseconds. ``ValueError`` when closed."""
        desk = self._desk
        with desk.changed:
            if desk.closed:
                raise ValueError("this Background is closed; open another one")
            desk.raise_error()
            desk.skipped += desk.waiting is not None
            desk.waiting = (item,)
            desk.changed.notify()

    def latest(self) -> R | None:
        """Return the newest finished result, the same one until there is a newer; ``None`` before the first."""
        with self._desk.changed:
            self._desk.raise_error()
            return self._desk.result

    def close(self) -> None:
        """Let the thread end after the item in hand, waiting ``CLOSE_S`` at most. Closing twice is fine."""
        self._close()


class _Desk(Generic[T, R]):
    """What the two threads share; ``changed`` guards it all. A waiting item is in a tuple: it may be ``None``."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: tuple[T] | None = None
        self.result: R | None = None
        self.error: Exception | None = None
        self.skipped = 0
        self.closed = False

    def raise_error(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


def _work(desk: _Desk[T, R], work: Callable[[T], R]) -> None:
    while True:
        with desk.changed:
            while desk.waiting is None and not desk.closed:
                desk.changed.wait()
            if desk.closed or desk.waiting is None:
                return
            (item,), desk.waiting = desk.waiting, None
        try:
            result = work(item)
        except Exception as error:  # whatever it is, the path must hear of it
            with desk.changed:
                desk.error = error
        else:
            with desk.changed:
                desk.result = result


def _close(desk: _Desk[T, R], thread: threading.Thread) -> None:
    with desk.changed:
        desk.closed = True
        desk.changed.notify()
    if thread is not threading.current_thread():
        thread.join(CLOSE_S)
