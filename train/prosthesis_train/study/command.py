"""``prosthesis study STUDY.yaml``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from prosthesis.commands import Verbs, add_verb

KEPT = Path("runs/studies")


def add_study(verbs: Verbs) -> None:
    """Add the verb."""
    p = add_verb(
        verbs,
        "study",
        _study,
        "measure encoders on rigs, patients and links, here or on a Dask cluster",
        "prosthesis study examples/study_encoders.yaml --workers 4",
    )
    p.add_argument("file", metavar="STUDY", type=Path, help="what is varied and measured (docs/studies.md)")
    p.add_argument("--out", type=Path, metavar="DIR", help=f"the study's folder (default {KEPT}/NAME)")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--workers", type=_count, default=1, metavar="N", help="processes of this machine (default 1)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler's, e.g. tcp://10.0.0.5:8786")
    p.add_argument("--json", action="store_true", help="print JSON")


def _study(arguments: argparse.Namespace) -> int:
    from prosthesis.yamlfile import load_model
    from prosthesis_train.study.plan import Study
    from prosthesis_train.study.run import make_study

    study = load_model(Study, arguments.file)
    folder = arguments.out or KEPT / study.name
    done = make_study(study, folder, arguments.workers, arguments.scheduler, _say)
    if arguments.json:
        told = {"folder": str(folder), "cells": len(done.rows), "measured": done.measured, "failed": done.failed}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"{len(done.rows)} cells, {done.failed} failed; wrote {folder / 'summary.md'}\n")
    return int(done.failed > 0)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of processes")
    return int(text)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
