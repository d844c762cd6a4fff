"""Recordings that users bring: synthetic files of the documented layouts, and errors that say where to get the sets."""

from __future__ import annotations

import gzip
import json
import struct
import sys

import cv2
import numpy as np
import pytest

from prosthesis.errors import MissingExtraError, ProsthesisError

pytest.importorskip("scipy", reason="needs the [train] extra")
from scipy import io

from prosthesis_train.data.responses import nsd as nsd_module
from prosthesis_train.data.responses.bids import bids
from prosthesis_train.data.responses.digits69 import SOURCE, digits69
from prosthesis_train.data.responses.files import read_mat
from prosthesis_train.data.responses.god import god
from prosthesis_train.data.responses.nifti import read_nifti
from prosthesis_train.data.responses.nsd import nsd
from prosthesis_train.data.responses.nwb import counts, nwb
from prosthesis_train.data.responses.vim1 import vim1

RNG = np.random.default_rng(0)


def h5():
    return pytest.importorskip("h5py", reason="pip install h5py")


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(np.uint8))


def write_nifti(path, values, step_s=2.0, slope=0.0, intercept=0.0, order="<"):
    """Write the fields of nifti1.h that a reader needs."""
    values = np.asarray(values)
    kinds = {"u1": 2, "i2": 4, "f4": 16, "f8": 64}
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, values.ndim, *values.shape, *[1] * (7 - values.ndim))
    struct.pack_into(order + "2h", header, 70, kinds[values.dtype.str[1:]], 8 * values.itemsize)
    struct.pack_into(order + "8f", header, 76, 1, 2, 2, 2, step_s, 0, 0, 0)
    struct.pack_into(order + "3f", header, 108, 352, slope, intercept)
    header[344:348] = b"n+1\0"
    raw = bytes(header) + values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


# --- 69 digits


def digits(**change):
    parts = {
        "fmriTrn": RNG.normal(size=(90, 3092)),
        "fmriTest": RNG.normal(size=(10, 3092)),
        "stimTrn": RNG.integers(0, 256, (90, 784)).astype(np.uint8),
        "stimTest": RNG.integers(0, 256, (10, 784)).astype(np.uint8),
    }
    return {**parts, **change}


def test_69_digits_are_a_hundred_pictures_of_which_ten_are_held_out(tmp_path):
    parts = digits()
    io.savemat(tmp_path / "d.mat", parts)
    found = digits69(tmp_path / "d.mat")
    assert found.responses.shape == (100, 3092)
    trial = 95
    shown = found.stimuli[found.image[trial], :, :, 0]
    assert np.array_equal(shown, parts["stimTest"][5].reshape(28, 28).T)  # down the columns
    assert np.array_equal(found.responses[trial], parts["fmriTest"][5])
    (split,) = found.splits("published")
    assert split.test.tolist() == list(range(90, 100))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fmriTrn": np.zeros((90, 3000))}, r"fmriTrn is \(90, 3000\); expected \(90, 3092\)"),
        ({"stimTrn": np.zeros((90, 784)), "stimTest": np.ones((10, 784))}, "gray values 0 to 1; expected 0 to 255"),
        ({"stimTest": None}, "no variable stimTest"),
    ],
)
def test_69_digits_of_another_layout_are_refused_with_source_and_terms(change, message, tmp_path):
    parts = {k: v for k, v in digits(**change).items() if v is not None}
    io.savemat(tmp_path / "d.mat", parts)
    with pytest.raises(ProsthesisError, match=message) as error:
        digits69(tmp_path / "d.mat")
    assert "Donders Repository" in str(error.value)
    assert "data use agreement" in str(error.value)


def test_what_is_no_matlab_file_says_so(tmp_path):
    (tmp_path / "d.mat").write_bytes(b"<html>please log in</html>" * 20)
    with pytest.raises(ProsthesisError, match="not a MATLAB file"):
        digits69(tmp_path / "d.mat")
    with pytest.raises(ProsthesisError, match="not a MATLAB file"):
        god(tmp_path / "d.mat", tmp_path, "V1", 8)


def test_matlab_files_of_both_kinds_read_alike(tmp_path):
    h5py, values = h5(), RNG.normal(size=(3, 5))
    io.savemat(tmp_path / "old.mat", {"x": values})
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:
        file["x"] = values.T  # MATLAB writes its columns first
    start = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with (tmp_path / "new.mat").open("r+b") as file:
        file.write(start)
    for name in ("old.mat", "new.mat"):
        assert np.array_equal(read_mat(SOURCE, tmp_path / name, ("x",))["x"], values)


# --- vim-1


