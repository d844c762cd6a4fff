"""Ten-way identification of the figures that a real V1 saw: leave one repeat out, its null measured beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prosthesis.results import Figure
from prosthesis_train.data.responses import Recordings, clean, miyawaki
from prosthesis_train.data.responses.miyawaki import HOW, VARIABLE

F64 = npt.NDArray[np.float64]
RIDGE = 1.0  # over the mean eigenvalue of the trials' Gram matrix; fixed in advance
PERMUTATIONS = 500
SEED = 0
WILSON_Z = 1.959964


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Return identification with its Wilson interval and its null; nothing when the file is absent."""
    path = os.environ.get(VARIABLE)
    if not path or not Path(path).is_file():
        say(f"recordings: no figures, for the Miyawaki file is absent. {HOW}")
        return []
    seen = clean(miyawaki(Path(path)))
    right, null = identified(seen, None), permuted(seen, PERMUTATIONS, SEED)
    say(f"recordings: identified {right.mean():.3f}, null {null.mean():.3f}")
    low, high = wilson(int(right.sum()), len(right))
    ends = [float(e) for e in np.percentile(null, [2.5, 97.5])]
    least = float((1 + (null >= right.mean()).sum()) / (1 + len(null)))
    how = f"{PERMUTATIONS} permutations of figures within each repeat"
    trials = f"Wilson 95 % over {len(right)} trials"
    return [
        Figure(
            "Miyawaki V1, 10-way identification, leave one repeat out", float(right.mean()), "share", low, high, trials
        ),
        Figure("the same, figures permuted", float(null.mean()), "share", *ends, f"95 % of {how}", SEED),
        Figure("chance of the identification under the null", least, "p", None, None, how, SEED),
    ]


def identified(seen: Recordings, random: np.random.Generator | None) -> F64:
    """Return f64[trials], 1.0 where a trial's decoded pixels correlate best with its own figure.

    With ``random`` the figures are permuted within each repeat first. Figures are those that training saw too, so this
    is identification, not reconstruction of a new one.
    """
    if seen.stimuli is None:
        raise ValueError("identification needs the stimuli")
    pixels = seen.stimuli.reshape(len(seen.stimuli), -1).astype(np.float64)
    image, repeats, right = seen.image.copy(), seen.repeats, np.zeros(len(seen.image))
    if random is not None:
        for repeat in np.unique(repeats):
            now = repeats == repeat
            image[now] = random.permutation(image[now])
    for held in np.unique(repeats):
        test, train = repeats == held, repeats != held
        decoded = _ridge(seen.responses[train], pixels[image[train]], seen.responses[test])
        right[test] = np.argmax(_correlation(decoded, pixels), axis=1) == image[test]
    return right


def permuted(seen: Recordings, times: int, seed: int) -> F64:
    """Return the share identified f64[times] when figures are permuted."""
    random = np.random.default_rng(seed)
    return np.array([identified(seen, random).mean() for _ in range(times)])


def wilson(right: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    p, z2 = right / trials, WILSON_Z**2 / trials
    middle = (p + z2 / 2) / (1 + z2)
    half = WILSON_Z * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _ridge(known: F64, wanted: F64, asked: F64) -> F64:
    """Return the ridge prediction for ``asked``, standardised by the training trials, in its dual form."""
    mean, sd = known.mean(axis=0), known.std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    known, asked = (known - mean) / sd, (asked - mean) / sd
    gram = known @ known.T
    weights = np.linalg.solve(
        gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)), wanted - wanted.mean(axis=0)
    )
    return np.asarray(wanted.mean(axis=0) + asked @ known.T @ weights)


def _correlation(a: F64, b: F64) -> F64:
    """Return Pearson's r between rows of a and rows of b."""
    a, b = (m - m.mean(axis=1, keepdims=True) for m in (a, b))
    norms = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.asarray((a @ b.T) / np.where(norms > 0, norms, 1.0))
