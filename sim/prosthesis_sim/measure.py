"""Calibrate a simulated patient in simulated time, by the device's own procedure over the loopback link."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from prosthesis.calibration.calibrate import calibrate
from prosthesis.calibration.procedure import Plan
from prosthesis.calibration.table import Calibration
from prosthesis.config import Rig, load_rig
from prosthesis.modulator import PulseModulator
from prosthesis.session import Credentials, Session
from prosthesis.timing import ManualClock
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.loopback import LoopbackLink
from prosthesis_sim.patient import WorldConfig, load_world

RECOVERY_S = 1800.0


def connect(
    rig: Rig, config: WorldConfig, patient: int, clock: ManualClock, day: float = 0.0
) -> tuple[Emulator, Session]:
    """Return a simulated patient with the rig's implant, and an open session with it over the loopback link."""
    device, implant = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    known = frozenset([device.public_key().public_bytes_raw()])
    emulator = Emulator(rig, config, implant, known, patient, clock.now_ns, see=False, day=day)
    credentials = Credentials(device, implant.public_key().public_bytes_raw())
    configuration = PulseModulator(rig).configuration
    session = Session(LoopbackLink(emulator, clock), credentials, configuration, rig.link.ttl_ms, clock)
    session.open()
    return emulator, session


def measure_patient(
    rig_name: str, patient: int, progress: Callable[[int, int], None] = lambda done, of: None, day: float = 0.0
) -> Calibration:
    """Return the calibration of ``patient`` of the rig's world; every electrode rests 30 minutes between trials.

    Raises ``ConfigError`` when rig or world are wrong.
    """
    rig = load_rig(rig_name, uncalibrated=True)
    return measure(rig, load_world(rig.config.world, rig.path.parent), patient, progress, day)


def measure(
    rig: Rig,
    config: WorldConfig,
    patient: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
    day: float = 0.0,
) -> Calibration:
    """Return the calibration of ``patient`` of any world with the implant of ``rig``, loaded ``uncalibrated``."""
    clock = ManualClock(1_000_000_000)
    emulator, session = connect(rig, config, patient, clock, day)
    plan = Plan(recovery_s=RECOVERY_S)
    return calibrate(rig, session, emulator.participant, clock, plan, seed=patient, progress=progress)
