"""The device's main loop: newest frame in, sealed pattern out, an eye on the implant, and words for the user.

Nothing here queues. A frame with a fault becomes a pattern of silence; a lost implant is reported, asked for again, and
armed again as soon as it has seen enough fresh frames. One that somebody stopped is not: only a new run arms it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prosthesis.cameras.checks import FrameCheck
from prosthesis.errors import LinkError
from prosthesis.messages import Event, Frame, ImplantState, Message, Refusal, Telemetry
from prosthesis.pipeline import Passage, Pipeline
from prosthesis.protocols import Clock, FrameSource, StimulatingSession

NS_PER_S = 1_000_000_000
LOST_S = 0.5
RETRY_S = 0.25
RESYNC_S = 10.0
AGAIN_S = 2.0  # what has passed and comes again is told again, but not ten times a second
IDLE = (ImplantState.SILENT, ImplantState.SAFE, ImplantState.STOPPED)
Prepare = Callable[[], Iterable[tuple[str, str]]]
Publish = Callable[[str, Message], None]
PASSAGE_TOPICS = ("frame", "machine_code", "brain_code", "wanted", "allowed", "guard", "hops")


@dataclass(slots=True)
class RunSummary:
    """What a run did: frames read, frames the camera had overwritten, patterns sent or not, sessions opened, faults."""

    frames: int = 0
    dropped: int = 0
    sent: int = 0
    unsent: int = 0
    faulty: int = 0
    sessions: int = 0
    armings: int = 0
    events: list[str] = field(default_factory=list)


class Watch:
    """Keeps the session open and the implant armed, and tells the user of every change.

    ``prepare`` is called in each new session before arming; it returns what to tell as (level, text).
    """

    def __init__(
        self,
        session: StimulatingSession,
        clock: Clock,
        tell: Callable[[str, str], None],
        summary: RunSummary,
        prepare: Prepare = tuple,
    ) -> None:
        self._session, self._clock, self._tell, self._summary = session, clock, tell, summary
        self._prepare = prepare
        self._heard_ns = self._tried_ns = self._synced_ns = self._armed_ns = -(1 << 62)
        self._open = False
        self._health: Telemetry | None = None

    @property
    def state(self) -> ImplantState | None:
        """The implant's last known state, ``None`` while it is lost."""
        return self._health.state if self._open and self._health else None

    @property
    def connected(self) -> bool:
        """Whether a session is open."""
        return self._open

    def tend(self, publish: Publish) -> None:
        """Read what the implant said, and do what its state asks for; blocks only while the link is down."""
        now = self._clock.now_ns()
        if not self._open:
            if now - self._tried_ns >= RETRY_S * NS_PER_S:
                self._try_open()
            return
        self._listen(publish)
        if now - self._heard_ns > LOST_S * NS_PER_S:
            self._lose("the implant has gone quiet; trying to reach it again")
        elif now - self._synced_ns > RESYNC_S * NS_PER_S:
            self._command(self._session.align_clock)
            self._synced_ns = now
        elif self.state in IDLE:
            self._arm(now)

    def _try_open(self) -> None:
        self._tried_ns = self._clock.now_ns()
        try:
            self._session.open()
            prepared = list(self._prepare())
        except LinkError as error:
            self._tell("error", str(error))
            return
        self._open, self._health = True, None
        self._heard_ns = self._synced_ns = self._clock.now_ns()
        self._summary.sessions += 1
        self._tell("info", "session with the implant opened")
        for level, text in prepared:
            self._tell(level, text)
        self._arm(self._heard_ns)

    def _listen(self, publish: Publish) -> None:
        while (said := self._session.receive()) is not None:
            self._heard_ns = self._clock.now_ns()
            if isinstance(said, Telemetry):
                if self._health is None or said.state is not self._health.state:
                    level = "error" if said.state is ImplantState.LOCKED or self._session.overruled else "info"
                    remedy = "; start again to stimulate" if self._session.overruled else ""
                    self._tell(level, f"implant is {said.state.name.lower()}: {said.reason}{remedy}")
                self._health = said
                publish("telemetry", said)
            else:
                publish("receipt", said)

    def _arm(self, now_ns: int) -> None:
        if self._session.overruled or now_ns - self._armed_ns < 0.05 * NS_PER_S:
            return
        self._armed_ns = now_ns

        def ask() -> None:
            if self._session.arm().refusal is Refusal.NONE:
                self._summary.armings += 1

        self._command(ask)

    def _command(self, command: Callable[[], None]) -> None:
        try:
            command()
        except LinkError as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        self._open = False
        self._tell("error", why)


