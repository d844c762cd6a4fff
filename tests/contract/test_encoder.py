"""What every encoder promises, for every bundle shipped."""

import numpy as np
import pytest

from prosthesis.bundles.bundle import bundle_names, load_bundle
from prosthesis.encoders import open_encoder
from prosthesis.hops import LatentEncoderConfig, MapEncoderConfig, TextEncoderConfig
from prosthesis.messages import Frame
from prosthesis.protocols import Encoder
from prosthesis.view import Field, View

VIEW = View((0.125, 0.0, 0.875, 1.0), Field(-5.0, 5.0, -5.0, 5.0))
FRAMES = {
    "black": np.zeros((480, 640, 3), np.uint8),
    "white": np.full((120, 160, 3), 255, np.uint8),
    "noise": np.random.default_rng(3).integers(0, 256, (241, 319, 3), dtype=np.uint8),
    "tiny": np.random.default_rng(4).integers(0, 256, (16, 16, 3), dtype=np.uint8),
}


# by the bundle's processor
CONFIGS = {
    "taskmap": lambda **common: MapEncoderConfig(type="map", **common),
    "latent": lambda **common: LatentEncoderConfig(type="latent", **common),
    "reading": lambda **common: TextEncoderConfig(type="text", **common),
}


# bundles of tasks need more than a name; their encoders have tests of their own
NAMES = [name for name in bundle_names() if load_bundle(name).manifest.kind in CONFIGS]


@pytest.fixture(params=[(name, engine) for name in NAMES for engine in ("onnx", "null")], ids="-".join)
def encoder_and_manifest(request):
    name, engine = request.param
    manifest = load_bundle(name).manifest
    config = CONFIGS[manifest.processor.name](model=name, engine=engine)
    return open_encoder(config, VIEW), manifest


def test_a_code_is_stamped_shaped_read_only_and_in_range(encoder_and_manifest):
    encoder, manifest = encoder_and_manifest
    assert isinstance(encoder, Encoder)
    for seq, rgb in enumerate(FRAMES.values(), start=3):
        rgb.flags.writeable = False
        code = encoder.encode(Frame(seq=seq, t_ns=1000 + seq, rgb=rgb), now_ns=5000)
        assert (code.seq, code.t_ns) == (seq, 1000 + seq)
        # a task's processor makes a map of what its graphs find
        assert code.kind == ("latent" if manifest.kind == "latent" else "map")
        assert code.shape == encoder.shape
        if manifest.kind != "task":
            assert code.shape == (manifest.map_shape or manifest.graphs[0].outputs[0].shape[1:])
        assert code.values.shape == (np.prod(code.shape),)
        assert code.values.dtype == np.float32
        assert not code.values.flags.writeable
        assert np.isfinite(code.values).all()
        if code.kind == "map":
            assert code.values.min() >= 0
            assert code.values.max() <= 1


def test_black_is_silence_in_a_map(encoder_and_manifest):
    encoder, manifest = encoder_and_manifest
    if manifest.kind == "latent":
        pytest.skip("black is a picture like any other to a latent encoder")
    assert not encoder.encode(Frame(0, 0, FRAMES["black"]), 0).values.any()


def test_a_later_frame_leaves_an_earlier_code_alone(encoder_and_manifest):
    encoder, _ = encoder_and_manifest
    first = encoder.encode(Frame(0, 0, FRAMES["noise"]), 0).values
    kept = first.copy()
    encoder.encode(Frame(1, 1, FRAMES["white"]), 1)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(encoder.encode(Frame(2, 2, FRAMES["noise"]), 2).values, kept)
