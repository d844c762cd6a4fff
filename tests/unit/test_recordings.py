from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers import shared_data
from scipy.io import savemat

from prosthesis.errors import MissingExtraError, ProsthesisError
from prosthesis_train.data.responses import Recordings, clean, digits69, god, miyawaki, nsd, nwb, vim1
from prosthesis_train.data.responses.miyawaki import VARIABLE
from prosthesis_train.studies.braincodes import recordings as study

MIYAWAKI = "miyawaki_v1_figures.mat"


def made_up(noise=0.5, images=6, repeats=4, units=30, seed=0):
    random = np.random.default_rng(seed)
    stimuli = random.random((images, 5, 5)).astype(np.float32)
    image = random.permutation(np.repeat(np.arange(images), repeats))
    weights = random.standard_normal((25, units))
    responses = stimuli.reshape(images, -1)[image] @ weights + noise * random.standard_normal((len(image), units))
    return Recordings("made_up", responses, image, stimuli, "none", "here")


def test_repeats_count_the_showings_of_each_image():
    seen = Recordings("x", np.zeros((5, 1)), np.array([2, 0, 2, 2, 0]), None, "", "")
    assert seen.repeats.tolist() == [0, 0, 1, 2, 1]


def test_by_repeat_puts_trials_where_their_image_and_repeat_say():
    image = np.array([1, 0, 1, 0, 0, 1])
    seen = Recordings("x", np.arange(6.0)[:, None], image, None, "", "")
    assert seen.by_repeat()[:, :, 0].tolist() == [[1, 0], [3, 2], [4, 5]]
    with pytest.raises(ProsthesisError, match="1 to 3 times"):
        Recordings("x", np.zeros((4, 1)), np.array([0, 0, 0, 1]), None, "", "").by_repeat()


@pytest.mark.parametrize("folds", [2, 3, 6])
def test_no_image_is_both_trained_on_and_tested(folds):
    seen, tested = made_up(), []
    for train, test in seen.splits(folds):
        assert not set(seen.image[train]) & set(seen.image[test])
        assert len(train) + len(test) == len(seen.image)
        tested += test.tolist()
    assert sorted(tested) == list(range(len(seen.image)))
    with pytest.raises(ProsthesisError, match="take 2 to 6"):
        next(seen.splits(7))


def test_shapes_and_numbers_that_disagree_are_refused():
    with pytest.raises(ProsthesisError, match="one row for each"):
        Recordings("x", np.zeros((3, 2)), np.zeros(4, int), None, "", "")
    with pytest.raises(ProsthesisError, match="0 to 3"):
        Recordings("x", np.zeros((2, 2)), np.array([0, 3]), np.zeros((2, 4, 4), np.float32), "", "")


def test_constant_voxels_go_and_are_counted_and_a_nan_is_an_error():
    responses = np.random.default_rng(0).standard_normal((6, 4))
    responses[:, 1] = 3.0
    seen = clean(Recordings("x", responses, np.arange(6), None, "", ""))
    assert seen.responses.shape == (6, 3)
    assert seen.dropped == 1
    responses[2, 0] = np.nan
    with pytest.raises(ProsthesisError, match="1 responses are not finite, in 1 trials and 1 units"):
        clean(Recordings("x", responses, np.arange(6), None, "", ""))
    with pytest.raises(ProsthesisError, match="no unit ever changes"):
        clean(Recordings("x", np.ones((6, 4)), np.arange(6), None, "", ""))


@pytest.mark.parametrize("load", [god, nsd, nwb, vim1, digits69, miyawaki])
def test_a_missing_file_says_where_to_get_it_and_under_which_terms(load, tmp_path):
    with pytest.raises(ProsthesisError, match=r"no such file.*(terms|agreement|BSD)"):
        load(tmp_path / "gone.npz")