def run(
    source: FrameSource,
    check: FrameCheck,
    pipeline: Pipeline,
    session: StimulatingSession,
    clock: Clock,
    publish: Publish,
    seconds: float | None = None,
    on_frame: Callable[[Passage | None, RunSummary], bool] | None = None,
    prepare: Prepare = tuple,
) -> RunSummary:
    """Run until ``seconds`` have passed, the source ends, or ``on_frame`` returns ``False``; then stop the implant.

    ``prepare`` is that of ``Watch``. ``publish(topic, message)`` must not block. Raises ``CameraError`` when the camera
    is gone for good; whatever ends the run, the implant is told to stop.
    """
    summary = RunSummary()
    started_ns = clock.now_ns()
    told, told_ns, well = "", 0, False
    last_seq = 0

    def tell(level: str, text: str) -> None:
        nonlocal told, told_ns, well
        if text != told or (well and clock.now_ns() - told_ns >= AGAIN_S * NS_PER_S):
            told, told_ns, well = text, clock.now_ns(), False
            summary.events.append(text)
            publish("event", Event(last_seq, clock.now_ns(), "device", level, text))

    watch = Watch(session, clock, tell, summary, prepare)
    try:
        while seconds is None or clock.now_ns() - started_ns < seconds * NS_PER_S:
            watch.tend(publish)
            try:
                frame = source.read(0.1)
            except EOFError:
                tell("info", "the camera's recording has ended")
                break
            if frame is None:
                tell("warning", getattr(source, "fault", None) or "no frame from the camera")
                continue
            summary.frames += 1
            gap, last_seq = frame.seq - last_seq - 1, frame.seq
            passage = _carry(frame, check, pipeline, tell, summary) if watch.connected else None
            if summary.sent > 1:
                summary.dropped += gap
            if passage:
                well = True
                # first, or a recording cut off in between would hold a frame of a task that it does not name
                for text in pipeline.said():
                    summary.events.append(text)
                    publish("event", Event(last_seq, clock.now_ns(), "encoder", "info", text))
                _publish(passage, publish)
                for found in pipeline.found():
                    publish("findings", found)
            if on_frame and not on_frame(passage, summary):
                break
    finally:
        if summary.sessions:
            _stop(session, tell)
    return summary


def _carry(
    frame: Frame, check: FrameCheck, pipeline: Pipeline, tell: Callable[[str, str], None], summary: RunSummary
) -> Passage | None:
    fault = check.fault(frame)
    if fault:
        summary.faulty += 1
        tell("warning", f"camera frame refused: {fault}; the electrodes are kept silent")
        pipeline.silence(frame)
        return None
    passage = pipeline.process(frame)
    summary.sent += passage.sent
    summary.unsent += not passage.sent
    return passage


def _publish(p: Passage, publish: Publish) -> None:
    messages: tuple[Message, ...] = (p.frame, p.code, p.brain, p.wanted, p.allowed, p.guard, p.hops)
    for topic, message in zip(PASSAGE_TOPICS, messages, strict=True):
        publish(topic, message)


def _stop(session: StimulatingSession, tell: Callable[[str, str], None]) -> None:
    try:
        session.stop()
    except LinkError as error:
        tell("error", f"could not confirm STOP ({error}); the implant falls silent by itself when frames stop")
