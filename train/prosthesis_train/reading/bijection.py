"""Our bijection: a canonical linear start, then couplings that begin as the identity, trained in both directions.

Couplings act on the d numbers that are about the code (``codemap.py``); the brain's nuisance passes by. A layer that
reads the nuisance too was tried and decodes worse out of sample: it learns the trials' noise. The loss is the decoding
error plus the encoding error, both as shares of variance. Training stops where held-out trials say so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from prosthesis.codemap import GENTLE, CodeMap, Coupling, Floats
from prosthesis_train.reading.linear import canonical, spread_of

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settings:
    """How it is trained: ``exponent`` and ``shrink`` of the canonical start, ``encoding`` weighs the encoding error."""

    exponent: float = 0.0
    shrink: float = 0.6
    encoding: float = 0.4
    layers: int = 6
    hidden: int = 256
    epochs: int = 12
    batch: int = 500
    rate: float = 3e-3
    decay: float = 1e-2
    held_out: float = 0.125
    patience: int = 3


def bijection(machine: F64, brain: F64, seed: int = 0, settings: Settings = Settings()) -> CodeMap:
    """Fit the bijection to codes f64[N, d] and responses f64[N, n]; the same seed gives the same map.

    A share of the trials is held out for early stopping; where no step improves on the linear start, that is returned.
    """
    order = np.random.default_rng(seed).permutation(len(machine))
    held = max(2, round(settings.held_out * len(order)))
    own, kept = order[held:], order[:held]
    start = canonical(machine[own], brain[own], settings.shrink).at(settings.exponent)
    scale = spread_of(brain)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _Couplings(start.d, settings)
        problem = _Problem(start, scale, settings)
        _train(network, problem, problem.trials(machine[own], brain[own]), problem.trials(machine[kept], brain[kept]))
    return network.as_map(start)


@dataclass(frozen=True, slots=True)
class _Trials:
    """Per trial: centred codes, q of the responses, and what the encoding error needs of the responses themselves."""

    codes: Tensor
    q: Tensor
    against: Tensor
    power: Tensor

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, index: Tensor) -> _Trials:
        return _Trials(self.codes[index], self.q[index], self.against[index], self.power[index])


class _Problem:
    """The two errors. That of encoding, ||r - q M||^2 over n sites, is computed in k numbers by its Gram matrix."""

    def __init__(self, start: CodeMap, scale: F64, settings: Settings) -> None:
        self.settings, self._start, self._scale = settings, start, scale
        basis = start.brain_basis / scale
        self._weighted = basis.T / len(scale)
        self._gram = _f32(basis @ self._weighted)

    def trials(self, machine: F64, brain: F64) -> _Trials:
        centred = brain - self._start.brain_mean
        scaled = centred / self._scale
        codes = machine - self._start.machine_mean
        return _Trials(
            _f32(codes),
            _f32(centred @ self._start.brain_code),
            _f32(scaled @ self._weighted),
            _f32(np.square(scaled).mean(1)),
        )

    def errors(self, network: _Couplings, trials: _Trials, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return decoding and encoding error, as shares of the codes' and the responses' variance."""
        decoded = network.decode(trials.q)
        decoding = (decoded - trials.codes).square().mean() / variance
        q = network.encode(trials.codes)[:, : trials.q.shape[1]]
        fit = ((q @ self._gram) * q).sum(1) - 2 * (q * trials.against).sum(1) + trials.power
        return decoding, fit.mean()


