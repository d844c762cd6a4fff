"""Recordings: the taps' messages in an MCAP file that Foxglove opens, and back.

Times in the file are those of the device's monotonic clock: ``log_time`` when the recorder received a message,
``publish_time`` its ``t_ns``. The metadata record ``prosthesis`` stands first and holds what was running, and the wall
clock's time; ``prosthesis_device`` and ``prosthesis_world`` follow when the device has said what it runs, and the world
who its patient is. Topics bear a leading slash in the file, as is the custom there.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import zmq
import zstandard
from mcap.exceptions import EndOfFile, McapError, RecordLengthLimitExceeded
from mcap.records import Attachment, Channel, Chunk, Metadata
from mcap.records import Message as McapMessage
from mcap.stream_reader import StreamReader
from mcap.writer import MCAP0_MAGIC, CompressionType, Writer

from prosthesis import __version__
from prosthesis.errors import ProsthesisError
from prosthesis.messages import About, Message
from prosthesis.schemas import TOPICS, check_topic, decode, file_descriptor_set, schema_name, stamp
from prosthesis.taps import Context, Listener, listen
from prosthesis.timing import NS_PER_S

CHUNK_BYTES = 4 << 20
CHUNK_S = 0.5  # a kill -9 loses what came since the last chunk was closed
QUIET_S, DRAIN_S, STOP_S = 0.05, 0.3, 5.0
WAIT_S = 2.0  # a world speaks of itself twice a second
CONTENT = ("_config", "_configs")  # keys whose values are whole files, as JSON
RECORD, DEVICE, WORLD = "prosthesis", "prosthesis_device", "prosthesis_world"  # the metadata records' names
# what a simulated patient tells of itself, and nobody else; and what a device
SIMULATED, RUNNING = "sim_world", "rig_sha256"
MEASURED = ("impedance_kohm", "enabled")  # what a device tells of the calibration of its session
_DAMAGE = (McapError, ValueError, KeyError, struct.error, zstandard.ZstdError, MemoryError, OverflowError)


class Recorder:
    """Writes all that the taps at ``endpoints`` publish to ``path``, from a thread, until ``stop``.

    ``metadata`` says what was running: rig, versions, hashes, seeds; ``parts`` are texts to attach by name, such as the
    rig's own files. ``tell`` gets a sentence, from the thread, at the moment when nothing more can be written.
    ``messages`` counts those written, ``fault`` is why no more are. Raises ``ProsthesisError`` when the file cannot be
    made.
    """

    def __init__(
        self,
        path: Path,
        endpoints: Iterable[str],
        metadata: Mapping[str, str],
        parts: Mapping[str, str] = {},
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._path, self._endpoints, self._tell = path, tuple(endpoints), tell
        self._stopping, self._world_heard = threading.Event(), threading.Event()
        self.fault = ""
        self._spoken: dict[str, dict[str, str]] = {}
        self.messages = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._writer = Writer(
                self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD, enable_data_crcs=True
            )
            self._channels = _begin(self._writer, metadata, parts)
            self._file.flush()
        except OSError as error:
            with contextlib.suppress(OSError, AttributeError):  # there may be no file yet, nor room for its end
                self._file.close()
            raise ProsthesisError(f"{path}: cannot record there ({error.strerror}); choose another file") from error
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def await_world(self, timeout_s: float = WAIT_S) -> bool:
        """Return once a simulated patient was heard, so that nothing it does from now on is missed; else ``False``."""
        return self._world_heard.wait(timeout_s)

    def stop(self) -> None:
        """Write what is on its way and finish the file, in a few tenths of a second; call before closing the taps.

        Twice is fine. Raises ``ProsthesisError`` when not all could be written.
        """
        self._stopping.set()
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            self.fault = f"the disk is still writing after {STOP_S:g} s"
        if self.fault:
            raise ProsthesisError(self._failed())

    def _failed(self) -> str:
        return f"{self._path}: not all was recorded ({self.fault}); is the disk full? what came before can be read"

    def _work(self) -> None:
        context: Context = zmq.Context()
        try:
            with self._file, listen(self._endpoints, TOPICS, context) as listener:
                self._record(listener)
                self._writer.finish()
        except Exception as error:  # nobody sees a thread die: ``stop`` tells
            self.fault = str(error) or type(error).__name__
            self._tell(self._failed())
        finally:
            context.term()

    def _record(self, listener: Listener) -> None:
        closed_s, end_s = time.monotonic(), math.inf
        while True:
            stopping = self._stopping.is_set()
            heard = listener.receive(QUIET_S)
            now_s = time.monotonic()
            if heard:
                self._write(*heard)
            if now_s - closed_s >= CHUNK_S:
                self._writer.flush()
                closed_s = now_s
            if stopping:
                end_s = min(end_s, now_s + DRAIN_S)
                if not heard or now_s >= end_s:
                    return

    def _write(self, topic: str, data: bytes) -> None:
        seq, t_ns = stamp(topic, data)
        self._writer.add_message(
            self._channels[topic], time.monotonic_ns(), data, publish_time=max(0, t_ns), sequence=seq & 0xFFFFFFFF
        )
        self.messages += 1
        if topic == "about":
            self._hear_about(data)

    def _hear_about(self, data: bytes) -> None:
        about = decode("about", data)
        assert isinstance(about, About)
        said = dict(zip(about.names, about.values, strict=False))
        if SIMULATED in said:
            self._world_heard.set()
            self._keep(WORLD, said)
        elif RUNNING in said:
            self._keep(DEVICE, {name: value for name, value in said.items() if name not in MEASURED})

    def _keep(self, name: str, said: dict[str, str]) -> None:
        if said != self._spoken.get(name):
            self._spoken[name] = said
            self._writer.flush()  # or its record would stand before messages that came before it
            self._writer.add_metadata(name, said)


def _begin(writer: Any, metadata: Mapping[str, str], parts: Mapping[str, str]) -> dict[str, int]:
    """Write what a reader needs first, and return the channels' numbers."""
    writer.start()
    now, now_ns = datetime.now(timezone.utc).isoformat(timespec="milliseconds"), time.monotonic_ns()
    writer.add_metadata(RECORD, {"prosthesis": __version__, "recorded": now, "recorded_ns": str(now_ns), **metadata})
    for name, text in parts.items():
        writer.add_attachment(time.time_ns(), now_ns, name, "application/json", text.encode())
    channels = {}
    for name, topic in TOPICS.items():
        schema = writer.register_schema(schema_name(topic.message), "protobuf", file_descriptor_set(topic.message))
        about = {"producer": topic.producer, "rate_hz": f"{topic.rate_hz:g}"}
        channels[name] = writer.register_channel(f"/{name}", "protobuf", schema, about)
    writer.flush()
    return channels


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded message; ``log_ns`` is when the recorder received it, on the device's clock."""

    topic: str
    log_ns: int
    message: Message


