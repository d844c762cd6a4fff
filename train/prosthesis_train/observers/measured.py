"""The calibration that ``prosthesis calibrate`` would have made of a patient, without the link's waiting.

The error model is the device's own procedure (``calibration.calibrate``: staircase, pointing, rating) asked of the
world's own participant (``prosthesis_sim.participant``: criterion, lapses, false alarms, errors of pointing and
rating). Left out: lost packets, and what neighbours and yesterday's trains do to a trial. A train holds a whole number
of pulses, by chance of its phase.
"""

from __future__ import annotations

import math
import random
from dataclasses import fields
from typing import cast

import numpy as np
import numpy.typing as npt

from prosthesis.calibration.calibrate import tabulate
from prosthesis.calibration.impedance import with_impedances
from prosthesis.calibration.procedure import Answer, Plan, Procedure, Row, Trial, measure_one
from prosthesis.calibration.table import Calibration
from prosthesis.config import Rig
from prosthesis.limits import guard_limits
from prosthesis_sim.frontend import FrontEnd
from prosthesis_sim.individual import Individual
from prosthesis_sim.participant import Participant
from prosthesis_sim.sites import MAX_RATE_HZ
from prosthesis_sim.tissue import TissueState, at_rest
from prosthesis_sim.world import SATURATION, World

F64 = npt.NDArray[np.float64]
# of the table of activations over current
POINTS = 8192


def measured(rig: Rig, world: World, seed: int, plan: Plan | None = None) -> Calibration:
    """Return what calibration finds of ``world``'s patient; ``rig`` is one loaded ``uncalibrated``.

    ``seed`` is that of the answers' noise.
    """
    plan = plan or Plan()
    width_us = np.full(rig.electrodes, float(rig.config.modulator.pulse_width_us))
    rig = with_impedances(rig, FrontEnd(rig, world.person.impedance).circuit.pulse_kohm(width_us))
    rows = [Row() for _ in range(rig.electrodes)]
    trials, most = 0, most_alone_ua(rig)
    trains = _Trains(rig, world, plan, float(most.max()))
    for electrode, most_ua in enumerate(most):
        bench = _Bench(trains, world, electrode, seed * rig.electrodes + electrode)
        steps: Procedure = measure_one(float(most_ua), plan)
        trial = next(steps)
        while True:
            trials += 1
            try:
                trial = steps.send(bench.ask(trial))
            except StopIteration as done:
                rows[electrode] = done.value
                break
    return tabulate(rig, rows, plan, seed, trials)


def most_alone_ua(rig: Rig) -> F64:
    """Return the largest currents f64[n] that the guard lets through on each electrode when no other pulses."""
    limits, width_us = guard_limits(rig), float(rig.config.modulator.pulse_width_us)
    caps = [np.minimum(cap.current_ua, cap.charge_nc * 1e3 / width_us) for cap in limits.caps if cap.tier == "hard"]
    most = np.minimum.reduce([np.broadcast_to(cap, (rig.electrodes,)) for cap in caps])
    # 1e-3 LSB as in the guard, which rounds a whole number of them to itself
    steps: F64 = np.floor(np.minimum(most, limits.hard.slot_current_ua) / limits.lsb_ua + 1e-3)
    return steps * limits.lsb_ua


class _Bench:
    """Shows one electrode at a time to a person who has no other."""

    def __init__(self, trains: _Trains, world: World, electrode: int, seed: int) -> None:
        self._site, self._trains = _Site(world, electrode), trains
        # the person asks of a world only what a site has
        self._participant = Participant(cast(World, self._site), seed)
        self._random = random.Random(seed)

    def ask(self, trial: Trial) -> Answer:
        """Return the answer to one train on rested tissue."""
        self._site.state.activation[0] = self._trains.activation(
            trial.amplitude_ua / self._site.scale_ua, self._random.random()
        )
        self._participant.attend()
        self._participant.watch()
        if trial.question == "seen":
            return Answer(seen=self._participant.seen())
        if trial.question == "point":
            return Answer(place=self._participant.point())
        return Answer(brightness=self._participant.rate(), rate_hz=self._site.rate_hz())


class _Trains:
    """What trains of the plan's length do to rested tissue: the world's law, tabulated over current."""

    def __init__(self, rig: Rig, world: World, plan: Plan, most_ua: float) -> None:
        modulator = rig.config.modulator
        # two frames a train, as the device's bench shows it
        seconds = 2 * min(plan.train_s / 2, 0.9e-3 * rig.link.ttl_ms)
        self._pulses = modulator.rate_hz * seconds
        self._over = np.linspace(0.0, most_ua / float(world.person.scale_ua.min()), POINTS)
        rest, width = at_rest(np.zeros(POINTS)), np.full(POINTS, float(modulator.pulse_width_us))
        self._few, self._many = (
            world.law.step(rest, self._over, width, np.full(POINTS, pulses / seconds), seconds).activation
            for pulses in (math.floor(self._pulses), math.floor(self._pulses) + 1)
        )

    def activation(self, over: float, phase: float) -> float:
        """Return the activation after a train of current ``over`` (in the law's unit) begun at ``phase`` 0..1."""
        many = phase < self._pulses - math.floor(self._pulses)
        return float(np.interp(over, self._over, self._many if many else self._few))


class _Site:
    """One electrode's share of a world."""

    def __init__(self, world: World, electrode: int) -> None:
        here = slice(electrode, electrode + 1)
        self.config, self._bright = world.config, world.bright
        self.person = Individual(*(getattr(world.person, part.name)[here] for part in fields(Individual)))
        self.scale_ua = float(self.person.scale_ua[0])
        self._most = float(self._bright.reaching(SATURATION, self.person.threshold)[0])
        self.state = at_rest(np.zeros(1))

    def brightness_of(self, activation: F64) -> F64:
        """See ``World``."""
        lit = self._bright(TissueState(activation, self.state.trace, self.state.last_ua), self.person.threshold)
        return np.where(activation > self.person.threshold, lit, 0.0)

    def rate_hz(self) -> float:
        """Return what RECORD would tell, to a thousandth."""
        active = bool(self.person.responsive[0]) * min(max(float(self.state.activation[0]) / self._most, 0.0), 1.0)
        return round(MAX_RATE_HZ * active, 3)
