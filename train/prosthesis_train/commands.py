"""The desk's verbs. Handlers import what they need when called."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prosthesis.commands import Verbs, add_verb
from prosthesis_train.study.command import add_study


def register(verbs: Verbs) -> None:
    """Add the desk's verbs."""
    p = add_verb(
        verbs,
        "results",
        _results,
        "run a committed recipe and write its figures and page",
        "prosthesis results pipeline",
    )
    p.add_argument("name", metavar="NAME", help="the recipe, e.g. pipeline")
    p.add_argument(
        "--out", type=Path, default=Path("docs/results"), metavar="DIR", help="where to write (default docs/results)"
    )
    p = add_verb(
        verbs,
        "train",
        _train,
        "train networks; 'prosthesis train METHOD --help' lists a method's settings",
        "prosthesis train dcgan --data fashion --side 32 --steps 10000",
    )
    p.add_argument("method", metavar="METHOD", help="dcgan, bigbigan, encoder or animation")
    p.add_argument("settings", nargs=argparse.REMAINDER, metavar="...", help="settings of the method")
    _add_score(verbs)
    add_study(verbs)
    verbs.choices["report"].set_defaults(report_study=_report_study)


def _report_study(study: Path, out: Path | None, rig: str | None) -> Path:
    from prosthesis_train.study.page import write_page

    return write_page(study, out / "report.html" if out else None)


def _add_score(verbs: Verbs) -> None:
    p = add_verb(
        verbs,
        "score",
        _score_reader,
        "score a brain reader or a task's percepts beside their controls, by machine; by real raters",
        "prosthesis score reader reading.npz --model bigbigan-fashion",
    )
    whats = p.add_subparsers(metavar="WHAT", required=True)
    p = add_verb(
        whats,
        "reader",
        _score_reader,
        "print the score card of a reader: a file of docs/scores.md's format",
        "prosthesis score reader reading.npz --model bigbigan-fashion --json",
    )
    _add_reading(p)
    p.add_argument(
        "--inception", nargs=2, metavar=("FILE", "SHA256"), help="a TorchScript Inception, instead of the model's judge"
    )
    p.add_argument("--humans", nargs="+", type=Path, default=[], metavar="PATH", help="raters' results to add")
    p.add_argument("--json", action="store_true", help="print JSON")
    _add_task(whats)
    p = add_verb(
        whats,
        "humans",
        _humans_make,
        "ask real raters: write the experiment, read their results",
        "prosthesis score humans make reading.npz --out experiment",
    )
    steps = p.add_subparsers(metavar="STEP", required=True)
    p = add_verb(
        steps,
        "make",
        _humans_make,
        "write a 2AFC experiment as one page that needs no network",
        "prosthesis score humans make reading.npz --out experiment --consent approved.txt",
    )
    _add_reading(p)
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    p.add_argument("--consent", type=Path, metavar="FILE", help="the consent text that your ethics committee approved")
    p = add_verb(
        steps,
        "read",
        _humans_read,
        "read raters' files: share right, chance test, interval, who is excluded",
        "prosthesis score humans read experiment",
    )
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="results files, or folders of them")
    p.add_argument("--json", action="store_true", help="print JSON")


def _add_reading(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", type=Path, metavar="FILE", help="the reading, an .npz")
    p.add_argument(
        "--model", default="bigbigan-fashion", metavar="NAME", help="generator of its codes (default bigbigan-fashion)"
    )
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is drawn (default 0)")


def _add_task(whats: Verbs) -> None:
    p = add_verb(
        whats,
        "task",
        _score_task,
        "print how often a frozen machine observer reads a task off the percepts of virtual patients",
        "prosthesis score task letters --rig utah96 --encoder luminance-32 contrast-32",
    )
    p.add_argument("task", metavar="TASK", help="letters, words, digits, objects, faces, ...: docs/tasks.md")
    p.add_argument("--rig", default="utah96", metavar="RIG", help="a reference rig (default utah96)")
    p.add_argument(
        "--encoder",
        nargs="+",
        default=["luminance-32"],
        metavar="NAME",
        help="shipped models, 'plain', 'fitted', a glyph set FILE.npz, package.module:function (default luminance-32)",
    )
    p.add_argument("--seeds", type=int, default=3, metavar="N", help="patients, from number 0 (default 3)")
    p.add_argument("--trials", type=int, default=208, metavar="N", help="of each patient (default 208)")
    p.add_argument(
        "--dropout",
        nargs="+",
        type=float,
        default=[0.0, 0.1, 0.2, 0.3],
        metavar="SHARE",
        help="of electrodes that evoke nothing (default 0 0.1 0.2 0.3); controls run at 0.2 if it is there",
    )
    p.add_argument("--json", action="store_true", help="print JSON")


def _results(arguments: argparse.Namespace) -> int:
    from prosthesis.results import make_results

    print(f"wrote {make_results(arguments.name, arguments.out)}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from prosthesis_train.training.command import train

    print(f"wrote {train(arguments.method, arguments.settings)}")
    return 0


def _score_reader(arguments: argparse.Namespace) -> int:
    from prosthesis_train.scores.command import score_reader

    a = arguments
    inception = None if a.inception is None else (a.inception[0], a.inception[1])
    print(score_reader(a.file, a.model, inception, a.humans, a.seed, a.json, _say))
    return 0


def _score_task(arguments: argparse.Namespace) -> int:
    from prosthesis_train.scores.tasks.command import score_task

    a = arguments
    print(score_task(a.task, a.rig, a.encoder, a.seeds, a.dropout, a.trials, a.json, _say))
    return 0


def _humans_make(arguments: argparse.Namespace) -> int:
    from prosthesis_train.scores.command import humans_make

    a = arguments
    print(humans_make(a.file, a.model, a.out, a.consent, a.seed))
    return 0


def _humans_read(arguments: argparse.Namespace) -> int:
    from prosthesis_train.scores.command import humans_read

    print(humans_read(arguments.paths, arguments.json))
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
