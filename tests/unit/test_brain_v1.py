from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from prosthesis.errors import ConfigError
from prosthesis_sim.brain import frozen_brain, patient_of
from prosthesis_sim.brain.frozen import NAMES
from prosthesis_sim.brain.gabor import Units, energies, filter_bank
from prosthesis_sim.brain.pictures import dead_leaves
from prosthesis_sim.brain.population import grow
from prosthesis_sim.brain.published import (
    FREQUENCY_CELLS,
    FREQUENCY_CPD,
    WIDTH_CELLS,
    WIDTH_CYCLES,
    draw_orientations,
    draw_tuning,
)

BRAINS: dict[tuple[str, int], object] = {}
DIGESTS = {
    ("tuned600", 0): "1b57f443c5f07a38",
    ("tuned600", 1): "eaffecc3d9b12fff",
    ("tuned600", 2): "8a8ca5f3feac4dac",
    ("utah96", 0): "cf3ca347ccc52182",
    ("utah96", 1): "9dd1d86706342087",
    ("utah96", 2): "3eb63312cbc7a575",
    ("nhp1024", 0): "a89cbab838fbb807",
    ("nhp1024", 1): "40f8528195d9c966",
    ("nhp1024", 2): "fff00d25a3fe195e",
    ("it", 0): "c3845a70f946c7c0",
    ("it", 1): "6c0ae7250e17c763",
    ("it", 2): "44ced5175eb88368",
}
RATES = {
    "tuned600": 11.433433,
    "utah96": 18.986512,
    "nhp1024": 13.916808,
    "it": 4.381128,
}  # means in Hz, to notice code that changes


def brain(name, seed=0):
    if (name, seed) not in BRAINS:
        BRAINS[name, seed] = frozen_brain(name, seed)
    return BRAINS[name, seed]


def grating(frequency, orientation, phase=0.0, contrast=0.5, side=32):
    """``frequency`` in cycles per picture; stripes vary along ``orientation``."""
    axis = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(axis, 1 - axis)
    along = x * np.cos(orientation) + y * np.sin(orientation)
    return (0.5 + 0.5 * contrast * np.cos(2 * np.pi * frequency * along + phase)).astype(np.float32)


def unit(complex_=True, frequency=6.0, orientation=0.3, width=0.12):
    one = np.ones(1)
    return Units(0.5 * one, 0.5 * one, frequency * one, orientation * one, 0 * one, width * one, width * one,
                 np.array([complex_]))  # fmt: skip


