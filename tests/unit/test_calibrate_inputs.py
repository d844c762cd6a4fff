"""The calibrate verb refuses, before the first trial, what would fail or be regretted after the last."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from helpers import HAND
from lab import Wired

from prosthesis import assembly
from prosthesis.calibration.calibrate import calibrate
from prosthesis.calibration.out import check_out
from prosthesis.calibration.procedure import Plan
from prosthesis.cli import main
from prosthesis.config import load_rig
from prosthesis.errors import ConfigError


@pytest.fixture
def lab(tmp_path):
    """A rig of one's own with a code map's folder beside it."""
    lab = Path(shutil.copytree(Path(HAND).parent, tmp_path / "lab"))
    model = lab / "models" / "mine"
    model.mkdir(parents=True)
    (model / "bundle.yaml").write_text("mine")
    (lab / "film.mp4").write_text("film")
    text = (lab / "rig.yaml").read_text()
    text = text.replace("luminance-32", "models/mine").replace("synthetic:bar", "film.mp4")
    (lab / "rig.yaml").write_text(text)
    return lab


@pytest.fixture
def calibrated(monkeypatch, tmp_path):
    """Every calibration that is begun, none of which is made."""
    monkeypatch.chdir(tmp_path)
    begun = []
    measured = load_rig(HAND).calibration
    monkeypatch.setattr(assembly, "calibrate_rig", lambda *a, **k: begun.append((a, k)) or measured)
    return begun


def refusal(capsys, *options):
    assert main(["calibrate", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_folder_is_no_place_to_write(lab, calibrated, capsys):
    line = refusal(capsys, str(lab / "rig.yaml"), "--out", str(lab))
    assert f"--out {lab}: is a folder; name a file" in line
    assert not calibrated


def test_a_file_that_cannot_be_written_is_found_before_the_first_trial(lab, calibrated, capsys):
    line = refusal(capsys, str(lab / "rig.yaml"), "--out", str(lab / "film.mp4" / "patient.yaml"))
    assert "cannot be written (" in line
    assert not calibrated


def test_a_file_name_too_long_is_found_before_the_first_trial(lab, calibrated, capsys):
    line = refusal(capsys, str(lab / "rig.yaml"), "--out", str(lab / ("a" * 255 + ".yaml")))
    assert "cannot be written (" in line
    assert not calibrated


@pytest.mark.parametrize(
    "name",
    ["rig.yaml", "array.yaml", "stimulator.yaml", "link.yaml", "world.yaml", "film.mp4", "models/mine/bundle.yaml"],
)
def test_no_part_of_the_rig_is_written_over(lab, calibrated, capsys, name):
    before = (lab / name).read_bytes()
    line = refusal(capsys, str(lab / "rig.yaml"), "--out", str(lab / name))
    assert "is a part of rig" in line
    assert "write to another file" in line
    assert (lab / name).read_bytes() == before
    assert not calibrated


def test_a_part_by_another_name_is_the_part(lab):
    rig = load_rig(str(lab / "rig.yaml"), uncalibrated=True)
    (lab / "link-to-it.yaml").symlink_to("rig.yaml")
    os.link(lab / "link.yaml", lab / "hard.yaml")
    for name in ("link-to-it.yaml", "hard.yaml", "models/../rig.yaml"):
        with pytest.raises(ConfigError, match="is a part of rig"):
            check_out(lab / name, rig)


def test_a_shipped_part_is_a_part():
    rig = load_rig("utah96", uncalibrated=True)
    with pytest.raises(ConfigError, match="is a part of rig"):
        check_out(rig.path, rig)
    with pytest.raises(ConfigError, match="is a part of rig"):
        check_out(rig.path.parent.parent / "stimulators" / f"{rig.config.stimulator}.yaml", rig)


@pytest.mark.parametrize("name", ["calibration.yaml", "patient.yaml", "new/folder/patient.yaml"])
def test_the_rigs_calibration_or_any_other_file_is_written(lab, calibrated, name):
    there = (lab / name).exists()
    check_out(lab / name, load_rig(str(lab / "rig.yaml"), uncalibrated=True))
    assert (lab / name).exists() == there
    assert main(["calibrate", str(lab / "rig.yaml"), "--out", str(lab / name)]) == 0
    assert len(calibrated) == 1
    assert "threshold_ua" in (lab / name).read_text()


def test_checking_leaves_what_is_there_as_it_is(lab):
    before = (lab / "calibration.yaml").read_bytes()
    check_out(lab / "calibration.yaml", load_rig(str(lab / "rig.yaml"), uncalibrated=True))
    assert (lab / "calibration.yaml").read_bytes() == before


def test_an_electrode_that_the_rig_lacks_is_refused_before_the_implant_is_asked(capsys, tmp_path):
    line = refusal(capsys, HAND, "--electrodes", "1,4-500", "--out", str(tmp_path / "c.yaml"))
    assert line.endswith("rig.yaml: there is no electrode 500 to measure; choose from 0 to 3")


@pytest.mark.parametrize("electrode", [4, -1])
def test_an_electrode_that_the_rig_lacks_is_refused(hand_rig, electrode):
    wired = Wired(hand_rig)
    with pytest.raises(ConfigError, match=f"there is no electrode {electrode} to measure; choose from 0 to 3"):
        calibrate(hand_rig, wired.session, wired.emulator.participant, wired.clock, Plan(), [0, electrode])


@pytest.mark.parametrize("rest", ["nan", "inf", "-5", "1e300", "long"])
def test_a_rest_that_is_no_time_is_refused(calibrated, capsys, rest):
    with pytest.raises(SystemExit) as left:
        main(["calibrate", HAND, f"--rest={rest}"])
    assert left.value.code == 2
    assert f"'{rest}' is not a time from 0 to 86400 s" in capsys.readouterr().err
    assert not calibrated


def test_a_list_without_end_is_refused(calibrated, capsys):
    with pytest.raises(SystemExit):
        main(["calibrate", HAND, "--electrodes", "0-99999999999"])
    assert "no implant has an electrode 99999999999" in capsys.readouterr().err
    assert not calibrated


def test_a_word_of_the_rig_is_not_a_folder_of_its_parts(lab):
    (lab / "left").mkdir()
    (lab / "left" / "patient.yaml").write_text("old")
    check_out(lab / "left" / "patient.yaml", load_rig(str(lab / "rig.yaml"), uncalibrated=True))
