from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prosthesis_sim.retinotopy import LinearRetina, WedgeDipole

MAPS = st.one_of(
    st.builds(
        WedgeDipole,
        st.floats(3, 25),
        st.floats(0.2, 2),
        st.one_of(st.just(float("inf")), st.floats(60, 200)),
        st.floats(0.5, 1.0),
    ),
    st.just(LinearRetina(0.28)),
)


@given(MAPS, st.floats(0, 85), st.floats(-1.5707, 1.5707), st.sampled_from(["left", "right"]))
def test_every_place_in_the_half_field_comes_back_to_a_billionth_of_a_degree(mapping, r, angle, hemisphere):
    side = 1 if hemisphere == "left" else -1
    x, y = np.array([side * r * np.cos(angle)]), np.array([r * np.sin(angle)])
    back_x, back_y = mapping.to_field(*mapping.to_tissue(x, y, hemisphere), hemisphere)
    assert abs(back_x[0] - x[0]) < 1e-9
    assert abs(back_y[0] - y[0]) < 1e-9
    if isinstance(mapping, WedgeDipole) and r > 1e-6:
        assert mapping.inside(*mapping.to_tissue(x, y, hemisphere))[0]
