"""The impedance check: what is measured is the electrodes' own, the guard obeys it, and what it costs is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lab import Lab

from prosthesis.calibration.calibrate import calibrate
from prosthesis.calibration.impedance import check_impedances, measure_kohm, with_impedances
from prosthesis.calibration.procedure import Plan
from prosthesis.control import Reply
from prosthesis.errors import LinkError
from prosthesis.limits import guard_limits
from prosthesis.messages import ImplantState, Refusal, StimulationPattern, readonly
from prosthesis.safety import Guard
from prosthesis.timing import ManualClock
from prosthesis_sim.frontend import none
from prosthesis_sim.measure import connect
from prosthesis_sim.patient import load_world

# 10 kohm at 1 kHz over 100 nF (1.59 kohm of reactance), of which 200 us make 2 kohm: the square root of 98 and 2
MEETS_KOHM = np.sqrt(10**2 - (1e3 / (2 * np.pi * 100)) ** 2) + 2


@pytest.fixture
def lab(hand_rig):
    made = Lab(hand_rig)
    made.session.open()
    return made


def ailing(lab, *series):
    lab.implant.front.set_defects(replace(none(4), series=np.asarray(series, float)))


def allowed_ua(rig):
    guard = Guard(guard_limits(rig))
    ones = [readonly(np.full(4, value), np.float32) for value in (1e3, 200.0, 100.0)]
    allowed, _, _ = guard.allow(StimulationPattern(1, 1, *ones, np.arange(4, dtype=np.uint8) % 2), guard.initial(), 0.0)
    return allowed.amplitude_ua


def test_what_a_pulse_meets_is_resistance_and_polarisation(lab, hand_rig):
    assert measure_kohm(lab.session, hand_rig) == pytest.approx([MEETS_KOHM] * 4, rel=1e-3)
    ailing(lab, 1, 1, 3, 1)
    assert measure_kohm(lab.session, hand_rig)[2] == pytest.approx(3 * (MEETS_KOHM - 2) + 2, rel=1e-3)


def test_the_guard_then_lets_through_nine_tenths_of_what_the_voltage_drives(lab, hand_rig):
    rig = with_impedances(hand_rig, np.array([400.0, 40.0, 200.0, 40.0]))
    assert allowed_ua(rig)[[0, 2]] == pytest.approx([22.5, 45.0], abs=0.1)  # of 10 V


def test_a_good_array_is_summed_up_and_all_of_it_used(lab, hand_rig):
    checked = check_impedances(hand_rig, lab.session)
    assert checked.said == (("info", "impedance check: 4 electrodes, 11.9 to 11.9 kohm"),)
    assert checked.rig.calibration.enabled == (True,) * 4


def test_open_and_shorted_leads_are_switched_off_and_named(lab, hand_rig):
    ailing(lab, 1, 100, 0.01, 3)
    checked = check_impedances(hand_rig, lab.session)
    assert checked.rig.calibration.enabled == (True, False, False, True)
    assert [level for level, _ in checked.said] == ["info", "warning"]
    assert "electrodes 1, 2 not used" in checked.said[1][1]
    assert allowed_ua(checked.rig)[1:3].tolist() == [0, 0]


def test_what_the_voltage_cannot_make_visible_is_said(lab, hand_rig):
    # 10 V x 0.9 over 300 kohm are 30 uA: above the threshold of 20, below the maximum of 60; over 600 they are 15
    rig = with_impedances(hand_rig, np.array([100.0, 300.0, 600.0, 100.0]))
    ailing(lab, 10, 30.3, 61, 10)
    checked = check_impedances(rig, lab.session)
    assert "2 of them below their calibrated maximum" in checked.said[0][1]
    assert "electrodes 2 show nothing" in checked.said[1][1]


def test_an_implant_that_measures_nothing_leaves_the_calibration_as_it_is(hand_rig):
    class Mute:
        def command(self, command, body):
            return Reply(Refusal.TYPE, ImplantState.SILENT, 0, 0, "")

    checked = check_impedances(hand_rig, Mute())
    assert checked.rig is hand_rig
    assert "measures no impedances" in checked.said[0][1]


def test_a_driven_implant_is_not_measured(lab, hand_rig):
    lab.session.arm()
    lab.frame()
    with pytest.raises(LinkError, match="NOT_READY"):
        measure_kohm(lab.session, hand_rig)


def test_calibration_writes_each_electrodes_own(hand_rig):
    config = load_world(hand_rig.config.world, hand_rig.path.parent)
    scatter = config.scatter.model_copy(update={"impedance_sd": 0.5})
    clock = ManualClock(1_000_000_000)
    emulator, session = connect(hand_rig, config.model_copy(update={"scatter": scatter}), 3, clock)
    made = calibrate(hand_rig, session, emulator.participant, clock, Plan(recovery_s=1800.0), [1], seed=3)
    z = 10 * emulator.world.person.impedance
    assert np.ptp(z) > 2
    assert made.impedance_kohm == pytest.approx(np.sqrt(z**2 - (1e3 / (2 * np.pi * 100)) ** 2) + 2, rel=1e-3)


def test_what_the_guard_lets_through_the_implant_never_refuses(hand_rig):
    """Impedances that bind before any other limit: nine tenths of the voltage pass, all of it would not."""
    config = load_world(hand_rig.config.world, hand_rig.path.parent)
    scatter = config.scatter.model_copy(update={"impedance_sd": 0.5})
    array = hand_rig.array.model_copy(
        update={"contact": hand_rig.array.contact.model_copy(update={"impedance_kohm": 200.0})}
    )
    rig = with_impedances(replace(hand_rig, array=array), np.full(4, 200.0))
    clock = ManualClock(1_000_000_000)
    emulator, session = connect(rig, config.model_copy(update={"scatter": scatter}), 3, clock)
    most = allowed_ua(check_impedances(rig, session).rig)
    assert (most < 60).any()
    limits = emulator.implant._limits.compliance_na
    assert (most * 1000 <= limits).all()
    bound = most < 59
    assert (most[bound] * 1000 > 0.88 * limits[bound]).all()
