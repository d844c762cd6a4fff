"""How far a rerun's messages may be from the recorded ones, in one table, and the comparison by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from prosthesis.messages import GuardReport, Message


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest difference that passes, in the field's own ``unit``, and ``why`` there may be one at all."""

    most: float
    unit: str
    why: str


_ORDER = "another machine or version adds floats in another order"
_STEP = "a float's last bit may fall on the other side of a step of the DAC"
# topic.field; what is not named here must be equal to the bit
TOLERANCES: Mapping[str, Tolerance] = {
    "machine_code.values": Tolerance(1e-4, "", _ORDER),
    "brain_code.activity": Tolerance(1e-4, "", _ORDER),
    "brain_code.clipped": Tolerance(1, "electrodes", _ORDER),
    "wanted.amplitude_ua": Tolerance(0.05, "uA", _ORDER),
    "wanted.rate_hz": Tolerance(0.5, "Hz", _ORDER),
    "allowed.amplitude_ua": Tolerance(1, "DAC steps", _STEP),
    "allowed.rate_hz": Tolerance(0.5, "Hz", _STEP),
    "delivered.amplitude_ua": Tolerance(1, "DAC steps", _STEP),
    "percept.image": Tolerance(2e-3, "", _ORDER),
    "percept.visible": Tolerance(1, "phosphenes", _ORDER),
    "evoked.rate_hz": Tolerance(0.1, "Hz", _ORDER),
}


@dataclass(slots=True)
class Compared:
    """One topic's messages: ``same`` to the bit, ``within`` the tolerances, ``beyond`` them, ``skipped`` not compared.

    ``worst`` is the largest difference of each field that differed at all, in its tolerance's unit; ``first_beyond`` is
    the ``seq`` of the first message beyond.
    """

    topic: str
    same: int = 0
    within: int = 0
    beyond: int = 0
    skipped: int = 0
    first_beyond: int | None = None
    worst: dict[str, float] = field(default_factory=dict)

    def count(self, recorded: Message, again: Message, lsb_ua: float) -> None:
        """Compare one message with its recording."""
        found = differences(self.topic, recorded, again, lsb_ua)
        for name, size in found.items():
            self.worst[name] = max(self.worst.get(name, 0.0), size)
        if not found:
            self.same += 1
        elif is_beyond(self.topic, found):
            self.beyond += 1
            self.first_beyond = recorded.seq if self.first_beyond is None else self.first_beyond
        else:
            self.within += 1


def most(topic: str, name: str) -> float:
    """Return the largest difference that passes of a topic's field."""
    known = TOLERANCES.get(f"{topic}.{name}")
    return known.most if known else 0.0


def is_beyond(topic: str, found: Mapping[str, float]) -> bool:
    """Return whether any of the ``found`` differences of a topic's fields is larger than what passes."""
    return any(not size <= most(topic, name) for name, size in found.items())


def differences(topic: str, recorded: Message, again: Message, lsb_ua: float) -> dict[str, float]:
    """Return how far each field is off, where it is; infinite for what has no distance (another length, another rule).

    ``lsb_ua`` is a step of the rig's DAC.
    """
    if isinstance(recorded, GuardReport) and isinstance(again, GuardReport):
        return {} if _found(recorded) == _found(again) else {"interventions": math.inf}
    found = {}
    for part in fields(recorded):
        size = _distance(getattr(recorded, part.name), getattr(again, part.name))
        if size:
            known = TOLERANCES.get(f"{topic}.{part.name}")
            found[part.name] = size / lsb_ua if known and known.unit == "DAC steps" else size
    return found


def _found(report: GuardReport) -> list[tuple[str, str]]:
    """Return which rules the guard applied; how many electrodes were at the limit may differ with the last bit."""
    return sorted((item.rule, item.tier) for item in report.interventions)


def _distance(a: Any, b: Any) -> float:
    if isinstance(a, np.ndarray):
        if a.shape != b.shape:
            return math.inf
        if a.tobytes() == b.tobytes():
            return 0.0
        if (np.isnan(a) != np.isnan(b)).any() if a.dtype.kind == "f" else False:
            return math.inf
        return float(np.nanmax(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(float(a) - float(b))
    return 0.0 if a == b else math.inf


def table(rows: list[Compared]) -> list[str]:
    """Return the comparison in lines for people."""
    lines = [f"{'topic':13} {'equal':>8} {'within':>8} {'beyond':>8} {'skipped':>8}  largest differences (tolerance)"]
    for row in rows:
        parts = []
        for name, size in row.worst.items():
            known = TOLERANCES.get(f"{row.topic}.{name}")
            allowed = f"{known.most:g} {known.unit}".strip() if known else "0"
            parts.append(f"{name} {size:.3g} ({allowed})")
        if row.first_beyond is not None:
            parts.append(f"first beyond at seq {row.first_beyond}")
        counts = f"{row.same:8} {row.within:8} {row.beyond:8} {row.skipped:8}"
        lines.append(f"{row.topic:13} {counts}  {', '.join(parts)}".rstrip())
    return lines
