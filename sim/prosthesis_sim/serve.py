"""The world as its own process: the emulator behind ZeroMQ sockets, in real time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from prosthesis.calibration.participant import ATTEND, POINT, RATE, SEEN, encode_answer
from prosthesis.errors import LinkError
from prosthesis.links.keys import Keys
from prosthesis.links.zmq import COMMANDS, PARTICIPANT, UPLINK, heartbeats
from prosthesis.messages import About, Event, Message
from prosthesis.wire import holds_stop
from prosthesis_sim.emulator import Emulator, Outcome

TICK_S = 0.01
LOOK_S = 0.04
TELEMETRY_S = 0.05
KEYS_S = 0.5
ABOUT_S = 0.5
REPEAT_S = 5.0
NS_PER_S = 1_000_000_000
Publish = Callable[[str, Message], None]


@dataclass(slots=True)
class _Due:
    """When things that happen by themselves are due, in seconds of the monotonic clock."""

    look: float = 0.0
    telemetry: float = 0.0
    keys: float = 0.0
    about: float = 0.0


class TurnedAway:
    """Says in words why clients were not let in at ``socket``, each reason at most every five seconds."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._monitor = socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        self._told: dict[str, float] = {}

    def since(self, now: float) -> list[str]:
        """Return what happened since last asked; ``now`` in seconds."""
        texts = []
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)
            text = _why_turned_away(int(event["event"]), int(event["value"]))
            if now - self._told.get(text, -REPEAT_S) >= REPEAT_S:
                self._told[text] = now
                texts.append(text)
        return texts

    def close(self) -> None:
        """Stop watching."""
        self._socket.disable_monitor()
        self._monitor.close(0)


def _why_turned_away(event: int, value: int) -> str:
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return "refused a client whose key is not in allowed/; to let it in, run 'prosthesis keys --allow ITS.key'"
    if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return "a client hung up before it was let in; does it use CURVE, and this installation's keys?"
    if value == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
        return "refused a client that pins another implant's key; copy this installation's implant.key to it"
    if value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
        return "refused a client that speaks without CURVE; give it this installation's keys"
    return "refused a client that does not speak this protocol"


