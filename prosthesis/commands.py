"""The device's verbs. Handlers import what they need when called, so that ``--help`` stays quick."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from prosthesis.pipeline import Passage
    from prosthesis.runtime import RunSummary

ROLES = ("device", "implant")
# an electrode's number has 16 bits on the link
LAST_ELECTRODE, LONGEST_REST_S = 65535, 86400
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Handler: TypeAlias = Callable[[argparse.Namespace], "int | None"]


def add_verb(verbs: Verbs, name: str, handler: Handler, summary: str, example: str) -> argparse.ArgumentParser:
    """Add one verb and return its parser; ``handler(arguments)`` returns the exit code, ``None`` for 0."""
    parser = verbs.add_parser(name, help=summary, description=summary, epilog=f"example: {example}")
    parser.set_defaults(handler=handler)
    return parser


def count(text: str) -> int:
    """Return the whole number above 0 that an option was given."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def register(verbs: Verbs) -> None:
    """Add the device's verbs."""
    _add_run(verbs)
    _add_calibrate(verbs)
    p = add_verb(verbs, "check", _check, "say what a rig can do and where it conflicts", "prosthesis check utah96")
    p.add_argument("rig", metavar="RIG", help="a shipped rig's name, or the path of a YAML file")
    p = add_verb(verbs, "doctor", _doctor, "examine this installation", "prosthesis doctor --report report.json")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--link", type=address, metavar="HOST:PORT", help="also try to reach the implant there")
    p.add_argument(
        "--report", type=Path, metavar="FILE", help="also time two models and write what can be sent to the project"
    )
    _add_verify(verbs)
    _add_compare(verbs)
    p = add_verb(
        verbs, "bench", _bench, "time the device's hops on this machine", "prosthesis bench utah96 --seconds 10"
    )
    p.add_argument("rig", metavar="RIG", help="a shipped rig's name, or the path of a YAML file")
    p.add_argument("--seconds", type=positive, default=10.0, metavar="N", help="how long (default 10)")
    p.add_argument("--json", action="store_true", help="print JSON")
    from prosthesis.recording import commands as recording

    recording.register(verbs)
    p = add_verb(verbs, "keys", _keys, "make this installation's keys", "prosthesis keys --dir ~/lab-keys")
    p.add_argument("--dir", type=Path, metavar="DIR", help="where to (default: the user's configuration folder)")
    p.add_argument("--rotate", choices=ROLES, help="replace this end's pair; the old one is refused from then on")
    p.add_argument("--allow", type=Path, metavar="FILE", help="let the device with this public key command the implant")
    from prosthesis.animation import commands as animation
    from prosthesis.faces import commands as faces

    faces.register(verbs)
    animation.register(verbs)


def _add_run(verbs: Verbs) -> None:
    p = add_verb(
        verbs,
        "run",
        _run,
        "carry camera frames to the implant",
        "prosthesis run utah96 --source 0 --link 192.168.1.7:5700",
    )
    p.add_argument("rig", metavar="RIG", help="a shipped rig's name, or the path of a YAML file")
    p.add_argument("--source", metavar="URI", help="camera to use instead of the rig's: 0, clip:street, synthetic:bar")
    p.add_argument(
        "--task",
        type=_names,
        default=(),
        metavar="NAME[,NAME...]",
        help="encoders to use instead of the rig's, e.g. edges-32,luminance-32; keys 1 to 9 and t switch between them",
    )
    p.add_argument("--headless", action="store_true", help="open no window")
    p.add_argument("--view", action="store_true", help="open the web console on this run, see 'prosthesis view'")
    p.add_argument(
        "--live",
        action="store_true",
        help="take lines from standard input: task NAME, tone contrast=1.2, stop, arm, reset",
    )
    p.add_argument("--seconds", type=positive, metavar="N", help="stop after N seconds (default: at Ctrl-C)")
    p.add_argument("--record", type=Path, metavar="LOG", help="record the session to this MCAP file")
    p.add_argument("--link", type=address, metavar="HOST:PORT", help="where the implant is, instead of the rig's link")
    p.add_argument("--air", metavar="NAME", help="link to use instead of the rig's; 'sim' must be told the same")


def _add_calibrate(verbs: Verbs) -> None:
    p = add_verb(
        verbs,
        "calibrate",
        _calibrate,
        "measure a patient's thresholds, positions and curves",
        "prosthesis calibrate utah96 --electrodes 0-9,12 --out patient.yaml",
    )
    p.add_argument("rig", metavar="RIG", help="a shipped rig's name, or the path of a YAML file")
    p.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: NAME-calibration.yaml)")
    p.add_argument("--electrodes", type=_electrodes, metavar="LIST", help="only these, e.g. 0-9,12 (default: all)")
    p.add_argument(
        "--rest",
        type=_rest_s,
        default=0.0,
        metavar="S",
        help="least rest of an electrode between its trials (default 0)",
    )
    p.add_argument("--link", type=address, metavar="HOST:PORT", help="where the implant is, instead of the rig's link")
    p.add_argument("--participant", choices=("link", "keyboard"), default="link", help="who answers (default: link)")


