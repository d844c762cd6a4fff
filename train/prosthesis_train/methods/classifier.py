"""The project's own judge of clothes: a small classifier of Fashion-MNIST whose features every score of ours uses.

Its weights are shipped and pinned by their SHA-256, for scores of different classifiers must never be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import I64, U8, ImageSet, open_images

WEIGHTS, CARD = "classifier.npz", "classifier.json"
MODELS = Path(__file__).resolve().parents[1] / "models"
SHIPPED = MODELS / "fashion-classifier"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the classifier is trained; the defaults made the shipped one.

    ``cycles``: epochs and top learning rate of each, with a fresh optimiser (warm restarts, Loshchilov & Hutter 2017).
    """

    cycles: tuple[tuple[int, float], ...] = ((5, 4e-3), (3, 2e-3))
    batch: int = 128
    weight_decay: float = 0.02
    shift_px: int = 2
    seed: int = 4


class Classifier(nn.Module):
    """Pictures f32[n,1,32,32] in [-1,1] to features f32[n,128] and logits f32[n,classes]."""

    def __init__(self, classes: int = 10, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(1, width),
            nn.MaxPool2d(2),
            *_block(width, width),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(4 * width, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return what the last layer sees."""
        out: Tensor = self.body(images)
        return out

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        out: Tensor = self.head(self.features(images))
        return out


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


def to_float(images: U8) -> Tensor:
    """Return u8[n,h,w,c] as f32[n,c,h,w] in [-1,1]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float().div_(127.5).sub_(1)


def batches(images: U8, labels: I64, settings: Settings, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch in random order, each picture mirrored half the time and each batch shifted."""
    order = torch.randperm(len(images), generator=generator).numpy()
    for k in range(0, len(order) - settings.batch + 1, settings.batch):
        pick = order[k : k + settings.batch]
        x, y = to_float(images[pick]), torch.from_numpy(labels[pick])
        mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
        down, right = torch.randint(-settings.shift_px, settings.shift_px + 1, (2,), generator=generator).tolist()
        # rolling is a shift here, for the padded border is black
        yield torch.where(mirrored, x.flip(3), x).roll((down, right), (2, 3)), y


def train(data: ImageSet, settings: Settings) -> Classifier:
    """Return a classifier trained on the set's training pictures; its test pictures are not looked at."""
    if data.train_labels is None:
        raise ProsthesisError(f"'{data.name}' has no classes; a classifier needs a labelled set such as 'fashion'")
    torch.manual_seed(settings.seed)
    net = Classifier(len(data.classes))
    for index in range(len(settings.cycles)):
        cycle(net, data, settings, index)
    return net.eval()


def cycle(net: Classifier, data: ImageSet, settings: Settings, index: int) -> None:
    """Train a classifier through one cycle, which depends on nothing before it but the weights."""
    assert data.train_labels is not None
    epochs, top_lr = settings.cycles[index]
    generator = torch.Generator().manual_seed(settings.seed + index)
    nn.Module.to(net.train(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = epochs * (len(data.train) // settings.batch)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, top_lr, total_steps=max(steps, 2))
    for _ in range(epochs):
        for x, y in batches(data.train, data.train_labels, settings, generator):
            optimiser.zero_grad(set_to_none=True)
            cross_entropy(net(x.contiguous(memory_format=torch.channels_last)), y).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


@torch.no_grad()
def accuracy(net: Classifier, images: U8, labels: I64) -> float:
    """Return the share of pictures whose class is found."""
    found = [net(to_float(images[k : k + 500])).argmax(1) for k in range(0, len(images), 500)]
    return float((torch.cat(found).numpy() == labels).mean())


def save(net: Classifier, folder: Path, facts: dict[str, object]) -> str:
    """Write weights (NumPy archive, no pickle) and the card that pins them into ``folder``; return their SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, allow_pickle=False, **{k: v.numpy() for k, v in net.state_dict().items()})
    sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    card = {"file": WEIGHTS, "sha256": sha256, **facts}
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return sha256


def load(folder: Path = SHIPPED) -> tuple[Classifier, str]:
    """Return the classifier of a folder and its SHA-256.

    Raises ``ProsthesisError`` when a file is missing, or the weights are not those that the card pins.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        content = (folder / WEIGHTS).read_bytes()
    except (OSError, ValueError) as error:
        raise ProsthesisError(f"{folder}: no classifier ({error}); python -m {__name__} --out {folder}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != card["sha256"]:
        raise ProsthesisError(f"{folder / WEIGHTS}: sha256 is not the card's: changed or damaged; restore it")
    with np.load(folder / WEIGHTS, allow_pickle=False) as weights:
        state = {key: torch.from_numpy(weights[key]) for key in weights.files}
    net = Classifier(len(state["head.bias"]), len(state["body.1.bias"]))
    net.load_state_dict(state)
    return net.eval(), sha256


def main(arguments: Sequence[str] | None = None) -> None:
    """Train on Fashion-MNIST and save."""
    parser = argparse.ArgumentParser(description="Train the classifier that scores use.")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    asked = parser.parse_args(arguments)
    settings, data, start = Settings(), open_images("fashion", 32, 1), time.monotonic()
    net = train(data, settings)
    assert data.test_labels is not None
    facts: dict[str, object] = {
        "data": data.source,
        "data_digest": data.digest,
        "licence": "Apache-2.0",
        "command": f"python -m {__name__.replace('__main__', 'prosthesis_train.methods.classifier')}",
        "settings": asdict(settings),
        "seconds": round(time.monotonic() - start),
        "test_accuracy": accuracy(net, data.test, data.test_labels),
    }
    sha256 = save(net, asked.out, facts)
    sys.stdout.write(f"{asked.out}: test accuracy {facts['test_accuracy']:.4f}, sha256 {sha256}\n")


if __name__ == "__main__":
    main()
