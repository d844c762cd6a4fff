import base64
import html.parser
import json
import math
import re

import cv2
import numpy as np
import pytest
from made_up_session import (
    AMPLITUDE_UA,
    DEVICE_HOPS,
    DEVICE_MS,
    FRAMES,
    LOST,
    PULSES,
    WIDTH_US,
    WORLD_HOPS,
    WORLD_MS,
    N,
    record_session,
)

from prosthesis.messages import HopTimes
from prosthesis.recording.recorder import Recorder
from prosthesis_sim import report_page
from prosthesis_sim.report import _hop_times_ns, summarise, write_report

CARRIED = FRAMES - len(LOST)
DELIVERED = CARRIED - 1  # the radio lost one pattern


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("session") / "run.mcap"
    record_session(path)
    return path


@pytest.fixture(scope="module")
def summary(log):
    return summarise(log)


def test_frames_are_counted_at_each_stage(summary):
    frames = summary.frames
    assert (frames.captured, frames.dropped, frames.sent) == (CARRIED, len(LOST), CARRIED)
    assert (frames.delivered, frames.perceived) == (DELIVERED, DELIVERED)


def test_each_hop_takes_what_its_stamps_say(summary):
    steps = np.diff([0, *DEVICE_MS, *WORLD_MS])
    for hop, ms in zip((*DEVICE_HOPS, *WORLD_HOPS), steps, strict=True):
        times = summary.hops[hop]
        assert (times.p50_ms, times.p95_ms, times.p99_ms) == pytest.approx((ms, ms, ms))
    assert list(summary.hops) == [*DEVICE_HOPS, *WORLD_HOPS]
    assert summary.hops["send"].count == CARRIED
    assert summary.hops["receive"].count == DELIVERED


def test_capture_to_percept_is_the_last_stamp_less_capture(summary):
    assert summary.capture_to_percept.count == DELIVERED
    assert summary.capture_to_percept.p50_ms == pytest.approx(WORLD_MS[-1])


def test_hops_of_frames_seen_at_one_end_only_do_not_spoil_the_rest():
    device = {1: HopTimes(1, 0, ("read", "send"), (1, 3)), 2: HopTimes(2, 10, ("read", "send"), (11, 13))}
    world = {2: HopTimes(2, 10, ("receive",), (20,)), 3: HopTimes(3, 20, ("receive",), (30,))}
    assert _hop_times_ns(device, world) == {"read": [1, 1], "send": [2, 2], "receive": [7]}


def test_charge_is_amplitude_by_width_by_pulses(summary):
    per_phase_nc = [ua * WIDTH_US / 1000 for ua in AMPLITUDE_UA]
    expected = [DELIVERED * nc * pulses for nc, pulses in zip(per_phase_nc, PULSES, strict=True)]
    assert summary.charge.per_electrode_nc == pytest.approx(expected)
    assert summary.charge.total_nc == pytest.approx(sum(expected))
    assert summary.charge.most_nc == pytest.approx(max(expected))
    assert summary.charge.most_per_phase_nc == pytest.approx(8.0)


def test_link_counters_are_the_last_ones_heard_by_reason(summary):
    assert summary.link.accepted == FRAMES
    assert summary.link.refused == {"STALE": 3}
    assert summary.link.skipped == 1


def test_guard_interventions_are_counted_by_rule_and_tier(summary):
    (found,) = summary.guard
    assert (found.rule, found.tier, found.unit) == ("charge per phase", "advisory", "nC")
    # one every ten frames, one of which the camera dropped
    assert (found.frames, found.electrodes, found.worst, found.limit) == (2, 1, 8.0, 4.0)


def test_states_and_events_have_their_times(summary):
    assert [state.state for state in summary.states] == ["silent", "stimulating"]
    assert 0 <= summary.states[0].t_s < summary.states[1].t_s < 0.3
    (event,) = summary.events
    assert (event.source, event.level, event.text) == ("device", "info", "implant is <stimulating>")
    assert summary.about["rig"] == "hand2x2"
    assert 0.5 < summary.seconds < 2.0


