"""How well repeats of a trial agree: what no reader and no model can exceed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prosthesis.errors import ProsthesisError
from prosthesis_train.scores.reader.reading import Array

LEAST_RELIABILITY = 0.05  # below it a site's ceiling is within noise of 0, and dividing by it means nothing


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Mean responses f64[n,alive] of the sites that can be scored, and their ceilings f64[alive].

    ``ceiling`` is None when nothing was repeated: then nothing can be corrected. ``dead`` sites answer every picture
    alike, ``unreliable`` ones disagree with themselves; both are counted and left out. ``kept`` bool[sites].
    """

    mean: Array
    ceiling: Array | None
    kept: Array
    dead: int
    unreliable: int


def reliability(repeats: Array) -> Array:
    """Return, per site, the share of the mean response's variance over pictures that repeats share, at most 1.

    ``repeats`` f[r,n,sites], r >= 2: mean covariance of two repeats over the variance of their mean (Cronbach's alpha,
    1951). A prediction of the true rates correlates with the mean at most by its root. Constant sites have 0.
    """
    r = len(repeats)
    centred = repeats - repeats.mean(1, keepdims=True)
    of_mean = centred.mean(0).var(0)
    own = centred.var(1).mean(0)
    shared = (r * of_mean - own) / (r - 1)
    alive = of_mean > 1e-12 * (1 + np.square(repeats).mean((0, 1)))
    share: Array = np.divide(shared, of_mean, out=np.zeros_like(of_mean), where=alive)
    return share.clip(0, 1)


def scored_sites(repeats: Array) -> Sites:
    """Return what can be scored of measured responses f[repeats,n,sites].

    Raises ``ProsthesisError`` when no site is left.
    """
    repeats = np.asarray(repeats, np.float64)
    mean = repeats.mean(0)
    alive = mean.var(0) > 1e-12 * (1 + np.square(mean).mean(0))
    shared = reliability(repeats) if len(repeats) > 1 else None
    kept = alive if shared is None else alive & (shared >= LEAST_RELIABILITY)
    dead, unreliable = int((~alive).sum()), int((alive & ~kept).sum())
    if not kept.any():
        raise ProsthesisError(
            f"responses: no site can be scored ({dead} dead, {unreliable} unreliable); leave them out"
        )
    return Sites(mean[:, kept], None if shared is None else np.sqrt(shared[kept]), kept, dead, unreliable)
