from __future__ import annotations

import numpy as np
import pytest

from prosthesis_sim.granley import SMALLEST_UM, Granley

EFFECT = Granley(rho_um=300.0, lambda_um=500.0)


def at(amplitude, width_us, rate_hz):
    return tuple(float(part[0]) for part in EFFECT(*(np.array([float(v)]) for v in (amplitude, width_us, rate_hz))))


def test_twice_threshold_at_20_hz_and_450_us_by_hand():
    bright, rho, decay = at(2, 450, 20)
    charge = 2 * (0.054326 + 2.095 * 0.45)
    assert bright == pytest.approx(0.1492147 * charge + 0.0163851 * 20)
    assert rho == pytest.approx(300 * np.sqrt(1.0812 * charge - 0.35338))
    assert decay == pytest.approx(500 * np.sqrt(1.56 - 0.54 * 0.45**0.21))


def test_amplitude_grows_and_brightens_rate_brightens_only_and_long_pulses_shorten_the_streak():
    bright, rho, decay = at(2, 450, 20)
    more, faster, longer = at(3, 450, 20), at(2, 450, 40), at(2, 2000, 20)
    assert (more[0] > bright, more[1] > rho, more[2] == decay) == (True, True, True)
    assert (faster[0] > bright, faster[1] == rho, faster[2] == decay) == (True, True, True)
    assert (longer[0] > bright, longer[1] > rho, longer[2] < decay) == (True, True, True)


@pytest.mark.parametrize("silent", [(0, 450, 20), (2, 0, 20), (2, 450, 0)])
def test_without_pulses_there_is_no_light(silent):
    assert at(*silent)[0] == 0


def test_neither_weak_nor_long_pulses_leave_a_phosphene_without_a_size():
    assert at(0.3, 450, 20)[1] == pytest.approx(SMALLEST_UM)
    # F_streak meets 0 at (1.56 / 0.54)^(1 / 0.21) = 156 ms
    assert at(2, 150_000, 2)[2] > SMALLEST_UM
    assert at(2, 160_000, 2)[2] == pytest.approx(SMALLEST_UM)
    assert np.isfinite(at(2, 1e6, 0.4)).all()
