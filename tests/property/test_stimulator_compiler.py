"""What is compiled for a device is accepted by its rules, never more than was asked, and what the report says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosthesis.config import StimulatorConfig, find, names
from prosthesis.messages import StimulationPattern, readonly
from prosthesis.stimulator.compiler import compile_pattern
from prosthesis.stimulator.levels import round_to_levels
from prosthesis.stimulator.model import Group, Wait
from prosthesis.stimulator.profile import capabilities
from prosthesis.stimulator.rules import ceiling_of, check_frame, check_program, check_waveform
from prosthesis.yamlfile import load_model

PROFILES = {
    name: capabilities(load_model(StimulatorConfig, find("stimulators", name))) for name in names("stimulators")
}


def pattern(seed, n, groups, by_rate, wild=False):
    rng = np.random.default_rng(seed)
    amplitude = rng.choice([0, 1], n) * rng.uniform(0, rng.choice([1, 60, 500]), n)
    rate = rng.uniform(1, 400, n) if by_rate else np.full(n, rng.uniform(5, 400))
    width = np.full(n, rng.choice([40, 100, 170, 200, 450]))
    if wild:
        amplitude[rng.integers(n)], rate[rng.integers(n)], width[rng.integers(n)] = (
            np.nan,
            np.inf,
            rng.integers(1, 6000),
        )
        amplitude[rng.integers(n)] = -5
    slot = rng.integers(0, groups, n)
    arrays = (readonly(a, np.float32) for a in (amplitude, width, rate))
    return StimulationPattern(3, 5, *arrays, readonly(slot, np.uint8))


def rates(compiled, c, n):
    """Each electrode's mean rate in Hz as the program says it, without the emulator."""
    bank, program, at = {w.slot: w for w in compiled.waveforms}, compiled.program, 0
    pulses, rate = np.zeros(n), np.zeros(n)
    for command in program.commands:
        if isinstance(command, Wait):
            at += command.us
        elif isinstance(command, Group):
            for electrode, slot in command.stimuli:
                if electrode < n:
                    pulses[electrode] += 1
                    rate[electrode] = 1e6 / bank[slot].period_us
            if c.style == "program":
                at += max(bank[s].pulse_us for _, s in command.stimuli) + c.recovery_us
    return pulses * 1e6 / at if c.style == "program" else rate


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("seed", range(16))  # not drawn by hypothesis: to shrink such patterns takes minutes
def test_what_is_compiled_is_accepted_and_no_more_than_was_asked(name, seed):
    groups, by_rate, wild = 1 + seed % 8, bool(seed % 2), seed % 3 == 0
    c = PROFILES[name]
    n = min(c.electrodes, 128)
    wanted = pattern(seed, n, groups, by_rate, wild)
    compiled = compile_pattern(wanted, c, 60)
    bank = {waveform.slot: waveform for waveform in compiled.waveforms}
    for waveform in compiled.waveforms:
        check_waveform(waveform, c, ceiling_of(c))
        assert waveform.balanced
    if compiled.program is not None:
        check_program(compiled.program, bank, c)
    got = compiled.pattern
    on = got.amplitude_ua > 0
    assert bool(on.any()) == (compiled.program is not None)
    for mine, asked in (("amplitude_ua",) * 2, ("rate_hz",) * 2, ("pulse_width_us",) * 2):
        assert (getattr(got, mine)[on] <= getattr(wanted, asked)[on]).all()
    assert not (on & ~(wanted.amplitude_ua > 0)).any()
    if compiled.program is None:
        return
    if compiled.frame is not None:
        check_frame(compiled.frame, compiled.program, bank, c, ceiling_of(c))
        told = compiled.frame.amplitude_na[:n]
    else:
        told = np.zeros(n, np.int64)
        for command in compiled.program.commands:
            for electrode, slot in command.stimuli if isinstance(command, Group) else ():
                told[electrode] = bank[slot].amplitude1_na
    np.testing.assert_allclose(told * 1e-3, got.amplitude_ua, rtol=2e-6)
    realised = rates(compiled, c, n)[on]
    assert (realised <= wanted.rate_hz[on] * (1 + 1e-6)).all()
    np.testing.assert_allclose(realised, got.rate_hz[on], rtol=2e-3)
    if not compiled.losses:
        np.testing.assert_allclose(got.amplitude_ua[on], wanted.amplitude_ua[on], atol=c.step_na / 1000)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 25), min_size=1, max_size=11), st.integers(1, 4))
def test_levels_lose_the_least_possible(values, most):
    values = np.asarray(values)
    rounded = round_to_levels(values, most)
    assert (rounded <= values).all()
    assert ((rounded == 0) == (values == 0)).all()
    assert len(set(rounded[rounded > 0].tolist())) <= most
    distinct = sorted(set(values[values > 0].tolist()))
    if len(distinct) <= most:
        assert (rounded == values).all()
        return
    losses = []
    for chosen in itertools.combinations(distinct[1:], most - 1):
        levels = np.asarray([distinct[0], *chosen])
        down = np.where(values > 0, levels[np.searchsorted(levels, values, side="right") - 1], 0)
        losses.append((values - down).sum())
    assert (values - rounded).sum() == min(losses)
