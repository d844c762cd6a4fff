"""Write a 2AFC experiment for real raters: one HTML page that holds its pictures and scripts and needs no network.

Kept beside the page is its plan, with the rule of exclusion as stated before anyone was tested.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.reader.reading import Array

HERE = Path(__file__).resolve().parent
FORMAT = "prosthesis-2afc-1"
PAGE, PLAN = "index.html", "experiment.json"
PICTURES, TRIALS, CATCHES = 100, 100, 12
CATCH_LEVEL = 0.05  # how rarely one who guesses may pass the catch trials


@dataclass(frozen=True, slots=True)
class Plan:
    """What a page asks: ``trials`` pairs and ``catches`` catch trials of ``pictures`` pictures.

    Raters with fewer than ``catch_least`` catch trials right are excluded. ``id`` is the hash of what the page shows.
    """

    id: str
    reader: str
    seed: int
    pictures: int
    trials: int
    catches: int
    catch_least: int

    def rule(self) -> str:
        """Return the rule of exclusion."""
        return (
            f"raters with fewer than {self.catch_least} of {self.catches} catch trials right are excluded; so are "
            "sessions that were not finished"
        )


def make_experiment(
    folder: Path, reader: str, shown: Array, reconstructions: Array, consent: str | None = None, seed: int = 0
) -> Plan:
    """Write ``index.html`` and ``experiment.json`` for pictures f32[n,c,h,w] in [-1,1]; return the plan.

    Of more than ``PICTURES`` pictures some are drawn by ``seed``; each rater's order and sides are drawn in the page.
    Raises ``ProsthesisError`` when the folder holds another experiment, for its results must not be mixed up.
    """
    if len(shown) < 2 or shown.shape != reconstructions.shape:
        raise ProsthesisError(
            f"2AFC needs two pairs or more of one shape, not {shown.shape} and {reconstructions.shape}"
        )
    some = np.sort(np.random.default_rng(seed).permutation(len(shown))[:PICTURES])
    content = {
        "format": FORMAT,
        "consent": consent or (HERE / "consent.txt").read_text(encoding="utf-8"),
        "shown": [data_uri(shown[k]) for k in some],
        "reconstructions": [data_uri(reconstructions[k]) for k in some],
    }
    identity = hashlib.sha256(json.dumps([content, reader, seed]).encode()).hexdigest()
    plan = Plan(identity, reader, seed, len(some), TRIALS, CATCHES, catch_least(CATCHES))
    _refuse_another(folder, plan)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(_page({**content, "plan": asdict(plan)}), encoding="utf-8")
    notes = {"format": FORMAT, "rule": plan.rule(), "plan": asdict(plan), "vendored": vendored()}
    (folder / PLAN).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
    return plan


def catch_least(catches: int) -> int:
    """Return the least number right that guessing reaches in at most 5 % of raters."""
    from scipy.stats import binom

    return next(k for k in range(catches + 2) if binom.sf(k - 1, catches, 0.5) <= CATCH_LEVEL)


def data_uri(picture: Array) -> str:
    """Return a picture f32[c,h,w] in [-1,1] as a PNG that a page can hold."""
    levels = np.rint((np.clip(picture, -1, 1) + 1) * 127.5).astype(np.uint8)
    done, png = cv2.imencode(".png", levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)[..., ::-1])
    assert done
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()


def vendored() -> list[dict[str, object]]:
    """Return the manifest of the vendored scripts, verified.

    Raises ``ProsthesisError`` when a file is not the one that the manifest pins.
    """
    files: list[dict[str, object]] = json.loads((HERE / "vendor" / "manifest.json").read_text("utf-8"))["files"]
    for entry in files:
        path = HERE / "vendor" / str(entry["file"])
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise ProsthesisError(f"{path}: missing, or not the file that manifest.json pins; install prosthesis again")
    return files


def _page(experiment: dict[str, object]) -> str:
    scripts = [(HERE / "vendor" / str(entry["file"])).read_text("utf-8") for entry in vendored()]
    parts = {
        "@LICENCE@": (HERE / "vendor" / "LICENSE").read_text("utf-8"),
        "@STYLE@": (HERE / "page.css").read_text("utf-8"),
        "@SCRIPTS@": "\n".join(f"<script>\n{_no_source_map(script)}\n</script>" for script in scripts),
        # '<' could end the script element that holds it
        "@EXPERIMENT@": json.dumps(experiment).replace("<", "\\u003c"),
        "@RUN@": (HERE / "experiment.js").read_text("utf-8"),
    }
    page = (HERE / "page.html").read_text("utf-8")
    for mark, text in parts.items():
        page = page.replace(mark, text, 1)
    return page


def _no_source_map(script: str) -> str:
    """Drop the line by which a browser's debugger would ask a server for the sources."""
    return "\n".join(line for line in script.splitlines() if not line.startswith("//# sourceMappingURL="))


def _refuse_another(folder: Path, plan: Plan) -> None:
    if not (folder / PLAN).exists():
        return
    try:
        there = json.loads((folder / PLAN).read_text("utf-8"))["plan"]["id"]
    except (OSError, ValueError, KeyError, TypeError):
        there = None
    if there != plan.id:
        raise ProsthesisError(f"{folder}: holds another experiment; give an empty folder, so that results cannot mix")
