"""BigBiGAN (Donahue & Simonyan 2019): ``prosthesis train bigbigan --data fashion --size small32 --steps 20000``.

A generator gives pictures to codes, an encoder codes to pictures, and a discriminator tells pairs (x, E(x)) from pairs
(G(z), z) by three scores: of the picture, of the code, of both. Every trick of BigGAN and BigBiGAN is a setting. Off in
the paper, and named so: ``cycle``, the reconstruction terms of ALICE (Li et al. 2017), and ``diff_augment``, pictures
moved about before the discriminator sees them (Zhao et al. 2020).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as fn
from torch import Tensor

from prosthesis.errors import ProsthesisError
from prosthesis_train.data.augment import Augmentation, translated
from prosthesis_train.data.images import ImageSet, open_images
from prosthesis_train.networks.bigbigan import Encoder, Generator, JointDiscriminator, Scores, Tricks, size_named
from prosthesis_train.networks.parts import add_orthogonal_gradient, placed
from prosthesis_train.training import checkpoint, guardrails, workers
from prosthesis_train.training.averaging import Averager
from prosthesis_train.training.batches import Batches, step_random
from prosthesis_train.training.progress import Progress
from prosthesis_train.training.run import Run
from prosthesis_train.training.settings import PictureSettings


@dataclass(frozen=True)
class Settings(PictureSettings):
    """``lr_*``, ``beta1``: Adam; ``d_steps``: updates of D a step; ``accumulate``: parts a batch is cut into.

    ``unary``: use s_x and s_z beside s_xz. ``orthogonal``: strength of the penalty on G. ``cycle``: weight of
    |x - G(E(x))| and, a tenth of it, of (z - E(G(z)))^2, every ``cycle_every`` steps. ``diff_augment``: most pixels
    moved.
    """

    size: Literal["small32", "codes120", "small64", "paper128"] = "small32"
    skip_z: bool = True
    self_attention: bool = True
    spectral_norm: Literal["none", "D", "GD"] = "D"
    loss: Literal["hinge", "logistic"] = "hinge"
    unary: bool = True
    d_steps: int = 1
    accumulate: int = 1
    lr_d: float = 4e-4
    lr_g: float = 2e-4
    lr_e: float = 1e-3
    beta1: float = 0.5
    orthogonal: float = 1e-4
    cycle: float = 0.0
    cycle_every: int = 2
    diff_augment: int = 0


@dataclass(slots=True)
class Networks:
    """The three networks, their optimisers, and the averaged generator and encoder."""

    g: Generator
    e: Encoder
    d: JointDiscriminator
    adam_g: torch.optim.Adam
    adam_e: torch.optim.Adam
    adam_d: torch.optim.Adam
    mean_g: Averager
    mean_e: Averager

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs."""
        trained = {n: getattr(self, n).state_dict() for n in ("g", "e", "d", "adam_g", "adam_e", "adam_d")}
        return {**trained, "mean_g": self.mean_g.state(), "mean_e": self.mean_e.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        for name in ("g", "e", "d", "adam_g", "adam_e", "adam_d"):
            getattr(self, name).load_state_dict(state[name])
        self.mean_g.load(state["mean_g"])
        self.mean_e.load(state["mean_e"])


@dataclass(slots=True)
class Batch:
    """One process's part of a global batch: pictures, codes, noise of the encoder, shifts of ``diff_augment``."""

    real: Tensor
    z: Tensor
    noise: Tensor
    shift: Tensor | None

    def parts(self, count: int) -> list[Batch]:
        """Return ``count`` parts for accumulation."""
        if count == 1:
            return [self]
        shifts: Sequence[Tensor | None] = [None] * count if self.shift is None else self.shift.chunk(count)
        cut = zip(self.real.chunk(count), self.z.chunk(count), self.noise.chunk(count), shifts, strict=True)
        return [Batch(*four) for four in cut]


def tricks_of(settings: Settings) -> Tricks:
    """Return the tricks that change the networks."""
    spectral = "" if settings.spectral_norm == "none" else settings.spectral_norm
    return Tricks(settings.skip_z, settings.self_attention, spectral)


def build(settings: Settings, device: torch.device, per_epoch: int) -> Networks:
    """Return new networks, the same for the same seed."""
    torch.manual_seed(settings.seed)
    size, tricks = size_named(settings.size), tricks_of(settings)
    g = Generator(size, settings.channels, tricks)
    e = Encoder(size, settings.channels)
    d = JointDiscriminator(size, settings.channels, tricks)
    for network in (g, e, d):
        placed(network, device)
    workers.same_start(g, e, d)
    betas = (settings.beta1, 0.999)
    adam_g = torch.optim.Adam(g.parameters(), settings.lr_g, betas)
    adam_e = torch.optim.Adam(e.parameters(), settings.lr_e, betas)
    adam_d = torch.optim.Adam(d.parameters(), settings.lr_d, betas)
    means = [Averager(n, settings.averaging, settings.decay, per_epoch) for n in (g, e)]
    return Networks(g, e, d, adam_g, adam_e, adam_d, *means)


def train(settings: Settings, folder: Path, as_json: bool = False, images: ImageSet | None = None) -> Networks:
    """Train, or go on training, in ``folder``; returns the networks."""
    fabric = workers.join(settings.devices, settings.nodes)
    images = images or open_images(settings.data, size_named(settings.size).encoder_side, settings.channels)
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
        seen = _step(nets, settings, batches, step, balance.learn, fabric.device)
        done = step + 1
        nets.mean_g.update(nets.g, done)
        nets.mean_e.update(nets.e, done)
        saves = done % settings.save_every == 0 or done == settings.steps
        if saves or done % settings.log_every == 0:
            run.watch(_record(nets, settings, batches, done, seen, fabric.device), progress, balance.learn)
        if settings.balance:
            balance.weigh(*workers.mean_over_processes(seen[-3:]))
        if saves:
            run.save(done, {**nets.state(), "balance": [balance.d_rests, balance.g_rests]})
            run.save_grid(done, _grid(nets, images, fabric.device))
    progress.close()
    return nets


def _draw(settings: Settings, batches: Batches, turn: int, device: torch.device) -> Batch:
    """Return the global batch number ``turn``; several updates of D see several batches."""
    random = step_random(settings.seed, turn)
    real = batches.real(turn, random)
    latent = size_named(settings.size).latent
    z, noise = batches.normal(latent, random), batches.normal(latent, random)
    reach = settings.diff_augment
    shift = None
    if reach:
        drawn = torch.randint(-reach, reach + 1, (2, settings.batch, 2), generator=random)
        shift = torch.cat([batches.part(d) for d in drawn]).to(device)  # of real, of generated pictures
    return Batch(real.to(device, memory_format=torch.channels_last), z.to(device), noise.to(device), shift)


def _step(
    nets: Networks, settings: Settings, batches: Batches, step: int, learn: tuple[bool, bool], device: torch.device
) -> list[Tensor]:
    """Update D ``d_steps`` times, then G and E; return losses of D and G, s_x as D(x) and D(G(z)), ..."""
    for turn in range(settings.d_steps):
        batch = _draw(settings, batches, step * settings.d_steps + turn, device)
        # the pair of the last update is also the one that G and E learn from, so one pass of both serves two updates
        shared = turn == settings.d_steps - 1 and settings.accumulate == 1
        loss_d, scores, pair = _update_d(nets, settings, batch, shared, learn[0])
    loss_g, judged = _update_ge(nets, settings, batch, pair if shared else None, step, learn[1])
    on_real, on_fake = scores.picture.detach().chunk(2)
    for_g = judged.picture.detach().chunk(2)[1]
    entropies = [fn.softplus(-on_real).mean(), fn.softplus(on_fake).mean(), fn.softplus(-for_g).mean()]
    norm = guardrails.gradient_norm([p.grad for p in nets.g.parameters()])
    return [loss_d, loss_g, on_real.sigmoid().mean(), on_fake.sigmoid().mean(), norm, *entropies]


def _update_d(
    nets: Networks, settings: Settings, batch: Batch, shared: bool, learns: bool
) -> tuple[Tensor, Scores, tuple[Tensor, Tensor]]:
    """Update D once; return loss, scores and pair of the last part, the pair with its graph if it is ``shared``."""
    nets.adam_d.zero_grad()
    for part in batch.parts(settings.accumulate):
        with torch.set_grad_enabled(shared):
            pair = _pair(nets, part)
        scores = _judge(nets.d, part, (pair[0].detach(), pair[1].detach()))
        loss = discriminator_loss(scores, settings)
        torch.autograd.backward(loss / settings.accumulate)
    workers.average_gradients(nets.d)
    if learns:
        nets.adam_d.step()
    return loss, scores, pair


def _update_ge(
    nets: Networks, settings: Settings, batch: Batch, pair: tuple[Tensor, Tensor] | None, step: int, learns: bool
) -> tuple[Tensor, Scores]:
    """Update G and E once, from ``pair`` or from pairs made here; return loss and scores of the last part."""
    nets.adam_g.zero_grad()
    nets.adam_e.zero_grad()
    nets.d.requires_grad_(False)  # saves the third of the backward pass that nobody reads
    for part in batch.parts(settings.accumulate):
        made = pair or _pair(nets, part)
        scores = _judge(nets.d, part, made)
        loss = generator_loss(scores, settings)
        cycle = _cycle(nets, part, made, settings, step)
        torch.autograd.backward((loss + cycle) / settings.accumulate)
    nets.d.requires_grad_(True)
    for network in (nets.g, nets.e):
        workers.average_gradients(network)
    add_orthogonal_gradient(nets.g, settings.orthogonal)
    if learns:
        nets.adam_g.step()
        nets.adam_e.step()
    return loss, scores


def _pair(nets: Networks, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return G(z) and a draw of E(x)."""
    mean, sigma = nets.e(batch.real)
    return nets.g(batch.z), torch.addcmul(mean, sigma, batch.noise)


def _judge(d: JointDiscriminator, batch: Batch, pair: tuple[Tensor, Tensor]) -> Scores:
    """Return the scores of (x, E(x)) in the first half, of (G(z), z) in the second."""
    pictures = torch.cat([resized(batch.real, pair[0].shape[2]), pair[0]])
    if batch.shift is not None:
        pictures = translated(pictures, batch.shift)
    scores: Scores = d(pictures, torch.cat([pair[1], batch.z]))
    return scores


def resized(pictures: Tensor, side: int) -> Tensor:
    """Return pictures of ``side`` pixels: in ``paper128`` the encoder sees 256 where the others see 128."""
    now = pictures.shape[2]
    if now == side:
        return pictures
    return fn.avg_pool2d(pictures, now // side) if now > side else fn.interpolate(pictures, side)


def discriminator_loss(scores: Scores, settings: Settings) -> Tensor:
    """Return the sum over scores of h(s) on (x, E(x)) and h(-s) on (G(z), z).

    h(t) = max(0, 1 - t), or log(1 + e^-t).
    """
    total = scores.joint.new_zeros(())
    for score in scores.parts(settings.unary):
        real, fake = score.chunk(2)
        if settings.loss == "hinge":
            total = total + fn.relu(1 - real).mean() + fn.relu(1 + fake).mean()
        else:
            total = total + fn.softplus(-real).mean() + fn.softplus(fake).mean()
    return total


def generator_loss(scores: Scores, settings: Settings) -> Tensor:
    """Return the sum over scores of s on (x, E(x)) minus s on (G(z), z), or the unsaturated logistic loss."""
    total = scores.joint.new_zeros(())
    for score in scores.parts(settings.unary):
        real, fake = score.chunk(2)
        if settings.loss == "hinge":
            total = total + real.mean() - fake.mean()
        else:
            total = total + fn.softplus(real).mean() + fn.softplus(-fake).mean()
    return total


def _cycle(nets: Networks, batch: Batch, pair: tuple[Tensor, Tensor], settings: Settings, step: int) -> Tensor | float:
    """Return the reconstruction terms of ALICE, as often as asked and so much heavier."""
    if settings.cycle == 0.0 or step % settings.cycle_every:
        return 0.0
    again = nets.g(pair[1])
    pixels = (again - resized(batch.real, again.shape[2])).abs().mean()
    codes = (nets.e(resized(pair[0], nets.e.side))[0] - batch.z).square().mean()
    total: Tensor = settings.cycle * settings.cycle_every * (pixels + 0.1 * codes)
    return total


def _record(
    nets: Networks, settings: Settings, batches: Batches, done: int, seen: list[Tensor], device: torch.device
) -> guardrails.Record:
    """Return what is logged of a step; now and then with the diversity of generated over that of real pictures."""
    loss_d, loss_g, real, fake, norm = workers.mean_over_processes(seen[:5])
    diversity = None
    if done % settings.watch_every == 0:
        batch = _draw(settings, batches, 2**40 // settings.batch + done, device)
        with torch.no_grad():
            pictures = (nets.mean_g.network(batch.z), batch.real)
            spreads = [guardrails.spread(nets.d.pictures(resized(x, nets.g.side))) for x in pictures]
        diversity = spreads[0] / max(spreads[1], 1e-12)
    return guardrails.Record(done, loss_d, loss_g, real, fake, norm, diversity)


def _grid(nets: Networks, images: ImageSet, device: torch.device) -> Tensor:
    """Return 50 samples, then rows of pictures and under them their reconstructions."""
    from prosthesis_train.data.augment import to_unit

    g, e = nets.mean_g.network, nets.mean_e.network
    with torch.no_grad():
        z = torch.randn(50, nets.g.latent, generator=step_random(0, 2**41)).to(device)
        some = to_unit(torch.from_numpy(images.train[:20])).to(device)
        again = g(e(resized(some, nets.e.side))[0])
        some = resized(some, nets.g.side)
    return torch.cat(
        [
            g(z),
            some[:10],
            again[:10],
            some[10:],
            again[10:],
        ]
    )


def truncated_normal(n: int, latent: int, threshold: float, random: torch.Generator) -> Tensor:
    """Return f32[n, latent] of N(0, 1) in which every value beyond ``threshold`` was drawn again (Brock et al. 2019).

    Extremes go: pictures become more typical and less diverse, the smaller the threshold.
    """
    if threshold <= 0:
        raise ProsthesisError(f"truncated sampling needs a threshold above 0, not {threshold}; 2 is mild, 0.5 strong")
    z = torch.randn(n, latent, generator=random)
    while bool((beyond := z.abs() > threshold).any()):
        z[beyond] = torch.randn(int(beyond.sum()), generator=random)
    return z


def load(folder: Path) -> tuple[Generator, Encoder, Settings]:
    """Return the averaged generator and encoder of a run in eval mode, and the run's settings."""
    state = checkpoint.load(folder / checkpoint.NAME)
    if "mean_e" not in state:
        raise ProsthesisError(f"{folder}: the checkpoint there is not a BigBiGAN's; name a folder of 'train bigbigan'")
    settings = Settings(**json.loads(state["settings"]))
    size = size_named(settings.size)
    g, e = Generator(size, settings.channels, tricks_of(settings)), Encoder(size, settings.channels)
    g.load_state_dict(state["mean_g"])
    e.load_state_dict(state["mean_e"])
    return g.eval(), e.eval(), settings
