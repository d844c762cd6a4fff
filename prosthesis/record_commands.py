"""The verbs of recordings: ``record`` and ``replay``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from prosthesis.commands import Verbs, add_verb, address, positive

HOPS = ("encoder", "translator", "modulator", "guard", "implant", "percept")  # rerun.HOPS, without importing it


def register(verbs: Verbs) -> None:
    """Add the verbs; the world's room gives ``replay`` its hops (``patient``)."""
    p = add_verb(
        verbs,
        "record",
        _record,
        "record what a running device and patient publish",
        "prosthesis record utah96 a.mcap",
    )
    p.add_argument("rig", metavar="RIG", help="the rig that runs: a shipped one's name, or the path of a YAML file")
    p.add_argument("log", metavar="LOG", type=Path, help="the MCAP file to write")
    p.add_argument("--link", type=address, metavar="HOST:PORT", help="where the implant is, instead of the rig's link")
    p.add_argument("--seconds", type=positive, metavar="N", help="stop after N seconds (default: at Ctrl-C)")
    p = add_verb(
        verbs,
        "replay",
        _replay,
        "show what a recording holds, or rerun its hops and compare",
        "prosthesis replay session.mcap --check",
    )
    p.add_argument("log", metavar="LOG", type=Path, help="a recording made with 'run --record'")
    p.add_argument("--check", action="store_true", help="rerun all hops; exit code 1 if one is beyond its tolerance")
    p.add_argument("--from", dest="first", choices=HOPS, metavar="HOP", help=f"first hop to rerun: {', '.join(HOPS)}")
    p.add_argument(
        "--to", dest="last", choices=HOPS, metavar="HOP", help="last hop to rerun (default: the last possible)"
    )
    p.add_argument("--rig", metavar="RIG", help="rerun with this rig instead of the recorded one")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.set_defaults(patient=None)


def _record(arguments: argparse.Namespace) -> int:
    from prosthesis.assembly import with_choices, with_tasks
    from prosthesis.config import load_rig
    from prosthesis.identity import RIG_PART, identity, rig_text
    from prosthesis.links.zmq import DEVICE_TAPS, WORLD_TAPS
    from prosthesis.recorder import Recorder

    host, port = arguments.link or (None, None)
    rig = with_choices(load_rig(arguments.rig), host=host, port=port)
    ends = [f"tcp://127.0.0.1:{rig.link.port + DEVICE_TAPS}", f"tcp://{rig.link.host}:{rig.link.port + WORLD_TAPS}"]
    about = identity(rig, with_tasks(rig, ())[1])
    recorder = Recorder(arguments.log, ends, about, {RIG_PART: rig_text(rig)}, _say)
    end_s = time.monotonic() + (arguments.seconds or float("inf"))
    try:
        while time.monotonic() < end_s and not recorder.fault:
            time.sleep(min(1.0, max(0.0, end_s - time.monotonic())))
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{recorder.messages} messages ")
    except KeyboardInterrupt:
        pass
    recorder.stop()
    print(f"{recorder.messages} messages in {arguments.log}")
    return int(recorder.messages == 0)


def _replay(arguments: argparse.Namespace) -> int:
    if not (arguments.check or arguments.first or arguments.last):
        from prosthesis.recorder import summarise

        lines, sound = summarise(arguments.log)
        print("\n".join(lines))
        return int(not sound)
    from prosthesis.rerun import rerun
    from prosthesis.tolerances import table

    done = rerun(arguments.log, arguments.first, arguments.last, arguments.rig, arguments.patient, _say)
    if arguments.json:
        print(json.dumps(asdict(done) | {"holds": done.holds}, indent=2))
    else:
        print(f"{done.seconds:.1f} s rerun from {done.first} to {done.last}")
        print("\n".join([*table(done.rows), *done.notes]))
        print("equal within tolerances" if done.holds else "NOT equal within tolerances")
    return int(arguments.check and not done.holds)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