def entries(path: Path, topics: Iterable[str] | None = None) -> Iterator[Entry]:
    """Yield the messages of ``topics`` (default all) in the order received, reading as it goes.

    A file that was cut off is read as far as it goes. Raises ``ProsthesisError`` when it is no recording, or damaged:
    then after all that came before the damage, and it says how much that was.
    """
    wanted = set(TOPICS) if topics is None else {check_topic(topic) for topic in topics}
    for topic, record in _messages(path):
        if topic in wanted:
            try:
                yield Entry(topic, record.log_time, decode(topic, record.data))
            except ProsthesisError as error:
                raise ProsthesisError(f"{path}: {error}") from error


def read(path: Path, topics: Iterable[str] | None = None) -> Iterator[tuple[str, Message]]:
    """Yield ``(topic, message)`` as ``entries`` does."""
    for entry in entries(path, topics):
        yield entry.topic, entry.message


def metadata(path: Path) -> dict[str, str]:
    """Return what was running when ``path`` was recorded; raises as ``entries`` does.

    What the device said of itself counts more than what its recorder knew. What a simulated patient said begins with
    ``sim_``. Of each the first word counts, whenever it was said.
    """
    found: dict[str, dict[str, str]] = {}
    try:
        for record in _records(path, closed=True):
            if isinstance(record, Metadata) and record.name in (RECORD, DEVICE, WORLD):
                found[record.name] = record.metadata | found.get(record.name, {})
    except ProsthesisError:
        if not found:
            raise  # else it is not this that is damaged
    return found.get(RECORD, {}) | found.get(DEVICE, {}) | found.get(WORLD, {})