def _add_verify(verbs: Verbs) -> None:
    p = add_verb(
        verbs,
        "verify",
        _verify,
        "compare a bundle's outputs on this machine with those of the desk",
        "prosthesis verify ./bundle --engine tensorrt",
    )
    p.add_argument("bundle", metavar="BUNDLE", help="a shipped model's name, or the path of a bundle's folder")
    p.add_argument("--engine", choices=("onnx", "tensorrt", "openvino"), default="onnx", help="default: onnx")
    p.add_argument(
        "--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu", help="of engine onnx (default cpu)"
    )
    p.add_argument("--reference", type=Path, metavar="DIR", help="the recording (default: BUNDLE/reference)")
    p.add_argument("--record", type=Path, metavar="DIR", help="at the desk: make a recording here instead")
    p.add_argument("--json", action="store_true", help="print JSON")


def _add_compare(verbs: Verbs) -> None:
    p = add_verb(
        verbs,
        "compare",
        _compare,
        "run the same inputs through every engine that is here",
        "prosthesis compare objects ./objects-int8 --engines onnx,openvino",
    )
    p.add_argument("bundles", nargs="+", metavar="BUNDLE", help="a model, then other deliveries of the same one")
    p.add_argument(
        "--engines",
        type=_names,
        metavar="NAME[,NAME...]",
        default=("onnx", "openvino", "cuda", "onnx-tensorrt", "tensorrt", "torch"),
        help="default: onnx,openvino,cuda,onnx-tensorrt,tensorrt,torch",
    )
    p.add_argument("--runs", type=count, default=100, metavar="N", help="how many frames each (default 100)")
    p.add_argument("--score", action="store_true", help="the task score on each engine too; needs the desk's packages")
    p.add_argument("--json", action="store_true", help="print JSON")


def _run(arguments: argparse.Namespace) -> int:
    from prosthesis.assembly import run_rig, with_choices
    from prosthesis.config import load_rig
    from prosthesis.terminal import task_keys

    if arguments.view:
        return _viewed(arguments)
    host, port = arguments.link or (None, None)
    rig = with_choices(load_rig(arguments.rig, air=arguments.air), arguments.source, host=host, port=port)
    show = _status_line() if sys.stderr.isatty() and not arguments.headless else _unseen
    with task_keys(sys.stdin if len(arguments.task) > 1 and not arguments.live else None, _say) as keys:

        def on_frame(passage: Passage | None, summary: RunSummary) -> bool:
            keys.press()
            return show(passage, summary)

        lines = sys.stdin if arguments.live else None
        parts = (rig, arguments.seconds, arguments.record, on_frame, _say, arguments.task, keys.attach, lines)
        summary = run_rig(*parts)
    print(
        f"{summary.frames} frames, {summary.sent} sent, {summary.unsent} not taken by the link, {summary.dropped} "
        f"dropped, {summary.faulty} faulty; {summary.sessions} session(s)"
    )
    return 0 if summary.sent else 1


def _viewed(arguments: argparse.Namespace) -> int:
    """Hand the run to the console, which is the world's verb and starts it as a process of its own."""
    from prosthesis.cli import main
    from prosthesis.config import load_rig

    link = load_rig(arguments.rig, air=arguments.air).link
    host, port = arguments.link or (link.host, link.port)
    options = {
        "--source": arguments.source,
        "--task": next(iter(arguments.task), None),
        "--link": f"{host}:{port}",
        "--air": arguments.air,
        "--record": arguments.record,
        "--seconds": arguments.seconds,
    }
    given = [str(word) for option, value in options.items() if value for word in (option, value)]
    return main(["view", arguments.rig, *given])


def _unseen(passage: Passage | None, summary: RunSummary) -> bool:
    return True


