"""A rig's code map, made in one command: ``python -m prosthesis_train.make_map utah96_latent``.

The rig names the encoder whose codes are joined, the world whose sites answer, and the map's folder. A blind patient
cannot look at pictures, so the map is fitted to a *simulated sighted* population at the same sites: what a sighted
brain would do there is taken for what should be evoked.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from prosthesis.brainmap import MAP, MapCard, save_card
from prosthesis.bundles.bundle import load_bundle
from prosthesis.config import Rig, config_root, load_rig
from prosthesis.errors import ConfigError
from prosthesis_sim.brain import frozen_brain
from prosthesis_sim.patient import load_world
from prosthesis_train.artefacts import Artefact, load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.maps import fit_map

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
SAMPLES, KIND, COUNTED_S = 8000, "chosen", 0.2
BATCH = 250
LUMA = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709, on the values as the camera gives them
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answers:
    """Codes f64[b, d] of pictures, and the rates f64[b, n] in Hz with which sites answered them."""

    codes: F64
    rates_hz: F64


def gray(pictures: U8) -> npt.NDArray[np.float32]:
    """Return pictures u8[b, h, w, c] as gray f32[b, h, w] in 0..1."""
    mixed = pictures[..., 0] if pictures.shape[3] == 1 else pictures @ LUMA
    return np.asarray(mixed / 255, np.float32)


def answers(artefact: Artefact, brain: Any, pictures: U8, seed: int, say: Say = lambda text: None) -> Answers:
    """Show pictures u8[b, h, w, c] to encoder and brain; the rates are spikes counted for 200 ms, Poisson."""
    random, codes, rates = np.random.default_rng(seed), [], []
    for start in range(0, len(pictures), BATCH):
        part = pictures[start : start + BATCH]
        with torch.no_grad():
            codes.append(artefact.encode(to_float(part))[0].numpy())
        expected = brain.rates_hz(gray(part))
        rates.append(random.poisson(expected * COUNTED_S) / COUNTED_S)
        if start % (8 * BATCH) == 0:
            say(f"{start + len(part)} of {len(pictures)} pictures shown")
    return Answers(np.concatenate(codes).astype(np.float64), np.concatenate(rates))


def make_map(rig: Rig, out: Path | None = None, kind: str = KIND, samples: int = SAMPLES, say: Say = print) -> Path:
    """Fit the map that ``rig`` names and write it to ``out`` (default: where the rig looks for it); return the folder.

    Raises ``ConfigError`` when the rig names no map, or its world no population.
    """
    config = rig.config
    if config.translator.type != "bijective":
        raise ConfigError(
            f"{rig.path}: key 'translator': names no map; make one for a rig whose translator is bijective"
        )
    world = load_world(config.world, rig.path.parent)
    if world.sites is None:
        raise ConfigError(f"{rig.path}: key 'world': '{config.world}' has no 'sites': whose rates should the map join?")
    brain = frozen_brain(world.sites.population, world.sites.seed)
    bundle = load_bundle(config.encoder.model)
    artefact = load_artefact(bundle.manifest.name)
    data = open_images(artefact.card["settings"]["data"], int(artefact.card["side"]), int(artefact.card["channels"]))
    shown = answers(artefact, brain, data.train[:samples], world.sites.seed, say)
    say(f"fitting {kind} to {len(shown.codes)} pictures")
    sites = np.flatnonzero(rig.calibration.column("enabled").astype(bool) & brain.active)
    code_map = fit_map(kind, shown.codes, shown.rates_hz[:, sites])
    folder = out or config_root() / "maps" / config.translator.map
    folder.mkdir(parents=True, exist_ok=True)
    code_map.save(folder / MAP)
    card = MapCard(
        name=config.translator.map,
        kind=kind,
        model=bundle.manifest.name,
        model_sha256=bundle.manifest.graphs[0].sha256,
        map_sha256=hashlib.sha256((folder / MAP).read_bytes()).hexdigest(),
        brain=f"simulated sighted {world.sites.population}, seed {world.sites.seed}, digest {brain.digest[:16]}",
        pictures=f"{data.source}, digest {data.digest[:16]}",
        samples=len(shown.codes),
        built_by=f"python -m prosthesis_train.make_map {config.name} --kind {kind} --samples {samples}",
        sites=tuple(int(site) for site in sites),
        spontaneous_hz=tuple(float(rate) for rate in brain.spontaneous_hz[sites]),
        most_hz=tuple(float(rate) for rate in brain.most_hz[sites]),
    )
    save_card(card, folder)
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Make one rig's map."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_train.make_map", description=main.__doc__)
    parser.add_argument("rig", help="a rig whose translator is bijective, e.g. utah96_latent")
    parser.add_argument("--kind", default=KIND, help=f"the map's kind, as fit_map knows it (default {KIND})")
    parser.add_argument("--samples", type=int, default=SAMPLES, help=f"pictures shown (default {SAMPLES})")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the map's folder (default: where the rig looks)")
    asked = parser.parse_args(arguments)

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")

    sys.stdout.write(f"wrote {make_map(load_rig(asked.rig), asked.out, asked.kind, asked.samples, say)}\n")


if __name__ == "__main__":
    main()
