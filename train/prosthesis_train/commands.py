"""The desk's verbs. Handlers import what they need when called."""

from __future__ import annotations

import argparse
from pathlib import Path

from prosthesis.commands import Verbs, add_verb


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
    p.add_argument("method", metavar="METHOD", help="dcgan or bigbigan")
    p.add_argument("settings", nargs=argparse.REMAINDER, metavar="...", help="settings of the method")


def _results(arguments: argparse.Namespace) -> int:
    from prosthesis.results import make_results

    print(f"wrote {make_results(arguments.name, arguments.out)}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from prosthesis_train.training.command import train

    print(f"wrote {train(arguments.method, arguments.settings)}")
    return 0
