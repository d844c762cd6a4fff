"""The link over ZeroMQ TCP with CURVE: patterns down a PUSH, commands on a DEALER, receipts and telemetry up a SUB.

No socket queues: a pattern that nobody can take now is dropped and reported, because ZeroMQ's and the kernel's buffers
would deliver it seconds late (HWM=1 alone measured 3.4 s). The receiver drains to the latest and counts what it skips.
"""

from __future__ import annotations

import struct
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from prosthesis.config import LinkConfig
from prosthesis.errors import ConfigError, LinkError
from prosthesis.links.keys import Keys

COMMANDS, UPLINK, DEVICE_TAPS, WORLD_TAPS, PARTICIPANT = 1, 2, 3, 4, 5
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEARTBEAT_MS = 100
_REQUEST_ID = struct.Struct("<I")


def heartbeats(socket: zmq.Socket[bytes]) -> None:
    """Switch on heartbeats (off by default in libzmq), fast reconnection, and an exit that never lingers."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 100)


def curve_client(socket: zmq.Socket[bytes], keys: Keys) -> None:
    """Make ``socket`` a CURVE client that pins the implant's key."""
    socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = keys.public, keys.secret, keys.peer


def plain(link: LinkConfig) -> bool:
    """Tell whether a link's sockets go without CURVE; ``ConfigError`` when they would do so beyond this machine."""
    if link.sealing == "aead":
        return False
    if link.host not in LOOPBACK:
        raise ConfigError(
            f"link '{link.name}': sealing '{link.sealing}' protects nobody, so it works at {LOOPBACK[0]} only, "
            f"not at {link.host}; use 'sealing: aead'"
        )
    return True


class ZmqLink:
    """The device's end; ``host`` and first ``port`` as in the rig's link, ``plain`` without CURVE."""

    def __init__(
        self,
        host: str,
        port: int,
        keys: Keys,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        plain: bool = False,
    ) -> None:
        self._context = context or zmq.Context.instance()
        self._address = f"tcp://{host}"
        self._where = f"{host}:{port}"
        self._keys, self._plain = keys, plain
        self._patterns = self._connect(zmq.PUSH, port)
        self._commands = self._connect(zmq.DEALER, port + COMMANDS)
        self._uplink = self._connect(zmq.SUB, port + UPLINK)
        self._uplink.setsockopt(zmq.SUBSCRIBE, b"")
        self._request = 0

    def _connect(self, kind: int, port: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        heartbeats(socket)
        if kind != zmq.SUB:
            socket.setsockopt(zmq.IMMEDIATE, 1)  # only to a peer that has completed the handshake
            socket.setsockopt(zmq.SNDHWM, 4)
        if not self._plain:
            curve_client(socket, self._keys)
        if kind == zmq.DEALER:
            self._monitor = socket.get_monitor_socket(
                zmq.EVENT_HANDSHAKE_FAILED_AUTH
                | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
                | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
                | zmq.EVENT_HANDSHAKE_SUCCEEDED
            )
        socket.connect(f"{self._address}:{port}")
        return socket

    def send(self, data: bytes) -> bool:
        """Send one pattern now; ``False`` when no implant can take it."""
        try:
            self._patterns.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next uplink packet, or ``None``."""
        if timeout_s > 0 and not self._uplink.poll(int(timeout_s * 1000)):
            return None
        try:
            return self._uplink.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def request(self, data: bytes, timeout_s: float) -> bytes:
        """Send a command and return its reply; replies to earlier, given-up requests are thrown away."""
        self._request = (self._request + 1) & 0xFFFFFFFF
        ident = _REQUEST_ID.pack(self._request)
        deadline = time.monotonic() + timeout_s
        if not self._commands.poll(int(timeout_s * 1000), zmq.POLLOUT):
            raise LinkError(self._why_silent())
        try:
            self._commands.send(ident + data, zmq.NOBLOCK)
        except zmq.Again:  # the peer went between the poll and here
            raise LinkError(self._why_silent()) from None
        while (left := deadline - time.monotonic()) > 0 and self._commands.poll(int(left * 1000) + 1):
            reply = self._commands.recv()
            if reply.startswith(ident):
                return reply[len(ident) :]
        raise LinkError(self._why_silent())

    def _why_silent(self) -> str:
        event = 0
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return (
                f"the implant at {self._where} refuses this device's key; "
                f"copy this installation's device.key into the implant's {self._keys.allowed.name}/ folder"
            )
        if event in (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL):
            return (
                f"the implant at {self._where} does not have the key pinned in "
                f"{self._keys.allowed.parent / 'implant.key'}; copy implant.key from its machine"
            )
        return f"no implant answers at {self._where}; start one with 'prosthesis sim RIG', or check --link HOST:PORT"

    def close(self) -> None:
        """Close the sockets; unsent data is dropped."""
        self._commands.disable_monitor()
        self._monitor.close(0)
        for socket in (self._patterns, self._commands, self._uplink):
            socket.close(0)
