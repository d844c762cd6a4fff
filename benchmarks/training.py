"""Throughput of our training loops over bare PyTorch loops of the same networks, in turns, in one process.

Ours does all that `prosthesis train` does: batches by seed and step, averaged weights, guardrails, log, checkpoints.
The bare loop draws random pictures and updates; nothing else. `python benchmarks/training.py --turns 20`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from prosthesis_train.data.images import ImageSet
from prosthesis_train.methods import bigbigan, dcgan
from prosthesis_train.training.progress import Progress

STEPS = 10  # of a turn


def bare_dcgan(settings, pictures):
    random = np.random.default_rng(0)
    nets = dcgan.build(settings, torch.device("cpu"), 1)
    one, zero = torch.ones(settings.batch), torch.zeros(settings.batch)
    bce = functional.binary_cross_entropy_with_logits

    def step():
        chosen = torch.from_numpy(pictures[random.integers(0, len(pictures), settings.batch)])
        real = chosen.permute(0, 3, 1, 2).float() / 127.5 - 1
        fake = nets.g(torch.randn(settings.batch, 100))
        nets.adam_d.zero_grad()
        (bce(nets.d(real), one) + bce(nets.d(fake.detach()), zero)).backward()
        nets.adam_d.step()
        nets.adam_g.zero_grad()
        nets.d.requires_grad_(False)
        bce(nets.d(fake), one).backward()
        nets.d.requires_grad_(True)
        nets.adam_g.step()

    return step


def bare_bigbigan(settings, pictures):
    random = np.random.default_rng(0)
    nets = bigbigan.build(settings, torch.device("cpu"), 1)

    def step():
        chosen = torch.from_numpy(pictures[random.integers(0, len(pictures), settings.batch)])
        real = chosen.permute(0, 3, 1, 2).float() / 127.5 - 1
        z = torch.randn(settings.batch, nets.g.latent)
        mean, sigma = nets.e(real)
        code, fake = mean + sigma * torch.randn_like(sigma), nets.g(z)
        nets.adam_d.zero_grad()
        s = nets.d(torch.cat([real, fake.detach()]), torch.cat([code.detach(), z]))
        halves = [score.chunk(2) for score in (s.picture, s.code, s.joint)]
        sum(functional.relu(1 - a).mean() + functional.relu(1 + b).mean() for a, b in halves).backward()
        nets.adam_d.step()
        nets.adam_g.zero_grad()
        nets.adam_e.zero_grad()
        nets.d.requires_grad_(False)
        s = nets.d(torch.cat([real, fake]), torch.cat([code, z]))
        halves = [score.chunk(2) for score in (s.picture, s.code, s.joint)]
        sum(a.mean() - b.mean() for a, b in halves).backward()
        nets.d.requires_grad_(True)
        nets.adam_g.step()
        nets.adam_e.step()

    return step


def compare(method, bare, settings, turns):
    """Run ours; whenever it logs, let the bare loop do as many steps. Returns seconds a turn of both."""
    pictures = np.random.default_rng(0).integers(0, 256, (10_000, 32, 32, 1), dtype=np.uint8)
    images = ImageSet("noise", pictures, pictures[:1], None, None, (), "CC0-1.0", "made up")
    step = bare(settings, pictures)
    ours, theirs, began = [], [], None

    def tell(self, entry):
        nonlocal began
        now = time.perf_counter()
        if began is not None:
            ours.append(now - began)
        for _ in range(STEPS):
            step()
        if began is not None:
            theirs.append(time.perf_counter() - now)
        began = time.perf_counter()

    kept, Progress.tell = Progress.tell, tell
    try:
        with tempfile.TemporaryDirectory() as folder:
            method.train(settings, Path(folder), images=images)
    finally:
        Progress.tell = kept
    return np.array(ours), np.array(theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logs = {
        "steps": STEPS * (arguments.turns + 1),
        "log_every": STEPS,
        "save_every": 10 * STEPS,
        "watch_every": 10 * STEPS,
    }
    for name, method, bare, more in (
        ("dcgan, 32 px, width 32", dcgan, bare_dcgan, {"width": 32}),
        ("bigbigan, small32", bigbigan, bare_bigbigan, {"self_attention": False}),
    ):
        ours, theirs = compare(method, bare, method.Settings(**logs, **more), arguments.turns)
        ratio = theirs / ours
        rate = 64 * STEPS / np.median(ours)
        print(
            f"{name}: {rate:.0f} pictures/s; over bare {np.median(theirs) / np.median(ours):.3f}, by turn "
            f"{np.median(ratio):.3f} ({ratio.min():.2f} to {ratio.max():.2f}), least times "
            f"{theirs.min() / ours.min():.3f}; "
            f"{arguments.turns} turns of {STEPS} steps, {arguments.threads} thread(s)"
        )
    print(f"peak memory of both loops together: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
