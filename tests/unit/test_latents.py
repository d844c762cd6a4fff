"""A latent bundle is the shipped encoder on the camera's bytes, and its generator."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the desk needs prosthesis[train]")
pytest.importorskip("onnxruntime", reason="running graphs needs prosthesis[laptop]")
pytest.importorskip("onnx", reason="export needs prosthesis[export]")

from prosthesis.bundles.bundle import load_bundle  # noqa: E402
from prosthesis.encoders import open_encoder  # noqa: E402
from prosthesis.encoders.latent import code_length  # noqa: E402
from prosthesis.engines.onnx import OnnxEngine  # noqa: E402
from prosthesis.errors import ConfigError, ProsthesisError  # noqa: E402
from prosthesis.hops import LatentEncoderConfig, MapEncoderConfig  # noqa: E402
from prosthesis.messages import Frame  # noqa: E402
from prosthesis.view import Field, View  # noqa: E402
from prosthesis_export.latents import build_latent, encoder_graph  # noqa: E402
from prosthesis_train.artefacts import load_artefact  # noqa: E402

WHOLE = View((0.0, 0.0, 1.0, 1.0), Field(-5.0, 5.0, -5.0, 5.0))
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def artefact():
    return load_artefact("bigbigan-fashion")


@pytest.fixture(scope="module")
def folder(artefact, tmp_path_factory):
    return build_latent(artefact, tmp_path_factory.mktemp("models"))


def test_the_code_is_the_encoders_mean_of_the_luma_in_minus_one_to_one(artefact, folder):
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    encoder = open_encoder(LatentEncoderConfig(type="latent", model=str(folder)), WHOLE)
    code = encoder.encode(Frame(3, 4, rgb), 0)
    luma = rgb @ (np.array([218, 732, 74]) / 1024)
    expected = artefact.encode(torch.from_numpy((luma / 127.5 - 1).astype(np.float32))[None, None])[0][0]
    assert (code.seq, code.t_ns, code.kind, code.shape) == (3, 4, "latent", (artefact.dim_z,))
    assert code.values == pytest.approx(expected.numpy(), abs=1e-5)


def test_the_second_graph_is_the_generator(artefact, folder):
    bundle = load_bundle(folder)
    graph = bundle.manifest.graphs[1]
    z = np.random.default_rng(1).normal(size=(1, artefact.dim_z)).astype(np.float32)
    picture = OnnxEngine(bundle.graph_path(graph)).run({graph.inputs[0].name: z})[graph.outputs[0].name]
    assert picture.shape == graph.outputs[0].shape
    assert picture == pytest.approx(artefact.generate(torch.from_numpy(z)).numpy(), abs=1e-5)


def test_built_twice_it_is_the_same_to_the_byte(artefact, folder, tmp_path):
    again = build_latent(artefact, tmp_path)
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_an_engine_that_runs_nothing_gives_a_code_of_zeros(folder):
    encoder = open_encoder(LatentEncoderConfig(type="latent", model=str(folder), engine="null"), WHOLE)
    assert not encoder.encode(Frame(0, 0, np.zeros((16, 16, 3), np.uint8)), 0).values.any()


def test_a_bundle_of_the_other_kind_is_refused_both_ways(folder):
    assert code_length(load_bundle(folder)) == 80
    with pytest.raises(ConfigError, match=r"manifest\.json: processor latent 1 runs a graph from uint8"):
        open_encoder(LatentEncoderConfig(type="latent", model="edges-32"), WHOLE)
    with pytest.raises(ConfigError, match="processor taskmap 1"):
        open_encoder(MapEncoderConfig(type="map", model=str(folder)), WHOLE)


def test_an_encoder_of_neither_gray_nor_colour_is_refused():
    with pytest.raises(ProsthesisError, match="2 channels has no camera"):
        encoder_graph(None, 32, 2, 80)
