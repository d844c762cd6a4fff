"""The score card: one table of scores in which every control has its row, so no number stands alone.

Distances between sets cannot see which picture belongs to which: random codes, which have seen no picture at all, may
score best of all. So the pairing columns and the controls are never left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.features import FeatureNetwork
from prosthesis_train.scores.frechet import frechet, normalised
from prosthesis_train.scores.inception import inception_score
from prosthesis_train.scores.kid import kid
from prosthesis_train.scores.manifold import manifold, radii
from prosthesis_train.scores.two_afc import two_afc, wilson

PICTURES, REAL, NOISE = "the pictures themselves", "real against real (floor)", "noise"
RANDOM, MEAN, RECONSTRUCTED, PERMUTED = "random code", "mean code", "G(E(x))", "G(E(x)), pairs permuted"
NEIGHBOURS = 5
N = 10_000  # Frechet distances are biased in n: only scores of one n compare


@dataclass(frozen=True, slots=True)
class Model:
    """``generate`` maps codes f32[n,dim_z] to pictures f32[n,c,h,w] in [-1,1]; ``encode`` back to mean codes."""

    name: str
    dim_z: int
    generate: Callable[[Tensor], Tensor]
    encode: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One condition: scores of the set by name, then (value, low, high) of what needs pairs with the test pictures."""

    condition: str
    of_set: dict[str, float]
    of_pairs: dict[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Card:
    """All rows, the network that made them, and how many pictures each has."""

    model: str
    network: str
    distance: str
    n: int
    seed: int
    rows: tuple[Row, ...]

    def row(self, condition: str) -> Row:
        """Return a condition's row."""
        return next(row for row in self.rows if row.condition == condition)

    def normalised(self, condition: str) -> float:
        """Return (distance - floor) / (noise - floor) of a condition."""
        floor, noise = (self.row(name).of_set["distance"] for name in (REAL, NOISE))
        return normalised(self.row(condition).of_set["distance"], floor, noise)


def score_card(
    model: Model,
    train: Tensor,
    test: Tensor,
    network: FeatureNetwork,
    test_labels: Tensor | None = None,
    n: int = N,
    seed: int = 0,
) -> Card:
    """Score ``n`` samples of a model, and every control, against ``n`` test pictures f32[m,c,h,w] in [-1,1].

    Labels of the test pictures, numbered as the network's classes are, add the classifier's top-1.
    """
    if min(len(train), len(test)) < n:
        raise ProsthesisError(f"{n} pictures are wanted of each part; there are {len(train)} and {len(test)}")
    generator = torch.Generator().manual_seed(seed)
    shown = test[torch.randperm(len(test), generator=generator)[:n]] if n < len(test) else test
    labels = None
    if test_labels is not None:
        order = torch.Generator().manual_seed(seed)
        labels = test_labels[torch.randperm(len(test), generator=order)[:n]] if n < len(test) else test_labels
    real = network(shown)
    radius, rows = radii(real[0], NEIGHBOURS), []
    for name, images in _conditions(model, train, shown, generator):
        made = real if images is shown else network(images)
        rows.append(Row(name, _of_set(real, made, radius), _of_pairs((shown, real[0]), (images, *made), labels)))
    return Card(model.name, network.label(), network.distance, n, seed, tuple(rows))


def _conditions(model: Model, train: Tensor, shown: Tensor, generator: torch.Generator) -> list[tuple[str, Tensor]]:
    """Return each condition's pictures, row i standing for picture i where the condition knows of it."""
    n = len(shown)
    z = torch.randn(n, model.dim_z, generator=generator)
    out = [
        (PICTURES, shown),
        (REAL, train[torch.randperm(len(train), generator=generator)[:n]]),
        (NOISE, torch.rand(shown.shape, generator=generator) * 2 - 1),
        (RANDOM, in_batches(model.generate, z)),
    ]
    codes = in_batches(model.encode, shown) if model.encode else None
    mean = torch.zeros(1, model.dim_z) if codes is None else codes.mean(0, keepdim=True)
    out.append((MEAN, model.generate(mean).expand(n, -1, -1, -1)))
    if codes is not None:
        made = in_batches(model.generate, codes)
        # by half the set: no picture keeps its own, and neighbours in the file part
        out += [(RECONSTRUCTED, made), (PERMUTED, made.roll(n // 2, 0))]
    return out


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], inputs: Tensor, batch: int = 250) -> Tensor:
    """Return ``function`` of all rows."""
    return torch.cat([function(inputs[k : k + batch]) for k in range(0, len(inputs), batch)])


def _of_set(real: tuple[Tensor, Tensor], made: tuple[Tensor, Tensor], radius: Tensor) -> dict[str, float]:
    shares = manifold(real[0], made[0], NEIGHBOURS, radius)
    out = {"distance": frechet(real[0], made[0]), "KID": kid(real[0], made[0]).value}
    if made[1].shape[1] > 1:
        out["inception score"] = inception_score(made[1]).value
    return out | {
        "precision": shares.precision,
        "recall": shares.recall,
        "density": shares.density,
        "coverage": shares.coverage,
    }


def _of_pairs(
    shown: tuple[Tensor, Tensor], made: tuple[Tensor, Tensor, Tensor], labels: Tensor | None
) -> dict[str, tuple[float, float, float]]:
    """Compare pictures and features of what was shown with pictures, features and probabilities of what was made."""
    pixels, deep = two_afc(shown[0], made[0]), two_afc(shown[1], made[1])
    out = {
        "2AFC pixels": (pixels.share, pixels.low, pixels.high),
        "2AFC features": (deep.share, deep.low, deep.high),
    }
    if labels is not None:
        right = int((made[2].argmax(1) == labels).sum())
        out["top-1"] = (right / len(labels), *wilson(right, len(labels)))
    return out


def table(card: Card) -> str:
    """Return the card as a Markdown table, with its network, its number of pictures and every control."""
    sets, pairs = list(card.rows[0].of_set), list(card.rows[0].of_pairs)
    head = ["condition", card.distance, "normalised", *sets[1:], *pairs]
    lines = [
        f"{card.model}: {card.n} pictures a row against {card.n} test pictures; {card.distance} by {card.network}.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in card.rows:
        cells = [row.condition, f"{row.of_set['distance']:.4g}", f"{card.normalised(row.condition):.4f}"]
        cells += [f"{row.of_set[name]:.4g}" for name in sets[1:]] + [f"{row.of_pairs[name][0]:.3f}" for name in pairs]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