@pytest.mark.parametrize(("load", "first"), [(god, 0), (nsd, 1), (nwb, 0)])
def test_what_users_export_is_read_and_checked(load, first, tmp_path):
    answers, image = np.random.default_rng(0).random((6, 3)), np.array([0, 1, 2, 0, 1, 2]) + first
    np.savez(tmp_path / "a.npz", responses=answers, image=image)
    seen = load(tmp_path / "a.npz")
    assert np.array_equal(seen.responses, answers)
    assert seen.image.tolist() == [0, 1, 2, 0, 1, 2]
    assert seen.by_repeat().shape == (2, 3, 3)
    np.savez(tmp_path / "b.npz", responses=answers)
    with pytest.raises(ProsthesisError, match=r"no 'image'; there are: responses.*"):
        load(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", responses=answers[0], image=image)
    with pytest.raises(ProsthesisError, match="2 axes are expected"):
        load(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", responses=answers, image=image - 1 - first)
    with pytest.raises(ProsthesisError, match=f"count from {first}"):
        load(tmp_path / "d.npz")
    (tmp_path / "e.npz").write_bytes(b"not an archive")
    with pytest.raises(ProsthesisError, match="not a NumPy archive"):
        load(tmp_path / "e.npz")
    (tmp_path / "f.csv").touch()
    with pytest.raises(ProsthesisError, match=r"\.npz or \.h5"):
        load(tmp_path / "f.csv")


def test_repeats_that_a_set_cannot_have_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", responses=np.zeros((4, 2)), image=np.ones(4, int))
    with pytest.raises(ProsthesisError, match="1 to 3 are expected"):
        nsd(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", responses=np.zeros((4, 2)), image=np.arange(4))
    with pytest.raises(ProsthesisError, match="2 or more are expected"):
        god(tmp_path / "b.npz")


def test_vim1_joins_both_parts_and_counts_voxels_without_an_estimate(tmp_path):
    random = np.random.default_rng(0)
    train, held = random.random((4, 1750)), random.random((4, 120))
    train[2, 0] = np.nan
    savemat(tmp_path / "v.mat", {"dataTrnS1": train, "dataValS1": held})
    seen = vim1(tmp_path / "v.mat")
    assert seen.responses.shape == (1870, 3)
    assert seen.dropped == 1
    assert seen.responses[1750] == pytest.approx(held[[0, 1, 3], 0])
    with pytest.raises(ProsthesisError, match="no 'dataTrnS2'"):
        vim1(tmp_path / "v.mat", subject=2)
    savemat(tmp_path / "w.mat", {"dataTrnS1": train[:, :9], "dataValS1": held})
    with pytest.raises(ProsthesisError, match=r"\[4, 9\]"):
        vim1(tmp_path / "w.mat")


def test_digits_are_scaled_and_turned_upright(tmp_path):
    pixels = np.zeros((100, 784))
    pixels[0, 28 * 3 + 5] = 255  # column 3, row 5 as MATLAB counts
    savemat(tmp_path / "d.mat", {"X": pixels, "Y": np.ones((100, 7))})
    seen = digits69(tmp_path / "d.mat")
    assert seen.stimuli[0, 5, 3] == 1
    assert seen.responses.shape == (100, 7)
    savemat(tmp_path / "e.mat", {"X": pixels[:, :9], "Y": np.ones((100, 7))})
    with pytest.raises(ProsthesisError, match=r"not \[100, 784\]"):
        digits69(tmp_path / "e.mat")


def test_hdf5_needs_h5py_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "v.mat").write_bytes(b"MATLAB 7.3 MAT-file" + bytes(200))
    with pytest.raises(MissingExtraError, match="pip install h5py"):
        vim1(tmp_path / "v.mat")


def test_hdf5_axes_are_read_as_matlab_and_as_python_write_them(tmp_path):
    h5py = pytest.importorskip("h5py")
    answers, image = np.random.default_rng(0).random((6, 3)), np.array([0, 1, 2, 0, 1, 2])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["responses"], file["image"] = answers, image
    assert np.array_equal(nwb(tmp_path / "a.h5").responses, answers)
    with h5py.File(tmp_path / "v.mat", "w") as file:
        file["dataTrnS1"], file["dataValS1"] = np.ones((1750, 4)), np.zeros((120, 4))
    assert vim1(tmp_path / "v.mat").responses.shape == (1870, 4)


def test_another_file_is_not_taken_for_miyawaki(tmp_path):
    (tmp_path / "x.mat").write_bytes(b"x")
    with pytest.raises(ProsthesisError, match="SHA-256"):
        miyawaki(tmp_path / "x.mat")


def test_miyawaki_is_ten_figures_eight_times():
    seen = miyawaki(shared_data(MIYAWAKI))
    assert seen.responses.shape == (80, 797)
    assert seen.stimuli.shape == (10, 10, 10)
    assert set(np.unique(seen.stimuli)) == {0, 1}
    assert seen.by_repeat().shape == (8, 10, 797)
    assert clean(seen).dropped == 0


def test_miyawaki_figures_are_identified():
    assert study.identified(miyawaki(shared_data(MIYAWAKI)), None).mean() >= 0.95


def test_without_the_file_the_study_says_so_and_gives_no_figures(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    said = []
    assert study.measure(said.append) == []
    assert "absent" in said[0]
    assert VARIABLE in said[0]


def test_clear_responses_are_identified_and_permuted_ones_are_at_chance():
    assert study.identified(made_up(noise=0.1), None).mean() == 1
    assert study.permuted(made_up(noise=0.1), 40, 0).mean() == pytest.approx(1 / 6, abs=0.06)


def test_wilson_is_the_textbooks():
    # Newcombe 1998, table 1: 81 of 263
    assert study.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert study.wilson(80, 80)[1] == pytest.approx(1)
