"""The catalogue: every kind of fault, what it changes, and who must notice it how soon, with which outcome.

A fault is data: kind, onset, duration, scope (electrodes), value and seed, from YAML or one line of text. What must
happen is data as well; ``tests/integration/test_faults.py`` holds every kind to it, and ``docs/faults.md`` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model


class Layer(str, Enum):
    """Where a fault is: at an electrode, in the front end, in the implant, on the link, in the device."""

    ELECTRODE = "electrode"
    FRONT_END = "front end"
    IMPLANT = "implant"
    LINK = "link"
    HOST = "host"


class Kind(str, Enum):
    """What can be wrong."""

    OPEN = "open"
    SHORT_RETURN = "short_return"
    SHORT_NEIGHBOUR = "short_neighbour"
    HIGH_Z = "high_z"
    LOW_Z = "low_z"
    DEAD = "dead"
    SWAPPED = "swapped"
    STUCK_ON = "stuck_on"
    LEAKAGE = "leakage"
    DELAMINATION = "delamination"
    DAC_STUCK_BIT = "dac_stuck_bit"
    DAC_GAIN = "dac_gain"
    DAC_OFFSET = "dac_offset"
    PHASE_MISMATCH = "phase_mismatch"
    COMPLIANCE = "compliance"
    MODULE = "module"
    CROSSTALK = "crosstalk"
    SATURATION = "saturation"
    CLOCK_DRIFT = "clock_drift"
    MISSED_PHASE = "missed_phase"
    BROWN_OUT = "brown_out"
    RESET = "reset"
    OVERHEAT = "overheat"
    BIT_FLIP = "bit_flip"
    HANG = "hang"
    STUCK_COMMAND = "stuck_command"
    LOSS = "loss"
    CORRUPTION = "corruption"
    CORRUPTION_PRE_CRC = "corruption_pre_crc"
    TRUNCATION = "truncation"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    RATE_DROP = "rate_drop"
    UPLINK_DEAD = "uplink_dead"
    MISALIGNMENT = "misalignment"
    OUTAGE = "outage"
    REPLAY = "replay"
    STALE = "stale"
    CLOCK_SKEW = "clock_skew"
    CAMERA_FREEZE = "camera_freeze"
    CAMERA_BLACK = "camera_black"
    DROPPED_FRAMES = "dropped_frames"
    ENCODER_NAN = "encoder_nan"
    ENCODER_INF = "encoder_inf"
    LATENCY_SPIKE = "latency_spike"
    CRASH = "crash"
    WRONG_PROFILE = "wrong_profile"


class Outcome(str, Enum):
    """What the electrodes do once the fault has been noticed."""

    ALL_SILENT = "all silent for good"  # LOCKED, until a person resets
    SILENT = "all silent, then back by itself"
    THOSE_SILENT = "those electrodes silent"
    GOES_ON = "goes on within the limits"
    LESS = "goes on with less current"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a kind must come to: who notices, the words or refusal by which, within how long, and the outcome."""

    layer: Layer
    summary: str
    value: float
    by: str
    sign: str
    within_ms: int
    outcome: Outcome


