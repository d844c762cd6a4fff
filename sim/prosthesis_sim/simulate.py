"""Start a simulated patient from a rig: what ``prosthesis sim`` does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import TextIO

import zmq

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis.links.keys import load_keys
from prosthesis.links.zmq import WORLD_TAPS, plain
from prosthesis.messages import Event, Message
from prosthesis.processes import spoken_lines
from prosthesis.taps import Tap
from prosthesis_sim.emulator import Emulator
from prosthesis_sim.faults.board import FaultBoard
from prosthesis_sim.faults.catalogue import Fault, parse_fault
from prosthesis_sim.patient import load_world
from prosthesis_sim.serve import Server


def simulate(
    rig_name: str,
    host: str | None = None,
    port: int | None = None,
    patient: int = 0,
    day: float = 0.0,
    world: str | None = None,
    seconds: float | None = None,
    slow_s: float = 0.0,
    air: str | None = None,
    say: Callable[[str], None] = lambda text: None,
    faults: Sequence[Fault] = (),
    lines: TextIO | None = None,
) -> None:
    """Be the rig's implant and ``patient``, ``day`` days after surgery, for ``seconds`` or until told to end.

    ``faults`` count their onsets from now; ``lines`` of text (a terminal's) add more while it runs, ``clear`` ends all.
    Raises ``ConfigError`` for a wrong rig, world or key, ``LinkError`` when the ports are taken.
    """
    rig = load_rig(rig_name, uncalibrated=True, air=air)
    host, port = host or rig.link.host, port or rig.link.port
    bench = plain(rig.link.model_copy(update={"host": host}))
    keys = load_keys("implant")
    world = world or rig.config.world
    config = load_world(world, rig.path.parent)
    emulator = Emulator(
        rig, config, keys.identity, keys.allowed_raw(), patient, time.monotonic_ns, day=day, faults=faults
    )
    emulator.world.warm_up()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    tap = Tap(f"tcp://{host}:{port + WORLD_TAPS}", context)

    def publish(topic: str, message: Message) -> None:
        tap.publish(topic, message)
        if isinstance(message, Event) and message.level != "info":
            say(message.text)

    try:
        server = Server(emulator, keys, host, port, publish, slow_s, plain=bench)
        say(f"{rig.electrodes} electrodes in world '{world}' listen at {host}:{port}; Ctrl-C ends")
        stopper, spoken = _stopper(seconds), spoken_lines(lines)

        def until() -> bool:
            while not spoken.empty():
                say(obey(spoken.get(), emulator.faults, time.monotonic_ns()))
            return stopper()

        server.run(until)
    finally:
        tap.close()
        context.term()


def obey(text: str, board: FaultBoard, now_ns: int) -> str:
    """Do what a line says, ``clear`` or a fault; return what was done, or what was wrong with it."""
    if text == "clear":
        board.clear()
        return "all faults ended"
    try:
        fault = parse_fault(text)
    except ConfigError as error:
        return str(error)
    board.add(fault, now_ns)
    return f"fault {fault.kind.value} begins in {fault.onset_s:g} s"


def _stopper(seconds: float | None) -> Callable[[], bool]:
    """Return a function that turns true when the time is over or the process is asked to end."""
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    asked = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: asked.set())
    return lambda: asked.is_set() or time.monotonic() >= end
