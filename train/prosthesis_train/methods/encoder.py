"""An encoder trained end to end: camera crop to task map, through many virtual patients, to what an observer reads.

After Granley et al. 2022 and de Ruyter van Steveninck et al. 2022: the loss is taken of the percept, never of the map,
and gradients come back through phosphenes, tissue, guard, modulator and translator. What is minimised: the task's
cross-entropy of an observer trained beside it, the difference of the percept from the lit array masked by what should
be seen, and the charge used. That observer judges nothing else: scores have frozen ones that never saw this encoder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as fn
from torch import Tensor

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis.view import Field, View
from prosthesis_train.data.sights import Sights, Task, sights
from prosthesis_train.methods.codes import FIRST_PATIENT, PERCEPT_SIDE, charge_share, seen_closely
from prosthesis_train.networks.parts import placed
from prosthesis_train.networks.taskmap import Observer, TaskMapper
from prosthesis_train.observers.percepts import VirtualPatient
from prosthesis_train.observers.taught import exposed
from prosthesis_train.training import checkpoint, workers
from prosthesis_train.training.averaging import Averager
from prosthesis_train.training.batches import step_random
from prosthesis_train.training.progress import Progress
from prosthesis_train.training.run import Run
from prosthesis_train.training.settings import RunSettings

DROPOUTS = (0.1, 0.2, 0.3)
LOST = 0.25  # of the electrodes at most, drawn each time: patients that are not in the pool


@dataclass(frozen=True)
class Settings(RunSettings):
    """``pictures`` crops of the task through ``patients`` of ``rig``, ``together`` of them a step; weights of the loss.

    ``cells`` is the map's side, 32 or 64; the crop's is twice that. ``start`` names a run whose networks this one
    starts from: a map of 64 cells learns from one of 32. ``steps`` sets the course of the learning rate.
    """

    task: Task = "letters"
    rig: str = "utah96"
    cells: int = 32
    pictures: int = 6000
    patients: int = 24
    together: int = 4
    lr: float = 2e-3
    picture: float = 2.0
    charge: float = 0.1
    start: str = ""
    batch: int = 64
    steps: int = 1500
    log_every: int = 25

    @property
    def seen(self) -> str:
        """The task, and the map's side."""
        return f"{self.task}-{self.cells}"


class Placed(Protocol):
    """Who sees ``part`` of the view's field in ``side`` x ``side`` pixels."""

    view: View
    part: Field
    side: int


