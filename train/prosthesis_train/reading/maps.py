"""Every map by name, and the one to use: ``fit_map(kind, machine, brain)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prosthesis.codemap import CodeMap
from prosthesis.errors import ProsthesisError
from prosthesis_train.reading import linear
from prosthesis_train.reading.bijection import bijection
from prosthesis_train.reading.judging import correlation, latent_error

F64 = npt.NDArray[np.float64]
Fit = Callable[[F64, F64, int], CodeMap]
FOLDS = 3
SCARCE, FINE_FOLDS = 2000, 10  # three folds of so few trials favour maps that all of them would not
KEPT = 0.95  # of the best encoder's r, in the bijection
EXPONENTS, SHRINKS = (1.0, 0.75, 0.5, 0.25, 0.0, -0.5, -1.0), (0.05, 0.3)


def _linear(fit: Callable[[F64, F64], CodeMap]) -> Fit:
    return lambda machine, brain, seed: fit(machine, brain)


KINDS: dict[str, Fit] = {
    "ols": _linear(linear.ols),
    "gls": _linear(linear.gls),
    "ridge": _linear(linear.ridge),
    "two maps": _linear(linear.two_maps),
    "procrustes": _linear(linear.procrustes),
    "pca": _linear(linear.pca),
    "bijection": lambda machine, brain, seed: bijection(machine, brain, seed),
    "chosen": lambda machine, brain, seed: choose(machine, brain, seed).code_map,
}


def fit_map(kind: str, machine: F64, brain: F64, seed: int = 0) -> CodeMap:
    """Fit one kind of map to codes f64[N, d] and responses f64[N, n] of the same N trials.

    Raises ``ProsthesisError`` for an unknown kind, sides of different length, too few trials or numbers not finite.

    >>> random = np.random.default_rng(0)
    >>> codes = random.standard_normal((200, 3))
    >>> rates = codes @ random.standard_normal((3, 8)) + 10  # eight sites, no noise
    >>> found = fit_map("gls", codes, rates)
    >>> bool(np.allclose(found.to_brain(codes), rates)), bool(np.allclose(found.to_machine(rates), codes))
    (True, True)
    """
    if kind not in KINDS:
        raise ProsthesisError(f"no map is called '{kind}'; there are: {', '.join(KINDS)}")
    check(machine, brain)
    return replace(KINDS[kind](np.asarray(machine, np.float64), np.asarray(brain, np.float64), seed), name=kind)


def check(machine: F64, brain: F64) -> None:
    """Raise ``ProsthesisError`` when the two sides cannot be a map's trials."""
    if machine.ndim != 2 or brain.ndim != 2 or len(machine) != len(brain):
        raise ProsthesisError(
            f"codes {machine.shape} and responses {brain.shape}: both should have one row for each of the same trials"
        )
    if len(machine) < 4 * FOLDS:
        raise ProsthesisError(f"{len(machine)} trials are too few to fit and judge a map; give at least {4 * FOLDS}")
    for name, side in (("codes", machine), ("responses", brain)):
        bad = np.flatnonzero(~np.isfinite(side).all(0))
        if len(bad):
            raise ProsthesisError(f"{name}: column {bad[0]} and {len(bad) - 1} more hold NaN or infinity; clean them")
        if not side.std(0).any():
            raise ProsthesisError(f"{name}: nothing varies from trial to trial, so there is nothing to map")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A map tried by cross-validation, per fold f64[folds]: both errors as shares of variance, and the mean r."""

    name: str
    decoding: F64
    encoding: F64
    r: F64

    @property
    def both(self) -> float:
        """Return the sum of both errors, averaged over folds."""
        return float((self.decoding + self.encoding).mean())

    def not_worse_than(self, other: Candidate, kept: float) -> bool:
        """Return whether it decodes no worse, and keeps the share ``kept`` of the other's encoding r.

        Both by at least two standard errors over the folds that both were tried on.
        """
        return _not_below_zero(other.decoding - self.decoding) and _not_below_zero(self.r - kept * other.r)


def _not_below_zero(gain: F64) -> bool:
    return bool(gain.mean() >= 2 * gain.std(ddof=1) / np.sqrt(len(gain)))


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen map, fitted to all trials, and how every candidate did; ``tried[0]`` is ``gls``."""

    code_map: CodeMap
    chosen: str
    tried: tuple[Candidate, ...]


def choose(machine: F64, brain: F64, seed: int = 0) -> Choice:
    """Choose an exact map by cross-validation within these trials, and fit it to all of them.

    The least sum of decoding and encoding error wins. A linear map may win only if it is in neither direction worse
    than ``gls``, the OLS encoder with its generalised-least-squares inverse; the bijection may give up 5 % of the
    encoding r for what it gains in decoding. It needs more than ``SCARCE`` trials to be tried.
    """
    scarce = len(machine) <= SCARCE
    linears = _tried(_linears, machine, brain, FINE_FOLDS if scarce else FOLDS, seed)
    best, tried = min((c for c in linears.values() if c.not_worse_than(linears["gls"], 1.0)), key=_both), linears
    if not scarce:
        ours = _tried(_bijection, machine, brain, FOLDS, seed)["bijection"]
        tried = {**linears, ours.name: ours}
        if ours.both < best.both and ours.not_worse_than(linears["gls"], KEPT):
            best = ours
    fit = _bijection if best.name == "bijection" else _linears
    return Choice(fit(machine, brain, seed)[best.name], best.name, tuple(tried.values()))


def _both(candidate: Candidate) -> float:
    return candidate.both


def _linears(machine: F64, brain: F64, seed: int) -> dict[str, CodeMap]:
    pairs = [linear.canonical(machine, brain, shrink) for shrink in SHRINKS]
    maps = (linear.gls(machine, brain), *(one.at(exponent) for exponent in EXPONENTS for one in pairs))
    return {found.name: found for found in maps}


def _bijection(machine: F64, brain: F64, seed: int) -> dict[str, CodeMap]:
    return {"bijection": KINDS["bijection"](machine, brain, seed)}


def _tried(
    fit: Callable[[F64, F64, int], dict[str, CodeMap]], machine: F64, brain: F64, folds: int, seed: int
) -> dict[str, Candidate]:
    order, scores = np.random.default_rng(seed).permutation(len(machine)) % folds, dict[str, list[tuple[float, ...]]]()
    for fold in range(folds):
        own, other = order != fold, order == fold
        spread = linear.spread_of(brain[own])
        for name, code_map in fit(machine[own], brain[own], seed).items():
            encoded = code_map.to_brain(machine[other])
            wrong = np.square((encoded - brain[other]) / spread).mean()
            decoded = latent_error(code_map.to_machine(brain[other]), machine[other])
            r = correlation(encoded, brain[other]).mean()
            scores.setdefault(name, []).append((decoded, float(wrong), float(r)))
    return {name: Candidate(name, *np.array(rows).T) for name, rows in scores.items()}
