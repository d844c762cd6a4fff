"""The verb ``faces``: who is known. Handlers import what they need when called, so that ``--help`` stays quick."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from prosthesis.commands import Verbs, add_verb


def register(verbs: Verbs) -> None:
    """Add the verb with its own: enroll, list, delete, patterns."""
    p = add_verb(
        verbs, "faces", _list, "enrol people whom the face task knows again", "prosthesis faces enroll ann ann1.jpg"
    )
    p.set_defaults(json=False)
    inner: Verbs = p.add_subparsers(title="verbs", metavar="VERB")
    p = add_verb(inner, "enroll", _enroll, "add pictures of a person", "prosthesis faces enroll ann ann1.jpg ann2.jpg")
    p.add_argument("name", metavar="NAME", help="who it is; a known name gets more pictures")
    p.add_argument("pictures", metavar="PICTURE", nargs="+", type=Path, help="a JPEG or PNG with this one face")
    p = add_verb(inner, "list", _list, "say who is enrolled", "prosthesis faces list --json")
    p.add_argument("--json", action="store_true", help="print JSON")
    p = add_verb(inner, "delete", _delete, "forget a person", "prosthesis faces delete ann")
    p.add_argument("name", metavar="NAME", help="who is to be forgotten")
    p = add_verb(
        inner, "patterns", _patterns, "say which pattern is whose", "prosthesis faces patterns utah96 --out code.npz"
    )
    p.add_argument("rig", metavar="RIG", help="a shipped rig's name, or the path of a YAML file")
    p.add_argument(
        "--out", type=Path, metavar="FILE", help="also write them, for 'code' of a task: they stay as learned"
    )


def _enroll(arguments: argparse.Namespace) -> None:
    from prosthesis.faces.enrol import enrol

    done = enrol(arguments.name, arguments.pictures)
    for doubt in done.doubts:
        print(f"look again: {doubt}")
    what = "enrolled" if done.new else "more pictures of"
    print(f"{what} {done.person.name}: {len(done.person.embeddings)} pictures, pattern {done.person.pattern + 1}")


def _list(arguments: argparse.Namespace) -> None:
    from prosthesis.faces.enrol import enrolled

    people = enrolled().people
    rows = [{"name": p.name, "pictures": len(p.embeddings), "pattern": p.pattern + 1} for p in people]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['name']}: {row['pictures']} pictures, pattern {row['pattern']}")
    if not rows:
        print("nobody is enrolled; add someone with 'prosthesis faces enroll NAME PICTURE'")


def _delete(arguments: argparse.Namespace) -> None:
    from prosthesis.faces.enrol import forget

    forget(arguments.name)
    print(f"forgot {arguments.name}")


def _patterns(arguments: argparse.Namespace) -> None:
    from prosthesis.config import load_rig
    from prosthesis.faces.enrol import enrolled
    from prosthesis.faces.layout import lay_out
    from prosthesis.faces.patterns import choose, save_code
    from prosthesis.view import make_view

    rig = load_rig(arguments.rig)
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    code = choose(view, rig.calibration, lay_out(view, rig.calibration))
    names = {person.pattern + 1: person.name for person in enrolled().people}
    for number, shape in enumerate(code.names):
        whose = "strangers" if number == 0 else names.get(number, "-")
        print(f"{number:2d}  {shape:13s} {whose}")
    print(f"least difference through this patient's phosphenes: {code.distinctness:.2f} of 2")
    if arguments.out is not None:
        save_code(code, arguments.out)
        print(f"wrote {arguments.out}")