@dataclass(slots=True)
class Networks:
    """The encoder, the observer trained beside it, their optimiser, and the averaged encoder."""

    mapper: TaskMapper
    observer: Observer
    adam: torch.optim.Adam
    mean: Averager

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs."""
        return {
            "mapper": self.mapper.state_dict(), "observer": self.observer.state_dict(),
            "adam": self.adam.state_dict(), "mean_mapper": self.mean.state(),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        for name in ("mapper", "observer", "adam"):
            getattr(self, name).load_state_dict(state[name])
        self.mean.load(state["mean_mapper"])


@dataclass(frozen=True, slots=True)
class Losses:
    """What a step minimises: of the task, of the picture, the share of charge; and the share read right."""

    task: Tensor
    picture: Tensor
    charge: Tensor
    read: Tensor


def build(settings: Settings, classes: int, device: torch.device) -> Networks:
    """Return new networks, the same for the same seed."""
    torch.manual_seed(settings.seed)
    mapper, observer = TaskMapper(settings.cells), Observer(classes, PERCEPT_SIDE, 2)
    if settings.start:
        _begin(mapper, observer, Path(settings.start))
    mapper, observer = placed(mapper, device), placed(observer, device)
    workers.same_start(mapper, observer)
    adam = torch.optim.Adam([*mapper.parameters(), *observer.parameters()], settings.lr)
    return Networks(mapper, observer, adam, Averager(mapper, settings.averaging, settings.decay, 1))


def _begin(mapper: TaskMapper, observer: Observer, folder: Path) -> None:
    """Take over from another run what fits: all of an equal map's, and of a coarser map's all but the finest scale."""
    state = checkpoint.load(folder / checkpoint.NAME)
    observer.load_state_dict(state["observer"])
    mapper.take_over(state["mean_mapper"])


def patients_of(settings: Settings) -> list[VirtualPatient]:
    """Return the patients that train an encoder, dropouts in turn."""
    seeds = range(FIRST_PATIENT, FIRST_PATIENT + settings.patients)
    return [seen_closely(settings.rig, s, DROPOUTS[k % len(DROPOUTS)], settings.cells) for k, s in enumerate(seeds)]


def train(
    settings: Settings,
    folder: Path,
    as_json: bool = False,
    data: Sights | None = None,
    patients: Sequence[VirtualPatient] | None = None,
) -> Networks:
    """Train, or go on training, in ``folder``; returns the networks."""
    fabric = workers.join(settings.devices, settings.nodes)
    if settings.together % fabric.world_size or settings.batch % settings.together:
        raise ConfigError("--together must divide --batch, and --devices times --nodes must divide --together")
    data = data or sights(settings.task, settings.pictures, 2 * settings.cells, settings.cells, False, settings.seed)
    run = Run(folder, settings, data.digest, fabric.is_global_zero)
    state = run.open()
    nets = build(settings, len(data.classes), fabric.device)
    if state is not None:
        nets.load(state)
    first = int(state["step"]) if state else 0
    workers.agree(first)
    patients = patients or patients_of(settings)
    progress = Progress(folder, settings.steps, first, as_json, quiet=not run.writes)
    for step in range(first, settings.steps):
        found = _step(nets, data, patients, settings, step, (fabric.global_rank, fabric.world_size))
        done = step + 1
        nets.mean.update(nets.mapper, done)
        saves = done % settings.save_every == 0 or done == settings.steps
        if saves or done % settings.log_every == 0:
            _tell(run, progress, done, found)
        if saves:
            run.save(done, nets.state())
            run.save_grid(done, _grid(nets.mean.network, data, patients[0]))
    progress.close()
    return nets


def _step(
    nets: Networks, data: Sights, patients: Sequence[VirtualPatient], settings: Settings, step: int,
    place: tuple[int, int],
) -> Losses:  # fmt: skip
    """Update both networks on a batch whose parts each go through another patient; this process has some of them."""
    random = step_random(settings.seed, step)
    picks = torch.randint(len(data.labels), (settings.together, settings.batch // settings.together), generator=random)
    whom = torch.randperm(len(patients), generator=random)[: settings.together].tolist()
    seeds = torch.randint(2**62, (settings.together,), generator=random).tolist()
    mine = range(place[0], len(whom), place[1])
    # learning rate falls to nothing along half a cosine
    for group in nets.adam.param_groups:
        group["lr"] = settings.lr * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    chosen = torch.cat([picks[k] for k in mine])
    maps = nets.mapper(crops_of(data, chosen)).split(picks.shape[1])
    wanted = torch.cat([wanted_of(data, picks[k], patients[whom[k]]) for k in mine])
    labels = torch.from_numpy(data.labels[chosen.numpy()])
    seen = [
        exposed(patients[whom[k]], m, torch.Generator().manual_seed(seeds[k]), LOST)
        for k, m in zip(mine, maps, strict=True)
    ]
    charge = torch.stack([charge_share(patients[whom[k]], m) for k, m in zip(mine, maps, strict=True)]).mean()
    found = losses(nets.observer, torch.cat(seen), wanted, labels, charge)
    nets.adam.zero_grad()
    torch.autograd.backward(found.task + settings.picture * found.picture + settings.charge * found.charge)
    workers.average_gradients(nets.mapper)
    workers.average_gradients(nets.observer)
    nets.adam.step()
    return found


def losses(observer: Observer, seen: Tensor, wanted: Tensor, labels: Tensor, charge: Tensor) -> Losses:
    """Return the losses of exposures f32[n, 2, s, s]: the percepts, and everything lit.

    The percept should be what is lit, masked by what is ``wanted`` f32[n, s, s]; the difference is a share of the lit.
    """
    logits = observer(seen)
    percept, lit = seen[:, 0], seen[:, 1]
    off = (percept - lit * wanted).square().mean((1, 2)) / (lit.square().mean((1, 2)) + 1e-6)
    read = (logits.argmax(1) == labels).float().mean()
    return Losses(fn.cross_entropy(logits, labels), off.mean(), charge, read)


def crops_of(data: Sights, chosen: Tensor) -> Tensor:
    """Return chosen crops as f32[n, 3, side, side] in 0..1."""
    return torch.from_numpy(data.crops[chosen.numpy()]).permute(0, 3, 1, 2).float() / 255


def wanted_of(data: Sights, chosen: Tensor, patient: Placed) -> Tensor:
    """Return what ``patient`` should see, f32[n, side, side] in 0..1: the part of the view that the array covers."""
    cells = torch.from_numpy(data.wanted[chosen.numpy()]).float()[:, None] / 255
    field, part = patient.view.field, patient.part
    whole = field.x1_deg - field.x0_deg
    share = (part.x1_deg - part.x0_deg) / whole
    right = (part.x0_deg + part.x1_deg - field.x0_deg - field.x1_deg) / whole
    down = (field.y0_deg + field.y1_deg - part.y0_deg - part.y1_deg) / whole
    theta = torch.tensor([[[share, 0.0, right], [0.0, share, down]]]).expand(len(cells), -1, -1)
    grid = fn.affine_grid(theta, [len(cells), 1, patient.side, patient.side], align_corners=False)
    return fn.grid_sample(cells, grid, align_corners=False)[:, 0]


def _tell(run: Run, progress: Progress, done: int, found: Losses) -> None:
    """Log a step; a number that is none any more ends the run, its last checkpoint kept."""
    task, picture, charge, read = workers.mean_over_processes([found.task, found.picture, found.charge, found.read])
    entry = {"step": done, "loss_task": task, "loss_picture": picture, "charge": charge, "read": read}
    run.log(entry | {"seconds": round(run.seconds(), 1)})
    progress.tell(entry)
    if not math.isfinite(task + picture + charge):
        raise ProsthesisError(
            f"{run.folder}: a loss is no longer finite at step {done}; lower --lr and give another --run"
        )


@torch.no_grad()
def _grid(mapper: Any, data: Sights, patient: VirtualPatient) -> Tensor:
    """Return ten crops, their maps and their percepts, one row each, in [-1, 1]."""
    crops = crops_of(data, torch.arange(10))
    maps = mapper(crops)
    rows = [crops.mean(1), maps, patient.percepts(maps)]
    return 2 * torch.cat([fn.interpolate(row[:, None], size=(64, 64), mode="nearest") for row in rows]) - 1


def load(folder: Path) -> tuple[TaskMapper, Observer, Settings]:
    """Return the averaged encoder of a run and the observer trained beside it, in eval mode, and its settings."""
    state = checkpoint.load(folder / checkpoint.NAME)
    if "mean_mapper" not in state:
        raise ProsthesisError(f"{folder}: the checkpoint there is not an encoder's")
    settings = Settings(**json.loads(state["settings"]))
    classes = len(state["observer"]["head.bias"])
    mapper, observer = TaskMapper(settings.cells), Observer(classes, PERCEPT_SIDE, 2)
    mapper.load_state_dict(state["mean_mapper"])
    observer.load_state_dict(state["observer"])
    return mapper.eval(), observer.eval(), settings
