"""What a brain reader is scored on: pictures shown, their codes, the codes it decoded, and measured responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError

Array = npt.NDArray[Any]
MOST = 5000  # 2AFC ranks all pairs: memory goes with the square
LEAST_REFITS = 99  # fewer can never show a rarity of one in a hundred


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One reader's answers to ``n`` test trials; row i of every array belongs to picture i.

    ``shown`` f32[n,c,h,w] in [-1,1]; ``true_codes`` and ``decoded_codes`` f[n,d]; ``training_trials`` is N, with which
    the reader was fitted. Optional: ``reconstructions`` f32[n,c,h,w] (else the generator makes them of the decoded
    codes); ``responses`` f[repeats,n,sites] measured to the shown pictures, and ``responses_again``
    f[repeats,n,sites] to the reconstructed ones; ``labels`` i[n] numbered as the network's classes; ``null_codes``
    f[refits,n,d], decoded by the same reader fitted again to permuted training pairs.
    Raises ``ProsthesisError`` for lengths that differ, numbers that are not finite, or fewer than three trials.
    """

    name: str
    shown: Array
    true_codes: Array
    decoded_codes: Array
    training_trials: int
    reconstructions: Array | None = None
    responses: Array | None = None
    responses_again: Array | None = None
    labels: Array | None = None
    null_codes: Array | None = None

    def __post_init__(self) -> None:
        _check_pictures("shown", self.shown)
        if self.n < 3:
            raise ProsthesisError(f"shown: {self.n} trials; a card needs three or more, and intervals many more")
        if self.n > MOST:
            raise ProsthesisError(
                f"shown: {self.n} trials; a card compares all pairs of at most {MOST}, take some by chance"
            )
        _check("true_codes", self.true_codes, (self.n, None))
        _check("decoded_codes", self.decoded_codes, (self.n, self.d))
        if self.reconstructions is not None:
            _check_pictures("reconstructions", self.reconstructions)
            _check("reconstructions", self.reconstructions, self.shown.shape)
        if self.training_trials < 1:
            raise ProsthesisError(f"training_trials: {self.training_trials}; say with how many the reader was fitted")
        if not (self.true_codes.std(0) > 0).any():
            raise ProsthesisError("true_codes: all rows are equal; give the codes of the pictures shown")
        self._check_options()

    def _check_options(self) -> None:
        if self.responses is not None:
            _check("responses", self.responses, (None, self.n, None))
        if self.responses_again is not None:
            if self.responses is None:
                raise ProsthesisError("responses_again: there are no responses to compare them with; add 'responses'")
            _check("responses_again", self.responses_again, (None, self.n, self.responses.shape[2]))
        if self.labels is not None:
            _check("labels", self.labels, (self.n,))
            if self.labels.dtype.kind not in "iu" or self.labels.min() < 0:
                raise ProsthesisError("labels: not class numbers; give integers from 0")
        if self.null_codes is not None:
            _check("null_codes", self.null_codes, (None, self.n, self.d))
            if len(self.null_codes) < LEAST_REFITS:
                raise ProsthesisError(
                    f"null_codes: {len(self.null_codes)} refits; {LEAST_REFITS} or more can show a rarity of 1 %"
                )

    @property
    def n(self) -> int:
        """Return the number of test trials."""
        return len(self.shown)

    @property
    def d(self) -> int:
        """Return how many numbers a code has."""
        return int(self.true_codes.shape[1])


def _check_pictures(name: str, pictures: Array) -> None:
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        raise ProsthesisError(f"{name}: shape {pictures.shape} is not [n, 1 or 3 colours, height, width]")
    _check(name, pictures, pictures.shape)
    if np.abs(pictures).max(initial=0) > 1.001:
        raise ProsthesisError(f"{name}: values reach {np.abs(pictures).max():.4g}; scale pictures to -1..1")


def _check(name: str, array: Array, shape: tuple[int | None, ...]) -> None:
    wanted = "[" + ", ".join("any" if k is None else str(k) for k in shape) + "]"
    fits = array.ndim == len(shape) and all(k in (None, size) for k, size in zip(shape, array.shape, strict=True))
    if not fits or 0 in array.shape:
        raise ProsthesisError(f"{name}: shape {array.shape} is not {wanted}; row i of every array is picture i")
    if array.dtype.kind not in "fiu":
        raise ProsthesisError(f"{name}: holds {array.dtype}, not numbers")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ProsthesisError(f"{name}: {bad} values are not finite; leave such trials or sites out of every array")
