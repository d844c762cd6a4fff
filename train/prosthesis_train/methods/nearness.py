"""Nearness by direction from one picture: a small network trained on ViZDoom's pixels with its exact depth as truth.

It knows Freedoom's walls and textures. It is for the closed loop of ``prosthesis_train.mobility`` and does not carry
over to photographs (facts on data, section 3: networks trained so rank real depth no better than a row prior).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.images import U8
from prosthesis_train.mobility.arena import F32
from prosthesis_train.mobility.bars import reach
from prosthesis_train.mobility.lessons import Lessons, lessons
from prosthesis_train.mobility.protocol import COLUMNS, ENCODER_MAPS, MAP_SIDE, RGB_SIDE

WEIGHTS, CARD = "nearness.npz", "nearness.json"
SHIPPED = Path(__file__).resolve().parents[1] / "models" / "nearness-freedoom"
GAMMA, GAIN, GRAIN = 0.7, 0.35, 10.0  # logs of gamma and of each colour's gain to either side; gray levels of noise
DARK = 8.0  # gray levels: a frame without a brighter pixel is no picture, and its map is silent


@dataclass(frozen=True, slots=True)
class Settings:
    """How the shipped network was trained."""

    epochs: int = 12
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    seed: int = 0


class Nearness(nn.Module):
    """Pictures u8[n,64,64,3] to logits f32[n,32] of nearness by direction."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(3, 16, 2),
            *_block(16, 32, 2),
            *_block(32, 48, 1),
            *_block(48, 64, (2, 1)),
            *_block(64, 64, (2, 1)),
        )
        self.column = nn.Conv2d(64, 64, (RGB_SIDE // 16, 1))  # each direction from its whole height
        self.along = nn.Sequential(nn.ReLU(), nn.Conv1d(64, 64, 5, padding=2), nn.ReLU())
        self.head = nn.Conv1d(64, COLUMNS // (RGB_SIDE // 4), 5, padding=2)

    def forward(self, frame: Tensor) -> Tensor:
        """Return logits; brightness and contrast of the whole picture are taken out first."""
        x = frame.permute(0, 3, 1, 2).float()
        x = x - x.mean((1, 2, 3), keepdim=True)
        x = x / (x.square().mean((1, 2, 3), keepdim=True).sqrt() + 4.0)
        columns = self.head(self.along(self.column(self.body(x)).squeeze(2)))
        out: Tensor = columns.transpose(1, 2).flatten(1)
        return out


class Bars(nn.Module):
    """The encoder: pictures u8[n,64,64,3] to maps f32[n,32,32] of bars (``mobility.bars.paint``)."""

    reach: Tensor

    def __init__(self, net: Nearness) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("reach", torch.from_numpy(reach()[:, None].copy()))

    def forward(self, frame: Tensor) -> Tensor:
        """Return the maps; a black frame's is silent."""
        lit = (frame.float().amax((1, 2, 3)) / DARK).clamp(0, 1)
        near = (torch.sigmoid(self.net(frame)) * lit[:, None])[:, None, :]
        out: Tensor = near * ((near - self.reach) * (MAP_SIDE / 2) + 0.5).clamp(0, 1)
        return out


def _block(inputs: int, outputs: int, stride: int | tuple[int, int]) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


def train(data: Lessons, settings: Settings, say: Callable[[str], None]) -> Nearness:
    """Return a network trained on walks' pictures and true nearness."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    net = Nearness()
    steps = settings.epochs * (len(data.rgb) // settings.batch)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=max(steps, 2))
    for epoch in range(settings.epochs):
        losses = []
        for frame, near in _batches(data, settings.batch, generator):
            optimiser.zero_grad(set_to_none=True)
            loss = binary_cross_entropy_with_logits(net(frame), near)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            if len(losses) % 200 == 0:
                say(f"nearness: epoch {epoch + 1} of {settings.epochs}, cross-entropy {np.mean(losses[-200:]):.4f}")
    return net.eval()


def _batches(data: Lessons, batch: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch in random order, each picture mirrored half the time and of its own light and colours."""
    order = torch.randperm(len(data.rgb), generator=generator).numpy()
    for k in range(0, len(order) - batch + 1, batch):
        frame = torch.from_numpy(data.rgb[order[k : k + batch]]).float()
        near = torch.from_numpy(data.near[order[k : k + batch]])
        mirrored = torch.rand(batch, 1, generator=generator) < 0.5
        frame = torch.where(mirrored[:, :, None, None], frame.flip(2), frame)
        yield varied(frame, generator), torch.where(mirrored, near.flip(1), near)


def varied(frame: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures f32[n,h,w,3] in 0..255 with gamma, colours in another order, paler or stronger, and grain.

    Walls of maps that were never seen have other colours; what stays is where edges lie and how texture shrinks.
    """
    n = len(frame)

    def drawn(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(n, 1, 1, channels).uniform_(low, high, generator=generator)

    frame = 255 * (frame.clamp(0, 255) / 255) ** drawn(-GAMMA, GAMMA).exp()
    order = torch.rand(n, 1, 1, 3, generator=generator).argsort(-1)
    frame = frame.gather(-1, order.expand_as(frame))
    gray, pale = frame.mean(-1, keepdim=True), drawn(0.0, 1.0)
    frame = (pale * gray + (1 - pale) * frame) * drawn(-GAIN, GAIN, 3).exp()
    return (frame + drawn(0.0, GRAIN) * torch.randn(frame.shape, generator=generator)).clamp(0, 255)


@torch.no_grad()
def nearness_of(net: Nearness, rgb: U8) -> F32:
    """Return nearness f32[n,32] of pictures."""
    found = [torch.sigmoid(net(torch.from_numpy(rgb[k : k + 256]))) for k in range(0, len(rgb), 256)]
    return np.asarray(torch.cat(found), np.float32)


@torch.no_grad()
def maps_of(net: Nearness, rgb: U8) -> F32:
    """Return the encoder's maps f32[n,32,32] of pictures."""
    bars = Bars(net).eval()
    return np.asarray(torch.cat([bars(torch.from_numpy(rgb[k : k + 256])) for k in range(0, len(rgb), 256)]))


def save(net: Nearness, folder: Path, facts: dict[str, object]) -> None:
    """Write weights (NumPy archive, no pickle) and the card that pins them."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, allow_pickle=False, **{k: v.numpy() for k, v in net.state_dict().items()})
    sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    card = {"file": WEIGHTS, "sha256": sha256, **facts}
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def load(folder: Path = SHIPPED) -> Nearness:
    """Return the network of a folder; raise ``ProsthesisError`` when it is missing or not what its card pins."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        content = (folder / WEIGHTS).read_bytes()
    except (OSError, ValueError) as error:
        raise ProsthesisError(f"{folder}: no nearness network ({error}); python -m {__name__}") from error
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ProsthesisError(f"{folder / WEIGHTS}: sha256 is not the card's: changed or damaged; restore it")
    net = Nearness()
    with np.load(folder / WEIGHTS, allow_pickle=False) as found:
        net.load_state_dict({k: torch.from_numpy(found[k]) for k in found.files})
    return net.eval()


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the network on the walks of its own maps."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--maps", nargs="+", default=ENCODER_MAPS, metavar="MAP")
    parser.add_argument("--epochs", type=int, default=Settings().epochs)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings, began = Settings(epochs=asked.epochs), time.process_time()
    data = lessons(asked.maps)
    net = train(data, settings, _say)
    facts: dict[str, object] = {
        "summary": "Nearness of obstacles by direction in Freedoom; does not carry over to photographs.",
        "data": f"{len(data.rgb)} frames of {len(asked.maps)} maps of Freedoom (BSD-3-Clause) by ViZDoom",
        "licence": "Apache-2.0",
        "settings": asdict(settings),
        "cpu_s": round(time.process_time() - began),
    }
    save(net, asked.out, facts)


if __name__ == "__main__":
    main()
