"""The gallery of shipped generators: ``python -m prosthesis_train.studies.gallery --out docs``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
from torch import Tensor

from prosthesis_train.artefacts import Artefact, artefact_names, load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.methods.bigbigan import truncated_normal
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.studies.generators import tiled

COLUMNS = 16
THRESHOLDS = (0.25, 0.5, 1.0, 2.0, 4.0)  # beyond 4 lies one value in 16,000: untruncated
CAPTIONS = {
    "samples": "Random codes, none chosen.",
    "interpolations": "From the code on the left to the one on the right, at equal angles; each row another pair.",
    "truncation": "The same generator with codes drawn again beyond 0.25, 0.5, 1, 2 and 4 (top to bottom): extremes "
    "go, pictures become less diverse. The smallest thresholds leave codes far shorter than any drawn in training, "
    "and these models, unlike BigGAN's large ones, answer with washed-out pictures.",
    "reconstructions": "Test pictures, and below each G(E(x)): what the mean code keeps.",
}


def sheets(model: Artefact, seed: int = 1) -> dict[str, Tensor]:
    """Return pictures of each sheet, in rows of ``COLUMNS``."""
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(6 * COLUMNS, model.dim_z, generator=random)
    out = {"samples": model.generate(z), "interpolations": model.generate(_between(z[:6], z[6:12]))}
    truncated = [truncated_normal(COLUMNS, model.dim_z, t, random) for t in THRESHOLDS]
    out["truncation"] = model.generate(torch.cat(truncated))
    if model.encoder is not None:
        card = model.card
        test = open_images(card["settings"]["data"], card["side"], card["channels"]).test
        shown = to_float(test[: 3 * COLUMNS])
        again = model.generate(model.encode(shown)[0])
        rows = [part for k in range(3) for part in (shown[k * COLUMNS :][:COLUMNS], again[k * COLUMNS :][:COLUMNS])]
        out["reconstructions"] = torch.cat(rows)
    return out


def _between(start: Tensor, end: Tensor) -> Tensor:
    """Return codes on the great circle: on the chord they would be shorter than any random code (White 2016)."""
    share = torch.linspace(0, 1, COLUMNS)[None, :, None]
    cosine = torch.nn.functional.cosine_similarity(start, end)[:, None, None]
    angle = torch.arccos(cosine)
    way = (torch.sin((1 - share) * angle) * start[:, None] + torch.sin(share * angle) * end[:, None]) / angle.sin()
    return way.flatten(0, 1)


def make(out: Path) -> Path:
    """Write the page and its pictures below ``out``; return the page's path."""
    folder = out / "images" / "generators"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Generators",
        "",
        "What ships: each a folder of ONNX graphs with a card, loaded by `prosthesis_train.artefacts.load_artefact`.",
        "Scores with all controls are on the [results page](results/generators.md). Nothing here was chosen by hand.",
        "",
    ]
    for name in artefact_names():
        model = load_artefact(name)
        lines += [f"## {name}", "", _about(model), ""]
        for sheet, pictures in sheets(model).items():
            path = folder / f"{name}-{sheet}.png"
            whole = tiled(pictures, COLUMNS)
            cv2.imwrite(str(path), whole[..., ::-1] if whole.ndim == 3 else whole)
            lines += [CAPTIONS[sheet], "", f"![{name}: {sheet}](images/generators/{path.name})", ""]
    lines += ["Made by `python -m prosthesis_train.studies.gallery --out docs`.", ""]
    page = out / "generators.md"
    page.write_text("\n".join(lines), encoding="utf-8")
    return page


def _about(model: Artefact) -> str:
    card = model.card
    made = f"`{card['command']}`, {card['steps']} steps, seed {card['seed']}, {card['seconds'] / 60:.0f} minutes"
    return (
        f"{card['method']} on {card['data']} ({card['data_licence']}), {card['side']} pixels, codes of "
        f"{card['dim_z']}: {made} on two shared cores."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the gallery."""
    parser = argparse.ArgumentParser(description="Draw the gallery of shipped generators.")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    sys.stdout.write(f"wrote {make(parser.parse_args(arguments).out)}\n")


if __name__ == "__main__":
    main()