class _Couplings(nn.Module):
    """Couplings on x, then a free matrix to the code: both begin as the linear start."""

    def __init__(self, d: int, settings: Settings) -> None:
        super().__init__()
        orders = [torch.randperm(d) for _ in range((settings.layers + 1) // 2)]
        self.halves = [_halves(orders[k // 2], k % 2 == 1) for k in range(settings.layers)]
        self.perceptrons = nn.ModuleList(_perceptron(len(g), len(m), settings.hidden) for g, m in self.halves)
        self.mix = nn.Parameter(torch.eye(d))
        self.basis = torch.eye(d)

    def decode(self, q: Tensor) -> Tensor:
        """Return centred codes of q f32[b, k]; what responses leave open is 0."""
        x = nn.functional.pad(q, (0, self.mix.shape[0] - q.shape[1]))
        for (given, moved), perceptron in zip(self.halves, self.perceptrons, strict=True):
            log_scale, shift = _read(perceptron, x[:, given])
            x = x.index_copy(1, moved, x[:, moved] * log_scale.exp() + shift)
        return x @ self.mix @ self.basis

    def encode(self, codes: Tensor) -> Tensor:
        """Return x f32[b, d] of centred codes."""
        x: Tensor = torch.linalg.solve(self.mix @ self.basis, codes, left=False)
        for (given, moved), perceptron in zip(reversed(self.halves), reversed(list(self.perceptrons)), strict=True):
            log_scale, shift = _read(perceptron, x[:, given])
            x = x.index_copy(1, moved, (x[:, moved] - shift) * (-log_scale).exp())
        return x

    def as_map(self, start: CodeMap) -> CodeMap:
        """Return the run-time form, in double precision."""
        layers = tuple(_coupling(*pair) for pair in zip(self.halves, self.perceptrons, strict=True))
        basis = _f64(self.mix) @ start.machine_basis
        code = np.linalg.solve(basis, np.eye(len(basis)))
        return replace(start, name="bijection", machine_basis=basis, machine_code=code, layers=layers)


def _train(network: _Couplings, problem: _Problem, own: _Trials, kept: _Trials) -> None:
    settings = problem.settings
    network.basis = _f32(problem._start.machine_basis)
    variance = own.codes.var(0).mean()
    batches = -(-len(own) // settings.batch)
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=max(1, settings.epochs * batches)
    )
    best, state, waited = _judged(network, problem, kept, variance), _copy(network), 0
    for _ in range(settings.epochs):
        for index in torch.split(torch.randperm(len(own)), settings.batch):
            decoding, encoding = problem.errors(network, own.part(index), variance)
            optimiser.zero_grad()
            (decoding + settings.encoding * encoding).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        now = _judged(network, problem, kept, variance)
        if now < best:
            best, state, waited = now, _copy(network), 0
        elif (waited := waited + 1) == settings.patience:
            break
    network.load_state_dict(state)


@torch.no_grad()
def _judged(network: _Couplings, problem: _Problem, trials: _Trials, variance: Tensor) -> float:
    decoding, encoding = problem.errors(network, trials, variance)
    return float(decoding + problem.settings.encoding * encoding)


def _copy(network: nn.Module) -> dict[str, Any]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _halves(order: Tensor, swapped: bool) -> tuple[Tensor, Tensor]:
    half = len(order) // 2
    one, other = order[:half].sort().values, order[half:].sort().values
    return (other, one) if swapped else (one, other)


def _perceptron(given: int, moved: int, hidden: int) -> nn.Sequential:
    last = nn.Linear(hidden, 2 * moved)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(given, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


def _read(perceptron: nn.Module, given: Tensor) -> tuple[Tensor, Tensor]:
    log_scale, shift = perceptron(given).chunk(2, dim=1)
    return GENTLE * torch.tanh(log_scale), shift


def _coupling(halves: tuple[Tensor, Tensor], perceptron: nn.Module) -> Coupling:
    linear = [layer for layer in perceptron.modules() if isinstance(layer, nn.Linear)]
    one, two, three = (_f64(layer.weight.T) for layer in linear)
    biases = tuple(_f64(layer.bias) for layer in linear)
    return Coupling(halves[0].numpy(), halves[1].numpy(), (one, two, three), (biases[0], biases[1], biases[2]))


def _f32(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _f64(values: Tensor) -> F64:
    return values.detach().numpy().astype(np.float64)
