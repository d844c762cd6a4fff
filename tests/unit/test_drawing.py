from __future__ import annotations

import numpy as np
import pytest

from prosthesis.config import ArrayConfig, find, load_rig
from prosthesis.errors import ProsthesisError
from prosthesis.layout import contacts
from prosthesis.yamlfile import load_model
from prosthesis_sim import drawing
from prosthesis_sim.coverage import coverage
from prosthesis_sim.electrodes import place
from prosthesis_sim.retinotopy import LinearRetina, WedgeDipole

V1 = WedgeDipole(17.3, 0.75, 120.0)


@pytest.fixture(autouse=True)
def needs_matplotlib(request):
    if "without" not in request.node.name:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed; pip install 'prosthesis[sim]'")


def saved(figure, tmp_path):
    figure.savefig(tmp_path / "drawing.png", dpi=50)
    return [text for text in words(figure) if text]


def words(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def draw(name):
    array = load_model(ArrayConfig, find("implants", name))
    c = contacts(array)
    return drawing.draw_array(c.x_um, c.y_um, np.array(array.areas_um2), np.array(array.depths_um), array.name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("argus1", "16 contacts of 250 to 500 um across (as discs of equal area), 0 um deep"),
        ("wfma16", "16 contacts of 62 um across (as discs of equal area), 650 to 850 um deep"),
        ("thread32", "32 contacts of 18 um across (as discs of equal area), 0 to 1550 um deep"),
    ],
)
def test_an_array_is_drawn_to_scale_with_its_numbers(name, words, tmp_path):
    figure = draw(name)
    said = saved(figure, tmp_path)
    assert words in said
    assert {"simulation, not a medical device", "x (mm)", "0", "15"} <= set(said)
    assert figure.axes[0].get_aspect() == 1


def test_of_many_contacts_only_some_are_numbered(tmp_path):
    said = saved(draw("alpha_ams1600"), tmp_path)
    assert "1" not in said
    assert {"0", "13", "26"} <= set(said)


def test_the_tissue_shows_lines_of_the_field_and_tells_electrodes_outside_the_map_apart(tmp_path):
    u, v = np.array([5.0, 20.0, -1.0]), np.zeros(3)
    figure = drawing.draw_on_tissue(
        u, v, np.asarray(V1.inside(u, v)), lambda x, y: V1.to_tissue(x, y, "left"), "one", "right"
    )
    said = saved(figure, tmp_path)
    assert {"2 in the map", "1 outside the map: no phosphene", "2°", "+45° angle"} <= set(said)


def test_a_retinas_lines_go_all_the_way_round(tmp_path):
    retina = LinearRetina(0.28)
    u = np.array([-1.0, 0.0, 1.0])
    figure = drawing.draw_on_tissue(u, u, np.ones(3, bool), lambda x, y: retina.to_tissue(x, y), "eye", "both")
    assert "+135° angle" in saved(figure, tmp_path)
    rings = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert all(min(line.get_xdata()) < 0 < max(line.get_xdata()) for line in rings)


def test_a_phosphene_map_has_rings_and_says_how_many_are_missing(tmp_path):
    rig = load_rig("icvp400", uncalibrated=True)
    found = coverage(place(rig.config.implant, rig.array), V1, 10, 0.2)
    x = found.x_deg.copy()
    x[:2] = np.nan
    works = np.isfinite(x)
    works[5] = False
    said = saved(drawing.draw_phosphenes(x, found.y_deg, found.radius_deg, works, "ICVP"), tmp_path)
    lost = int((~np.isfinite(x)).sum())
    assert f"{lost} of 400 electrodes have no place in the visual field" in said
    assert {"0.5°", "1°", "2°", "5°"} <= set(said)
    assert any("1 evoke nothing" in text for text in said)


def test_an_empty_map_can_still_be_drawn(tmp_path):
    none = np.full(3, np.nan)
    said = saved(drawing.draw_phosphenes(none, none, none, np.zeros(3, bool), "nothing"), tmp_path)
    assert "3 of 3 electrodes have no place in the visual field" in said


def test_without_matplotlib_the_install_line_is_given(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(ProsthesisError, match=r"pip install 'prosthesis\[sim\]'"):
        drawing.draw_phosphenes(np.zeros(1), np.zeros(1), np.ones(1), np.ones(1, bool), "one")
