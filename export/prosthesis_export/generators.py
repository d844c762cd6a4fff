"""A run's generator and encoder as ONNX graphs with their card: ``python -m prosthesis_export.generators RUN``.

The graphs are compared with torch on the same inputs before anything is written, and the card says by how much they
differ. Spectral norms and other parametrisations are folded into plain weights.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from prosthesis.errors import ProsthesisError
from prosthesis_train.artefacts import CARD, ENCODER, GENERATOR, MODELS, load_artefact
from prosthesis_train.data.images import ImageSet, open_images
from prosthesis_train.methods import bigbigan, dcgan
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.scores.card import Card, score_card, table
from prosthesis_train.scores.features import averages, own_classifier
from prosthesis_train.training import checkpoint

OPSET = 18
MOST_BYTES = 8_000_000
PARITY = 1e-4  # pictures are in -1..1: far below half a gray level (4e-3)


class Described(nn.Module):
    """An encoder that also gives the features which a linear probe reads."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, sigma and features."""
        mean, sigma = self.encoder(pictures)
        return mean, sigma, self.encoder.features(pictures)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run's folder holds: averaged networks in eval mode, and what is known of the run."""

    method: str
    generator: nn.Module
    encoder: nn.Module | None
    dim_z: int
    settings: Any
    facts: dict[str, Any]


def read_run(folder: Path) -> Trained:
    """Return the networks of a run of ``train dcgan`` or ``train bigbigan``."""
    state = checkpoint.load(folder / checkpoint.NAME)
    facts = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    facts |= {"steps_done": int(state["step"]), "seconds": round(float(state["seconds"]))}
    if "mean_e" in state:
        g, e, settings = bigbigan.load(folder)
        return Trained("bigbigan", plain(g), plain(e), g.latent, settings, facts)
    only, setup = dcgan.load(folder)
    return Trained("dcgan", plain(only), None, only.latent, setup, facts)


def plain(network: nn.Module) -> nn.Module:
    """Fold every parametrisation into its weight: a graph needs no power iteration."""
    for layer in network.modules():
        for name in list(getattr(layer, "parametrizations", {})):
            parametrize.remove_parametrizations(layer, name)
    return network.eval()


def graph(
    network: nn.Module, example: tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str], free: bool = True
) -> bytes:
    """Return a network as one ONNX file whose batch is ``free`` and which keeps no trace of this machine."""
    out: Any = io.BytesIO()  # allowed by the older exporter, whatever its annotation says
    axes = {name: {0: "n"} for name in (*inputs, *outputs)} if free else None
    with warnings.catch_warnings():
        # the newer exporter needs onnxscript, and writes source paths into every node
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            example,
            out,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            training=torch.onnx.TrainingMode.PRESERVE,  # "EVAL" folds a norm into a convolution that others read too
            dynamo=False,
        )
    found = onnx.load_from_string(out.getvalue())
    onnx.checker.check_model(found, full_check=True)
    content = bytes(found.SerializeToString())
    if len(content) > MOST_BYTES:
        raise ProsthesisError(
            f"the graph of {inputs[0]} has {len(content)} bytes, the limit is {MOST_BYTES}; train it smaller"
        )
    return content


