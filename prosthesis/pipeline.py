"""Hops 2 to 6: one frame in, one sealed message out."""

from __future__ import annotations

from dataclasses import dataclass

from prosthesis.airtime import AirTime
from prosthesis.messages import (
    BrainCode,
    Findings,
    Frame,
    GuardReport,
    HopTimes,
    MachineCode,
    StimulationPattern,
)
from prosthesis.modulator import PulseModulator
from prosthesis.protocols import Clock, Encoder, Pointing, Speaking, StimulatingSession, Translator
from prosthesis.safety import Guard, GuardState

HOPS = ("read", "encode", "translate", "modulate", "guard", "seal", "send")


@dataclass(frozen=True, slots=True)
class Passage:
    """Everything one frame became on the device; ``sent`` is false when the link could not take ``message``."""

    frame: Frame
    code: MachineCode
    brain: BrainCode
    wanted: StimulationPattern
    allowed: StimulationPattern
    guard: GuardReport
    hops: HopTimes
    message: bytes
    sent: bool


class Pipeline:
    """The device's hops, wired; the guard's state is the only memory here."""

    def __init__(
        self,
        encoder: Encoder,
        translator: Translator,
        modulator: PulseModulator,
        guard: Guard,
        session: StimulatingSession,
        clock: Clock,
        air: AirTime,
    ) -> None:
        self._encoder, self._translator, self._modulator = encoder, translator, modulator
        self._guard, self._session, self._clock, self._air = guard, session, clock, air
        self._state: GuardState = guard.initial()
        self._last_ns = 0

    def process(self, frame: Frame) -> Passage:
        """Carry ``frame`` to the air."""
        now = self._clock.now_ns
        stamps = [now()]
        code = self._encoder.encode(frame, stamps[0])
        stamps.append(now())
        brain = self._translator.translate(code)
        stamps.append(now())
        wanted = self._modulator.modulate(brain)
        stamps.append(now())
        allowed, interventions, self._state = self._guard.allow(wanted, self._state, self._elapsed_s(frame))
        allowed, lost = self._modulator.fit(allowed)
        stamps.append(now())
        codes, cut = self._air.fit(self._modulator.codes(allowed))
        message = self._session.seal(frame.seq, frame.t_ns, codes)
        stamps.append(now())
        sent = self._session.send(message)
        stamps.append(now())
        report = GuardReport(frame.seq, frame.t_ns, interventions + lost + cut)
        hops = HopTimes(frame.seq, frame.t_ns, HOPS, tuple(stamps))
        return Passage(frame, code, brain, wanted, allowed, report, hops, message, sent)

    def be_guarded_by(self, guard: Guard) -> None:
        """Obey other limits from now on; what was delivered so far is remembered."""
        self._guard = guard

    def said(self) -> tuple[str, ...]:
        """Return what the encoder has to say since last asked, for a voice beside the percept."""
        return self._encoder.said() if isinstance(self._encoder, Speaking) else ()

    def found(self) -> tuple[Findings, ...]:
        """Return what the encoder found in its pictures since last asked, for whoever watches."""
        return self._encoder.found() if isinstance(self._encoder, Pointing) else ()

    def silence(self, frame: Frame) -> bool:
        """Send a pattern of zeros in place of a frame that must not be seen; return whether it could be sent."""
        silent = self._modulator.silent(frame.seq, frame.t_ns)
        _, _, self._state = self._guard.allow(silent, self._state, self._elapsed_s(frame))
        return self._session.send(self._session.seal(frame.seq, frame.t_ns, self._modulator.codes(silent)))

    def _elapsed_s(self, frame: Frame) -> float:
        elapsed_ns = frame.t_ns - self._last_ns if self._last_ns else 0
        self._last_ns = frame.t_ns
        return elapsed_ns * 1e-9
