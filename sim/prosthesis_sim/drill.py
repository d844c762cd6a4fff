"""The verb ``drill``: each fault against the whole path in simulated time; who noticed, how soon, what happened.

Camera, encoder, translator, modulator, guard, session and runtime are the device's own but for the camera and a plain
encoder; link, implant and patient are the emulator's. Faults of the host are put into the camera and the encoder here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis.airtime import AirTime
from prosthesis.cameras.checks import FrameCheck
from prosthesis.config import Rig, load_rig
from prosthesis.control import Command
from prosthesis.limits import guard_limits
from prosthesis.messages import (
    Delivered,
    Event,
    Frame,
    GuardReport,
    MachineCode,
    Message,
    Receipt,
    Refusal,
    readonly,
)
from prosthesis.modulator import PulseModulator
from prosthesis.pipeline import Pipeline
from prosthesis.runtime import run
from prosthesis.safety import Guard
from prosthesis.session import Credentials, Session
from prosthesis.timing import ManualClock
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import make_view
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.faults.catalogue import CATALOGUE, Fault, Kind, Outcome
from prosthesis_sim.faults.effects import scope
from prosthesis_sim.loopback import LoopbackLink
from prosthesis_sim.oracle import Judge
from prosthesis_sim.patient import load_world

NS_PER_MS = 1_000_000
START_NS = 1_000_000_000
STEP_MS = 4
ONSET_S, LASTING_S, AFTER_S = 0.8, 1.0, 1.8
PERMANENT = (Kind.CLOCK_SKEW, Kind.HIGH_Z, Kind.LOW_Z, Kind.DAC_GAIN)
GREY = 110
GAP_MS = 50  # without any pulse: longer than any pulse period here
SIDE = 8


@dataclass(frozen=True, slots=True)
class Record:
    """What came of one fault: when it was noticed as it must be (``None``: it was not), and what the electrodes did.

    ``driven_ms`` is how long after the onset the electrodes concerned were last driven while it lasted; ``broken``
    counts breaches of the rig's hard limits, by rule.
    """

    fault: Fault
    noticed_ms: float | None
    outcome: Outcome
    driven_ms: float
    broken: dict[str, int]

    @property
    def as_expected(self) -> bool:
        """Whether it was noticed in time, by whom it must be, and ended as it must."""
        wanted = CATALOGUE[self.fault.kind]
        in_time = not wanted.sign or (self.noticed_ms is not None and self.noticed_ms <= wanted.within_ms + STEP_MS)
        # what nobody must notice may be noticed all the same, by an implant that then falls silent
        safer = not wanted.sign and self.outcome is Outcome.ALL_SILENT
        return in_time and (safer or self.outcome is wanted.outcome)


class Grey:
    """A plain encoder: the whole map as bright as the frame; ``ail`` puts a fault into what it says."""

    shape: tuple[int, ...] = (SIDE, SIDE)

    def __init__(self, ail: Callable[[float], float]) -> None:
        self._ail = ail

    def encode(self, frame: Frame, now_ns: int) -> MachineCode:
        """Return the map."""
        bright = self._ail(float(frame.rgb.mean()) / 255)
        values = readonly(np.full(SIDE * SIDE, bright), np.float32)
        return MachineCode(frame.seq, frame.t_ns, values, "map", self.shape)


@dataclass(slots=True)
class _Log:
    """What happened: (ms since the onset, pulses i32[n], amplitudes f32[n]), and when the sign was first seen."""

    pieces: list[tuple[float, npt.NDArray[np.int32], npt.NDArray[np.float32]]] = field(default_factory=list)
    noticed_ms: float | None = None


class Drill:
    """One fault against one rig."""

    live = True
    fault = None

    def __init__(self, rig: Rig, fault: Fault, seed: int = 0) -> None:
        self._rig, self._fault, self._wanted = rig, fault, CATALOGUE[fault.kind]
        self._clock, self._log, self._judge = ManualClock(START_NS), _Log(), Judge(rig)
        self._onset_ns = START_NS + int(fault.onset_s * 1e9)
        lasting = fault.duration_s or LASTING_S
        self._over_ms = 1e3 * lasting
        after_s = 11.5 if fault.kind is Kind.CLOCK_SKEW else AFTER_S
        self._end_ns = self._onset_ns + int((lasting + after_s) * 1e9)
        implant, device = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        allowed = frozenset([device.public_key().public_bytes_raw()])
        world = load_world(rig.config.world, rig.path.parent)
        self._emulator = Emulator(rig, world, implant, allowed, 0, self._clock.now_ns, see=False, faults=[fault])
        self._hear_deliveries()
        credentials = Credentials(device, implant.public_key().public_bytes_raw())
        link, modulator = LoopbackLink(self._emulator, self._clock), PulseModulator(rig)
        self._session = Session(link, credentials, modulator.configuration, rig.link.ttl_ms, self._clock)
        view = make_view(rig.config.view, rig.config.camera, rig.calibration)
        translator = RetinotopicTranslator(rig.calibration, view, (SIDE, SIDE))
        guard = Guard(guard_limits(rig))
        air = AirTime(modulator.configuration, rig.link.radio, rig.link.air_ms)
        self._pipeline = Pipeline(Grey(self._ail), translator, modulator, guard, self._session, self._clock, air)
        self._random, self._seq, self._last = np.random.default_rng(seed), 0, np.zeros((1, 1, 3), np.uint8)
        self._profile, self._counts = self._session._profile, [0] * len(Refusal)

    def run(self) -> Record:
        """Run it all and say what came of it."""
        camera = self._rig.config.camera
        check = FrameCheck(camera.width, camera.height, True)
        run(self, check, self._pipeline, self._session, self._clock, self._publish, None)
        self._ask()
        return self._judged()

    # the camera

    def read(self, timeout_s: float) -> Frame | None:
        """Let a frame's time pass and return its image, or what the fault makes of it."""
        if self._clock.now_ns() >= self._end_ns:
            raise EOFError
        for _ in range(round(1000 / self._rig.config.camera.fps / STEP_MS)):
            self._clock.advance(STEP_MS * NS_PER_MS)
            self._emulator.step()
            self._watch()
        kinds = self._kinds()
        self._session._profile = self._profile ^ (Kind.WRONG_PROFILE in kinds)
        if Kind.DROPPED_FRAMES in kinds:
            return None
        camera = self._rig.config.camera
        if Kind.CAMERA_FREEZE not in kinds:
            shape = (camera.height, camera.width, 3)
            self._last = self._random.integers(GREY - 5, GREY + 6, shape).astype(np.uint8)
        self._seq += 1
        rgb = np.zeros_like(self._last) if Kind.CAMERA_BLACK in kinds else self._last
        return Frame(self._seq, self._clock.now_ns(), rgb)

    def close(self) -> None:
        """Nothing to release."""

    def _kinds(self) -> set[Kind]:
        return {fault.kind for fault in self._emulator.faults.active(self._clock.now_ns())}

    def _ail(self, bright: float) -> float:
        kinds = self._kinds()
        if Kind.LATENCY_SPIKE in kinds:
            self._clock.advance(int(self._fault.size * NS_PER_MS))
        if Kind.ENCODER_NAN in kinds:
            return float("nan")
        return float("inf") if Kind.ENCODER_INF in kinds else bright

    # who notices

    def _notice(self, by: str, sign: str) -> None:
        ms = (self._clock.now_ns() - self._onset_ns) / NS_PER_MS
        wanted = self._wanted
        signs = wanted.sign.split(" or ") if by == wanted.by and wanted.sign else []
        if ms >= 0 and self._log.noticed_ms is None and any(known in sign for known in signs):
            self._log.noticed_ms = ms

    def _watch(self) -> None:
        implant = self._emulator.implant
        for _, reason in implant.changes():
            self._notice("implant", reason)
        counts = list(implant.telemetry(0).refused)
        for refusal in Refusal:
            if counts[refusal] > self._counts[refusal]:
                self._notice("implant", refusal.name)
        self._counts = counts
        for code in set(implant.monitor.barred.tolist()) - {0}:
            self._notice("implant", Refusal(code).name)

    def _publish(self, topic: str, message: Message) -> None:
        match message:
            case Event(source="device", text=text):
                self._notice("device", text)
            case GuardReport(interventions=found):
                for intervention in found:
                    self._notice("guard", intervention.rule)
            case Receipt(refusal=refusal):
                for code in set(refusal.tolist()) - {0}:
                    self._notice("implant", Refusal(code).name)
            case _:
                pass

    def _ask(self) -> None:
        """Ask the implant, now that it is stopped, what only a test finds."""
        where = int(scope(self._fault, self._rig.electrodes)[0])
        if self._wanted.by == "impedance test":
            measured = self._session.command(Command.IMPEDANCE, struct.pack("<H", where)).detail / 1000
            factor = measured / self._rig.array.contact.impedance_kohm
            if not 0.8 < factor < 1.25:
                self._log.noticed_ms = 0.0
        if self._wanted.by == "self-test":
            reply = self._session.command(Command.SELF_TEST)
            if self._wanted.sign in reply.reason:
                self._log.noticed_ms = 0.0

    # what the electrodes did

    def _hear_deliveries(self) -> None:
        world, step = self._emulator.world, self._emulator.world.step

        def heard(piece: Delivered) -> None:
            ms = (piece.t0_ns - self._onset_ns) / NS_PER_MS
            self._log.pieces.append((ms, piece.pulses, piece.amplitude_ua))
            self._judge.delivered(piece)
            step(piece)

        world.step = heard  # type: ignore[method-assign, assignment]

    def _driven(self, first_ms: float, last_ms: float) -> npt.NDArray[np.bool_]:
        pulses = np.zeros(self._rig.electrodes, np.int64)
        for ms, count, _ in self._log.pieces:
            if first_ms <= ms < last_ms:
                pulses += count
        return pulses > 0

    def _most_ua(self, first_ms: float, last_ms: float) -> float:
        inside = [float(ua.max()) for ms, count, ua in self._log.pieces if first_ms <= ms < last_ms and count.any()]
        return max(inside, default=0.0)

    def _gap_ms(self) -> float:
        """Return the longest time after the onset without any pulse, to the last of them."""
        times = [0.0] + [ms for ms, count, _ in self._log.pieces if ms >= 0 and count.any()]
        return max(np.diff(times).tolist(), default=0.0)

    def _judged(self) -> Record:
        here = np.zeros(self._rig.electrodes, bool)
        here[scope(self._fault, self._rig.electrodes)] = True
        over_ms, end_ms = self._over_ms, (self._end_ns - self._onset_ns) / NS_PER_MS
        during, after = self._driven(0.8 * over_ms, over_ms), self._driven(end_ms - 400, end_ms)
        times = [ms for ms, count, _ in self._log.pieces if 0 <= ms < over_ms and count[here].any()]
        before_ua, during_ua = self._most_ua(-200, 0), self._most_ua(0.8 * over_ms, over_ms)
        if not after.any():
            outcome = Outcome.ALL_SILENT
        elif self._gap_ms() > GAP_MS:
            outcome = Outcome.SILENT
        elif not during[here].any() and during[~here].any():
            outcome = Outcome.THOSE_SILENT
        else:
            outcome = Outcome.LESS if during_ua < 0.9 * before_ua else Outcome.GOES_ON
        return Record(self._fault, self._log.noticed_ms, outcome, max(times, default=0.0), self._judge.broken)


