"""A network that looks at rendered faces: who it is (traits) and where eyes and mouth are; its layers are features.

Two are shipped. ``features`` is what the animation networks' perceptual loss compares; ``judge``, of another
seed and other pictures, only scores: it measures keypoint and identity distances of what they paint.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from prosthesis.errors import ProsthesisError
from prosthesis_train.animation.clips import Clips, rendered, to_float
from prosthesis_train.animation.people import Person, somebody
from prosthesis_train.animation.scene import F32
from prosthesis_train.tasks.faces import TRAITS

SIDE, LANDMARKS = 64, 10
MODELS = Path(__file__).resolve().parents[1] / "models"
WHO = len(TRAITS) + 6 + 9


@dataclass(frozen=True, slots=True)
class Settings:
    """How a looker is trained."""

    width: int = 16
    people: int = 400
    first: int = 0
    frames: int = 6
    steps: int = 1200
    batch: int = 32
    learning_rate: float = 3e-3
    seed: int = 0


SHIPPED = {
    "features": Settings(),
    "judge": Settings(people=1000, first=5000, frames=2, seed=1),
}


class Looker(nn.Module):
    """Pictures f32[n,3,h,w] in 0..1, looked at in 64 pixels, to traits f32[n,34] and landmarks f32[n,10,2]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = (width, 2 * width, 3 * width, 4 * width)
        before, strides = (3, *wide[:-1]), (1, 2, 2, 2)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
            for i, o, s in zip(before, wide, strides, strict=True)
        )
        self.who, self.where = (_told(wide[-1] * (SIDE // 8) ** 2, n) for n in (WHO, 2 * LANDMARKS))

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Return what each layer sees; any size of picture."""
        found, x = [], 2 * pictures - 1
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return who and where."""
        seen = self.features(fn.adaptive_avg_pool2d(pictures, SIDE))[-1].flatten(1)
        return self.who(seen), self.where(seen).reshape(-1, LANDMARKS, 2)


def _told(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, outputs))


def identity(who: Person) -> F32:
    """Return what is to be told of a person: traits, hair, beard, glasses, and their colours, all about -1..1."""
    hair = np.eye(4)[int(who.traits["hair"])]
    colours = np.array([*who.skin, *who.hair, *who.cloth]) * 2 - 1
    rest = [who.traits["beard"], who.traits["glasses"]]
    return np.asarray([*(who.traits[name] for name in TRAITS), *hair, *rest, *colours], np.float32)


def train(settings: Settings) -> Looker:
    """Return a looker trained on faces of the training part, from number ``first`` on."""
    torch.manual_seed(settings.seed)
    random = torch.Generator().manual_seed(settings.seed)
    clips = rendered("faces", "train", settings.people, settings.frames, SIDE, _say, settings.first)
    who = torch.from_numpy(
        np.stack([identity(somebody("faces", "train", settings.first + k, 8)) for k in range(settings.people)])
    )
    net = Looker(settings.width)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=settings.steps)
    for step in range(settings.steps):
        pictures, whose, where = _batch(clips, settings.batch, random)
        found_who, found_where = net(pictures)
        loss = 3 * fn.mse_loss(found_who, who[whose]) + 10 * fn.smooth_l1_loss(found_where, where, beta=0.05)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            _say(f"looker: step {step + 1} of {settings.steps}, loss {float(loss.detach()):.3f}")
    return net.eval()


def _batch(clips: Clips, batch: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return pictures with a little noise, the index of whom each shows, and landmarks."""
    assert clips.landmarks is not None
    whose = torch.randint(len(clips.frames), (batch,), generator=random)
    when = torch.randint(clips.frames.shape[1], (batch,), generator=random)
    pictures = to_float(clips.frames[whose.numpy(), when.numpy()])
    pictures = pictures + 0.03 * torch.randn(pictures.shape, generator=random)
    return pictures.clamp(0, 1), whose, torch.from_numpy(clips.landmarks[whose.numpy(), when.numpy()])


@torch.no_grad()
def told(net: Looker, frames: Tensor) -> tuple[F32, F32]:
    """Return who f32[n,34] and where f32[n,10,2] of pictures f32[n,3,64,64]."""
    found = [net(frames[k : k + 128]) for k in range(0, len(frames), 128)]
    return torch.cat([one[0] for one in found]).numpy(), torch.cat([one[1] for one in found]).numpy()


def save(net: Looker, name: str, settings: Settings, folder: Path) -> None:
    """Write weights in half precision (NumPy archive, no pickle) and the card that pins them."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.numpy().astype(np.float16) for k, v in net.state_dict().items() if "num_batches" not in k}
    np.savez(folder / f"{name}.npz", allow_pickle=False, **weights)
    sha256 = hashlib.sha256((folder / f"{name}.npz").read_bytes()).hexdigest()
    facts = {
        "summary": (__doc__ or "").split("\n")[0],
        "data": "faces rendered by animation.people",
        "licence": "Apache-2.0",
    }
    card = {
        **facts,
        "settings": asdict(settings),
        "command": f"python -m {__spec__.name if __spec__ else __name__} {name}",
        "sha256": sha256,
    }
    (folder / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def load(name: str, folder: Path = MODELS / "animation-lookers") -> Looker:
    """Return a looker; ``ProsthesisError`` when it is missing or not what its card pins."""
    try:
        card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        content = (folder / f"{name}.npz").read_bytes()
    except (OSError, ValueError) as error:
        raise ProsthesisError(f"{folder}: no looker '{name}' ({error}); python -m {__name__} {name}") from error
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ProsthesisError(f"{folder / name}.npz: sha256 is not the card's: changed or damaged; restore it")
    net = Looker(card["settings"]["width"])
    with np.load(folder / f"{name}.npz", allow_pickle=False) as found:
        net.load_state_dict({k: torch.from_numpy(found[k].astype(np.float32)) for k in found.files}, strict=False)
    return net.eval().requires_grad_(False)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one of the lookers."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name", choices=tuple(SHIPPED))
    parser.add_argument("--out", type=Path, default=MODELS / "animation-lookers", metavar="DIR")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    save(train(SHIPPED[asked.name]), asked.name, SHIPPED[asked.name], asked.out)


if __name__ == "__main__":
    main()
