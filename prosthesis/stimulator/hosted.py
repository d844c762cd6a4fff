"""What every adapter of a lab device keeps on the host: bank, program, limits and state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from prosthesis.messages import readonly
from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.model import (
    Capabilities,
    Ceiling,
    EventKind,
    Group,
    Measurement,
    Program,
    StimulationFrame,
    StimulatorEvent,
    StimulatorState,
    StimulatorTelemetry,
    Trigger,
    Wait,
    Waveform,
)
from prosthesis.stimulator.rules import ceiling_of, check_program, check_waveform, lowered

State = StimulatorState


class HostedBackend(ABC):
    """A ``StimulatorBackend`` over a lab's device: everything is checked here before the device hears of it.

    Unbalanced pulses are refused whatever the device thinks of them. A subclass says ``_start`` and ``_halt`` in the
    device's words and, where the device can, the other underscored verbs; what it cannot is ``NOT_IMPLEMENTED``. Times
    of events are the host's, when the device was told. ``_loops``: the device itself repeats a program.
    """

    _loops = False

    def __init__(self, capabilities: Capabilities, now_ns: Callable[[], int]) -> None:
        self._c, self._now_ns = capabilities, now_ns
        self._ceiling = ceiling_of(capabilities)
        self._refused: Counter[int] = Counter()
        self._events: list[StimulatorEvent] = []
        self._locked = self._waiting = self._paused = False
        self._ends_ns = 0
        self._clear()

    def _clear(self) -> None:
        self._bank: dict[int, Waveform] = {}
        self._program: Program | None = None

    @abstractmethod
    def _start(self, program: Program) -> None:
        """Tell the device to play ``program``, from ``self._bank``, now."""

    @abstractmethod
    def _halt(self) -> None:
        """Tell the device to be silent; called in any state."""

    def _await(self, program: Program, trigger: Trigger) -> None:
        raise StimulatorError(StimulatorCode.NOT_IMPLEMENTED, "this adapter sets no trigger")

    def _put(self, waveform: Waveform) -> None:
        """Tell the device of a checked waveform; one that keeps no bank hears of it with the program."""
        return

    def _take(self, program: Program) -> None:
        """Tell the device of a checked program; one that keeps none hears of it when it starts."""
        return

    def _limit(self, ceiling: Ceiling) -> None:
        """Tell the device what is allowed, where it keeps limits of its own."""
        return

    def _hold(self) -> None:
        raise StimulatorError(StimulatorCode.NOT_IMPLEMENTED, "the device cannot pause")

    def _go_on(self) -> None:
        raise StimulatorError(StimulatorCode.NOT_IMPLEMENTED, "the device cannot pause")

    def _meet(self, electrode: int) -> Measurement:
        raise StimulatorError(StimulatorCode.NOT_IMPLEMENTED, "this adapter measures no electrode")

    def _plays(self) -> bool:
        """Return whether a program plays: by the clock, unless the device can be asked."""
        return self._now_ns() < self._ends_ns

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._c

    @property
    def _state(self) -> StimulatorState:
        if self._locked:
            return State.LOCKED
        if self._waiting:
            return State.WAITING
        if self._paused:
            return State.PAUSED
        return State.PLAYING if self._plays() else State.STOPPED

    def configure(self, waveform: Waveform) -> None:
        """Put a waveform into its slot."""
        self._writable()
        self._checked(lambda: check_waveform(waveform, self._c, self._ceiling))
        if not waveform.balanced:
            self._refuse(StimulatorCode.PHASE_NOT_BALANCED, "the device would not refuse it, this adapter does")
        self._checked(lambda: self._put(waveform))
        self._bank[waveform.slot] = waveform

    def load(self, program: Program) -> None:
        """Replace the program."""
        self._writable()
        self._checked(lambda: check_program(program, self._bank, self._c))
        if program.repeats != 1 and not self._loops:
            self._refuse(StimulatorCode.INVALID_NUMBER, "the device plays a program once; play it again")
        self._checked(lambda: self._take(program))
        self._program = program

    def play(self) -> None:
        """Start the program, or go on after ``pause``."""
        self._unlocked()
        if self._paused:
            self._checked(self._go_on)
            self._paused = False
            return
        if self._state is State.PLAYING:
            self._refuse(StimulatorCode.SEQUENCE_ERROR, "it plays already")
        program = self._loaded()
        self._checked(lambda: self._start(program))
        now = self._now_ns()
        self._ends_ns = now + 1000 * _length_us(program, self._bank)
        self._events.append(StimulatorEvent(EventKind.START, now))

    def pause(self) -> None:
        """Hold the program where it is, on a device that can."""
        self._unlocked()
        if self._state is not State.PLAYING:
            self._refuse(StimulatorCode.SEQUENCE_ERROR, "nothing plays")
        self._checked(self._hold)
        self._paused = True

    def stop(self) -> None:
        """End the trains and the waiting; always obeyed."""
        if self._state is not State.STOPPED and not self._locked:
            self._events.append(StimulatorEvent(EventKind.STOP, self._now_ns()))
        self._silence()

    def _silence(self) -> None:
        self._halt()
        self._ends_ns, self._waiting, self._paused = 0, False, False

    def abort(self) -> None:
        """Stop and lock; always obeyed."""
        self._locked = True
        self._events.append(StimulatorEvent(EventKind.ABORT, self._now_ns()))
        self._silence()

    def reset(self) -> None:
        """Unlock, with an empty bank and no program; what was restricted stays so."""
        self.stop()
        self._locked = False
        self._clear()

    def show(self, frame: StimulationFrame) -> None:
        """Refuse: such a device takes no frames."""
        self._unlocked()
        self._refuse(StimulatorCode.NOT_IMPLEMENTED, "this device takes no frames")

    def wait_for(self, trigger: Trigger) -> None:
        """Let each such edge of the device's own trigger line start the program."""
        if trigger is Trigger.DISABLED:
            self.stop()
            return
        self._unlocked()
        if trigger not in self._c.triggers:
            self._refuse(StimulatorCode.INVALID_TRIGGER, f"no {trigger.name} trigger")
        program = self._loaded()
        self._checked(lambda: self._await(program, trigger))
        self._waiting = True

    def restrict(self, ceiling: Ceiling) -> None:
        """Lower what is allowed; waveforms must be configured anew."""
        self._writable()
        self._checked(lambda: lowered(self._ceiling, ceiling, self._c))
        self._checked(lambda: self._limit(ceiling))
        self._ceiling = ceiling
        self._clear()

    def measure(self, electrode: int) -> Measurement:
        """Ask the device what an electrode's impedance is, where it can tell."""
        self._unlocked()
        if self._state is not State.STOPPED:
            self._refuse(StimulatorCode.SEQUENCE_ERROR, "it plays")
        if not 0 <= electrode < self._c.electrodes:
            self._refuse(StimulatorCode.INVALID_CHANNEL, f"electrode {electrode} of {self._c.electrodes}")
        found: list[Measurement] = []
        self._checked(lambda: found.append(self._meet(electrode)))
        return found[0]

    def telemetry(self) -> StimulatorTelemetry:
        """Return the state and the refusals; such a device does not tell what it delivered."""
        nothing = readonly(np.zeros(self._c.electrodes), np.int64)
        limited = readonly(np.zeros(self._c.electrodes), np.bool_)
        refused = tuple(sorted(self._refused.items()))
        return StimulatorTelemetry(self._now_ns(), self._state, False, nothing, nothing, nothing, limited, refused)

    def events(self) -> list[StimulatorEvent]:
        """Return what happened since last asked."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop."""
        self.stop()

    def _loaded(self) -> Program:
        if self._program is None:
            self._refuse(StimulatorCode.SEQUENCE_ERROR, "no program is loaded")
        return self._program

    def _unlocked(self) -> None:
        if self._locked:
            self._refuse(StimulatorCode.DEVICE_LOCKED, "locked until reset")
        if self._waiting:
            self._refuse(StimulatorCode.DEVICE_LOCKED, "waiting for its trigger; end that first")

    def _writable(self) -> None:
        self._unlocked()
        if self._state is not State.STOPPED and not self._c.updates:
            self._refuse(StimulatorCode.SEQUENCE_ERROR, "it plays; stop it first")

    def _checked(self, check: Callable[[], object]) -> None:
        try:
            check()
        except StimulatorError as error:
            self._refused[error.code.value] += 1
            raise

    def _refuse(self, code: StimulatorCode, text: str) -> NoReturn:
        self._refused[code.value] += 1
        raise StimulatorError(code, text)


def starts_us(program: Program) -> list[tuple[int, int, int]]:
    """Return when each train of a program starts: (us, electrode, slot)."""
    at_us, starts = 0, []
    for command in program.commands:
        if isinstance(command, Wait):
            at_us += command.us
        elif isinstance(command, Group):
            starts += [(at_us, electrode, slot) for electrode, slot in command.stimuli]
    return starts


def _length_us(program: Program, bank: dict[int, Waveform]) -> int:
    return max(at_us + bank[slot].pulses * bank[slot].period_us for at_us, _, slot in starts_us(program))
