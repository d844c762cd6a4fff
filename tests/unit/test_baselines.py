"""The graphs against the same definitions written with numpy, scipy and OpenCV, and against closed forms."""

import json
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from prosthesis.bundles.bundle import MODELS, load_bundle
from prosthesis.engines import open_engine

TASKS = ("luminance", "edges", "contrast", "saliency")
SIDES = (32, 64)
FLOOR = 255 / 64


@cache
def engine(task, side):
    return open_engine(load_bundle(f"{task}-{side}"), "onnx")


def run(task, rgb):
    side = rgb.shape[0] // 4
    return engine(task, side).run({"frame": rgb[None]})["map"][0].astype(float)


def luma(rgb):
    return rgb.astype(float) @ (0.2126, 0.7152, 0.0722)


def block_mean(image, block):
    h, w = image.shape
    return image.reshape(h // block, block, w // block, block).mean((1, 3))


def relative(image):
    return image / max(image.max(), FLOOR)


def luminance_oracle(rgb):
    return block_mean(luma(rgb), 4) / 255


def edges_oracle(rgb):
    wide = np.pad(block_mean(luma(rgb), 2), 3, mode="edge")
    binomial = np.array([1, 4, 6, 4, 1]) / 16
    smooth = ndimage.correlate1d(ndimage.correlate1d(wide, binomial, 0), binomial, 1)
    magnitude = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / 8
    return relative(block_mean(magnitude[3:-3, 3:-3], 2))


def contrast_oracle(rgb):
    def window(image):  # two boxes of four, one leaning each way
        for axis in (0, 1):
            image = ndimage.correlate1d(image, np.convolve(np.ones(4), np.ones(4)) / 16, axis, mode="nearest")
        return image

    half = block_mean(luma(rgb), 2)
    return np.minimum(2 * np.sqrt(block_mean(window((half - window(half)) ** 2), 2)) / 255, 1)


def saliency_oracle(rgb):
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    channels = (luma(rgb), red - green, blue - (red + green) / 2)
    return relative(sum(_conspicuity(block_mean(channel, 4)) for channel in channels) / 3)


def _conspicuity(cells):
    scales = [cells]
    for _ in range(4):
        wide = np.pad(scales[-1], 1, mode="edge")
        for axis in (0, 1):
            wide = ndimage.correlate1d(wide, np.array([1, 3, 3, 1]) / 8, axis, origin=-2)
        scales.append(wide[:-2:2, :-2:2])
    fine, coarse = (sum(abs(scales[centre] - enlarge(scales[centre + d], d)) for d in (2, 3)) for centre in (0, 1))
    return (fine + enlarge(coarse, 1)) / 4


def enlarge(image, octaves):
    for _ in range(octaves):
        image = cv2.resize(image, (image.shape[1] * 2, image.shape[0] * 2), interpolation=cv2.INTER_LINEAR)
    return image


ORACLES = {
    "luminance": luminance_oracle,
    "edges": edges_oracle,
    "contrast": contrast_oracle,
    "saliency": saliency_oracle,
}


def picture(side, seed, blur):
    noise = np.random.default_rng(seed).integers(0, 256, (4 * side, 4 * side, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise


@pytest.mark.parametrize("blur", [0, 2, 9])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("task", TASKS)
def test_a_graph_is_its_definition(task, side, blur):
    rgb = picture(side, 5 + blur, blur)
    # the graph's luma weights are rounded to 1/1024
    np.testing.assert_allclose(run(task, rgb), ORACLES[task](rgb), atol=2e-3)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("task", TASKS)
def test_black_is_exactly_silence(task, side):
    assert not run(task, np.zeros((4 * side, 4 * side, 3), np.uint8)).any()


@pytest.mark.parametrize("side", SIDES)
def test_white_is_exactly_one_and_nothing_is_stretched(side):
    for grey in (255, 128, 1):
        rgb = np.full((4 * side, 4 * side, 3), grey, np.uint8)
        assert (run("luminance", rgb) == np.float32(grey) / np.float32(255)).all()


@given(colour=st.tuples(*[st.integers(0, 255)] * 3), side=st.sampled_from(SIDES))
@pytest.mark.parametrize("task", ["edges", "contrast", "saliency"])
def test_a_flat_frame_of_any_colour_is_exactly_silence(task, colour, side):
    rgb = np.empty((4 * side, 4 * side, 3), np.uint8)
    rgb[:] = colour
    assert not run(task, rgb).any()


@st.composite
def hard_frames(draw):
    """Random, two-coloured, checkered and striped frames: what divisions and square roots dislike."""
    side = draw(st.sampled_from(SIDES))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (4 * side, 4 * side, 3)
    kind = draw(st.sampled_from(["noise", "sparse", "checkers", "stripes", "faint"]))
    if kind == "noise":
        return random.integers(0, 256, shape, dtype=np.uint8)
    if kind == "faint":
        return (draw(st.integers(0, 254)) + random.integers(0, 2, shape)).astype(np.uint8)
    if kind == "sparse":
        return (255 * (random.random(shape) < 1e-4)).astype(np.uint8)
    period = draw(st.integers(1, 40))
    rows, columns = np.indices(shape[:2]) // period
    on = (columns if kind == "stripes" else rows + columns) % 2
    return np.where(on[:, :, None], random.integers(0, 256, 3), random.integers(0, 256, 3)).astype(np.uint8)


@given(rgb=hard_frames())
@pytest.mark.parametrize("task", TASKS)
def test_no_frame_gives_nan_or_leaves_0_to_1(task, rgb):
    seen = run(task, rgb)
    assert np.isfinite(seen).all()
    assert seen.min() >= 0
    assert seen.max() <= 1


@pytest.mark.parametrize("flip", [False, True], ids=["upright", "lying"])
def test_a_step_edge_is_where_it_is_and_as_strong_as_computed_by_hand(flip):
    """A step of h between two cells: smoothed central differences of 10 h / 32 and 5 h / 32 in the cell beside it."""
    for step in (1, 5, 15):
        rgb = np.full((128, 128, 3), 100, np.uint8)
        rgb[:, 64:] += np.uint8(step)
        seen = run("edges", rgb.transpose(1, 0, 2).copy() if flip else rgb)
        seen = seen.T if flip else seen
        np.testing.assert_allclose(seen[:, 15:17], step * 7.5 / 32 / FLOOR, rtol=1e-5)
        np.testing.assert_allclose(seen[:, [14, 17]], step * 0.5 / 32 / FLOOR, rtol=1e-4)
        assert not seen[:, :14].any()
        assert not seen[:, 18:].any()


def test_a_strong_edge_is_relative_to_itself():
    rgb = np.zeros((128, 128, 3), np.uint8)
    rgb[:, 64:] = 255
    seen = run("edges", rgb)
    assert (seen[:, 15:17] == 1).all()


@pytest.mark.parametrize("width", [2, 4])
def test_stripes_have_the_rms_contrast_of_half_their_difference(width):
    columns = np.arange(128) // width % 2
    rgb = np.repeat(np.where(columns, 180, 60).astype(np.uint8)[None, :, None], 128, 0).repeat(3, 2)
    inside = run("contrast", rgb)[:, 4:-4]  # away from the rim, where repeated values widen a stripe
    np.testing.assert_allclose(inside, 120 / 255, rtol=1e-5)


@pytest.mark.parametrize(
    ("ground", "spot"), [((90, 90, 90), (170, 170, 170)), ((0, 100, 0), (255, 24, 0)), ((100, 100, 0), (80, 80, 255))]
)
@pytest.mark.parametrize("side", SIDES)
def test_the_odd_spot_is_the_most_salient_place(ground, spot, side):
    """The second and third pair differ little in luma: colour opponency must find them."""
    rgb = np.empty((4 * side, 4 * side, 3), np.uint8)
    rgb[:] = ground
    rgb[40:48, 80:88] = spot
    seen = run("saliency", rgb)
    row, column = np.unravel_index(seen.argmax(), seen.shape)
    assert (row in (10, 11), column in (20, 21)) == (True, True)
    assert seen[10:12, 20:22].min() > 3 * seen[20:, :10].max()


def manifest_without_hash(folder):
    """Another protobuf may write the same graph in other bytes; that the hash fits them is load_bundle's business."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["graphs"][0]["sha256"]
    return manifest


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("task", TASKS)
def test_the_committed_bundle_is_what_the_script_builds(task, side, tmp_path):
    onnx = pytest.importorskip("onnx")
    from prosthesis_export.baselines import build_bundle

    built, committed = build_bundle(task, side, tmp_path), MODELS / f"{task}-{side}"
    assert onnx.load(built / "graph.onnx") == onnx.load(committed / "graph.onnx")
    assert manifest_without_hash(built) == manifest_without_hash(committed)


def test_the_script_writes_every_bundle_into_the_folder_given(tmp_path):
    pytest.importorskip("onnx")
    from prosthesis_export.baselines import main

    main(["--out", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {f"{task}-{side}" for task in TASKS for side in SIDES}
    for folder in tmp_path.iterdir():
        load_bundle(folder)


def test_the_graphs_are_small_old_enough_and_name_no_sources():
    onnx = pytest.importorskip("onnx")
    for task in TASKS:
        for side in SIDES:
            model = onnx.load(MODELS / f"{task}-{side}" / "graph.onnx")
            assert model.ir_version <= 9
            assert [entry.version for entry in model.opset_import] == [18]
            assert not model.metadata_props
            assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
            assert not any(tensor.external_data for tensor in model.graph.initializer)
    folders = [MODELS / f"{task}-{side}" for task in TASKS for side in SIDES]
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 300_000
