"""Where a rig's electrodes stand on the tissue and its phosphenes in the visual field, as the page draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.config import Rig
from prosthesis.errors import ProsthesisError
from prosthesis.view import make_view
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import CortexMap, load_world

F64 = npt.NDArray[np.float64]
RINGS_DEG = (0.5, 1, 2, 4, 8, 16, 32, 64)
ANGLES_DEG = (-90, -60, -30, 0, 30, 60, 90)
POINTS = 61


def describe(rig: Rig, world: str) -> dict[str, Any]:
    """Return what never changes while a rig runs in a ``world``, ready for JSON.

    Positions on the tissue are those planned, in mm; those in the visual field are the calibration's, in degrees: the
    device knows no others, and the console shows what it knows. ``lines`` are of equal eccentricity and angle.
    """
    array, calibration = place(rig.config.implant, rig.array), rig.calibration
    config = load_world(world, rig.path.parent)
    cortical = isinstance(config.retinotopy, CortexMap)
    known: dict[str, Any] = {
        "rig": rig.config.name,
        "electrodes": rig.electrodes,
        "world": world,
        "tissue": "cortex" if cortical else "retina",
        "u": _rounded(array.u_mm),
        "v": _rounded(array.v_mm),
        "x": _rounded(calibration.column("x_deg")),
        "y": _rounded(calibration.column("y_deg")),
        "sigma": _rounded(calibration.column("rf_sigma_deg")),
        "enabled": [int(on) for on in calibration.enabled],
        "max_ua": _rounded(calibration.column("max_ua")),
        "camera_deg": list(rig.config.camera.field_deg),
        "lines": _lines(config.retinotopy.build(), array.hemisphere, cortical),
    }
    try:
        view = make_view(rig.config.view, rig.config.camera, calibration)
    except ProsthesisError:  # nothing enabled: there is still an array to show
        return known | {"crop": None, "field": None}
    field = view.field
    return known | {"crop": list(view.crop), "field": [field.x0_deg, field.x1_deg, field.y0_deg, field.y1_deg]}


def describe_unknown(electrodes: int, rig: str) -> dict[str, Any]:
    """Return the same for a rig that is not here any more: rows of electrodes by number, and no camera crop."""
    columns = max(1, int(np.ceil(np.sqrt(electrodes))))
    u, v = np.arange(electrodes) % columns + 0.5, columns - 0.5 - np.arange(electrodes) // columns
    ones = [1] * electrodes
    return {
        "rig": rig,
        "electrodes": electrodes,
        "world": "",
        "tissue": "rows",
        "u": _rounded(u),
        "v": _rounded(v),
        "x": _rounded(u),
        "y": _rounded(v),
        "sigma": [0.5] * electrodes,
        "enabled": ones,
        "max_ua": [100.0] * electrodes,
        "camera_deg": [0, 0],
        "lines": [],
        "crop": None,
        "field": [0, columns, 0, columns],
    }


def _lines(retinotopy: Any, hemisphere: str, cortical: bool) -> list[dict[str, Any]]:
    """Return lines on the tissue: label, u and v in mm; breaks where the map has no place."""
    turn = 90.0 if cortical else 180.0
    side = -1.0 if cortical and hemisphere == "right" else 1.0
    angle = np.deg2rad(np.linspace(-turn, turn, POINTS))
    radius = np.geomspace(0.05, 80, POINTS)
    found = [(f"{ring:g}°", side * ring * np.cos(angle), ring * np.sin(angle)) for ring in RINGS_DEG]
    found += [
        ("", side * radius * np.cos(np.deg2rad(a)), radius * np.sin(np.deg2rad(a)))
        for a in (ANGLES_DEG if cortical else range(0, 360, 45))
    ]
    lines = []
    for label, x_deg, y_deg in found:
        with np.errstate(all="ignore"):
            u, v = retinotopy.to_tissue(x_deg, y_deg, hemisphere)
        lines.append({"label": label, "u": _rounded(np.asarray(u)), "v": _rounded(np.asarray(v))})
    return lines


def _rounded(values: npt.NDArray[Any]) -> list[float | None]:
    """Return numbers short enough to send; what is not finite is null in JSON."""
    return [round(float(value), 3) if np.isfinite(value) else None for value in values]
