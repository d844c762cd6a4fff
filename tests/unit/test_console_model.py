"""What the console makes of what taps said, against numbers worked out by hand; no browser, no NiceGUI."""

from __future__ import annotations

import numpy as np
import pytest

from prosthesis.messages import (
    Delivered,
    Event,
    Findings,
    Found,
    Frame,
    GuardReport,
    HopTimes,
    ImplantState,
    Intervention,
    MachineCode,
    Percept,
    Receipt,
    Refusal,
    Telemetry,
    readonly,
)
from prosthesis.schemas import encode
from prosthesis_sim.console.latency import TOTAL, Latency
from prosthesis_sim.console.model import Model
from prosthesis_sim.console.pictures import pack, parts, unpack
from prosthesis_sim.console.stream import Board, Reader

S, MS = 1_000_000_000, 1_000_000
REFUSALS = len(Refusal)


def telemetry(t_ns, accepted=0, state=ImplantState.STIMULATING, **refused):
    counts = [0] * REFUSALS
    for name, count in refused.items():
        counts[Refusal[name]] = count
    return Telemetry(1, t_ns, state, "fresh frames", 7, accepted, tuple(counts), 0, 30.0, 0.1, 0, 240)


def frame(seq, t_ns=0):
    return Frame(seq, t_ns, readonly(np.full((18, 32, 3), 10 * seq, np.uint8), np.uint8))


def percept(seq):
    return Percept(seq, 0, readonly(np.full((16, 16), 0.5), np.float32), (1.0, 2.0), (4.0, 4.0), 3, 0, (0.5, -0.5))


def delivered(seq, amplitude):
    n = len(amplitude)
    rows = (readonly(amplitude, np.float32), readonly(np.full(n, 170), np.float32), readonly(np.ones(n), np.int32))
    return Delivered(seq, 0, 0, 10 * MS, *rows, readonly(np.zeros(n), np.uint8))


def taken(*said):
    """A model that was told (topic, message, when)."""
    model = Model()
    for topic, message, t_ns in said:
        model.take(topic, encode(message), t_ns)
    return model


def test_rates_and_gaps_are_those_of_the_frames_that_came():
    model = taken(*[("frame", frame(seq), seq * 40 * MS) for seq in (1, 2, 3, 5, 6)])
    assert model.rate_hz("frame", 240 * MS) == pytest.approx(4 / 0.2)
    assert model.dropped == 1
    assert model.alive("frame", 240 * MS)
    assert not model.alive("frame", 2 * S)


def test_hops_count_from_capture_and_the_air_from_the_devices_last():
    latency = Latency()
    for seq in (1, 2):
        latency.device(HopTimes(seq, 0, ("read", "send"), (2 * MS, 5 * MS)))
        for arrived_ms in (9, 12):  # two tiles: the last one counts
            latency.world(HopTimes(seq, 0, ("receive", "percept"), (arrived_ms * MS, (arrived_ms + 3) * MS)))
    spreads = {spread.hop: spread for spread in latency.spreads()}
    assert [spread.p50 for spread in spreads.values()] == pytest.approx([2, 3, 7, 3, 15])
    assert list(spreads)[-1] == TOTAL
    assert spreads["receive"].count == 1  # frame 2 is not known to be complete


def test_percentiles_are_numpys():
    latency, random = Latency(), np.random.default_rng(1)
    took = random.uniform(1, 20, 200)
    for seq, ms in enumerate(took):
        latency.device(HopTimes(seq, 0, ("read",), (int(ms * MS),)))
    spread = latency.spreads()[0]
    assert (spread.p5, spread.p50, spread.p95, spread.p99) == pytest.approx(np.percentile(took, (5, 50, 95, 99)), 1e-5)


