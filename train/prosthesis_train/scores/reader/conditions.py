"""The rows of a reader's card: the reader itself, and every control without which its scores mean nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prosthesis_train.scores.card import Model, in_batches
from prosthesis_train.scores.reader.reading import Array, Reading

CEILING, BOUND = "the pictures themselves (noise ceiling)", "G(E(x)), codes of the pictures"
RANDOM, MEAN = "random code", "mean code"
PERMUTED = "{}, pairs permuted"

Respond = Callable[[Tensor], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Pictures f32[n,c,h,w] and codes f[n,d] that stand for the test pictures, and responses f[repeats,n,sites].

    ``role`` is "bound" (has seen the picture), "reader" or "control" (has seen neither picture nor brain).
    """

    name: str
    role: str
    images: Tensor
    codes: Array
    again: Array | None


def conditions(reading: Reading, model: Model, respond: Respond | None, seed: int) -> Iterator[Condition]:
    """Yield every row's condition; ``respond`` gives expected responses f[n,sites] to pictures."""
    rng, shape = np.random.default_rng(seed), reading.decoded_codes.shape
    shown, true = torch.from_numpy(reading.shown).float(), reading.true_codes

    def condition(name: str, role: str, images: Tensor, codes: Array) -> Condition:
        return Condition(name, role, images, codes, None if respond is None else np.asarray(respond(images))[None])

    yield condition(CEILING, "bound", shown, true)
    yield condition(BOUND, "bound", generated(model, true), true)
    reader = condition(reading.name, "reader", reconstructions(reading, model), reading.decoded_codes)
    if reading.responses_again is not None:
        reader = Condition(reader.name, reader.role, reader.images, reader.codes, reading.responses_again)
    yield reader
    order = derangement(reading.n, rng)
    again = None if reader.again is None else reader.again[:, order]
    yield Condition(PERMUTED.format(reading.name), "control", reader.images[order], reader.codes[order], again)
    random = rng.standard_normal(shape).astype(np.float32)
    yield condition(RANDOM, "control", generated(model, random), random)
    mean = true.mean(0, keepdims=True)
    images = generated(model, mean).expand(reading.n, -1, -1, -1)
    yield condition(MEAN, "control", images, np.repeat(mean, reading.n, 0))


def reconstructions(reading: Reading, model: Model) -> Tensor:
    """Return the reader's own pictures, or the generator's of its codes."""
    if reading.reconstructions is not None:
        return torch.from_numpy(reading.reconstructions).float()
    return generated(model, reading.decoded_codes)


def generated(model: Model, codes: Array) -> Tensor:
    """Return G(codes)."""
    return in_batches(model.generate, torch.from_numpy(np.ascontiguousarray(codes, np.float32)))


def derangement(n: int, rng: np.random.Generator) -> Array:
    """Return a random order in which nothing keeps its place: one cycle through all."""
    cycle, order = rng.permutation(n), np.empty(n, np.int64)
    order[cycle] = np.roll(cycle, 1)
    return order
