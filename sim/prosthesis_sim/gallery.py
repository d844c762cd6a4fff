"""A page with a picture of every shipped array and world: ``python -m prosthesis_sim.gallery --out docs``."""

from __future__ import annotations

import argparse
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from prosthesis.config import ArrayPlacement, ImplantChoice, RigConfig, find, names
from prosthesis.yamlfile import load_model
from prosthesis_sim.coverage import covered_share
from prosthesis_sim.drawing import BLUE
from prosthesis_sim.gallery_scene import PATIENT, PAUSE_S, TIMES_THRESHOLD, TRAIN_S, Scene
from prosthesis_sim.patient import WORLDS, CortexMap, load_world

TRAINS, WITHIN_DEG, COLOURS = 20, 10.0, 48
# chosen, for arrays in no rig: centres (u, v) in mm on left V1; arrays in neither lie on the right eye's fovea
CENTRES_MM: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "gennaris43": tuple((u, 0.0) for u in (9.0, 18.5, 28.0, 37.5, 47.0))
        + tuple((u, v) for v in (9.5, -9.5) for u in (18.5, 28.0, 37.5)),
        "grid100": ((28.0, 0.0),),
        "hex100": ((28.0, 0.0),),
        "orion60": ((28.0, 0.0),),
        "thread32": tuple((22.75 + 1.5 * i, 5.25 - 1.5 * j) for j in range(8) for i in range(8)),
    }
)
HEAD = """# Gallery: every array and every simulated patient

**A research simulation, not a medical device.** Made by `python -m prosthesis_sim.gallery --out docs`; every number
below comes from that run, with simulated patient {patient}. Real users differ from it and from each other.

How to read the pictures: the black or white cross marks where
the person looks. A blue circle is a phosphene, the spot of light that one contact evokes, as large as it is when
just seen; an orange cross is a contact in the map that evokes none. The right picture is seen at the end of
{ms:.0f} ms of stimulation at {times:g} times each contact's own threshold, by the contacts on the letter E only
(orange outline), which is as large as all the phosphenes together. "Match" is the correlation with the letter: 1 is
the letter itself, 0 has nothing in common with it.

Where the arrays lie is chosen, also in the shipped rigs. What tells arrays in one kind of patient apart is where their
contacts are: a contact's own size and depth change nothing of what is seen. "Not modelled" says where that matters.
"""
EYES = MappingProxyType({"alpha_ims1500": "retina_alpha"})
SURFACE = "Not modelled: thresholds and spots are those of electrodes inside the cortex, not of discs on its surface."
LIGHT = "Not modelled: light drives this chip; here each contact's current is set, and the size of a spot is chosen."
BEHIND = "Not modelled: the array lies behind the eye's choroid, shown is one on the inner surface of the retina."
THREAD = "Not modelled: the thread is published for recording; its places here, and stimulation through it, are chosen."
NOT_MODELLED = MappingProxyType(
    {
        "alpha_ams1600": LIGHT,
        "alpha_ims1500": LIGHT,
        "orion60": SURFACE,
        "prima378": LIGHT,
        "suprachoroidal33": BEHIND,
        "suprachoroidal44": BEHIND,
        "thread32": THREAD,
    }
)


def shipped_rigs() -> list[RigConfig]:
    """Return every shipped rig by name."""
    return [load_model(RigConfig, find("rigs", name)) for name in names("rigs")]


def choice_of(name: str) -> tuple[ImplantChoice, str]:
    """Return where an array is placed, and in which world: as in the first rig that has it, else as chosen here."""
    for rig in shipped_rigs():
        if rig.implant.array == name:
            return rig.implant, rig.world
    in_cortex = name in CENTRES_MM
    placements = tuple(ArrayPlacement(x_mm=u, y_mm=v) for u, v in CENTRES_MM.get(name, ((0.0, 0.0),)))
    choice = ImplantChoice(array=name, hemisphere="left" if in_cortex else "right", placements=placements)
    return choice, "human_v1" if in_cortex else EYES.get(name, "retina_argus")


def rig_for(world_name: str) -> RigConfig:
    """Return the first rig of a world, else of the usual world with its kind of map."""
    usual = "human_v1" if isinstance(load_world(world_name).retinotopy, CortexMap) else "retina_argus"
    rigs = shipped_rigs()
    return next(rig for world in (world_name, usual) for rig in rigs if rig.world == world)


