"""One simulated patient with an implant: channel, implant and world in simulated or real time, without sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis import __version__, control
from prosthesis.config import Rig
from prosthesis.messages import Delivered, Evoked, HopTimes, Percept, Telemetry, readonly
from prosthesis.sealing import Sealing
from prosthesis.wire import PacketType, holds_stop, split
from prosthesis_sim.channel import Channel
from prosthesis_sim.door import ImplantDoor
from prosthesis_sim.electrodes import place
from prosthesis_sim.faults.board import FaultBoard
from prosthesis_sim.faults.catalogue import Fault
from prosthesis_sim.implant import Implant
from prosthesis_sim.participant import Participant
from prosthesis_sim.patient import WorldConfig
from prosthesis_sim.sites import recording
from prosthesis_sim.world import World

HOPS = ("receive", "open", "deliver", "percept")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step of time brought: deliveries in order; percept, evoked rates and hop times if a percept was made."""

    delivered: tuple[Delivered, ...]
    percept: Percept | None
    evoked: Evoked | None
    hops: HopTimes | None


class Emulator:
    """Everything beyond the air, driven by ``hear``, ``command`` and ``step`` at the times it is given.

    ``about`` says in words who the patient is, for recordings.

    ``step`` may run the patient ahead of ``now_ns`` by one pulse period, so that the percept of a new pattern shows
    what it evoked; charge is never counted late, and no time to live is overrun. ``see`` false leaves the percept
    unrendered. ``evoked_hz()`` are the rates above spontaneous f64[n] that RECORD tells of one by one.
    """

    def __init__(
        self,
        rig: Rig,
        config: WorldConfig,
        identity: X25519PrivateKey,
        allowed: frozenset[bytes],
        patient: int,
        now_ns: Callable[[], int],
        see: bool = True,
        day: float = 0.0,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.faults = FaultBoard(faults, now_ns(), patient + 3)
        self._true_ns, self._see = now_ns, see
        self._untold: list[Delivered] = []
        self.about = {
            "sim_world": config.name,
            "sim_patient": str(patient),
            "sim_day": f"{day:g}",
            "sim_air": rig.link.name,
            "sim_prosthesis": __version__,
            "sim_world_config": config.model_dump_json(exclude_unset=True),
        }
        array = place(rig.config.implant, rig.array)
        self.world = World(config, array, patient, day)
        self.implant = Implant(rig, now_ns(), self.world.person.impedance)
        self.evoked_hz = recording(self.world, array)
        self.participant = Participant(self.world, patient + 1)
        self._door = ImplantDoor(self.implant, identity, allowed, self._record, Sealing(rig.link.sealing))
        self.channel = Channel(rig.link.radio, patient + 2)
        self.uplink = Channel(rig.link.radio, patient + 3)
        self._waiting: bytes | None = None
        self._lived_ns = now_ns()

    def _now_ns(self) -> int:
        return self.faults.clock_ns(self._true_ns())

    def command(self, data: bytes) -> bytes | None:
        """Answer one command message; ``None`` where a fault keeps it, or the reply, from arriving."""
        self._untold += self._live(self._now_ns())
        if not self.faults.answers(self.implant):
            return None
        reply = self._door.answer(data, self._now_ns())
        self.faults.again(lambda command: reply, data)
        return reply

    def allow(self, allowed: frozenset[bytes]) -> None:
        """Obey these devices from now on, and no other."""
        self._untold += self._live(self._now_ns())
        self._door.allow(allowed)

    def hear(self, message: bytes) -> None:
        """Put one stimulation message on the air, or let it wait while the air is busy: only the newest waits.

        STOP waits for nothing but the packet on the air.
        """
        for arrived in self.faults.hears(message, self._true_ns()):
            self._hear(arrived)

    def _hear(self, message: bytes) -> None:
        if holds_stop(message):
            self.channel.send(split(message), self._now_ns())
            return
        if self._waiting is not None:
            self.implant.skipped += 1
        self._waiting = message
        self._transmit(self._now_ns())

    def _transmit(self, now_ns: int) -> None:
        if self._waiting is not None and self.channel.free_ns <= now_ns:
            self.channel.send(split(self._waiting), now_ns)
            self._waiting = None

    def next_event_ns(self) -> int | None:
        """Return when something happens on the air by itself, ``None`` when nothing will."""
        times = [self.channel.next_arrival_ns(), self.uplink.next_arrival_ns()]
        if self._waiting is not None:
            times.append(self.channel.free_ns)
        return min((t_ns for t_ns in times if t_ns is not None), default=None)

    def step(self, *, look: bool = False) -> Outcome:
        """Live until now; obey what has arrived. A percept is made when a pattern was obeyed, or to ``look``."""
        self.faults.again(lambda command: self._door.answer(command, self._now_ns()))
        for late in self.faults.late(self._true_ns()):
            self._hear(late)
        received_ns = self._now_ns()
        self._transmit(received_ns)
        delivered, self._untold = self._untold, []
        obeyed = False
        while (arrives_ns := self.channel.next_arrival_ns()) is not None and arrives_ns <= received_ns:
            delivered += self._live(arrives_ns)
            obeyed |= self.implant.receive(self.channel.arrivals(arrives_ns), arrives_ns)
        opened_ns = self._now_ns()
        delivered += self._live(self.implant.shows_ns(received_ns) if obeyed else received_ns)
        delivered_ns = self._now_ns()
        if not (self._see and (obeyed or look)):
            return Outcome(tuple(delivered), None, None, None)
        telemetry = self.implant.telemetry(received_ns)
        percept = self.world.percept(telemetry.seq, self.implant.capture_ns, 0)
        made_ns = self._now_ns()
        percept = replace(percept, made_ns=made_ns - self.implant.offset_ns)
        hops = None
        if obeyed:
            stamps = tuple(t - self.implant.offset_ns for t in (received_ns, opened_ns, delivered_ns, made_ns))
            hops = HopTimes(percept.seq, percept.t_ns, HOPS, stamps)
        evoked = Evoked(percept.seq, percept.t_ns, readonly(self.evoked_hz(), np.float32))
        return Outcome(tuple(delivered), percept, evoked, hops)

    def receipt(self) -> None:
        """Send the receipt of what was delivered since the last one; not while the way up is busy, so none queues."""
        if self.uplink.free_ns <= self._now_ns():
            self._up(PacketType.RECEIPT, control.encode_receipt(self.implant.receipt()))

    def telemetry(self) -> Telemetry:
        """Send the implant's health, and return it for taps."""
        telemetry = self.implant.telemetry(self._now_ns())
        self._up(PacketType.TELEMETRY, control.encode_telemetry(telemetry))
        return telemetry

    def _up(self, kind: PacketType, payload: bytes) -> None:
        packet = self.implant.seal_up(kind, payload)
        if packet is not None and self.faults.talks(self.implant):
            self.uplink.send([packet], self._now_ns())

    def arrived_up(self) -> list[bytes]:
        """Take what has come up to the device by now, in order of arrival."""
        return self.uplink.arrivals(self._now_ns())

    def _live(self, until_ns: int) -> list[Delivered]:
        true_ns = self._true_ns()
        delivered = []
        # a fault that began or ended since the last step did so at its own time
        while (change_ns := self.faults.next_change_ns(self._lived_ns)) <= true_ns:
            delivered += self.implant.advance(min(until_ns, self.faults.clock_ns(change_ns)))
            self.faults.apply(self.implant, change_ns)
            self._lived_ns = change_ns
        self.faults.apply(self.implant, true_ns)
        self._lived_ns = true_ns
        delivered += self.implant.advance(until_ns)
        for piece in delivered:
            self.world.step(piece)
            self.participant.watch()
        return delivered

    def _record(self, electrode: int) -> float:
        return float(self.evoked_hz()[electrode])
