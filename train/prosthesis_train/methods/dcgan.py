"""DCGAN (Radford et al. 2015): ``prosthesis train dcgan --data fashion --side 32 --steps 10000``.

Three updates a step, as in pytorch/examples: D on real pictures labelled real, D on detached generated ones labelled
generated, G on its own labelled real. Deviations, each a setting: weights are averaged for sampling (``averaging``);
augmentation is off unless asked for, since a generator learns to draw turned clothes from turned clothes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.augment import Augmentation
from prosthesis_train.data.images import ImageSet, open_images
from prosthesis_train.networks.dcgan import LATENT, Discriminator, Generator
from prosthesis_train.networks.parts import placed
from prosthesis_train.training import checkpoint, guardrails, workers
from prosthesis_train.training.averaging import Averager
from prosthesis_train.training.batches import Batches, step_random
from prosthesis_train.training.progress import Progress
from prosthesis_train.training.run import Run
from prosthesis_train.training.settings import PictureSettings


@dataclass(frozen=True)
class Settings(PictureSettings):
    """``width``: channels of the layer next to the picture (64 in the paper); ``lr``, ``beta1``: Adam, as the paper."""

    width: int = 64
    lr: float = 2e-4
    beta1: float = 0.5


@dataclass(slots=True)
class Networks:
    """Both networks, their optimisers, and the averaged generator."""

    g: Generator
    d: Discriminator
    adam_g: torch.optim.Adam
    adam_d: torch.optim.Adam
    mean_g: Averager

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs."""
        return {
            "g": self.g.state_dict(), "d": self.d.state_dict(), "adam_g": self.adam_g.state_dict(),
            "adam_d": self.adam_d.state_dict(), "mean_g": self.mean_g.state(),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        for name in ("g", "d", "adam_g", "adam_d"):
            getattr(self, name).load_state_dict(state[name])
        self.mean_g.load(state["mean_g"])


def build(settings: Settings, device: torch.device, per_epoch: int) -> Networks:
    """Return new networks, the same for the same seed."""
    torch.manual_seed(settings.seed)
    g = placed(Generator(settings.side, settings.channels, settings.width), device)
    d = placed(Discriminator(settings.side, settings.channels, settings.width), device)
    workers.same_start(g, d)
    adam_g, adam_d = (torch.optim.Adam(n.parameters(), settings.lr, (settings.beta1, 0.999)) for n in (g, d))
    mean = Averager(g, settings.averaging, settings.decay, per_epoch)
    return Networks(g, d, adam_g, adam_d, mean)


def train(settings: Settings, folder: Path, as_json: bool = False, images: ImageSet | None = None) -> Networks:
    """Train, or go on training, in ``folder``; returns the networks."""
    fabric = workers.join(settings.devices, settings.nodes)
    images = images or open_images(settings.data, settings.side, settings.channels)
    how = Augmentation(settings.scale, settings.rotation_deg, settings.flip)
    batches = Batches(images.train, settings.batch, settings.seed, how, fabric.global_rank, fabric.world_size)
    run = Run(folder, settings, images.digest, fabric.is_global_zero)
    state = run.open()
    nets = build(settings, fabric.device, batches.per_epoch)
    if state is not None:
        nets.load(state)
    first = int(state["step"]) if state else 0
    workers.agree(first)
    progress = Progress(folder, settings.steps, first, as_json, quiet=not run.writes)
    balance = guardrails.Balance(*state.get("balance", ())) if state else guardrails.Balance()
    for step in range(first, settings.steps):
        random = step_random(settings.seed, step)
        real = batches.real(step, random).to(fabric.device, memory_format=torch.channels_last)
        z = batches.normal(LATENT, random).to(fabric.device)
        seen = _step(nets, real, z, balance.learn)
        done = step + 1
        nets.mean_g.update(nets.g, done)
        saves = done % settings.save_every == 0 or done == settings.steps
        if saves or done % settings.log_every == 0:
            _log(run, progress, nets, done, seen, real, balance.learn)
        if settings.balance:
            balance.weigh(*workers.mean_over_processes(seen[:3]))
        if saves:
            run.save(done, {**nets.state(), "balance": [balance.d_rests, balance.g_rests]})
            run.save_grid(done, _grid(nets, settings))
    progress.close()
    return nets


def _step(nets: Networks, real: Tensor, z: Tensor, learn: tuple[bool, bool]) -> list[Tensor]:
    """Update both networks; return the losses of D on real and generated, of G, D(x), D(G(z)), |gradient of G|."""
    fake = nets.g(z)
    nets.adam_d.zero_grad()
    on_real, on_fake = nets.d(real), nets.d(fake.detach())
    loss_real = fn.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
    loss_fake = fn.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
    torch.autograd.backward(loss_real + loss_fake)
    workers.average_gradients(nets.d)
    if learn[0]:
        nets.adam_d.step()
    nets.adam_g.zero_grad()
    nets.d.requires_grad_(False)  # saves the third of the backward pass that nobody reads
    judged = nets.d(fake)
    loss_g = fn.binary_cross_entropy_with_logits(judged, torch.ones_like(judged))
    torch.autograd.backward(loss_g)
    nets.d.requires_grad_(True)
    workers.average_gradients(nets.g)
    if learn[1]:
        nets.adam_g.step()
    norm = guardrails.gradient_norm([p.grad for p in nets.g.parameters()])
    return [loss_real, loss_fake, loss_g, on_real.sigmoid().mean(), on_fake.sigmoid().mean(), norm]


def _log(
    run: Run, progress: Progress, nets: Networks, done: int, seen: list[Tensor], real: Tensor, learn: tuple[bool, bool]
) -> None:
    """Log a step and what the guardrails see; a number gone mad ends the run, its last checkpoint kept."""
    loss_real, loss_fake, loss_g, on_real, on_fake, norm = workers.mean_over_processes(seen)
    diversity = None
    if done % run.settings.watch_every == 0:
        with torch.no_grad():
            fake = nets.mean_g.network(
                torch.randn(len(real), LATENT, generator=step_random(run.settings.seed, 2**40 + done))
            )
            spreads = [guardrails.spread(nets.d.features(x).flatten(1)) for x in (fake, real)]
            diversity = spreads[0] / max(spreads[1], 1e-12)
    record = guardrails.Record(done, loss_real + loss_fake, loss_g, on_real, on_fake, norm, diversity)
    run.watch(record, progress, learn)


def _grid(nets: Networks, settings: Settings) -> Tensor:
    with torch.no_grad():
        z = torch.randn(100, LATENT, generator=step_random(settings.seed, 2**40))
        return torch.as_tensor(nets.mean_g.network(z.to(next(nets.g.parameters()).device)))


def load(folder: Path) -> tuple[Generator, Settings]:
    """Return the averaged generator of a run in eval mode, and the run's settings."""
    state = checkpoint.load(folder / checkpoint.NAME)
    settings = Settings(**json.loads(state["settings"]))
    if "mean_g" not in state:
        raise ProsthesisError(f"{folder}: the checkpoint there is not a DCGAN's")
    g = Generator(settings.side, settings.channels, settings.width)
    g.load_state_dict(state["mean_g"])
    return g.eval(), settings
