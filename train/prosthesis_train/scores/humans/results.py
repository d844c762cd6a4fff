"""Read raters' files back: who is excluded and why, the share right, its test against chance and its interval."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest, t

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.humans.experiment import FORMAT, PLAN, Plan

DAMAGED, OTHER, TWICE = "damaged file", "of another experiment", "the same session twice"
UNFINISHED, INATTENTIVE = "not finished", "too few catch trials right"


class UnusableError(Exception):
    """A file that cannot be counted; says why."""


@dataclass(frozen=True, slots=True)
class Rater:
    """One session; ``excluded`` says why it does not count, or is empty."""

    code: str
    right: int
    trials: int
    catch_right: int
    catches: int
    excluded: str = ""


@dataclass(frozen=True, slots=True)
class Humans:
    """Raters' share right with its 95 % interval, and the exact p of as many right by chance (one-sided)."""

    experiment: str
    reader: str
    rule: str
    raters: tuple[Rater, ...]
    unusable: dict[str, str]
    right: int
    trials: int
    share: float
    low: float
    high: float
    p: float
    interval: str

    def excluded(self) -> dict[str, int]:
        """Return how many files do not count, by reason."""
        why = [rater.excluded for rater in self.raters if rater.excluded]
        return dict(Counter([*why, *(reason for reason in self.unusable.values())]))

    def text(self) -> str:
        """Return the raters' part of a card as Markdown."""
        counted = [rater for rater in self.raters if not rater.excluded]
        left = ", ".join(f"{n} {why}" for why, n in self.excluded().items()) or "none"
        lines = [
            f"Real raters, 2AFC of {self.reader}: {self.share:.3f} right ({self.low:.3f} to {self.high:.3f}, "
            f"{self.interval}); {self.right} of {self.trials} choices by {len(counted)} raters; chance 0.5, "
            f"exact p {self.p:.2g}.",
            f"Rule stated beforehand: {self.rule}. Not counted: {left}.",
            "",
            "| rater | right | catch trials right | counts |",
            "| --- | --- | --- | --- |",
            *(
                f"| {r.code} | {r.right} of {r.trials} | {r.catch_right} of {r.catches} | {r.excluded or 'yes'} |"
                for r in self.raters
            ),
            *(f"| {name} | - | - | {why} |" for name, why in self.unusable.items()),
        ]
        return "\n".join(lines)


def read_results(paths: Sequence[Path]) -> Humans:
    """Read results files, or folders of them; ``experiment.json`` in a folder says which experiment they belong to.

    Without it the first readable file does. Raises ``ProsthesisError`` when nothing can be counted.
    """
    files, plan = _files(paths)
    raters: dict[str, Rater] = {}
    unusable: dict[str, str] = {}
    for path in files:
        try:
            content = _content(path)
            plan = plan or _plan(content)
            rater = _rater(content, plan)
            if rater.code in raters:
                raise UnusableError(TWICE)
            raters[rater.code] = rater
        except UnusableError as reason:
            unusable[path.name] = str(reason)
    counted = [rater for rater in raters.values() if not rater.excluded]
    if plan is None or not counted:
        why = Counter([*unusable.values(), *(rater.excluded for rater in raters.values())])
        found = ", ".join(f"{n} {reason}" for reason, n in why.items()) or "no results files"
        raise ProsthesisError(f"{paths[0]}: no rater can be counted ({found}); give the files that raters saved")
    right, trials = sum(r.right for r in counted), sum(r.trials for r in counted)
    low, high, interval = _interval(counted)
    # sides are drawn anew for every choice, so by chance each is right with 1/2 whatever the rater does
    p = float(binomtest(right, trials, 0.5, alternative="greater").pvalue)
    found_raters = tuple(raters.values())
    return Humans(
        plan.id, plan.reader, plan.rule(), found_raters, unusable, right, trials, right / trials, low, high, p, interval
    )


def _interval(raters: list[Rater]) -> tuple[float, float, str]:
    """Return the interval of the share: the wider of the exact binomial one and, of two raters or more, theirs.

    Raters differ, so choices of one are no independent trials: the second is Student's t over raters' shares.
    """
    right, trials = sum(r.right for r in raters), sum(r.trials for r in raters)
    exact = binomtest(right, trials).proportion_ci(0.95)
    if len(raters) < 2:
        return float(exact.low), float(exact.high), "95 %, exact binomial, of this one rater"
    shares = np.array([r.right / r.trials for r in raters])
    half = float(t.ppf(0.975, len(shares) - 1) * shares.std(ddof=1) / len(shares) ** 0.5)
    middle = right / trials
    low, high = max(min(middle - half, float(exact.low)), 0.0), min(max(middle + half, float(exact.high)), 1.0)
    return low, high, f"95 %, clustered over {len(raters)} raters, at least as wide as the exact binomial"


def _files(paths: Sequence[Path]) -> tuple[list[Path], Plan | None]:
    files, plan = [], None
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.rglob("*.json") if p.name != PLAN)
            if (path / PLAN).is_file():
                try:
                    plan = _plan(_content(path / PLAN))
                except UnusableError as error:
                    raise ProsthesisError(f"{path / PLAN}: {error}; make the experiment again") from error
        elif path.is_file():
            files.append(path)
        else:
            raise ProsthesisError(f"{path}: not there; give results files, or the folder that holds them")
    return files, plan


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableError(DAMAGED) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnusableError(DAMAGED)
    return content


def _plan(content: dict[str, Any]) -> Plan:
    try:
        return Plan(**content["plan"])
    except (KeyError, TypeError) as error:
        raise UnusableError(DAMAGED) from error


def _rater(content: dict[str, Any], plan: Plan) -> Rater:
    if content.get("plan") != asdict(plan):
        raise UnusableError(OTHER if isinstance(content.get("plan"), dict) else DAMAGED)
    try:
        code, done = str(content["rater"]), [_choice(trial, plan) for trial in content["trials"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableError(DAMAGED) from error
    pairs = [right for kind, right in done if kind == "pair"]
    catches = [right for kind, right in done if kind == "catch"]
    why = INATTENTIVE * (sum(catches) < plan.catch_least)
    if (len(pairs), len(catches)) != (plan.trials, plan.catches):
        why = UNFINISHED
    return Rater(code, sum(pairs), len(pairs), sum(catches), len(catches), why)


def _choice(trial: dict[str, Any], plan: Plan) -> tuple[str, bool]:
    """Return a trial's kind and whether it is right: judged from the sides, not from what the file may claim."""
    kind, sides = trial["kind"], (trial["own_side"], trial["response_side"])
    pictures = (trial["target"], trial["other"])
    inside = all(isinstance(k, int) and 0 <= k < plan.pictures for k in pictures) and pictures[0] != pictures[1]
    if kind not in ("pair", "catch") or not inside or any(side not in (0, 1) for side in sides):
        raise ValueError("no trial of this experiment")
    return kind, sides[0] == sides[1]
