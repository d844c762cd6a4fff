"""The person's answers during calibration, from a keypad that may be a keyboard or a socket."""

from __future__ import annotations

import struct
from typing import Protocol

import zmq

from prosthesis.errors import LinkError, ProsthesisError
from prosthesis.links.keys import Keys
from prosthesis.links.zmq import PARTICIPANT, curve_client, heartbeats

ATTEND, SEEN, POINT, RATE = b"A", b"S", b"P", b"R"
# nobody sees farther than behind their own head
FIELD_DEG = 180
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
        if ok and not _in_field(x, y):
            raise self._nonsense(f"{x:g}, {y:g} degrees")
        return (x, y) if ok else None

    def rate(self) -> float:
        """See ``Participant``."""
        brightness = self._ask(RATE)[1]
        if not 0 <= brightness <= 1:
            raise self._nonsense(f"a brightness of {brightness:g}")
        return brightness

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(0)

    def _nonsense(self, answer: str) -> LinkError:
        return LinkError(f"the keypad at {self._where} answered {answer}: nothing was saved; mend it and start again")

    def _ask(self, question: bytes) -> tuple[bool, float, float]:
        self._socket.send(question)
        if not self._socket.poll(2000):
            raise LinkError(f"nobody answers at {self._where}; is the participant's keypad (or 'prosthesis sim') on?")
        ok, a, b = _ANSWER.unpack(self._socket.recv())
        return ok, a, b


class KeyboardParticipant:
    """A person at the terminal; what is no answer is asked again."""

    def attend(self) -> None:
        """Ask for attention."""
        _typed("ready? press Enter, then watch ")

    def seen(self) -> bool:
        """Ask y/n."""
        while (text := _typed("seen anything? [y/N] ").lower()) not in ("", "n", "no", "y", "yes"):
            pass
        return text.startswith("y")

    def point(self) -> tuple[float, float] | None:
        """Ask for a place."""
        while text := _typed(f"where, in degrees up to {FIELD_DEG}: x (right) and y (up), empty for nowhere: "):
            place = _numbers(text)
            if len(place) == 2 and _in_field(*place):
                return place[0], place[1]
        return None

    def rate(self) -> float:
        """Ask for a number."""
        while True:
            brightness = _numbers(_typed("how bright, 0 to 10: "))
            if len(brightness) == 1 and 0 <= brightness[0] <= 10:
                return brightness[0] / 10


def _typed(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        raise ProsthesisError(
            "standard input ended before the calibration did and nothing was saved; run it again at a terminal"
        ) from None


def _numbers(text: str) -> list[float]:
    """Return the numbers that were typed, none when one of them is not a number."""
    try:
        return [float(part) for part in text.split()]
    except ValueError:
        return []


def _in_field(x_deg: float, y_deg: float) -> bool:
    """Say whether a place can be in anybody's visual field; NaN never is."""
    return abs(x_deg) <= FIELD_DEG and abs(y_deg) <= FIELD_DEG