def array_entry(name: str, folder: Path) -> str:
    """Draw an array's three pictures into one; return its entry on the page."""
    choice, world_name = choice_of(name)
    scene, (figure, panels) = Scene(choice, world_name), _figure()
    scene.draw_array(panels[0])
    scene.draw_map(panels[1])
    scene.step(on=True)
    visible, match = scene.draw_percept(panels[2], "an E, as it might be seen")
    _save(figure, folder, name)
    x, y, radius, many = scene.x[scene.seen], scene.y[scene.seen], scene.radius_deg[scene.seen], len(choice.placements)
    share, far = covered_share(x, y, radius, WITHIN_DEG), np.hypot(x, y)
    where = "placed on the left visual cortex" if scene.cortical else "centred on the fovea of the right eye"
    side = ", all to one side: the right half of the field" if scene.cortical and x.min() > 0 else ""
    light = "streaks" if scene.streaks else "spots"
    total = f"{len(scene.x)} contacts" + (f" on {many} arrays of {scene.array.contacts}" if many > 1 else "")
    caution = f"{NOT_MODELLED[name]}\n\n" if name in NOT_MODELLED else ""
    return (
        f"### {name}\n\n![{name}: contacts, phosphene map and the percept of a letter](images/gallery/{name}.png)\n\n"
        f"{scene.array.summary} Here {total} {where} (`{world_name}`): {scene.seen.sum()} evoke phosphenes, "
        f"{far.min():.1f} to {far.max():.1f} degrees from where one looks{side}; they fill {share:.1%} of the "
        f"field within {WITHIN_DEG:g} degrees; asked for an E, the user might see {visible} {light} "
        f"of light at once (match {match:.2f}).\n\n{caution}Sources: {'; '.join(scene.array.sources)}.\n"
    )


def world_entry(name: str, folder: Path) -> str:
    """Draw the letter in one world at the first and the last of many trains; return its entry on the page."""
    rig = rig_for(name)
    scene, (figure, panels) = Scene(rig.implant, name), _figure()
    total = np.zeros(TRAINS)
    for train in range(TRAINS):
        scene.step(on=True)
        total[train] = scene.world.brightness().sum()
        if train == 0:
            first, match = scene.draw_percept(panels[0], "an E: first train")
        if train < TRAINS - 1:
            scene.step(on=False)
    last, _ = scene.draw_percept(panels[1], f"an E: train {TRAINS}")
    share = total / total[0]
    panels[2].plot(np.arange(1, TRAINS + 1), share, "o-", color=BLUE, ms=4)
    panels[2].set(ylim=(0, 1.1), xlabel=f"train, one every {TRAIN_S + PAUSE_S:g} s", ylabel="brightness, first = 1")
    panels[2].set_title("the same train again and again", fontsize=10)
    panels[2].set_box_aspect(1)
    _save(figure, folder, name)
    return (
        f"### {name}\n\n![{name}: a letter, again and again](images/gallery/{name}.png)\n\n"
        f"{load_world(name).summary} Through the {len(scene.x)} contacts of `{rig.name}`, an E is seen as {first} "
        f"{'streaks' if scene.streaks else 'spots'} of light at first (match {match:.2f}), and as {last} when the same "
        f"train comes for the {TRAINS}th time, then {share[-1]:.0%} as bright.\n"
    )


def _figure() -> tuple[Any, Any]:
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(9, 3.6), layout="constrained")
    figure.supxlabel("research simulation, not a medical device", fontsize=7, color="#505050")
    panels = figure.subplots(1, 3)
    return figure, panels


def _save(figure: Any, folder: Path, name: str) -> None:
    """Save as a PNG of few colours: small enough for a page of many."""
    figure.suptitle(name, fontsize=11)
    whole = io.BytesIO()
    figure.savefig(whole, dpi=100, format="png")
    image = importlib.import_module("PIL.Image").open(whole).convert("RGB")
    image.quantize(COLOURS, dither=0).save(folder / f"{name}.png", optimize=True)


def main() -> None:
    """Write ``gallery.md`` and its pictures into the folder that ``--out`` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    out = parser.parse_args().out
    folder = out / "images" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [array_entry(name, folder) for name in names("implants")]
    stems = [path.stem for path in sorted(WORLDS.glob("*.yaml"))]
    # one whose sites are known looks like the one it is taken from
    worlds = [world_entry(stem, folder) for stem in stems if load_world(stem).sites is None]
    head = HEAD.format(patient=PATIENT, ms=TRAIN_S * 1e3, times=TIMES_THRESHOLD)
    page = [head, "## Arrays\n", *arrays, "## Simulated patients\n", *worlds]
    (out / "gallery.md").write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
