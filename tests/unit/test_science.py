"""NWB and BIDS files of a made-up session, read by the sciences' own tools and compared with what was published."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import HAND
from made_up_session import AMPLITUDE_UA, LOST, PULSES, UNHEARD, WIDTH_US, record_session
from mcap_rewrite import rewrite

from prosthesis import cli
from prosthesis.config import load_rig
from prosthesis.errors import ConfigError, MissingExtraError, ProsthesisError
from prosthesis.messages import readonly
from prosthesis.recording.identity import RIG_PART, rig_text
from prosthesis.recording.recorder import Recorder, read
from prosthesis_sim.science.bids import write_events
from prosthesis_sim.science.gather import gather

WEAKER_FROM, WEAKER_UA = 16, 30.0  # of electrode 3
RECORDED = "2026-11-28T12:00:00.250+00:00"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The made-up session; its last electrode gets another amplitude in the middle."""
    folder = tmp_path_factory.mktemp("science")
    record_session(folder / "first.mcap", metadata={"rig": "hand2x2", "recorded": RECORDED, "source": "made up"})

    def weaker(topic, message):
        if topic == "delivered" and message.seq >= WEAKER_FROM:
            amplitude = np.array(message.amplitude_ua)
            amplitude[3] = WEAKER_UA
            return replace(message, amplitude_ua=readonly(amplitude, np.float32))
        return message

    rewrite(folder / "first.mcap", folder / "run.mcap", weaker)
    return folder / "run.mcap"


@pytest.fixture(scope="module")
def delivered(log):
    return [message for _, message in read(log, ["delivered"])]


@pytest.fixture(scope="module")
def nwb(log, tmp_path_factory):
    pytest.importorskip("pynwb", reason="pynwb is not installed")
    from prosthesis_sim.science.nwb import write_nwb

    out = tmp_path_factory.mktemp("nwb") / "run.nwb"
    write_nwb(log, out, 0.1, HAND)
    return out


def test_trains_are_what_was_delivered(log, delivered):
    trains = gather(log, 1.0, HAND).trains
    assert trains.electrode.tolist() == [1, 2, 3, 3]
    before = [d for d in delivered if d.seq < WEAKER_FROM]
    assert trains.pulses.tolist() == [2 * len(delivered)] * 2 + [2 * len(before), 2 * (len(delivered) - len(before))]
    assert trains.amplitude_ua.tolist() == [*AMPLITUDE_UA[1:], WEAKER_UA]
    assert trains.charge_nc == pytest.approx(trains.amplitude_ua * WIDTH_US * trains.pulses * 1e-3)
    total = sum(float((d.amplitude_ua * d.pulse_width_us * d.pulses).sum()) for d in delivered) * 1e-3
    assert trains.charge_nc.sum() == pytest.approx(total)
    first_s, changed_s = delivered[0].t0_ns * 1e-9, delivered[len(before)].t0_ns * 1e-9
    assert trains.start_s[3] - trains.start_s[0] == pytest.approx(changed_s - first_s, abs=1e-6)
    assert trains.stop_s[2] == trains.start_s[3]


def test_pynwb_reads_what_was_published(nwb, log, delivered):
    from pynwb import NWBHDF5IO

    rig = load_rig(HAND)
    with NWBHDF5IO(str(nwb), "r") as io:
        file = io.read()
        assert file.session_start_time.isoformat() == "2026-11-28T12:00:00.250000+00:00"
        assert json.loads(file.notes)["source"] == "made up"
        assert "simulated: no animal and no person" in file.subject.description
        electrodes = file.electrodes.to_dataframe()
        assert electrodes["threshold_ua"].tolist() == list(rig.calibration.threshold_ua)
        assert electrodes["x_deg"].tolist() == list(rig.calibration.x_deg)
        assert electrodes["imp"].tolist() == [1000 * z for z in rig.calibration.impedance_kohm]
        amplitude = file.stimulus["delivered_amplitude"]
        want = np.array([d.amplitude_ua for d in delivered])
        assert (amplitude.data[:] == want).all()
        assert (amplitude.unit, amplitude.conversion) == ("amperes", 1e-6)
        assert (file.stimulus["delivered_pulses"].data[:] == np.array([d.pulses for d in delivered])).all()
        gaps = np.diff(amplitude.timestamps[:])
        assert gaps == pytest.approx(np.diff([d.t0_ns for d in delivered]) * 1e-9, abs=1e-6)
        trains = file.intervals["stimulation_trains"].to_dataframe()
        assert [int(rows.index[0]) for rows in trains["electrodes"]] == [1, 2, 3, 3]
        assert trains["pulse_width_us"].tolist() == [WIDTH_US] * 4
        seen = file.processing["percept"]
        percepts = [message for _, message in read(log, ["percept"])]
        assert seen["visible_phosphenes"].data[:].tolist() == [p.visible for p in percepts]
        assert seen["percept_mean"].data[:] == pytest.approx([float(p.image.mean()) for p in percepts])
        first = next(iter(seen["percept_pictures"].order_of_images))
        assert (first.data[:] == percepts[0].image).all()
        frames = [message for _, message in read(log, ["frame"])]
        camera = file.stimulus["camera"]
        assert (camera.indexed_images.order_of_images[0].data[:] == frames[0].rgb).all()
        assert len(camera.timestamps) == pytest.approx(len(frames) * 0.02 / 0.1, abs=2)
        states = file.intervals["implant_states"].to_dataframe()
        assert states["state"].tolist() == ["silent", "stimulating"]
        assert file.events["events"]["annotation"][:].tolist() == ["implant is <stimulating>"]


