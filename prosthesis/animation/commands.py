"""The verb ``animate``. Handlers import what they need when called, so that ``--help`` stays quick."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prosthesis.commands import Verbs, add_verb, count


def register(verbs: Verbs) -> None:
    """Add the verb."""
    p = add_verb(
        verbs,
        "animate",
        _animate,
        "move a still picture as a film or a camera does; only of people who agreed",
        "prosthesis animate --source portrait.jpg --driving 0 --relative --view",
    )
    p.add_argument("--source", type=Path, required=True, metavar="PICTURE", help="a JPEG or PNG with one face")
    p.add_argument("--driving", required=True, metavar="0|FILE", help="a camera's number or URI, or a movie")
    p.add_argument("--relative", action="store_true", help="take over movement since the first picture, not the place")
    p.add_argument("--out", type=Path, metavar="FILM", help="write a film, .webm or .mp4")
    p.add_argument("--view", action="store_true", help="show it in the browser, at an address that is told")
    p.add_argument("--panels", action="store_true", help="show still, driving, flow and visibility beside the result")
    p.add_argument("--whole", action="store_true", help="take the middle squares and look for no faces")
    p.add_argument("--frames", type=count, metavar="N", help="stop after N pictures (default: at the end, or Ctrl-C)")
    p.add_argument("--model", default="animation64", metavar="NAME", help="a shipped bundle, or a folder's path")
    p.add_argument("--engine", choices=("onnx", "openvino", "tensorrt"), default="onnx", help="default: onnx")
    p.add_argument("--no-watermark", dest="watermark", action="store_false", help="leave out the word 'artificial'")


def _animate(arguments: argparse.Namespace) -> int:
    from prosthesis.animation.run import Wish, animate

    a = arguments
    wish = Wish(a.source, a.driving, a.relative, a.out, a.view, a.panels, a.whole, a.frames, a.watermark)
    count, fps = animate(wish, a.model, a.engine, _say)
    print(f"{count} pictures, {fps:.1f} a second" + ("" if a.out is None else f"; wrote {a.out}"))
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
