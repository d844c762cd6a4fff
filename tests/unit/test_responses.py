"""Recordings of brains: splits that never leak, cleaning that counts, and identification against other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared_file

from prosthesis.errors import ProsthesisError

pytest.importorskip("scipy", reason="needs the [train] extra")
from prosthesis_train.data.responses import identification
from prosthesis_train.data.responses.cleaning import clean
from prosthesis_train.data.responses.miyawaki import from_arrays, miyawaki
from prosthesis_train.data.responses.recordings import Recordings, Split, assemble


def made(images=6, repeats=4, units=9, noise=0.3, seed=0, held=()):
    """Units that answer the pixels linearly, trials in blocks of one repeat."""
    rng = np.random.default_rng(seed)
    stimuli = rng.integers(0, 256, (images, 3, 3, 1)).astype(np.uint8)
    image = np.concatenate([rng.permutation(images) for _ in range(repeats)]).astype(np.int64)
    pixels = stimuli.reshape(images, -1) / 255.0
    responses = pixels[image] @ rng.normal(size=(9, units)) + noise * rng.normal(size=(len(image), units))
    return Recordings("made", responses, stimuli, image, np.isin(np.arange(images), held), "a.u.", "here", "none")


def without(recordings, trials):
    return recordings.only(np.setdiff1d(np.arange(len(recordings.image)), trials))


@given(images=st.integers(2, 9), repeats=st.integers(1, 4), folds=st.integers(2, 9), seed=st.integers(0, 99))
def test_splits_by_images_never_share_one_and_test_every_trial_once(images, repeats, folds, seed):
    recordings, folds = made(images, repeats, seed=seed), min(folds, images)
    splits = recordings.splits("images", folds, seed)
    assert len(splits) == folds
    for split in splits:
        assert split.train.size
        assert split.test.size
        assert not set(recordings.image[split.train]) & set(recordings.image[split.test])
        assert sorted([*split.train, *split.test]) == list(range(len(recordings.image)))
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(len(recordings.image)))


def test_the_published_split_tests_exactly_the_pictures_that_were_held_out():
    recordings = made(held=(1, 4))
    (split,) = recordings.splits("published")
    assert set(recordings.image[split.test]) == {1, 4}
    assert set(recordings.image[split.train]) == {0, 2, 3, 5}
    with pytest.raises(ProsthesisError, match="held no pictures out"):
        made().splits("published")


def test_leave_one_repeat_out_tests_every_picture_once_a_fold():
    recordings = made(repeats=4)
    splits = recordings.splits("leave-one-repeat-out")
    assert [sorted(recordings.image[s.test]) for s in splits] == [list(range(6))] * 4
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(24))


def test_leave_one_repeat_out_refuses_mismatched_repeats_and_says_what_to_do():
    with pytest.raises(ProsthesisError, match=r"shown 3 to 4 times.*clean\(recordings, repeats=3\)"):
        without(made(), [5]).splits("leave-one-repeat-out")
    with pytest.raises(ProsthesisError, match="leave-one-repeat-out needs"):
        made(repeats=1).splits("leave-one-repeat-out")
    with pytest.raises(ProsthesisError, match="no split 'random'; there are: images, published"):
        made().splits("random")
    with pytest.raises(ProsthesisError, match="6 pictures make 2 to 6 folds, not 7"):
        made().splits("images", 7)


def test_pictures_equal_in_every_pixel_become_one_and_are_held_out_where_one_is():
    stimuli = np.zeros((4, 2, 2, 1), np.uint8)
    stimuli[1], stimuli[2], stimuli[3] = 9, 9, 3
    found = assemble(
        "twins", np.eye(5), stimuli, np.array([0, 1, 2, 0, 2]), np.array([False, False, True, False]), "", "", ""
    )
    assert found.image.tolist() == [0, 1, 1, 0, 1]
    assert found.stimuli[:, 0, 0, 0].tolist() == [0, 9]
    assert found.held_out.tolist() == [False, True]
    with pytest.raises(ProsthesisError, match="trials name pictures 0 to 4 of 4"):
        assemble("x", np.eye(2), stimuli, np.array([0, 4]), np.zeros(4, bool), "", "", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"responses": np.zeros(24)}, r"f64\[trials,units\]"),
        ({"responses": np.zeros((24, 2), np.float32)}, r"f64\[trials,units\], not float32"),
        ({"stimuli": np.zeros((6, 3, 3), np.uint8)}, r"\[images,h,w,c\]"),
        ({"stimuli": np.zeros((6, 3, 3, 1), np.uint8)}, "equal in every pixel"),
        ({"image": np.zeros(23, np.int64)}, "24 trials of 6 pictures"),
        ({"image": np.zeros(24, np.int64)}, "every picture has a trial"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, message):
    good = made()
    parts = {name: getattr(good, name) for name in Recordings.__slots__}
    with pytest.raises(ProsthesisError, match=message):
        Recordings(**{**parts, **change})


def test_cleaning_counts_each_kind_that_goes_and_leaves_what_is_finite_and_varies():
    recordings = made(units=9)
    values = recordings.responses
    values[:, 2] = np.nan  # a unit that was never recorded
    values[:3, 3] = np.inf  # more than a tenth of its trials
    values[7, 4] = np.nan  # one trial
    values[:, 8] = 5.0
    found = clean(recordings)
    assert (found.units_missing, found.trials_missing, found.units_constant) == (2, 1, 1)
    assert (found.images_too_few, found.trials_too_many) == (0, 0)
    assert found.recordings.responses.shape == (23, 6)
    assert np.array_equal(found.recordings.responses, np.delete(np.delete(values, [2, 3, 8], 1), 7, 0))
    assert str(found) == "2 units not finite, 1 trials not finite, 1 constant units"
    assert str(clean(made())) == "nothing"


def test_cleaning_evens_mismatched_repeats_and_counts_them():
    recordings = made(images=4, repeats=4)
    seldom = np.flatnonzero(recordings.image == 2)[:2]
    once = np.flatnonzero(recordings.image == 0)[:1]
    found = clean(without(recordings, [*seldom, *once]), repeats=3)
    assert (found.images_too_few, found.trials_too_many) == (1, 2)  # one picture twice; two pictures a fourth time
    assert found.recordings.repeats.tolist() == [3, 3, 3]
    assert len(found.recordings.splits("leave-one-repeat-out")) == 3


@pytest.mark.parametrize(
    ("spoil", "repeats", "message"),
    [
        (lambda r: r.fill(np.nan), None, "no unit is finite in most trials"),
        (lambda r: r.fill(1.0), None, "no unit varies over the trials"),
        (lambda r: None, 9, "no picture was shown 9 times; the most is 4"),
    ],
)
def test_nothing_left_is_an_error(spoil, repeats, message):
    recordings = made()
    spoil(recordings.responses)
    with pytest.raises(ProsthesisError, match=message):
        clean(recordings, repeats)


@pytest.mark.parametrize("units", [4, 40])
def test_the_smoother_is_scikit_learns_ridge_with_fewer_and_with_more_units_than_trials(units):
    sklearn = pytest.importorskip("sklearn.linear_model")
    recordings = made(units=units)
    split = recordings.splits("images", 3)[0]
    targets = recordings.stimuli.reshape(6, -1)[recordings.image] / 255.0
    train, test = (recordings.responses[t] for t in (split.train, split.test))
    train, test = (train - train.mean(0)) / train.std(0), (test - train.mean(0)) / train.std(0)
    for penalty in (0.01, 1.0):
        found = identification.smoother(recordings.responses, split, [penalty])[0] @ targets[split.train]
        alpha = penalty * np.trace(train @ train.T) / len(train)
        other = sklearn.Ridge(alpha=alpha).fit(train, targets[split.train]).predict(test)
        np.testing.assert_allclose(found, other, rtol=1e-8, atol=1e-10)


def test_a_unit_constant_in_training_counts_nothing_and_all_constant_predicts_the_mean():
    recordings, split = made(), Split(np.arange(12), np.arange(12, 24))
    wanted = identification.smoother(recordings.responses, split, [0.1])
    dead = np.where(np.arange(24) < 12, 3.3, 99.0)[:, None]
    found = identification.smoother(np.hstack([recordings.responses, dead]), split, [0.1])
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    flat = identification.smoother(np.full((24, 3), 0.1), split, [0.1])
    np.testing.assert_allclose(flat, 1 / 12, atol=1e-12)
    with pytest.raises(ProsthesisError, match="penalty is above 0"):
        identification.smoother(recordings.responses, split, [0.0])


def test_identification_finds_planted_pictures_and_its_null_is_chance():
    recordings = made(images=6, repeats=6, units=40, noise=0.05)
    pictures = recordings.stimuli.reshape(6, -1) / 255.0
    folds = identification.make_folds(recordings, "leave-one-repeat-out")
    assert identification.share_right(folds, recordings.image, pictures) == 1.0
    rng = np.random.default_rng(1)
    null = [
        identification.share_right(
            folds, identification.permuted_within(recordings.image, recordings.repeat, rng), pictures
        )
        for _ in range(60)
    ]
    assert 0.1 < np.mean(null) < 0.25  # 1 in 6
    assert max(null) < 0.7


def test_responses_without_information_are_identified_at_chance():
    recordings = made(images=5, repeats=12, units=20)
    recordings.responses[:] = np.random.default_rng(3).normal(size=recordings.responses.shape)
    folds = identification.make_folds(recordings, "leave-one-repeat-out", penalties=(1.0,))
    share = identification.share_right(folds, recordings.image, recordings.stimuli.reshape(5, -1) / 255.0)
    assert abs(share - 0.2) < 3 * (0.2 * 0.8 / 60) ** 0.5


def test_a_prediction_owes_nothing_to_its_own_trial():
    recordings = made()
    pictures, labels = recordings.stimuli.reshape(6, -1) / 255.0, recordings.image
    folds = identification.make_folds(recordings, "leave-one-repeat-out")
    before = identification.predict(folds, labels, pictures)
    changed = np.where(recordings.repeat == 2, (labels + 1) % 6, labels)
    after = identification.predict(folds, changed, pictures)
    assert np.array_equal(before[recordings.repeat == 2], after[recordings.repeat == 2])
    assert not np.allclose(before, after)


def test_permuting_within_blocks_moves_no_label_across_them():
    labels, blocks = np.arange(20), np.arange(20) // 5
    found = identification.permuted_within(labels, blocks, np.random.default_rng(0))
    assert np.array_equal(found // 5, blocks)
    assert not np.array_equal(found, labels)


def test_candidates_narrow_the_choice_and_a_constant_prediction_correlates_with_nothing():
    pictures = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    predicted = np.array([[0.0, 2, 0.1], [0, 2, 0.1]])
    allowed = np.array([[True, True, True], [False, True, True]])
    assert identification.identify(predicted, pictures, allowed).tolist() == [0, 1]
    assert identification.identify(np.ones((1, 3)), pictures).tolist() == [0]


def test_split_half_is_one_without_noise_and_about_zero_with_noise_alone():
    recordings = made(images=40, repeats=4, units=50, noise=0.0)
    np.testing.assert_allclose(identification.split_half(recordings), 1.0, atol=1e-12)
    recordings.responses[:] = np.random.default_rng(0).normal(size=recordings.responses.shape)
    assert abs(np.median(identification.split_half(recordings))) < 0.1
    with pytest.raises(ProsthesisError, match=r"clean\(r, repeats=2\)"):
        identification.split_half(made(repeats=1))


def write_miyawaki(path, repeats=8, voxels=797):
    io = pytest.importorskip("scipy.io")
    rng = np.random.default_rng(0)
    figures = rng.integers(0, 2, (10, 100)).astype(np.uint8)
    order = np.concatenate([rng.permutation(10) for _ in range(repeats)])
    io.savemat(path, {"I2": figures[order].T, "R2": rng.normal(size=(voxels, len(order)))})


def test_miyawaki_of_another_digest_layout_or_place_is_refused_with_where_to_get_it(tmp_path):
    with pytest.raises(ProsthesisError, match=r"no such file.*KamitaniLab/VBCCA.*BSD-3"):
        miyawaki(tmp_path / "absent.mat")
    write_miyawaki(tmp_path / "other.mat")
    with pytest.raises(ProsthesisError, match=r"expected a65908b29087.*another file, or a damaged one"):
        miyawaki(tmp_path / "other.mat")
    write_miyawaki(tmp_path / "seven.mat", repeats=7)
    with pytest.raises(ProsthesisError, match=r"I2 \(100, 70\).*expected I2 \(100, 80\)"):
        from_arrays(tmp_path / "seven.mat")
    assert from_arrays(tmp_path / "other.mat").repeats.tolist() == [8] * 10


def test_miyawaki_is_ten_upright_figures_of_eight_repeats():
    recordings = miyawaki(shared_file("miyawaki_v1_figures.mat"))
    assert recordings.responses.shape == (80, 797)
    assert recordings.repeats.tolist() == [8] * 10
    letter = recordings.stimuli[recordings.image[43], :, :, 0] // 255
    assert letter[2].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]  # the arch of an upright r
    assert letter[3:6].tolist() == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]] * 3
    assert not set(recordings.image[:40]) & set(recordings.image[40:])