def test_h5py_reads_the_same_numbers_without_pynwb(nwb, delivered):
    h5py = pytest.importorskip("h5py")
    with h5py.File(nwb) as file:
        assert file.attrs["nwb_version"].startswith("2.")
        stored = file["stimulus/presentation/delivered_amplitude/data"]
        assert stored.shape == (len(delivered), 4)
        assert stored.compression == "gzip"
        assert (stored[:] == np.array([d.amplitude_ua for d in delivered])).all()
        table = file["intervals/stimulation_trains"]
        assert table["charge_nc"][:].sum() == pytest.approx(
            (np.array(AMPLITUDE_UA) * WIDTH_US * 1e-3) @ _pulses(delivered)
        )


def _pulses(delivered):
    """Return the pulses of each electrode, those of weaker current counted by its share."""
    pulses = np.zeros(4)
    for d in delivered:
        pulses += np.array(PULSES) * (d.amplitude_ua / np.maximum(AMPLITUDE_UA, 1e-9))
    return pulses


def test_the_inspector_finds_nothing_critical(nwb):
    inspector = pytest.importorskip("nwbinspector", reason="nwbinspector is not installed")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(nwb)))
    serious = ("ERROR", "PYNWB_VALIDATION", "CRITICAL")
    assert [f"{m.check_function_name}: {m.message}" for m in found if m.importance.name in serious] == []


def test_bids_events_are_the_trains_states_and_sentences(log, tmp_path):
    table, words = write_events(log, tmp_path, rig_name=HAND)
    assert table.name == "sub-madeup3_task-seeing_events.tsv"
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0])[:3] == ["onset", "duration", "trial_type"]
    onsets = [float(row["onset"]) for row in rows]
    assert onsets == sorted(onsets)
    kinds = [row["trial_type"] for row in rows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"stimulation": 4, "state": 2, "event": 1}
    strongest = [row for row in rows if row["electrical_stimulation_site"] == "3"]
    assert [float(row["electrical_stimulation_current"]) for row in strongest] == [40e-6, 30e-6]
    said = json.loads(words.read_text())
    assert set(said) - {"StimulusPresentation"} == set(rows[0])
    assert said["electrical_stimulation_current"]["Units"] == "A"
    assert all(cell for row in rows for cell in row.values())


def test_frames_lost_or_unheard_leave_no_interval(delivered):
    assert not {d.seq for d in delivered} & {*LOST, UNHEARD}


def test_a_recording_that_holds_its_rig_needs_no_name(tmp_path):
    Recorder(tmp_path / "empty.mcap", [], {}, {RIG_PART: rig_text(load_rig(HAND))}).stop()
    assert gather(tmp_path / "empty.mcap").rig.config.name == "hand2x2"


def test_what_is_missing_is_said_in_one_line(log, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="does not hold its rig; name the one that was recorded: --rig NAME"):
        gather(log)
    Recorder(tmp_path / "empty.mcap", [], {}).stop()
    pytest.importorskip("pynwb")
    from prosthesis_sim.science.nwb import write_nwb

    with pytest.raises(ProsthesisError, match="nothing was delivered in this recording"):
        write_nwb(tmp_path / "empty.mcap", tmp_path / "x.nwb", rig_name=HAND)
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'prosthesis\[science\]'"):
        write_nwb(log, tmp_path / "x.nwb", rig_name=HAND)


def test_the_verbs_write_beside_the_recording(log, capsys):
    pytest.importorskip("pynwb")
    assert cli.main(["nwb", str(log), "--rig", HAND]) == 0
    assert "4 trains" in capsys.readouterr().out
    assert log.with_suffix(".nwb").stat().st_size > 10_000
    assert cli.main(["bids", str(log), "--rig", HAND, "--subject", "x 1"]) == 0
    assert (log.parent / "sub-x1_task-seeing_events.tsv").exists()


def test_a_recording_is_not_written_over_by_what_is_made_of_it(log, tmp_path):
    pytest.importorskip("pynwb", reason="pynwb is not installed")
    from prosthesis_sim.science.nwb import write_nwb

    copy = tmp_path / "run.mcap"
    copy.write_bytes(log.read_bytes())
    with pytest.raises(ConfigError, match="is the recording itself"):
        write_nwb(copy, copy, 1.0, HAND)
    assert copy.read_bytes() == log.read_bytes()


def test_a_subject_without_letters_is_refused(log, tmp_path):
    with pytest.raises(ConfigError, match="no letter and no digit"):
        write_events(log, tmp_path, "***", HAND)
