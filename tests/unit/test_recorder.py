import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_session import FRAMES, LOST, SIM, open_taps, record_session, wait_for
from mcap.reader import make_reader
from test_schemas import bits

from prosthesis.errors import ProsthesisError
from prosthesis.messages import About, Event
from prosthesis.recording.recorder import Recorder, entries, metadata, read, summarise
from prosthesis.schemas import TOPICS, schema_name

KILLED = """
import sys, time
from pathlib import Path
from made_up_session import record_session
record_session(Path(sys.argv[1]), frames=600)
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    log = tmp_path_factory.mktemp("session") / "run.mcap"
    return log, record_session(log)


def test_all_that_was_published_is_read_back_equal_to_the_bit_and_in_order(session):
    log, published = session
    got = list(read(log))
    for topic in TOPICS:
        assert [bits(m) for t, m in got if t == topic] == [bits(m) for t, m in published if t == topic]


def test_topics_can_be_chosen(session):
    log, published = session
    got = list(read(log, ["event", "guard"]))
    assert {topic for topic, _ in got} == {"event", "guard"}
    assert len(got) == sum(topic in ("event", "guard") for topic, _ in published)
    with pytest.raises(ProsthesisError, match="no topic 'percepts'"):
        list(read(log, ["percepts"]))


def test_receive_times_rise_and_follow_capture(session):
    log, _ = session
    got = list(entries(log, ["frame"]))
    times = [entry.log_ns for entry in got]
    assert times == sorted(times)
    assert all(0 <= entry.log_ns - entry.message.t_ns < 1e9 for entry in got)


def test_metadata_stands_in_the_file_with_version_and_date(session):
    found = metadata(session[0])
    assert (found["rig"], found["seed"]) == ("hand2x2", "7")
    assert {"prosthesis", "recorded", "recorded_ns"} <= set(found)


def test_what_the_patient_says_of_itself_stands_beside_it(session):
    assert SIM.items() <= metadata(session[0]).items()


def test_anybodys_mcap_reader_finds_topics_schemas_times_and_numbers(session):
    log, published = session
    with log.open("rb") as file:
        summary = make_reader(file).get_summary()
        file.seek(0)
        found = {(channel.topic, schema.name) for schema, channel, _ in make_reader(file).iter_messages()}
        file.seek(0)
        first = next(iter(make_reader(file).iter_messages(topics=["/frame"])))[2]
    assert found == {(f"/{name}", schema_name(topic.message)) for name, topic in TOPICS.items()}
    assert summary.statistics.message_count == len(published)
    frame = next(message for topic, message in published if topic == "frame")
    assert (first.sequence, first.publish_time) == (frame.seq, frame.t_ns)


def test_the_summary_for_people_counts_each_topic(session):
    lines, sound = summarise(session[0])
    assert sound
    assert "rig: hand2x2" in lines
    counts = {words[0]: int(words[1]) for line in lines if line.startswith("  ") for words in [line.split()]}
    assert set(counts) == set(TOPICS)
    assert counts["frame"] == FRAMES - len(LOST)
    assert counts["percept"] == FRAMES - len(LOST) - 1
    assert "cut off" not in lines[-1]


@pytest.fixture
def cut(session, tmp_path):
    def at(share):
        data = session[0].read_bytes()
        path = tmp_path / f"{share}.mcap"
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return at


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(cut, share):
    got = list(read(cut(share)))
    assert metadata(cut(share))["rig"] == "hand2x2"
    assert "cut off" in summarise(cut(share))[0][-1]
    if share == 0.9:
        assert got


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_cut_gives_the_beginning_or_says_it_is_no_recording(data, session, tmp_path_factory):
    whole = session[0].read_bytes()
    path = tmp_path_factory.getbasetemp() / "cut.mcap"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert_prefix_or_one_line(path, session[1])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_one_line_after_what_came_before_it(data, session, tmp_path_factory):
    damaged = bytearray(session[0].read_bytes())
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.mcap"
    path.write_bytes(damaged)
    assert_prefix_or_one_line(path, session[1], whole_or_error=True)


def assert_prefix_or_one_line(path, published, whole_or_error=False):
    got, error = [], None
    try:
        got.extend(read(path))
    except ProsthesisError as caught:
        error = str(caught)
        got = got or list(before_the_damage(path))
        assert str(path) in error
        assert "\n" not in error
    for topic in TOPICS:
        mine = [bits(m) for t, m in got if t == topic]
        assert mine == [bits(m) for t, m in published if t == topic][: len(mine)]
    if whole_or_error and error is None:
        assert len(got) == len(published)


def before_the_damage(path):
    try:
        yield from read(path)
    except ProsthesisError:
        return


@pytest.mark.parametrize("content", [b"", b"hello, I am no recording at all", b"\x89MCAP0\r\n"])
def test_what_is_no_recording_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "odd.mcap"
    path.write_bytes(content)
    for reading in (read, metadata, summarise):
        with pytest.raises(ProsthesisError, match=r"odd\.mcap: damaged, or not a recording"):
            list(reading(path))


def test_a_missing_file_is_said_in_one_line(tmp_path):
    with pytest.raises(ProsthesisError, match=r"none\.mcap: cannot be read \(No such file or directory\); check"):
        list(read(tmp_path / "none.mcap"))


def test_kill_9_loses_at_most_the_last_second(tmp_path):
    log = tmp_path / "killed.mcap"
    here = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(log)], env=here)
    try:
        wait_for(lambda: log.exists() and log.stat().st_size > 20_000, seconds=20)
        time.sleep(1.6)
    finally:
        child.send_signal(signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        child.wait(5)
    last = list(entries(log))[-1]
    assert 0 <= killed_ns - last.log_ns < 1e9


@pytest.fixture
def recorder(tmp_path):
    with zmq.Context() as context:
        tap, endpoint = open_taps(context)
        made = Recorder(tmp_path / "deep" / "er" / "run.mcap", [endpoint], {})
        wait_for(lambda: tap.wanted == set(TOPICS))
        yield made, tap, tmp_path / "deep" / "er" / "run.mcap"
        tap.close()


def test_what_was_published_before_stopping_is_in_the_file(recorder):
    made, tap, log = recorder
    for seq in range(1, 51):
        tap.publish("event", Event(seq, seq, "world", "info", "tick"))
    made.stop()
    made.stop()
    assert [message.seq for _, message in read(log)] == list(range(1, 51))
    assert "cut off" not in summarise(log)[0][-1]


def told(made, tap, log, names, values, count=1):
    """Publish what somebody says of itself, and return the metadata of the finished file."""
    tap.publish("about", About(0, 1, names, values))
    wait_for(lambda: made.messages >= count)
    made.stop()
    return metadata(log)


def test_what_the_device_says_it_runs_counts_more_than_what_its_recorder_knew(tmp_path):
    with zmq.Context() as context:
        tap, endpoint = open_taps(context)
        made = Recorder(tmp_path / "run.mcap", [endpoint], {"tasks": "luminance-32", "source": "synthetic:bar"})
        wait_for(lambda: tap.wanted == set(TOPICS))
        found = told(
            made,
            tap,
            tmp_path / "run.mcap",
            ("rig_sha256", "tasks", "impedance_kohm"),
            ("ab", "edges-32", "[1.0]"),
        )
        tap.close()
    assert (found["tasks"], found["source"], found["rig_sha256"]) == ("edges-32", "synthetic:bar", "ab")
    assert "impedance_kohm" not in found  # a session's, not the recording's


def test_a_patient_that_comes_late_is_known_all_the_same(recorder, monkeypatch):
    made, tap, log = recorder
    tap.publish("event", Event(1, 1, "device", "info", "tick"))
    wait_for(lambda: made.messages == 1)
    now = time.monotonic_ns
    monkeypatch.setattr("prosthesis.recording.recorder.time.monotonic_ns", lambda: now() + 60 * 10**9)
    assert told(made, tap, log, ("sim_world", "sim_patient"), ("human_v1", "3"), 2)["sim_patient"] == "3"


def test_stopping_is_quick_while_messages_keep_coming(recorder):
    made, tap, _ = recorder
    over = threading.Event()

    def chatter():
        while not over.wait(0.005):
            tap.publish("event", Event(1, 1, "world", "info", "tick"))

    thread = threading.Thread(target=chatter)
    thread.start()
    start = time.monotonic()
    made.stop()
    took_s = time.monotonic() - start
    over.set()
    thread.join()
    assert took_s < 2


def test_damage_outside_the_messages_is_found_too(session, tmp_path):
    (tmp_path / "forged.mcap").write_bytes(session[0].read_bytes().replace(b"hand2x2", b"hand9x9", 1))
    with pytest.raises(ProsthesisError, match=r"forged\.mcap: damaged, .*crc"):
        list(read(tmp_path / "forged.mcap"))


def test_a_recording_of_nothing_is_a_recording(recorder):
    made, _, log = recorder
    made.stop()
    assert list(read(log)) == []
    assert summarise(log)[0][-1] == "0 messages in 0.0 s"


FULL = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
from made_up_session import record_session
try:
    record_session(Path(sys.argv[1]), frames=200, tell=lambda text: print("TOLD", text, flush=True))
except Exception as error:
    print("RAISED", error)
"""


