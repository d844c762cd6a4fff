"""The quoted figures of docs/results/human_retina.md, from the points that ship with pulse2percept."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from prosthesis.errors import ProsthesisError

pytest.importorskip("scipy", reason="needs the [train] extra")
from prosthesis_sim.patient import load_world
from prosthesis_train.studies import human_retina, published_retina


def test_without_pulse2percept_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pulse2percept.datasets", None)
    with pytest.raises(ProsthesisError, match=r"prosthesis\[peers\]"):
        published_retina.horsager()


def test_the_law_that_is_judged_is_that_of_the_shipped_world():
    law, shipped = human_retina.ARGUS, load_world("retina_argus").tissue.build()
    for name in ("rheobase", "chronaxie_us", "exponent", "width_power", "tau_act_s", "reference"):
        assert getattr(law, name) == getattr(shipped, name)


@pytest.mark.filterwarnings("ignore")
def test_weiss_and_a_power_predict_thresholds_of_electrodes_held_out_better_than_charge_does():
    pytest.importorskip("pulse2percept", reason="needs the [peers] extra")
    data = published_retina.horsager()
    assert len(data.threshold_ua) == 400
    _, weiss = human_retina.leave_out("Weiss and a power", data, data.electrode)
    _, charge = human_retina.leave_out("charge", data, data.electrode)
    assert np.median(np.abs(weiss)) < 0.05
    assert np.median(np.abs(weiss)) < 0.6 * np.median(np.abs(charge))


@pytest.mark.filterwarnings("ignore")
def test_granley_as_shipped_predicts_size_and_less_well_brightness():
    pytest.importorskip("pulse2percept", reason="needs the [peers] extra")
    bright, size = published_retina.nanduri()
    assert human_retina.r2(size["size"].to_numpy(float), human_retina.granley(size)[1]) > 0.7
    assert 0.3 < human_retina.r2(bright.brightness.to_numpy(float), 10 * human_retina.granley(bright)[0]) < 0.4
