"""The messages that travel from the camera to the percept, one dataclass a hop.

Every message carries the camera's ``seq`` and capture time ``t_ns`` unchanged, so latency is a subtraction and a gap
in ``seq`` is a dropped frame. Arrays are read-only. A message is validated where it enters the system (camera, decode)
and trusted inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


def readonly(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return ``values`` as a contiguous, read-only array of ``dtype`` (copied only where needed).

    >>> values = readonly([1, 2], np.float32)
    >>> values.dtype, values.flags.writeable
    (dtype('float32'), False)
    """
    array = np.ascontiguousarray(values, dtype=dtype)
    if array is values:
        array = array.view()
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image: ``rgb`` u8[h, w, 3], captured at ``t_ns`` on the device's monotonic clock."""

    seq: int
    t_ns: int
    rgb: U8


@dataclass(frozen=True, slots=True)
class MachineCode:
    """The encoder's output, f32[d]: a row-major task map of ``shape`` (rows from the top), or a latent vector."""

    seq: int
    t_ns: int
    values: F32
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BrainCode:
    """Wanted activity at the electrodes' sites, f32[n] in 0..1.

    Evoked local population rate above spontaneous, divided by the site's calibrated maximum. ``clipped`` counts the
    values that asked for less than spontaneous or more than the maximum and were clipped.
    """

    seq: int
    t_ns: int
    activity: F32
    clipped: int


@dataclass(frozen=True, slots=True)
class StimulationPattern:
    """Per-electrode charge-balanced biphasic pulses until the next pattern; all arrays have length n.

    ``slot`` is the raster slot in which an electrode may pulse; electrodes of one slot may pulse together.
    """

    seq: int
    t_ns: int
    amplitude_ua: F32
    pulse_width_us: F32
    rate_hz: F32
    slot: U8


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the electrodes really did in ``[t0_ns, t0_ns + dt_ns)`` of the implant's clock; all arrays have length n.

    ``seq`` and ``t_ns`` are those of the newest pattern in force (0 before the first). ``amplitude_ua`` and
    ``pulse_width_us`` describe one phase of the pulses, ``pulses`` how many were started in the interval.
    """

    seq: int
    t_ns: int
    t0_ns: int
    dt_ns: int
    amplitude_ua: F32
    pulse_width_us: F32
    pulses: I32
    slot: U8


# without a valid frame for so long an implant is SAFE, whatever the frames' own time to live
SAFE_AFTER_MS = 250


class ImplantState(IntEnum):
    """The implant's fail-safe states; only STIMULATING drives electrodes.

    SELF_TEST at power-up and on command; a failed one ends in LOCKED.

    SILENT after power-up; ARMED once configured and armed; HOLD (no new pulses) while frames are missing; SAFE after
    the link was lost; LOCKED after a fault or ABORT, until an explicit reset; STOPPED after STOP, which a device must
    not undo without a person.
    """

    SILENT = 0
    ARMED = 1
    STIMULATING = 2
    HOLD = 3
    SAFE = 4
    LOCKED = 5
    STOPPED = 6
    SELF_TEST = 7


class Refusal(IntEnum):
    """Why the implant refused a packet, a command or an electrode's pulses."""

    NONE = 0
    TRUNCATED = 1
    CORRUPT = 2
    VERSION = 3
    TYPE = 4
    FORGED = 5
    SESSION = 6
    REPLAYED = 7
    STALE = 8
    CONFIGURATION = 9
    LAYOUT = 10
    CODE_RANGE = 11
    NOT_ARMED = 12
    LOCKED = 13
    AMPLITUDE = 14
    CHARGE = 15
    CHARGE_DENSITY = 16
    SLOT_CURRENT = 17
    SLOT_COUNT = 18
    TIMING = 19
    COMPLIANCE = 20
    DISABLED = 21
    NOT_READY = 22
    PROGRAM = 23


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the implant really delivered since its last receipt, reported for pattern ``seq``.

    ``charge_pc`` i64[n] is the cathodic charge delivered per electrode in pC; ``refusal`` u8[n] holds a ``Refusal``
    per electrode (0: delivered as asked).
    """

    seq: int
    t_ns: int
    charge_pc: I64
    refusal: U8


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The implant's health; ``accepted`` and ``refused`` (by ``Refusal`` code) count tiles since power-up.

    ``skipped`` counts whole patterns that were out of date when the implant came to read them. ``warming_c`` is above
    the body's temperature, ``net_charge_pc`` the most that is left on any electrode, ``watchdog_ms`` how long until the
    implant falls silent without a valid frame.
    """

    seq: int
    t_ns: int
    state: ImplantState
    reason: str
    session: int
    accepted: int
    refused: tuple[int, ...]
    skipped: int
    power_mw: float = 0.0
    warming_c: float = 0.0
    net_charge_pc: int = 0
    watchdog_ms: int = 0


