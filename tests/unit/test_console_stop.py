"""STOP's own process: who may press it, and what implants get from it."""

from __future__ import annotations

import http.client
import threading

import pytest
import zmq
from helpers import wait_for

from prosthesis.processes import free_port
from prosthesis.wire import holds_stop
from prosthesis_sim.console.stopper import REPEATS, Stopper, serve
from prosthesis_sim.console.stopway import StopWay


class Implant:
    """What an implant without CURVE hears."""

    def __init__(self):
        self.port = free_port()
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.PULL)
        self.socket.bind(f"tcp://127.0.0.1:{self.port}")
        self.word = f"127.0.0.1:{self.port}/plain"

    def heard(self, timeout_ms=1500):
        return self.socket.recv() if self.socket.poll(timeout_ms) else None

    def close(self):
        self.socket.close(0)
        self._context.term()


@pytest.fixture
def implant():
    made = Implant()
    yield made
    made.close()


def post(port, token, path="/stop"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    connection.request("POST", path, token)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_process_stops_the_implants_it_was_told_of(implant):
    way = StopWay("127.0.0.1", free_port())
    try:
        way.aim([implant.word])

        def pressed():
            return way.press() and implant.heard(100) is not None

        wait_for(pressed, 20, "STOP at the implant")
        assert holds_stop(implant.heard())  # and again, for air loses packets
        assert post(way.port, "wrong") == post(way.port, way.token, "/other") == 403
        way.aim([])
        while implant.heard(700) is not None:
            pass
        assert way.press()
        assert implant.heard(200) is None
    finally:
        way.close()


def test_it_is_started_again_when_it_has_ended(implant):
    way = StopWay("127.0.0.1", free_port())
    try:
        way.aim([implant.word])
        way._process.kill()
        way._process.wait()
        assert not way.press()
        way.tend()
        wait_for(lambda: way.press() and implant.heard(100) is not None, 20, "STOP by the new process")
    finally:
        way.close()


def test_arming_ends_the_repetition(implant):
    stopper = Stopper()
    stopper.aim([implant.word])
    wait_for(lambda: stopper.stop() == 1)
    insisting = threading.Thread(target=stopper.insist)
    insisting.start()
    wait_for(lambda: implant.heard() is not None)
    stopper.relent()
    insisting.join()
    heard = 0
    while implant.heard(100) is not None:
        heard += 1
    assert heard < REPEATS
    stopper.close()


def test_a_token_is_compared_before_anything_is_sent(implant):
    stopper = Stopper()
    stopper.aim([implant.word])
    server = serve("127.0.0.1", 0, "secret", stopper)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert post(server.server_address[1], "") == 403
    assert implant.heard(200) is None
    wait_for(lambda: post(server.server_address[1], "secret") == 200 and implant.heard(100) is not None)
    server.shutdown()
    server.server_close()
    stopper.close()
