"""What a recording tells beside its frames' own messages: what was changed while it ran, and which frames were refused.

A refused frame leaves no messages of its own. A pattern of silence went out in its place, which the guard remembers.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from prosthesis.errors import ProsthesisError
from prosthesis.messages import Delivered, Event, Heard
from prosthesis.recording.recorder import entries
from prosthesis.tone import Tone

_TASK = re.compile(r"task is now '(.*)'")
_NUMBER = r"([-+]?\d+(?:\.\d+)?(?:e-?\d+)?)"
_TONE = re.compile(f"brightness is now {_NUMBER}, contrast {_NUMBER}")
_REFUSED = "camera frame refused: "
_PASSED = ("wanted", "allowed", "guard", "hops")  # small, and one of them is there if a frame passed at all


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a run, by the numbers of its frames.

    ``changes`` are tasks and tones, in order, each with the first frame it holds for. ``silences`` have the capture
    time of each frame that was refused. After frame ``unknown`` it is not known what the guard remembers.
    """

    changes: tuple[tuple[int, str | Tone], ...] = ()
    silences: tuple[tuple[int, int], ...] = ()
    unknown: int | None = None


def told(log: Path) -> Told:
    """Return what the recording ``log`` tells, as far as it can be read."""
    changes: list[tuple[int, str | Tone]] = []
    device: list[tuple[int, bool]] = []
    heard: dict[int, int] = {}
    passed, driven = set[int](), set[int]()
    with contextlib.suppress(ProsthesisError):  # damage is told by those who read on
        for entry in entries(log, ["event", "heard", "delivered", *_PASSED]):
            match entry.message:
                case Event(source="device") as event:
                    device.append((event.seq, event.text.startswith(_REFUSED)))
                case Event() as event:
                    changes += [(event.seq, change) for change in _change(event.text)]
                case Heard(what="tiles") as tiles:
                    heard[tiles.seq] = tiles.t_ns
                case Delivered() as delivered:
                    driven |= {delivered.seq} if delivered.amplitude_ua.any() else set()
                case message:
                    passed.add(message.seq)
    refused = _refused(device, max(passed | set(heard), default=0))
    silences = {
        seq: t_ns
        for seq, t_ns in heard.items()
        if seq not in passed and seq not in driven and any(seq in numbers for numbers in refused)
    }
    # a pattern that was heard but not recorded, or a frame that was refused, or overwritten in the camera: who knows
    unknown = [seq for seq in heard if seq not in passed and seq not in silences]
    unknown += [seq for numbers in refused for seq in _first(numbers, passed, heard)]
    return Told(tuple(changes), tuple(sorted(silences.items())), min(unknown, default=None))


def _change(text: str) -> list[str | Tone]:
    if task := _TASK.fullmatch(text):
        return [task[1]]
    if tone := _TONE.fullmatch(text):
        return [Tone(float(tone[1]), float(tone[2]))]
    return []


def _refused(device: list[tuple[int, bool]], last: int) -> list[range]:
    """Return the numbers that refused frames may have: the device tells the first of several in a row alone.

    It tells again once it has told something else, so there is none between another sentence and the next refusal.
    """
    ends = [*device, (last, False)]
    return [range(seq, until + 1) for (seq, refusing), (until, _) in pairwise(ends) if refusing]


def _first(numbers: range, *known: Iterable[int]) -> list[int]:
    """Return the first of ``numbers`` that nobody knows, if there is one."""
    return [seq for seq in numbers if not any(seq in some for some in known)][:1]
