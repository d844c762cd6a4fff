"""The verb ``soak``: a long life in simulated time, with random faults, on a bad air; every frame accounted for.

A device asks for random patterns and does what devices do when an implant falls silent. What becomes of each frame is
told from what the air, the faults and the implant did with its packets, never by exclusion: a frame of which none of
them knows anything is *unaccounted*. Memory must not grow.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis.config import Rig
from prosthesis.errors import LinkError
from prosthesis.messages import ImplantState, Refusal
from prosthesis.sealing import Sealing
from prosthesis.session import Credentials, Session
from prosthesis.timing import ManualClock
from prosthesis.wire import split
from prosthesis_sim.channel import Channel
from prosthesis_sim.door import ImplantDoor
from prosthesis_sim.faults.board import FaultBoard
from prosthesis_sim.faults.catalogue import CATALOGUE, Fault, Kind, Layer
from prosthesis_sim.fuzz import Sender
from prosthesis_sim.hostile import Hostile
from prosthesis_sim.implant import DRIVING, Implant

NS_PER_MS = 1_000_000
START_NS = 1_000_000_000
FRAME_MS = 33
EPISODE_FRAMES = 60  # from fault to fault; each is over before the next
SETTLED_FRAMES = 200  # after which nothing of a frame can still be on its way
RETRY_FRAMES = 5
PATIENCE = 6  # tries to arm, after which a new session is opened
PATTERNS = ("calm", "random", "sparse", "edges", "alternating")
KINDS = tuple(kind for kind in Kind if CATALOGUE[kind].layer is not Layer.HOST)
_SEQ = struct.Struct("<I")


@dataclass(slots=True)
class Life:
    """What became of all frames: one fate each, and how memory went; ``faults`` counts them by kind."""

    rig: str
    frames: int
    seed: int
    seconds: float = 0.0
    fates: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    pulses: int = 0
    memory_kb: list[int] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """How much more memory the last tenth took than the second, as a share; 0 where it cannot be read."""
        tenth = len(self.memory_kb) // 10
        if not tenth:
            return 0.0
        early, late = self.memory_kb[tenth : 2 * tenth], self.memory_kb[-tenth:]
        return float(np.mean(late) / np.mean(early) - 1)

    @property
    def sound(self) -> bool:
        """Whether every frame is accounted for, once, and memory is flat within 2 %."""
        return not self.fates["unaccounted"] and self.fates.total() == self.frames and self.growth < 0.02

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        plain = {name: getattr(self, name) for name in ("rig", "frames", "seed", "seconds", "sessions", "pulses")}
        more = {"fates": dict(self.fates), "faults": dict(self.faults)}
        return {**plain, **more, "growth": self.growth, "memory_kb": self.memory_kb, "sound": self.sound}


class Soak:
    """A device and an implant in simulated time; it is its session's link."""

    def __init__(self, rig: Rig, frames: int, seed: int) -> None:
        self.life = Life(rig.config.name, frames, seed)
        self._rng, self._clock = np.random.default_rng(seed), ManualClock(START_NS)
        identity, device = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        self._implant, self._faults = Implant(rig, START_NS), FaultBoard((), START_NS, seed)
        self._channel = Channel(rig.link.radio, seed)
        sealing = Sealing(rig.link.sealing)
        allowed = frozenset([device.public_key().public_bytes_raw()])
        self._door = ImplantDoor(self._implant, identity, allowed, None, sealing)
        self._sender, self._hostile = Sender(rig), Hostile(rig, self._rng)
        credentials = Credentials(device, identity.public_key().public_bytes_raw())
        configuration, ttl_ms = self._sender.configuration, rig.link.ttl_ms
        self._session = Session(self, credentials, configuration, ttl_ms, self._clock, sealing)
        self._known: dict[int, set[str]] = {}
        self._open = deque[int]()
        self._silent = 0

    def run(self, say: Callable[[int], None]) -> Life:
        """Live through all frames."""
        life, began = self.life, time.monotonic()
        try:
            for number in range(life.frames):
                if number % EPISODE_FRAMES == 0:
                    self._new_fault()
                self._frame(number + 1)
                if number % max(life.frames // 500, 1) == 0:
                    say(number)
                    life.memory_kb += _memory_kb()
        except KeyboardInterrupt:  # as much as has been lived is a life as well
            life.frames = life.fates.total() + len(self._open)
        self._faults.clear()
        for _ in range(SETTLED_FRAMES):
            self._pass()
        while self._open:
            self._settle()
        life.seconds = time.monotonic() - began
        return life

    def _new_fault(self) -> None:
        kind = KINDS[int(self._rng.integers(len(KINDS)))]
        n = self._implant.electrodes
        which = tuple(self._rng.choice(n, int(self._rng.integers(1, min(n, 8) + 1)), replace=False).tolist())
        self._faults.clear()
        onset_s, duration_s = self._rng.uniform(0, 0.6), self._rng.uniform(0.05, 0.9)
        self._faults.add(
            Fault(kind=kind, onset_s=onset_s, duration_s=duration_s, electrodes=which), self._clock.now_ns()
        )
        self.life.faults[kind.value] += 1

    def _frame(self, seq: int) -> None:
        self._pass()
        if seq % RETRY_FRAMES == 1:
            self._keep_going()
        name = PATTERNS[int(self._rng.integers(len(PATTERNS)))]
        wanted, _ = self._hostile.make(name, seq, self._clock.now_ns())
        self._known[seq] = set()
        self._open.append(seq)
        self.send(self._session.seal(seq, self._clock.now_ns(), self._sender.codes(wanted, FRAME_MS / 1000)))
        if len(self._open) > SETTLED_FRAMES:
            self._settle()

    def _keep_going(self) -> None:
        """Do what a device does: open, reset, arm; a person is at hand who allows it."""
        implant = self._implant
        with contextlib.suppress(LinkError):
            if implant.state is ImplantState.LOCKED and implant.session:
                self._session.reset()
            if implant.state in DRIVING:
                self._silent = 0
                return
            self._silent += 1
            if not implant.session or self._silent > PATIENCE:  # clocks may have jumped, or electrodes be barred
                self._session.open()
                self.life.sessions, self._silent = self.life.sessions + 1, 0
            self._session.arm()

    def _pass(self) -> None:
        """Let a frame's time pass."""
        self._clock.advance(FRAME_MS * NS_PER_MS)
        now_ns = self._clock.now_ns()
        self._faults.apply(self._implant, now_ns)
        self._faults.again(lambda command: self._door.answer(command, self._implant_ns()))
        for late in self._faults.late(now_ns):
            self._air(late)
        for packet in self._channel.arrivals(now_ns):
            self._arrive(packet)
        for piece in self._implant.advance(self._implant_ns()):
            self.life.pulses += int(piece.pulses.sum())
        self._implant.changes()

    def _implant_ns(self) -> int:
        return self._faults.clock_ns(self._clock.now_ns())

    # the link

    def send(self, data: bytes) -> bool:
        """Put packets on the air, if the faults let them."""
        arrived = self._faults.hears(data, self._clock.now_ns())
        heard = {_seq(packet) for message in arrived for packet in split(message)}
        for packet in split(data):
            if _seq(packet) not in heard:
                self._tell(packet, "lost: a fault")  # or held back by it: what comes of it later counts more
        for message in arrived:
            self._air(message)
        return True

    def _air(self, message: bytes) -> None:
        for packet in split(message):
            lost, spoiled = self._channel.lost, self._channel.spoiled
            self._channel.send([packet], self._clock.now_ns())
            if self._channel.lost > lost:
                self._tell(packet, "lost: the air")
            elif self._channel.spoiled > spoiled:
                self._tell(packet, "refused: CORRUPT")  # its own number may be what is wrong on arrival

    def _arrive(self, packet: bytes) -> None:
        implant = self._implant
        if implant.hung:
            self._tell(packet, "lost: the implant hung")
            return
        before = implant.telemetry(0)
        implant.receive([packet], self._implant_ns())
        after = implant.telemetry(0)
        if after.accepted > before.accepted:
            self._tell(packet, "delivered")
        for refusal in Refusal:
            if after.refused[refusal] > before.refused[refusal]:
                self._tell(packet, f"refused: {refusal.name}")

    def _tell(self, packet: bytes, fate: str) -> None:
        known = self._known.get(_seq(packet))
        if known is not None:
            known.add(fate)

    def _settle(self) -> None:
        """Write down the best that became of the oldest frame."""
        fates = self._known.pop(self._open.popleft())
        best = min(fates, key=lambda fate: (fate != "delivered", not fate.startswith("refused"), fate), default="")
        self.life.fates[best or "unaccounted"] += 1

    def receive(self, timeout_s: float) -> bytes | None:
        """Nothing comes back but replies."""
        return None

    def request(self, data: bytes, timeout_s: float) -> bytes:
        """Hand a command to the implant's door, if the faults let it."""
        if not self._faults.answers(self._implant):
            raise LinkError("no implant answers")
        self._implant.advance(self._implant_ns())
        reply = self._door.answer(data, self._implant_ns())
        self._faults.again(lambda command: reply, data)
        return reply

    def close(self) -> None:
        """Nothing to release."""


def _seq(packet: bytes) -> int:
    return int(_SEQ.unpack_from(packet, 8)[0]) if len(packet) >= 12 else -1


def _memory_kb() -> list[int]:
    status = Path("/proc/self/status")
    if not status.exists():
        return []
    return [int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS:")]


def soak(rig: Rig, frames: int, seed: int = 0, say: Callable[[str], None] = lambda text: None) -> Life:
    """Run ``frames`` on ``rig``, whose link says what the air is like."""
    told = time.monotonic()

    def progress(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > 2:
            told = time.monotonic()
            say(f"{done} of {frames} frames, {life.life.fates['unaccounted']} unaccounted")

    life = Soak(rig, frames, seed)
    return life.run(progress)


def table(life: Life) -> list[str]:
    """Return the report as lines of text."""
    minutes = life.frames * FRAME_MS / 60_000
    memory_kb = life.memory_kb[-1] if life.memory_kb else 0
    fates = [f"  {fate:28}{count:10}  {count / life.frames:8.3%}" for fate, count in life.fates.most_common()]
    return [
        f"{life.frames} frames on {life.rig}, {minutes:.0f} minutes of its time in {life.seconds:.0f} s, "
        f"seed {life.seed}: {life.faults.total()} faults of {len(life.faults)} kinds, {life.sessions} sessions, "
        f"{life.pulses} pulses",
        *fates,
        f"unaccounted: {life.fates['unaccounted']}",
        f"memory: {memory_kb} kB, {life.growth:+.2%} from the second tenth to the last",
    ]
