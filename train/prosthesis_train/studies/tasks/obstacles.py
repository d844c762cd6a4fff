"""Obstacles: alarms on rendered approaches of known truth, on real clips with our labels, and stereo distances.

Rendered scenes have nothing that the object network knows, so they test the flow alone. In every approach the card's
middle is within 0.35 m of the walker's axis: it would hit. Nothing else would: cards that cross in front without coming
nearer, that go away, a turning head, a picture that shrinks, and walks along walls without anything in the way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from prosthesis.obstacles.finder import Finder, Findings
from prosthesis.results import Figure
from prosthesis_train.studies.tasks import obstacle_clips, obstacle_film
from prosthesis_train.studies.tasks.approaches import (
    FIELD_DEG,
    FPS,
    PHOTOS,
    Card,
    Scene,
    render,
    shake,
    side_deg,
    time_to_contact_s,
)

F64 = npt.NDArray[np.float64]
ALARM_S = 2.0
APPROACHES, OTHERS = 100, 20  # scenes: approaches, and of each other kind
FRAMES = 34
KINDS = ("crosses", "turns", "shrinks", "recedes", "walks")
GRAVE_S = 0.5  # an alarm that comes later than this before contact is a miss
TRUE_S = (0.8, 3.0)  # where the error of time to contact is judged


@dataclass(frozen=True, slots=True)
class Run:
    """One scene with what was found in each frame."""

    scene: Scene
    found: tuple[Findings, ...]

    @property
    def alarm(self) -> int | None:
        """Return the first frame with an alarm."""
        return next((k for k, findings in enumerate(self.found) if findings.alarm is not None), None)


def scene_of(kind: str, seed: int) -> Scene:
    """Return scene ``seed`` of a kind: ``approaches`` or one of ``KINDS``."""
    random = np.random.default_rng((11, seed))
    photos = (int(random.integers(len(PHOTOS))), int(random.integers(len(PHOTOS))), int(random.integers(len(PHOTOS))))
    turn = shake(random, FRAMES, random.uniform(0.5, 2.5))
    walls = None if random.random() < 0.5 else float(random.uniform(1.1, 2.0))
    half = (float(random.uniform(0.15, 0.4)), float(random.uniform(0.2, 0.6)))
    photo, is_round = int(random.integers(len(PHOTOS))), bool(random.random() < 0.5)
    walk = float(random.uniform(0.6, 1.4))
    if kind == "approaches":
        own = -float(random.uniform(0.0, 1.2)) if random.random() < 0.4 else 0.0
        z = (walk - own) * (FRAMES / FPS + random.uniform(0.5, 0.8))
        at = (float(random.uniform(-0.35, 0.35)), float(random.uniform(-0.1, 0.6)), float(z))
        return Scene(FRAMES, walk, turn, photos, walls, (Card(half, at, (0.0, 0.0, own), photo, is_round),), seed=seed)
    if kind == "crosses":
        pace = float(random.uniform(0.6, 1.8) * random.choice([-1, 1]))
        card = Card(
            half, (-pace * FRAMES / FPS / 2, 0.3, float(random.uniform(1.5, 4))), (pace, 0.0, 0.0), photo, is_round
        )
        return Scene(FRAMES, 0.0, turn, photos, None, (card,), seed=seed)
    if kind == "turns":
        t = np.arange(FRAMES) / FPS
        turn[:, 1] += np.radians(random.uniform(20, 60)) * np.sin(2 * np.pi * random.uniform(0.2, 0.6) * t)
        return Scene(FRAMES, 0.0, turn, photos, walls, (), seed=seed)
    if kind == "shrinks":
        return Scene(FRAMES, 0.0, turn, photos, None, (), -float(random.uniform(0.1, 0.5)), seed)
    if kind == "recedes":
        at = (float(random.uniform(-0.5, 0.5)), 0.2, 1.0)
        card = Card(half, at, (0.0, 0.0, float(random.uniform(0.6, 1.5))), photo, is_round)
        return Scene(FRAMES, 0.0, turn, photos, walls, (card,), seed=seed)
    return Scene(FRAMES, walk, turn, photos, float(random.uniform(1.1, 2.0)), (), seed=seed)


def run(scene: Scene) -> Run:
    """Render a scene and look for obstacles."""
    finder = Finder(FIELD_DEG, ALARM_S)
    found = [finder.find(render(scene, k), round((k + 1) / FPS * 1e9)) for k in range(scene.frames)]
    return Run(scene, tuple(found))


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return figures of rendered approaches, of what does not approach, of real clips and of stereo."""
    cv2.setNumThreads(1)  # as on the device
    began = time.process_time()
    runs = []
    for seed in range(APPROACHES):
        runs.append(run(scene_of("approaches", seed)))
        if seed % 20 == 19:
            say(f"obstacles: {seed + 1} of {APPROACHES} approaches, {time.process_time() - began:.0f} s of CPU")
    figures = alarms(runs) + times(runs)
    count, minutes = 0, 0.0
    for kind in KINDS:
        with_alarm = sum(run(scene_of(kind, 1000 + seed)).alarm is not None for seed in range(OTHERS))
        figures.append(share(f"{kind}: scenes with an alarm, of {OTHERS}", with_alarm, OTHERS))
        count, minutes = count + with_alarm, minutes + OTHERS * FRAMES / FPS / 60
        say(f"obstacles: {kind}: {with_alarm} of {OTHERS} with an alarm")
    figures.append(share(f"nothing to hit: scenes with an alarm, of {OTHERS * len(KINDS)}", count, OTHERS * len(KINDS)))
    figures.append(Figure("nothing to hit: false alarms a minute", count / minutes, "1/min"))
    return figures + obstacle_clips.measure(say)


