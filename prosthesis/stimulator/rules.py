"""What a stimulator of given capabilities refuses, and with which code; for the emulator, and before real hardware.

Which code a real device gives for a program too long, or for one told while it plays, is not published: chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from prosthesis.stimulator.codes import StimulatorCode, StimulatorError
from prosthesis.stimulator.model import (
    I64,
    MOST_U16,
    Capabilities,
    Ceiling,
    Group,
    Program,
    StimulationFrame,
    Sync,
    Wait,
    Waveform,
)


def ceiling_of(capabilities: Capabilities) -> Ceiling:
    """Return the ceiling of a device that nobody has restricted."""
    c = capabilities
    return Ceiling(c.amplitude_na[1], c.charge_pc, c.rate_mhz[1], c.compliance_mv[-1])


def lowered(now: Ceiling, wanted: Ceiling, capabilities: Capabilities) -> Ceiling:
    """Return ``wanted``; refuse it when any part is above what is allowed now, or no voltage of the device's."""
    _refuse(wanted.amplitude_na > now.amplitude_na, StimulatorCode.AMPLITUDE_GREATER_MAX, "a limit is only lowered")
    _refuse(wanted.charge_pc > now.charge_pc, StimulatorCode.PHASE_GREATER_MAX, "a limit is only lowered")
    _refuse(wanted.rate_mhz > now.rate_mhz, StimulatorCode.FREQUENCY_GREATER_MAX, "a limit is only lowered")
    _refuse(wanted.compliance_mv > now.compliance_mv, StimulatorCode.VOLTAGE_GREATER_MAX, "a limit is only lowered")
    known = wanted.compliance_mv in capabilities.compliance_mv
    _refuse(not known, StimulatorCode.INVALID_VOLTAGE, f"{wanted.compliance_mv} mV is none of its voltages")
    _refuse(min(wanted.amplitude_na, wanted.charge_pc, wanted.rate_mhz) < 0, StimulatorCode.INVALID_NUMBER, "below 0")
    return wanted


def check_waveform(w: Waveform, c: Capabilities, ceiling: Ceiling) -> None:
    """Refuse a waveform that the device cannot make or the lab does not allow."""
    _check_slot(w.slot, c)
    for amplitude_na in (w.amplitude1_na, w.amplitude2_na):
        _check_amplitude(amplitude_na, c, ceiling)
    for width_us in (w.width1_us, w.width2_us):
        ok = c.width_us[0] <= width_us <= c.width_us[1] and c.on_clock(width_us) == width_us
        _refuse(not ok, StimulatorCode.INVALID_WIDTH, f"a phase of {width_us} us")
    ok = c.interphase_us[0] <= w.interphase_us <= c.interphase_us[1] and c.on_clock(w.interphase_us) == w.interphase_us
    _refuse(not ok, StimulatorCode.INVALID_INTERPHASE, f"{w.interphase_us} us between the phases")
    least = 0 if c.style == "framebuffer" else 1
    _refuse(not least <= w.pulses <= c.pulses, StimulatorCode.INVALID_PULSES, f"{w.pulses} pulses")
    _check_period(w, c, ceiling)
    _refuse(c.balanced and not w.balanced, StimulatorCode.PHASE_NOT_BALANCED, "the phases' charges differ")
    over = max(w.charge_fc) > 1000 * ceiling.charge_pc
    _refuse(over, StimulatorCode.PHASE_GREATER_MAX, f"more than {ceiling.charge_pc} pC in a phase")


def _check_slot(slot: int, c: Capabilities) -> None:
    _refuse(not 1 <= slot <= c.waveforms, StimulatorCode.INVALID_CONFIG, f"waveform {slot} of {c.waveforms}")


def _check_amplitude(amplitude_na: int, c: Capabilities, ceiling: Ceiling) -> None:
    least, most = c.amplitude_na
    ok = least <= amplitude_na <= most and amplitude_na % c.step_na == 0
    _refuse(not ok, StimulatorCode.INVALID_AMPLITUDE, f"{amplitude_na} nA")
    over = amplitude_na > ceiling.amplitude_na
    _refuse(over, StimulatorCode.AMPLITUDE_GREATER_MAX, f"{amplitude_na} nA, allowed are {ceiling.amplitude_na}")


def _check_period(w: Waveform, c: Capabilities, ceiling: Ceiling) -> None:
    _refuse(w.period_us <= 0, StimulatorCode.FREQUENCY_PERIOD_ZERO, "no period")
    ok = w.period_us * c.rate_mhz[0] <= 10**9 <= w.period_us * c.rate_mhz[1] and c.on_clock(w.period_us) == w.period_us
    _refuse(not ok, StimulatorCode.INVALID_FREQUENCY, f"a pulse each {w.period_us} us")
    over = w.period_us * ceiling.rate_mhz < 10**9
    _refuse(over, StimulatorCode.FREQUENCY_GREATER_MAX, f"a pulse each {w.period_us} us")
    short = w.period_us < w.pulse_us + c.recovery_us
    _refuse(short, StimulatorCode.INVALID_INTERPULSE, f"pulses of {w.pulse_us} us each {w.period_us} us")


