"""An Intan RHS controller through the TCP command server of Intan's RHX software.

Line syntax, names and replies are those of RHX's published source and example scripts; its manual was not at hand. RHX
says nothing when a command succeeds, so each batch ends with a question, and whatever comes before its answer is an
error. The trigger of the host is key F1, that of the hardware digital input 1.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.hosted import HostedBackend, starts_us
from prosthesis.stimulator.model import Capabilities, Program, Trigger, Waveform

PORT = 5000
CHANNELS_PER_PORT = 32
REPLY_S = 5.0
QUESTION, ANSWER = "get runmode", "Return: RunMode "
MESSAGE_BYTES = 1200  # within one segment of Ethernet, so that RHX reads a message whole
Trains: TypeAlias = "dict[int, tuple[str, ...]]"
MODES = ("Stop", "Run", "Record", "Trigger")


def channel_name(electrode: int) -> str:
    """Return RHX's name of a channel, e.g. ``B-007`` for electrode 39."""
    return f"{chr(ord('A') + electrode // CHANNELS_PER_PORT)}-{electrode % CHANNELS_PER_PORT:03d}"


class IntanBackend(HostedBackend):
    """A ``StimulatorBackend`` of style *channels* over RHX's command socket.

    ``StimulatorError`` of ``INTERFACE_TIMEOUT`` when RHX does not answer, ``INVALID_INTERFACE`` when it controls
    another device or steps its currents otherwise than the profile says.
    """

    def __init__(
        self,
        capabilities: Capabilities,
        host: str = "127.0.0.1",
        port: int = PORT,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__(capabilities, now_ns)
        self._told: dict[int, tuple[str, ...]] = {}
        try:
            self._socket = socket.create_connection((host, port), timeout=REPLY_S)
        except OSError as error:
            text = f"no RHX command server at {host}:{port} ({error}); open it in Network, Remote TCP Control"
            raise StimulatorError(StimulatorCode.INTERFACE_TIMEOUT, text) from error
        try:
            self._identify()
        except StimulatorError:
            self._socket.close()
            raise

    def _identify(self) -> None:
        kind, step = self._ask("get type"), self._ask("get stimstepsizemicroamps")
        if not kind.startswith("Return: Type ControllerStimRecord"):
            raise StimulatorError(StimulatorCode.INVALID_INTERFACE, f"RHX answers '{kind}': no stimulation controller")
        if step.rpartition(" ")[2] != f"{self._c.step_na / 1000:g}":
            text = f"RHX answers '{step}', the profile steps {self._c.step_na} nA; restart RHX with that step"
            raise StimulatorError(StimulatorCode.INVALID_INTERFACE, text)
        if self._run_mode() != "Stop":
            self._tell(["set runmode stop"])

    def _start(self, program: Program) -> None:
        self._upload(program, "keypressf1", "high")
        self._tell(["execute manualstimtriggerpulse f1"])

    def _await(self, program: Program, trigger: Trigger) -> None:
        self._upload(program, "digitalin01", "high" if trigger is Trigger.RISING else "low")

    def _halt(self) -> None:
        if self._run_mode() != "Stop":
            self._tell(["set runmode stop"])

    def close(self) -> None:
        """Stop and disconnect."""
        try:
            self.stop()
        finally:
            self._socket.close()

    def _upload(self, program: Program, source: str, level: str) -> None:
        """Make the board run with the program's trains; only what changed is told and uploaded, with it stopped."""
        trains = {e: _settings(self._bank[slot], at_us, source, level) for at_us, e, slot in starts_us(program)}
        changed = {e: settings for e, settings in trains.items() if self._told.get(e) != settings}
        silent = {e: ("stimenabled false",) for e in self._told if e not in trains and len(self._told[e]) > 1}
        if changed or silent:
            self._halt()
            for batch in self._batches({**silent, **changed}):
                before = {electrode: self._told.pop(electrode, ()) for electrode in batch}
                self._tell([line for e, settings in batch.items() for line in _lines(e, settings, before[e])])
                self._told.update(batch)
        if self._run_mode() != "Run":
            self._tell(["set runmode run"])

    def _batches(self, changed: Trains) -> Iterator[Trains]:
        """Yield the channels in as few messages as keep to ``MESSAGE_BYTES``, or one channel each."""
        batch: Trains = {}
        size = 0
        for electrode, settings in changed.items():
            length = len(";".join(_lines(electrode, settings, self._told.get(electrode, ())))) + 1
            if batch and size + length > MESSAGE_BYTES:
                yield batch
                batch, size = {}, 0
            batch[electrode] = settings
            size += length
        if batch:
            yield batch

    def _run_mode(self) -> str:
        return self._ask(QUESTION).removeprefix(ANSWER)

    def _tell(self, commands: list[str]) -> None:
        """Send commands; ``StimulatorError`` with what RHX had to say of them."""
        reply = self._ask(";".join([*commands, QUESTION]))
        said, _, _ = reply.rpartition(ANSWER)
        if said:
            raise StimulatorError(StimulatorCode.NOK, f"RHX answers '{said}'")

    def _ask(self, text: str) -> str:
        """Send one message and return the whole answer, up to that of its last question."""
        ends = tuple(ANSWER + mode for mode in MODES) if text.endswith(QUESTION) else ()
        try:
            self._socket.sendall(text.encode())
            reply = ""
            while not (reply.endswith(ends) if ends else reply):
                part = self._socket.recv(4096).decode()
                if not part:
                    raise StimulatorError(StimulatorCode.DISCONNECTED, "RHX closed the connection")
                reply += part
        except OSError as error:
            raise StimulatorError(StimulatorCode.INTERFACE_TIMEOUT, f"RHX does not answer '{text}'") from error
        return reply


def _lines(electrode: int, settings: tuple[str, ...], before: tuple[str, ...]) -> list[str]:
    """Return what tells RHX the settings of a channel that are new, and uploads them."""
    name = channel_name(electrode).lower()
    new = [setting for setting in settings if setting not in before]
    return [f"set {name}.{setting}" for setting in new] + [f"execute uploadstimparameters {name}"]


def _settings(w: Waveform, at_us: int, source: str, level: str) -> tuple[str, ...]:
    """Return RHX's settings of one train, in its names and units."""
    return (
        "stimenabled true",
        f"source {source}",
        "triggeredgeorlevel edge",
        f"triggerhighorlow {level}",
        f"shape {'biphasicwithinterphasedelay' if w.interphase_us else 'biphasic'}",
        f"polarity {'negativefirst' if w.cathodic_first else 'positivefirst'}",
        f"firstphaseamplitudemicroamps {w.amplitude1_na / 1000:g}",
        f"secondphaseamplitudemicroamps {w.amplitude2_na / 1000:g}",
        f"firstphasedurationmicroseconds {w.width1_us}",
        f"secondphasedurationmicroseconds {w.width2_us}",
        f"interphasedelaymicroseconds {w.interphase_us}",
        f"posttriggerdelaymicroseconds {at_us}",
        f"pulseortrain {'pulsetrain' if w.pulses > 1 else 'singlepulse'}",
        f"numberofstimpulses {w.pulses}",
        f"pulsetrainperiodmicroseconds {w.period_us}",
    )
