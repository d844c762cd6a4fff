"""A TCP command server that answers as Intan's RHX software does, with the emulator behind it instead of a controller.

Commands, names, ranges, defaults, rounding and replies follow RHX's published source (3.3 to 3.5.2): ``get`` answers
``Return: NAME VALUE``, what succeeds is not answered, and RHX refuses neither an unbalanced pulse nor a current. What
is not a stimulation command is ``Unrecognized``. Not emulated: recording, the data sockets, triphasic pulses, analogue
triggers, amplifier settling, charge recovery, and triggers by level.
"""

from __future__ import annotations

import math
import selectors
import socket
from collections.abc import Callable

from prosthesis.errors import LinkError
from prosthesis.stimulator.codes import StimulatorError
from prosthesis.stimulator.model import Command, Group, Program, Wait, Waveform
from prosthesis_sim.backends.stimulator import EmulatedStimulator

CHANNELS_PER_PORT = 32
TICK_S = 0.005
ACTIONS = ("manualstimtriggeron", "manualstimtriggeroff", "manualstimtriggerpulse")
KEYS = tuple(f"f{k}" for k in range(1, 9))
SOURCES = (
    *(f"DigitalIn{k:02d}" for k in range(1, 17)),
    *(f"AnalogIn{k:02d}" for k in range(1, 9)),
    *(f"KeyPressF{k}" for k in range(1, 9)),
)
# name: (choices, default) or (least, most, default), as in RHX's stimparameters
CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "Shape": (("Biphasic", "BiphasicWithInterphaseDelay", "Triphasic"), "Biphasic"),
    "Polarity": (("NegativeFirst", "PositiveFirst"), "NegativeFirst"),
    "Source": (SOURCES, "DigitalIn01"),
    "TriggerEdgeOrLevel": (("Edge", "Level"), "Edge"),
    "TriggerHighOrLow": (("High", "Low"), "High"),
    "PulseOrTrain": (("SinglePulse", "PulseTrain"), "SinglePulse"),
    "StimEnabled": (("True", "False"), "False"),
    "MaintainAmpSettle": (("True", "False"), "False"),
    "EnableAmpSettle": (("True", "False"), "True"),
    "EnableChargeRecovery": (("True", "False"), "False"),
}
NUMBERS: dict[str, tuple[float, float, float]] = {
    "FirstPhaseDurationMicroseconds": (0, 5000, 100),
    "SecondPhaseDurationMicroseconds": (0, 5000, 100),
    "InterphaseDelayMicroseconds": (0, 5000, 100),
    "FirstPhaseAmplitudeMicroAmps": (0, 2550, 0),
    "SecondPhaseAmplitudeMicroAmps": (0, 2550, 0),
    "PostTriggerDelayMicroseconds": (0, 500_000, 0),
    "PulseTrainPeriodMicroseconds": (0, 1_000_000, 10_000),
    "RefractoryPeriodMicroseconds": (0, 1_000_000, 1000),
    "PreStimAmpSettleMicroseconds": (0, 500_000, 0),
    "PostStimAmpSettleMicroseconds": (0, 500_000, 1000),
    "PostStimChargeRecovOnMicroseconds": (0, 1_000_000, 0),
    "PostStimChargeRecovOffMicroseconds": (0, 1_000_000, 0),
    "NumberOfStimPulses": (0, 256, 2),
}
NAMES = {name.lower(): name for name in (*CHOICES, *NUMBERS)}
Settings = dict[str, str]


