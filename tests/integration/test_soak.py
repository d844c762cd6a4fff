"""A short soak: every frame has one fate, and one whose packets vanish without a trace is found out."""

from __future__ import annotations

from helpers import HAND

from prosthesis.config import load_rig
from prosthesis_sim.channel import Channel
from prosthesis_sim.soak import Life, Soak, table


def lived(frames=1500, seed=3):
    return Soak(load_rig(HAND, air="radio_misaligned"), frames, seed).run(lambda done: None)


def test_every_frame_is_accounted_for_whatever_goes_wrong():
    life = lived()
    assert life.fates.total() == life.frames == 1500
    assert life.fates["unaccounted"] == 0
    assert life.fates["delivered"] > 300
    assert life.fates["lost: the air"] > 20
    assert {"refused: CORRUPT", "refused: NOT_ARMED", "lost: a fault"} <= set(life.fates)
    assert len(life.faults) > 10
    assert life.sound
    assert "unaccounted: 0" in table(life)


def test_a_packet_that_vanishes_without_a_trace_is_found_out(monkeypatch):
    arrivals = Channel.arrivals
    monkeypatch.setattr(Channel, "arrivals", lambda self, now_ns: arrivals(self, now_ns)[:-1])
    life = lived(300)
    assert life.fates["unaccounted"] > 10
    assert not life.sound


def test_memory_that_grows_is_told():
    flat = Life("a rig", 1, 0, memory_kb=[300] + [200] * 19)
    assert flat.growth == 0
    assert Life("a rig", 1, 0, memory_kb=[200] * 10 + [204 + i for i in range(10)]).growth > 0.02
