"""A recording that can be entered at any time: where each chunk lies, read when needed, also of a file cut off."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC

from prosthesis.errors import ProsthesisError
from prosthesis_sim.console.model import TOPICS

KEPT = 12  # chunks of half a second
_HEAD, _TIMES = struct.Struct("<BQ"), struct.Struct("<QQ")
_DAMAGE = (McapError, ValueError, KeyError, struct.error, zstandard.ZstdError, MemoryError, OverflowError)


@dataclass(frozen=True, slots=True)
class Place:
    """One chunk in the file: its messages' first and last time, and where its ``size`` bytes begin."""

    start_ns: int
    end_ns: int
    at: int
    size: int


@dataclass(frozen=True, slots=True)
class Said:
    """One recorded message, not decoded."""

    topic: str
    log_ns: int
    data: bytes


class Tape:
    """A recording of taps; ``first_ns`` to ``last_ns`` on the device's clock. ``damaged`` are chunks not to be read.

    Raises ``ProsthesisError`` when the file is no recording, or has no messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged: set[int] = set()
        self._channels: dict[int, str] = {}
        self._kept: OrderedDict[int, list[Said]] = OrderedDict()
        try:
            with path.open("rb") as file:
                if file.read(len(MCAP0_MAGIC)) != bytes(MCAP0_MAGIC):
                    raise ProsthesisError(f"{path}: not a recording; make one with 'run --record'")
                places = list(_places(file, path.stat().st_size))
        except OSError as error:
            raise ProsthesisError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        for place in places:  # channels are declared before the first message
            if place.end_ns == 0 or not self._channels:
                self._read(place)
        self.places = sorted((place for place in places if place.end_ns), key=lambda place: place.start_ns)
        if not self.places:
            raise ProsthesisError(f"{path}: this recording has no messages")
        self._starts = [place.start_ns for place in self.places]
        self.first_ns, self.last_ns = self._starts[0], max(place.end_ns for place in self.places)

    def between(self, after_ns: int, to_ns: int) -> Iterator[Said]:
        """Yield what was recorded later than ``after_ns`` and up to ``to_ns``, in order."""
        for index, place in enumerate(self.places):
            if place.start_ns > to_ns:
                return
            if place.end_ns > after_ns:
                yield from (said for said in self.chunk(index) if after_ns < said.log_ns <= to_ns)

    def newest(self, topics: set[str], at_ns: int) -> dict[str, Said]:
        """Return the newest message of each topic at a time, looking back as far as it takes, ten seconds at most."""
        found: dict[str, Said] = {}
        index = bisect_right(self._starts, at_ns) - 1
        for back in range(index, max(-1, index - 20), -1):
            for said in reversed(self.chunk(back)):
                if said.topic in topics and said.topic not in found and said.log_ns <= at_ns:
                    found[said.topic] = said
            if len(found) == len(topics):
                break
        return found

    def chunk(self, index: int) -> list[Said]:
        """Return the messages of one chunk in order of time; none of a damaged one."""
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        said = self._read(self.places[index])
        if said is None:
            self.damaged.add(index)
        self._kept[index] = sorted(said or [], key=lambda one: one.log_ns)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[index]

    def _read(self, place: Place) -> list[Said] | None:
        try:
            with self.path.open("rb") as file:
                file.seek(place.at)
                chunk = Chunk.read(ReadDataStream(BytesIO(file.read(place.size))))
            records: list[Any] = breakup_chunk(chunk, validate_crc=True)
        except (*_DAMAGE, OSError):
            return None
        said = []
        for record in records:
            if isinstance(record, Channel):
                self._channels[record.id] = record.topic.removeprefix("/")
            elif isinstance(record, Message) and self._channels.get(record.channel_id) in TOPICS:
                said.append(Said(self._channels[record.channel_id], record.log_time, record.data))
        return said


def _places(file: Any, size: int) -> Iterator[Place]:
    """Yield every whole chunk, passing over the rest by its length alone."""
    at = len(MCAP0_MAGIC)
    while at + _HEAD.size <= size:
        file.seek(at)
        opcode, length = _HEAD.unpack(file.read(_HEAD.size))
        at += _HEAD.size
        if opcode == Opcode.CHUNK and at + length <= size:
            start_ns, end_ns = _TIMES.unpack(file.read(_TIMES.size))
            yield Place(start_ns, end_ns, at, length)
        if opcode in (Opcode.DATA_END, Opcode.FOOTER):
            return
        at += length
