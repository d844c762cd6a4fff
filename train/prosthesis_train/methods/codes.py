"""Codes that a user is taught: k task maps learned through virtual patients so that each is told from all others.

``python -m prosthesis_train.methods.codes letters --rig utah96`` writes the shipped file. A code is no picture of its
symbol: how well it is told apart is reported with the exposures that it took, and apart from ordinary letters.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import string
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

import prosthesis
from prosthesis.errors import ProsthesisError
from prosthesis_train.networks.taskmap import Observer
from prosthesis_train.observers.percepts import VirtualPatient, virtual_patient
from prosthesis_train.observers.taught import Seer, exposed

CODES = Path(prosthesis.__file__).parent / "codes"
SYMBOLS = {"letters": tuple(string.ascii_uppercase), "identities": tuple(string.digits)}
LOST = 0.25  # of the electrodes at most: patients that are not in the pool
FIRST_PATIENT = 10_000  # patients that train codes and encoders; those that judge them are others
PERCEPT_SIDE = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """How a code is learned; the defaults made the shipped ones.

    ``grid`` cells along each axis are free, smoothly enlarged to ``cells``; ``charge`` weighs the charge used, as a
    share of all electrodes at their most.
    """

    rig: str = "utah96"
    symbols: str = "letters"
    cells: int = 32
    grid: int = 6
    patients: int = 16
    dropouts: tuple[float, ...] = (0.1, 0.2, 0.3)
    together: int = 4
    steps: int = 200
    lr_maps: float = 0.08
    lr_observer: float = 2e-3
    charge: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Code:
    """``letters`` U1[k] name the symbols of ``maps`` f32[k, rows, columns] in 0..1, laid over the rig's view.

    ``field_deg`` is the mean width of that view over the patients that taught it.
    """

    letters: npt.NDArray[np.str_]
    maps: npt.NDArray[np.float32]
    field_deg: float


def pool(settings: Settings) -> list[VirtualPatient]:
    """Return the patients that teach a code, dropouts in turn."""
    seeds = range(FIRST_PATIENT, FIRST_PATIENT + settings.patients)
    shares = [settings.dropouts[k % len(settings.dropouts)] for k in range(settings.patients)]
    return [seen_closely(settings.rig, s, d, settings.cells) for s, d in zip(seeds, shares, strict=True)]


def seen_closely(rig: str, seed: int, dropout: float, cells: int = 32) -> VirtualPatient:
    """Return a virtual patient whose percepts are 32 x 32 pixels of what the array covers."""
    return virtual_patient(rig, seed, dropout, cells, side=PERCEPT_SIDE, look="array")


def learn(
    settings: Settings, patients: Sequence[VirtualPatient], say: Callable[[str], None] = lambda text: None
) -> Code:
    """Return a code learned through ``patients``, with an observer that learns it at the same time."""
    symbols, random = SYMBOLS[settings.symbols], torch.Generator().manual_seed(settings.seed)
    torch.manual_seed(settings.seed)
    free = torch.randn(len(symbols), 1, settings.grid, settings.grid, generator=random).requires_grad_()
    observer = Observer(len(symbols), patients[0].side, 2)
    adam = torch.optim.Adam(
        [{"params": [free], "lr": settings.lr_maps}, {"params": observer.parameters(), "lr": settings.lr_observer}]
    )
    for step in range(settings.steps):
        chosen = torch.randperm(len(patients), generator=random)[: settings.together].tolist()
        loss, right = _loss(free, observer, [patients[k] for k in chosen], settings, random)
        adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        adam.step()
        if step % 50 == 49:
            say(f"step {step + 1} of {settings.steps}: loss {float(loss.detach()):.3f}, told apart {right:.3f}")
    field = [p.view.field.x1_deg - p.view.field.x0_deg for p in patients]
    # in steps of 1/255: finer than any rig's currents, and a tenth of the file
    maps = (painted(free, settings.cells).detach().numpy() * 255).round() / 255
    return Code(np.array(symbols), maps.astype(np.float32), float(np.mean(field)))


def painted(free: Tensor, cells: int) -> Tensor:
    """Return maps f32[k, cells, cells] in 0..1 of free numbers f32[k, 1, grid, grid]."""
    return torch.sigmoid(interpolate(free, size=(cells, cells), mode="bilinear", align_corners=False)[:, 0])


def _loss(
    free: Tensor, observer: Observer, patients: Sequence[VirtualPatient], settings: Settings, random: torch.Generator
) -> tuple[Tensor, float]:
    """Return the loss of all symbols through ``patients``, and how many the observer tells apart."""
    maps = painted(free, settings.cells)
    seen = torch.cat([exposed(patient, maps, random, LOST) for patient in patients])
    labels = torch.arange(len(maps)).repeat(len(patients))
    logits = observer(seen)
    used = torch.stack([charge_share(patient, maps) for patient in patients]).mean()
    right = float((logits.argmax(1) == labels).float().mean())
    return cross_entropy(logits, labels) + settings.charge * used, right


def charge_share(patient: Seer, maps: Tensor) -> Tensor:
    """Return the mean charge of maps over that of a map of ones, a scalar in 0..1."""
    most = patient.currents(torch.ones(1, *maps.shape[1:])).sum()
    return patient.currents(maps).sum(1).mean() / most


def save(code: Code, name: str, folder: Path, facts: dict[str, object]) -> Path:
    """Write ``NAME.npz`` and its card ``NAME.json``, which pins it; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    np.savez_compressed(
        path, allow_pickle=False, letters=code.letters, maps=code.maps, field_deg=np.float32(code.field_deg)
    )
    card = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **facts}
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path


def load(name: str, folder: Path = CODES) -> Code:
    """Return a code by name; ``ProsthesisError`` when it is missing or not the one that its card pins."""
    path = folder / f"{name}.npz"
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        symbols, _, rig = name.partition("-")
        raise ProsthesisError(f"{path}: no code ({error}); python -m {__name__} {symbols} --rig {rig}") from error
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ProsthesisError(f"{path}: sha256 is not the card's: changed or damaged; restore it")
    with np.load(path, allow_pickle=False) as kept:
        return Code(kept["letters"], kept["maps"], float(kept["field_deg"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn one code and save it."""
    parser = argparse.ArgumentParser(prog="python -m prosthesis_train.methods.codes", description=main.__doc__)
    parser.add_argument("symbols", choices=tuple(SYMBOLS))
    usual = Settings()
    parser.add_argument("--rig", default=usual.rig)
    for name in ("grid", "patients", "steps", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    parser.add_argument("--out", type=Path, default=CODES, metavar="DIR")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    chosen = {name: getattr(asked, name) for name in ("symbols", "rig", "grid", "patients", "steps", "seed")}
    settings, start = replace(usual, **chosen), time.process_time()
    code = learn(settings, pool(settings), _say)
    facts: dict[str, object] = {
        "what": f"{len(code.letters)} task maps of {settings.symbols}, to be taught",
        "data": f"none but virtual patients {FIRST_PATIENT} to {FIRST_PATIENT + settings.patients - 1} of {asked.rig}",
        "licence": "Apache-2.0",
        "command": f"python -m prosthesis_train.methods.codes {asked.symbols} --rig {asked.rig} --grid {asked.grid} "
        f"--patients {asked.patients} --steps {asked.steps} --seed {asked.seed}",
        "settings": asdict(settings),
        "cpu_s": round(time.process_time() - start),
    }
    sys.stdout.write(f"wrote {save(code, f'{asked.symbols}-{asked.rig}', asked.out, facts)}\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
