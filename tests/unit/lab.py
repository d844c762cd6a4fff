"""An implant behind its door, driven by the device's own session in manual time."""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis import control
from prosthesis.messages import ImplantState, Refusal
from prosthesis.modulator import PulseModulator
from prosthesis.sealing import Sealing
from prosthesis.session import Credentials, Session
from prosthesis.timing import ManualClock
from prosthesis.wire import PacketType, split
from prosthesis_sim.door import ImplantDoor
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.implant import Implant
from prosthesis_sim.loopback import LoopbackLink
from prosthesis_sim.patient import load_world

MS = 1_000_000


class DirectLink:
    """Hands bytes to an implant at once; ``uplink`` is what is on its way back."""

    def __init__(self, implant, door, clock):
        self.implant, self.door, self.clock, self.sent, self.uplink = implant, door, clock, [], []

    def send(self, data):
        self.sent.append(data)
        self.implant.receive(list(split(data)), self.clock.now_ns())
        return True

    def receive(self, timeout_s):
        return self.uplink.pop(0) if self.uplink else None

    def request(self, data, timeout_s):
        self.implant.advance(self.clock.now_ns())
        return self.door.answer(data, self.clock.now_ns())

    def close(self):
        pass


class Lab:
    def __init__(self, rig, allowed=True):
        self.rig, self.clock = rig, ManualClock(1_000_000_000)
        implant_key, device_key = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        known = frozenset([device_key.public_key().public_bytes_raw()] if allowed else [])
        self.implant = Implant(rig, self.clock.now_ns())
        self.sealing = Sealing(rig.link.sealing)
        self.door = ImplantDoor(self.implant, implant_key, known, sealing=self.sealing)
        self.link = DirectLink(self.implant, self.door, self.clock)
        self.modulator = PulseModulator(rig)
        self.credentials = Credentials(device_key, implant_key.public_key().public_bytes_raw())
        self.session = self.new_session()
        self.seq = 0

    def new_session(self):
        configuration, ttl_ms = self.modulator.configuration, self.rig.link.ttl_ms
        return Session(self.link, self.credentials, configuration, ttl_ms, self.clock, self.sealing)

    def message(self, codes):
        self.seq += 1
        return self.session.seal(self.seq, self.clock.now_ns(), np.asarray(codes, np.uint16))

    def frame(self, codes=(200, 0, 0, 0), dt_ms=10):
        self.link.send(self.message(codes))
        return self.wait(dt_ms)

    def wait(self, ms):
        self.clock.advance(round(ms * MS))
        return self.implant.advance(self.clock.now_ns())

    def telemetry(self):
        """The implant's health, as a sealed packet on its way up."""
        health = self.implant.telemetry(self.clock.now_ns())
        packet = self.implant.seal_up(PacketType.TELEMETRY, control.encode_telemetry(health))
        self.link.uplink.append(packet)
        return packet

    def stimulating(self):
        self.session.open()
        assert self.session.arm().refusal is Refusal.NONE
        self.frame()
        assert self.implant.state is ImplantState.STIMULATING
        return self


class Wired:
    """A whole patient in this process, and the session that armed its implant; in manual time."""

    def __init__(self, rig):
        self.clock = ManualClock(1_000_000_000)
        implant, device = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        allowed = frozenset([device.public_key().public_bytes_raw()])
        world = load_world(rig.config.world, rig.path.parent)
        self.emulator = Emulator(rig, world, implant, allowed, 0, self.clock.now_ns, see=False)
        credentials = Credentials(device, implant.public_key().public_bytes_raw())
        configuration, link = PulseModulator(rig).configuration, LoopbackLink(self.emulator, self.clock)
        self.session = Session(link, credentials, configuration, rig.link.ttl_ms, self.clock)
        self.session.open()
        self.session.arm()
        self.seq = 0

    def message(self):
        self.seq += 1
        return self.session.seal(self.seq, self.clock.now_ns(), np.array([200, 0, 0, 0], np.uint16))

    def wait(self, ms):
        for _ in range(ms):
            self.clock.advance(MS)
            self.emulator.step()


def refused(lab, reason):
    return lab.implant.telemetry(0).refused[reason]
