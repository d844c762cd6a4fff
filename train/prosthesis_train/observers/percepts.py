"""What one virtual patient of a rig sees of task maps: the whole path, batched, differentiable, without a clock.

Retinotopic translator, modulator, guard and codes by the calibration that the device would have measured
(``measured``), then tissue, phosphenes and image by the patient's truth. The device half never reads the truth.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from prosthesis.calibration.table import Calibration
from prosthesis.config import Rig, load_rig
from prosthesis.errors import ConfigError
from prosthesis.view import Field, make_view
from prosthesis_sim.electrodes import place
from prosthesis_sim.interaction import dense_shares
from prosthesis_sim.patient import AxonMapSpread, ScatterConfig, WorldConfig, load_world
from prosthesis_sim.phosphenes import ChargeBrightness
from prosthesis_sim.tissue import at_rest
from prosthesis_sim.world import World
from prosthesis_train.observers.device import SOFTNESS, TorchDevice, step
from prosthesis_train.observers.drawing import GaussianSpots, NerveStreaks
from prosthesis_train.observers.measured import measured

Look = Literal["field", "array"]
# an answer's noise must not repeat the patient's own numbers
ANSWERS = 1_000_003


class VirtualPatient:
    """One rig in one patient: ``percepts(maps)``; made by ``virtual_patient``.

    ``view`` is the rig's view of this patient: maps f32[b, rows, columns] of any shape cover ``view.field``, row 0 on
    top; ``map_shape`` is the one chosen. Percepts f32[b, side, side] cover ``part`` of the visual field.
    ``calibration`` is all that an encoder may know of the patient. ``profile`` names the safety limits in force: hard
    tiers of array and stimulator, instantaneous ones only.
    """

    def __init__(
        self,
        rig: Rig,
        world: World,
        shares: np.ndarray | None,
        map_side: int,
        side: int,
        seconds: float,
        look: Look,
    ) -> None:
        self.rig, self.calibration = rig, rig.calibration
        self.view = make_view(rig.config.view, rig.config.camera, rig.calibration)
        self.map_shape, self.side, self.seconds = (map_side, map_side), side, seconds
        self.part = self.view.field if look == "field" else array_part(rig.calibration)
        self.profile = f"hard limits of {rig.array.name} and {rig.stimulator.name}, instantaneous"
        self.device = TorchDevice(rig, self.view)
        on, person = self.device.enabled.numpy(), world.person
        self._law, self._bright = world.law, world.bright
        self._threshold, self._scale = _f32(person.threshold[on]), _f32(person.scale_ua[on])
        self._responsive = torch.as_tensor(person.responsive[on])
        self._shares = None if shares is None else _together(shares[np.ix_(on, on)], self.device.slot)
        columns = ((person.x_deg, "x_deg"), (person.y_deg, "y_deg"))
        self._away_deg = np.stack([truth[on] - self.calibration.column(name)[on] for truth, name in columns])
        spread = world.config.spread
        field = self.part
        if isinstance(spread, AxonMapSpread):
            self._draw: GaussianSpots | NerveStreaks = NerveStreaks(
                world, rig, on, field, side, self.device.pulse_width_us
            )
        else:
            self._draw = GaussianSpots(spread, person, on, field, side)

    @property
    def electrodes(self) -> int:
        """How many electrodes the device drives: those that calibration found usable."""
        return len(self.device.enabled)

    def percepts(self, maps: Tensor) -> Tensor:
        """Return what is seen of maps f32[b, rows, columns] after ``seconds``, f32[b, side, side] in 0..1."""
        return self.see(self.currents(maps))

    def currents(self, maps: Tensor) -> Tensor:
        """Return the currents in uA, f32[b, electrodes], that are delivered."""
        return self.device.currents(self.device.activity(maps))

    def see(self, amplitude_ua: Tensor) -> Tensor:
        """Return what currents f32[b, electrodes] in uA are seen as after ``seconds``, from tissue at rest."""
        felt = amplitude_ua
        if self._shares is not None:
            felt = torch.where(amplitude_ua > 0, amplitude_ua + amplitude_ua @ self._shares.T, amplitude_ua)
        width = torch.full_like(felt, self.device.pulse_width_us)
        rate = torch.full_like(felt, self.device.rate_hz)
        state = self._law.step(at_rest(torch.zeros_like(felt)), felt, width, rate, self.seconds, self._scale)
        lit = self._bright(state, self._threshold)
        visible = step(torch.where(self._responsive, state.activation / self._threshold, 0.0) - 1.0, SOFTNESS)
        return self._draw(lit * visible * self._responsive, felt)

    def another(self, random: np.random.Generator) -> VirtualPatient:
        """Return a patient with the same calibration whose truth differs from it as this one's does, dealt anew.

        Errors of position and threshold go to other electrodes, those of position turned by any angle: for training,
        where hundreds of patients are wanted and calibrating each takes a quarter of a second.
        """
        order, turn = random.permutation(self.electrodes), random.uniform(0, 2 * np.pi)
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = self._away_deg[0], self._away_deg[1]
        new = copy.copy(self)
        new._away_deg = np.stack([cos * x[order] - sin * y[order], sin * x[order] + cos * y[order]])
        new._draw = self._draw.moved(*(new._away_deg - self._away_deg))
        measured_ua = _f32(self.calibration.column("threshold_ua")[self.device.enabled.numpy()])
        new._scale = measured_ua * (self._scale / measured_ua)[torch.as_tensor(order)]
        return new

    def charge_nc(self, amplitude_ua: Tensor) -> Tensor:
        """Return the charge per second f32[b] in nC of currents f32[b, electrodes], all electrodes together."""
        return amplitude_ua.sum(dim=1) * (self.device.pulse_width_us * 1e-3 * self.device.rate_hz)


def virtual_patient(
    rig_name: str,
    seed: int,
    dropout: float | None = None,
    map_side: int = 32,
    side: int = 48,
    seconds: float = 0.5,
    look: Look = "field",
) -> VirtualPatient:
    """Return patient ``seed`` of the rig's world, calibrated as the device would have.

    ``dropout`` replaces the world's share of electrodes that evoke nothing; the same seed keeps its other traits, and
    those that drop out at 0.1 do so at 0.2. ``seconds`` is how long a map is shown. Percepts cover ``look``: the
    view's "field", as maps do, or the closer square of the "array"'s phosphenes. Raises ``ConfigError`` for worlds
    of elongated phosphenes or published charge law.
    """
    rig = load_rig(rig_name, uncalibrated=True)
    config = load_world(rig.config.world, rig.path.parent)
    if dropout is not None:
        scatter = ScatterConfig.model_validate(config.scatter.model_dump() | {"dropout": dropout})
        config = config.model_copy(update={"scatter": scatter})
    world, shares = _world(rig, config, seed)
    if config.scatter.elongation != 1.0 or isinstance(world.bright, ChargeBrightness):
        raise ConfigError(f"world '{config.name}': virtual patients have round phosphenes and the pulse law")
    calibrated = replace(rig, calibration=measured(rig, world, seed + ANSWERS))
    return VirtualPatient(calibrated, world, shares, map_side, side, seconds, look)


def array_part(calibration: Calibration) -> Field:
    """Return the square around the enabled phosphenes as measured, with a twelfth to spare on each side."""
    on = np.asarray(calibration.enabled, bool)
    x, y = calibration.column("x_deg")[on], calibration.column("y_deg")[on]
    half = 0.5 * (1 + 2 / 12) * max(float(np.ptp(x)), float(np.ptp(y)), 0.1)
    across, up = (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2)
    return Field(across - half, across + half, up - half, up + half)


def _world(rig: Rig, config: WorldConfig, seed: int) -> tuple[World, np.ndarray | None]:
    array, interaction = place(rig.config.implant, rig.array), config.interaction
    # nothing is drawn by the world itself here, and its streaks over 256 x 256 pixels would take a second to lay out
    small = config.model_copy(update={"screen": config.screen.model_copy(update={"width": 8, "height": 8})})
    strength = interaction.strength
    shares = dense_shares(array.u_mm, array.v_mm, strength, interaction.per_mm2) if strength else None
    return World(small, array, seed), shares


def _together(shares: np.ndarray, slot: Tensor) -> Tensor:
    """Return the shares f32[n, n] of those that pulse in the same raster slot."""
    return _f32(shares) * (slot[:, None] == slot[None, :])


def _f32(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.array(values, np.float32))