def answer(units, image):
    return energies(filter_bank(units, 32), units.complex_, (image - image.mean()).reshape(1, -1))[0, 0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_frozen_brains_never_change(name, seed):
    assert brain(name, seed).digest[:16] == DIGESTS[name, seed]


@pytest.mark.parametrize(("name", "rate"), RATES.items())
def test_nor_do_their_answers(name, rate):
    images = dead_leaves(20, 32, np.random.default_rng(3))
    assert brain(name).rates_hz(images).mean() == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_rates_lie_between_spontaneous_and_most_and_a_blank_evokes_nothing(name):
    b, images = brain(name), dead_leaves(30, 32, np.random.default_rng(1))
    rates = b.rates_hz(images)
    assert rates.shape == (30, b.n)
    assert (rates >= b.spontaneous_hz - 1e-9).all()
    assert (rates <= b.most_hz + 1e-9).all()
    assert (rates[:, b.active].std(axis=0) > 0).mean() > 0.99
    if name != "it":
        assert b.rates_hz(np.full((1, 32, 32), 0.7, np.float32))[0] == pytest.approx(b.spontaneous_hz, abs=1e-3)


def test_a_block_of_images_answers_as_they_do_one_by_one():
    images = dead_leaves(515, 32, np.random.default_rng(2))
    b = brain("utah96")
    assert b.rates_hz(images)[510:] == pytest.approx(b.rates_hz(images[510:]), rel=1e-4)


def test_tuning_follows_the_published_tables():
    random = np.random.default_rng(0)
    tuning = draw_tuning(random, np.ones(8000), 1e9)
    found = np.histogram(tuning.frequency_cpd, FREQUENCY_CPD)[0] / 8000
    assert found == pytest.approx(FREQUENCY_CELLS / FREQUENCY_CELLS.sum(), abs=0.02)
    joint = np.histogram2d(tuning.across_cycles, tuning.along_cycles, [WIDTH_CYCLES, WIDTH_CYCLES])[0] / 8000
    assert joint == pytest.approx(WIDTH_CELLS / WIDTH_CELLS.sum(), abs=0.02)
    assert tuning.share_beyond == 0
    turned = np.rad2deg(draw_orientations(random, 8000))
    assert (turned > -22.5).all()
    assert (turned < 157.5).all()


def test_a_unit_too_fine_for_the_pixels_is_drawn_again_and_counted():
    tuning = draw_tuning(np.random.default_rng(0), np.ones(4000), 5.6)
    assert tuning.share_beyond == pytest.approx(12 / 139)
    assert tuning.frequency_cpd.max() <= 5.6 + 1e-9
    found = np.histogram(tuning.frequency_cpd, FREQUENCY_CPD[:-1])[0] / 4000
    assert found == pytest.approx(FREQUENCY_CELLS[:-1] / 127, abs=0.025)


def test_frequency_and_width_rise_together():
    tuning = draw_tuning(np.random.default_rng(0), np.ones(4000), 1e9)
    rank = [np.argsort(np.argsort(v)) for v in (tuning.frequency_cpd, tuning.across_cycles)]
    # Spearman's rho of a Gaussian copula: 6 / pi asin(r / 2)
    assert np.corrcoef(*rank)[0, 1] == pytest.approx(6 / np.pi * np.arcsin(0.75 / 2), abs=0.03)


def test_a_unit_prefers_its_own_orientation_and_frequency():
    turned = [answer(unit(), grating(6, 0.3 + d)) for d in (-0.6, -0.2, 0.0, 0.2, 0.6)]
    assert np.argmax(turned) == 2
    scaled = [answer(unit(), grating(f, 0.3)) for f in (2, 4, 6, 8, 10)]
    assert np.argmax(scaled) == 2


def test_complex_cells_ignore_phase_and_simple_ones_do_not():
    phases = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    whole = [answer(unit(True), grating(6, 0.3, p)) for p in phases]
    simple = [answer(unit(False), grating(6, 0.3, p)) for p in phases]
    assert np.ptp(whole) < 0.05 * np.mean(whole)
    assert min(simple) == 0
    assert max(simple) > 1.3 * np.mean(whole)


def test_tuning_keeps_its_shape_when_contrast_changes():
    """Carandini & Heeger 2012: answers divide by a pool that is the same for every orientation."""
    n, one = 24, np.ones(24)
    angle = np.pi * np.arange(n) / n
    units = Units(0.5 * one, 0.5 * one, 6 * one, angle, 0 * one, 0.12 * one, 0.12 * one, np.ones(n, bool))
    ring = grow(units, 0.5 * one, 0.5 * one, 1, 2.0, 0.0, (0 * one, 50 * one), np.ones(n, bool))
    low, high = (ring.drive(grating(6, 0.0, contrast=c)[None])[0] for c in (0.1, 0.8))
    assert high / high.max() == pytest.approx(low / low.max(), abs=1e-3)
    assert 1 < high.max() / low.max() < 20, "the answer saturates: 64 times the energy, far less rate"


def test_electrodes_record_at_their_patients_phosphenes_and_none_outside_the_map():
    b, world = brain("nhp1024", 1), patient_of("nhp1024", 1)
    assert np.array_equal(b.active, world.person.inside)
    at = np.flatnonzero(b.active)
    assert np.corrcoef(b.x[at], world.person.x_deg[at])[0, 1] == pytest.approx(1)
    assert np.diff(b.x[at[:2]]) * b.field_deg == pytest.approx(np.diff(world.person.x_deg[at[:2]]))
    images = dead_leaves(5, 32, np.random.default_rng(1))
    assert b.rates_hz(images)[:, ~b.active] == pytest.approx(np.tile(b.spontaneous_hz[~b.active], (5, 1)))


def test_light_near_a_site_drives_it_more_than_light_far_away():
    b = brain("tuned600")
    leaves = dead_leaves(1, 32, np.random.default_rng(4))[0, :16]
    image = np.full((2, 32, 32), 0.5, np.float32)
    image[0, :16] = image[1, 16:] = leaves - leaves.mean() + 0.5
    top, bottom = b.drive(image)
    assert top[b.y > 0.75].mean() > 3 * bottom[b.y > 0.75].mean(), "row 0 is the top of the field"
    assert bottom[b.y < 0.25].mean() > 3 * top[b.y < 0.25].mean()


def test_it_minds_a_shift_less_than_v1_does():
    images = dead_leaves(200, 36, np.random.default_rng(5))
    kept = {}
    for name in ("tuned600", "it"):
        a, c = (brain(name).rates_hz(part) for part in (images[:, :32, :32], images[:, 4:, 4:]))
        a, c = a - a.mean(axis=0), c - c.mean(axis=0)
        kept[name] = (a * c).sum() / np.sqrt((a**2).sum() * (c**2).sum())
    assert kept["it"] > kept["tuned600"] + 0.2, kept


def test_wrong_names_and_sizes_say_what_is_wanted():
    with pytest.raises(ConfigError, match="tuned600"):
        frozen_brain("v9", 0)
    with pytest.raises(ValueError, match="32, 32"):
        brain("utah96").rates_hz(np.zeros((1, 28, 28), np.float32))
    assert dataclasses.is_dataclass(brain("it"))