def _status_line() -> Callable[[Passage | None, RunSummary], bool]:
    """Return a function that keeps one line of the terminal up to date, four times a second."""
    shown = 0.0

    def show(passage: Passage | None, summary: RunSummary) -> bool:
        nonlocal shown
        now = time.monotonic()
        if passage is not None and now - shown > 0.25:
            shown = now
            driven = int((passage.allowed.amplitude_ua > 0).sum())
            counts = f"{summary.sent} sent, {summary.dropped} dropped"
            sys.stderr.write(f"\rframe {passage.frame.seq}: {driven} electrodes driven, {counts}  ")
        return True

    return show


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _calibrate(arguments: argparse.Namespace) -> int:
    from prosthesis.assembly import calibrate_rig
    from prosthesis.calibration.out import check_out
    from prosthesis.calibration.table import save_calibration
    from prosthesis.config import load_rig

    trials = 0

    def progress(done: int, of: int) -> None:
        nonlocal trials
        trials += 1
        end = "\r" if sys.stderr.isatty() else "\n"
        if sys.stderr.isatty() or trials % 10 == 0 or done == of:
            sys.stderr.write(f"round {trials}: {done} of {of} electrodes measured{end}")

    out = arguments.out or Path(f"{Path(arguments.rig).stem}-calibration.yaml")
    check_out(out, load_rig(arguments.rig, uncalibrated=True))
    host, port = arguments.link or (None, None)
    calibration = calibrate_rig(
        arguments.rig,
        arguments.electrodes,
        keyboard=arguments.participant == "keyboard",
        recovery_s=arguments.rest,
        host=host,
        port=port,
        progress=progress,
    )
    save_calibration(calibration, out)
    print(f"{sum(calibration.enabled)} of {calibration.electrodes} electrodes evoke phosphenes; wrote {out}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from prosthesis.check import PROBLEM, check

    lines = check(arguments.rig)
    print("\n".join(lines))
    return int(any(line.startswith(PROBLEM) for line in lines))


def _doctor(arguments: argparse.Namespace) -> int:
    from prosthesis.board.doctor import examine, table

    findings = examine(arguments.link)
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print(table(findings, colour=sys.stdout.isatty()))
    if arguments.report:
        from prosthesis.board.hwreport import make_report, write_report

        write_report(make_report(findings, say=_say), arguments.report)
        _say(f"wrote {arguments.report}: read it before you send it")
    return int(any(finding.level == "fail" for finding in findings))


def _verify(arguments: argparse.Namespace) -> int:
    from prosthesis.bundles.verify import table, verify

    if arguments.record:
        from prosthesis.bundles.bundle import load_bundle
        from prosthesis.bundles.reference import clip_inputs, record

        bundle = load_bundle(arguments.bundle)
        print(f"wrote {record(bundle, clip_inputs(bundle), folder=arguments.record)}")
        return 0
    result = verify(arguments.bundle, arguments.engine, arguments.provider, arguments.reference)
    if arguments.json:
        verdicts = [asdict(verdict) | {"holds": verdict.holds} for verdict in result.verdicts]
        print(json.dumps(asdict(result) | {"verdicts": verdicts, "holds": result.holds}, indent=2))
    else:
        print(table(result))
    return int(not result.holds)


def _compare(arguments: argparse.Namespace) -> int:
    from prosthesis.bundles.compare import compare, table

    rows = compare(arguments.bundles, arguments.engines, arguments.runs, arguments.score, _say)
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else table(rows))
    return int(all(row.latency is None for row in rows))


def _bench(arguments: argparse.Namespace) -> int:
    from prosthesis.bench import bench, table

    result = bench(arguments.rig, seconds=arguments.seconds)
    if arguments.json:
        print(json.dumps(asdict(result), indent=2))
        return 0
    print(table(result))
    return 0


def _keys(arguments: argparse.Namespace) -> int:
    from prosthesis.links.keys import allow_device, fingerprint, key_folder, make_keys, rotate_keys

    folder = arguments.dir or key_folder()
    written = make_keys(folder)
    if arguments.rotate:
        written += rotate_keys(folder, arguments.rotate)
    if arguments.allow:
        written.append(allow_device(folder, arguments.allow))
    for path in written:
        print(f"wrote {path}")
    if not written:
        print(f"{folder}: keys are already there; nothing was changed")
    for role in ROLES:
        print(f"{role}.key  {fingerprint(folder / f'{role}.key')}")
    print("both machines must show the same numbers for the same file")
    return 0


def positive(text: str) -> float:
    """Return a number above 0, as an argument's type."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"'{text}' has an empty name; write e.g. edges-32,luminance-32")
    return names


def address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, as an argument's type."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT, e.g. 192.168.1.7:5700")
    return host, int(port)


def _electrodes(text: str) -> tuple[int, ...]:
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            span = range(int(first), int(last if dash else first) + 1)
        except ValueError:
            span = range(0)
        if not span:
            raise argparse.ArgumentTypeError(f"'{part}' is not an electrode or a range; write e.g. 0-9,12")
        if span[-1] > LAST_ELECTRODE:
            raise argparse.ArgumentTypeError(f"'{part}': no implant has an electrode {span[-1]}; write e.g. 0-9,12")
        chosen.update(span)
    return tuple(sorted(chosen))


def _rest_s(text: str) -> float:
    """Return a time of rest in seconds, as an argument's type."""
    try:
        rest_s = float(text)
    except ValueError:
        rest_s = -1.0
    if not 0 <= rest_s <= LONGEST_REST_S:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time from 0 to {LONGEST_REST_S} s; write e.g. 60")
    return rest_s
