from __future__ import annotations

import subprocess
import sys
import time

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


@pytest.mark.slow
def test_a_person_at_the_keyboard_who_takes_their_time_is_stimulated(sim, port, tmp_path, taps):
    sim()
    pulses = taps("delivered")
    command = [sys.executable, "-m", "prosthesis", "calibrate", HAND, "--electrodes", "3", "--participant", "keyboard"]
    command += ["--link", f"127.0.0.1:{port}", "--out", str(tmp_path / "patient.yaml")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Enter to look, then no: what is never seen is asked for again, with more current, until the most
    for line in ("", "n") * 2:
        time.sleep(2.0)
        child.stdin.write(f"{line}\n")
        child.stdin.flush()
    time.sleep(2.0)
    _, said = child.communicate(timeout=10)
    assert child.returncode == 1
    assert "standard input ended before the calibration did and nothing was saved" in said
    assert "Traceback" not in said
    assert not (tmp_path / "patient.yaml").exists()
    driven = [message for message in pulses.of("delivered") if message.pulses[3]]
    # half of the most that full scale allows, then 1.6 times that
    assert {round(float(message.amplitude_ua[3])) for message in driven} == {50, 80}
