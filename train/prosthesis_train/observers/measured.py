"""The calibration that ``prosthesis calibrate`` would have made of a patient, without the link's waiting.

The error model is the device's own procedure (``prosthesis.calibrate``: staircase, pointing, rating) asked of the
world's own participant (``prosthesis_sim.participant``: criterion, lapses, false alarms, errors of pointing and
rating). Left out: lost packets, and what neighbours and yesterday's trains do to a trial. A train holds a whole number
of pulses, by chance of its phase.
"""

from __future__ import annotations

from dataclasses import fields
from typing import cast

import numpy as np
import numpy.typing as npt

from prosthesis.calibrate import Answer, Plan, Procedure, Row, Trial, measure_one, tabulate
from prosthesis.calibration import Calibration
from prosthesis.config import Rig
from prosthesis.limits import guard_limits
from prosthesis_sim.individual import Individual
from prosthesis_sim.participant import Participant
from prosthesis_sim.sites import MAX_RATE_HZ
from prosthesis_sim.tissue import TissueState, at_rest
from prosthesis_sim.world import SATURATION, World

F64 = npt.NDArray[np.float64]


def measured(rig: Rig, world: World, seed: int, plan: Plan | None = None) -> Calibration:
    """Return what calibration finds of ``world``'s patient; ``rig`` is one loaded ``uncalibrated``.

    ``seed`` is that of the answers' noise.
    """
    plan = plan or Plan()
    rows = [Row() for _ in range(rig.electrodes)]
    trials = 0
    for electrode, most_ua in enumerate(most_alone_ua(rig)):
        bench = _Bench(rig, world, electrode, seed * rig.electrodes + electrode, plan)
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
    steps: F64 = np.floor(np.minimum(most, limits.slot_current_ua) / limits.lsb_ua + 1e-3)
    return steps * limits.lsb_ua


class _Bench:
    """Shows one electrode at a time to a person who has no other."""

    def __init__(self, rig: Rig, world: World, electrode: int, seed: int, plan: Plan) -> None:
        self._site, self._modulator = _Site(world, electrode), rig.config.modulator
        # the person asks of a world only what a site has
        self._participant = Participant(cast(World, self._site), seed)
        self._random = np.random.default_rng([seed, 1])
        # two frames a train, as the device's bench shows it
        self._train_s = 2 * min(plan.train_s / 2, 0.9e-3 * rig.link.ttl_ms)

    def ask(self, trial: Trial) -> Answer:
        """Return the answer to one train on rested tissue."""
        pulses = np.floor(self._modulator.rate_hz * self._train_s + self._random.random())
        self._site.drive(trial.amplitude_ua, self._modulator.pulse_width_us, pulses / self._train_s, self._train_s)
        self._participant.attend()
        self._participant.watch()
        if trial.question == "seen":
            return Answer(seen=self._participant.seen())
        if trial.question == "point":
            return Answer(place=self._participant.point())
        return Answer(brightness=self._participant.rate(), rate_hz=self._site.rate_hz())


class _Site:
    """One electrode's share of a world."""

    def __init__(self, world: World, electrode: int) -> None:
        here = slice(electrode, electrode + 1)
        self.config, self._law, self._bright = world.config, world.law, world.bright
        self.person = Individual(*(getattr(world.person, part.name)[here] for part in fields(Individual)))
        self._most = float(self._bright.reaching(SATURATION, self.person.threshold)[0])
        self.state = at_rest(np.zeros(1))

    def drive(self, amplitude_ua: float, pulse_width_us: float, rate_hz: float, train_s: float) -> None:
        """Live through one train from rest."""
        given = (np.full(1, amplitude_ua), np.full(1, float(pulse_width_us)), np.full(1, rate_hz), train_s)
        self.state = self._law.step(at_rest(np.zeros(1)), *given, self.person.scale_ua)

    def brightness_of(self, activation: F64) -> F64:
        """See ``World``."""
        lit = self._bright(TissueState(activation, self.state.trace, self.state.last_ua), self.person.threshold)
        return np.where(activation > self.person.threshold, lit, 0.0)

    def rate_hz(self) -> float:
        """Return what RECORD would tell, to a thousandth."""
        active = bool(self.person.responsive[0]) * min(max(float(self.state.activation[0]) / self._most, 0.0), 1.0)
        return round(MAX_RATE_HZ * active, 3)
