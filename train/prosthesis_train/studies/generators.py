"""How good the shipped generators of clothes are: every score with its controls, from the graphs that users get."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prosthesis.results import Figure, Recipe
from prosthesis_train.artefacts import Artefact, artefact_names, load_artefact
from prosthesis_train.data.images import ImageSet, open_images
from prosthesis_train.methods import classifier
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.networks.bigbigan import Encoder, size_named
from prosthesis_train.scores import card as cards
from prosthesis_train.scores.features import own_classifier
from prosthesis_train.scores.frechet import frechet, normalised
from prosthesis_train.scores.probe import STEPS, Probe, probe
from prosthesis_train.scores.two_afc import wilson

CLOTHES = {"DCGAN": "dcgan-fashion", "BigBiGAN": "bigbigan-fashion"}
SAMPLINGS = (0, 1, 2)  # seeds of the codes: how much a score owes to the draw


def measure() -> Iterator[Figure]:
    """Yield every figure of the page."""
    data = open_images("fashion", 32, 1)
    yield _judge(data)
    for title, name in CLOTHES.items():
        if name in artefact_names():
            yield from _measure_model(title, load_artefact(name), data)
    if CLOTHES["BigBiGAN"] in artefact_names():
        yield from _measure_probes(load_artefact(CLOTHES["BigBiGAN"]), data)
    yield from _measure_domains()


def _judge(data: ImageSet) -> Figure:
    net, sha256 = classifier.load()
    assert data.test_labels is not None
    found = classifier.accuracy(net, data.test, data.test_labels)
    low, high = wilson(round(found * len(data.test)), len(data.test))
    return Figure(f"own classifier {sha256[:12]}: test accuracy", found, "", low, high, "Wilson, 95 %")


def _measure_model(title: str, model: Artefact, data: ImageSet) -> Iterator[Figure]:
    network, some = own_classifier(), np.random.default_rng(0).permutation(len(data.train))[: cards.N]
    train, test = to_float(data.train[some]), to_float(data.test)
    assert data.test_labels is not None
    card = cards.score_card(model.model(), train, test, network, torch.from_numpy(data.test_labels), cards.N)
    distances = _distances(model, test, network.features(test))
    floor, noise = (card.row(name).of_set["distance"] for name in (cards.REAL, cards.NOISE))
    shares = [normalised(d, floor, noise) for d in distances]
    drawn = f"least to most of {len(SAMPLINGS)} draws of codes"
    name = f"{title}, random code: normalised {card.distance}"
    yield Figure(name, float(np.mean(shares)), "", min(shares), max(shares), drawn)
    for row in card.rows:
        yield from _rows(title, card, row)


def _rows(title: str, card: cards.Card, row: cards.Row) -> Iterator[Figure]:
    for name, value in row.of_set.items():
        name = card.distance if name == "distance" else name
        yield Figure(f"{title}, {row.condition}: {name}", value, "", seed=card.seed)
    for name, (value, low, high) in row.of_pairs.items():
        yield Figure(f"{title}, {row.condition}: {name}", value, "", low, high, "95 %", seed=card.seed)


def _distances(model: Artefact, test: torch.Tensor, real: torch.Tensor) -> list[float]:
    network, out = own_classifier(), []
    for seed in SAMPLINGS:
        z = torch.randn(len(test), model.dim_z, generator=torch.Generator().manual_seed(1000 + seed))
        out.append(frechet(real, network.features(cards.in_batches(model.generate, z))))
    return out


def _measure_probes(model: Artefact, data: ImageSet) -> Iterator[Figure]:
    """Probe features and pixels alike; codes too, for the bijection starts from them.

    And an encoder of the same shape that was never trained: random features, more of them than pixels, read well too.
    """
    found = {}
    for name in ("raw pixels", "encoder's features", "encoder's mean codes", "untrained encoder's features"):
        found[name] = _probe(name, model, data)
        p = found[name]
        what = f"Wilson, 95 %; penalty {p.decay:g} by validation"
        yield Figure(f"BigBiGAN, linear probe of {name}: top-1", p.top1, "", p.low, p.high, what)
    gain = found["encoder's features"].top1 - found["raw pixels"].top1
    yield Figure("BigBiGAN, linear probe: features above raw pixels", 100 * gain, "points")
    learnt = found["encoder's features"].top1 - found["untrained encoder's features"].top1
    yield Figure("BigBiGAN, linear probe: features above untrained features", 100 * learnt, "points")


def _probe(name: str, model: Artefact, data: ImageSet) -> Probe:
    parts, untrained = [], _untrained(model, to_float(data.train[:6400]))
    for pictures in (to_float(data.train), to_float(data.test)):
        if name == "encoder's features":
            pictures = cards.in_batches(model.features, pictures)
        elif name == "untrained encoder's features":
            pictures = cards.in_batches(untrained.features, pictures)
        elif name == "encoder's mean codes":
            pictures = cards.in_batches(lambda x: model.encode(x)[0], pictures)
        parts.append(pictures.flatten(1).numpy())
    assert data.train_labels is not None
    assert data.test_labels is not None
    return probe(parts[0], data.train_labels, parts[1], data.test_labels, steps=STEPS)


@torch.no_grad()
def _untrained(model: Artefact, pictures: torch.Tensor) -> Encoder:
    """Return the encoder as its run began, its norms' statistics taken from pictures as after any training."""
    torch.manual_seed(0)
    encoder = Encoder(size_named(model.card["settings"]["size"]), model.card["channels"]).train()
    for k in range(0, len(pictures), 64):
        encoder.features(pictures[k : k + 64])
    return encoder.eval()


