"""A recorded run of the hand-checked rig, rerun hop by hop: equal to the bit, and not when something has changed."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import HAND, wait_for
from mcap.reader import make_reader
from mcap_rewrite import rewrite

from prosthesis import cli
from prosthesis.assembly import run_rig, with_choices, with_tasks
from prosthesis.config import load_rig
from prosthesis.errors import ConfigError, MissingExtraError
from prosthesis.glance import QuickGuard
from prosthesis.messages import BrainCode, Event, Frame, readonly
from prosthesis.processes import free_port
from prosthesis.recording import commands
from prosthesis.recording.identity import RIG_PART, identity, rig_text
from prosthesis.recording.recorder import Recorder, entries, metadata, parts, summarise
from prosthesis.recording.rerun import HOPS, MAKES, PASSAGE, _span, rerun
from prosthesis.recording.tolerances import TOLERANCES, Compared
from prosthesis.tone import Tone
from prosthesis_sim.rerun import Patient

PORT = free_port()
TONES = {10: Tone(-0.1, 0.9), 45: Tone(0.05, 1.2)}
MADE = [topic for hop in HOPS for topic in MAKES[hop]]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Two seconds with changes of tone, and one of task in the middle, through real sockets."""
    path = tmp_path_factory.mktemp("rerun") / "run.mcap"
    patch = pytest.MonkeyPatch()
    patch.setenv("PROSTHESIS_KEYS", str(tmp_path_factory.mktemp("keys")))
    command = [sys.executable, "-m", "prosthesis", "keys"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    command = [sys.executable, "-m", "prosthesis", "sim", HAND, "--port", str(PORT), "--patient", "3", "--day", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as world:
        try:
            assert "listen at" in world.stderr.readline()
            for _ in range(4):  # a machine that is very busy may lose messages on their way to the file
                _record(path)
                if _whole(path):
                    break
            else:
                pytest.fail("two seconds were never recorded whole")
        finally:
            world.send_signal(signal.SIGTERM)
            world.wait(10)
            patch.undo()
    return path


def _record(path):
    boards = []

    def on_frame(passage, summary):
        if summary.sent == 30:
            boards[0].choose("edges-32")
        if tone := TONES.get(summary.sent):
            boards[0].see(tone)
        return summary.sent < 60

    rig = with_choices(load_rig(HAND), port=PORT)
    run_rig(rig, 20, path, on_frame, tasks=("luminance-32", "edges-32"), ready=boards.append)
    time.sleep(0.5)  # longer than any pattern lives: the patient is at rest again


def _whole(path):
    """Tell whether nothing is missing in a recording, by what the world alone and the device alone say."""
    seen = {}
    for entry in entries(path):
        seen.setdefault(entry.topic, []).append(entry.message)
    numbers = {tuple(m.seq for m in seen[topic]) for topic in ("frame", "machine_code", "allowed", "hops", "guard")}
    ends = [(d.t0_ns, d.t0_ns + d.dt_ns) for d in seen["delivered"]]
    joined = all(after[0] == before[1] for before, after in itertools.pairwise(ends))
    tiles = {heard.seq for heard in seen["heard"] if heard.what == "tiles"}
    return len(numbers) == 1 and joined and {d.seq for d in seen["delivered"]} - {0} <= tiles


def test_every_later_message_is_equal_to_the_bit(log):
    done = rerun(log, patient=Patient)
    assert (done.first, done.last) == ("encoder", "percept")
    assert [row.topic for row in done.rows] == MADE
    assert {row.topic: (row.within, row.beyond) for row in done.rows} == dict.fromkeys(MADE, (0, 0))
    frames = sum(1 for _ in entries(log, ["frame"]))
    assert frames >= 40  # of 60; a busy machine's camera drops some
    assert [row.same for row in done.rows if row.topic != "evoked"][:5] == [frames] * 5
    # of the deliveries all but those before the implant was configured, which is before the first pattern
    delivered = next(row for row in done.rows if row.topic == "delivered")
    first_ns = next(entry.log_ns for entry in entries(log, ["allowed"]))
    before = sum(1 for entry in entries(log, ["delivered"]) if entry.log_ns <= first_ns)
    assert delivered.skipped <= before + 20  # the two ends' messages may be logged a little out of turn
    assert delivered.same > 100
    assert done.holds


def test_what_the_world_says_of_itself_may_come_amid_a_frames_messages(log, monkeypatch):
    spoken = next(entry for entry in entries(log, ["about"]) if "sim_patient" in entry.message.names)

    def interrupted(path, topics=None):
        for entry in entries(path, topics):
            yield entry
            yield replace(spoken, log_ns=entry.log_ns)

    undisturbed = rerun(log, patient=Patient)
    monkeypatch.setattr("prosthesis.recording.rerun.entries", interrupted)
    assert rerun(log, patient=Patient).rows == undisturbed.rows


@pytest.mark.parametrize("hop", HOPS)
def test_any_hop_can_be_the_first_and_the_last(log, hop):
    done = rerun(log, hop, hop, patient=Patient)
    assert [row.topic for row in done.rows] == list(MAKES[hop])
    assert done.holds
    assert all(row.same > 40 for row in done.rows)


def test_who_the_patient_was_is_recorded(log):
    about = metadata(log)
    assert (about["sim_patient"], about["sim_day"], about["sim_air"]) == ("3", "2", "hand")
    assert (about["rig"], about["tasks"]) == ("hand2x2", "luminance-32, edges-32")
    assert json.loads(parts(log)["rig.json"])["stimulator"]["name"] == "hand"
    assert not [line for line in summarise(log)[0] if "_config" in line]


def test_the_journal_of_the_implant_explains_its_session(log):
    what = [entry.message.what for entry in entries(log, ["heard"])]
    assert list(dict.fromkeys(what)) == ["open", "offset", "configure", "arm", "tiles", "stop"]


def test_no_interval_of_the_implants_time_is_missing(log):
    ends = [(d.message.t0_ns, d.message.t0_ns + d.message.dt_ns) for d in entries(log, ["delivered"])]
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(ends)]
    assert set(gaps) == {0}


def test_a_change_of_task_stands_before_the_frame_it_begins_with(log):
    both = [entry.message for entry in entries(log, ["event", "frame"])]
    told = next(n for n, message in enumerate(both) if isinstance(message, Event) and "task is now" in message.text)
    frame = next(n for n, message in enumerate(both) if isinstance(message, Frame) and message.seq == both[told].seq)
    assert told < frame


@pytest.mark.parametrize("text", ["task is now 'edges-32'", "brightness is now -0.10, contrast 0.90"])
def test_a_change_holds_on_where_the_frame_it_began_with_is_missing(log, text, tmp_path):
    seq = next(entry.message.seq for entry in entries(log, ["event"]) if entry.message.text == text)

    def without(topic, message):
        return None if topic in PASSAGE and message.seq == seq else message

    rewrite(log, tmp_path / "less.mcap", without)
    whole, less = (rerun(path, patient=Patient) for path in (log, tmp_path / "less.mcap"))
    assert less.holds
    assert less.rows[0].same == whole.rows[0].same - 1
    # what the implant got in the missing frame's pattern cannot be known, all else can
    assert whole.rows[5].skipped < less.rows[5].skipped < whole.rows[5].skipped + 20
    assert less.rows[5].same > 80


def test_that_a_tone_may_have_been_finer_than_recorded_is_told(log, tmp_path):
    def other(topic, message):
        told = topic == "event" and message.text.startswith("brightness")
        return replace(message, text=message.text.replace("contrast 0.9", "contrast 0.7")) if told else message

    rewrite(log, tmp_path / "finer.mcap", other)
    done = rerun(tmp_path / "finer.mcap", "encoder", "encoder")
    assert not done.holds
    assert "recorded in hundredths" in done.notes[-1]
    assert not rerun(log, "encoder", "encoder").notes


def test_the_guard_goes_by_what_was_measured_and_is_made_anew_only_when_that_changes(log, tmp_path, monkeypatch):
    def switched_off(topic, message):
        if topic != "about" or "enabled" not in message.names:
            return message
        values = dict(zip(message.names, message.values, strict=True))
        values["enabled"] = json.dumps([False, *json.loads(values["enabled"])[1:]])
        return replace(message, values=tuple(values.values()))

    rewrite(log, tmp_path / "off.mcap", switched_off)
    assert not rerun(tmp_path / "off.mcap", "guard", "guard").holds

    measured = next(entry for entry in entries(log, ["about"]) if "enabled" in entry.message.names)
    guards = []

    def repeated(path, topics=None):
        for entry in entries(path, topics):
            yield entry
            if entry.topic == "hops":
                yield replace(measured, log_ns=entry.log_ns)

    monkeypatch.setattr("prosthesis.recording.rerun.entries", repeated)
    monkeypatch.setattr("prosthesis.recording.rerun.QuickGuard", lambda limits: guards.append(1) or QuickGuard(limits))
    assert rerun(log, "guard", "guard").holds
    assert len(guards) <= 2  # the rig's own, and the one by what was measured


@pytest.fixture
def middle(log):
    """Return the number of a frame amid the recording; a busy machine's camera drops some."""
    return [entry.message.seq for entry in entries(log, ["frame"])][20]


def brighter(seq):
    def change(topic, message):
        if topic == "machine_code" and message.seq == seq:
            return replace(message, values=readonly(np.clip(message.values + 0.2, 0, 1), np.float32))
        return message

    return change


def test_a_change_of_one_code_is_found_where_it_is_and_after_it(log, middle, tmp_path):
    rewrite(log, tmp_path / "changed.mcap", brighter(middle))
    assert not rerun(tmp_path / "changed.mcap", "encoder", "encoder").holds
    done = rerun(tmp_path / "changed.mcap", "translator", patient=Patient)
    rows = {row.topic: row for row in done.rows}
    assert (rows["brain_code"].beyond, rows["brain_code"].first_beyond) == (1, middle)
    assert rows["delivered"].beyond >= 1
    assert rows["percept"].first_beyond >= middle
    assert not done.holds
    assert rerun(tmp_path / "changed.mcap", "guard", patient=Patient).holds


def barely(seq):
    def change(topic, message):
        if topic == "wanted" and message.seq == seq:
            return replace(message, amplitude_ua=readonly(message.amplitude_ua + 0.01, np.float32))
        return message

    return change


def test_a_difference_within_the_tolerance_passes_and_is_told(log, middle, tmp_path):
    rewrite(log, tmp_path / "near.mcap", barely(middle))
    row = rerun(tmp_path / "near.mcap", "modulator", "modulator").rows[0]
    assert (row.within, row.beyond) == (1, 0)
    assert row.worst["amplitude_ua"] == pytest.approx(0.01, rel=1e-3)
    assert row.worst["amplitude_ua"] < TOLERANCES["wanted.amplitude_ua"].most


def test_another_patient_sees_something_else(log, tmp_path):
    class Other(Patient):
        def __init__(self, rig, about, configuration):
            patient = about["sim_world_config"].replace('"half_ua_s":0.04', '"half_ua_s":0.08')
            assert patient != about["sim_world_config"]
            super().__init__(rig, {**about, "sim_world_config": patient}, configuration)

    rows = {row.topic: row for row in rerun(log, "implant", patient=Other).rows}
    assert rows["delivered"].beyond == 0
    assert rows["percept"].beyond > 20


def test_another_rig_is_noticed(log, tmp_path):
    rig = load_rig(HAND)
    text = rig.path.read_text().replace("pulse_width_us: 200", "pulse_width_us: 180")
    for part in ("array", "calibration", "link", "stimulator", "world"):
        (tmp_path / f"{part}.yaml").write_bytes((rig.path.parent / f"{part}.yaml").read_bytes())
    (tmp_path / "rig.yaml").write_text(text)
    rows = {row.topic: row for row in rerun(log, "modulator", "guard", str(tmp_path / "rig.yaml")).rows}
    assert rows["wanted"].beyond > 40
    assert rows["wanted"].worst["pulse_width_us"] == 20


def test_without_the_world_only_the_device_is_rerun_and_it_says_so(log):
    done = rerun(log)
    assert done.last == "guard"
    assert "pip install 'prosthesis[sim]'" in done.notes[0]
    with pytest.raises(MissingExtraError, match="--to percept: the simulated patient is not installed"):
        rerun(log, last="percept")


def test_hops_out_of_order_are_refused(log):
    with pytest.raises(ConfigError, match="--from guard is after --to encoder; the order is encoder, translator"):
        rerun(log, "guard", "encoder")


def test_the_verb_says_what_it_compared_and_its_exit_code_is_the_verdict(log, middle, tmp_path, capsys):
    assert cli.main(["replay", str(log), "--check"]) == 0
    assert "equal within tolerances" in capsys.readouterr().out
    rewrite(log, tmp_path / "changed.mcap", brighter(middle))
    assert cli.main(["replay", str(tmp_path / "changed.mcap"), "--check", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [row["beyond"] for row in told["rows"] if row["topic"] == "machine_code"] == [1]
    assert cli.main(["replay", str(log)]) == 0
    assert "heard" in capsys.readouterr().out


def test_a_recording_cut_off_in_the_middle_is_rerun_as_far_as_it_goes(log, tmp_path):
    data = log.read_bytes()
    (tmp_path / "cut.mcap").write_bytes(data[: len(data) * 2 // 3])
    done = rerun(tmp_path / "cut.mcap", patient=Patient)
    assert done.holds
    assert 0 < done.rows[0].same < 60


def test_nan_and_shape_and_rules_have_no_distance():
    row = Compared("brain_code")
    one = BrainCode(1, 2, readonly([0.5, np.nan], np.float32), 0)
    row.count(one, one, 0.1)
    row.count(one, replace(one, activity=readonly([np.nan, 0.5], np.float32)), 0.1)
    row.count(one, replace(one, activity=readonly([0.5], np.float32)), 0.1)
    assert (row.same, row.within, row.beyond) == (1, 0, 2)


def test_a_second_process_records_what_others_do(sim, port, tmp_path):
    sim()
    log = tmp_path / "other.mcap"
    command = [sys.executable, "-m", "prosthesis", "record", HAND, str(log), "--link", f"127.0.0.1:{port}"]
    with subprocess.Popen([*command, "--seconds", "4"], stdout=subprocess.PIPE, text=True) as recorder:
        wait_for(log.exists, 30)
        run_rig(with_choices(load_rig(HAND), port=port), 3)
        said, _ = recorder.communicate(timeout=30)
    assert "messages in" in said
    assert metadata(log)["sim_patient"] == "0"
    # it may have come late to the session, but what it heard of the device is one piece
    done = rerun(log, "modulator", "guard")
    assert done.rows[0].same > 20
    assert done.rows[0].beyond == 0


def test_the_ecosystems_own_readers_open_it(log):
    decoder = pytest.importorskip("mcap_protobuf.decoder", reason="mcap-protobuf-support is not installed")
    with log.open("rb") as file:
        found = {}
        for _, channel, _, message in make_reader(
            file, decoder_factories=[decoder.DecoderFactory()]
        ).iter_decoded_messages():
            found.setdefault(channel.topic, []).append(message)
    frame = next(entry.message for entry in entries(log, ["frame"]))
    first = found["/frame"][0]
    assert (first.width, first.height, first.encoding) == (frame.rgb.shape[1], frame.rgb.shape[0], "rgb8")
    assert first.data == frame.rgb.tobytes()
    allowed = next(entry.message for entry in entries(log, ["allowed"]))
    assert list(found["/allowed"][0].amplitude_ua) == allowed.amplitude_ua.tolist()
    assert {"/heard", "/about", "/delivered", "/percept"} <= set(found)


def test_the_documentation_has_the_table_of_tolerances():
    page = (Path(__file__).parents[2] / "docs" / "recording.md").read_text()
    for name, tolerance in TOLERANCES.items():
        topic, field = name.split(".")
        row = next(line for line in page.splitlines() if line.startswith(f"| `{topic}` | `{field}` |"))
        assert f"{float(row.split('|')[3].split()[0]):g}" == f"{tolerance.most:g}"
    assert list(dict.fromkeys(name.split(".")[0] for name in TOLERANCES)) == [t for t in MADE if t != "guard"]


def test_the_verbs_hops_are_those_of_the_rerun():
    assert commands.HOPS == HOPS


def test_a_damaged_recording_is_compared_up_to_there_and_does_not_pass(log, tmp_path):
    with log.open("rb") as file:
        chunk = make_reader(file).get_summary().chunk_indexes[-2]
    data = bytearray(log.read_bytes())
    data[chunk.chunk_start_offset + chunk.chunk_length // 2] ^= 1
    (tmp_path / "damaged.mcap").write_bytes(data)
    done = rerun(tmp_path / "damaged.mcap", patient=Patient)
    assert all(row.beyond == 0 for row in done.rows)
    assert done.rows[0].same > 5
    assert "can be read" in done.notes[-1]
    assert not done.holds


def test_an_encoder_with_a_thread_of_its_own_is_not_rerun(tmp_path):
    rig, encoders = with_tasks(load_rig("utah96"), ["text"])
    log = tmp_path / "text.mcap"
    Recorder(log, [], identity(rig, encoders), {RIG_PART: rig_text(rig)}).stop()
    with pytest.raises(ConfigError, match=r"the encoder 'layered' works in a thread of its own.*--from translator"):
        rerun(log, "encoder")
    done = rerun(log)
    assert done.first == "translator"
    assert done.notes[0] == "the encoder 'layered' depends on the machine's speed and was not rerun"
    assert not done.holds  # nothing was compared


def test_faults_that_were_put_in_are_named(log):
    told = metadata(log) | {"sim_faults": "open"}
    assert "faults were put into this run (open)" in _span(None, None, Patient, set(), told)[2][0]
