"""The verbs that only listen to a session, ``record``, ``metrics`` and ``lsl``, and ``replay``."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from prosthesis.commands import Verbs, add_verb, address, positive
from prosthesis.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from prosthesis.config import Rig
    from prosthesis.messages import Message

HOPS = ("encoder", "translator", "modulator", "guard", "implant", "percept")  # rerun.HOPS, without importing it


def register(verbs: Verbs) -> None:
    """Add the verbs; the other rooms give ``replay`` its ``patient``, ``report`` what it makes of what."""
    p = add_verb(
        verbs, "record", _record, "record what a running device and patient publish", "prosthesis record utah96 a.mcap"
    )
    p.add_argument("rig", metavar="RIG", help="the rig that runs: a shipped one's name, or the path of a YAML file")
    p.add_argument("log", metavar="LOG", type=Path, help="the MCAP file to write")
    _add_session(p)
    p = add_verb(
        verbs,
        "metrics",
        _metrics,
        "serve a running session's figures to Prometheus",
        "prosthesis metrics utah96 --port 9464",
    )
    p.add_argument("rig", metavar="RIG", help="the rig that runs")
    p.add_argument("--host", default="127.0.0.1", metavar="HOST", help="address to serve at (default 127.0.0.1)")
    p.add_argument("--port", type=_port, default=9464, metavar="PORT", help="port to serve at (default 9464)")
    _add_session(p)
    p = add_verb(verbs, "lsl", _lsl, "send a running session over the Lab Streaming Layer", "prosthesis lsl utah96")
    p.add_argument("rig", metavar="RIG", help="the rig that runs")
    _add_session(p)
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
    p = add_verb(verbs, "report", _report, "make a page of a recording or of a study", "prosthesis report run.mcap")
    p.add_argument("what", type=Path, metavar="LOG|STUDY", help="a recording, or a study's folder or table.parquet")
    p.add_argument("--rig", metavar="RIG", help="the rig that was recorded, if the recording does not say")
    p.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: beside it)")
    p.set_defaults(report_recording=None, report_study=None)


def _add_session(p: argparse.ArgumentParser) -> None:
    p.add_argument("--link", type=address, metavar="HOST:PORT", help="where the implant is, instead of the rig's link")
    p.add_argument("--seconds", type=positive, metavar="N", help="stop after N seconds (default: at Ctrl-C)")


def _record(arguments: argparse.Namespace) -> int:
    from prosthesis.assembly import with_tasks
    from prosthesis.recording.identity import RIG_PART, identity, rig_text
    from prosthesis.recording.recorder import Recorder

    if arguments.log.exists() and arguments.log.is_file():
        raise ConfigError(f"{arguments.log}: is there already; choose another name, or remove it")
    rig = _rig(arguments)
    about = identity(rig, with_tasks(rig, ())[1])
    recorder = Recorder(arguments.log, _ends(rig), about, {RIG_PART: rig_text(rig)}, _say)
    end_s = time.monotonic() + (arguments.seconds or float("inf"))
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() < end_s and not recorder.fault:
            time.sleep(min(1.0, max(0.0, end_s - time.monotonic())))
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{recorder.messages} messages ")
    recorder.stop()
    print(f"{recorder.messages} messages in {arguments.log}")
    return int(recorder.messages == 0)


def _metrics(arguments: argparse.Namespace) -> int:
    from prosthesis.recording.metrics import TOPICS, Metrics, serve

    metrics = Metrics()
    server = serve(metrics, arguments.host, arguments.port)
    _say(f"metrics at http://{arguments.host}:{arguments.port}/metrics; Ctrl-C ends")
    try:
        _listen(arguments, TOPICS, metrics.take)
    finally:
        server.shutdown()
        server.server_close()
    return 0


def _lsl(arguments: argparse.Namespace) -> int:
    from prosthesis.recording.lsl import TOPICS, Outlets

    outlets = Outlets(arguments.rig)
    _say("streams prosthesis_stimulation, prosthesis_percept, prosthesis_events; Ctrl-C ends")
    _listen(arguments, TOPICS, lambda topic, message: outlets.take(message))
    return 0


def _listen(arguments: argparse.Namespace, topics: tuple[str, ...], take: Callable[[str, Message], None]) -> None:
    """Hand every message of a session's taps to ``take``, until the time is over or Ctrl-C."""
    import zmq

    from prosthesis.schemas import decode
    from prosthesis.taps import listen

    end_s = time.monotonic() + (arguments.seconds or float("inf"))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with contextlib.suppress(KeyboardInterrupt), listen(_ends(_rig(arguments)), topics, context) as listener:
        while time.monotonic() < end_s:
            heard = listener.receive(0.1)
            if heard is not None:
                take(heard[0], decode(*heard))
    context.term()


def _rig(arguments: argparse.Namespace) -> Rig:
    from prosthesis.assembly import with_choices
    from prosthesis.config import load_rig

    host, port = arguments.link or (None, None)
    return with_choices(load_rig(arguments.rig), host=host, port=port)


def _ends(rig: Rig) -> list[str]:
    """Return where a running session publishes: the device's taps are on this machine, the world's at the link."""
    from prosthesis.links.zmq import DEVICE_TAPS, WORLD_TAPS

    return [f"tcp://127.0.0.1:{rig.link.port + DEVICE_TAPS}", f"tcp://{rig.link.host}:{rig.link.port + WORLD_TAPS}"]


def _replay(arguments: argparse.Namespace) -> int:
    if not (arguments.check or arguments.first or arguments.last):
        if arguments.json or arguments.rig:
            raise ConfigError("replay: --json and --rig are for reruns; add --check, or --from HOP")
        from prosthesis.recording.recorder import summarise

        lines, sound = summarise(arguments.log)
        print("\n".join(lines))
        return int(not sound)
    from prosthesis.recording.rerun import rerun
    from prosthesis.recording.tolerances import table

    done = rerun(arguments.log, arguments.first, arguments.last, arguments.rig, arguments.patient, _say)
    if arguments.json:
        print(json.dumps(asdict(done) | {"holds": done.holds}, indent=2))
    else:
        print(f"{done.seconds:.1f} s rerun from {done.first} to {done.last}")
        print("\n".join([*table(done.rows), *done.notes]))
        print("equal within tolerances" if done.holds else "NOT equal within tolerances")
    return int(arguments.check and not done.holds)


def _report(arguments: argparse.Namespace) -> int:
    study = arguments.what.is_dir() or arguments.what.suffix == ".parquet"
    make, extra = (arguments.report_study, "study") if study else (arguments.report_recording, "sim")
    if make is None:
        kind = "study" if study else "recording"
        raise MissingExtraError(f"the report of a {kind} needs more; run: pip install 'prosthesis[{extra}]'")
    page = make(arguments.what, arguments.out, arguments.rig)
    _say(f"open {page}")
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port, 1 to 65535")
    return int(text)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
