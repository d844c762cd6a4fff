"""What is timed: our patients, the floor beneath them, and the peers, all on the same electrodes.

Electrodes lie evenly on the left V1's share of the inner 8 degrees; phosphenes have their cortical sizes; every
electrode is driven at 40 to 120 uA in every frame. Habituation is computed but its strength is 0, in ours and in
dynaphos, for at the published strength video goes dark within a second and we should then have nothing to draw.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from prosthesis.config import load_rig
from prosthesis.messages import Delivered
from prosthesis_sim import reference
from prosthesis_sim.electrodes import ElectrodeArray, place
from prosthesis_sim.lanes import LANES, add_scaled
from prosthesis_sim.patient import FieldPart, WorldConfig, load_world
from prosthesis_sim.rendering import CUT_SIGMAS, clip
from prosthesis_sim.world import World

PIXELS, FIELD_DEG, FPS = 256, 16.0, 30
MEAN_UA = 80.0
DYNAPHOS = Path(__file__).resolve().parent.parent / "tests" / "peers" / "dynaphos.yaml"
Frame = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """``run`` does ``frames`` frames; its time is divided by them."""

    run: Frame
    frames: int = 1


def spread_electrodes(config: WorldConfig, count: int) -> ElectrodeArray:
    """Return ``count`` electrodes evenly on the tissue that sees the right half of the screen."""
    mapping, inner_deg = config.retinotopy.build(), FIELD_DEG / 2
    step_mm = math.sqrt(1300 / count)  # about what V1 has within 8 degrees; thinned out below
    u, v = (part.ravel() for part in np.meshgrid(np.arange(0.3, 45, step_mm * 0.8), np.arange(-30, 30, step_mm * 0.8)))
    x, y = mapping.to_field(u, v)
    within = np.flatnonzero(mapping.inside(u, v) & (np.hypot(x, y) < inner_deg))
    kept = within[np.linspace(0, len(within) - 1, count).astype(int)]
    return ElectrodeArray(u[kept], v[kept], np.zeros(count, np.int64), "left", np.zeros(count))


def patient_config(world: str = "van_der_grinten_2024") -> WorldConfig:
    """Return a shipped world without scatter, on the peers' 16 degrees; the published one with the mean threshold."""
    config = load_world(world)
    part = FieldPart(centre_deg=(0.0, 0.0), extent_deg=(FIELD_DEG, FIELD_DEG))
    changes = {
        "scatter": {"dropout": 0.0, "position_mm": 0.0},
        "screen": {"part": part, "width": PIXELS, "height": PIXELS},
        "tissue": {"kappa_hz": 0.0} | ({"threshold_sd_ua_s": 0.0} if config.tissue.type == "charge" else {}),
    }
    return config.model_copy(update={k: getattr(config, k).model_copy(update=v) for k, v in changes.items()})


def currents_ua(count: int) -> np.ndarray:
    """Return the currents of all comparisons."""
    return np.random.default_rng(0).uniform(0.5 * MEAN_UA, 1.5 * MEAN_UA, count).astype(np.float32)


def our_world(count: int, world: str = "van_der_grinten_2024") -> World:
    """Return our patient."""
    config = patient_config(world)
    return World(config, spread_electrodes(config, count), 0)


def reference_world(rig_name: str) -> World:
    """Return a shipped rig's own patient."""
    rig = load_rig(rig_name, uncalibrated=True)
    return World(load_world(rig.config.world), place(rig.config.implant, rig.array), 0)


