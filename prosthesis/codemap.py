"""The map between machine codes and brain codes as it runs: numpy, exact in both directions, its nuisance kept apart.

Codes z f[b, d] and responses r f[b, n] share k = min(d, n) numbers. With means taken off, q = r L are the k numbers of
the response that are *about* the code, and the rest r - q M (M the right inverse of L) is the brain's nuisance u. The
machine's side is x = layers(q, e), z = x B: e are the d - k numbers of a code that fewer responses than d leave open.
Layers are affine couplings (Dinh et al. 2017), each undone exactly, so (z, u) <-> (r, e) is one to one whatever the
layers have learned. Without a nuisance given, u and e are 0, their mean. It computes in double precision, whatever the
messages carry: a round trip loses what single-precision messages round, and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ConfigError

Floats = npt.NDArray[np.floating]
I64 = npt.NDArray[np.int64]
GENTLE = 1.0  # a layer scales by exp(-1) to exp(1): a bound on the condition number that training cannot break


@dataclass(frozen=True, slots=True)
class Coupling:
    """Changes numbers ``moved`` by a scale and a shift that a perceptron reads from the others, ``given``."""

    given: I64
    moved: I64
    weights: tuple[Floats, Floats, Floats]
    biases: tuple[Floats, Floats, Floats]

    def forward(self, x: Floats) -> Floats:
        """Return x f[b, d] with the moved numbers scaled and shifted."""
        log_scale, shift = self._read(x)
        out: Floats = x.copy()
        out[:, self.moved] = x[:, self.moved] * np.exp(log_scale) + shift
        return out

    def backward(self, x: Floats) -> Floats:
        """Undo ``forward``."""
        log_scale, shift = self._read(x)
        out: Floats = x.copy()
        out[:, self.moved] = (x[:, self.moved] - shift) * np.exp(-log_scale)
        return out

    def _read(self, x: Floats) -> tuple[Floats, Floats]:
        hidden = x[:, self.given]
        for weight, bias in zip(self.weights[:2], self.biases[:2], strict=True):
            hidden = _silu(hidden @ weight + bias)
        read = hidden @ self.weights[2] + self.biases[2]
        half = len(self.moved)
        return GENTLE * np.tanh(read[:, :half]), read[:, half:]


def _silu(x: Floats) -> Floats:
    out: Floats = x * (0.5 + 0.5 * np.tanh(0.5 * x))  # x sigmoid(x), which cannot overflow like this
    return out


@dataclass(frozen=True, slots=True)
class CodeMap:
    """A fitted map. ``brain_code`` is L f[n, k], ``brain_basis`` M f[k, n], ``machine_basis`` B f[d, d].

    ``machine_code`` f[d, d] is what takes a code to x: the inverse of B in a bijection. A map whose directions were
    fitted apart has another one, and then its round trip is not the identity.
    """

    name: str
    machine_mean: Floats
    brain_mean: Floats
    machine_code: Floats
    machine_basis: Floats
    brain_code: Floats
    brain_basis: Floats
    layers: tuple[Coupling, ...] = ()

    @property
    def d(self) -> int:
        """How many numbers a machine code has."""
        return len(self.machine_mean)

    @property
    def n(self) -> int:
        """How many responses."""
        return len(self.brain_mean)

    @property
    def shared(self) -> int:
        """k: how many numbers both sides share."""
        return int(self.brain_code.shape[1])

    def to_machine(self, responses: Floats, nuisance: Floats | None = None) -> Floats:
        """Return codes f[b, d] of responses f[b, n]; ``nuisance`` is e f[b, d - k], 0 when not given."""
        q = (responses - self.brain_mean) @ self.brain_code
        return self._decode(q, nuisance) + self.machine_mean

    def to_brain(self, codes: Floats, nuisance: Floats | None = None) -> Floats:
        """Return responses f[b, n] of codes f[b, d]; ``nuisance`` is u f[b, n] as ``brain_nuisance`` gives it."""
        found = self._undo(codes)[:, : self.shared] @ self.brain_basis + self.brain_mean
        return found if nuisance is None else found + nuisance

    def brain_nuisance(self, responses: Floats) -> Floats:
        """Return u f[b, n]: what is left of responses without the numbers that are about the code (rank n - k)."""
        centred = responses - self.brain_mean
        rest: Floats = centred - centred @ self.brain_code @ self.brain_basis
        return rest

    def machine_nuisance(self, codes: Floats) -> Floats:
        """Return e f[b, d - k]: the numbers of codes that no response carries; none when n >= d."""
        return self._undo(codes)[:, self.shared :]

    def _decode(self, q: Floats, e: Floats | None) -> Floats:
        if self.shared < self.d:
            rest = np.zeros((len(q), self.d - self.shared), q.dtype) if e is None else e
            q = np.concatenate((q, rest), axis=1)
        for layer in self.layers:
            q = layer.forward(q)
        return q @ self.machine_basis

    def _undo(self, codes: Floats) -> Floats:
        x: Floats = (codes - self.machine_mean) @ self.machine_code
        for layer in reversed(self.layers):
            x = layer.backward(x)
        return x

    def save(self, path: Path) -> None:
        """Write the map as an .npz of plain arrays.

        Perceptrons are kept in single precision: both directions read the same numbers, so round trips stay exact.
        The matrices, which undo each other, stay in double.
        """
        content: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        content |= {"name": np.array(self.name), "layers": np.array(len(self.layers))}
        for k, layer in enumerate(self.layers):
            content |= {f"layer{k}.given": layer.given, f"layer{k}.moved": layer.moved}
            for i, (weight, bias) in enumerate(zip(layer.weights, layer.biases, strict=True)):
                content |= {f"layer{k}.weight{i}": np.float32(weight), f"layer{k}.bias{i}": np.float32(bias)}
        with path.open("wb") as file:
            np.savez(file, **content)


_ARRAYS = ("machine_mean", "brain_mean", "machine_code", "machine_basis", "brain_code", "brain_basis")


def load_codemap(path: Path) -> CodeMap:
    """Read a saved map. Raises ``ConfigError`` when it is missing, not a map, or its parts do not fit together."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            found = _from(content)
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{path}: not a readable code map ({error}); copy or make it again") from error
    _check(found, path)
    return found


def _from(content: Mapping[str, Any]) -> CodeMap:
    def part(name: str) -> Floats:
        return np.asarray(content[name], np.float64)

    layers = tuple(
        Coupling(
            content[f"layer{k}.given"],
            content[f"layer{k}.moved"],
            (part(f"layer{k}.weight0"), part(f"layer{k}.weight1"), part(f"layer{k}.weight2")),
            (part(f"layer{k}.bias0"), part(f"layer{k}.bias1"), part(f"layer{k}.bias2")),
        )
        for k in range(int(content["layers"]))
    )
    return CodeMap(str(content["name"]), **{name: part(name) for name in _ARRAYS}, layers=layers)


def _check(found: CodeMap, path: Path) -> None:
    d, n, k = found.d, found.n, found.shared
    wanted = ((d,), (n,), (d, d), (d, d), (n, k), (k, n))
    for name, shape in zip(_ARRAYS, wanted, strict=True):
        array = getattr(found, name)
        if array.shape != shape or not np.isfinite(array).all():
            raise ConfigError(f"{path}: '{name}' should be finite and {shape}, it is {array.shape}; make the map again")
    for index, layer in enumerate(found.layers):
        if sorted((*layer.given.tolist(), *layer.moved.tolist())) != list(range(d)):
            raise ConfigError(f"{path}: layer {index} does not split the {d} numbers in two; make the map again")
