"""The verb ``stimulator``: what the profiles are, and a lab device's command server with the emulator behind it."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from dataclasses import asdict

from prosthesis.commands import Verbs, add_verb
from prosthesis.errors import ConfigError

DEFAULT = "intan_rhs"


def register(verbs: Verbs) -> None:
    """Add the verb."""
    p = add_verb(
        verbs,
        "stimulator",
        _stimulator,
        "list the stimulators, show one's capabilities, or serve an emulated Intan controller to a lab's own client",
        "prosthesis stimulator serve --rig utah96",
    )
    p.add_argument("what", choices=("list", "show", "serve"), help="all profiles; one; or a command server")
    p.add_argument("profile", nargs="?", default=DEFAULT, help=f"a shipped profile or a YAML file (default {DEFAULT})")
    p.add_argument("--port", type=int, default=5000, metavar="PORT", help="where to serve (default 5000, as RHX)")
    p.add_argument("--rig", metavar="RIG", help="serve with this rig's patient on the electrodes")
    p.add_argument("--seconds", type=float, metavar="N", help="serve for N seconds (default: until Ctrl-C)")


def _stimulator(arguments: argparse.Namespace) -> int:
    from prosthesis.config import StimulatorConfig, find, names
    from prosthesis.stimulator.profile import capabilities
    from prosthesis.yamlfile import load_model

    if arguments.what == "list":
        for name in names("stimulators"):
            config = load_model(StimulatorConfig, find("stimulators", name))
            print(f"{name:14}{config.commands.style:13}{config.summary}")
        return 0
    config = load_model(StimulatorConfig, find("stimulators", arguments.profile))
    if arguments.what == "show":
        for key, value in asdict(capabilities(config)).items():
            print(f"{key:18}{value}")
        return 0
    if config.commands.style != "channels":
        raise ConfigError(f"'{config.name}' has no trains of its own for each channel; serve e.g. {DEFAULT}")
    from prosthesis_sim.backends.bench import serve_intan

    end = time.monotonic() + (arguments.seconds or float("inf"))
    with contextlib.suppress(KeyboardInterrupt):
        serve_intan(arguments.profile, arguments.port, arguments.rig, lambda: time.monotonic() >= end, _say)
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
