"""The emulator of any bench stimulator: it refuses what the profile's hardware refuses, and counts every pulse."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prosthesis.messages import Delivered, readonly
from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.model import (
    I64,
    Capabilities,
    Ceiling,
    EventKind,
    Measurement,
    Program,
    StimulationFrame,
    StimulatorEvent,
    StimulatorState,
    StimulatorTelemetry,
    Trigger,
    Waveform,
)
from prosthesis.stimulator.rules import ceiling_of, check_frame, check_program, check_waveform, lowered
from prosthesis_sim.backends.playback import Playback

State = StimulatorState
TEST_NA, TEST_US = 10_000, 200
PIECE_NS = 1000
EVENTS_KEPT = 10_000


@dataclass(slots=True)
class _Run:
    """One program being played: at ``t_ns`` of the clock it is at ``program_ns`` of its own time."""

    playback: Playback
    program_ns: int


class EmulatedStimulator:
    """A ``StimulatorBackend`` in software, on the clock that it is given.

    Also has what hardware has on its back: ``edge`` is the trigger input, ``fire`` a second sequencer beside the
    program's (channels devices), and ``on_delivered`` is called with what the tissue got, gap after gap in time.
    ``impedance_ohm`` i64[n] makes the voltages: plain resistances, until somebody gives a ``circuit``.
    """

    def __init__(
        self,
        capabilities: Capabilities,
        now_ns: Callable[[], int],
        impedance_ohm: I64 | None = None,
        circuit: Callable[[int, Waveform], Measurement] | None = None,
        on_delivered: Callable[[Delivered], None] = lambda piece: None,
    ) -> None:
        n = capabilities.electrodes
        self._c, self._now_ns = capabilities, now_ns
        self._impedance_ohm = np.full(n, 50_000, np.int64) if impedance_ohm is None else impedance_ohm
        self._circuit, self._on_delivered = circuit or self._resistor, on_delivered
        self._t_ns = now_ns()
        self._ceiling = ceiling_of(capabilities)
        self._pulses, self._charge_fc, self._net_fc = (np.zeros(n, np.int64) for _ in range(3))
        self._limited = np.zeros(n, np.bool_)
        self._refused: Counter[int] = Counter()
        self._events: deque[StimulatorEvent] = deque(maxlen=EVENTS_KEPT)
        self._state = State.STOPPED
        self._clear()

    def _clear(self) -> None:
        self._bank: dict[int, Waveform] = {}
        self._program: Program | None = None
        self._trigger, self._frame = Trigger.DISABLED, np.zeros(self._c.electrodes, np.int64)
        self._seq = self._capture_ns = 0
        self._runs: list[_Run] = []

    # the protocol

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._c

    def configure(self, waveform: Waveform) -> None:
        """Put a waveform into its slot; trains already started keep the old one."""
        with self._command():
            self._writable()
            check_waveform(waveform, self._c, self._ceiling)
            self._bank[waveform.slot] = waveform

    def load(self, program: Program) -> None:
        """Replace the program."""
        with self._command():
            self._writable()
            check_program(program, self._bank, self._c)
            self._program = program

    def play(self) -> None:
        """Start the program, or go on after ``pause``."""
        with self._command():
            if self._state is State.PAUSED:
                self._state = State.PLAYING
                return
            self._require(self._state is State.STOPPED, StimulatorCode.SEQUENCE_ERROR, "it plays already")
            self._start(self._loaded(), self._t_ns)

    def pause(self) -> None:
        """Hold the program where it is."""
        with self._command():
            self._require(self._state is State.PLAYING, StimulatorCode.SEQUENCE_ERROR, "nothing plays")
            self._state = State.PAUSED

    def stop(self) -> None:
        """End the program or the waiting; always obeyed."""
        self._live()
        if self._state is State.LOCKED:
            return
        if self._state is not State.STOPPED:
            self._note(EventKind.STOP, self._t_ns)
        self._runs, self._trigger, self._state = [], Trigger.DISABLED, State.STOPPED

    def abort(self) -> None:
        """Stop and lock; always obeyed."""
        self._live()
        self._note(EventKind.ABORT, self._t_ns)
        self._runs, self._trigger, self._state = [], Trigger.DISABLED, State.LOCKED

    def reset(self) -> None:
        """Unlock, with an empty bank and no program; what was restricted stays so."""
        self.stop()
        self._clear()
        self._state = State.STOPPED

    def show(self, frame: StimulationFrame) -> None:
        """Take a frame of amplitudes, from the next pulses on."""
        with self._command():
            check_frame(frame, self._loaded(framed=True), self._bank, self._c, self._ceiling)
            self._frame = frame.amplitude_na.astype(np.int64)
            self._seq, self._capture_ns = frame.seq, frame.t_ns

    def wait_for(self, trigger: Trigger) -> None:
        """Let each such edge start the program; nothing but its end is obeyed meanwhile."""
        if trigger is Trigger.DISABLED and self._trigger is not Trigger.DISABLED:
            self.stop()
            return
        with self._command():
            known = trigger is Trigger.DISABLED or trigger in self._c.triggers
            self._require(known, StimulatorCode.INVALID_TRIGGER, f"no {trigger.name} trigger")
            self._require(self._state is State.STOPPED, StimulatorCode.SEQUENCE_ERROR, "it plays")
            if trigger is not Trigger.DISABLED:
                self._loaded()
                self._trigger, self._state = trigger, State.WAITING

    def restrict(self, ceiling: Ceiling) -> None:
        """Lower what is allowed; waveforms above it must be configured anew."""
        with self._command():
            self._writable()
            self._ceiling = lowered(self._ceiling, ceiling, self._c)
            self._bank, self._program = {}, None

    def measure(self, electrode: int) -> Measurement:
        """Return what a test pulse of 10 uA meets; the pulse is not counted."""
        with self._command():
            self._require(self._state is State.STOPPED, StimulatorCode.SEQUENCE_ERROR, "it plays")
            inside = 0 <= electrode < self._c.electrodes
            self._require(inside, StimulatorCode.INVALID_CHANNEL, f"electrode {electrode} of {self._c.electrodes}")
            return self._circuit(electrode, Waveform(0, TEST_NA, TEST_NA, TEST_US, TEST_US, 0, 1, 10_000))

    def telemetry(self) -> StimulatorTelemetry:
        """Return what was delivered and refused since it was switched on."""
        self._live()
        return StimulatorTelemetry(
            self._t_ns,
            self._state,
            True,
            readonly(self._pulses.copy(), np.int64),
            readonly(self._charge_fc // 1000, np.int64),
            readonly(self._net_fc // 1000, np.int64),
            readonly(self._limited.copy(), np.bool_),
            tuple(sorted(self._refused.items())),
        )

    def events(self) -> list[StimulatorEvent]:
        """Return what happened since last asked, in order of time."""
        self._live()
        events = sorted(self._events, key=lambda event: event.t_ns)
        self._events.clear()
        return events

    def close(self) -> None:
        """Stop."""
        self.stop()

    # the back of the device

    def edge(self, rising: bool, line: int = 0) -> None:
        """Feel an edge on the trigger line now; the program starts with it if it waits for such a one."""
        self._live()
        fits = self._trigger in (Trigger.CHANGE, Trigger.RISING if rising else Trigger.FALLING)
        if self._trigger is Trigger.DISABLED or not fits or self._program is None:
            return
        self._note(EventKind.TRIGGER, self._t_ns, line)
        if not self._runs:
            self._start(self._program, self._t_ns)

    def fire(self, program: Program) -> None:
        """Play a program beside what plays already, as each channel of a *channels* device can; busy ones do not."""
        with self._command():
            self._require(self._c.style == "channels", StimulatorCode.NOT_IMPLEMENTED, "one program at a time")
            check_program(program, self._bank, self._c)
            self._start(program, self._t_ns)

    @property
    def busy(self) -> frozenset[int]:
        """The electrodes with a train under way."""
        self._live()
        return frozenset(int(electrode) for run in self._runs for electrode in run.playback.busy(run.program_ns))

    # inside

    def _command(self) -> _Command:
        return _Command(self)

    def _require(self, right: bool, code: StimulatorCode, text: str) -> None:
        if not right:
            raise StimulatorError(code, text)

    def _writable(self) -> None:
        idle = self._state is State.STOPPED or self._c.updates
        self._require(idle, StimulatorCode.SEQUENCE_ERROR, "it plays; stop it first")

    def _loaded(self, framed: bool = False) -> Program:
        if framed and self._c.style != "framebuffer":
            raise StimulatorError(StimulatorCode.NOT_IMPLEMENTED, "this device takes no frames")
        if self._program is None:
            raise StimulatorError(StimulatorCode.SEQUENCE_ERROR, "no program is loaded")
        return self._program

    def _start(self, program: Program, t_ns: int) -> None:
        self._runs.append(_Run(Playback(program, dict(self._bank), self._c), 0))
        self._state = State.PLAYING
        self._note(EventKind.START, t_ns)

    def _note(self, kind: EventKind, t_ns: int, line: int = 0) -> None:
        self._events.append(StimulatorEvent(kind, t_ns, line))

    def _live(self) -> None:
        """Let time pass to now."""
        now = self._now_ns()
        while self._t_ns < now:
            until = min([now] + [self._t_ns + run.playback.end_ns - run.program_ns for run in self._playing()])
            self._deliver(until)
            self._retire()

    def _playing(self) -> list[_Run]:
        return self._runs if self._state is State.PLAYING else []

    def _retire(self) -> None:
        over = [run for run in self._playing() if run.program_ns >= run.playback.end_ns]
        for run in over:
            self._runs.remove(run)
            self._note(EventKind.END, self._t_ns)
        if over and not self._runs:
            self._state = State.WAITING if self._trigger is not Trigger.DISABLED else State.STOPPED

    def _deliver(self, until_ns: int) -> None:
        """Deliver up to ``until_ns``, in pieces in which no electrode has two waveforms."""
        counts = [(run, self._counts(run, until_ns)) for run in self._playing()]
        mixed = any(not run.playback.single and _mixed(run.playback, pulses) for run, pulses in counts)
        if mixed and until_ns - self._t_ns > PIECE_NS:
            self._deliver((self._t_ns + until_ns) // 2)
            self._deliver(until_ns)
            return
        n = self._c.electrodes
        amplitude, width, pulses = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
        group = np.zeros(n, np.uint8)
        for run, started in counts:
            group[run.playback.electrode] = run.playback.group
            for k in np.flatnonzero(started).tolist():
                self._pulse(run.playback, k, int(started[k]), amplitude, width, pulses)
            length = until_ns - self._t_ns
            for at_ns, line in run.playback.syncs(run.program_ns, run.program_ns + length):
                self._note(EventKind.SYNC, self._t_ns + at_ns - run.program_ns, line)
            run.program_ns += length
        self._on_delivered(
            Delivered(
                self._seq,
                self._capture_ns,
                self._t_ns,
                until_ns - self._t_ns,
                readonly(amplitude * 1e-3, np.float32),
                readonly(width, np.float32),
                readonly(pulses, np.int32),
                readonly(group, np.uint8),
            )
        )
        self._t_ns = until_ns

    def _counts(self, run: _Run, until_ns: int) -> I64:
        until = run.program_ns + until_ns - self._t_ns
        return run.playback.started(until) - run.playback.started(run.program_ns)

    def _pulse(self, playback: Playback, k: int, count: int, amplitude: I64, width: I64, pulses: I64) -> None:
        """Book ``count`` pulses of train ``k``; the supply's voltage cuts both phases."""
        electrode, w = int(playback.electrode[k]), playback.waveform(k)
        first_na, second_na = w.amplitude1_na, w.amplitude2_na
        if self._c.style == "framebuffer":
            first_na = second_na = int(self._frame[electrode])
        most_na = self._ceiling.compliance_mv * 1_000_000 // max(int(self._impedance_ohm[electrode]), 1)
        self._limited[electrode] |= max(first_na, second_na) > most_na
        first_na, second_na = min(first_na, most_na), min(second_na, most_na)
        if not first_na and not second_na:
            return
        amplitude[electrode], width[electrode] = first_na, w.width1_us
        pulses[electrode] += count
        self._pulses[electrode] += count
        self._charge_fc[electrode] += count * first_na * w.width1_us
        self._net_fc[electrode] += count * (first_na * w.width1_us - second_na * w.width2_us)

    def _resistor(self, electrode: int, waveform: Waveform) -> Measurement:
        ohm = int(self._impedance_ohm[electrode])
        most_mv = self._ceiling.compliance_mv
        first, second = (min(na * ohm // 1_000_000, most_mv) for na in (waveform.amplitude1_na, waveform.amplitude2_na))
        return Measurement((0, -first, 0, second, 0), first * 1_000_000 // waveform.amplitude1_na)


def _mixed(playback: Playback, started: npt.NDArray[np.int64]) -> bool:
    """Return whether an electrode pulsed with two waveforms."""
    on = started > 0
    pairs = np.unique(np.stack([playback.electrode[on], playback.slot[on]]), axis=1)
    return bool(len(np.unique(pairs[0])) < pairs.shape[1])


class _Command:
    """Around every command: time is brought up to now, a locked or waiting device refuses, refusals are counted."""

    def __init__(self, stimulator: EmulatedStimulator) -> None:
        self._stimulator = stimulator

    def __enter__(self) -> None:
        s = self._stimulator
        s._live()
        if s._state in (State.LOCKED, State.WAITING) or s._trigger is not Trigger.DISABLED:
            s._refused[StimulatorCode.DEVICE_LOCKED.value] += 1
            why = "locked until reset" if s._state is State.LOCKED else "waiting for its trigger; end that first"
            raise StimulatorError(StimulatorCode.DEVICE_LOCKED, f"the device is {why}")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StimulatorError):
            self._stimulator._refused[error.code.value] += 1
