"""From a guarded pattern to what one stimulator can play, and a report of what was lost on the way.

Nothing is ever raised: amplitudes are rounded down to the device's steps and to as many levels as it has waveforms,
widths to its clock, rates to what its waits allow. What cannot be played at all falls silent, weakest first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prosthesis.messages import Intervention, StimulationPattern, readonly
from prosthesis.stimulator.levels import round_to_levels
from prosthesis.stimulator.model import (
    I64,
    MOST_U16,
    Capabilities,
    Command,
    Group,
    Program,
    StimulationFrame,
    Wait,
    Waveform,
    command_size,
)

US = 1_000_000
MOST_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Compiled:
    """What to tell the device: its bank, its program, and on a framebuffer device the frame.

    ``pattern`` is what this will deliver, nowhere more than was asked for; ``losses`` say by how much less.
    """

    waveforms: tuple[Waveform, ...]
    program: Program | None
    frame: StimulationFrame | None
    pattern: StimulationPattern
    losses: tuple[Intervention, ...]


def compile_pattern(
    pattern: StimulationPattern, capabilities: Capabilities, interphase_us: int, train_s: float = 0.25
) -> Compiled:
    """Compile ``pattern`` for the device; trains and programs end by themselves after ``train_s`` at most.

    Electrode numbers are the pattern's; a program is ``None`` when nothing is left to play.
    """
    work = _Work(pattern, capabilities, interphase_us)
    work.fit_pulses()
    match capabilities.style:
        case "program":
            work.fit_levels()
            waveforms, program = _sweeps(work, train_s)
        case "channels":
            waveforms, program = _trains(work, train_s)
        case "framebuffer":
            waveforms, program = _raster(work)
    frame = None
    if capabilities.style == "framebuffer":
        amplitude = np.zeros(capabilities.electrodes, np.int64)
        amplitude[: len(work.amplitude_na)] = work.amplitude_na
        frame = StimulationFrame(pattern.seq, pattern.t_ns, readonly(amplitude, np.int64))
    return Compiled(waveforms, program, frame, work.realised(), tuple(work.losses))


def fit_amplitudes(
    pattern: StimulationPattern, capabilities: Capabilities
) -> tuple[StimulationPattern, tuple[Intervention, ...]]:
    """Return as much of the pattern as the device's steps, levels and program hold, and what was lost."""
    work = _Work(pattern, capabilities, capabilities.interphase_us[0])
    work.fit_pulses()
    if capabilities.style == "program":
        work.fit_levels()
        _drop_weakest(work)
    return work.realised(), tuple(work.losses)


def sweep_rate_hz(groups: int, pulse_us: int, rate_hz: float, c: Capabilities) -> float:
    """Return the rate at which a device of programs can sweep over ``groups``, at most ``rate_hz``."""
    if c.style != "program":
        return rate_hz
    busy_us = groups * pulse_us
    return 10**9 // (busy_us + _rest_us(busy_us, int(rate_hz * 1000), c)) / 1000