def check_program(program: Program, bank: Mapping[int, Waveform], c: Capabilities) -> None:
    """Refuse a program that the device cannot play from the waveforms in its ``bank``."""
    groups = [command for command in program.commands if isinstance(command, Group)]
    _refuse(not groups, StimulatorCode.SEQUENCE_ERROR, "a program without a stimulus")
    _refuse(program.size > c.commands, StimulatorCode.SEQUENCE_ERROR, f"{program.size} commands of {c.commands}")
    _refuse(not 0 <= program.repeats <= MOST_U16, StimulatorCode.INVALID_NUMBER, f"{program.repeats} repeats")
    for command in program.commands:
        if isinstance(command, Wait):
            ok = 0 < command.us <= MOST_U16 * c.wait_us and command.us % c.wait_us == 0
            _refuse(not ok, StimulatorCode.INVALID_NUMBER, f"a wait of {command.us} us in steps of {c.wait_us}")
        elif isinstance(command, Sync):
            _refuse(not c.sync_in_program, StimulatorCode.NOT_IMPLEMENTED, "no sync output in programs")
        else:
            _check_group(command, bank, c)
    electrodes = [electrode for group in groups for electrode, _ in group.stimuli]
    twice = c.concurrent and len(set(electrodes)) < len(electrodes)
    _refuse(twice, StimulatorCode.CHANNEL_USED_IN_GROUP, "a channel has one train")


def _check_group(group: Group, bank: Mapping[int, Waveform], c: Capabilities) -> None:
    electrodes = [electrode for electrode, _ in group.stimuli]
    _refuse(not electrodes, StimulatorCode.INVALID_NUMBER, "an empty group")
    outside = [electrode for electrode in electrodes if not 0 <= electrode < c.electrodes]
    _refuse(bool(outside), StimulatorCode.INVALID_CHANNEL, f"electrode {outside[:1]} of {c.electrodes}")
    # of a framebuffer's raster slot, only those that a frame drives draw current together
    many = len(electrodes) > c.simultaneous and c.style != "framebuffer"
    _refuse(many, StimulatorCode.STIMULI_MODULES, f"{len(electrodes)} at once of {c.simultaneous}")
    twice = len(set(electrodes)) < len(electrodes)
    _refuse(twice, StimulatorCode.CHANNEL_USED_IN_GROUP, "an electrode twice in a group")
    total_na = 0
    for _, slot in group.stimuli:
        _check_slot(slot, c)
        _refuse(slot not in bank, StimulatorCode.EMPTY_CONFIG, f"waveform {slot} is not configured")
        total_na += bank[slot].amplitude1_na
    over = total_na > c.total_na
    _refuse(over, StimulatorCode.AMPLITUDE_GREATER_MAX, f"{total_na} nA together, allowed are {c.total_na}")


def check_frame(
    frame: StimulationFrame, program: Program, bank: Mapping[int, Waveform], c: Capabilities, ceiling: Ceiling
) -> None:
    """Refuse a frame of amplitudes that breaks a limit of an electrode, or of a group of ``program``."""
    _refuse(c.style != "framebuffer", StimulatorCode.NOT_IMPLEMENTED, "this device takes no frames")
    amplitude_na = frame.amplitude_na
    _refuse(amplitude_na.shape != (c.electrodes,), StimulatorCode.INVALID_PARAMS, "one amplitude for each electrode")
    for value in np.unique(amplitude_na).tolist():
        if value:
            _check_amplitude(value, c, ceiling)
    for command in program.commands:
        if isinstance(command, Group):
            _check_group_frame(command, amplitude_na, bank, c, ceiling)


def _check_group_frame(
    group: Group, amplitude_na: I64, bank: Mapping[int, Waveform], c: Capabilities, ceiling: Ceiling
) -> None:
    wanted = amplitude_na[[electrode for electrode, _ in group.stimuli]]
    count, total_na = int(np.count_nonzero(wanted)), int(wanted.sum())
    _refuse(count > c.simultaneous, StimulatorCode.STIMULI_MODULES, f"{count} at once of {c.simultaneous}")
    over = total_na > c.total_na
    _refuse(over, StimulatorCode.AMPLITUDE_GREATER_MAX, f"{total_na} nA together, allowed are {c.total_na}")
    most_fc = int((wanted * [bank[slot].width1_us for _, slot in group.stimuli]).max())
    over = most_fc > 1000 * ceiling.charge_pc
    _refuse(over, StimulatorCode.PHASE_GREATER_MAX, f"more than {ceiling.charge_pc} pC in a phase")


def _refuse(wrong: bool, code: StimulatorCode, text: str) -> None:
    if wrong:
        raise StimulatorError(code, text)