def write_vim1(folder, **change):
    parts = {
        "dataTrnS1": RNG.normal(size=(6, 8)),
        "dataValS1": RNG.normal(size=(6, 3)),
        "roiS1": np.array([[1.0, 1, 2, 0, 1, 7]]).T,
        "stimTrn": RNG.normal(size=(8, 4, 4)),
        "stimVal": RNG.normal(size=(3, 4, 4)),
        **change,
    }
    io.savemat(folder / "EstimatedResponses.mat", {k: v for k, v in parts.items() if not k.startswith("stim")})
    io.savemat(folder / "Stimuli.mat", {k: v for k, v in parts.items() if k.startswith("stim")})
    return parts


def test_vim1_gives_the_voxels_of_an_area_and_holds_the_validation_pictures_out(tmp_path):
    parts = write_vim1(tmp_path)
    found = vim1(tmp_path, 1, "V1")
    assert np.array_equal(found.responses[:8], parts["dataTrnS1"][[0, 1, 4]].T)
    assert np.array_equal(found.responses[8:], parts["dataValS1"][[0, 1, 4]].T)
    assert np.array_equal(found.stimuli[found.image[9], :, :, 0], parts["stimVal"][1].astype(np.float32))
    assert found.splits("published")[0].test.tolist() == [8, 9, 10]
    with pytest.raises(ProsthesisError, match="leave-one-repeat-out"):
        found.splits("leave-one-repeat-out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stimVal": np.zeros((4, 4, 4))}, r"stimVal is \(4, 4, 4\); expected \(3, height, width\)"),
        ({"roiS1": np.zeros(5)}, r"expected \(voxels, pictures\) twice"),
        ({"roiS1": np.full(6, 2)}, "no voxel of subject 1 is in V1"),
    ],
)
def test_vim1_of_another_layout_is_refused_with_source_and_terms(change, message, tmp_path):
    write_vim1(tmp_path, **change)
    with pytest.raises(ProsthesisError, match=message + r".*crcns\.org.*terms of CRCNS"):
        vim1(tmp_path, 1, "V1")
    with pytest.raises(ProsthesisError, match="subjects 1 and 2 and areas other, V1"):
        vim1(tmp_path, 3, "V1")


# --- GOD

LABELS = [1443537.022563, 1621127.019020, 1677366.018182]
STEMS = ["n01443537_22563", "n01621127_19020", "n01677366_18182"]


def god_parts():
    """Two voxels in V1, one in V2, then DataType and Label; six trials, the last imagery."""
    kind = np.array([1, 1, 2, 2, 1, 3.0])
    label = np.array([LABELS[k] for k in (0, 1, 2, 2, 0, 2)])
    data = np.column_stack([RNG.normal(size=(6, 3)), kind, label])
    value = np.full((4, 5), np.nan)
    for row, columns in enumerate(([0, 1], [2], [3], [4])):
        value[row, columns] = 1
    return data, ["ROI_V1", "ROI_V2", "DataType", "Label"], value


def write_god(path, data, keys, value, names=("dataSet", "metaData")):
    if path.suffix == ".mat":
        io.savemat(path, {names[0]: data, names[1]: {"key": np.array(keys, object), "value": value}})
        return
    with h5().File(path, "w") as file:
        file[names[0]], file[names[1] + "/value"], file[names[1] + "/key"] = data, value, keys


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("Subject1.mat", ("dataSet", "metaData")),
        ("Subject1.h5", ("dataset", "metadata")),
        ("Subject1.h5", ("dataSet", "metaData")),
    ],
)
def test_god_gives_the_trials_that_show_a_picture_in_the_voxels_of_an_area(file, names, tmp_path):
    data, keys, value = god_parts()
    write_god(tmp_path / file, data, keys, value, names)
    for k, stem in enumerate(STEMS):
        picture(tmp_path / "images" / f"{stem}.png", k)
    found = god(tmp_path / file, tmp_path / "images", "V1", 8)
    assert np.array_equal(found.responses, data[:5, :2])
    assert found.stimuli.shape == (3, 8, 8, 3)
    assert found.image.tolist() == [0, 1, 2, 2, 0]
    assert found.splits("published")[0].test.tolist() == [2, 3]