# faults of single electrodes are drilled at one; others are where they are
SINGLE = (
    Kind.OPEN,
    Kind.SHORT_RETURN,
    Kind.SHORT_NEIGHBOUR,
    Kind.HIGH_Z,
    Kind.LOW_Z,
    Kind.DEAD,
    Kind.STUCK_ON,
    Kind.LEAKAGE,
    Kind.DELAMINATION,
    Kind.DAC_STUCK_BIT,
    Kind.COMPLIANCE,
    Kind.PHASE_MISMATCH,
    Kind.MISSED_PHASE,
)


def standard(kind: Kind, electrode: int = 0) -> Fault:
    """Return the fault that is drilled for a kind; one of a single electrode is at ``electrode``."""
    lasting = None if kind in PERMANENT else 2.5 if kind is Kind.OVERHEAT else LASTING_S
    return Fault(kind=kind, onset_s=ONSET_S, duration_s=lasting, electrodes=(electrode,) if kind in SINGLE else None)


def drill(
    rig_name: str, faults: Iterable[Fault] | None, say: Callable[[str], None] = lambda text: None
) -> list[Record]:
    """Drill each of ``faults`` on a rig, one of every kind by default; errors are ``ProsthesisError``."""
    rig = load_rig(rig_name)
    first_used = rig.calibration.enabled.index(True)
    records = []
    for fault in faults if faults is not None else [standard(kind, first_used) for kind in Kind]:
        # an onset before the implant is armed would show nothing
        record = Drill(rig, replace_onset(fault)).run()
        say(line(record))
        records.append(record)
    return records


def replace_onset(fault: Fault) -> Fault:
    """Return the fault with its onset no earlier than the drill needs to arm the implant."""
    return fault if fault.onset_s >= ONSET_S else fault.model_copy(update={"onset_s": ONSET_S})


def line(record: Record) -> str:
    """Return one row of the table in ``docs/faults.md``."""
    wanted = CATALOGUE[record.fault.kind]
    seen = "-" if record.noticed_ms is None else f"{record.noticed_ms:.0f} ms"
    must = f"{wanted.by}: {wanted.sign}" if wanted.sign else "nobody"
    broken = ", ".join(record.broken) or "none"
    verdict = "" if record.as_expected else f" (expected: {wanted.outcome.value})"
    what = f"| {wanted.layer.value} | {record.fault.kind.value} | {wanted.summary} | {must} "
    return what + f"| {wanted.within_ms} ms | {seen} | {record.outcome.value}{verdict} | {broken} |"