E, F, I, L, H = Layer  # noqa: E741
NOBODY = "nobody"
# ruff: noqa: E501
CATALOGUE: dict[Kind, Expected] = {
    Kind.OPEN: Expected(E, "impedance rises a thousandfold (value)", 1000, "implant", "COMPLIANCE", 60, Outcome.THOSE_SILENT),
    Kind.SHORT_RETURN: Expected(E, "impedance falls to value of itself", 0.02, "implant", "DISABLED", 60, Outcome.THOSE_SILENT),
    Kind.SHORT_NEIGHBOUR: Expected(E, "impedance falls to value of itself", 0.3, "implant", "DISABLED", 60, Outcome.THOSE_SILENT),
    Kind.HIGH_Z: Expected(E, "impedance rises to value times itself", 1.5, "impedance test", "ohm", 0, Outcome.GOES_ON),
    Kind.LOW_Z: Expected(E, "insulation leaks: impedance at value of itself", 0.6, "impedance test", "ohm", 0, Outcome.GOES_ON),
    Kind.DEAD: Expected(E, "no current comes out", 0, "implant", "DISABLED", 60, Outcome.THOSE_SILENT),
    Kind.SWAPPED: Expected(E, "each takes the next one's current", 0, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.STUCK_ON: Expected(E, "a source stays on with value nA", 10_000, "implant", "net charge", 12, Outcome.ALL_SILENT),
    Kind.LEAKAGE: Expected(E, "a direct current of value nA", 150, "implant", "direct current or net charge", 12, Outcome.ALL_SILENT),
    Kind.DELAMINATION: Expected(E, "capacitance falls to value of itself", 0.005, "implant", "DISABLED or COMPLIANCE", 60, Outcome.THOSE_SILENT),
    Kind.DAC_STUCK_BIT: Expected(F, "bit number value is always 1", 9, "implant", "DISABLED or COMPLIANCE", 60, Outcome.THOSE_SILENT),
    Kind.DAC_GAIN: Expected(F, "currents are value times too large", 1.08, "self-test", "gain", 0, Outcome.GOES_ON),
    Kind.DAC_OFFSET: Expected(F, "currents are value uA too large", 0.5, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.PHASE_MISMATCH: Expected(F, "the second phase lacks value of the first", 0.3, "implant", "direct current or net charge", 12, Outcome.ALL_SILENT),
    Kind.COMPLIANCE: Expected(F, "the supply gives value of its voltage", 0.02, "implant", "COMPLIANCE", 60, Outcome.THOSE_SILENT),
    Kind.MODULE: Expected(F, "one module of sixteen is off", 0, "implant", "DISABLED", 60, Outcome.THOSE_SILENT),
    Kind.CROSSTALK: Expected(F, "neighbours get value of the current", 0.05, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.SATURATION: Expected(F, "no current above value uA", 25, NOBODY, "", 0, Outcome.LESS),
    Kind.CLOCK_DRIFT: Expected(F, "the implant's clock runs value ppm fast", 50, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.MISSED_PHASE: Expected(F, "the second phase is not there", 1, "implant", "second phase is missing", 12, Outcome.ALL_SILENT),
    Kind.BROWN_OUT: Expected(I, "the supply fails while it lasts", 0, "implant", "brown-out", 1, Outcome.SILENT),
    Kind.RESET: Expected(I, "configuration and session are lost", 0, "implant", "restarted", 1, Outcome.SILENT),
    Kind.OVERHEAT: Expected(I, "value mW more than planned", 20_000, "implant", "over-temperature", 2000, Outcome.ALL_SILENT),
    Kind.BIT_FLIP: Expected(I, "a bit of the configuration memory flips", 0, "implant", "memory is corrupt", 60, Outcome.ALL_SILENT),
    Kind.HANG: Expected(I, "the firmware stops", 0, "implant", "watchdog", 110, Outcome.SILENT),
    Kind.STUCK_COMMAND: Expected(I, "the last command comes again and again", 0, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.LOSS: Expected(L, "value of the packets are lost", 0.1, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.CORRUPTION: Expected(L, "a byte of every packet is wrong", 1, "implant", "CORRUPT", 40, Outcome.SILENT),
    Kind.CORRUPTION_PRE_CRC: Expected(L, "a byte is wrong and the CRC right", 1, "implant", "FORGED", 40, Outcome.SILENT),
    Kind.TRUNCATION: Expected(L, "packets end early", 1, "implant", "TRUNCATED or CORRUPT", 40, Outcome.SILENT),
    Kind.DUPLICATE: Expected(L, "every packet comes twice", 1, "implant", "REPLAYED", 40, Outcome.GOES_ON),
    Kind.REORDER: Expected(L, "messages change places in pairs", 1, "implant", "REPLAYED", 80, Outcome.GOES_ON),
    Kind.DELAY: Expected(L, "packets come value ms later", 120, "implant", "STALE", 160, Outcome.SILENT),
    Kind.RATE_DROP: Expected(L, "one message of value arrives", 2, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.UPLINK_DEAD: Expected(L, "nothing comes back", 0, "device", "gone quiet", 600, Outcome.SILENT),
    Kind.MISALIGNMENT: Expected(L, "a share of value of packets has bit errors", 0.2, "implant", "CORRUPT", 600, Outcome.GOES_ON),
    Kind.OUTAGE: Expected(L, "nothing passes either way", 0, "implant", "250 ms", 260, Outcome.SILENT),
    Kind.REPLAY: Expected(L, "an old message comes before each new one", 1, "implant", "REPLAYED", 40, Outcome.GOES_ON),
    Kind.STALE: Expected(L, "messages are kept, and all come at its end", 0, "implant", "250 ms", 260, Outcome.SILENT),
    Kind.CLOCK_SKEW: Expected(L, "the clocks jump value ms apart", 1000, "implant", "STALE", 40, Outcome.SILENT),
    Kind.CAMERA_FREEZE: Expected(H, "the same image again and again", 0, "device", "frozen", 600, Outcome.SILENT),
    Kind.CAMERA_BLACK: Expected(H, "black images", 0, "device", "black", 60, Outcome.SILENT),
    Kind.DROPPED_FRAMES: Expected(H, "no frames", 0, "device", "no frame", 160, Outcome.SILENT),
    Kind.ENCODER_NAN: Expected(H, "the encoder says NaN", 0, "guard", "not finite", 40, Outcome.SILENT),
    Kind.ENCODER_INF: Expected(H, "the encoder says infinity", 0, NOBODY, "", 0, Outcome.GOES_ON),
    Kind.LATENCY_SPIKE: Expected(H, "the encoder takes value ms", 150, "implant", "STALE", 400, Outcome.SILENT),
    Kind.CRASH: Expected(H, "the device's process is gone", 0, "implant", "250 ms", 260, Outcome.SILENT),
    Kind.WRONG_PROFILE: Expected(H, "patterns made for another configuration", 0, "implant", "CONFIGURATION", 40, Outcome.SILENT),
}  # fmt: skip


class Fault(Strict):
    """One fault: from ``onset_s`` for ``duration_s`` (null: for ever) on ``electrodes`` (null: all).

    ``value`` is the kind's own measure (null: the catalogue's), ``seed`` what chance there is.
    """

    kind: Kind
    onset_s: Annotated[float, Field(ge=0)] = 0.0
    duration_s: Annotated[float, Field(gt=0)] | None = None
    electrodes: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    value: float | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def size(self) -> float:
        """The value, or the catalogue's."""
        return CATALOGUE[self.kind].value if self.value is None else self.value

    def active(self, t_s: float) -> bool:
        """Tell whether it is there ``t_s`` after the beginning."""
        return self.onset_s <= t_s and (self.duration_s is None or t_s < self.onset_s + self.duration_s)


class Faults(Strict):
    """A list of faults, as written in a YAML file."""

    faults: tuple[Fault, ...]


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Read faults from YAML; ``ConfigError`` names file and key."""
    return load_model(Faults, path).faults


def parse_fault(text: str) -> Fault:
    """Read one fault from words: ``open electrodes=3,4 onset_s=1 duration_s=0.5``; ``ConfigError`` says what is wrong."""
    kind, *settings = text.split()
    values: dict[str, object] = {"kind": kind}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"fault '{text}': '{setting}' is not key=value, e.g. duration_s=0.5")
        values[key] = tuple(value.split(",")) if key == "electrodes" else value
    try:
        return Fault.model_validate(values, strict=False)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"fault '{text}': {where}: {first['msg']}") from None
