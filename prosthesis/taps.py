"""Monitor taps: every message also on a PUB socket, for consoles, recorders and metrics, at no cost to the path.

``publish`` appends to a bounded queue and returns; a thread encodes and sends. Nothing is encoded, and nothing even
queued, for topics to which nobody subscribes. A subscriber who joins late or reads slowly misses messages and sees the
gap in ``seq``; nobody ever waits for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator

import zmq

from prosthesis.errors import LinkError
from prosthesis.messages import Message
from prosthesis.schemas import TOPICS, check_topic, encode

QUEUE = 512  # about two seconds of everything, for a recorder on a busy machine
SEND_QUEUE = 1024  # per subscriber
LOOK_S = 0.02  # how late a new subscriber may be noticed
CLOSE_S = 1.0

Context = zmq.Context[zmq.Socket[bytes]]


class Tap:
    """A monitor socket bound to ``endpoint``, which the caller keeps on loopback unless told otherwise.

    ``wanted`` are the topics somebody listens to, known some 20 ms after they subscribed; ``dropped`` counts the
    messages that newer ones pushed out of the queue before they were sent, ``failed`` those that could not be encoded
    (what a peer sends may hold numbers that the schema does not take). Raises ``LinkError`` when the endpoint is
    taken.
    """

    def __init__(self, endpoint: str, context: Context) -> None:
        self.dropped = self.failed = 0
        self.wanted: frozenset[str] = frozenset()
        self._queue: deque[tuple[str, Message]] = deque(maxlen=QUEUE)
        self._wake = threading.Event()
        self._closed = False
        self._socket = context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, SEND_QUEUE)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close(0)
            raise LinkError(
                f"cannot publish taps at {endpoint} ({error}); is another one running? use other ports"
            ) from error
        self._thread = threading.Thread(target=self._work, name="tap", daemon=True)
        self._thread.start()

    def publish(self, topic: str, message: Message) -> None:
        """Hand over ``message`` for whoever listens to ``topic``; takes microseconds and never blocks."""
        if topic not in self.wanted:
            return
        if len(self._queue) == QUEUE:
            self.dropped += 1
        self._queue.append((topic, message))
        self._wake.set()

    def close(self) -> None:
        """Send what is queued and release the socket; waits a second at most. Closing twice is fine."""
        self._closed = True
        self._wake.set()
        self._thread.join(CLOSE_S)

    def _work(self) -> None:
        subscribed: set[bytes] = set()
        try:
            while True:
                closed = self._closed  # read first, so that what was queued before closing is still sent
                self._wake.clear()
                self._hear(subscribed)
                self._send()
                if closed:
                    return
                self._wake.wait(LOOK_S)
        finally:
            self._socket.close(0)

    def _hear(self, subscribed: set[bytes]) -> None:
        """Take note of who subscribed: XPUB tells the first and the last subscriber of each prefix."""
        while self._socket.poll(0):
            said = self._socket.recv()
            change = subscribed.add if said[:1] == b"\x01" else subscribed.discard
            change(said[1:])
            self.wanted = frozenset(t for t in TOPICS if t.encode().startswith(tuple(subscribed)))

    def _send(self) -> None:
        while self._queue:
            topic, message = self._queue.popleft()
            try:
                data = encode(message)
            except Exception:  # whatever is wrong with this one, the next must still be told
                self.failed += 1
                continue
            self._socket.send_multipart([topic.encode(), data])  # PUB drops rather than block


class NullTap:
    """A tap that is off."""

    def publish(self, topic: str, message: Message) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Listener:
    """A subscriber, made by ``listen``; iterating yields ``(topic, data)`` until nothing came for its ``timeout_s``."""

    def __init__(self, endpoints: Iterable[str], topics: Iterable[str], context: Context, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        prefixes = [check_topic(topic).encode() for topic in topics]
        self._socket = context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 100)
        for prefix in prefixes:
            self._socket.setsockopt(zmq.SUBSCRIBE, prefix)
        for endpoint in endpoints:
            self._socket.connect(endpoint)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        while (heard := self.receive(self._timeout_s)) is not None:
            yield heard

    def receive(self, timeout_s: float) -> tuple[str, bytes] | None:
        """Return the next message, for ``schemas.decode``; ``None`` when none came in ``timeout_s``."""
        if not self._socket.poll(round(timeout_s * 1000)):
            return None
        topic, data = self._socket.recv_multipart()
        return topic.decode(), data

    def close(self) -> None:
        """Release the socket."""
        self._socket.close(0)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listen(endpoints: Iterable[str], topics: Iterable[str], context: Context, timeout_s: float = 1.0) -> Listener:
    """Subscribe to ``topics`` (names in ``schemas.TOPICS``) at the taps' ``endpoints`` and return at once.

    The publisher notices within some 50 ms; messages before that are missed, as by every late subscriber.
    """
    return Listener(endpoints, topics, context, timeout_s)
