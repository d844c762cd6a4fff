"""A running session as streams of the Lab Streaming Layer, read from its taps, for those who record other things too.

Three streams: ``prosthesis_stimulation`` (charge per electrode and interval, nC), ``prosthesis_percept`` (its summary)
and ``prosthesis_events`` (sentences, as markers). Stamps are when things happened, of sentences when they were heard,
on LSL's clock of this machine.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from prosthesis.errors import MissingExtraError
from prosthesis.messages import Delivered, Event, Heard, Message, Percept
from prosthesis.timing import NS_PER_MS, NS_PER_S

TOPICS = ("heard", "delivered", "percept", "event")
PERCEPT = ("visible", "mean", "peak", "gaze_x_deg", "gaze_y_deg", "latency_ms")
IRREGULAR = 0.0
NC_PER_PC = 1e-3


class Outlets:
    """The three streams of the session named ``source``; that of stimulation opens with the first delivery.

    Intervals without a pulse are not sent, but for one of zeros after each that had some. Raises ``MissingExtraError``.
    """

    def __init__(self, source: str) -> None:
        try:
            import pylsl
        except (ImportError, RuntimeError, OSError) as error:  # the wheel is there, its library is not
            raise MissingExtraError("LSL streams need pylsl; run: pip install 'prosthesis[lsl]'") from error
        self._lsl, self._source = pylsl, source
        self._ahead_s: float = pylsl.local_clock() - time.monotonic()
        self._offset_ns, self._driven = 0, False
        self._stimulation: Any = None
        self._percept = self._open("percept", "Percept", PERCEPT, ("", "", "", "degrees", "degrees", "ms"))
        self._events = self._open("events", "Markers", ("event",), ("",), "string")

    def _open(
        self, name: str, kind: str, labels: tuple[str, ...], units: tuple[str, ...], form: str = "float32"
    ) -> Any:
        info = self._lsl.StreamInfo(
            f"prosthesis_{name}", kind, len(labels), IRREGULAR, form, f"prosthesis-{self._source}-{name}"
        )
        channels = info.desc().append_child("channels")
        for label, unit in zip(labels, units, strict=True):
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
        return self._lsl.StreamOutlet(info)

    def take(self, message: Message) -> None:
        """Send what one message of the taps says."""
        match message:
            case Heard(what="offset"):
                self._offset_ns = message.value
            case Delivered():
                self._deliver(message)
            case Percept():
                image, latency_ns = message.image, message.made_ns - message.t_ns
                brightness = (float(image.mean()), float(image.max(initial=0.0)))
                latency_ms = latency_ns / NS_PER_MS if message.t_ns else float("nan")
                row = [float(message.visible), *brightness, *message.gaze_deg, latency_ms]
                self._percept.push_sample(row, self._at(message.made_ns))
            case Event():
                self._events.push_sample([f"{message.source} {message.level}: {message.text}"])
            case _:
                pass

    def _deliver(self, piece: Delivered) -> None:
        if self._stimulation is None:
            labels = tuple(f"electrode{i}" for i in range(len(piece.pulses)))
            self._stimulation = self._open("stimulation", "Stimulation", labels, ("nC",) * len(labels))
        driven = bool(piece.pulses.any())
        if driven or self._driven:
            charge_nc = piece.amplitude_ua.astype(np.float64) * piece.pulse_width_us * piece.pulses * NC_PER_PC
            self._stimulation.push_sample(charge_nc.tolist(), self._at(piece.t0_ns - self._offset_ns))
        self._driven = driven

    def _at(self, t_ns: int) -> float:
        return t_ns / NS_PER_S + self._ahead_s