class Reader(html.parser.HTMLParser):
    """Checks that every tag is closed, and keeps attributes and text."""

    EMPTY = frozenset({"meta", "link", "img", "br", "rect", "line", "circle", "source"})

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def written(log, hand_rig, tmp_path):
    (tmp_path / "percept.webm").write_bytes(b"a film")
    write_report(log, tmp_path, hand_rig)
    reader = Reader()
    reader.feed((tmp_path / "report.html").read_text())
    reader.close()
    assert reader.open == []
    return tmp_path, reader


def test_the_page_asks_nothing_of_the_network(written):
    folder, reader = written
    loads = [value for _, name, value in reader.attributes if name in ("src", "href", "poster", "xlink:href")]
    assert loads
    assert all(value.startswith("data:") or value == "percept.webm" for value in loads)
    text = (folder / "report.html").read_text()
    assert not re.search(r"https?:|@import|url\(|<script", text)


def test_the_page_says_the_figures_and_what_it_is_not(written):
    _, reader = written
    text = " ".join(reader.words)
    for words in (
        "hand2x2: from camera to percept",
        "not a medical device",
        "20 ms",
        f"of {CARRIED} frames perceived",
        "charge per phase",
        "refused: stale",
        "stimulating",
        "implant is <stimulating>",  # escaped in the page, plain to the reader
    ):
        assert words in text


def test_the_film_is_inside_when_small_and_linked_when_large(log, hand_rig, written, monkeypatch):
    folder, reader = written
    inside = f"data:video/webm;base64,{base64.b64encode(b'a film').decode()}"
    assert ("source", "src", inside) in reader.attributes
    monkeypatch.setattr(report_page, "EMBED_BYTES", 3)
    write_report(log, folder, hand_rig)
    assert '<source src="percept.webm" type="video/webm">' in (folder / "report.html").read_text()


def test_the_pictures_are_of_the_recording(written):
    _, reader = written
    sources = [value for tag, name, value in reader.attributes if (tag, name) == ("img", "src")]
    assert len(sources) == 3
    for source in sources:
        data = np.frombuffer(base64.b64decode(source.removeprefix("data:image/jpeg;base64,")), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (424, 1280, 3)


def test_each_electrode_is_on_the_map_with_its_charge(written):
    folder, reader = written
    assert sum(tag == "circle" and name == "r" for tag, name, _ in reader.attributes) == N
    text = (folder / "report.html").read_text()
    assert "<title>electrode 0: 0.0 nC</title>" in text
    assert f"<title>electrode 3: {DELIVERED * 8.0 * 2:.1f} nC</title>" in text


def test_both_colour_schemes_are_there(written):
    folder, _ = written
    assert "prefers-color-scheme:dark" in (folder / "report.html").read_text()


def test_the_json_holds_the_same_figures(written, summary):
    data = json.loads((written[0] / "report.json").read_text())
    assert data["frames"]["captured"] == CARRIED
    assert data["hops"]["send"]["p50_ms"] == pytest.approx(1.0)
    assert data["charge"]["per_electrode_nc"] == pytest.approx(summary.charge.per_electrode_nc)


def test_without_a_rig_charge_is_in_bars(log, tmp_path):
    write_report(log, tmp_path)  # nobody ships a rig of that name
    text = (tmp_path / "report.html").read_text()
    assert "<circle" not in text
    assert "in order of number" in text
    assert "electrode 3:" in text


def test_a_recording_of_nothing_makes_a_report_all_the_same(tmp_path):
    Recorder(tmp_path / "empty.mcap", [], {}).stop()
    summary = write_report(tmp_path / "empty.mcap", tmp_path / "out")
    assert summary.frames.captured == summary.frames.dropped == 0
    assert math.isnan(summary.capture_to_percept.p50_ms)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["capture_to_percept"]["p50_ms"] is None
    assert "The implant was not heard" in (tmp_path / "out" / "report.html").read_text()