def parts(path: Path) -> dict[str, str]:
    """Return the texts that were attached when ``path`` was recorded, by name; raises as ``entries`` does."""
    found = {}
    for record in _records(path, closed=True):
        if isinstance(record, Attachment):
            found[record.name] = record.data.decode()
        if isinstance(record, Chunk):
            break
    return found


def summarise(path: Path) -> tuple[list[str], bool]:
    """Return what a recording holds, in lines for people, and whether it is sound; raises when it is no recording."""
    seen: dict[str, list[tuple[int, int]]] = {}
    damage = ""
    try:
        for topic, record in _messages(path):
            seen.setdefault(topic, []).append((record.log_time, record.sequence))
    except ProsthesisError as error:
        if not seen:
            raise
        damage = str(error)
    lines = [f"{key}: {value}" for key, value in metadata(path).items() if not key.endswith(CONTENT)]
    times = [log_ns for stamps in seen.values() for log_ns, _ in stamps]
    seconds = (max(times) - min(times)) / NS_PER_S if times else 0.0
    lines.append(f"{len(times)} messages in {seconds:.1f} s")
    for topic in (name for name in TOPICS if name in seen):
        numbers = {seq for _, seq in seen[topic]}
        rate = f"{len(seen[topic]) / seconds:.1f}" if seconds else "-"
        lines.append(f"  {topic:13} {len(seen[topic]):7}  {rate:>6} Hz  seq {min(numbers)} to {max(numbers)}")
    if damage:
        lines.append(damage)
    elif not _finished(path):
        lines.append("the recording was cut off; what is listed could be read")
    return lines, not damage


def _messages(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield topic and record of every message, topics without their slash."""
    channels: dict[int, str] = {}
    first_ns = last_ns = count = 0
    try:
        for record in _records(path):
            if isinstance(record, Channel):
                channels[record.id] = record.topic.removeprefix("/")
            elif isinstance(record, McapMessage) and channels.get(record.channel_id) in TOPICS:
                first_ns, last_ns, count = first_ns or record.log_time, record.log_time, count + 1
                yield channels[record.channel_id], record
    except ProsthesisError as error:
        if not count:
            raise
        seconds = (last_ns - first_ns) / NS_PER_S
        raise ProsthesisError(f"{error}; the {count} messages before that, {seconds:.1f} s, can be read") from error


def _records(path: Path, closed: bool = False) -> Iterator[Any]:
    """Yield every record; those in chunks one by one, or their chunk ``closed``."""
    finished = _finished(path)
    with path.open("rb") as file:
        limit = path.stat().st_size
        reader = StreamReader(_Whole(file), emit_chunks=closed, validate_crcs=True, record_size_limit=limit)
        records = reader.records
        begun = False
        while True:
            try:
                record = next(records, None)
            except (EndOfFile, RecordLengthLimitExceeded) as error:
                if finished or not begun:
                    raise ProsthesisError(f"{path}: damaged, or not a recording; copy it again") from error
                return  # cut off in the middle of a record: the recorder was killed
            except _DAMAGE as error:
                why = " ".join(str(error).split())
                raise ProsthesisError(f"{path}: damaged, or not a recording ({why}); copy it again") from error
            if record is None:
                return
            begun = True
            yield record


def _finished(path: Path) -> bool:
    """Whether the recorder came to the file's end; ``ProsthesisError`` when it cannot be opened."""
    try:
        with path.open("rb") as file:
            file.seek(-min(len(MCAP0_MAGIC), path.stat().st_size), os.SEEK_END)
            return file.read() == bytes(MCAP0_MAGIC)
    except OSError as error:
        raise ProsthesisError(f"{path}: cannot be read ({error.strerror}); check the path") from error


class _Whole:
    """A file whose reads are whole or raise: mcap takes a short read for the record."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) < length:
            raise EndOfFile
        return data
