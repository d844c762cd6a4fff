from __future__ import annotations

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis.messages import Delivered
from prosthesis_sim.brain import SiteResponse, evoked_hz
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import load_world
from prosthesis_sim.world import World

N = 96


def site_response(world="human_v1", dropout=0.0, interaction=0.0):
    rig = load_rig("utah96", uncalibrated=True)
    config = load_world(world)
    config = config.model_copy(
        update={
            "scatter": config.scatter.model_copy(update={"dropout": dropout}),
            "interaction": config.interaction.model_copy(update={"strength": interaction}),
        }
    )
    array = place(rig.config.implant, rig.array)
    response = SiteResponse(World(config, array, 0), array, np.full(N, 4.0), np.linspace(40, 80, N))
    return response, np.hypot(array.u_mm - array.u_mm[45], array.v_mm - array.v_mm[45])


def delivered(amplitude_ua, dt_s=0.166):
    amplitude = np.broadcast_to(np.asarray(amplitude_ua, np.float32), N).copy()
    pulses = np.where(amplitude > 0, round(300 * dt_s), 0).astype(np.int32)
    return Delivered(1, 1, 0, round(dt_s * 1e9), amplitude, np.full(N, 170, np.float32), pulses, np.zeros(N, np.uint8))


def only(electrode, amplitude_ua):
    amplitude = np.zeros(N)
    amplitude[electrode] = amplitude_ua
    return delivered(amplitude)


def test_below_the_rheobase_no_site_says_anything():
    response, _ = site_response()
    weakest = 0.49 * response.world.person.scale_ua
    assert np.array_equal(response.step(delivered(weakest)), response.spontaneous_hz)


def test_alone_a_site_answers_with_the_worlds_activity():
    response, _ = site_response()
    rates = response.step(only(45, 50.0))
    own = response.world.activity()[45]
    assert 0 < own < 1
    assert rates[45] == pytest.approx(4 + own * (response.most_hz[45] - 4))


def test_more_current_never_evokes_less_and_never_more_than_the_most():
    rates = np.stack([site_response()[0].step(delivered(i)) for i in (0, 30, 60, 90, 150, 400)])
    assert (np.diff(rates, axis=0) >= -1e-9).all()
    assert (rates <= np.linspace(40, 80, N) + 1e-9).all()
    assert rates[-1].mean() > 0.95 * np.linspace(40, 80, N).mean()


def test_neighbours_hear_a_current_by_the_spread_less_the_farther_they_are():
    response, distance = site_response()
    response.step(only(45, 120.0))
    own = response.world.activity()[45]
    sigma = 0.5 * np.sqrt(120 / 675)  # Tehovnik et al. 2006
    assert response.activity() == pytest.approx(own * np.exp(-(distance**2) / (2 * sigma**2)), abs=1e-6)
    near = np.unique(distance.round(3))[:3]
    heard = [response.activity()[np.isclose(distance, d, atol=1e-3)].mean() for d in near]
    assert heard[0] > heard[1] > heard[2] > 0


def test_dead_sites_stay_spontaneous_whatever_is_done_to_them_and_around_them():
    response, _ = site_response(dropout=0.3)
    dead = ~response.world.person.responsive
    assert dead.any()
    rates = response.step(delivered(300))
    assert np.array_equal(rates[dead], response.spontaneous_hz[dead])
    assert (rates[~dead] > 4).all()


def test_activity_fades_with_the_tissues_time_constant_when_stimulation_stops():
    response, _ = site_response()
    lit = evoked_hz(response, only(45, 50.0))[45]
    later = evoked_hz(response, delivered(0, 0.05))[45]
    assert later == pytest.approx(lit * np.exp(-0.05 / response.world.law.tau_act_s), rel=1e-4)


def test_a_habituating_patient_answers_less_each_time_and_another_does_not():
    for world, falls in (("human_v1_habituating", True), ("human_v1", False)):
        response, _ = site_response(world)
        first = evoked_hz(response, only(45, 60.0))[45]
        for _ in range(20):
            response.step(delivered(0, 3.8))
            last = evoked_hz(response, only(45, 60.0))[45]
        assert bool(last < 0.97 * first) is falls


def test_a_brain_of_another_array_or_of_the_retina_is_refused():
    rig = load_rig("argus60", uncalibrated=True)
    array = place(rig.config.implant, rig.array)
    with pytest.raises(ConfigError, match="cortex"):
        SiteResponse(World(load_world(rig.config.world), array, 0), array, np.zeros(60), np.ones(60))
    response, _ = site_response()
    rig = load_rig("utah96", uncalibrated=True)
    with pytest.raises(ConfigError, match="95 sites"):
        SiteResponse(response.world, place(rig.config.implant, rig.array), np.zeros(95), np.ones(95))