@dataclass(frozen=True, slots=True)
class Percept:
    """What is seen: ``image`` f32[h, w] in 0..1, row 0 at the top of the visual field.

    ``centre_deg`` and ``extent_deg`` are (x, y) of the image's centre and its full width and height in degrees;
    ``visible`` counts phosphenes above threshold, ``made_ns`` is when the image was ready on the world's clock,
    ``gaze_deg`` (x, y) where the eyes pointed: phosphenes go with them, the image stays with the head.
    """

    seq: int
    t_ns: int
    image: F32
    centre_deg: tuple[float, float]
    extent_deg: tuple[float, float]
    visible: int
    made_ns: int
    gaze_deg: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Evoked:
    """What the array records at its electrodes' sites: the rate above spontaneous, f32[n] in Hz.

    ``seq`` and ``t_ns`` are those of the newest pattern in force.
    """

    seq: int
    t_ns: int
    rate_hz: F32


@dataclass(frozen=True, slots=True)
class Intervention:
    """One thing the guard found: ``rule`` in ``tier`` (``hard`` was enforced, ``advisory`` only noted).

    ``electrodes`` counts those concerned, ``worst`` is the largest value asked for, ``limit`` what is allowed, both
    in ``unit``.
    """

    rule: str
    tier: str
    electrodes: int
    worst: float
    limit: float
    unit: str


@dataclass(frozen=True, slots=True)
class HopTimes:
    """When one process's hops finished frame ``seq``: ``stamps_ns`` follow ``hops``, on that process's clock."""

    seq: int
    t_ns: int
    hops: tuple[str, ...]
    stamps_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person should know: ``source`` (room), ``level`` (info, warning, error) and one plain sentence."""

    seq: int
    t_ns: int
    source: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class GuardReport:
    """The guard's interventions on frame ``seq``."""

    seq: int
    t_ns: int
    interventions: tuple[Intervention, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that the implant obeyed at ``at_ns`` of its own clock, so that a recording can be lived through again.

    ``what`` is ``tiles`` (those numbered ``tiles`` of pattern ``seq``, received at ``value``) or a command: ``open``,
    ``configure``, ``arm``, ``stop``, ``lock``, ``reset``, ``test``, or ``offset`` (its clock less the device's, in
    ``value``). All times in ns.
    """

    seq: int
    t_ns: int
    at_ns: int
    what: str
    tiles: tuple[int, ...] = ()
    value: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that an encoder found: its ``kind`` (word, face or obstacle), and what it is in ``label``.

    The label is the word, the person's name or the object's class, and empty when that is not known. ``confidence`` is
    the network's own, 0 to 1, or NaN. The upright box has its upper left corner at (``x``, ``y``); all four numbers are
    fractions of the frame's width and height, rows down. ``time_s`` is left until contact, infinite where nothing
    approaches; ``side`` is left, ahead or right where that was judged.
    """

    kind: str
    label: str
    confidence: float
    x: float
    y: float
    width: float
    height: float
    time_s: float = math.inf
    side: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that encoder ``task`` (text, face, obstacle) found in frame ``seq``, which may be some frames ago."""

    seq: int
    t_ns: int
    task: str
    items: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class About:
    """What one process says of itself now and then, as text: ``values`` follow ``names``."""

    seq: int
    t_ns: int
    names: tuple[str, ...]
    values: tuple[str, ...]


Message = (
    Frame
    | MachineCode
    | BrainCode
    | StimulationPattern
    | Delivered
    | Receipt
    | Telemetry
    | Percept
    | Evoked
    | HopTimes
    | Event
    | GuardReport
    | Heard
    | Findings
    | About
)