def test_god_says_which_area_and_which_pictures_are_missing_and_where_to_get_them(tmp_path):
    data, keys, value = god_parts()
    write_god(tmp_path / "S.mat", data, keys, value)
    with pytest.raises(ProsthesisError, match=r"no columns 'ROI_V9'; there are ROI_V1, ROI_V2.*figshare"):
        god(tmp_path / "S.mat", tmp_path, "V9", 8)
    with pytest.raises(ProsthesisError, match=r"3 of 3 pictures are not below.*n01443537_22563.*may not be passed on"):
        god(tmp_path / "S.mat", tmp_path, "V1", 8)
    write_god(tmp_path / "T.mat", data[:, :4], keys, value)
    with pytest.raises(ProsthesisError, match=r"samples \(6, 4\) and metadata \(4, 5\) of 4 keys do not fit"):
        god(tmp_path / "T.mat", tmp_path, "V1", 8)


# --- NIfTI


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_nifti_comes_back_scaled_in_any_kind_and_byte_order(kind, order, name, tmp_path):
    values = RNG.integers(0, 200, (2, 3, 4, 5)).astype(kind)
    write_nifti(tmp_path / name, values, 1.5, 2.0, -3.0, order)
    found, step_s = read_nifti(SOURCE, tmp_path / name)
    np.testing.assert_array_equal(found, values * 2.0 - 3.0)
    assert step_s == 1.5


def test_nifti_reads_as_nibabel_does(tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="pip install nibabel")
    image = nibabel.Nifti1Image(RNG.normal(size=(3, 4, 5, 6)).astype(np.float32), np.eye(4))
    image.header.set_data_dtype(np.int16)  # nibabel then scales
    nibabel.save(image, tmp_path / "a.nii.gz")
    found, _ = read_nifti(SOURCE, tmp_path / "a.nii.gz")
    np.testing.assert_allclose(found, nibabel.load(tmp_path / "a.nii.gz").get_fdata(), rtol=1e-6)


def test_nifti_that_is_cut_off_or_something_else_is_refused(tmp_path):
    write_nifti(tmp_path / "a.nii", np.zeros((4, 4, 4), np.float32))
    whole = (tmp_path / "a.nii").read_bytes()
    for raw, message in (
        (whole[:-1], "cut off: 607 bytes of 608"),
        (b"nothing" * 100, "not a NIfTI-1 image in one file"),
        (whole[:70] + struct.pack("<h", 128) + whole[72:], "of data type 128"),
    ):
        (tmp_path / "b.nii").write_bytes(raw)
        with pytest.raises(ProsthesisError, match=message):
            read_nifti(SOURCE, tmp_path / "b.nii")
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(whole)[:-20])
    with pytest.raises(ProsthesisError, match="not a whole gzip file"):
        read_nifti(SOURCE, tmp_path / "c.nii.gz")


# --- NSD


