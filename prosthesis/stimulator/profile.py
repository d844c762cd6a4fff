"""From a stimulator's file to its capabilities: the ``commands`` section, and what follows from the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from prosthesis.stimulator.model import UNLIMITED, Capabilities, Trigger
from prosthesis.yamlfile import Strict

if TYPE_CHECKING:
    from prosthesis.parts import Limit, StimulatorConfig


class CommandConfig(Strict):
    """How a stimulator is told what to do; a part that says nothing of it takes frames of amplitudes.

    ``waveforms`` is the bank's size and ``program`` the longest program, null for no bound but the electrodes;
    ``wait_us`` the step of waits; ``least_na`` the smallest current that is a pulse. ``compliance_v`` lists what can be
    chosen, and is the part's own if empty.
    """

    style: Literal["program", "channels", "framebuffer"] = "framebuffer"
    waveforms: PositiveInt | None = None
    program: PositiveInt | None = None
    wait_us: PositiveInt = 1
    clock_hz: PositiveInt = 1_000_000
    pulses: Annotated[int, Field(ge=1)] = 65_535
    least_na: Annotated[int, Field(ge=0)] = 0
    balanced: bool = True
    updates: bool = True
    triggers: tuple[Literal["rising", "falling", "change"], ...] = ()
    sync_in_program: bool = True
    compliance_v: tuple[PositiveFloat, ...] = ()


def capabilities(config: StimulatorConfig) -> Capabilities:
    """Return what the stimulator of this file can do."""
    commands, hard = config.commands, config.limits.hard
    most_na = min(config.full_scale_na, _scaled(hard.amplitude_ua, 1000))
    rate_hz = min(config.rate_hz[1], hard.rate_hz.value) if hard.rate_hz else config.rate_hz[1]
    simultaneous = int(hard.simultaneous.value) if hard.simultaneous else config.channels
    return Capabilities(
        device=config.name,
        style=commands.style,
        electrodes=config.channels,
        amplitude_na=(commands.least_na, most_na),
        step_na=config.lsb_na,
        width_us=config.pulse_width_us,
        interphase_us=config.interphase_us,
        recovery_us=config.recovery_us,
        rate_mhz=(round(config.rate_hz[0] * 1000), round(rate_hz * 1000)),
        clock_hz=commands.clock_hz,
        pulses=commands.pulses,
        charge_pc=_scaled(hard.charge_per_phase_nc, 1000),
        waveforms=commands.waveforms or config.channels,
        simultaneous=simultaneous,
        total_na=_scaled(hard.slot_current_ua, 1000),
        commands=commands.program or UNLIMITED,
        wait_us=commands.wait_us,
        compliance_mv=tuple(round(1000 * volts) for volts in commands.compliance_v or (config.compliance_v,)),
        balanced=commands.balanced,
        concurrent=commands.style != "program",
        updates=commands.updates,
        triggers=tuple(Trigger[name.upper()] for name in commands.triggers),
        sync_in_program=commands.sync_in_program,
    )


def _scaled(limit: Limit | None, unit: int) -> int:
    # a limit such as 0.1 * 1000 must not fall one integer short by its binary rounding
    return UNLIMITED if limit is None else int(limit.value * unit * (1 + 1e-12))
