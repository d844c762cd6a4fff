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


def _results(arguments: argparse.Namespace) -> int:
    from prosthesis.results import make_results

    print(f"wrote {make_results(arguments.name, arguments.out)}")
    return 0
