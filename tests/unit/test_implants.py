"""Every shipped array against the published numbers, its family's module, and pulse2percept's positions."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from prosthesis.calibration.table import nominal_calibration
from prosthesis.config import ArrayConfig, ArrayPlacement, find, load_rig, names
from prosthesis.layout import contacts, raster_slots
from prosthesis.limits import guard_limits
from prosthesis.yamlfile import load_model
from prosthesis_sim.electrodes import grids, photovoltaic, threads
from prosthesis_sim.electrodes.write import SHIPPED, with_lists
from prosthesis_sim.limits import implant_limits

# least distance between contacts (um), extent between contact centres in x and y (um), contacts of each area (um2)
PUBLISHED = {
    "alpha_ams1600": (70, (2730, 2730), {707: 1600}),
    "alpha_ims1500": (72, (2736, 2736), {2500: 1500}),
    "argus1": (800, (2400, 2400), {49087: 8, 196350: 8}),
    "argus2": (575, (5175, 2875), {39761: 60}),
    "gennaris43": (1000, (6000, 6928), {38000: 43}),  # fits the published tile of 9 x 9 mm, else assumed
    "grid100": (500, (4500, 4500), {1963: 100}),
    "hex100": (500, (4750, 3897), {1963: 100}),
    "imie256": (300, (6300, 4550), {34636: 248, 20106: 8}),  # with the discs 6.51 x 4.76: published as 6.50 x 4.75 mm
    "orion60": (3000, (27300, 19282), {3141593: 60}),
    "prima378": (100, (1850, 1819), {616: 378}),  # on a chip of 2 x 2 mm
    "suprachoroidal33": (850, (3825, 4560), {282743: 30, 125664: 3}),
    "suprachoroidal44": (1136, (7920, 5550), {785398: 44}),
    "thread32": (50, (0, 0), {264: 32}),
    "utah64": (400, (2800, 2800), {4000: 64}),
    "utah96": (400, (3600, 3600), {4000: 96}),
    "wfma16": (400, (1039, 1600), {3000: 16}),
}


@pytest.fixture(params=names("implants"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def array(name: str) -> ArrayConfig:
    return load_model(ArrayConfig, find("implants", name))


def nearest_um(array: ArrayConfig) -> float:
    c = contacts(array)
    xyz = np.stack([c.x_um, c.y_um, array.depths_um], axis=1)
    # in rows of a few hundred, to be kind to memory
    least = [np.partition(np.linalg.norm(xyz - part[:, None], axis=2), 1, axis=1)[:, 1].min()
             for part in np.array_split(xyz, -(-len(xyz) // 200))]  # fmt: skip
    return float(min(least))


def test_an_array_has_its_published_count_pitch_extent_and_areas(name: str, array: ArrayConfig) -> None:
    pitch_um, extent_um, areas = PUBLISHED[name]
    c = contacts(array)
    assert len(c.x_um) == array.contacts == sum(areas.values())
    assert nearest_um(array) == pytest.approx(pitch_um, abs=0.5)
    assert (np.ptp(c.x_um), np.ptp(c.y_um)) == pytest.approx(extent_um, abs=1)
    assert Counter(array.areas_um2) == areas


def test_a_file_says_what_its_family_does(name: str, array: ArrayConfig) -> None:
    family = SHIPPED[name]()
    assert array.layout == family.layout
    assert (array.contact.area_um2, array.contact.depth_um) == (family.area_um2, family.depth_um)
    assert set(family.sources) <= set(array.sources)


def test_writing_the_lists_again_changes_nothing(name: str) -> None:
    text = find("implants", name).read_text()
    assert with_lists(text, SHIPPED[name]()) == text


def test_a_list_that_was_spoilt_is_written_as_the_family_has_it() -> None:
    text = find("implants", "wfma16").read_text()
    assert with_lists(text.replace("850, 650", "1, 1").replace("[173.2, 300]", "[0, 0]"), SHIPPED["wfma16"]()) == text


def test_a_rig_can_guard_and_raster_any_array(name: str, array: ArrayConfig) -> None:
    rig = load_rig("nhp1024", uncalibrated=True)
    one = rig.config.implant.model_copy(update={"placements": (ArrayPlacement(x_mm=10, y_mm=0),)})
    calibration = nominal_calibration("one", array.contacts, 100.0, array.contact.impedance_kohm)
    rig = replace(rig, array=array, calibration=calibration, config=rig.config.model_copy(update={"implant": one}))
    caps = [cap for cap in guard_limits(rig).caps if cap.tier == "hard"]
    device_fc = np.min([np.broadcast_to(cap.charge_nc, array.contacts) for cap in caps], axis=0) * 1e6
    assert ((device_fc >= 3e6) & np.isfinite(device_fc)).all()
    # charge per phase is a limit of its own in the implant
    charge_fc = np.minimum(implant_limits(rig).density_fc, implant_limits(rig).charge_fc)
    assert np.abs(charge_fc - device_fc).max() <= 1


def test_a_raster_shares_an_arrays_contacts_out_and_parts_neighbours(name: str, array: ArrayConfig) -> None:
    slot = raster_slots(array, 1, 8, "checkerboard")
    assert np.bincount(slot, minlength=8).max() <= 1.2 * -(-array.contacts // 8) + 1
    c = contacts(array)
    xyz = np.stack([c.x_um, c.y_um, array.depths_um], axis=1)
    together = min(
        np.partition(np.linalg.norm(of_slot - one, axis=1), 1)[1]
        for of_slot in (xyz[slot == s] for s in range(8))
        for one in of_slot
        if len(of_slot) > 1
    )
    assert together > 1.2 * PUBLISHED[name][0]


def test_a_threads_contacts_take_turns() -> None:
    array = load_model(ArrayConfig, find("implants", "thread32"))
    assert np.bincount(raster_slots(array, 1, 8, "checkerboard")).tolist() == [4] * 8


# class, its arguments, electrodes of it that are no contacts of ours, a quarter turn, a shift (um), the same order
ORACLES = {
    "alpha_ams1600": ("retina", "AlphaAMS", {}, (), 0, (0, 0), True),
    "alpha_ims1500": ("retina", "AlphaIMS", {}, (), 0, (0, 0), True),
    "argus1": ("retina", "ArgusI", {}, (), 0, (0, 0), True),
    "argus2": ("retina", "ArgusII", {}, (), 0, (0, 0), True),
    "imie256": ("retina", "IMIE", {}, (), 0, (0, 0), False),
    "orion60": ("cortex", "Orion", {}, (), 0, (0, 0), True),
    "prima378": ("retina", "PRIMAPivotal", {}, (), -1, (0, 0), False),
    "suprachoroidal33": ("retina", "Suprachoroidal24", {"eye": "right"}, ("R1", "R2"), 0, (0, 0), True),
    "suprachoroidal44": ("retina", "Suprachoroidal44", {"eye": "right"}, ("R1", "R2"), 0, (330, 0), True),
    "thread32": ("cortex", "LinearEdgeThread", {}, (), 0, (-12, 0), True),  # sites lie beside the thread's axis there
    "utah96": ("cortex", "NeuroPortArray", {}, (), 0, (0, 0), True),
    "wfma16": ("cortex", "ICVP", {}, ("R", "C"), 0, (0, 0), False),
}


@pytest.mark.parametrize("name", ORACLES)
def test_positions_sizes_and_depths_are_pulse2percepts_to_a_micrometre(name: str, array: ArrayConfig) -> None:
    """Up to what ``ORACLES`` says, and with y the other way up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        implants = pytest.importorskip(
            "pulse2percept.implants", reason="pulse2percept is not installed; pip install 'prosthesis[peers]'"
        )
        room, kind, arguments, left_out, turn, shift, same_order = ORACLES[name]
        theirs = getattr(getattr(implants, room), kind)(**arguments).electrodes
    kept = [electrode for label, electrode in theirs.items() if label not in left_out]
    x, y = np.array([e.x for e in kept]), -np.array([e.y for e in kept])
    if turn:
        x, y = -y * turn, x * turn
    depth = np.abs([e.z for e in kept])
    area = [e.side_length**2 if hasattr(e, "side_length") else np.pi * getattr(e, "radius", 0) ** 2 for e in kept]
    theirs_um = np.stack([x + shift[0], y + shift[1], depth, area], axis=1)
    c = contacts(array)
    # the tip is what is stimulated through; theirs is the shank's base, or an ellipsoid
    ours_area = np.array(array.areas_um2) if room == "retina" or name == "orion60" else np.array(area)
    ours_um = np.stack([c.x_um, c.y_um, array.depths_um, ours_area], axis=1)
    if not same_order:
        theirs_um, ours_um = (t[np.lexsort(np.round(t[:, :2], 0).T)] for t in (theirs_um, ours_um))
    assert np.abs(theirs_um - ours_um).max() < 1


