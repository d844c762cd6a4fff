"""What the device does by itself when the implant is lost, silent, or stopped; in manual time."""

from __future__ import annotations

import pytest
from lab import Lab

from prosthesis.messages import ImplantState
from prosthesis.runtime import RunSummary, Watch
from prosthesis.wire import stop_packet


class Device:
    """Tends a lab's session and sends 15 frames a second; the implant reports twice a frame."""

    def __init__(self, lab):
        self.lab, self.summary, self.said = lab, RunSummary(), []
        self.watch = Watch(lab.session, lab.clock, lambda level, text: self.said.append(text), self.summary)

    def run(self, frames, send=True):
        for _ in range(frames):
            self.watch.tend(lambda topic, message: None)
            if self.watch.connected and send:
                self.lab.link.send(self.lab.message((200, 0, 0, 0)))
            for _ in range(2):
                self.lab.wait(33)
                if self.lab.implant.sealer is not None:
                    self.lab.telemetry()
        return self


@pytest.fixture
def lab(hand_rig):
    return Lab(hand_rig)


def test_an_implant_that_powers_up_is_armed_and_stimulates(lab):
    Device(lab).run(5)
    assert lab.implant.state is ImplantState.STIMULATING


def test_reports_of_an_earlier_session_do_not_make_a_healthy_implant_lost(lab):
    Device(lab).run(20)
    lab.wait(1000)
    for _ in range(200):  # unread while the next device loads its model
        lab.telemetry()
    lab.session = lab.new_session()
    device = Device(lab).run(40)
    assert lab.implant.state is ImplantState.STIMULATING
    assert device.summary.sessions == 1


def test_after_a_gap_in_the_frames_it_is_armed_again(lab):
    device = Device(lab).run(10).run(6, send=False)
    assert lab.implant.state is ImplantState.SAFE
    device.run(20)
    assert lab.implant.state is ImplantState.STIMULATING


def test_after_a_stop_by_somebody_else_it_is_not_armed_again_until_a_new_run(lab):
    device = Device(lab).run(10)
    lab.link.send(stop_packet(0, 0))
    device.run(50)
    assert lab.implant.state is ImplantState.STOPPED
    assert any("stopped: STOP received; start again" in text for text in device.said)
    lab.session = lab.new_session()
    Device(lab).run(30)
    assert lab.implant.state is ImplantState.STIMULATING


def test_a_stop_while_the_link_was_down_is_respected_too(lab):
    device = Device(lab).run(10)
    for _ in range(8):  # the device's frames and the implant's reports are lost; somebody else's STOP is not
        lab.wait(100)
        device.watch.tend(lambda topic, message: None)
    lab.link.send(stop_packet(0, 0))
    device.run(50)
    assert lab.implant.state is ImplantState.STOPPED
