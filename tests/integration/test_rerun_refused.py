"""A recorded run whose camera check refuses frames, rerun: the guard remembers the silence in their place."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import HAND
from mcap_rewrite import rewrite

from prosthesis.assembly import run_rig, with_choices
from prosthesis.cameras.checks import FrameCheck
from prosthesis.config import load_rig
from prosthesis.messages import Delivered, Event, Heard, readonly
from prosthesis.recording.recorder import entries
from prosthesis.recording.rerun import PASSAGE, rerun
from prosthesis.recording.told import _refused, told
from prosthesis_sim.rerun import Patient

TOLD, MOST = ({"average_charge_nc_per_s": {"value": value, "source": "low"}} for value in (60, 80))


@pytest.fixture
def refused(sim, port, monkeypatch, tmp_path):
    """Two seconds of which every third frame is refused, by a guard that averages soon matter to."""
    rig = with_choices(load_rig(HAND), port=port)
    limits = type(rig.stimulator.limits).model_validate(
        {"hard": rig.stimulator.limits.hard.model_dump(exclude_none=True) | MOST, "advisory": TOLD}
    )
    rig = replace(rig, stimulator=rig.stimulator.model_copy(update={"limits": limits}))
    monkeypatch.setattr(FrameCheck, "fault", lambda self, frame: None if frame.seq % 3 else "black")
    sim()
    log = tmp_path / "refused.mcap"
    for _ in range(4):  # a machine that is very busy drops frames in the camera, or loses messages on their way
        run_rig(rig, 20, log, lambda passage, summary: summary.sent < 50)
        if told(log).unknown is None and whole(log):
            return log
    return pytest.fail("two seconds were never recorded whole")


def whole(log):
    """Tell whether no interval of the implant's time is missing, nor any pattern that it drove."""
    done = [entry.message for entry in entries(log, ["delivered"])]
    heard = {entry.message.seq for entry in entries(log, ["heard"]) if entry.message.what == "tiles"}
    joined = all(after.t0_ns == before.t0_ns + before.dt_ns for before, after in itertools.pairwise(done))
    return joined and {delivered.seq for delivered in done} - {0} <= heard


def rows_of(done):
    return {row.topic: row for row in done.rows}


def reached(log):
    """Return the first frame of which the guard tells that an average is too high."""
    return next(entry.message.seq for entry in entries(log, ["guard"]) if averages(entry.message))


def averages(report):
    return [item for item in report.interventions if item.rule == "average charge"]


def test_the_guard_remembers_the_silence_in_place_of_refused_frames(refused):
    reports = [bool(averages(entry.message)) for entry in entries(refused, ["guard"])]
    assert {True, False} == set(reports)
    silences = [seq for seq, _ in told(refused).silences]
    assert len(silences) > 10
    assert not [seq for seq in silences if seq % 3]
    done = rerun(refused, last="guard")
    assert done.holds
    assert rows_of(done)["guard"].same > 40


def test_the_patient_gets_the_silence_of_refused_frames(refused):
    delivered = rows_of(rerun(refused, last="implant", patient=Patient))["delivered"]
    assert (delivered.within, delivered.beyond) == (0, 0)
    assert delivered.same > 50
    assert delivered.same > 3 * delivered.skipped  # those before it was configured; a third of the rest was silence


def test_where_a_refused_frames_silence_was_not_heard_the_guards_difference_is_no_verdict(refused, tmp_path):
    gone = [seq for seq, _ in told(refused).silences if seq < reached(refused)]
    rewrite(refused, tmp_path / "deaf.mcap", lambda _, m: None if isinstance(m, Heard) and m.seq in gone else m)
    assert told(tmp_path / "deaf.mcap").unknown == gone[0]
    done = rerun(tmp_path / "deaf.mcap", last="guard")
    assert done.holds
    skipped = [rows_of(done)[topic].skipped for topic in ("allowed", "guard")]
    assert min(skipped) > 0
    note = done.notes[-1]
    assert f"frames from {gone[0]} on are missing in the recording" in note
    assert f"{sum(skipped)} of its messages that differ after them were skipped" in note


def test_what_was_wanted_is_missed_where_the_guard_is_the_first_hop(refused, tmp_path):
    sent = [entry.message.seq for entry in entries(refused, ["frame"])][5:25]
    rewrite(
        refused,
        tmp_path / "less.mcap",
        lambda topic, message: None if topic == "wanted" and message.seq in sent else message,
    )
    assert told(tmp_path / "less.mcap").unknown is None
    done = rerun(tmp_path / "less.mcap", "guard", "guard")
    assert done.holds
    assert rows_of(done)["guard"].skipped > 0
    assert rows_of(rerun(tmp_path / "less.mcap"))["guard"].same == rows_of(rerun(refused))["guard"].same


def test_without_a_refusal_a_pattern_that_nobody_recorded_is_not_taken_for_silence(refused, tmp_path):
    rewrite(refused, tmp_path / "untold.mcap", lambda topic, message: None if topic == "event" else message)
    assert told(tmp_path / "untold.mcap").silences == ()
    assert told(tmp_path / "untold.mcap").unknown == told(refused).silences[0][0]


def test_a_difference_before_anything_is_missing_is_one(refused, tmp_path):
    last = [entry.message.seq for entry in entries(refused, ["frame"])][-3]
    first = reached(refused)

    def change(topic, message):
        if topic in PASSAGE and message.seq == last:
            return None
        return replace(message, interventions=()) if topic == "guard" and message.seq == first else message

    rewrite(refused, tmp_path / "changed.mcap", change)
    row = rows_of(rerun(tmp_path / "changed.mcap", "guard", "guard"))["guard"]
    assert (row.beyond, row.first_beyond) == (1, first)


def test_a_refusal_may_go_untold_only_until_the_device_says_something_else():
    assert _refused([(3, True), (3, False), (9, False), (12, True)], 20) == [range(3, 4), range(12, 21)]


def test_a_pattern_that_was_delivered_was_no_silence(monkeypatch):
    """Two frames of a refusal's range left no messages: what the second one's pattern drove was no silence."""

    def drove(seq, ua):
        one = readonly(np.full(4, ua), np.float32)
        return Delivered(seq, 0, 0, 1, one, one, readonly(np.ones(4), np.int32), readonly(np.zeros(4), np.uint8))

    said = [
        Event(3, 1, "device", "warning", "camera frame refused: black; the electrodes are kept silent"),
        *(Heard(seq, seq, seq, "tiles") for seq in (3, 4)),
        drove(3, 0.0),
        drove(4, 60.0),
    ]
    monkeypatch.setattr(
        "prosthesis.recording.told.entries", lambda *_: [SimpleNamespace(message=message) for message in said]
    )
    found = told(Path("any.mcap"))
    assert found.silences == ((3, 3),)
    assert found.unknown == 4
