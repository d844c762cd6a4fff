from __future__ import annotations

import re

import numpy as np
import pytest

from prosthesis.config import LinkConfig, Rig, RigConfig, config_root, find, load_rig, names
from prosthesis.layout import contacts, raster_slots
from prosthesis.limits import guard_limits
from prosthesis.yamlfile import load_model

REFERENCE = {"argus60": 60, "utah96": 96, "icvp400": 400, "nhp1024": 1024}


@pytest.fixture(params=names("rigs"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rig(name: str) -> Rig:
    return load_rig(name, uncalibrated=True)


def test_the_reference_patients_are_there() -> None:
    assert set(REFERENCE) <= set(names("rigs"))


def test_a_rigs_parts_exist_and_work_together(name: str, rig: Rig) -> None:
    assert rig.config.name == name
    assert rig.electrodes == REFERENCE.get(name, rig.electrodes)


def test_a_rigs_calibration_is_its_own(name: str) -> None:
    wanted = load_model(RigConfig, find("rigs", name)).calibration
    if wanted not in names("calibrations"):
        pytest.skip(f"no calibration '{wanted}' is shipped yet")
    rig = load_rig(name)
    assert rig.calibration.made.rig == name
    modulator = rig.config.modulator
    assert rig.calibration.train.pulse_width_us == modulator.pulse_width_us
    assert rig.calibration.train.rate_hz == modulator.rate_hz


def test_no_slot_is_fuller_than_the_stimulators_sources(rig: Rig) -> None:
    modulator = rig.config.modulator
    arrays = len(rig.config.implant.placements)
    slot = raster_slots(rig.array, arrays, modulator.raster_groups, modulator.raster_order)
    assert np.bincount(slot).max() <= guard_limits(rig).hard.simultaneous


def test_arrays_do_not_touch(rig: Rig) -> None:
    c = contacts(rig.array)
    reach_mm = np.hypot(c.x_um, c.y_um).max() / 1000
    at = np.array([(p.x_mm, p.y_mm) for p in rig.config.implant.placements])
    apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + np.eye(len(at)) * 1e9
    # corner to corner at worst; grids that are not turned only meet side by side
    assert apart.min() > reach_mm * np.sqrt(2)


def test_published_human_thresholds_pass_the_hard_limits_of_the_cortical_arrays() -> None:
    """A flat 4 nC gate would refuse them: 66.8 uA for 170 us is 11.4 nC (Fernandez 2021)."""
    limits = guard_limits(load_rig("utah96", uncalibrated=True))
    charge = min(np.min(cap.charge_nc) for cap in limits.caps if cap.tier == "hard")
    current = min(np.min(cap.current_ua) for cap in limits.caps if cap.tier == "hard")
    assert charge > 66.8 * 0.170
    assert current > 66.8
    advisory = min(np.min(cap.charge_nc) for cap in limits.caps if cap.tier == "advisory")
    # 4 nC on 2000 um2 lost neurons (McCreery 2010); 2 nC did not
    assert advisory <= 4.0


def test_a_radio_that_a_shipped_rig_names_carries_its_frames(rig: Rig) -> None:
    if rig.link.radio.rate_kbps is None:
        return
    tiles = -(-rig.electrodes // rig.link.tile_electrodes)
    size = tiles * (52 + rig.link.tile_electrodes * rig.stimulator.dac_bits // 8)
    assert size * 8 * rig.config.camera.fps < rig.link.radio.rate_kbps * 1000


def test_every_link_is_valid_and_says_when_its_losses_are_made_up() -> None:
    for name in names("links"):
        path = find("links", name)
        link = load_model(LinkConfig, path)
        assert link.name == name
        assert link.radio.loss == 0 or "synthetic" in path.read_text()


@pytest.mark.parametrize("kind", ["implants", "stimulators"])
def test_every_number_of_a_part_has_a_source(kind: str) -> None:
    for name in names(kind):
        lines = find(kind, name).read_text().splitlines()
        assert any(line.startswith("sources:") for line in lines)
        for line in lines:
            if "value:" in line and "#" not in line:
                following = lines[lines.index(line) + 1]
                assert "source:" in following, f"{name}: {line}"


def test_a_part_fits_on_a_screen_and_is_named_as_its_file() -> None:
    for kind in ("implants", "stimulators", "links", "rigs"):
        for name in names(kind):
            text = (config_root() / kind / f"{name}.yaml").read_text()
            assert text.startswith(f"name: {name}\n")
            text = re.sub(r"(?ms)^(  \w+: \[)[^\n]*\n.*?^  \]", r"\1]", text)  # lists of contacts aside
            assert text.count("\n") < 60, name