def ours(world: World, calls: int) -> Subject:
    """Return live a frame and see it: ``World.step`` and ``World.percept``."""
    n = len(world.person.x_deg)
    width, slot = np.full(n, 170, np.float32), np.zeros(n, np.uint8)
    frame = Delivered(1, 1, 0, 10**9 // FPS, currents_ua(n), width, np.full(n, 300 // FPS, np.int32), slot)

    def run() -> None:
        for _ in range(calls):
            world.step(frame)
            world.percept(1, 1, 1)

    for _ in range(FPS):  # to the steady state, where all that will be visible is
        world.step(frame)
    run()
    return Subject(run, calls)


@numba.njit(cache=True)
def _write(image: Any, first: Any, last: Any, across: Any, down: Any) -> None:
    image[:] = 0
    flat, width = image.ravel(), image.shape[1]
    for n in range(len(first)):
        weights = across[n]
        for i in range(first[n, 0], last[n, 0]):
            for j in range(0, last[n, 1] - first[n, 1], LANES):
                add_scaled(flat, i * width + first[n, 1] + j, weights, j, down[n, i - first[n, 0]])
    clip(image)


def floor(world: World, calls: int) -> Subject:
    """Return the least that any renderer does: a new image, cleared, clipped, and the multiply-adds of ready profiles.

    The same windows as ours, of those phosphenes that are visible, in single precision and by the same instructions.
    """
    lit = np.flatnonzero(world.brightness() > 0)
    per_deg = PIXELS / FIELD_DEG
    centre = np.stack(
        [PIXELS / 2 - world.person.y_deg[lit] * per_deg, world.person.x_deg[lit] * per_deg + PIXELS / 2], 1
    )
    reach = CUT_SIGMAS * world.sigma_deg()[lit, None] * per_deg
    first = np.clip(np.floor(centre - reach), 0, PIXELS - 1).astype(np.int64)
    last = np.clip(np.floor(centre + reach), 0, PIXELS - 1).astype(np.int64) + 1
    span = -(-(last[:, 1] - first[:, 1]) // LANES) * LANES
    first[:, 1] = np.minimum(first[:, 1], PIXELS - span)
    last[:, 1] = first[:, 1] + span
    at = first[:, :, None] + np.arange(int((last - first).max())) + 0.5 - centre[:, :, None]
    profile = np.exp(-((at / (world.sigma_deg()[lit, None, None] * per_deg)) ** 2) / 2).astype(np.float32)
    across, down = profile[:, 1].copy(), (profile[:, 0] * world.brightness()[lit, None]).astype(np.float32)

    def run() -> None:
        for _ in range(calls):
            _write(np.empty((PIXELS, PIXELS), np.float32), first, last, across, down)

    run()
    return Subject(run, calls)


def dynaphos_simulator(world: World) -> Any:
    """Return dynaphos with our phosphenes' places; not with the slower deterministic torch it asks for."""
    from dynaphos.simulator import GaussianSimulator
    from dynaphos.utils import Map, load_params

    parameters = copy.deepcopy(load_params(str(DYNAPHOS)))
    parameters["run"]["fps"] = FPS
    parameters["temporal_dynamics"]["trace_increase_rate"] = 0.0
    parameters["thresholding"]["activation_threshold_sd"] = 0.0
    places = Map(x=world.person.x_deg.copy(), y=world.person.y_deg.copy())
    simulator = GaussianSimulator(parameters, places, rng=np.random.default_rng(0))
    torch.use_deterministic_algorithms(False)
    if simulator.num_phosphenes != len(world.person.x_deg):
        raise RuntimeError("dynaphos has dropped electrodes; the comparison would be unequal")
    return simulator


def dynaphos(world: World) -> Subject:
    """Return one call of dynaphos: state and image, without gradients."""
    simulator = dynaphos_simulator(world)
    amplitude = torch.as_tensor(currents_ua(len(world.person.x_deg)) * 1e-6)

    def run() -> None:
        with torch.no_grad():
            simulator(amplitude)

    for _ in range(FPS):
        simulator.update(amplitude.reshape(-1, 1, 1))
    run()
    _require_the_same_patient(world, simulator)
    return Subject(run)


def _require_the_same_patient(world: World, simulator: Any) -> None:
    """Euler ends where the exact step does in the steady state, so both must now be as bright and as large."""
    bright = simulator.brightness.get().numpy().ravel()
    bright = np.where((simulator.activation.get() > simulator.threshold.get()).numpy().ravel(), bright, 0)
    if np.abs(bright - world.brightness()).max() > 1e-3 or not np.allclose(
        simulator.sigma.get().numpy().ravel(), world.sigma_deg(), rtol=1e-4
    ):
        raise RuntimeError("dynaphos and we do not see the same phosphenes; the comparison would be unequal")


def scoreboard(world: World, frames: int) -> Subject:
    """Return pulse2percept's cortical scoreboard for ``frames`` in one call, of our mean size.

    It has no state, so none is updated.
    """
    from pulse2percept.models.cortex import ScoreboardModel
    from pulse2percept.stimuli import Stimulus

    # on the tissue a phosphene's sigma is half of sqrt(I / K), K = 675 uA/mm2
    device, field = _implant(world)
    model = ScoreboardModel(
        device,
        rho=500 * math.sqrt(MEAN_UA / 675),
        meridian_blend=0,
        visual_field_map=field,
        n_threads=1,
        **_grid(),
    ).build()
    amplitude = np.tile(currents_ua(len(world.person.x_deg))[:, None], frames) * np.linspace(0.5, 1, frames)
    train = Stimulus(amplitude, time=np.arange(frames) * 1000 / FPS) if frames > 1 else Stimulus(amplitude[:, 0])

    def run() -> None:
        model.predict_percept(train)

    run()
    return Subject(run, frames)


def pulse2percept_dynaphos(world: World, frames: int) -> Subject:
    """Return pulse2percept's DynaphosModel for ``frames`` of 20 ms in one call, with state."""
    from pulse2percept.models.cortex import DynaphosModel
    from pulse2percept.stimuli import BiphasicPulseTrain

    device, field = _implant(world)
    model = DynaphosModel(device, kappa_trace=0.0, visual_field_map=field, **_grid()).build()
    n = len(world.person.x_deg)
    trains = {k: BiphasicPulseTrain(300, float(a), 0.17, stim_dur=20 * frames) for k, a in enumerate(currents_ua(n))}
    prepared = model.implant.prepare_stim(trains)

    def run() -> None:
        model.predict_percept(prepared, t_percept=20.0 * np.arange(1, frames + 1))

    run()
    return Subject(run, frames)


def _implant(world: World) -> tuple[Any, Any]:
    from pulse2percept.implants import ElectrodeArray as PeerArray
    from pulse2percept.implants import Implant, PointSource
    from pulse2percept.topography.cortex import Polimeni2006Map

    field = Polimeni2006Map(k=17.3, a=0.75, b=120, alpha1=1.0)
    x_um, y_um = field.dva_to_v1(world.person.x_deg, world.person.y_deg)
    return Implant(PeerArray([PointSource(x, y, 0) for x, y in zip(x_um, y_um, strict=True)])), field


def _grid() -> dict[str, Any]:
    half = FIELD_DEG / 2 * (1 - 1 / PIXELS)
    return {"xrange": (-half, half), "yrange": (-half, half), "step": FIELD_DEG / PIXELS, "verbose": False}


def our_gradient(count: int, dtype: torch.dtype) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Return a function of currents (uA): light of one frame in the steady state, and its gradient; softness 0.05.

    The light is each pixel's times a fixed weight, so that places count and not only sizes.
    """
    config = patient_config()
    patient = reference.cortex(
        config, spread_electrodes(config, count), 0, asarray=lambda a: torch.as_tensor(np.asarray(a)).to(dtype)
    )
    one = torch.ones(count, dtype=dtype)
    given = (170 * one, 300 * one, torch.zeros(count), 1 / FPS)
    state = patient.rest()
    for _ in range(FPS):
        state = reference.step(patient, state, torch.as_tensor(currents_ua(count)).to(dtype), *given)
    weight = torch.as_tensor(np.random.default_rng(1).uniform(0, 1, (PIXELS, PIXELS))).to(dtype)

    def light_and_gradient(amplitude_ua: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        amplitude = amplitude_ua.clone().requires_grad_(True)
        image = reference.see(patient, reference.step(patient, state, amplitude, *given), 0.05)
        light = (image * weight).sum()
        light.backward()
        return light.detach(), amplitude.grad  # type: ignore[return-value]

    return light_and_gradient


def dynaphos_gradient(count: int) -> Callable[[], None]:
    """Return the same with dynaphos in single precision; from rest, as its state keeps the last frame's graph."""
    simulator = dynaphos_simulator(our_world(count))
    currents = torch.as_tensor(currents_ua(count) * 1e-6)
    weight = torch.as_tensor(np.random.default_rng(1).uniform(0, 1, (PIXELS, PIXELS))).float()

    def run() -> None:
        simulator.reset()
        amplitude = currents.clone().requires_grad_(True)
        (simulator(amplitude) * weight).sum().backward()

    run()
    return run


def axon_maps(batches: Sequence[int], scratch: Path) -> tuple[Subject, dict[int, Subject], float]:
    """Return our axon map, pulse2percept's by frames a call, and how far their images differ: Argus II, 24 degrees.

    rho 300 um, lambda 500 um, bundles from 4 degrees of the disc. The peer's bundles are upside down in the field, so
    ours are built upside down too; its blur across the horizon, not part of the model, is off.
    """
    from pulse2percept.implants.retina import ArgusII
    from pulse2percept.models.retina import AxonMapModel
    from pulse2percept.stimuli import Stimulus

    from prosthesis_sim.axonmap import REACH_LAMBDAS, AxonMap
    from prosthesis_sim.axons import axons
    from prosthesis_sim.retina import WatsonRetina

    device = ArgusII()
    names = device.electrode_names
    half = 12 * (1 - 1 / PIXELS)
    window = {"xrange": (-half, half), "yrange": (-half, half), "step": 24 / PIXELS}
    model = AxonMapModel(
        device,
        ax_segments_range=(4, 50),
        meridian_blend=0,
        ignore_pickle=True,
        axon_pickle=str(scratch / "axons"),
        n_threads=1,
        verbose=False,
        **window,
    ).build()
    grid = model.spatial.grid
    where = axons(WatsonRetina(), "right", np.asarray(grid.x, float), -np.asarray(grid.y, float), REACH_LAMBDAS * 500)
    drawn = AxonMap(where, np.array([device[n].x for n in names]), np.array([device[n].y for n in names]))
    sizes = np.full(len(names), 300.0), np.full(len(names), 500.0)
    image, calls = np.empty((PIXELS, PIXELS), np.float32), max(batches)
    bright = np.random.default_rng(0).uniform(0.01, 0.08, (len(names), max(batches)))

    def run() -> None:
        for k in range(calls):
            drawn.draw(image, bright[:, k % bright.shape[1]], *sizes)

    def peer(frames: int) -> Subject:
        times = {"time": np.arange(frames) * 1000 / FPS} if frames > 1 else {}
        train = Stimulus(bright[:, :frames].squeeze(), electrodes=names, **times)
        return Subject(lambda: model.predict_percept(train), frames)

    run()
    drawn.draw(image, bright[:, 0], *sizes)
    difference = np.abs(np.clip(peer(1).run().data[..., 0], 0, 1) - image).max()
    return Subject(run, calls), {frames: peer(frames) for frames in batches}, float(difference)