def alarms(runs: list[Run]) -> list[Figure]:
    """Return how many approaches got their alarm, when, and how well it points."""
    delay, left, side, right, missed, early = [], [], [], 0, 0, 0
    for one in runs:
        scene, card = one.scene, one.scene.cards[0]
        true = [time_to_contact_s(scene, card, k) for k in range(scene.frames)]
        at = one.alarm
        if at is None or true[at] < GRAVE_S:
            missed += 1
            continue
        alarm = one.found[at].alarm
        assert alarm is not None
        delay.append((at - next(k for k, t in enumerate(true) if t < ALARM_S)) / FPS)
        early += delay[-1] < 0
        left.append(true[at])
        where = direction_deg((alarm.left + alarm.right) / 2)
        side.append(abs(where - side_deg(scene, card, at)))
        truly = side_deg(scene, card, at)
        right += (where > 0) == (truly > 0) or abs(truly) < 3.0
    n = len(delay)
    return [
        share(f"approaches: no alarm {GRAVE_S:g} s before contact, of {len(runs)}", missed, len(runs)),
        spread("approaches: from 2 s before contact to the alarm", np.array(delay), "s"),
        spread("approaches: true time left at the alarm", np.array(left), "s"),
        share(f"approaches: alarms before 2 s, of {n}", early, n),
        spread("approaches: error of the alarm's direction", np.array(side), "deg"),
        share(f"approaches: alarms on the right side or within 3 deg of ahead, of {n}", right, n),
    ]


def times(runs: list[Run]) -> list[Figure]:
    """Return estimated over true time to contact, of the obstacle that covers the card's middle."""
    ratios: list[float] = []
    frames = 0
    for one in runs:
        card = one.scene.cards[0]
        for k, findings in enumerate(one.found):
            true = time_to_contact_s(one.scene, card, k)
            if not TRUE_S[0] <= true <= TRUE_S[1] or k < 6:
                continue
            frames += 1
            x = 0.5 + math.tan(math.radians(side_deg(one.scene, card, k))) / 2 / math.tan(
                math.radians(FIELD_DEG[0] / 2)
            )
            over = [thing.time_s for thing in findings.obstacles if thing.ahead and thing.left <= x <= thing.right]
            if over:
                ratios.append(min(over) / true)
    found = np.array(ratios)
    return [
        spread(f"approaches: estimated over true time to contact, {TRUE_S[0]:g} to {TRUE_S[1]:g} s", found, ""),
        share(f"approaches: frames in which it is seen, of {frames}", len(found), frames),
    ]


def direction_deg(x: float) -> float:
    """Return the direction of a place in the frame (fraction of the width), degrees to the right."""
    return math.degrees(math.atan((2 * x - 1) * math.tan(math.radians(FIELD_DEG[0] / 2))))


def spread(name: str, values: F64, unit: str) -> Figure:
    """Return the median with the 5th and 95th percentile."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95)) if len(values) else (np.nan,) * 3
    return Figure(name, float(middle), unit, float(low), float(high), f"5th to 95th percentile of {len(values)}")


def share(name: str, count: int, of: int) -> Figure:
    """Return a share with Wilson's 95 % interval."""
    z, n = 1.96, max(of, 1)
    p = count / n
    middle, half = (p + z * z / (2 * n)) / (1 + z * z / n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    half /= 1 + z * z / n
    return Figure(name, p, "", max(0.0, middle - half), min(1.0, middle + half), "95 %, Wilson")


def draw(folder: Path) -> list[str]:
    """Draw the film strips."""
    return obstacle_film.draw(folder, scene_of("approaches", 0))
