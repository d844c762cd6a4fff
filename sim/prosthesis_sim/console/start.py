"""From what was asked for at the command line to one side running, its STOP, and the verbs that steer it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prosthesis.config import load_rig
from prosthesis.links.keys import load_keys
from prosthesis.processes import free_port
from prosthesis_sim.console.children import Address
from prosthesis_sim.console.setup import Setup, own_task
from prosthesis_sim.console.side import Side
from prosthesis_sim.console.steering import Steering
from prosthesis_sim.console.stopway import StopWay

LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to run or watch: ``link`` is an implant that is there already, ``attach`` a device as well."""

    rig: str
    link: tuple[str, int] | None = None
    attach: tuple[str, int] | None = None
    source: str | None = None
    task: str | None = None
    world: str | None = None
    patient: int = 0
    day: float = 0.0
    air: str | None = None


def start(wanted: Wanted, host: str, stop_port: int, folder: Path) -> tuple[Steering, StopWay]:
    """Start what is ours and return the verbs; recordings go into ``folder``. Raises ``ProsthesisError``."""
    load_keys("device")  # made now if this is the first use, before other processes look for them
    rig = load_rig(wanted.rig, air=wanted.air)
    task = wanted.task or own_task(rig)
    setup = Setup(wanted.rig, task, wanted.source, wanted.world, wanted.patient, wanted.day, wanted.air)
    there = wanted.link or wanted.attach
    address = Address(*there) if there else Address(LOCAL, free_port())
    side = Side("a", setup, address, ours=wanted.attach is None, patient=there is None)
    stop_way = StopWay(host, stop_port)
    return Steering(side, stop_way, folder), stop_way
