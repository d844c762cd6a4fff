"""The verb ``view``: what to watch, what to start, where to listen."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prosthesis.commands import Verbs, add_verb, address
from prosthesis.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from prosthesis_sim.console.gate import Door

PORT = 8080


def register(verbs: Verbs) -> None:
    """Add ``view``."""
    p = add_verb(
        verbs, "view", _view, "see a run live in a browser, steer it, or look at a recording", "prosthesis view utah96"
    )
    p.add_argument("rig", nargs="?", metavar="RIG", help="a shipped rig's name, or the path of a YAML file")
    p.add_argument("--log", type=Path, metavar="LOG", help="look at this recording instead")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--link", type=address, metavar="HOST:PORT", help="start a device only; the implant is there")
    where.add_argument(
        "--attach", type=address, metavar="HOST:PORT", help="start nothing; watch the device and implant there"
    )
    p.add_argument(
        "--source", metavar="URI", help="camera to use instead of the rig's: 0, clip:street, replay:LOG.mcap"
    )
    p.add_argument("--task", metavar="NAME", help="encoder or task to begin with, e.g. edges-32, obstacle")
    p.add_argument("--world", metavar="NAME", help="another patient than the rig's, e.g. human_v1_habituating")
    p.add_argument("--patient", type=int, default=0, metavar="N", help="which patient of this world (default 0)")
    p.add_argument("--day", type=float, default=0.0, metavar="D", help="days after surgery (default 0)")
    p.add_argument("--air", metavar="NAME", help="link to use instead of the rig's, e.g. radio_200kbps")
    p.add_argument(
        "--beside", metavar="WHAT", help="a second device on the same frames: 'task NAME', 'world NAME', 'patient N'"
    )
    p.add_argument("--host", default="127.0.0.1", metavar="HOST", help="where the page is served (default 127.0.0.1)")
    p.add_argument("--port", type=int, default=PORT, metavar="PORT", help=f"and STOP at the next one (default {PORT})")
    p.add_argument("--token-file", type=Path, metavar="FILE", help="what other machines must know; needed with --host")
    p.add_argument("--record", type=Path, metavar="LOG", help="record to this file from the start")
    p.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where recordings go (default runs)")
    p.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds (default: at Ctrl-C)")


def _view(arguments: argparse.Namespace) -> int:
    if (arguments.rig is None) is (arguments.log is None):
        raise ConfigError("name a rig to run, or a recording with --log")
    from prosthesis_sim.console.gate import Door, read_token

    token = read_token(arguments.host, arguments.token_file)
    _check_ports(arguments.host, arguments.port)
    door = Door(arguments.host, arguments.port, token)
    return _look(arguments, door) if arguments.log else _run(arguments, door)


def _look(arguments: argparse.Namespace, door: Door) -> int:
    from prosthesis_sim.console.scrub import Player
    from prosthesis_sim.console.server import serve

    player = Player(arguments.log)
    try:
        serve(player, None, door, lambda: _say(f"{arguments.log} at {door.url}; Ctrl-C ends"), arguments.seconds)
    finally:
        player.close()
    return 0


def _run(arguments: argparse.Namespace, door: Door) -> int:
    from prosthesis_sim.console.start import Wanted, start

    wanted = Wanted(
        rig=arguments.rig,
        link=arguments.link,
        attach=arguments.attach,
        source=arguments.source,
        task=arguments.task,
        world=arguments.world,
        patient=arguments.patient,
        day=arguments.day,
        air=arguments.air,
    )
    # device and patient first: they take longer to come up than the page
    steering, stop_way = start(wanted, door.host, door.port + 1, arguments.out)
    try:
        from prosthesis_sim.console.server import serve

        if arguments.beside:
            steering.compare(arguments.beside)
        if arguments.record:
            steering.record(True, arguments.record)
        serve(steering, stop_way, door, lambda: _say(f"console at {door.url}; Ctrl-C ends"), arguments.seconds)
    finally:
        steering.close()
    return 0


def _check_ports(host: str, port: int) -> None:
    """Raise ``LinkError`` while it can still be said in one line that a port is taken."""
    import socket

    for number in (port, port + 1):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, number))
            except OSError as error:
                raise LinkError(f"port {number} at {host} cannot be used ({error.strerror}); choose --port") from error


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
