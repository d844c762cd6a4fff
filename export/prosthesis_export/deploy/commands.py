"""The verb ``deploy``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prosthesis.commands import Verbs, add_verb
from prosthesis.commands import address as host_and_port


def register(verbs: Verbs) -> None:
    """Add ``deploy``."""
    p = add_verb(
        verbs,
        "deploy",
        _deploy,
        "make a directory that runs on a board",
        "prosthesis deploy utah96 edges-32 --board orin_nano_8gb_super --link 192.168.1.7:5700",
    )
    p.add_argument("rig", metavar="RIG", help="a shipped rig's name, or the path of a YAML file")
    p.add_argument("bundle", metavar="BUNDLE", nargs="?", help="a model for the rig's encoder (default: the rig's own)")
    p.add_argument("--task", metavar="NAME", help="a task in the place of the rig's encoder: text, face, obstacle")
    p.add_argument("--board", required=True, metavar="BOARD", help="a shipped board's name, or the path of a YAML file")
    p.add_argument("--out", type=Path, metavar="DIR", help="where to, or FILE.tar.gz (default: BOARD-deploy)")
    p.add_argument("--jetpack", metavar="NAME", help="such as 6.2 (default: the board's oldest that can run this)")
    p.add_argument("--mode", metavar="MODE", help="power mode (default: the board's usual one)")
    p.add_argument("--engine", choices=("tensorrt", "onnx"), help="default: tensorrt")
    p.add_argument(
        "--link", type=host_and_port, metavar="HOST:PORT", help="where the implant is (default: the rig's link)"
    )
    p.add_argument("--wheel", type=Path, metavar="FILE", help="prosthesis's wheel (default: built from the checkout)")


def _deploy(arguments: argparse.Namespace) -> None:
    from prosthesis_export.deploy.deploy import deploy

    a = arguments
    path = deploy(a.rig, a.board, a.bundle, a.task, a.out, a.jetpack, a.mode, a.engine, a.link, a.wheel, say=_say)
    print(f"wrote {path}; copy it to the board and follow its README.md")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
