"""What is asked of one electrode's patient, trial by trial: a staircase, a place, and curves up to the maximum."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from prosthesis.calibration.curves import rising

FRACTIONS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
# quick first, then fine: the factor by which the current changes, one step down the list a reversal
STEPS = (1.6, 1.35, 1.2, 1.12, 1.12, 1.12, 1.12)
REPEATS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How a patient is measured: trains of ``train_s``, each electrode rested ``recovery_s`` between its trials.

    Electrodes take turns, so the rest costs little with many. It matters: by the law fitted to Schmidt et al. 1996 one
    167 ms train at threshold raises the same electrode's threshold by some 2.5 uA, which takes 33 minutes to decay.
    ``headroom`` is the calibrated maximum over threshold.
    """

    train_s: float = 0.167
    recovery_s: float = 60.0
    headroom: float = 2.5
    trials: int = 40


@dataclass(frozen=True, slots=True)
class Trial:
    """One train on one electrode, and what is asked after it: ``seen``, ``point`` or ``rate``."""

    amplitude_ua: float
    question: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the participant said and the array recorded (``None``: it does not record)."""

    seen: bool = False
    place: tuple[float, float] | None = None
    brightness: float = 0.0
    rate_hz: float | None = None


Procedure = Generator[Trial, Answer, "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """What was learnt of one electrode."""

    threshold_ua: float = 0.0
    max_ua: float = 0.0
    x_deg: float = 0.0
    y_deg: float = 0.0
    enabled: bool = False
    activity: tuple[float, ...] = FRACTIONS
    brightness: tuple[float, ...] = FRACTIONS
    evoked_hz: float | None = None


def measure_one(most_ua: float, plan: Plan) -> Procedure:
    """Ask for the trials that measure one electrode, and return what was learnt."""
    threshold = yield from _staircase(most_ua, plan.trials)
    if threshold is None or threshold >= 0.95 * most_ua:
        return Row()
    max_ua = min(most_ua, plan.headroom * threshold)
    place = yield from _point(max_ua)
    if place is None:
        return Row()
    activity, brightness, evoked_hz = yield from _curves(threshold, max_ua)
    return Row(threshold, max_ua, *place, True, activity, brightness, evoked_hz)


def _staircase(most_ua: float, trials: int) -> Generator[Trial, Answer, float | None]:
    """Return the 50 % threshold in uA by a one-up one-down staircase in log current (Levitt 1971), or ``None``.

    The estimate is the geometric mean of the reversals after the first two.
    """
    current, last_seen = 0.5 * most_ua, None
    reversals: list[float] = []
    for _ in range(trials):
        seen = (yield Trial(current, "seen")).seen
        if not seen and current >= most_ua:
            return None
        if last_seen is not None and seen != last_seen:
            reversals.append(current)
            if len(reversals) > len(STEPS):
                break
        step = STEPS[min(len(reversals), len(STEPS) - 1)]
        current = current / step if seen else min(current * step, most_ua)
        last_seen = seen
    late = reversals[2:]
    return float(np.exp(np.mean(np.log(late)))) if late else None


def _point(current_ua: float) -> Generator[Trial, Answer, tuple[float, float] | None]:
    """Return the median place pointed at, ``None`` when nothing was ever seen."""
    places = []
    for _ in range(REPEATS):
        place = (yield Trial(current_ua, "point")).place
        if place is not None:
            places.append(place)
    if not places:
        return None
    x, y = np.median(np.asarray(places), axis=0)
    return float(x), float(y)


def _curves(
    threshold_ua: float, max_ua: float
) -> Generator[Trial, Answer, tuple[tuple[float, ...], tuple[float, ...], float | None]]:
    """Return activity and brightness at ``FRACTIONS`` between threshold and maximum, each a rising curve.

    Activity is the recorded rate over its value at the maximum; an array that cannot record takes reported brightness.
    Last comes the rate recorded at the maximum in Hz, ``None`` where none was.
    """
    rates, reports = [], []
    for fraction in FRACTIONS:
        trial = Trial(threshold_ua + fraction * (max_ua - threshold_ua), "rate")
        answers = []
        for _ in range(REPEATS):
            answer = yield trial
            answers.append(answer)
        recorded = [a.rate_hz for a in answers if a.rate_hz is not None]
        rates.append(float(np.mean(recorded)) if recorded else 0.0)
        reports.append(float(np.mean([a.brightness for a in answers])))
    brightness = rising(reports)
    activity = rates if any(rates) else list(brightness)
    return rising([a / max(activity[-1], 1e-9) for a in activity]), brightness, rates[-1] if any(rates) else None