def export(run: Path, folder: Path) -> dict[str, float]:
    """Write graphs and card of a run into ``folder``; return the largest differences from torch.

    Raises ``ProsthesisError`` when a graph is too large or differs.
    """
    trained = read_run(run)
    settings, generator = trained.settings, torch.Generator().manual_seed(0)
    z = torch.randn(64, trained.dim_z, generator=generator)
    data = open_images(settings.data, settings.side, settings.channels)
    files = {GENERATOR: graph(trained.generator, (z[:2],), ["z"], ["pictures"])}
    shown = to_float(data.test[:64])
    if trained.encoder is not None:
        files[ENCODER] = graph(Described(trained.encoder), (shown[:2],), ["pictures"], ["mean", "sigma", "features"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    write_card(folder, card_of(trained, data, files))
    differ = parity(folder, trained, z, shown)
    if max(differ.values()) > PARITY:
        raise ProsthesisError(f"{folder}: graphs differ from torch by {differ}; at most {PARITY} is allowed")
    write_card(folder, {**card_of(trained, data, files), "largest_difference_from_torch": differ})
    return differ


@torch.no_grad()
def parity(folder: Path, trained: Trained, z: Tensor, shown: Tensor) -> dict[str, float]:
    """Return the largest difference of each output of the graphs from torch's."""
    model = load_artefact(folder)
    out = {"pictures": float((model.generate(z) - trained.generator(z)).abs().max())}
    if trained.encoder is not None:
        names, found = ("mean", "sigma"), model.encode(shown)
        for name, one, other in zip(names, found, trained.encoder(shown), strict=True):
            out[name] = float((one - other).abs().max())
        truth = Described(trained.encoder)(shown)[2]
        out["features"] = float((model.features(shown) - truth).abs().max() / truth.abs().max())
    return out


def card_of(trained: Trained, data: ImageSet, files: dict[str, bytes]) -> dict[str, Any]:
    """Return what ``model.json`` says, before scores."""
    settings = trained.settings
    return {
        "method": trained.method,
        "dim_z": trained.dim_z,
        "side": settings.side,
        "channels": settings.channels,
        "range": "-1 (black) to 1 (white); gray, or RGB",
        "data": data.source,
        "data_digest": data.digest,
        "data_licence": data.licence,
        "licence": "Apache-2.0",
        "command": trained.facts["command"],
        "commit": trained.facts["commit"],
        "seed": settings.seed,
        "steps": trained.facts["steps_done"],
        "seconds": trained.facts["seconds"],
        "settings": asdict(settings),
        "opset": OPSET,
        "bytes": {name: len(content) for name, content in files.items()},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }


def score(folder: Path, n: int) -> Card:
    """Score a shipped model on its own pictures and write the scores into its card."""
    model = load_artefact(folder)
    data = open_images(model.card["settings"]["data"], model.card["side"], model.card["channels"])
    own = data.name == "fashion" and data.train.shape[1:] == (32, 32, 1)
    network = own_classifier() if own else averages()
    labels = torch.from_numpy(data.test_labels) if own and data.test_labels is not None else None
    few = np.random.default_rng(0).permutation(len(data.train))[: max(n, 1)]
    made = score_card(model.model(), to_float(data.train[few]), to_float(data.test), network, labels, n)
    rows = {r.condition: {**r.of_set, **{k: list(v) for k, v in r.of_pairs.items()}} for r in made.rows}
    scores = {"network": made.network, "distance": made.distance, "n": made.n, "seed": made.seed, "rows": rows}
    write_card(folder, {**model.card, "scores": scores})
    (folder / "card.md").write_text(page(model.card, made), encoding="utf-8")
    return made


def page(card: dict[str, Any], scored: Card) -> str:
    """Return the card for people."""
    return "\n".join(
        [
            f"# {scored.model}",
            "",
            f"{card['method']}, {card['side']} x {card['side']} x {card['channels']}, codes of {card['dim_z']}; "
            f"licence {card['licence']}. A research artefact: it knows only pictures like those it was trained on.",
            "",
            f"- pictures: {card['data']} ({card['data_licence']}), digest {card['data_digest'][:16]}",
            f"- made by `{card['command']}`, commit {card['commit'][:12]}, seed {card['seed']}, {card['steps']} steps, "
            f"{card['seconds'] / 60:.0f} minutes",
            "- graphs: "
            + ", ".join(f"`{k}` {v / 1e6:.2f} MB, sha256 {card['sha256'][k][:16]}" for k, v in card["bytes"].items()),
            "",
            table(scored),
            "",
        ]
    )


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write ``model.json``."""
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Export a run, and score it."""
    parser = argparse.ArgumentParser(description="Export a run's networks to ONNX, with their card.")
    parser.add_argument("run", type=Path, help="the run's folder, e.g. runs/bigbigan-fashion-0")
    parser.add_argument("--out", type=Path, help="the artefact's folder (default: shipped models, METHOD-DATA)")
    parser.add_argument("--n", type=int, default=10_000, help="pictures a score sees; 0 leaves the scores out")
    asked = parser.parse_args(arguments)
    trained = read_run(asked.run)
    folder = asked.out or MODELS / f"{trained.method}-{trained.settings.data}"
    sys.stdout.write(f"{folder}: largest differences from torch {export(asked.run, folder)}\n")
    if asked.n:
        sys.stdout.write(table(score(folder, asked.n)) + "\n")


if __name__ == "__main__":
    main()