def test_tiles_of_one_pattern_are_one_obeyed_frame():
    tiles = [(seq, tile) for seq in range(6) for tile in range(4)]
    said = [("world_hops", HopTimes(seq, 0, ("receive",), (MS,)), (40 * seq + tile) * MS) for seq, tile in tiles]
    assert taken(*said).figures(S // 4)["fps"]["percept"] == pytest.approx(25.0, abs=0.5)


def test_the_link_is_the_difference_of_the_implants_counters():
    model = taken(
        ("telemetry", telemetry(0, 100, STALE=5), 0),
        ("telemetry", telemetry(0, 190, STALE=15), 2 * S),
    )
    link = model.figures(2 * S)["link"]
    assert link["accepted"] == 45.0
    assert link["refused"] == {"STALE": 5.0}
    assert link["share"] == 0.9


def test_an_implant_that_restarted_gives_no_negative_rates():
    model = taken(("telemetry", telemetry(0, 100), 0), ("telemetry", telemetry(0, 3), S))
    assert model.figures(S)["link"]["share"] is None


def test_a_silent_implant_is_lost_after_a_second_and_not_before():
    model = taken(("telemetry", telemetry(0), 0))
    assert model.figures(S // 2)["state"] == "STIMULATING"
    assert model.figures(2 * S)["state"] == "LOST"
    assert Model().figures(0)["state"] == "LOST"


def test_rules_of_the_guard_are_shares_of_the_last_frames():
    def report(seq, *found):
        return GuardReport(seq, 0, tuple(Intervention(rule, tier, 3, worst, 4.0, "nC") for rule, tier, worst in found))

    charge = ("charge per phase", "advisory", 9.0)
    rate = ("rate", "hard", float("inf"))
    model = taken(*[("guard", report(k, charge if k % 2 else rate), k * 100 * MS) for k in range(10)])
    assert model.figures(S)["guard"] == [
        ["rate", "hard", 0.5, 3, None, 4.0, "nC"],
        ["charge per phase", "advisory", 0.5, 3, 9.0, 4.0, "nC"],
    ]
    assert model.figures(30 * S)["guard"] == []


def test_charge_per_second_is_what_receipts_say():
    def receipt(seq, pc):
        return Receipt(seq, 0, readonly(pc, np.int64), readonly(np.zeros(2), np.uint8))

    model = taken(*[("receipt", receipt(k, [1000, 3000]), k * 100 * MS) for k in range(11)])
    assert model.charge_nc_per_s(2, S).tolist() == pytest.approx([10.0, 30.0])
    assert model.charge_nc_per_s(3, S).tolist() == [0, 0, 0]


def test_the_same_words_are_told_once():
    armed = [Event(0, 0, source, "info", "implant is armed") for source in ("device", "implant")]
    model = taken(("event", armed[0], 0), ("event", armed[1], S))
    assert [event[3] for event in model.events] == ["implant is armed"]
    model.tell(10 * S, "device", "info", "implant is armed")
    assert model.said == 2


def test_pictures_are_made_once_and_carry_what_the_page_needs():
    amplitude = [0.0, 12.5, 90.0]
    model = taken(
        ("frame", frame(4), 0),
        ("machine_code", MachineCode(4, 0, readonly([0, 0.5, 1, 2], np.float32), "map", (2, 2)), 0),
        ("percept", percept(4), 0),
        ("delivered", delivered(4, amplitude), 0),
    )
    found = {part.about["name"]: part for part in parts(model, "a", 0)}
    assert parts(model, "a", 0) == []
    assert found["frame"].data[:2] == found["percept"].data[:2] == b"\xff\xd8"
    assert list(found["machine_code"].data) == [0, 127, 255, 255]
    assert found["percept"].about["gaze"] == [0.5, -0.5]
    assert np.frombuffer(found["electrodes"].data, "<f4", 3).tolist() == amplitude
    head, data = unpack(pack({"word": 1}, list(found.values())))
    assert head["word"] == 1
    assert data == [part.data for part in found.values()]
    assert all(part["seq"] == 4 for part in head["parts"])


class OneModel:
    def __init__(self, model):
        self.model, self.word = model, "one"

    def now_ns(self):
        return S

    def models(self):
        return {"a": self.model}

    def geometry(self):
        return self.word, {"a": {"electrodes": 2}}

    def status(self):
        return {"mode": "live"}


def test_a_browser_is_sent_the_newest_once_and_a_second_one_all_of_it(monkeypatch):
    model = taken(("frame", frame(1), 0), ("event", Event(0, 0, "device", "info", "hello"), 0))
    board = Board(OneModel(model))
    first, second = Reader(board), Reader(board)
    board.refresh()
    head, data = unpack(first.next())
    assert set(head) == {"geometry", "status", "figures", "events", "forget", "parts"}
    assert head["events"][0][3:] == ["info", "hello"]
    assert len(data) == 1
    assert first.next() is None
    monkeypatch.setattr("prosthesis_sim.console.stream.PICTURES_S", 0.0)
    for seq in (2, 3):
        model.take("frame", encode(frame(seq)), S)
        board.refresh()
    assert [part["seq"] for part in unpack(first.next())[0]["parts"]] == [3]  # 2 was never drawn, and never will be
    assert [part["seq"] for part in unpack(second.next())[0]["parts"]] == [3]


CAR = Found("obstacle", "car", 0.75, 0.1, 0.2, 0.3, 0.4, 1.25, "left")
SIGN = Found("word", "EXIT", 0.9, 0.5, 0.5, 0.25, 0.125)


def seen(model, t_ns):
    """What the page is sent with the picture captured then."""
    model.take("frame", encode(frame(1, t_ns)), t_ns)
    (part,) = parts(model, "a", t_ns)
    pack({}, [part])  # it is JSON
    return part.about["found"]


def test_what_was_found_goes_with_the_picture_in_numbers_that_json_knows():
    model = taken(("findings", Findings(1, 100 * MS, "obstacle", (CAR,)), 0))
    model.take("findings", encode(Findings(1, 50 * MS, "text", (SIGN,))), 0)
    car, sign = seen(model, 200 * MS)
    assert car == {
        "kind": "obstacle", "label": "car", "side": "left", "box": [0.1, 0.2, 0.3, 0.4], "confidence": 0.75,
        "time_s": 1.25, "age_s": 0.1,
    }  # fmt: skip
    assert (sign["label"], sign["time_s"], sign["age_s"]) == ("EXIT", None, 0.15)


def test_a_newer_look_replaces_an_older_one_of_the_same_encoder_only():
    model = taken(
        ("findings", Findings(1, 10 * MS, "obstacle", (CAR,)), 0),
        ("findings", Findings(1, 10 * MS, "text", (SIGN,)), 0),
        ("findings", Findings(2, 20 * MS, "obstacle", ()), 0),
    )
    assert [item["label"] for item in seen(model, 30 * MS)] == ["EXIT"]


def test_what_was_found_a_second_ago_is_not_in_the_picture_any_more():
    model = taken(("findings", Findings(1, 10 * MS, "text", (SIGN,)), 0))
    assert len(seen(model, 1009 * MS)) == 1
    assert seen(model, 1010 * MS) == []
