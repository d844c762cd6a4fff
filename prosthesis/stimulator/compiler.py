"""From a guarded pattern to what one stimulator can play, and a report of what was lost on the way.

Nothing is ever raised: amplitudes are rounded down to the device's steps and to as many levels as it has waveforms,
widths to its clock, rates to what its waits allow. What cannot be played at all falls silent, weakest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosthesis.messages import Intervention, StimulationPattern, readonly
from prosthesis.stimulator.fitting import Work
from prosthesis.stimulator.model import Capabilities, Program, StimulationFrame, Waveform
from prosthesis.stimulator.programs import as_raster, as_sweeps, as_trains, drop_weakest, wait_after_us


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
    work = Work(pattern, capabilities, interphase_us)
    work.fit_pulses()
    match capabilities.style:
        case "program":
            work.fit_levels()
            waveforms, program = as_sweeps(work, train_s)
        case "channels":
            waveforms, program = as_trains(work, train_s)
        case "framebuffer":
            waveforms, program = as_raster(work)
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
    work = Work(pattern, capabilities, capabilities.interphase_us[0])
    work.fit_pulses()
    if capabilities.style == "program":
        work.fit_levels()
        drop_weakest(work)
    return work.realised(), tuple(work.losses)


def sweep_rate_hz(groups: int, pulse_us: int, rate_hz: float, c: Capabilities) -> float:
    """Return the rate at which a device of programs can sweep over ``groups``, at most ``rate_hz``."""
    if c.style != "program":
        return rate_hz
    busy_us = groups * pulse_us
    return 10**9 // (busy_us + wait_after_us(busy_us, int(rate_hz * 1000), c)) / 1000
