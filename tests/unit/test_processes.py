from __future__ import annotations

import socket

from prosthesis.processes import FIRST_PORT, LAST_PORT, PORTS, free_port


def test_free_ports_can_be_bound_and_are_none_that_outgoing_connections_get():
    base = free_port()
    assert FIRST_PORT <= base <= LAST_PORT < 32768
    for port in range(base, base + PORTS):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))


def test_a_block_with_a_taken_port_is_passed_over(monkeypatch):
    base = free_port()
    blocks = iter([base, base + PORTS])
    monkeypatch.setattr("random.SystemRandom.randrange", lambda *_: next(blocks))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 3))
        taken.listen()
        assert free_port() == base + PORTS
