"""The person's answers during calibration, from a keypad that may be a keyboard or a socket."""

from __future__ import annotations

import struct
from typing import Protocol

import zmq

from prosthesis.errors import LinkError
from prosthesis.links.keys import Keys
from prosthesis.links.zmq import PARTICIPANT, curve_client, heartbeats

ATTEND, SEEN, POINT, RATE = b"A", b"S", b"P", b"R"
_ANSWER = struct.Struct("<?dd")


class Participant(Protocol):
    """Someone who looks when asked to and then answers."""

    def attend(self) -> None:
        """Look: the answers that follow are about what is shown from now on."""
        ...

    def seen(self) -> bool:
        """Say whether anything was seen."""
        ...

    def point(self) -> tuple[float, float] | None:
        """Point at what was seen, in degrees (x to the right, y up); ``None`` when nothing was."""
        ...

    def rate(self) -> float:
        """Rate its brightness, 0 (nothing) to 1 (the brightest ever)."""
        ...


def encode_answer(ok: bool, a: float = 0.0, b: float = 0.0) -> bytes:
    """Return the bytes of one answer."""
    return _ANSWER.pack(ok, a, b)


class RemoteParticipant:
    """Answers that come from the keypad's socket, on the sixth port of the rig's link."""

    def __init__(self, host: str, port: int, keys: Keys, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._where = f"tcp://{host}:{port + PARTICIPANT}"
        self._socket = (context or zmq.Context.instance()).socket(zmq.REQ)
        self._socket.setsockopt(zmq.REQ_RELAXED, 1)
        self._socket.setsockopt(zmq.REQ_CORRELATE, 1)
        heartbeats(self._socket)
        curve_client(self._socket, keys)
        self._socket.connect(self._where)

    def attend(self) -> None:
        """See ``Participant``."""
        self._ask(ATTEND)

    def seen(self) -> bool:
        """See ``Participant``."""
        return self._ask(SEEN)[0]

    def point(self) -> tuple[float, float] | None:
        """See ``Participant``."""
        ok, x, y = self._ask(POINT)
        return (x, y) if ok else None

    def rate(self) -> float:
        """See ``Participant``."""
        return self._ask(RATE)[1]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(0)

    def _ask(self, question: bytes) -> tuple[bool, float, float]:
        self._socket.send(question)
        if not self._socket.poll(2000):
            raise LinkError(f"nobody answers at {self._where}; is the participant's keypad (or 'prosthesis sim') on?")
        ok, a, b = _ANSWER.unpack(self._socket.recv())
        return ok, a, b


class KeyboardParticipant:
    """A person at the terminal."""

    def attend(self) -> None:
        """Ask for attention."""
        input("ready? press Enter, then watch ")

    def seen(self) -> bool:
        """Ask y/n."""
        return input("seen anything? [y/N] ").strip().lower().startswith("y")

    def point(self) -> tuple[float, float] | None:
        """Ask for a place."""
        while True:
            text = input("where, in degrees: x (right) and y (up), empty for nowhere: ").split()
            if not text:
                return None
            try:
                x, y = (float(part) for part in text)
                return x, y
            except ValueError:
                continue

    def rate(self) -> float:
        """Ask for a number."""
        text = ""
        while not text.replace(".", "", 1).isdigit():
            text = input("how bright, 0 to 10: ").strip()
        return min(float(text) / 10, 1.0)
