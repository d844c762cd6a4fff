"""What can be chosen for a rig, where its electrodes are drawn, and what a console may not do; no processes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import HAND

from prosthesis.config import load_rig, names
from prosthesis.errors import ConfigError
from prosthesis.layout import places_mm
from prosthesis.view import make_view
from prosthesis_sim.console.geometry import describe, describe_unknown
from prosthesis_sim.console.setup import OWN, Setup, at_hand, first_setup, menu
from prosthesis_sim.console.side import Side
from prosthesis_sim.console.steering import Steering
from prosthesis_sim.patient import CortexMap, load_world


def test_a_rigs_menu_is_what_is_shipped_and_fits():
    found = menu(load_rig("utah96"))
    assert found.rigs == tuple(names("rigs"))
    assert found.tasks[0] == OWN
    assert {"obstacle", "text", "face"} <= set(found.tasks)
    assert {"luminance-32", "edges-64"} <= set(found.encoders)
    assert "objects" not in found.encoders  # a model, but not one that makes a map of a picture
    assert found.worlds[0] == "human_v1"
    assert all(isinstance(load_world(world).retinotopy, CortexMap) for world in found.worlds)


@pytest.mark.parametrize("name", ["prima378", "argus60"])
def test_patients_offered_have_the_tissue_that_the_array_is_for(name):
    rig = load_rig(name, uncalibrated=True)
    own = type(load_world(rig.config.world).retinotopy)
    assert {type(load_world(world).retinotopy) for world in menu(rig).worlds} == {own}


def test_a_rig_with_a_code_map_keeps_its_encoder():
    rig = load_rig("utah96_latent")
    found = menu(rig)
    assert found.tasks == (OWN,)
    assert len(found.encoders) == 1
    assert at_hand(rig, found.encoders[0]) == found.encoders


def test_the_task_in_force_is_loaded_first_and_none_twice():
    loaded = at_hand(load_rig("utah96"), "edges-32")
    assert loaded[0] == "edges-32"
    assert len(set(loaded)) == len(loaded)
    assert first_setup("utah96").task in loaded


@pytest.mark.parametrize("name", ["utah96", "argus60", "icvp400"])
def test_electrodes_are_drawn_where_rig_and_calibration_have_them(name):
    rig = load_rig(name)
    known = describe(rig, rig.config.world)
    u, v = places_mm(rig.array, rig.config.implant.placements)
    assert np.allclose(known["u"], u, atol=6e-4)
    assert np.allclose(known["v"], v, atol=6e-4)
    assert np.allclose(known["x"], rig.calibration.x_deg, atol=6e-4)
    assert known["enabled"] == [int(on) for on in rig.calibration.enabled]
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    assert known["crop"] == list(view.crop)
    json.dumps(known, allow_nan=False)


def test_lines_on_the_tissue_are_the_worlds_own_map():
    rig = load_rig("utah96")
    known = describe(rig, "human_v1")
    ring = next(line for line in known["lines"] if line["label"] == "4°")
    x, y = load_world("human_v1").retinotopy.build().to_field(np.array(ring["u"]), np.array(ring["v"]), "left")
    assert np.allclose(np.hypot(x, y), 4.0, rtol=0.02)


def test_electrodes_of_an_unknown_rig_stand_in_rows():
    known = describe_unknown(5, "gone")
    assert (known["u"], known["v"]) == ([0.5, 1.5, 2.5, 0.5, 1.5], [2.5, 2.5, 2.5, 1.5, 1.5])
    json.dumps(known, allow_nan=False)


class NoWay:
    """A STOP process that is only asked."""

    def __init__(self):
        self.pressed = 0
        self.aimed = []

    def press(self):
        self.pressed += 1
        return True

    def aim(self, implants):
        self.aimed = list(implants)

    def relent(self):
        pass

    def tend(self):
        pass

    def close(self):
        pass


@pytest.fixture
def watching(tmp_path):
    from prosthesis.processes import free_port
    from prosthesis_sim.console.children import Address

    side = Side("a", Setup(HAND, "luminance-32"), Address("127.0.0.1", free_port()), ours=False)
    way = NoWay()
    steering = Steering(side, way, tmp_path)
    yield steering, way
    steering.close()


def test_a_console_that_only_watches_stops_and_steers_nothing(watching):
    steering, way = watching
    assert steering.stop() == "STOP sent"
    assert way.pressed == 1
    assert way.aimed == [steering.sides["a"].implant]
    verbs = [
        lambda: steering.choose_task("edges-32"),
        lambda: steering.choose_patient(None, 3),
        lambda: steering.choose_rig("argus60"),
        lambda: steering.choose_link("loopback"),
        lambda: steering.inject("open electrodes=1"),
        lambda: steering.set_tone(0.1, 1.0),
        lambda: steering.compare("task edges-32"),
        steering.arm,
    ]
    for verb in verbs:
        with pytest.raises(ConfigError, match="only watches"):
            verb()


def test_recording_needs_nobody_to_steer(watching):
    steering, _ = watching
    assert "recording to" in steering.record(True)
    path = steering.recording
    assert steering.status()["recording"] == path.name
    assert steering.record(True) == "as it was"
    steering.record(False)
    assert path.stat().st_size > 0
