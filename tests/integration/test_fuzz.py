"""A short fuzz campaign: nothing gets through, and without protection the same attacks do."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import HAND

from prosthesis.config import load_rig
from prosthesis.messages import Delivered, readonly
from prosthesis.sealing import Sealing
from prosthesis_sim.attacks import ATTACKS
from prosthesis_sim.fuzz import Campaign, readable, tightened
from prosthesis_sim.oracle import Judge


@pytest.fixture(scope="module")
def rig():
    return tightened(load_rig(HAND))


@pytest.fixture(scope="module")
def campaign(rig):
    return {sealing: Campaign(rig, sealing, 1200, 5).run(lambda done: None) for sealing in Sealing}


def test_sealed_nothing_is_accepted_broken_or_crashed(campaign):
    report = campaign[Sealing.AEAD]
    assert report.crashes == []
    assert report.violations == {}
    assert sum(report.accepted.values()) == 0
    assert (report.commands_accepted, report.raised, report.locked) == (0, 0, 0)
    assert report.clean


def test_it_did_try_everything_and_the_genuine_got_through(campaign):
    report = campaign[Sealing.AEAD]
    assert set(report.tried) == set(ATTACKS)
    assert report.pulses > 1000
    assert report.genuine_accepted > 200
    assert {"FORGED", "REPLAYED", "SESSION", "CORRUPT", "TRUNCATED", "STALE"} <= set(report.refusals)
    assert {"balance, hard", "total current, hard", "not finite, hard", "rate, hard"} <= set(report.interventions)


@pytest.mark.parametrize(
    ("sealing", "succeed", "fail"),
    [
        (Sealing.NONE, {"flip payload", "flip and fix", "forge", "replay renewed", "stale renewed"}, {"replay"}),
        (Sealing.CRC, {"flip and fix", "forge", "replay renewed"}, {"flip payload", "replay"}),
        (Sealing.HMAC, set(), set(ATTACKS)),
        (Sealing.AEAD, set(), set(ATTACKS)),
    ],
)
def test_what_protects_against_what(campaign, sealing, succeed, fail):
    accepted = campaign[sealing].accepted
    assert campaign[sealing].crashes == []
    assert {name for name in succeed if not accepted[name]} == set()
    assert {name for name in fail if accepted[name]} == set()


def test_only_encryption_hides_what_is_sent(rig):
    assert [readable(rig, sealing) for sealing in Sealing] == [True, True, True, False]


def test_the_judge_condemns_what_breaks_a_limit(rig):
    judge = Judge(rig)
    width, slot = readonly(np.full(4, 200), np.float32), readonly(np.array([0, 1, 1, 0]), np.uint8)

    def delivered(amplitude, pulses=1):
        ua = readonly(np.full(4, amplitude), np.float32)
        return Delivered(1, 1, 0, 10_000_000, ua, width, readonly(np.full(4, pulses), np.int32), slot)

    judge.delivered(delivered(10))
    assert judge.broken == {}
    judge.delivered(delivered(61))  # calibrated maximum 60
    assert "current" in judge.broken
    judge.delivered(delivered(10, pulses=9))  # 900 Hz
    assert "rate" in judge.broken
