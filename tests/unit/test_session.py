"""What the device's session believes of what comes back."""

from __future__ import annotations

import pytest
from lab import Lab

from prosthesis import control
from prosthesis.control import Command
from prosthesis.errors import LinkError
from prosthesis.messages import ImplantState, Refusal
from prosthesis.wire import stop_packet


@pytest.fixture
def lab(hand_rig):
    return Lab(hand_rig).stimulating()


def test_what_an_earlier_session_left_in_the_queue_is_skipped(lab):
    for _ in range(20):
        lab.telemetry()
    lab.session = lab.new_session()
    lab.session.open()
    lab.telemetry()
    assert lab.session.receive().state is ImplantState.SAFE
    assert lab.session.receive() is None


def test_a_peer_that_babbles_does_not_hold_the_device_up(lab):
    packet = lab.telemetry()[:-1] + b"\0"
    lab.link.receive = lambda timeout_s: packet
    assert lab.session.receive() is None


def test_a_replayed_packet_is_heard_once(lab):
    first, second = lab.telemetry(), lab.telemetry()
    lab.link.uplink = [first, second, second, first]
    assert lab.session.receive() is not None
    assert lab.session.receive() is not None
    assert lab.session.receive() is None


def test_a_reply_to_another_command_is_no_answer(lab):
    replies, request = [], lab.link.request
    lab.link.request = lambda data, timeout_s: (replies.append(request(data, timeout_s)), replies[-1])[1]
    lab.session.command(Command.CLOCK)
    lab.link.request = lambda data, timeout_s: replies[0]
    with pytest.raises(LinkError, match="not authentic"):
        lab.session.command(Command.ABORT)
    assert lab.implant.state is ImplantState.STIMULATING


def test_an_answer_to_open_that_is_no_key_is_a_link_error(lab):
    request = lab.link.request

    def answer(data, timeout_s):
        return bytes(32) + b"x" if data.startswith(control.OPEN_MAGIC) else request(data, timeout_s)

    lab.link.request = answer
    with pytest.raises(LinkError, match=r"no usable key; check that implant\.key"):
        lab.session.open()


def test_a_stop_by_somebody_else_overrules_this_device_until_it_is_made_to_arm(lab):
    lab.link.send(stop_packet(0, 0))
    lab.telemetry()
    lab.session.receive()
    assert lab.session.overruled
    lab.session.open()
    assert lab.session.overruled
    for _ in range(10):
        lab.frame()
    assert lab.session.arm().refusal is Refusal.NONE
    assert not lab.session.overruled


def test_a_stop_from_before_this_device_came_does_not_overrule_it(lab):
    lab.session.stop()
    lab.session = lab.new_session()
    lab.session.open()
    lab.telemetry()
    for _ in range(10):
        lab.frame()
    lab.telemetry()  # and another such report that is still on its way when it arms
    lab.wait(1)
    assert lab.session.arm().refusal is Refusal.NONE
    assert lab.session.receive().state is ImplantState.STOPPED
    assert lab.session.receive().state is ImplantState.STOPPED
    assert not lab.session.overruled
