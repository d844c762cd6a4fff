"""A thread that listens at the taps of one device and its patient and hands what it hears to a model."""

from __future__ import annotations

import threading
import time

import zmq

from prosthesis.errors import ProsthesisError
from prosthesis.links.zmq import DEVICE_TAPS, WORLD_TAPS
from prosthesis.taps import Context, Listener, listen
from prosthesis_sim.console.model import TOPICS, Model

LOOK_S = 0.05


class Hearing:
    """Keeps listening until closed; of pictures only the newest of what has come is kept, the rest is counted.

    ``endpoints`` of both taps; who publishes there may come and go.
    """

    def __init__(self, model: Model, endpoints: tuple[str, ...]) -> None:
        self.model, self.endpoints = model, endpoints
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="console taps", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._thread.join(1.0)

    def _work(self) -> None:
        context: Context = zmq.Context()
        try:
            with listen(self.endpoints, TOPICS, context) as listener:
                while not self._closing.is_set():
                    self._hear(listener)
        finally:
            context.term()

    def _hear(self, listener: Listener) -> None:
        """Take one message; what is wrong with it is said, and the next one still heard."""
        heard = listener.receive(LOOK_S)
        if heard is None:
            return
        try:
            self.model.take(*heard, time.monotonic_ns())
        except ProsthesisError as error:
            self.model.tell(time.monotonic_ns(), "console", "error", str(error))


def endpoints(host: str, port: int) -> tuple[str, str]:
    """Return the taps of the device, which are on this machine, and of the world at ``host``."""
    return f"tcp://127.0.0.1:{port + DEVICE_TAPS}", f"tcp://{host}:{port + WORLD_TAPS}"
