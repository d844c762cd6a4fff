"""Living pictures (Siarohin et al. 2019): ``prosthesis train animation --data faces`` or ``--data FOLDER_OF_FILMS``.

Self-supervised: of two frames of a clip, one is the source and the other is to be made of it by its own keypoints.
Losses: pixels and features of our own network (``animation.looker``) over two sizes, whom that network sees and where
(which keeps a face its own), and the equivariance of keypoints and Jacobians. No adversary: the authors' settings for
faces give it no weight. Deviations for short runs on a CPU: pixels count beside features, the learning rate is higher
and falls along half a cosine, gradients are clipped, weights are averaged.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_train.animation import looker
from prosthesis_train.animation.clips import KINDS, Clips, from_folder, rendered
from prosthesis_train.animation.losses import equivariance, likeness, random_bend
from prosthesis_train.networks.animation import SIZES, Animator, Points
from prosthesis_train.networks.parts import placed
from prosthesis_train.training import checkpoint, workers
from prosthesis_train.training.averaging import Averager
from prosthesis_train.training.batches import step_random
from prosthesis_train.training.progress import Progress
from prosthesis_train.training.run import Run
from prosthesis_train.training.settings import RunSettings

CLIP_NORM = 5.0


@dataclass(frozen=True)
class Settings(RunSettings):
    """``data``: faces, figures or a folder; ``people`` of the rendered, ``frames`` of each clip; weights of the losses.

    The weights: ``pixels``, ``features`` and ``told`` (whom the looker sees, and where), ``points`` and ``jacobians``.
    ``steps`` sets the course of the learning rate. ``start`` is the folder of a run whose averaged networks are where
    this one begins, with the same size: a second run at a low rate, for instance, that weighs what is told more.
    """

    data: str = "faces"
    size: Literal["small64", "unwarped64", "paper256"] = "small64"
    start: str = ""
    people: int = 1200
    frames: int = 6
    lr: float = 1e-3
    pixels: float = 10.0
    features: float = 1.0
    told: float = 2.0
    points: float = 10.0
    jacobians: float = 10.0
    batch: int = 8
    steps: int = 10000
    decay: float = 0.995
    log_every: int = 25

    def __post_init__(self) -> None:
        """Check; raises ``ConfigError``."""
        super().__post_init__()
        if self.frames < 2:
            raise ConfigError(f"--frames {self.frames}: two frames make a pair; give 2 or more")
        if self.lr < 0:
            raise ConfigError(f"--lr {self.lr}: must not be below 0")

    @property
    def seen(self) -> str:
        """The clips' name, and the networks' size; a second run's is another."""
        return f"{Path(self.data).name}-{self.size}" + ("-second" if self.start else "")


