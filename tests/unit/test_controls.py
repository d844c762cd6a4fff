"""The study of the random-code control, in small."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the desk's studies need prosthesis[train]")
pytest.importorskip("sklearn", reason="the desk's studies need prosthesis[train]")
pytest.importorskip("onnxruntime", reason="shipped models run in it")

from sklearn.linear_model import RidgeCV  # noqa: E402

from prosthesis_sim.brain import frozen_brain  # noqa: E402
from prosthesis_train.artefacts import load_artefact  # noqa: E402
from prosthesis_train.scores.features import averages  # noqa: E402
from prosthesis_train.studies.braincodes import controls  # noqa: E402

torch.set_num_threads(1)


def test_the_study_finds_a_reader_and_no_information_in_its_controls():
    model, rng = load_artefact("bigbigan-fashion").model(), np.random.default_rng(0)
    made = model.generate(torch.from_numpy(rng.normal(size=(700, model.dim_z)).astype(np.float32)))
    pictures = controls.Pictures(made[:600], made[600:], rng.integers(0, 10, 100))
    found = controls.cards(frozen_brain("tuned600", 0), pictures, model, averages(4), 0, permutations=99)
    quoted = {f.name: f for f in controls.figures([found])}
    reader, random = "controls, ridge reader", "controls, random code"
    assert quoted[f"{random}: cards that say 'no brain information'"].value == 1
    assert quoted[f"{reader}: cards that say 'no brain information'"].value == 0
    assert quoted[f"{reader}: 2AFC codes"].value > 0.8
    assert abs(quoted[f"{random}: 2AFC pixels"].value - 0.5) < 0.1
    assert quoted["controls: data scale N/k of the ridge reader"].value == 600 / 80
    blind = f"controls, {controls.BLIND}"
    assert quoted[f"{blind}: cards that say 'no brain information'"].value == 1


def test_the_ridge_decomposed_once_is_that_of_another_library():
    rng = np.random.default_rng(1)
    heard, codes = rng.normal(size=(60, 12)) * rng.uniform(0.5, 5, 12), rng.normal(size=(60, 3))
    codes += heard[:, :3]
    new = rng.normal(size=(20, 12))
    scale = heard.std(0) + 1e-9
    theirs = RidgeCV(controls.ALPHAS).fit((heard - heard.mean(0)) / scale, codes).predict((new - heard.mean(0)) / scale)
    np.testing.assert_allclose(controls.Ridge(heard).read(codes, new), theirs, atol=1e-5)