def _measure_domains() -> Iterator[Figure]:
    """Repeat what the other models' cards say: their pictures take long to make."""
    for name in artefact_names():
        scores = load_artefact(name).card.get("scores")
        if name in CLOTHES.values() or scores is None:
            continue
        for condition, row in scores["rows"].items():
            title = f"{name}, {condition}"
            yield Figure(f"{title}: {scores['distance']}", row["distance"], "", seed=scores["seed"])
            for what in ("2AFC pixels", "2AFC features"):
                value, low, high = row[what]
                yield Figure(f"{title}: {what}", value, "", low, high, "95 %", seed=scores["seed"])


def draw(folder: Path) -> list[str]:
    """Draw samples, and pictures above their reconstructions, of the shipped models of clothes."""
    canvas = importlib.import_module("matplotlib.figure").Figure(figsize=(11, 8), layout="constrained")
    names = [(title, name) for title, name in CLOTHES.items() if name in artefact_names()]
    axes = canvas.subplots(1, len(names) + 1, squeeze=False)[0]
    shown = to_float(open_images("fashion", 32, 1).test[:60])  # the first, none chosen
    for ax, (title, name) in zip(axes, names, strict=False):
        model = load_artefact(name)
        z = torch.randn(120, model.dim_z, generator=torch.Generator().manual_seed(1))
        ax.imshow(tiled(model.generate(z), 8), cmap="gray")
        ax.set_title(f"{title}: random codes")
        if model.encoder is not None:
            again = model.generate(model.encode(shown)[0])
            pairs = torch.stack([shown.reshape(15, 4, 1, 32, 32), again.reshape(15, 4, 1, 32, 32)], 2)
            axes[-1].imshow(tiled(pairs.reshape(120, 1, 32, 32), 8), cmap="gray")
            axes[-1].set_title(f"{title}: test picture, G(E(x))")
    for ax in axes:
        ax.axis("off")
    canvas.savefig(folder / "generators.png", dpi=90)
    return ["generators.png"]


def tiled(images: torch.Tensor, columns: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return pictures f32[n,c,h,w] in [-1,1] as one sheet u8[rows h, columns w] or u8[rows h, columns w, 3]."""
    n, c, h, w = images.shape
    rows = images[: n // columns * columns].reshape(-1, columns, c, h, w).permute(0, 3, 1, 4, 2)
    sheet = rows.reshape(-1, columns * w, c).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    return sheet[..., 0] if c == 1 else sheet


RECIPE = Recipe(
    "Generators of clothes, scored with their controls",
    "Fashion-MNIST at 32 pixels; 10,000 pictures of each condition against the 10,000 test pictures. The distance is "
    "that of our own classifier's features, so it compares with no published FID; normalised, 0 is as near as real "
    "training pictures come, 1 is noise. 2AFC: of a picture's own reconstruction and another's, which correlates "
    "better with it; chance is 0.5. A distance between sets is blind to the pairing, as the rows of random codes and "
    "of permuted pairs show. Other models' figures are repeated from their cards.",
    lambda: list(measure()),
    draw,
)
