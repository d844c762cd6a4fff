"""The verbs ``nwb`` and ``bids``."""

from __future__ import annotations

import argparse
from pathlib import Path

from prosthesis.commands import Verbs, add_verb


def register(verbs: Verbs) -> None:
    """Add the verbs."""
    p = add_verb(verbs, "nwb", _nwb, "write a recording as an NWB file", "prosthesis nwb run.mcap --out run.nwb")
    _add_log(p)
    p.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: beside the recording)")
    p.add_argument(
        "--every", type=_seconds, default=1.0, metavar="S", help="seconds between stored pictures; 0: all (default 1)"
    )
    p = add_verb(verbs, "bids", _bids, "write a recording's events as BIDS does", "prosthesis bids run.mcap --out bids")
    _add_log(p)
    p.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: beside the recording)")
    p.add_argument("--subject", metavar="LABEL", help="of the files' names (default: the patient's world and number)")


def _add_log(p: argparse.ArgumentParser) -> None:
    p.add_argument("log", type=Path, metavar="LOG", help="a recording made with 'run --record' or 'demo'")
    p.add_argument("--rig", metavar="RIG", help="the rig that was recorded, if the recording does not hold it")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 up")
    return value


def _nwb(arguments: argparse.Namespace) -> int:
    from prosthesis_sim.science.nwb import write_nwb

    out = arguments.out or arguments.log.with_suffix(".nwb")
    got = write_nwb(arguments.log, out, arguments.every, arguments.rig)
    pictures = f"{len(got.frames)} camera and {len(got.percepts)} percept pictures"
    print(f"{len(got.delivered_s)} intervals, {len(got.trains)} trains, {pictures}; wrote {out}")
    return 0


def _bids(arguments: argparse.Namespace) -> int:
    from prosthesis_sim.science.bids import write_events

    for path in write_events(arguments.log, arguments.out or arguments.log.parent, arguments.subject, arguments.rig):
        print(f"wrote {path}")
    return 0
