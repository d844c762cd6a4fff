"""Whoever is not let in is told so at both ends; over real sockets."""

from __future__ import annotations

import re
import socket

import pytest
from helpers import wait_for

from prosthesis.errors import LinkError
from prosthesis.links.keys import allow_device, load_keys, make_keys, rotate_keys
from prosthesis.links.zmq import ZmqLink
from prosthesis.messages import ImplantState


@pytest.fixture
def stranger(tmp_path, port):
    """Ask for a session with the keys of another installation, and return what its user is told."""
    folder = tmp_path / "stranger"
    make_keys(folder)

    def ask():
        link = ZmqLink("127.0.0.1", port, load_keys("device", folder))
        try:
            link.request(b"PVOPEN1\0" + bytes(68), 1.0)
        except LinkError as error:
            return str(error)
        finally:
            link.close()
        return ""

    ask.folder = folder
    return ask


def told(world):
    return [event.text for event in world.of("event") if event.level == "warning"]


def test_three_strangers_are_refused_and_both_ends_say_why(sim, taps, stranger, keys, port):
    sim()
    world = taps("event", "percept")
    # a tap tells a late subscriber nothing of what was before: percepts come all the time, and after events
    wait_for(lambda: world.of("percept"), 15, "the subscription")
    assert re.search(r"does not have the key pinned in .*implant\.key", stranger())
    wait_for(lambda: any("pins another implant's key" in text for text in told(world)), 15, lambda: told(world))
    (stranger.folder / "implant.key").write_bytes((keys / "implant.key").read_bytes())
    assert "refuses this device's key" in stranger()
    wait_for(lambda: any("not in allowed/" in text for text in told(world)), 15, lambda: told(world))
    with socket.create_connection(("127.0.0.1", port + 1), 2) as plain:
        # a libzmq client may hang up on its own before the implant has seen why
        plain.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48))
        wait_for(lambda: any("without CURVE" in text for text in told(world)), 15, lambda: told(world))
    allow_device(keys, stranger.folder / "device.key")
    wait_for(lambda: not stranger(), 15, "letting it in without a new start")


def test_a_rotated_device_key_ends_its_session_and_opens_the_next(sim, taps, device, keys):
    sim()
    built = device()
    built.session.open(1.0)
    rotate_keys(keys, "device")
    wait_for(lambda: not _answers(built.session), 15, "the end of the old key's session")
    again = device()
    again.session.open(1.0)
    assert again.session.arm().state is ImplantState.ARMED


def _answers(session):
    try:
        session.align_clock()
    except LinkError:
        return False
    return True