def write_nsd(root, monkeypatch, trials=6):
    h5py = h5()
    monkeypatch.setattr(nsd_module, "TRIALS", trials)
    mask = np.zeros((2, 3, 4), np.uint8)
    mask[0, 1, 2], mask[1, 2, 3] = 1, 2
    folder = root / "nsddata/ppdata/subj02/func1pt8mm/roi"
    write_nifti(folder / "nsdgeneral.nii.gz", mask)
    images = np.arange(1, 81).reshape(8, 10)[:, ::-1].copy()
    order = np.array([1, 2, 1, 3, 4, 2, 5, 1, 6, 6, 7, 8])
    (root / "nsddata/experiments/nsd").mkdir(parents=True)
    shared = {"masterordering": order[None], "subjectim": images, "sharedix": np.array([[20, 18]])}
    io.savemat(root / "nsddata/experiments/nsd/nsd_expdesign.mat", shared)
    betas = RNG.integers(-3000, 3000, (2, trials, 4, 3, 2)).astype(np.int16)
    folder = root / f"nsddata_betas/ppdata/subj02/func1pt8mm/{nsd_module.BETAS}"
    folder.mkdir(parents=True)
    for session in (1, 2):
        with h5py.File(folder / f"betas_session{session:02d}.hdf5", "w") as file:
            file["betas"] = betas[session - 1]
    brick = RNG.integers(0, 256, (80, 10, 10, 3)).astype(np.uint8)
    (root / "nsddata_stimuli/stimuli/nsd").mkdir(parents=True)
    with h5py.File(root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = brick
    return images, order, betas, brick


def test_nsd_gives_each_trial_its_picture_and_the_shared_ones_are_held_out(tmp_path, monkeypatch):
    images, order, betas, brick = write_nsd(tmp_path, monkeypatch)
    said = []
    found = nsd(tmp_path, 2, (1, 2), "nsdgeneral", 10, said.append)
    assert said == ["NSD: subject 2, session 1", "NSD: subject 2, session 2"]
    shown = images[1, order - 1] - 1
    assert np.array_equal(found.stimuli[found.image], brick[shown])
    assert np.allclose(np.sort(found.responses[7]), np.sort(betas[1, 1, [2, 3], [1, 2], [0, 1]] / 300))
    assert set(shown[found.held_out[found.image]]) == {19, 17}
    assert found.repeats.tolist() == np.unique(shown, return_counts=True)[1].tolist()
    one = nsd(tmp_path, 2, (2,), "nsdgeneral", 10, said.append)
    assert np.array_equal(one.responses, found.responses[6:])


def test_nsd_says_what_does_not_fit(tmp_path, monkeypatch):
    write_nsd(tmp_path, monkeypatch)
    for subject, sessions, roi, message in (
        (2, (3,), "nsdgeneral", r"session 3; expected 6 trials a session"),
        (2, (1,), "floc", r"floc.nii.gz: no such file.*naturalscenesdataset.org.*Data Access Agreement"),
        (9, (1,), "nsdgeneral", "subjects 1 to 8"),
    ):
        with pytest.raises(ProsthesisError, match=message):
            nsd(tmp_path, subject, sessions, roi, 10, lambda _: None)
    write_nifti(tmp_path / "nsddata/ppdata/subj02/func1pt8mm/roi/nsdgeneral.nii.gz", np.ones((2, 3, 5), np.uint8))
    with pytest.raises(ProsthesisError, match=r"betas \(6, 4, 3, 2\); expected \(6, 5, 3, 2\)"):
        nsd(tmp_path, 2, (1,), "nsdgeneral", 10, lambda _: None)


def test_without_h5py_the_error_gives_the_install_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.nwb").write_bytes(b"")
    with pytest.raises(MissingExtraError, match=r"prosthesis\[recordings\]"):
        nwb(tmp_path / "a.nwb", "trials", "frame", np.zeros((1, 2, 2, 1), np.uint8), (0, 1))


# --- NWB


def test_counts_are_of_half_open_windows_and_of_each_unit_alone():
    times = np.array([0.1, 0.2, 1.1, 1.3, 0.2, 0.2, 5.0])
    found = counts(times, np.array([4, 4, 7]), np.array([0.0, 1.0]), (0.1, 0.3))
    assert found.tolist() == [[2, 0, 2], [1, 0, 0]]


def write_nwb(path, **change):
    parts = {
        "units/spike_times": np.array([0.1, 1.2, 1.25, 2.1, 0.05]),
        "units/spike_times_index": np.array([4, 5]),
        "intervals/scenes/start_time": np.array([0.0, 1.0, 2.0, 3.0]),
        "intervals/scenes/frame": np.array([1.0, 0.0, -1.0, 1.0]),
        **change,
    }
    with h5().File(path, "w") as file:
        for name, value in parts.items():
            if value is not None:
                file[name] = value


def test_nwb_counts_spikes_after_each_picture_and_leaves_blanks_out(tmp_path):
    write_nwb(tmp_path / "a.nwb")
    pictures = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    found = nwb(tmp_path / "a.nwb", "scenes", "frame", pictures, (0.0, 0.5))
    assert found.responses.tolist() == [[1, 1], [2, 0], [0, 0]]
    assert found.image.tolist() == [1, 0, 1]
    assert np.array_equal(found.stimuli, pictures)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units/spike_times_index": np.array([4, 9])}, "does not divide the 5 spike times"),
        ({"units/spike_times": None, "units/spike_times_index": None}, "no /units; expected sorted units"),
        ({"intervals/scenes/frame": None}, "no data set 'frame'; the file has start_time"),
        ({"intervals/scenes/frame": np.full(4, -1.0)}, "no row of scenes shows a picture"),
        ({"intervals/scenes/frame": np.array([0.0, 1, 2, 3])}, "name pictures 0 to 3 of 2"),
        ({"intervals/scenes/frame": np.zeros(3)}, "a number for each of 4 rows"),
    ],
)
def test_nwb_of_another_layout_is_refused(change, message, tmp_path):
    write_nwb(tmp_path / "a.nwb", **change)
    with pytest.raises(ProsthesisError, match=message):
        nwb(tmp_path / "a.nwb", "scenes", "frame", np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1), (0.0, 0.5))


def test_nwb_says_which_tables_there_are_and_when_a_file_is_none(tmp_path):
    write_nwb(tmp_path / "a.nwb")
    pictures = np.zeros((1, 2, 2, 1), np.uint8)
    with pytest.raises(ProsthesisError, match=r"no table 'trials' in /intervals; there are scenes.*dandiarchive"):
        nwb(tmp_path / "a.nwb", "trials", "frame", pictures, (0.0, 0.5))
    with pytest.raises(ProsthesisError, match="from an earlier time to a later one"):
        nwb(tmp_path / "a.nwb", "scenes", "frame", pictures, (0.5, 0.5))
    (tmp_path / "b.nwb").write_bytes(b"nothing")
    with pytest.raises(ProsthesisError, match="not an HDF5 file, or cut off"):
        nwb(tmp_path / "b.nwb", "scenes", "frame", pictures, (0.0, 0.5))