@dataclass(slots=True)
class Networks:
    """The networks, their optimiser, and the averaged networks."""

    net: Animator
    adam: torch.optim.Adam
    mean: Averager

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs."""
        return {"net": self.net.state_dict(), "adam": self.adam.state_dict(), "mean_net": self.mean.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self.net.load_state_dict(state["net"])
        self.adam.load_state_dict(state["adam"])
        self.mean.load(state["mean_net"])


@dataclass(frozen=True, slots=True)
class Losses:
    """What a step minimises: differences of pixels, features and what is told; equivariance of points and Jacobians."""

    pixels: Tensor
    features: Tensor
    told: Tensor
    points: Tensor
    jacobians: Tensor


def build(settings: Settings, device: torch.device) -> Networks:
    """Return new networks, the same for the same seed."""
    torch.manual_seed(settings.seed)
    net = placed(Animator(SIZES[settings.size]), device)
    if settings.start:
        before, its = load(Path(settings.start))
        if its.size != settings.size:
            raise ConfigError(f"{settings.start}: networks of size {its.size} are there; give --size {its.size}")
        net.load_state_dict(before.state_dict())
    workers.same_start(net)
    adam = torch.optim.Adam(net.parameters(), settings.lr, (0.5, 0.999))
    return Networks(net, adam, Averager(net, settings.averaging, settings.decay, 1))


def open_clips(settings: Settings) -> Clips:
    """Return the training part of the clips that the settings name."""
    side = SIZES[settings.size].side
    if settings.data in KINDS:
        kind = KINDS[KINDS.index(settings.data)]
        return rendered(kind, "train", settings.people, settings.frames, side, _say)
    return from_folder(Path(settings.data), "train", settings.frames, side)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def train(settings: Settings, folder: Path, as_json: bool = False, clips: Clips | None = None) -> Networks:
    """Train, or go on training, in ``folder``; returns the networks."""
    fabric = workers.join(settings.devices, settings.nodes)
    clips = clips or open_clips(settings)
    run = Run(folder, settings, clips.digest, fabric.is_global_zero)
    state = run.open()
    nets = build(settings, fabric.device)
    if state is not None:
        nets.load(state)
    first = int(state["step"]) if state else 0
    workers.agree(first)
    eye = looker.load("features").to(fabric.device)
    progress = Progress(folder, settings.steps, first, as_json, quiet=not run.writes)
    for step in range(first, settings.steps):
        random = step_random(settings.seed, step)
        pair = [part.chunk(fabric.world_size)[fabric.global_rank] for part in clips.pair(settings.batch, random)]
        found = _step(nets, pair[0].to(fabric.device), pair[1].to(fabric.device), eye, settings, step)
        done = step + 1
        nets.mean.update(nets.net, done)
        saves = done % settings.save_every == 0 or done == settings.steps
        if saves or done % settings.log_every == 0:
            _tell(run, progress, done, found)
        if saves:
            run.save(done, nets.state())
            run.save_grid(done, _grid(nets, clips))
    progress.close()
    return nets


def losses(net: Animator, source: Tensor, driving: Tensor, eye: looker.Looker, random: torch.Generator) -> Losses:
    """Return the losses of making ``driving`` of ``source``, and of a bent copy of ``driving``."""
    n = len(source)
    bend = random_bend(n, random).to(source.device)
    found = net.keypoints(torch.cat([source, driving, bend.picture(driving)]))
    of_source, of_driving, of_bent = (Points(at, j) for at, j in zip(*(x.split(n) for x in found), strict=True))
    made, _ = net(source, of_source, of_driving)
    return Losses(*likeness(made, driving, eye), *equivariance(of_driving, of_bent, bend))


def _step(nets: Networks, source: Tensor, driving: Tensor, eye: looker.Looker, settings: Settings, step: int) -> Losses:
    for group in nets.adam.param_groups:
        group["lr"] = settings.lr * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    found = losses(nets.net, source, driving, eye, step_random(settings.seed, 2**40 + step))
    nets.adam.zero_grad(set_to_none=True)
    torch.autograd.backward(
        settings.pixels * found.pixels
        + settings.features * found.features
        + settings.told * found.told
        + settings.points * found.points
        + settings.jacobians * found.jacobians
    )
    workers.average_gradients(nets.net)
    torch.nn.utils.clip_grad_norm_(nets.net.parameters(), CLIP_NORM)
    nets.adam.step()
    return found


def _tell(run: Run, progress: Progress, done: int, found: Losses) -> None:
    """Log and tell of a step; a number gone mad ends the run, its last checkpoint kept."""
    names = [field.name for field in fields(found)]
    numbers = workers.mean_over_processes([getattr(found, name) for name in names])
    named = {f"loss_{name}": value for name, value in zip(names, numbers, strict=True)}
    entry = {"step": done, **named, "seconds": round(run.seconds(), 1)}
    if not all(math.isfinite(value) for value in numbers):
        raise ProsthesisError(f"{run.folder}: a loss is not finite at step {done}; lower --lr, or take another --seed")
    run.log(entry)
    progress.tell(entry)


@torch.no_grad()
def _grid(nets: Networks, clips: Clips) -> Tensor:
    """Return ten columns of source, driving, made by the averaged networks."""
    net = nets.mean.network
    assert isinstance(net, Animator)
    device = next(net.parameters()).device
    source, driving = (part.to(device) for part in clips.pair(10, step_random(0, 2**41)))
    made, _ = net(source, net.keypoints(source), net.keypoints(driving))
    return torch.cat([source, driving, made]) * 2 - 1


def load(folder: Path) -> tuple[Animator, Settings]:
    """Return the averaged networks of a run in eval mode, and the run's settings."""
    state = checkpoint.load(folder / checkpoint.NAME)
    if "mean_net" not in state:
        raise ProsthesisError(f"{folder}: the checkpoint there is not an animation's")
    settings = Settings(**json.loads(state["settings"]))
    net = Animator(SIZES[settings.size])
    net.load_state_dict(state["mean_net"])
    return net.eval(), settings
