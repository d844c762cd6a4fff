"""Recordings entered at any time equal recordings read from the start, also cut off or damaged."""

from __future__ import annotations

import numpy as np
import pytest
from mcap.writer import CompressionType, Writer

from prosthesis.errors import ProsthesisError
from prosthesis.messages import Event, Findings, Found, Frame, HopTimes, ImplantState, Percept, Telemetry, readonly
from prosthesis.recording.recorder import entries
from prosthesis.schemas import TOPICS, encode, file_descriptor_set, schema_name
from prosthesis_sim.console.scrub import Player, Timeline
from prosthesis_sim.console.tape import Tape

MS, FRAMES, CHUNK = 1_000_000, 150, 10
STOPPED_AT = 100
SIGN = Found("word", "EXIT", 0.9, 0.2, 0.3, 0.4, 0.1)


def messages(seq):
    """What is said about frame ``seq``, 40 ms after the one before."""
    state = ImplantState.STIMULATING if seq < STOPPED_AT else ImplantState.STOPPED
    health = Telemetry(seq, seq * 40 * MS, state, "", 1, seq, (0,) * 23, 0)
    image = readonly(np.full((8, 8), seq / FRAMES), np.float32)
    found = {
        "frame": Frame(seq, 0, readonly(np.full((8, 16, 3), seq, np.uint8), np.uint8)),
        "telemetry": health,
        "percept": Percept(seq, 0, image, (0.0, 0.0), (2.0, 2.0), seq, 0),
        "world_hops": HopTimes(seq, seq * 40 * MS, ("percept",), (seq * 40 * MS + 10 * MS,)),
    }
    if seq == STOPPED_AT:
        found["event"] = Event(seq, 0, "implant", "info", "implant is stopped: STOP received")
    if seq in (40, 70):
        found["findings"] = Findings(seq, 0, "text", (SIGN,) if seq == 40 else ())
    return found


@pytest.fixture
def log(tmp_path):
    """Six seconds in fifteen chunks, made with the library and not with our recorder."""
    path = tmp_path / "run.mcap"
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=1 << 30, compression=CompressionType.ZSTD)
        writer.start()
        channels = {}
        for name, topic in TOPICS.items():
            schema = writer.register_schema(schema_name(topic.message), "protobuf", file_descriptor_set(topic.message))
            channels[name] = writer.register_channel(f"/{name}", "protobuf", schema)
        for seq in range(1, FRAMES + 1):
            for late, (topic, message) in enumerate(messages(seq).items()):
                writer.add_message(channels[topic], (seq * 40 + late) * MS, encode(message), publish_time=0)
            if seq % CHUNK == 0:
                writer.flush()
        writer.finish()
    return path


def test_any_stretch_is_what_the_recorders_reader_finds_there(log):
    tape = Tape(log)
    whole = [(entry.topic, entry.log_ns) for entry in entries(log)]
    assert [(said.topic, said.log_ns) for said in tape.between(0, tape.last_ns)] == whole
    after, to = 1_003 * MS, 3_121 * MS
    part = [(said.topic, said.log_ns) for said in tape.between(after, to)]
    assert part == [(topic, t_ns) for topic, t_ns in whole if after < t_ns <= to]


def test_the_newest_of_each_topic_at_a_time(log):
    at = Tape(log).newest({"frame", "percept"}, 2_000 * MS)  # frame 50 has come, its percept has not
    assert {topic: said.log_ns // (40 * MS) for topic, said in at.items()} == {"frame": 50, "percept": 49}


def test_a_file_cut_off_is_read_as_far_as_it_goes(log):
    whole = Tape(log)
    data = log.read_bytes()
    log.write_bytes(data[: whole.places[9].at + 20])
    assert Tape(log).last_ns == whole.places[8].end_ns


def test_a_damaged_chunk_is_left_out_and_the_rest_shown(log):
    place = Tape(log).places[4]
    data = bytearray(log.read_bytes())
    data[place.at + place.size // 2] ^= 0xFF
    log.write_bytes(data)
    tape = Tape(log)
    seen = {said.log_ns // (40 * MS) for said in tape.between(0, tape.last_ns) if said.topic == "frame"}
    assert seen == set(range(1, FRAMES + 1)) - set(range(41, 51))
    assert tape.damaged == {4}


@pytest.mark.parametrize("content", [b"", b"not a recording at all", None])
def test_what_is_no_recording_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "x.mcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProsthesisError, match=r"x\.mcap"):
        Tape(path)


@pytest.fixture
def player(log):
    made = Player(log)
    yield made
    made.close()


def shown(player):
    return player.models()["a"].picture("frame").seq


def test_a_jump_shows_that_moment_and_figures_of_what_came_before(player):
    begin_ms = 42  # the first percept
    player.told({"seek": (80 * 40 + 20 - begin_ms) / 1000})
    assert shown(player) == 80
    figures = player.models()["a"].figures(player.now_ns())
    assert figures["state"] == "STIMULATING"
    assert figures["fps"]["camera"] == pytest.approx(25.0, abs=0.1)
    player.told({"seek": 1e9})
    assert player.models()["a"].figures(player.now_ns())["state"] == "STOPPED"


@pytest.mark.parametrize(("at", "found"), [(30, []), (41, [SIGN]), (60, [SIGN]), (71, [])])
def test_what_was_found_is_that_of_the_moment_whichever_way_one_comes_to_it(player, at, found):
    for before in (0.0, 5.0):
        player.seek(before)
        player.seek(at * 0.04)
        assert [item for item, _ in player.models()["a"].found(0)] == found


def test_steps_go_one_frame_on_and_back(player):
    player.told({"seek": 2.0})
    before = shown(player)
    player.told({"step": 1})
    assert shown(player) == before + 1
    player.told({"step": -1})
    assert shown(player) == before
    player.told({"seek": 2.013})  # between two frames
    before = shown(player)
    player.told({"step": -1})
    assert shown(player) == before - 1
    player.told({"seek": 0})
    player.told({"step": -1})
    assert player.status()["at"] == 0


def test_playing_goes_on_at_the_asked_pace_and_stops_at_the_end(player):
    player.told({"speed": 4.0, "play": True})
    while player.status()["playing"]:
        pass
    assert shown(player) == FRAMES
    assert player.status()["at"] == player.status()["seconds"]


def test_the_timeline_knows_when_what_happened(log):
    timeline = Timeline(Tape(log), 42 * MS)
    timeline.scan()
    word, marks = timeline.marks()
    assert word == "8"
    assert [state for _, state in marks["states"]] == ["STIMULATING", "STOPPED"]
    assert marks["states"][1][0] == pytest.approx((STOPPED_AT * 40 + 1 - 42) / 1000, abs=0.002)
    assert marks["events"][0][2].startswith("implant is stopped")
    assert max(marks["worst_ms"]) == 10.0
