"""Delivery's verbs. Handlers import what they need when called."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from prosthesis.commands import Verbs, add_verb
from prosthesis.errors import MissingExtraError


def register(verbs: Verbs) -> None:
    """Add delivery's verbs."""
    _add_estimate(verbs)


def _add_estimate(verbs: Verbs) -> None:
    p = add_verb(
        verbs,
        "estimate",
        _estimate,
        "say what a bundle would cost on a board, as ranges",
        "prosthesis estimate objects --board orin_nano_8gb_super --mode 25W",
    )
    p.add_argument("bundle", metavar="BUNDLE", help="a shipped model's name, or the path of a bundle's folder")
    p.add_argument("--board", required=True, metavar="BOARD", help="a shipped board's name, or the path of a YAML file")
    p.add_argument("--mode", metavar="MODE", help="power mode (default: the board's usual one)")
    p.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        help="what the layers run in (default: fp16 where the board has it)",
    )
    p.add_argument("--layers", type=int, default=8, metavar="N", help="how many layers to list (default 8)")
    p.add_argument("--plot", type=Path, metavar="FILE", help="also draw all layers into this picture")
    p.add_argument("--json", action="store_true", help="print JSON, with every layer")


def _estimate(arguments: argparse.Namespace) -> None:
    try:
        from prosthesis_export.estimate.estimate import estimate
        from prosthesis_export.estimate.report import as_json, draw, text
    except ImportError as missing:
        raise MissingExtraError(f"estimates need {missing.name}; pip install 'prosthesis[export]'") from missing
    found = estimate(arguments.bundle, arguments.board, arguments.mode, arguments.precision)
    print(json.dumps(as_json(found), indent=2) if arguments.json else text(found, arguments.layers))
    if arguments.plot:
        draw(found, arguments.plot)
