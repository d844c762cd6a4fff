"""Pictures of one simulated patient with an array: the contacts, where they lie, and the phosphenes they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prosthesis.config import load_rig
from prosthesis.layout import contacts
from prosthesis_sim.coverage import covered_share
from prosthesis_sim.drawing import draw_array, draw_on_tissue, draw_phosphenes
from prosthesis_sim.electrodes import place
from prosthesis_sim.individual import draw
from prosthesis_sim.patient import AxonMapSpread, CortexMap, load_world
from prosthesis_sim.screen import sigma_mm

WITHIN_DEG = 10.0


def show_patient(rig_name: str, patient: int, day: float, folder: Path) -> Sequence[str]:
    """Write ``array.png``, ``placement.png`` and ``phosphenes.png`` into ``folder``; return lines that sum them up.

    Phosphenes are as large as at each electrode's own threshold. Raises ``ConfigError`` when rig or world are wrong,
    ``ProsthesisError`` without matplotlib.
    """
    rig = load_rig(rig_name, uncalibrated=True)
    world = load_world(rig.config.world, rig.path.parent)
    array, layout = place(rig.config.implant, rig.array), contacts(rig.array)
    person, retinotopy = draw(world, array, patient, day), world.retinotopy.build()
    spread = world.spread
    # with the published law thresholds are activations, and 60 uA is the middle of what people needed
    threshold_ua = person.scale_ua if world.tissue.type == "pulse" else np.full(len(array.u_mm), 60.0)
    size_mm = (
        np.full(len(array.u_mm), spread.rho_um * 1e-3)
        if isinstance(spread, AxonMapSpread)
        else np.asarray(sigma_mm(spread, threshold_ua))
    )
    radius = np.where(person.inside, 2 * size_mm / person.mm_per_deg, np.nan)
    x, y = (np.where(person.inside, at, np.nan) for at in (person.x_deg, person.y_deg))
    who = f"patient {patient}" + (f", day {day:g}" if day else "")
    cortical = isinstance(world.retinotopy, CortexMap)
    half_field = {"left": "right", "right": "left"}[array.hemisphere] if cortical else "both"
    areas, depths = np.asarray(rig.array.areas_um2), np.asarray(rig.array.depths_um)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "array": draw_array(
            layout.x_um, layout.y_um, areas, depths, f"{rig.array.name}: {rig.array.contacts} contacts"
        ),
        "placement": draw_on_tissue(
            array.u_mm,
            array.v_mm,
            person.inside,
            lambda x_deg, y_deg: retinotopy.to_tissue(x_deg, y_deg, array.hemisphere),
            f"{rig.config.name} in {world.name}",
            half_field,
        ),
        "phosphenes": draw_phosphenes(x, y, radius, person.responsive, f"{rig.config.name}, {who}"),
    }
    for name, figure in pictures.items():
        figure.savefig(folder / f"{name}.png", dpi=80)
    seen = person.responsive
    share = covered_share(x[seen], y[seen], radius[seen], WITHIN_DEG)
    lines = [
        f"{rig.electrodes} electrodes, {int(person.inside.sum())} in the map, {int(seen.sum())} evoke phosphenes",
        f"phosphenes at {np.hypot(x[seen], y[seen]).min():.1f} to {np.hypot(x[seen], y[seen]).max():.1f} degrees, "
        f"on {share:.2%} of the field within {WITHIN_DEG:g} degrees",
    ]
    if world.tissue.type == "pulse":
        train = world.tissue.threshold
        low, middle, high = np.percentile(person.scale_ua[seen], [5, 50, 95])
        lines.append(
            f"thresholds {middle:.0f} uA ({low:.0f} to {high:.0f} for nine in ten) for {train.train_s * 1e3:g} ms of "
            f"{train.pulse_width_us:g} us at {train.rate_hz:g} Hz"
        )
    return lines
