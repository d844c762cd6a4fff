from __future__ import annotations

import pytest
from helpers import HAND

from prosthesis.assembly import calibrate_rig


@pytest.mark.slow
def test_one_electrode_measured_in_real_time_through_the_sockets_is_the_closed_form(sim, port):
    sim()
    calibration = calibrate_rig(HAND, [3], host="127.0.0.1", port=port)
    # A = (I - 20) x 0.02 x 0.1 s x (1 - exp(-1.67)) reaches 0.01 at 26.2 uA; the finest step is 12 %
    assert calibration.threshold_ua[3] == pytest.approx(26.2, rel=0.07)
    assert (calibration.x_deg[3], calibration.y_deg[3]) == pytest.approx((5, -1))
    assert calibration.enabled == (False, False, False, True)