def test_a_wfmas_electrodes_carry_their_published_numbers() -> None:
    """1 to 4 go up a column from 900 um below; 16 is the last of the column that begins with the counter electrode."""
    c = contacts(load_model(ArrayConfig, find("implants", "wfma16")))
    assert (c.x_um[0], c.y_um[0]) == (-519.6, -900)
    assert (c.x_um[15], c.y_um[15]) == (519.6, 500)


@pytest.mark.parametrize(("radius", "count"), [(0, 1), (1, 7), (3**0.5, 13), (2, 19), (3, 37), (12**0.5, 43), (4, 61)])
def test_a_hexagonal_lattice_has_its_known_counts_within_a_circle(radius: float, count: int) -> None:
    assert len(grids.hexagonal_within(radius * 75, 75)) == count


def test_a_chips_pixels_lie_whole_within_it() -> None:
    geometry = photovoltaic.chip(pixel_um=55, electrode_um=14, chip_um=1000)
    reach = max(np.hypot(x, y) for x, y in geometry.layout.xy_um)
    assert reach + 27.5 <= 500
    assert geometry.area_um2 == 154


def test_a_thread_can_be_shorter_sparser_and_deeper() -> None:
    assert threads.thread(contacts=3, spacing_um=100, first_um=500).depth_um == (500, 600, 700)
