"""The world's verbs; handlers import what they need when called."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prosthesis.commands import Verbs, add_verb
from prosthesis.errors import MissingExtraError

if TYPE_CHECKING:
    from prosthesis.config import Rig
    from prosthesis.wire import Configuration
    from prosthesis_sim.rerun import Patient

SEEN_RIG, LOOP_RIG, FUZZ_RIG = "icvp400", "utah96_latent", "utah96"
RIG = "a shipped rig's name, or the path of a YAML file"


def register(verbs: Verbs) -> None:
    """Add the world's verbs."""
    p = add_verb(verbs, "demo", _demo, "see what a user would see: camera to percept, two processes", "prosthesis demo")
    p.add_argument("--rig", metavar="RIG", help=f"{RIG} (default {SEEN_RIG}, with --loop {LOOP_RIG})")
    p.add_argument(
        "--loop",
        action="store_true",
        help="write a code into the sites and read it back: a rig with a code map, camera beside reconstruction",
    )
    p.add_argument("--seconds", type=float, default=6.0, metavar="N", help="how long (default 6)")
    p.add_argument("--source", metavar="URI", help="camera to use instead of the rig's: 0, file://movie.mp4")
    p.add_argument("--task", metavar="NAME", help="encoder to use instead of the rig's, e.g. edges-32")
    p.add_argument("--world", metavar="NAME", help="another patient than the rig's, e.g. human_v1_habituating")
    p.add_argument("--air", metavar="NAME", help="link to use instead of the rig's, e.g. radio_200kbps_fit")
    p.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (default runs)")
    p = add_verb(verbs, "sim", _sim, "be a simulated patient with an implant", "prosthesis sim utah96")
    p.add_argument("rig", metavar="RIG", help=RIG)
    p.add_argument("--host", metavar="HOST", help="address to listen at, instead of the rig's link")
    p.add_argument("--port", type=int, metavar="PORT", help="first of six ports, instead of the rig's link")
    p.add_argument("--patient", type=int, default=0, metavar="N", help="which patient of this world (default 0)")
    p.add_argument("--day", type=float, default=0.0, metavar="D", help="days after surgery (default 0)")
    p.add_argument("--world", metavar="NAME", help="another patient than the rig's, e.g. human_v1_habituating")
    p.add_argument("--air", metavar="NAME", help="link to use instead of the rig's, e.g. radio_200kbps, bench_crc")
    p.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds (default: at Ctrl-C)")
    p.add_argument("--faults", type=Path, metavar="FILE", help="YAML file of faults, their onsets counted from now")
    p.add_argument("--live", action="store_true", help="take faults from the terminal: open electrodes=3 duration_s=1")
    p.add_argument("--slow-ms", type=float, default=0.0, metavar="MS", help="slow the world down by MS a frame")
    p = add_verb(
        verbs,
        "patient",
        _patient,
        "draw a simulated patient, or calibrate one in simulated time, much faster than 'calibrate'",
        "prosthesis patient show utah96 --patient 17",
    )
    p.add_argument("what", choices=("show", "calibrate"), help="draw array, placement and phosphenes; or measure them")
    p.add_argument("rig", metavar="RIG", help=RIG)
    p.add_argument(
        "--out", type=Path, metavar="PATH", help="folder of pictures (default: RIG-patient), or RIG-calibration.yaml"
    )
    p.add_argument("--patient", type=int, default=0, metavar="N", help="which patient of this world (default 0)")
    p.add_argument("--day", type=float, default=0.0, metavar="D", help="days after surgery (default 0)")
    p = add_verb(
        verbs,
        "fuzz",
        _fuzz,
        "send hostile patterns and packets through guard, wire and implant",
        "prosthesis fuzz --frames 20000",
    )
    p.add_argument("rig", nargs="?", default=FUZZ_RIG, metavar="RIG", help=f"{RIG} (default {FUZZ_RIG})")
    p.add_argument("--frames", type=int, default=20_000, metavar="N", help="how many (default 20000)")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="of all that is random (default 0)")
    p.add_argument("--out", type=Path, metavar="FILE", help="write the whole report as JSON")
    p.add_argument("--json", action="store_true", help="print JSON")
    p = add_verb(
        verbs,
        "soak",
        _soak,
        "a long life in simulated time on a bad air, with random faults: every frame accounted for",
        "prosthesis soak --frames 20000",
    )
    p.add_argument("rig", nargs="?", default=FUZZ_RIG, metavar="RIG", help=f"{RIG} (default {FUZZ_RIG})")
    p.add_argument("--frames", type=int, default=20_000, metavar="N", help="how many (default 20000)")
    p.add_argument("--air", default="radio_misaligned", metavar="NAME", help="the link (default radio_misaligned)")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="of all that is random (default 0)")
    p.add_argument("--out", type=Path, metavar="FILE", help="write the whole report as JSON")
    p.add_argument("--json", action="store_true", help="print JSON")
    p = add_verb(
        verbs,
        "drill",
        _drill,
        "put faults into the whole path in simulated time: who notices, how soon, what the electrodes do",
        "prosthesis drill --fault 'missed_phase electrodes=3'",
    )
    p.add_argument("rig", nargs="?", default=FUZZ_RIG, metavar="RIG", help=f"{RIG} (default {FUZZ_RIG})")
    p.add_argument("--fault", metavar="WORDS", help="one fault: its kind, then key=value (default: all kinds in turn)")
    p.add_argument("--faults", type=Path, metavar="FILE", help="faults from a YAML file")
    verbs.choices["report"].set_defaults(report_recording=_report)
    verbs.choices["replay"].set_defaults(patient=_rerun_patient)
    from prosthesis_sim.backends import commands as backends
    from prosthesis_sim.console import commands as console
    from prosthesis_sim.science import commands as science

    backends.register(verbs)
    console.register(verbs)
    science.register(verbs)


