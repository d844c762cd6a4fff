"""Three styles of being told: whole sweeps as a program, a train for each channel, and the raster of a framebuffer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prosthesis.stimulator.fitting import US, Work
from prosthesis.stimulator.levels import round_to_levels
from prosthesis.stimulator.model import (
    I64,
    MOST_U16,
    Capabilities,
    Command,
    Group,
    Program,
    Wait,
    Waveform,
    command_size,
)

MOST_SWEEPS = 8


def _bank(work: Work, period_us: int) -> tuple[tuple[Waveform, ...], dict[int, int]]:
    """Return one waveform for each pair of amplitude and width, and each electrode's slot."""
    on = work.on.tolist()
    pairs = sorted({(int(work.amplitude_na[e]), int(work.width_us[e])) for e in on})
    number = {pair: slot for slot, pair in enumerate(pairs, start=1)}
    bank = tuple(_pulse(slot, *pair, work.interphase_us, 1, period_us) for pair, slot in number.items())
    return bank, {e: number[int(work.amplitude_na[e]), int(work.width_us[e])] for e in on}


def _pulse(slot: int, amplitude_na: int, width_us: int, interphase_us: int, pulses: int, period_us: int) -> Waveform:
    return Waveform(slot, amplitude_na, amplitude_na, width_us, width_us, interphase_us, pulses, period_us)


def as_sweeps(work: Work, train_s: float) -> tuple[tuple[Waveform, ...], Program | None]:
    """Return a program of whole sweeps: each group one pulse, then a wait; slower electrodes miss some sweeps."""
    c = work.c
    drop_weakest(work)
    if not len(work.on):
        return (), None
    groups, fastest = work.groups(), int(work.rate_mhz[work.on].max())
    lengths = [_group_us(work, group) for group in groups]
    period_us = sum(lengths) + wait_after_us(sum(lengths), fastest, c)
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


def _lose_rate(work: Work, realised: I64) -> None:
    """Note the rates that come of it, and report those that are lower than was wanted."""
    lost = np.where(work.amplitude_na > 0, work.rate_mhz - realised, 0)
    if count := np.count_nonzero(lost > 0):
        work.lose("rate", int(count), lost.max() / 1000, realised.max() / 1000, "Hz lost")
    work.rate_mhz = np.where(lost > 0, realised, work.rate_mhz)


def wait_after_us(busy_us: int, rate_mhz: int, c: Capabilities) -> int:
    """Return the wait in whole steps that makes a sweep of ``busy_us`` no faster than ``rate_mhz``."""
    rest_us = max(0, -(-(10**9) // rate_mhz) - busy_us)
    return -(-rest_us // c.wait_us) * c.wait_us


def _group_us(work: Work, group: npt.NDArray[np.intp]) -> int:
    return 2 * int(work.width_us[group].max()) + work.interphase_us + work.c.recovery_us


def _sweep_count(rate_mhz: I64, realised: int, most: int) -> int:
    """Return the fewest sweeps, up to ``most``, with which electrodes of these rates lose least of them."""
    lost = [int((rate_mhz - np.minimum(rate_mhz * m // realised, m) * realised // m).sum()) for m in range(1, most + 1)]
    return 1 + int(np.argmin(lost))


def _group(electrodes: npt.NDArray[np.intp], slot_of: dict[int, int] | None = None) -> Group:
    return Group(tuple((e, slot_of[e] if slot_of else 1) for e in electrodes.tolist()))


def drop_weakest(work: Work) -> None:
    """Let the weakest electrodes fall silent until one sweep of the rest fits the program."""
    strongest = work.on[np.argsort(-work.amplitude_na[work.on], kind="stable")]
    kept = len(strongest)
    while kept and 1 + sum(command_size(_group(group)) for group in work.groups()) > work.c.commands:
        kept -= 1
        work.silence(strongest[kept : kept + 1], "program", work.c.commands)


def as_trains(work: Work, train_s: float) -> tuple[tuple[Waveform, ...], Program | None]:
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


def as_raster(work: Work) -> tuple[tuple[Waveform, ...], Program | None]:
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


def _keep_within_groups(work: Work) -> None:
    """Let the weakest of a raster slot fall silent until the slot's supply feeds the rest."""
    for slot in np.unique(work.pattern.slot[work.on]).tolist():
        members = work.on[work.pattern.slot[work.on] == slot]
        strongest = members[np.argsort(-work.amplitude_na[members], kind="stable")]
        fed = np.cumsum(work.amplitude_na[strongest]) <= work.c.total_na
        fed[work.c.simultaneous :] = False
        work.silence(strongest[~fed], "supply", work.c.simultaneous)
