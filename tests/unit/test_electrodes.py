from __future__ import annotations

import numpy as np
import pytest

from prosthesis.config import ArrayConfig, ArrayPlacement, Contact, GridLayout, ImplantChoice, Limits, PointsLayout
from prosthesis_sim.electrodes import place

CONTACT = Contact(scale="micro", material="none", area_um2=1, depth_um=0, impedance_kohm=1)


def placed(layout, *placements):
    array = ArrayConfig(name="a", summary="", sources=(), layout=layout, contact=CONTACT, limits=Limits())
    return place(ImplantChoice(array="a", hemisphere="left", placements=placements), array)


def places(array):
    return np.round(np.stack([array.u_mm, array.v_mm], axis=1), 9).tolist()


def test_a_grid_is_numbered_row_by_row_from_the_upper_left_around_its_centre():
    array = placed(GridLayout(type="grid", rows=2, columns=3, pitch_um=(1000, 2000)), ArrayPlacement(x_mm=10, y_mm=5))
    assert places(array) == [[9, 6], [10, 6], [11, 6], [9, 4], [10, 4], [11, 4]]


def test_omitted_places_carry_no_electrode_and_take_no_number():
    layout = GridLayout(type="grid", rows=2, columns=2, pitch_um=(1000, 1000), omit=(1,))
    assert places(placed(layout, ArrayPlacement(x_mm=0, y_mm=0))) == [[-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]]


def test_every_other_row_is_shifted_by_the_stagger():
    layout = GridLayout(type="grid", rows=3, columns=1, pitch_um=(400, 346), stagger_um=200)
    u = placed(layout, ArrayPlacement(x_mm=0, y_mm=0)).u_mm
    assert u - u[0] == pytest.approx([0, 0.2, 0])


def test_arrays_follow_each_other_as_placed_each_turned_about_its_own_centre():
    layout = PointsLayout(type="points", xy_um=((1000, 0), (0, 2000)))
    array = placed(
        layout,
        ArrayPlacement(x_mm=10, y_mm=0),
        ArrayPlacement(x_mm=20, y_mm=1, rotation_deg=90),
        ArrayPlacement(x_mm=0, y_mm=0),
    )
    assert places(array) == [[11, 0], [10, 2], [20, 2], [18, 1], [1, 0], [0, 2]]
    assert array.placement.tolist() == [0, 0, 1, 1, 2, 2]
    assert array.hemisphere == "left"


def test_depth_is_the_contacts_own_unless_a_placement_says_how_deep_its_shallowest_lies():
    contact = Contact(scale="micro", material="none", area_um2=1, depth_um=(500, 850, 650), impedance_kohm=1)
    layout = PointsLayout(type="points", xy_um=((0, 0), (0, 0), (400, 0)))
    array = ArrayConfig(name="a", summary="", sources=(), layout=layout, contact=contact, limits=Limits())
    at = [ArrayPlacement(x_mm=0, y_mm=0), ArrayPlacement(x_mm=9, y_mm=0, depth_mm=2)]
    deep = place(ImplantChoice(array="a", hemisphere="left", placements=at), array).depth_mm
    assert deep == pytest.approx([0.5, 0.85, 0.65, 2.0, 2.35, 2.15])
