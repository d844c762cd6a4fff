from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prosthesis import config
from prosthesis.config import ArrayConfig, Rig, load_rig, slot_us
from prosthesis.errors import ConfigError

HAND = Path(__file__).resolve().parent.parent / "rigs" / "hand2x2"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A copy of the hand-checked rig, to be spoilt."""
    return Path(shutil.copytree(HAND, tmp_path / "lab"))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def failure(lab: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_rig(str(lab / "rig.yaml"))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_parts_beside_the_rig_are_found_from_any_directory(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rig = load_rig("lab/rig.yaml")
    assert (rig.array.name, rig.stimulator.name, rig.link.name) == ("square4", "hand", "hand")
    assert rig.electrodes == 4


def test_one_slot_is_two_phases_the_gap_and_the_recovery(hand_rig: Rig) -> None:
    assert slot_us(hand_rig) == 200 + 50 + 200 + 50


def test_electrodes_count_every_placement(lab: Path) -> None:
    replace(lab / "rig.yaml", "[{x_mm: 4.0, y_mm: 0.0}]", "[{x_mm: 4.0, y_mm: 0.0}, {x_mm: 9.0, y_mm: 0.0}]")
    assert load_rig(str(lab / "rig.yaml"), uncalibrated=True).electrodes == 8
    assert "4 electrodes, but rig 'hand2x2' has 8; make one with 'prosthesis calibrate hand2x2'" in failure(lab)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("rig.yaml", "pulse_width_us: 200", "pulse_width_us: 1001", ("'modulator.pulse_width_us'", "50 to 1000 us")),
        ("rig.yaml", "pulse_width_us: 200", "pulse_width_us: 49", ("'modulator.pulse_width_us'", "50 to 1000 us")),
        ("rig.yaml", "interphase_us: 50", "interphase_us: 201", ("'modulator.interphase_us'", "0 to 200")),
        ("rig.yaml", "rate_hz: 100", "rate_hz: 501", ("'modulator.rate_hz'", "1.0 to 500.0 Hz")),
        ("rig.yaml", "raster_groups: 2", "raster_groups: 21", ("'modulator.raster_groups'", "21 slots of 500 us")),
        ("stimulator.yaml", "channels: 8", "channels: 3", ("'stimulator'", "3 channels for 4 electrodes")),
        ("link.yaml", "ttl_ms: 100", "ttl_ms: 66", ("'link'", "ttl_ms 66")),
        ("rig.yaml", "fps: 30", "fps: 19", ("'link'", "two frames")),
        ("rig.yaml", "hemisphere: left", "hemisphere: middle", ("'implant.hemisphere'", "'left' or 'right'")),
        ("rig.yaml", "type: map", "type: magic", ("'encoder'", "'map', 'latent'")),
        ("array.yaml", "type: grid", "type: ring", ("'layout'", "grid")),
        ("array.yaml", "{value: 4, source: made up}", "{value: 4}", ("'limits.advisory.charge_per_phase_nc.source'",)),
        ("array.yaml", "value: 4,", "value: -4,", ("charge_per_phase_nc.value'", "greater than 0")),
        ("array.yaml", "area_um2: 10000", "area_um2: 0", ("'contact.area_um2.number'", "greater than 0")),
        ("array.yaml", "area_um2: 10000", "area_um2: [1, 2, -3, 4]", ("'contact.area_um2.list.2'", "greater than 0")),
        ("array.yaml", "area_um2: 10000", "area_um2: [1, 2, 3]", ("'contact.area_um2' has 3 values for 4 contacts",)),
        ("link.yaml", "tile_electrodes: 8", "tile_electrodes: 12", ("'tile_electrodes'", "multiple of 8")),
        ("rig.yaml", "world: world.yaml", "", ("'world' is missing",)),
        ("rig.yaml", "world:", "wrold:", ("unknown key 'wrold'",)),
        ("rig.yaml", "array: array.yaml", "array: utah97", ("'implant.array'", "no implant named 'utah97'", "utah96")),
        ("rig.yaml", "link: link.yaml", "link: gone.yaml", ("key 'link'", "no file 'gone.yaml'")),
    ],
)
def test_a_conflict_or_slip_names_its_file_and_key(
    lab: Path, file: str, old: str, new: str, words: tuple[str, ...]
) -> None:
    replace(lab / file, old, new)
    message = failure(lab)
    assert "lab" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rig.yaml", "pulse_width_us: 200", "pulse_width_us: 1000"),
        ("rig.yaml", "pulse_width_us: 200", "pulse_width_us: 50"),
        ("rig.yaml", "interphase_us: 50", "interphase_us: 200"),
        ("rig.yaml", "raster_groups: 2", "raster_groups: 20"),  # 20 slots of 500 us are just one period at 100 Hz
        ("stimulator.yaml", "channels: 8", "channels: 4"),
        ("link.yaml", "ttl_ms: 100", "ttl_ms: 67"),
    ],
)
def test_what_just_fits_is_accepted(lab: Path, file: str, old: str, new: str) -> None:
    replace(lab / file, old, new)
    load_rig(str(lab / "rig.yaml"))


def test_another_calibration_can_take_the_place_of_the_rigs_own(lab: Path) -> None:
    other = lab / "other.yaml"
    other.write_text((lab / "calibration.yaml").read_text().replace("[60, 60, 60, 60]", "[61, 60, 60, 60]"))
    (lab / "calibration.yaml").unlink()
    assert load_rig(str(lab / "rig.yaml"), other).calibration.max_ua == (61, 60, 60, 60)


def test_without_a_calibration_nominal_values_reach_the_dacs_full_scale(lab: Path) -> None:
    (lab / "calibration.yaml").unlink()
    rig = load_rig(str(lab / "rig.yaml"), uncalibrated=True)
    assert rig.calibration.max_ua == pytest.approx((102.3,) * 4)


def test_an_unknown_rig_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match="no rig named 'utah95'; there are: alpha1600, argus60, icvp400, nhp1024, nhp1024_latent"
    ):
        load_rig("utah95")


def test_names_are_sorted_and_the_root_can_lie_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "__file__", str(tmp_path / "prosthesis" / "config.py"))
    for name in ("b", "a"):
        path = tmp_path / "hardware_configs" / "rigs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert config.names("rigs") == ["a", "b"]
    (tmp_path / "prosthesis" / "hardware_configs").mkdir(parents=True)
    assert config.names("rigs") == []


def test_omitted_places_are_no_contacts_and_points_are_counted(hand_rig: Rig) -> None:
    data = hand_rig.array.model_dump()
    data["layout"]["omit"] = (0, 3)
    assert ArrayConfig.model_validate(data).contacts == 2
    data["layout"] = {"type": "points", "xy_um": ((0, 0), (100, 0), (0, 100))}
    assert ArrayConfig.model_validate(data).contacts == 3


def test_more_tiles_than_a_frame_can_number_are_refused(lab: Path) -> None:
    places = ", ".join(["{x_mm: 4.0, y_mm: 0.0}"] * 511)  # 2044 electrodes in tiles of 8 are 256
    replace(lab / "rig.yaml", "[{x_mm: 4.0, y_mm: 0.0}]", f"[{places}]")
    replace(lab / "stimulator.yaml", "channels: 8", "channels: 2044")
    with pytest.raises(ConfigError, match="key 'link': 2044 electrodes in tiles of 8 are 256 tiles, at most 255"):
        load_rig(str(lab / "rig.yaml"), uncalibrated=True)
