"""All the device knows of its patient, one row an electrode, as measured by ``prosthesis calibrate``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field, model_validator

from prosthesis.yamlfile import Strict, load_model

F64 = npt.NDArray[np.float64]


class Provenance(Strict):
    """Who measured this patient, when, with what and against whom."""

    rig: str
    date: str
    method: str
    seed: int | None
    trials: int
    version: str


class TrainParameters(Strict):
    """The pulse train under which thresholds and curves were measured; they hold for no other."""

    pulse_width_us: int
    rate_hz: float
    train_ms: float


class ActivityCurve(Strict):
    """What each electrode does between threshold and maximum.

    ``fraction`` [k] are the places measured, 0 at ``threshold_ua`` and 1 at ``max_ua``; ``activity`` [n, k] is the
    evoked rate over the site's maximum, ``brightness`` [n, k] what the patient reported in 0..1; rows never fall.
    """

    fraction: tuple[float, ...]
    activity: tuple[tuple[float, ...], ...]
    brightness: tuple[tuple[float, ...], ...]


class BelowThreshold(Strict):
    """What each site does at currents that are not yet seen: recordings hear more than a person sees.

    ``fraction`` [k] are shares of ``threshold_ua``, rising within 0..1; ``activity`` [n, k] is as in ``ActivityCurve``,
    and never above what it begins with.
    """

    fraction: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    activity: tuple[tuple[Annotated[float, Field(ge=0, le=1)], ...], ...]

    @model_validator(mode="after")
    def _rising(self) -> BelowThreshold:
        if np.any(np.diff(self.fraction) <= 0):
            raise ValueError("'below.fraction' must rise")
        if any(len(row) != len(self.fraction) or np.any(np.diff(row) < 0) for row in self.activity):
            raise ValueError(f"'below.activity' must be rows of {len(self.fraction)} that never fall")
        return self


class Crosstalk(Strict):
    """How much of its current a neighbour adds that pulses in the same raster slot, by their distance.

    ``share`` [k] in 0..1 at ``distance_mm`` [k], falling; between these it is interpolated, nearer it is that of the
    first, farther it is 0. ``trials`` is how many it took.
    """

    distance_mm: tuple[Annotated[float, Field(gt=0)], ...]
    share: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    trials: int

    @model_validator(mode="after")
    def _falling(self) -> Crosstalk:
        if len(self.share) != len(self.distance_mm):
            raise ValueError(f"'share' has {len(self.share)} values for {len(self.distance_mm)} of 'distance_mm'")
        if np.any(np.diff(self.distance_mm) <= 0) or np.any(np.diff(self.share) > 0):
            raise ValueError("'crosstalk': 'distance_mm' must rise and 'share' never")
        return self

    def at(self, distance_mm: F64) -> F64:
        """Return the share at distances of any shape."""
        if not self.share:
            return np.zeros_like(distance_mm)
        return np.interp(distance_mm, self.distance_mm, self.share, right=0.0)


class Calibration(Strict):
    """Per-electrode columns of length n; positions are phosphene centres in degrees, x to the right, y up.

    ``rf_sigma_deg`` is the receptive-field size used to sample the scene, ``threshold_ua`` the 50 % detection current,
    ``max_ua`` the most the modulator may ask, ``impedance_kohm`` what the train's pulses meet at the end of a phase
    (voltage over current), ``enabled`` whether the electrode is used at all. Where the array
    records, ``evoked_hz`` is the rate above spontaneous at ``max_ua`` in a sustained train, ``below`` the activity
    below threshold, and ``crosstalk`` what neighbours add.
    """

    made: Provenance
    train: TrainParameters
    x_deg: tuple[float, ...]
    y_deg: tuple[float, ...]
    rf_sigma_deg: tuple[Annotated[float, Field(gt=0)], ...]
    threshold_ua: tuple[Annotated[float, Field(ge=0)], ...]
    max_ua: tuple[Annotated[float, Field(ge=0)], ...]
    impedance_kohm: tuple[Annotated[float, Field(gt=0)], ...]
    enabled: tuple[bool, ...]
    curve: ActivityCurve
    evoked_hz: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    below: BelowThreshold | None = None
    crosstalk: Crosstalk | None = None

    @property
    def electrodes(self) -> int:
        """The number of electrodes."""
        return len(self.x_deg)

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of the content."""
        # what is absent is left out, so that a new optional part changes no old digest
        text = json.dumps(_said(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def column(self, name: str) -> F64:
        """Return one per-electrode column as f64[n]."""
        return np.asarray(getattr(self, name), dtype=np.float64)

    @model_validator(mode="after")
    def _consistent(self) -> Calibration:
        n = self.electrodes
        for name in ("y_deg", "rf_sigma_deg", "threshold_ua", "max_ua", "impedance_kohm", "enabled"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"'{name}' has {len(getattr(self, name))} rows, 'x_deg' has {n}")
        for i, (on, low, high) in enumerate(zip(self.enabled, self.threshold_ua, self.max_ua, strict=True)):
            if on and high <= low:
                raise ValueError(f"electrode {i}: max_ua {high} is not above threshold_ua {low}; disable it")
        if self.evoked_hz is not None and len(self.evoked_hz) != n:
            raise ValueError(f"'evoked_hz' has {len(self.evoked_hz)} rows, 'x_deg' has {n}")
        self._check_curve(n)
        if self.below is not None and (
            len(self.below.activity) != n
            or any(row[-1] > curve[0] for row, curve in zip(self.below.activity, self.curve.activity, strict=True))
        ):
            raise ValueError(f"'below.activity' must be {n} rows, none above the start of its 'curve.activity'")
        return self

    def _check_curve(self, n: int) -> None:
        fraction = np.asarray(self.curve.fraction)
        if len(fraction) < 2 or fraction[0] != 0 or fraction[-1] != 1 or np.any(np.diff(fraction) <= 0):
            raise ValueError("'curve.fraction' must rise from 0 to 1")
        for name in ("activity", "brightness"):
            rows = getattr(self.curve, name)
            if len(rows) != n or any(len(row) != len(fraction) for row in rows):
                raise ValueError(f"'curve.{name}' must be {n} rows of {len(fraction)}")
            table = np.asarray(rows)
            if table.size and (table.min() < 0 or table.max() > 1 or np.any(np.diff(table, axis=1) < 0)):
                raise ValueError(f"'curve.{name}' must be in 0..1 and never fall along a row")


def nominal_calibration(rig: str, electrodes: int, max_ua: float, impedance_kohm: float) -> Calibration:
    """Return what is assumed of a patient before anything was measured: nothing but what the hardware is."""
    n, line = electrodes, (0.0, 1.0)
    return Calibration(
        made=Provenance(rig=rig, date="", method="nominal, not measured", seed=None, trials=0, version=""),
        train=TrainParameters(pulse_width_us=0, rate_hz=0.0, train_ms=0.0),
        x_deg=(0.0,) * n,
        y_deg=(0.0,) * n,
        rf_sigma_deg=(1.0,) * n,
        threshold_ua=(0.0,) * n,
        max_ua=(max_ua,) * n,
        impedance_kohm=(impedance_kohm,) * n,
        enabled=(True,) * n,
        curve=ActivityCurve(fraction=line, activity=(line,) * n, brightness=(line,) * n),
    )


def load_calibration(path: Path) -> Calibration:
    """Read a calibration; ``ConfigError`` names what is wrong in it."""
    return load_model(Calibration, path)


def _said(calibration: Calibration) -> dict[str, Any]:
    """Return the parts that are there, as plain data."""
    return {key: value for key, value in calibration.model_dump(mode="json").items() if value is not None}


class _Flow(yaml.SafeDumper):
    """Columns on one line each: a thousand electrodes stay a file one can scroll through."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        node: yaml.SequenceNode = super().represent_sequence(tag, sequence, flow_style=True)
        return node


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration as YAML."""
    data = _said(calibration)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(data, Dumper=_Flow, sort_keys=False, width=100_000), encoding="utf-8")
