"""What an implant obeyed, written down so that a recording of it can be lived through again; see ``Heard``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from prosthesis.messages import Heard
from prosthesis.wire import Header

MOST = 512  # nobody may be reading


class Journal:
    """The last 512 things obeyed; ``lived_ns()`` is the time to which the implant has lived."""

    def __init__(self, lived_ns: Callable[[], int]) -> None:
        self._lived_ns = lived_ns
        self._heard: deque[Heard] = deque(maxlen=MOST)

    def note(self, what: str, value: int = 0) -> None:
        """Write down a command."""
        self._heard.append(Heard(0, 0, self._lived_ns(), what, (), value))

    def tiles(self, headers: Iterable[Header], now_ns: int) -> None:
        """Write down tiles received at ``now_ns``, a line for each pattern they are of."""
        patterns: dict[tuple[int, int], list[int]] = {}
        for header in headers:
            patterns.setdefault((header.seq, header.t_ns), []).append(header.tile)
        for (seq, t_ns), numbers in patterns.items():
            self._heard.append(Heard(seq, t_ns, self._lived_ns(), "tiles", tuple(numbers), now_ns))

    def take(self) -> list[Heard]:
        """Return what was obeyed since last asked, in order."""
        return [self._heard.popleft() for _ in range(len(self._heard))]
