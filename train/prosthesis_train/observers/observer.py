"""A frozen observer: weights in half precision with a card that says how they came about, checked by hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.observers.network import MatcherNet, ObserverNet

FROZEN = Path(__file__).parent / "frozen"
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of an observer: what it was trained on, by which command, and how well it did on others.

    ``how`` says it where an observer was not simply taught to name classes; it then has none.
    """

    task: str
    rig: str
    classes: tuple[str, ...]
    frames: int
    width: int
    seed: int
    command: str
    patients: tuple[int, ...]
    encoders: tuple[str, ...]
    data: str
    steps: int
    validation: dict[str, float]
    licence: str
    version: str
    sha256: str = ""
    how: str = ""


class Observer:
    """Answers what percepts f32[b, t, 48, 48] show; it never learns."""

    def __init__(self, card: Card, network: ObserverNet | MatcherNet) -> None:
        self.card, self._network = card, network.eval()

    def log_probabilities(self, percepts: Tensor) -> F32:
        """Return f32[b, classes]."""
        return self._run(percepts, lambda some: torch.log_softmax(self._network(some), dim=1))

    def features(self, percepts: Tensor) -> F32:
        """Return unit vectors f32[b, width], near for what is alike, of all that a patient sees through one encoder."""
        if isinstance(self._network, MatcherNet):
            percepts = self._network.adapted(percepts)
        found = self._run(percepts, self._network.features)
        return centred(found)

    def _run(self, percepts: Tensor, part: Any) -> F32:
        with torch.no_grad():
            answers = [part(percepts[k : k + 256]) for k in range(0, len(percepts), 256)]
        found: F32 = torch.cat(answers).numpy()
        return found


def centred(features: F32) -> F32:
    """Return unit vectors of features f32[k, width] less their mean: what all have in common tells nothing apart."""
    less = features - features.mean(axis=0)
    length = np.linalg.norm(less, axis=1, keepdims=True)
    unit: F32 = np.divide(less, length, out=np.zeros_like(less), where=length > 1e-6)
    return unit


def save_observer(card: Card, network: ObserverNet | MatcherNet, folder: Path = FROZEN) -> Path:
    """Write ``TASK-RIG.npz`` and its card beside it; return the weights' path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card.task}-{card.rig}.npz"
    weights = {name: _half(value) for name, value in network.state_dict().items() if "num_batches" not in name}
    # numpy's own annotation takes keywords for its flag
    np.savez(path, **cast(dict[str, Any], weights))
    said = asdict(card) | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return path


def load_observer(task: str, rig: str, folder: Path = FROZEN) -> Observer:
    """Return the frozen observer of a task at a rig; ``ProsthesisError`` when there is none, or not the one it was."""
    path = folder / f"{task}-{rig}.npz"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.npz")))
        raise ProsthesisError(
            f"no observer of '{task}' at '{rig}'; there are: {there}; "
            f"train one: python -m prosthesis_train.observers.train {task} {rig}"
        )
    said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    tuples = {key: tuple(value) for key, value in said.items() if isinstance(value, list)}
    card = Card(**(said | tuples))
    if hashlib.sha256(path.read_bytes()).hexdigest() != card.sha256:
        raise ProsthesisError(
            f"{path}: not the observer of its card (sha256 differs); restore both from the repository"
        )
    network: ObserverNet | MatcherNet = (
        ObserverNet(card.frames, len(card.classes), card.width) if card.classes else MatcherNet(card.width)
    )
    with np.load(path, allow_pickle=False) as weights:
        state = {name: torch.as_tensor(weights[name].astype(np.float32)) for name in weights.files}
    network.load_state_dict(state, strict=False)
    return Observer(card, network)


def _half(value: Tensor) -> npt.NDArray[np.float16]:
    return value.detach().numpy().astype(np.float16)