def test_a_file_that_may_not_grow_is_told_at_once_and_its_beginning_is_readable(tmp_path):
    log = tmp_path / "full.mcap"
    here = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", FULL, str(log)], env=here, capture_output=True, text=True, timeout=60)
    told, raised = done.stdout.strip().splitlines()
    assert told.startswith("TOLD"), done.stderr
    assert raised.startswith("RAISED")
    assert "full.mcap: not all was recorded ([Errno 27] File too large); is the disk full?" in raised
    assert metadata(log)["rig"] == "hand2x2"
    got = list(read(log, ["frame"]))
    assert [frame.seq for _, frame in got] == [seq for seq in range(1, got[-1][1].seq + 1) if seq not in LOST]
    assert "cut off" in summarise(log)[0][-1]


def test_a_damaged_recording_says_how_much_can_be_read_and_gives_it(tmp_path):
    log = tmp_path / "run.mcap"
    record_session(log, frames=100)
    with log.open("rb") as file:
        chunks = make_reader(file).get_summary().chunk_indexes
    assert len(chunks) >= 4
    data = bytearray(log.read_bytes())
    chunk = chunks[-2]
    data[chunk.chunk_start_offset + chunk.chunk_length // 2] ^= 0x40
    log.write_bytes(data)
    got = []
    with pytest.raises(ProsthesisError) as caught:
        got.extend(read(log))
    before = list(before_the_damage(log))
    assert len(before) > 500
    assert f"the {len(before)} messages before that, " in str(caught.value)
    lines, sound = summarise(log)
    assert not sound
    assert lines[-1] == str(caught.value)
    assert metadata(log)["rig"] == "hand2x2"


def test_a_full_disk_is_said_when_stopping(recorder, monkeypatch):
    made, tap, _ = recorder

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(made._writer, "add_message", full)
    tap.publish("event", Event(1, 1, "world", "info", "tick"))
    made._thread.join(5)
    with pytest.raises(ProsthesisError, match=r"not all was recorded .*No space left on device"):
        made.stop()


def test_a_place_one_cannot_write_to_is_said_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ProsthesisError, match=r"run\.mcap: cannot record there .*; choose another file"):
        Recorder(tmp_path / "file" / "run.mcap", [], {})
    with pytest.raises(ProsthesisError, match=r"/dev/full: cannot record there \(No space left on device\)"):
        Recorder(Path("/dev/full"), [], {})


def test_images_are_compressed_without_loss(session):
    log, published = session
    raw = sum(np.asarray(m.rgb).nbytes for t, m in published if t == "frame")
    assert log.stat().st_size < raw / 2
