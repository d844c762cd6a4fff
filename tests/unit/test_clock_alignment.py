"""Latency across two machines: how well the implant's times are put on the device's clock."""

from __future__ import annotations

import numpy as np
import pytest
from lab import MS, Lab

S = 1000 * MS


class TwoMachines:
    """A lab whose implant has a clock of its own, ``ahead_ns`` and ``drift`` off, behind a link that takes time."""

    def __init__(self, rig, ahead_ns, drift, there_ms, back_ms):
        self.lab, self._ahead_ns, self._drift = Lab(rig), ahead_ns, drift
        self._there_ms, self._back_ms = there_ms, back_ms
        self._random = np.random.default_rng(1)
        self.lab.link.request = self._request
        self.lab.session.open()

    def implant_ns(self):
        now_ns = self.lab.clock.now_ns()
        return now_ns + self._ahead_ns + round(self._drift * now_ns)

    def _request(self, data, timeout_s):
        self._pass(self._there_ms)
        answer = self.lab.door.answer(data, self.implant_ns())
        self._pass(self._back_ms)
        return answer

    def _pass(self, least_ms):
        """The least time, and a queue's: exponential with a mean of 2 ms."""
        self.lab.clock.advance(round((least_ms + self._random.exponential(2.0)) * MS))

    def error_ms(self):
        """How wrong a time of the implant's is on the device's clock."""
        return (self.implant_ns() - self.lab.implant.offset_ns - self.lab.clock.now_ns()) / MS


@pytest.mark.parametrize("ahead_ns", [0, 3 * S, -S // 2])
def test_equal_ways_are_aligned_to_less_than_the_queues(hand_rig, ahead_ns):
    machines = TwoMachines(hand_rig, ahead_ns, 0.0, 1.0, 1.0)
    # the quickest of five trips: the least queue of five, half of its asymmetry
    assert abs(machines.error_ms()) < 1.5


@pytest.mark.parametrize(("there_ms", "back_ms"), [(0.5, 4.5), (4.5, 0.5)])
def test_unequal_ways_cost_half_their_difference_and_no_more(hand_rig, there_ms, back_ms):
    machines = TwoMachines(hand_rig, S, 0.0, there_ms, back_ms)
    assert machines.error_ms() == pytest.approx((there_ms - back_ms) / -2, abs=1.5)


def test_a_drift_of_50_ppm_adds_half_a_millisecond_until_it_is_aligned_again(hand_rig):
    machines = TwoMachines(hand_rig, S, 50e-6, 1.0, 1.0)
    before = machines.error_ms()
    machines.lab.clock.advance(10 * S)
    assert machines.error_ms() - before == pytest.approx(0.5, abs=0.01)
    machines.lab.session.align_clock()
    assert abs(machines.error_ms()) < 1.5