class Server:
    """Sockets in front of one ``Emulator``; ``step_delay_s`` slows the world down, for tests of freshness."""

    def __init__(
        self,
        emulator: Emulator,
        keys: Keys,
        host: str,
        port: int,
        publish: Publish,
        step_delay_s: float = 0.0,
        plain: bool = False,
    ) -> None:
        self._emulator, self._publish, self._delay_s = emulator, publish, step_delay_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._authenticator = ThreadAuthenticator(self._context)
        self._authenticator.start()
        self._keys, self._host, self._plain = keys, host, plain
        self._allowed: frozenset[bytes] = frozenset()
        self._read_allowed()
        self._patterns = self._bind(zmq.PULL, port)
        self._commands = self._bind(zmq.ROUTER, port + COMMANDS)
        self._uplink = self._bind(zmq.PUB, port + UPLINK)
        self._keypad = self._bind(zmq.ROUTER, port + PARTICIPANT, plain=False)
        self._turned_away = TurnedAway(self._commands)
        self._poller = zmq.Poller()
        for socket in (self._patterns, self._commands, self._keypad):
            self._poller.register(socket, zmq.POLLIN)
        self._due = _Due()

    def _read_allowed(self) -> None:
        """Take up keys that came or went since the last time."""
        allowed = self._keys.allowed_raw()
        if allowed != self._allowed:
            self._allowed = allowed
            self._authenticator.configure_curve(domain="*", location=str(self._keys.allowed))
            self._emulator.allow(allowed)

    def _bind(self, kind: int, port: int, plain: bool | None = None) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        heartbeats(socket)
        if not (self._plain if plain is None else plain):
            socket.curve_server = True
            socket.curve_secretkey, socket.curve_publickey = self._keys.secret, self._keys.public
        if kind == zmq.PUB:
            socket.setsockopt(zmq.SNDHWM, 8)
        try:
            socket.bind(f"tcp://{self._host}:{port}")
        except zmq.ZMQError as error:
            raise LinkError(
                f"cannot listen at {self._host}:{port} ({error}); is another 'prosthesis sim' running? choose --port"
            ) from error
        return socket

    def run(self, until: Callable[[], bool]) -> None:
        """Serve until ``until()``, checked about a hundred times a second."""
        try:
            while not until():
                self._once()
        finally:
            self.close()

    def _once(self) -> None:
        ready = dict(self._poller.poll(self._wait_ms()))
        if self._commands in ready:
            self._answer_commands()
        if self._keypad in ready:
            self._answer_participant()
        heard = self._patterns in ready and self._hear_newest()
        now = time.monotonic()
        outcome = self._emulator.step(look=now >= self._due.look)
        if self._delay_s and heard:
            time.sleep(self._delay_s)
        self._tell(outcome, now)

    def _wait_ms(self) -> int:
        event_ns = self._emulator.next_event_ns()
        if event_ns is None:
            return int(TICK_S * 1000)
        return max(0, min(int(TICK_S * 1000), (event_ns - time.monotonic_ns()) // 1_000_000))

    def _hear_newest(self) -> bool:
        """Drain the socket, keep the newest message, count the rest as skipped; STOP is obeyed and never skipped."""
        newest = None
        while True:
            try:
                message = self._patterns.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if holds_stop(message):
                self._emulator.hear(message)
                continue
            if newest is not None:
                self._emulator.implant.skipped += 1
            newest = message
        if newest is not None:
            self._emulator.hear(newest)
        return newest is not None

    def _answer_commands(self) -> None:
        while self._commands.poll(0):
            peer, *parts = self._commands.recv_multipart()
            if len(parts) == 1:  # whoever sends otherwise speaks another protocol
                reply = self._emulator.command(parts[0][4:])
                if reply is not None:
                    self._commands.send_multipart([peer, parts[0][:4] + reply])

    def _answer_participant(self) -> None:
        participant = self._emulator.participant
        while self._keypad.poll(0):
            *envelope, question = self._keypad.recv_multipart()
            answer = encode_answer(False)
            if question == ATTEND:
                participant.attend()
                answer = encode_answer(True)
            elif question == SEEN:
                answer = encode_answer(participant.seen())
            elif question == POINT:
                place = participant.point()
                answer = encode_answer(True, *place) if place else encode_answer(False)
            elif question == RATE:
                answer = encode_answer(True, participant.rate())
            self._keypad.send_multipart([*envelope, answer])

    def _tell(self, outcome: Outcome, now: float) -> None:
        """Publish what happened: first what flows back to the device, then the taps."""
        if outcome.hops is not None:
            self._emulator.receipt()
        changes = self._emulator.implant.changes()
        if changes or now >= self._due.telemetry:
            self._due.telemetry = now + TELEMETRY_S
            telemetry = self._emulator.telemetry()
            for state, reason in changes:
                text = f"implant is {state.name.lower()}: {reason}"
                self._publish("event", Event(telemetry.seq, telemetry.t_ns, "implant", "info", text))
        for packet in self._emulator.arrived_up():
            self._send_up(packet)
        if now >= self._due.keys:
            self._due.keys = now + KEYS_S
            self._read_allowed()
        for text in self._turned_away.since(now):
            self._publish("event", Event(0, time.monotonic_ns(), "implant", "warning", text))
        if now >= self._due.about:
            self._due.about = now + ABOUT_S
            self._publish("about", self._about())
        for heard in self._emulator.implant.journal.take():
            self._publish("heard", heard)
        for delivered in outcome.delivered:
            self._publish("delivered", delivered)
        if outcome.percept is not None:
            self._due.look = now + LOOK_S
            self._publish("percept", outcome.percept)
        if outcome.evoked is not None:
            self._publish("evoked", outcome.evoked)
        if outcome.hops is not None:
            self._publish("world_hops", outcome.hops)

    def _about(self) -> About:
        told = self._emulator.faults.told()
        facts = self._emulator.about | ({"sim_faults": "; ".join(told)} if told else {})
        return About(0, time.monotonic_ns(), tuple(facts), tuple(facts.values()))

    def _send_up(self, packet: bytes) -> None:
        with contextlib.suppress(zmq.Again):  # a device that does not read its receipts must not slow the implant
            self._uplink.send(packet, zmq.NOBLOCK)

    def close(self) -> None:
        """Release sockets and ports."""
        self._turned_away.close()
        for socket in (self._patterns, self._commands, self._uplink, self._keypad):
            socket.close(0)
        self._authenticator.stop()
        self._context.term()
