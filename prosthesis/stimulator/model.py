"""What any stimulator can do and can be told, in integers: nA, us, pC, mHz, mV.

Devices differ in style. A *program* device has a small bank of waveforms and plays a list of groups and waits; a
*channels* device has one train of its own for each electrode, started together by a trigger; a *framebuffer* device
pulses on a fixed raster and takes a frame of amplitudes at any time. All three are described by the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
Style: TypeAlias = Literal["program", "channels", "framebuffer"]
UNLIMITED = 1 << 40
MOST_U16 = 65_535  # repeats of a program, and steps of one wait


class Trigger(IntEnum):
    """The edge of the trigger line that starts a loaded program, numbered as a CereStim's BTriggerType."""

    DISABLED = 0
    RISING = 1
    FALLING = 2
    CHANGE = 3


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One stimulator's description; pairs are (least, most), and both are allowed.

    ``step_na`` is the DAC's step. Widths and periods are whole cycles of ``clock_hz``, written as the microseconds
    that they round up to. ``waveforms`` is the size of the bank, ``simultaneous`` how many electrodes one group may
    hold and ``total_na`` what they may draw together, ``commands`` a program's longest and ``wait_us`` the step of its
    waits. ``concurrent``: trains run on while the program proceeds. ``updates``: may be told anew while it plays.
    """

    device: str
    style: Style
    electrodes: int
    amplitude_na: tuple[int, int]
    step_na: int
    width_us: tuple[int, int]
    interphase_us: tuple[int, int]
    recovery_us: int
    rate_mhz: tuple[int, int]
    clock_hz: int
    pulses: int
    charge_pc: int
    waveforms: int
    simultaneous: int
    total_na: int
    commands: int
    wait_us: int
    compliance_mv: tuple[int, ...]
    balanced: bool
    concurrent: bool
    updates: bool
    triggers: tuple[Trigger, ...]
    sync_in_program: bool

    def on_clock(self, us: int) -> int:
        """Return the longest whole number of clock cycles that lasts no longer than ``us``, in us rounded up."""
        cycles = us * self.clock_hz // 1_000_000
        return -(-cycles * 1_000_000 // self.clock_hz)

    def period_us(self, rate_mhz: int) -> int:
        """Return the shortest period on the clock that is no faster than ``rate_mhz``."""
        cycles = -(-1000 * self.clock_hz // rate_mhz)
        return -(-cycles * 1_000_000 // self.clock_hz)

    def cycles(self, us: int) -> int:
        """Return how many clock cycles a duration of ``on_clock`` is."""
        return us * self.clock_hz // 1_000_000


@dataclass(frozen=True, slots=True)
class Waveform:
    """One biphasic train in bank ``slot`` (from 1): ``pulses`` pulses, one each ``period_us``; 0 means until stopped.

    The first phase is cathodic if ``cathodic_first``; phases may differ in shape, not in charge on a device that
    demands balance.
    """

    slot: int
    amplitude1_na: int
    amplitude2_na: int
    width1_us: int
    width2_us: int
    interphase_us: int
    pulses: int
    period_us: int
    cathodic_first: bool = True

    @property
    def pulse_us(self) -> int:
        """From the first edge to the last."""
        return self.width1_us + self.interphase_us + self.width2_us

    @property
    def charge_fc(self) -> tuple[int, int]:
        """Each phase's charge in fC."""
        return self.amplitude1_na * self.width1_us, self.amplitude2_na * self.width2_us

    @property
    def balanced(self) -> bool:
        """Whether both phases carry the same charge."""
        first, second = self.charge_fc
        return first == second


@dataclass(frozen=True, slots=True)
class Group:
    """Electrodes that start together: pairs (electrode from 0, waveform slot)."""

    stimuli: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Let ``us`` pass."""

    us: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Pulse the sync output ``line``."""

    line: int = 0


Command: TypeAlias = Group | Wait | Sync


@dataclass(frozen=True, slots=True)
class Program:
    """Commands in order, played ``repeats`` times; 0 means until stopped."""

    commands: tuple[Command, ...]
    repeats: int = 1

    @property
    def size(self) -> int:
        """How many commands a device counts: a group's ends included, the sequence's own not (br_stimpy's pages)."""
        return sum(command_size(command) for command in self.commands)


def command_size(command: Command) -> int:
    """Return how many commands of a device one command is."""
    if isinstance(command, Group) and len(command.stimuli) > 1:
        return len(command.stimuli) + 2
    return 1


@dataclass(frozen=True, slots=True)
class StimulationFrame:
    """Amplitudes of all electrodes from now on, for a framebuffer device: ``amplitude_na`` i64[n]."""

    seq: int
    t_ns: int
    amplitude_na: I64


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a lab allows less of than the device does; it can be lowered at run time and never raised."""

    amplitude_na: int
    charge_pc: int
    rate_mhz: int
    compliance_mv: int


class StimulatorState(IntEnum):
    """What it is doing; 0 to 4 as a CereStim's BSeqType. LOCKED ends with ``reset`` only."""

    STOPPED = 0
    PAUSED = 1
    PLAYING = 2
    WRITING = 3
    WAITING = 4
    LOCKED = 5


class EventKind(Enum):
    """What happened on a line or to the program: TRIGGER came in; START, SYNC, END went out; STOP, ABORT were told."""

    TRIGGER = "trigger"
    START = "start"
    SYNC = "sync"
    END = "end"
    STOP = "stop"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class StimulatorEvent:
    """One event at ``t_ns`` of the stimulator's clock; ``line`` is that of a trigger or sync."""

    kind: EventKind
    t_ns: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One test pulse: mV before, in phase 1, between, in phase 2 and after, and the impedance from them.

    Devices that tell only the impedance give no voltages.
    """

    millivolts: tuple[int, int, int, int, int] | None
    impedance_ohm: int


@dataclass(frozen=True, slots=True)
class StimulatorTelemetry:
    """Since it was switched on: ``pulses``, first-phase ``charge_pc`` and ``net_charge_pc``, each i64[n].

    ``limited`` bool[n] marks electrodes whose current the compliance voltage has cut. ``counted`` is false for a lab
    device that does not tell what it did; the arrays are then zero. ``refused`` counts refusals by code.
    """

    t_ns: int
    state: StimulatorState
    counted: bool
    pulses: I64
    charge_pc: I64
    net_charge_pc: I64
    limited: npt.NDArray[np.bool_]
    refused: tuple[tuple[int, int], ...]
