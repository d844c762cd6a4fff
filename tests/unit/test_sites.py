"""What a simulated array records: the world's activity in Hz, and with a population its own rates."""

from dataclasses import replace

import numpy as np
import pytest

from prosthesis.config import load_rig
from prosthesis.errors import ConfigError
from prosthesis.messages import Delivered, readonly
from prosthesis_sim.brain import frozen_brain
from prosthesis_sim.demo import open_reader
from prosthesis_sim.electrodes import place
from prosthesis_sim.patient import SitesConfig, load_world
from prosthesis_sim.sites import MAX_RATE_HZ, recording
from prosthesis_sim.world import World

RIG = load_rig("utah96", uncalibrated=True)
ARRAY = place(RIG.config.implant, RIG.array)


def driven(world, amplitude_ua, electrodes=slice(None)):
    amplitude = np.zeros(96)
    amplitude[electrodes] = amplitude_ua
    width, slot = readonly(np.full(96, 170), np.float32), readonly(np.zeros(96), np.uint8)
    pulses = readonly(np.where(amplitude > 0, 60, 0), np.int32)
    world.step(Delivered(1, 1, 0, 200_000_000, readonly(amplitude, np.float32), width, pulses, slot))
    return world


def test_without_a_population_every_site_does_a_hundred_hz_at_most():
    world = driven(World(load_world("human_v1"), ARRAY, 0), 60.0)
    rates = recording(world, ARRAY)()
    assert rates.max() > 20
    np.testing.assert_allclose(rates, MAX_RATE_HZ * world.activity())


def test_with_a_population_a_site_driven_alone_does_its_own_most_times_the_activity():
    world = driven(World(load_world("human_v1_sites"), ARRAY, 0), 60.0, [40])
    brain = frozen_brain("utah96", 0)
    rates = recording(world, ARRAY)()
    assert rates[40] == pytest.approx(world.activity()[40] * (brain.most_hz - brain.spontaneous_hz)[40])
    beside = [30, 39, 41, 50]
    assert 0 < rates[beside].max() < rates[40]  # neighbours are heard, more faintly
    assert not recording(World(load_world("human_v1_sites"), ARRAY, 0), ARRAY)().any()


def test_a_population_of_another_array_is_refused():
    config = load_world("human_v1").model_copy(update={"sites": SitesConfig(population="nhp1024")})
    with pytest.raises(ConfigError, match=r"'sites.population': 'nhp1024' has 1024 sites for 96 electrodes"):
        recording(World(config, ARRAY, 0), ARRAY)


def test_a_rig_without_a_code_map_has_no_way_back():
    with pytest.raises(ConfigError, match="key 'translator': has no code map"):
        open_reader(load_rig("utah96"))


def test_the_shipped_rigs_way_back_paints_what_it_reads():
    pytest.importorskip("prosthesis.codemap")
    rig = load_rig("utah96_latent")
    reader = open_reader(rig)
    code = reader.read(0.3 * reader.evoked_hz)
    picture = reader.paint(code)
    assert (picture.shape, picture.dtype) == ((32, 32, 3), np.uint8)
    assert np.isfinite(code).all()
    assert np.ptp(picture) > 10


def test_a_map_for_another_encoder_is_refused():
    pytest.importorskip("prosthesis.codemap")
    rig = load_rig("utah96_latent")
    encoder = rig.config.encoder.model_copy(update={"model": "edges-32"})
    with pytest.raises(ConfigError, match=r"was made for encoder 'bigbigan-scenes', not for 'edges-32'"):
        open_reader(replace(rig, config=rig.config.model_copy(update={"encoder": encoder})))