class IntanCommands:
    """What RHX makes of command lines, without the socket: ``answer`` takes what was received and returns the reply."""

    def __init__(self, stimulator: EmulatedStimulator) -> None:
        self._stimulator, self._c = stimulator, stimulator.capabilities
        default = {name: value for name, (_, value) in CHOICES.items()}
        default |= {name: f"{value:g}" for name, (_, _, value) in NUMBERS.items()}
        self._settings: list[Settings] = [dict(default) for _ in range(self._c.electrodes)]
        self._uploaded: dict[int, tuple[Settings, int]] = {}
        self.running = False

    def answer(self, text: str) -> str:
        """Obey the commands, separated by semicolons, and return all replies one after the other."""
        commands = [part.split() for part in text.split(";") if part.strip()]
        return "".join(self._one(k, words) for k, words in enumerate(commands, start=1))

    def _one(self, k: int, words: list[str]) -> str:
        match [words[0].lower(), *words[1:]]:
            case ["get", name]:
                return self._get(name.lower())
            case ["set", name, value]:
                return self._set(name.lower(), value.lower())
            case ["execute", action]:
                return self._execute(action.lower(), None)
            case ["execute", action, parameter]:
                return self._execute(action.lower(), parameter.lower())
            case ["get", *_]:
                return f"Error - Command {k}: Get commands require a parameter"
            case ["set", *_]:
                return f"Error - Command {k}: Set commands require a parameter and a value"
            case ["execute", *_]:
                return f"Error - Command {k}: Execute commands require an action"
        return f"Error - Command {k}: Unrecognized command"

    def _get(self, name: str) -> str:
        known = {
            "type": ("Type", "ControllerStimRecord"),
            "runmode": ("RunMode", "Run" if self.running else "Stop"),
            "sampleratehertz": ("SampleRateHertz", str(self._c.clock_hz)),
            "stimstepsizemicroamps": ("StimStepSizeMicroAmps", f"{self._c.step_na / 1000:g}"),
            "uploadinprogress": ("UploadInProgress", "False"),
        }
        channel, setting = self._channel(name)
        if channel is not None:
            known[name] = (NAMES[setting], self._settings[channel][NAMES[setting]])
        return "Return: {} {}".format(*known[name]) if name in known else "Unrecognized parameter"

    def _channel(self, name: str) -> tuple[int | None, str]:
        """Return the electrode and the setting that e.g. ``a-010.source`` names."""
        channel, dot, setting = name.partition(".")
        electrode = self._electrode(channel)
        return (electrode, setting) if dot and setting in NAMES else (None, "")

    def _electrode(self, channel: str) -> int | None:
        port, dash, number = channel.partition("-")
        if not (dash and port in ("a", "b", "c", "d") and len(number) == 3 and number.isdecimal()):
            return None
        electrode = (ord(port) - ord("a")) * CHANNELS_PER_PORT + int(number)
        return electrode if int(number) < CHANNELS_PER_PORT and electrode < self._c.electrodes else None

    def _set(self, name: str, value: str) -> str:
        if name == "runmode":
            return self._set_run_mode(value)
        channel, setting = self._channel(name)
        if channel is None:
            return "Unrecognized parameter"
        proper = NAMES[setting]
        if self.running:
            return f"{proper} cannot be set while the board is running"
        if proper in CHOICES:
            chosen = [choice for choice in CHOICES[proper][0] if choice.lower() == value]
            if not chosen:
                return f"Invalid value for {proper} command. Acceptable: {', '.join(CHOICES[proper][0])}"
            self._settings[channel][proper] = chosen[0]
            return ""
        least, most, _ = NUMBERS[proper]
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            return f"Invalid value for {proper} command. Acceptable: {least:g} to {most:g}"
        self._settings[channel][proper] = f"{number:g}"
        return ""

    def _set_run_mode(self, value: str) -> str:
        if value == "run":
            if self.running:
                return "Board must be stopped in order to start running"
            self.running = True
            return ""
        if value == "stop":
            if not self.running:
                return "Board must be running in order to stop"
            self.running = False
            self._stimulator.stop()
            return ""
        return "Invalid value for SetRunMode command"

    def _execute(self, action: str, parameter: str | None) -> str:
        if action == "uploadstimparameters":
            if self.running:
                return "UploadStimParameters cannot be executed while the board is running"
            electrode = self._electrode(parameter) if parameter else None
            electrodes = range(self._c.electrodes) if parameter is None else [] if electrode is None else [electrode]
            return "".join(self._upload(electrode) for electrode in electrodes)
        edges = dict(zip(ACTIONS, ((True,), (False,), (True, False)), strict=True))
        if action in edges and parameter is not None:
            for rising in edges[action] if parameter in KEYS else ():
                self.edge(f"KeyPress{parameter.upper()}", rising)
            return ""
        return "Unrecognized action"

    def edge(self, source: str, rising: bool) -> None:
        """Feel an edge of a key or of a digital input, e.g. ``DigitalIn01``: its channels start, busy ones do not."""
        if not self.running:
            return
        busy, starts = self._stimulator.busy, dict[int, list[tuple[int, int]]]()
        for electrode, (settings, wait_us) in self._uploaded.items():
            fits = settings["Source"] == source and (settings["TriggerHighOrLow"] == "High") == rising
            if fits and electrode not in busy:
                starts.setdefault(wait_us, []).append((electrode, electrode + 1))
        commands: list[Command] = []
        at_us = 0
        for wait_us, stimuli in sorted(starts.items()):
            commands += [Wait(wait_us - at_us)] * (wait_us > at_us) + [Group(tuple(stimuli))]
            at_us = wait_us
        if commands:
            self._stimulator.fire(Program(tuple(commands)))

    def _upload(self, electrode: int) -> str:
        """Let a channel have the settings that were made for it."""
        settings = dict(self._settings[electrode])
        self._uploaded.pop(electrode, None)
        if settings["StimEnabled"] == "False":
            return ""
        if settings["Shape"] == "Triphasic":
            return "Error: triphasic pulses are not emulated"
        waveform = self._waveform(electrode, settings)
        try:
            self._stimulator.configure(waveform)
        except StimulatorError as error:
            return f"Error: {error}"
        # delays of the emulator are whole steps of its waits
        wait_us = self._c.wait_us * round(float(settings["PostTriggerDelayMicroseconds"]) / self._c.wait_us)
        self._uploaded[electrode] = settings, wait_us
        return ""

    def _waveform(self, electrode: int, settings: Settings) -> Waveform:
        between = "InterphaseDelayMicroseconds" if settings["Shape"] == "BiphasicWithInterphaseDelay" else None
        single = settings["PulseOrTrain"] == "SinglePulse"
        return Waveform(
            electrode + 1,
            self._current(settings["FirstPhaseAmplitudeMicroAmps"]),
            self._current(settings["SecondPhaseAmplitudeMicroAmps"]),
            self._time(settings["FirstPhaseDurationMicroseconds"]),
            self._time(settings["SecondPhaseDurationMicroseconds"]),
            self._time(settings[between]) if between else 0,
            1 if single else int(float(settings["NumberOfStimPulses"])),
            1_000_000 if single else self._time(settings["PulseTrainPeriodMicroseconds"]),
            settings["Polarity"] == "NegativeFirst",
        )

    def _current(self, ua: str) -> int:
        return self._c.step_na * math.floor(float(ua) * 1000 / self._c.step_na + 0.5)

    def _time(self, us: str) -> int:
        cycles = math.floor(float(us) * self._c.clock_hz / 1e6 + 0.5)
        return -(-cycles * 1_000_000 // self._c.clock_hz)


class IntanServer:
    """``IntanCommands`` behind a TCP socket, one client at a time as RHX has it."""

    def __init__(self, stimulator: EmulatedStimulator, host: str = "127.0.0.1", port: int = 5000) -> None:
        self.commands = IntanCommands(stimulator)
        self._stimulator = stimulator
        self._selector = selectors.DefaultSelector()
        self._client: socket.socket | None = None
        try:
            self._listener = socket.create_server((host, port), backlog=1)
        except OSError as error:
            raise LinkError(f"cannot listen at {host}:{port} ({error}); choose another --port") from error
        self._selector.register(self._listener, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def run(self, until: Callable[[], bool]) -> None:
        """Serve until ``until()``, checked each few ms; a client that goes away leaves a stopped board."""
        try:
            while not until():
                ready = [key.fileobj for key, _ in self._selector.select(TICK_S)]
                if self._client in ready:  # first, as it may have gone, and another may wait for its place
                    self._read()
                if self._listener in ready:
                    self._accept()
                self._stimulator.telemetry()  # time passes, also when nobody asks
        finally:
            self._drop()
            self._selector.close()
            self._listener.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._client is not None:
            client.close()
            return
        self._client = client
        self._selector.register(client, selectors.EVENT_READ)

    def _read(self) -> None:
        if self._client is None:
            return
        try:
            data = self._client.recv(65_536)
            reply = self.commands.answer(data.decode("latin-1"))
            if reply:
                self._client.sendall(reply.encode("latin-1"))
        except OSError:
            data = b""
        if not data:
            self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client = None
        if self.commands.running:
            self.commands.answer("set runmode stop")
