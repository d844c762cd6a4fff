"""Contacts of different size in one array: each is limited by its own area, on the device and in the implant."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from prosthesis.check import check
from prosthesis.config import Rig, load_rig
from prosthesis.limits import guard_limits
from prosthesis.messages import Refusal, StimulationPattern
from prosthesis.modulator import PulseModulator
from prosthesis.safety import Guard
from prosthesis_sim.limits import implant_limits, refuse_electrodes

HAND = Path(__file__).resolve().parent.parent / "rigs" / "hand2x2"
WIDTH_US = 200


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The hand-checked rig, its second contact of a quarter of the others' area: 2500 of 10000 um2."""
    path = Path(shutil.copytree(HAND, tmp_path / "lab"))
    array = path / "array.yaml"
    text = array.read_text()
    assert "area_um2: 10000" in text
    array.write_text(text.replace("area_um2: 10000", "area_um2: [10000, 2500, 10000, 10000]"))
    return path


def limited(lab: Path, old: str, new: str) -> Rig:
    array = lab / "array.yaml"
    text = array.read_text()
    assert old in text
    array.write_text(text.replace(old, new))
    return load_rig(str(lab / "rig.yaml"))


def asked(amplitude_ua: float) -> StimulationPattern:
    return StimulationPattern(
        1, 1,
        np.full(4, amplitude_ua, np.float32), np.full(4, WIDTH_US, np.float32), np.full(4, 100, np.float32),
        np.array([0, 1, 1, 0], np.uint8),
    )  # fmt: skip


def test_the_guard_limits_the_small_contact_first(lab: Path) -> None:
    """200 uC/cm2 are 20 nC, or 100 uA, on 10000 um2, and 5 nC, or 25 uA, on 2500 um2."""
    rig = limited(lab, "value: 1000,", "value: 200,")
    guard = Guard(guard_limits(rig))
    allowed, found, _ = guard.allow(asked(25.0), guard.initial(), 0.0)
    assert allowed.amplitude_ua.tolist() == [25, 25, 25, 25]
    assert "charge density" not in {i.rule for i in found if i.tier == "hard"}
    allowed, found, _ = guard.allow(asked(30.0), guard.initial(), 0.0)
    assert allowed.amplitude_ua.tolist() == [30, 25, 30, 30]
    one = next(i for i in found if i.rule == "charge density" and i.tier == "hard")
    assert (one.electrodes, one.limit) == (1, 200)
    assert one.worst == pytest.approx(240)  # 6 nC on 2500 um2


def test_shannons_law_gives_a_quarter_of_the_area_half_the_charge(lab: Path) -> None:
    limited(lab, "scale: micro", "scale: macro")
    rig = limited(lab, "  hard:\n", "  hard:\n    shannon_k: {value: 1.85, source: made up}\n")
    cap = next(cap for cap in guard_limits(rig).caps if cap.rule == "Shannon")
    charge_nc = np.broadcast_to(cap.charge_nc, 4)
    # Q = sqrt(10^1.85 x 1e-4 cm2) = 0.0841 uC
    assert charge_nc == pytest.approx([84.14, 42.07, 84.14, 84.14], abs=0.01)
    assert cap.limit == charge_nc[1]


def test_the_implant_refuses_the_small_contact_alone_and_to_the_integer(lab: Path) -> None:
    rig = limited(lab, "value: 1000,", "value: 200,")
    limits = implant_limits(rig)
    assert limits.density_fc.tolist() == [20_000_000, 5_000_000, 20_000_000, 20_000_000]
    configuration = PulseModulator(rig).configuration
    assert set(configuration.pulse_width_us) == {WIDTH_US}

    def refused(amplitude_na: int) -> list[int]:
        return refuse_electrodes(np.full(4, amplitude_na, np.int64), configuration, limits).tolist()

    assert refused(25_000) == [0, 0, 0, 0]
    assert refused(25_001) == [0, int(Refusal.CHARGE_DENSITY), 0, 0]


def test_check_says_both_sizes_and_who_would_be_limited(lab: Path) -> None:
    limited(lab, "value: 1000,", "value: 200,")
    lines = check(str(lab / "rig.yaml"))
    assert any("2500 to 10000 um2" in line for line in lines)
    line = next(line for line in lines if "charge density 200 uC/cm2" in line)
    assert "=   25.0 uA; 1 of 4 would be limited" in line
