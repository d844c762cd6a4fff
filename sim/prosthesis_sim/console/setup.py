"""What is running, as chosen by a person, and what else could be chosen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import prosthesis
from prosthesis.config import Rig, load_rig, names
from prosthesis.errors import ConfigError
from prosthesis_sim.patient import WORLDS, CortexMap, load_world

OWN = "scene"  # the task of an encoder that the rig names itself
# loaded from the start, so that a running device changes to them between two frames; others take a new start
AT_HAND = ("luminance-32", "edges-32", "contrast-32", "saliency-32", "obstacle")
PATIENTS = 20  # offered by number; each is another person of the same world


@dataclass(frozen=True, slots=True)
class Setup:
    """One device and one patient: names as the command line takes them, ``None`` for the rig's own.

    ``task`` is the encoder in force: a file of ``hardware_configs/tasks`` or a shipped model.
    """

    rig: str
    task: str
    source: str | None = None
    world: str | None = None
    patient: int = 0
    day: float = 0.0
    air: str | None = None


@dataclass(frozen=True, slots=True)
class Menu:
    """What can be chosen for one rig: ``tasks`` begin with ``OWN``, ``encoders`` are those of the task ``OWN``."""

    rigs: tuple[str, ...]
    tasks: tuple[str, ...]
    encoders: tuple[str, ...]
    worlds: tuple[str, ...]
    links: tuple[str, ...]


def first_setup(rig_name: str, task: str | None = None) -> Setup:
    """Return the setup that the rig itself describes; raises ``ConfigError``."""
    return Setup(rig_name, task or own_task(load_rig(rig_name)))


def own_task(rig: Rig) -> str:
    """Return the name under which a rig's own encoder is loaded."""
    own = rig.config.encoder
    return str(getattr(own, "model", own.type))


def menu(rig: Rig) -> Menu:
    """Return what can be chosen for ``rig``; a rig with a code map keeps its encoder."""
    own = own_task(rig)
    mapped = rig.config.translator.type == "retinotopic"
    encoders = tuple(dict.fromkeys((own, *_map_models()))) if mapped else (own,)
    tasks = (OWN, *names("tasks")) if mapped else (OWN,)
    return Menu(tuple(names("rigs")), tasks, encoders, _worlds(rig), tuple(names("links")))


def at_hand(rig: Rig, task: str) -> tuple[str, ...]:
    """Return the tasks to load so that ``task`` is in force at once, and the quick ones can be changed to."""
    if rig.config.translator.type != "retinotopic":
        return (task,)
    return tuple(dict.fromkeys((task, own_task(rig), *AT_HAND)))


def _map_models() -> list[str]:
    """Return the shipped models that make a task map of a picture."""
    cards = sorted((Path(prosthesis.__file__).parent / "models").glob("*/manifest.json"))
    read = ((card.parent.name, json.loads(card.read_text(encoding="utf-8"))) for card in cards)
    return [name for name, card in read if card["processor"]["name"] == "taskmap"]


def _worlds(rig: Rig) -> tuple[str, ...]:
    """Return the shipped patients in whose tissue the rig's array belongs, its own first."""
    own = load_world(rig.config.world, rig.path.parent)
    cortical = isinstance(own.retinotopy, CortexMap)
    found = [rig.config.world]
    for path in sorted(WORLDS.glob("*.yaml")):
        try:
            world = load_world(path.stem, rig.path.parent)
        except ConfigError:  # somebody's unfinished file must not take the menu away
            continue
        if isinstance(world.retinotopy, CortexMap) is cortical:
            found.append(path.stem)
    return tuple(dict.fromkeys(found))