# --- BIDS


def write_bids(root, events="onset\tduration\tstim_file\n0\t2\ta.png\n4\t2\tn/a\n8\t2\tb.png\n", sidecar=None):
    func = root / "sub-01" / "ses-1" / "func"
    bold = RNG.normal(size=(2, 2, 2, 10)).astype(np.float32)
    bold[1, 1, 1] = 7.0
    for run in (1, 2):
        write_nifti(func / f"sub-01_ses-1_task-see_run-{run}_bold.nii.gz", bold, 2.0)
        (func / f"sub-01_ses-1_task-see_run-{run}_events.tsv").write_text(events)
        if sidecar is not None:
            (func / f"sub-01_ses-1_task-see_run-{run}_bold.json").write_text(json.dumps(sidecar))
    for k, name in enumerate(("a.png", "b.png")):
        picture(root / "stimuli" / name, k)
    mask = np.zeros((2, 2, 2), np.uint8)
    mask[0, 1, 0], mask[1, 1, 1] = 1, 1
    write_nifti(root / "mask.nii.gz", mask)
    return bold


def test_bids_averages_the_volumes_that_begin_in_the_window_of_each_picture(tmp_path):
    bold = write_bids(tmp_path)
    found = bids(tmp_path, "01", "see", tmp_path / "mask.nii.gz", (4.0, 8.0), 8)
    z = (bold[0, 1, 0] - bold[0, 1, 0].mean(dtype=float)) / bold[0, 1, 0].std(dtype=float)
    wanted = [z[2:4].mean(), z[6:8].mean()]  # volumes at 4 and 6 s; 12 and 14 s
    np.testing.assert_allclose(found.responses[:, 0], wanted * 2, rtol=1e-5)
    assert np.isnan(found.responses[:, 1]).all()  # constant over the run: for clean
    assert found.image.tolist() == [0, 1, 0, 1]
    assert found.stimuli.shape == (2, 8, 8, 3)
    assert len(found.splits("leave-one-repeat-out")) == 2


def test_bids_takes_the_repetition_time_of_the_sidecar_before_that_of_the_header(tmp_path):
    bold = write_bids(tmp_path, sidecar={"RepetitionTime": 4.0})
    found = bids(tmp_path, "01", "see", tmp_path / "mask.nii.gz", (4.0, 8.0), 8)
    z = (bold[0, 1, 0] - bold[0, 1, 0].mean(dtype=float)) / bold[0, 1, 0].std(dtype=float)
    np.testing.assert_allclose(found.responses[:2, 0], [z[1], z[3]], rtol=1e-5)


@pytest.mark.parametrize(
    ("events", "window_s", "message"),
    [
        ("onset\tduration\n0\t2\n", (4, 8), "columns onset, duration; expected onset and stim_file"),
        ("onset\tstim_file\nsoon\ta.png\n", (4, 8), "an onset is no number of seconds"),
        ("onset\tstim_file\n0\tn/a\n", (4, 8), "names no picture in any row"),
        ("onset\tstim_file\n0\tc.png\n", (4, 8), r"1 of 1 pictures are missing: c.png"),
        ("onset\tstim_file\n19\ta.png\n", (4, 8), "no volume begins 4 to 8 s after 19 s of 20"),
        ("onset\tstim_file\n0\ta.png\n", (8, 4), "from an earlier time"),
    ],
)
def test_bids_of_another_layout_is_refused(events, window_s, message, tmp_path):
    write_bids(tmp_path, events)
    with pytest.raises(ProsthesisError, match=message):
        bids(tmp_path, "01", "see", tmp_path / "mask.nii.gz", window_s, 8)


def test_bids_without_runs_or_repetition_time_says_what_was_looked_for(tmp_path):
    write_bids(tmp_path, sidecar={"RepetitionTime": 0})
    with pytest.raises(ProsthesisError, match=r"no sub-02/\[ses-\*/\]func/.*openneuro\.org"):
        bids(tmp_path, "02", "see", tmp_path / "mask.nii.gz", (4.0, 8.0), 8)
    with pytest.raises(ProsthesisError, match=r"expected RepetitionTime in sub-01_ses-1_task-see_run-1_bold\.json"):
        bids(tmp_path, "01", "see", tmp_path / "mask.nii.gz", (4.0, 8.0), 8)