class _Work:
    """One pattern on its way: integers that only ever fall, and the losses so far."""

    def __init__(self, pattern: StimulationPattern, c: Capabilities, interphase_us: int) -> None:
        self.c, self.pattern, self.losses = c, pattern, list[Intervention]()
        with np.errstate(invalid="ignore", over="ignore"):
            finite = np.isfinite(pattern.amplitude_ua + pattern.pulse_width_us + pattern.rate_hz)
            on = finite & (pattern.amplitude_ua > 0) & (pattern.pulse_width_us > 0) & (pattern.rate_hz > 0)
        on[c.electrodes :] = False
        self.wanted_na = _floor(np.where(on, pattern.amplitude_ua, 0.0) * 1000 / c.step_na) * c.step_na
        self.amplitude_na = self.wanted_na.copy()
        self.width_us = _floor(np.where(on, pattern.pulse_width_us, 0.0))
        self.rate_mhz = _floor(np.where(on, pattern.rate_hz, 0.0) * 1000)
        least = max(c.interphase_us[0], min(interphase_us, c.interphase_us[1]))
        self.interphase_us = c.on_clock(least)
        if self.interphase_us < c.interphase_us[0]:
            self.interphase_us = c.on_clock(c.interphase_us[0] + US // c.clock_hz)

    @property
    def on(self) -> npt.NDArray[np.intp]:
        """The electrodes that still pulse."""
        return np.flatnonzero(self.amplitude_na)

    def silence(self, electrodes: npt.NDArray[np.intp] | npt.NDArray[np.bool_], rule: str, limit: float) -> None:
        """Let these fall silent and report the strongest of them."""
        lost = self.amplitude_na[electrodes]
        if lost.any():
            self.lose(rule, int(np.count_nonzero(lost)), lost.max() / 1000, limit, "uA")
            self.amplitude_na[electrodes] = 0

    def lose(self, rule: str, electrodes: int, worst: float, limit: float, unit: str) -> None:
        """Report a loss."""
        self.losses.append(Intervention(f"stimulator {rule}", "hard", electrodes, float(worst), float(limit), unit))

    def fit_pulses(self) -> None:
        """Bring each electrode's amplitude, width and rate within the device's ranges, downwards."""
        c = self.c
        asked_us = self.width_us
        self.width_us = np.minimum([c.on_clock(int(us)) for us in asked_us.tolist()], c.width_us[1])
        if count := np.count_nonzero((self.width_us < asked_us) & (self.amplitude_na > 0)):
            self.lose("pulse width", int(count), (asked_us - self.width_us).max(), self.width_us.max(), "us lost")
        self.silence(self.width_us < c.width_us[0], "pulse width", c.width_us[0])
        self.silence(self.rate_mhz < c.rate_mhz[0], "rate", c.rate_mhz[0] / 1000)
        most = (
            np.minimum(c.amplitude_na[1], c.charge_pc * 1000 // np.maximum(self.width_us, 1)) // c.step_na * c.step_na
        )
        if count := np.count_nonzero(self.amplitude_na > most):
            self.lose("amplitude", int(count), self.amplitude_na.max() / 1000, c.amplitude_na[1] / 1000, "uA")
            self.amplitude_na = np.minimum(self.amplitude_na, most)
        self.silence(self.amplitude_na < c.amplitude_na[0], "least amplitude", c.amplitude_na[0] / 1000)
        shortest_us = 2 * self.width_us + self.interphase_us + c.recovery_us
        fastest = np.minimum(c.rate_mhz[1], 10**9 // np.maximum(shortest_us, 1))
        if count := np.count_nonzero((self.rate_mhz > fastest) & (self.amplitude_na > 0)):
            self.lose("rate", int(count), self.rate_mhz.max() / 1000, fastest.min() / 1000, "Hz")
        self.rate_mhz = np.minimum(self.rate_mhz, fastest)

    def fit_levels(self) -> None:
        """Round amplitudes down to as many levels as there are waveforms; several widths become the least of them."""
        on = self.on
        if not len(on):
            return
        widths = np.unique(self.width_us[on])
        pairs = len(np.unique(np.stack([self.width_us[on], self.amplitude_na[on]]), axis=1).T)
        if pairs <= self.c.waveforms:
            return
        if len(widths) > 1:
            self.lose("pulse width", int((self.width_us[on] > widths[0]).sum()), widths[-1], widths[0], "us")
            self.width_us[on] = widths[0]
        levels = round_to_levels(self.amplitude_na, self.c.waveforms)
        if count := np.count_nonzero(levels < self.amplitude_na):
            worst = (self.amplitude_na - levels).max() / 1000
            self.lose("waveforms", int(count), worst, self.c.waveforms, "uA lost")
        self.amplitude_na = levels

    def groups(self) -> list[npt.NDArray[np.intp]]:
        """Return the raster's electrodes slot by slot, slots too full for the device split in as few as will do."""
        parts: list[npt.NDArray[np.intp]] = []
        slots, on = self.pattern.slot, self.on
        for slot in np.unique(slots[on]).tolist():
            members = on[slots[on] == slot]
            # strongest first, each into the first part that can still feed it
            fitted: list[list[int]] = []
            totals: list[int] = []
            for electrode in members[np.argsort(-self.amplitude_na[members], kind="stable")].tolist():
                current = int(self.amplitude_na[electrode])
                for k, part in enumerate(fitted):
                    if len(part) < self.c.simultaneous and totals[k] + current <= self.c.total_na:
                        part.append(electrode)
                        totals[k] += current
                        break
                else:
                    fitted.append([electrode])
                    totals.append(current)
            parts += [np.sort(np.asarray(part, np.intp)) for part in fitted]
        return parts

    def realised(self) -> StimulationPattern:
        """Return what the device will deliver; where nothing was lost, the pattern's own arrays."""
        p = self.pattern
        on = self.amplitude_na > 0
        amplitude = np.minimum(self.amplitude_na * 1e-3, np.where(on, p.amplitude_ua, 0.0))
        width = np.where(on, np.minimum(self.width_us, p.pulse_width_us), p.pulse_width_us)
        rate = np.where(on, np.minimum(self.rate_mhz * 1e-3, p.rate_hz), p.rate_hz)
        return replace(
            p,
            amplitude_ua=readonly(amplitude, np.float32),
            pulse_width_us=readonly(width, np.float32),
            rate_hz=readonly(rate, np.float32),
        )


def _floor(values: npt.NDArray[np.floating]) -> I64:
    # float32 may hold a whole number a little less than it is
    return np.floor(values.astype(np.float64) * (1 + 1e-6)).astype(np.int64)


def _bank(work: _Work, period_us: int) -> tuple[tuple[Waveform, ...], dict[int, int]]:
    """Return one waveform for each pair of amplitude and width, and each electrode's slot."""
    on = work.on.tolist()
    pairs = sorted({(int(work.amplitude_na[e]), int(work.width_us[e])) for e in on})
    number = {pair: slot for slot, pair in enumerate(pairs, start=1)}
    bank = tuple(_pulse(slot, *pair, work.interphase_us, 1, period_us) for pair, slot in number.items())
    return bank, {e: number[int(work.amplitude_na[e]), int(work.width_us[e])] for e in on}


def _pulse(slot: int, amplitude_na: int, width_us: int, interphase_us: int, pulses: int, period_us: int) -> Waveform:
    return Waveform(slot, amplitude_na, amplitude_na, width_us, width_us, interphase_us, pulses, period_us)


def _sweeps(work: _Work, train_s: float) -> tuple[tuple[Waveform, ...], Program | None]:
    """Return a program of whole sweeps: each group one pulse, then a wait; slower electrodes miss some sweeps."""
    c = work.c
    _drop_weakest(work)
    if not len(work.on):
        return (), None
    groups, fastest = work.groups(), int(work.rate_mhz[work.on].max())
    lengths = [_group_us(work, group) for group in groups]
    period_us = sum(lengths) + _rest_us(sum(lengths), fastest, c)
    realised = 10**9 // period_us
    size = sum(command_size(_group(group)) for group in groups) + 1
    sweeps = _sweep_count(work.rate_mhz[work.on], realised, max(1, min(MOST_SWEEPS, c.commands // size)))
    share = np.minimum(work.rate_mhz * sweeps // realised, sweeps)
    work.silence((share == 0) & (work.amplitude_na > 0), "program", c.commands)
    if not len(work.on):
        return (), None
    bank, slot_of = _bank(work, c.period_us(min(max(realised, c.rate_mhz[0]), c.rate_mhz[1])))
    commands: list[Command] = []
    length_us, pulses = 0, np.zeros_like(share)
    for k in range(sweeps):
        due = ((k + 1) * share // sweeps > k * share // sweeps) & (work.amplitude_na > 0)
        present = [group[due[group]] for group in groups if due[group].any()]
        commands += [_group(group, slot_of) for group in present]
        busy_us = sum(_group_us(work, group) for group in present)
        rest_us = -(-(period_us - busy_us) // c.wait_us) * c.wait_us
        commands += [Wait(rest_us)] * (rest_us > 0)
        length_us += busy_us + rest_us
        pulses += due
    _lose_rate(work, pulses * 10**9 // length_us)
    return bank, Program(tuple(commands), repeats=max(1, min(int(train_s * US) // length_us, MOST_U16)))


def _lose_rate(work: _Work, realised: I64) -> None:
    """Note the rates that come of it, and report those that are lower than was wanted."""
    lost = np.where(work.amplitude_na > 0, work.rate_mhz - realised, 0)
    if count := np.count_nonzero(lost > 0):
        work.lose("rate", int(count), lost.max() / 1000, realised.max() / 1000, "Hz lost")
    work.rate_mhz = np.where(lost > 0, realised, work.rate_mhz)


def _rest_us(busy_us: int, rate_mhz: int, c: Capabilities) -> int:
    rest_us = max(0, -(-(10**9) // rate_mhz) - busy_us)
    return -(-rest_us // c.wait_us) * c.wait_us


def _group_us(work: _Work, group: npt.NDArray[np.intp]) -> int:
    return 2 * int(work.width_us[group].max()) + work.interphase_us + work.c.recovery_us


def _sweep_count(rate_mhz: I64, realised: int, most: int) -> int:
    """Return the fewest sweeps, up to ``most``, with which electrodes of these rates lose least of them."""
    lost = [int((rate_mhz - np.minimum(rate_mhz * m // realised, m) * realised // m).sum()) for m in range(1, most + 1)]
    return 1 + int(np.argmin(lost))


def _group(electrodes: npt.NDArray[np.intp], slot_of: dict[int, int] | None = None) -> Group:
    return Group(tuple((e, slot_of[e] if slot_of else 1) for e in electrodes.tolist()))


def _drop_weakest(work: _Work) -> None:
    """Let the weakest electrodes fall silent until one sweep of the rest fits the program."""
    strongest = work.on[np.argsort(-work.amplitude_na[work.on], kind="stable")]
    kept = len(strongest)
    while kept and 1 + sum(command_size(_group(group)) for group in work.groups()) > work.c.commands:
        kept -= 1
        work.silence(strongest[kept : kept + 1], "program", work.c.commands)


def _trains(work: _Work, train_s: float) -> tuple[tuple[Waveform, ...], Program | None]:
    """Return one train an electrode, started slot after slot and played once: such a device repeats no program."""
    c = work.c
    on = work.on
    if not len(on):
        return (), None
    bank = []
    for e in on.tolist():
        period_us = c.period_us(int(work.rate_mhz[e]))
        pulses = min(int(train_s * US) // period_us, c.pulses)
        work.rate_mhz[e] = 10**9 // period_us
        if pulses:
            width_us, amplitude_na = int(work.width_us[e]), int(work.amplitude_na[e])
            bank.append(_pulse(e + 1, amplitude_na, width_us, work.interphase_us, pulses, period_us))
    started = {waveform.slot - 1: waveform.slot for waveform in bank}
    work.silence(np.setdiff1d(on, list(started)), "train", train_s)
    if not bank:
        return (), None
    pulse_us = 2 * int(work.width_us[work.on].max()) + work.interphase_us + c.recovery_us
    step_us = -(-pulse_us // c.wait_us) * c.wait_us
    commands: list[Command] = []
    for k, group in enumerate(work.groups()):
        commands += [Wait(step_us)] * (k > 0) + [_group(group, started)]
    return tuple(bank), Program(tuple(commands), repeats=1)


def _raster(work: _Work) -> tuple[tuple[Waveform, ...], Program | None]:
    """Return the fixed raster of all electrodes; amplitudes come by frames, rates are rounded to the bank's few."""
    c, p = work.c, work.pattern
    n = min(len(p.slot), c.electrodes)
    _keep_within_groups(work)
    on = work.on
    if not len(on):
        return (), None
    width_us = int(work.width_us[on].min())
    if count := np.count_nonzero(work.width_us[on] > width_us):
        work.lose("pulse width", int(count), work.width_us[on].max(), width_us, "us")
    work.width_us[on] = width_us
    rates = np.zeros_like(work.rate_mhz)
    rates[on] = work.rate_mhz[on]
    rates = round_to_levels(rates, c.waveforms)
    if count := np.count_nonzero(rates[on] < work.rate_mhz[on]):
        work.lose("waveforms", int(count), (work.rate_mhz[on] - rates[on]).max() / 1000, c.waveforms, "Hz lost")
    bank: list[Waveform] = []
    slot_of: dict[int, int] = {}
    for slot, rate_mhz in enumerate(sorted(set(rates[on].tolist())), start=1):
        period_us = c.period_us(rate_mhz)
        bank.append(_pulse(slot, 0, width_us, work.interphase_us, 0, period_us))
        work.rate_mhz[rates == rate_mhz] = 10**9 // period_us
        slot_of |= dict.fromkeys(np.flatnonzero(rates == rate_mhz).tolist(), slot)
    pulse_us = 2 * width_us + work.interphase_us + c.recovery_us
    step_us = -(-pulse_us // c.wait_us) * c.wait_us
    commands: list[Command] = []
    last = 0
    for slot in np.unique(p.slot[:n]).tolist():
        # electrodes that are silent now may pulse in the next frame: they have their place, at the common rate
        members = np.flatnonzero(p.slot[:n] == slot)
        commands += [Wait(step_us)] * (slot - last)
        commands.append(Group(tuple((e, slot_of.get(e, len(bank))) for e in members.tolist())))
        last = slot
    return tuple(bank), Program(tuple(commands), repeats=1)


def _keep_within_groups(work: _Work) -> None:
    """Let the weakest of a raster slot fall silent until the slot's supply feeds the rest."""
    for slot in np.unique(work.pattern.slot[work.on]).tolist():
        members = work.on[work.pattern.slot[work.on] == slot]
        strongest = members[np.argsort(-work.amplitude_na[members], kind="stable")]
        fed = np.cumsum(work.amplitude_na[strongest]) <= work.c.total_na
        fed[work.c.simultaneous :] = False
        work.silence(strongest[~fed], "supply", work.c.simultaneous)