def _require_packages() -> None:
    """Raise ``MissingExtraError`` with the install line when the world's packages are not all there."""
    missing = [name for name in ("numba", "array_api_compat") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the simulated patient needs {' and '.join(missing)}; run: pip install 'prosthesis[sim]'"
        )


def _sim(arguments: argparse.Namespace) -> int:
    _require_packages()
    from prosthesis_sim.faults import load_faults
    from prosthesis_sim.simulate import simulate

    simulate(
        arguments.rig,
        host=arguments.host,
        port=arguments.port,
        patient=arguments.patient,
        day=arguments.day,
        world=arguments.world,
        seconds=arguments.seconds,
        slow_s=arguments.slow_ms / 1000,
        air=arguments.air,
        say=_say,
        faults=load_faults(arguments.faults) if arguments.faults else (),
        lines=sys.stdin if arguments.live else None,
    )
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    _require_packages()
    from prosthesis_sim.demo import Choices, demo

    choices = Choices(arguments.source, arguments.task, arguments.world, arguments.air)
    rig = arguments.rig or (LOOP_RIG if arguments.loop else SEEN_RIG)
    folder = demo(rig, arguments.seconds, choices, arguments.out, _say, loop=arguments.loop)
    _say(f"open {folder / 'report.html'}")
    return 0


def _patient(arguments: argparse.Namespace) -> int:
    _require_packages()
    stem = Path(arguments.rig).stem
    if arguments.what == "show":
        from prosthesis_sim.portrait import show_patient

        folder = arguments.out or Path(f"{stem}-patient")
        for line in show_patient(arguments.rig, arguments.patient, arguments.day, folder):
            _say(line)
        _say(f"wrote {folder}")
        return 0
    from prosthesis.calibration.table import save_calibration
    from prosthesis_sim.measure import measure_patient

    def progress(done: int, of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {of} electrodes measured ")

    out = arguments.out or Path(f"{stem}-calibration.yaml")
    calibration = measure_patient(arguments.rig, arguments.patient, progress, arguments.day)
    save_calibration(calibration, out)
    _say(f"{sum(calibration.enabled)} of {calibration.electrodes} electrodes evoke phosphenes; wrote {out}")
    return 0


def _fuzz(arguments: argparse.Namespace) -> int:
    _require_packages()
    from prosthesis_sim.fuzz import fuzz, table

    report = fuzz(arguments.rig, arguments.frames, arguments.seed, _say)
    text = json.dumps(report.as_json(), indent=1)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text if arguments.json else "\n".join(table(report)))
    return 0 if report.clean else 1


def _soak(arguments: argparse.Namespace) -> int:
    _require_packages()
    from prosthesis.config import load_rig
    from prosthesis_sim.soak import soak, table

    life = soak(load_rig(arguments.rig, air=arguments.air), arguments.frames, arguments.seed, _say)
    text = json.dumps(life.as_json(), indent=1)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text if arguments.json else "\n".join(table(life)))
    return 0 if life.sound else 1


def _drill(arguments: argparse.Namespace) -> int:
    _require_packages()
    from prosthesis_sim.drill import drill
    from prosthesis_sim.faults import load_faults, parse_fault

    faults = None
    if arguments.fault:
        faults = [parse_fault(arguments.fault)]
    elif arguments.faults:
        faults = list(load_faults(arguments.faults))
    print("| where | kind | what | noticed by | within | noticed after | what the electrodes did | limits broken |")
    print("|---|---|---|---|---|---|---|---|")
    records = drill(arguments.rig, faults, print)
    return 0 if all(record.as_expected for record in records) else 1


def _rerun_patient(rig: Rig, about: Mapping[str, str], configuration: Configuration) -> Patient:
    _require_packages()
    from prosthesis_sim.rerun import Patient

    return Patient(rig, about, configuration)


def _report(log: Path, out: Path | None, rig: str | None) -> Path:
    from prosthesis_sim.demo import report

    folder = out or log.parent
    report(log, folder, rig, _say)
    return folder / "report.html"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
