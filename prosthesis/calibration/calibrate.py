"""Measure a patient through the link: impedances, thresholds by staircase, positions by pointing, activity recorded.

The device learns all it knows of its patient here, and nothing from the simulator: the same code measures the emulator
and would measure an implant. Every pulse passes the guard.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

import prosthesis
from prosthesis.calibration.crosstalk import Site, choose_rings, measure_below, measure_crosstalk
from prosthesis.calibration.impedance import measure_kohm, with_impedances
from prosthesis.calibration.participant import Participant
from prosthesis.calibration.procedure import FRACTIONS, Answer, Plan, Procedure, Row, Trial, measure_one
from prosthesis.calibration.table import ActivityCurve, Calibration, Provenance, TrainParameters
from prosthesis.config import Rig
from prosthesis.control import Command
from prosthesis.errors import ConfigError, LinkError
from prosthesis.layout import places_mm
from prosthesis.limits import guard_limits
from prosthesis.messages import Refusal, StimulationPattern, readonly
from prosthesis.modulator import PulseModulator
from prosthesis.protocols import Clock, StimulatingSession
from prosthesis.safety import Guard

F64 = npt.NDArray[np.float64]
NS_PER_S = 1_000_000_000
# video drives a site without pause: what it then does at most is recorded after a train as long as this
SUSTAINED_S = 0.6
# the next answer must not be about what is left of the last phosphene: activation decays with a time constant of
# 0.111 s (Schmidt 1996, as in van der Grinten 2024), so to 3 % of it
FADES_S = 0.4


class Bench:
    """Shows single electrodes to a participant, in the frames that the implant insists on."""

    def __init__(
        self, rig: Rig, session: StimulatingSession, participant: Participant, clock: Clock, plan: Plan
    ) -> None:
        self._session, self._participant, self._clock, self._plan = session, participant, clock, plan
        # two frames a train keep well within the time to live of the shipped links
        self._frame_s = min(plan.train_s / 2, 0.9e-3 * rig.link.ttl_ms)
        self._modulator = PulseModulator(rig)
        self._guard = Guard(guard_limits(rig))
        self._state = self._guard.initial()
        self._seq = self._sent_ns = self._shown_ns = 0
        self.electrodes = rig.electrodes
        self.slot = self._modulator.configuration.slot
        self.trials = 0

    def most_ua(self, electrode: int) -> float:
        """Return the largest current that the guard lets through on this electrode."""
        allowed, _, _ = self._guard.allow(self._pattern({electrode: 1e6}), self._guard.initial(), 0.0)
        return float(allowed.amplitude_ua[electrode])

    def ask(self, electrode: int, trial: Trial) -> Answer:
        """Stimulate one electrode for one train while the participant attends, and put the question."""
        rate_hz = self.record(electrode, {electrode: trial.amplitude_ua})
        if trial.question == "seen":
            return Answer(seen=self._participant.seen())
        if trial.question == "point":
            return Answer(place=self._participant.point())
        return Answer(brightness=self._participant.rate(), rate_hz=rate_hz)

    def record(self, listener: int, currents_ua: Mapping[int, float], train_s: float = 0.0) -> float | None:
        """Stimulate these electrodes for a train and return what was recorded at ``listener`` in Hz, if anything.

        ``train_s`` 0 is the plan's.
        """
        self.trials += 1
        self._fade()
        # a person takes their time, and an implant that hears nothing for a moment will not stimulate: attend, then arm
        self._participant.attend()
        self._arm()
        for _ in range(max(1, round((train_s or self._plan.train_s) / self._frame_s))):
            self._frame(self._pattern(currents_ua))
        self._shown_ns = self._clock.now_ns()
        rate_hz = self._recorded_hz(listener)
        self._frame(self._modulator.silent(self._next(), self._clock.now_ns()))
        return rate_hz

    def _fade(self) -> None:
        """Feed the implant silent frames, at least one, until what was shown last has faded."""
        faded_ns = max(self._shown_ns + int(FADES_S * NS_PER_S), self._clock.now_ns() + 1)
        while self._clock.now_ns() < faded_ns:
            self._frame(self._modulator.silent(self._next(), self._clock.now_ns()))

    def _arm(self) -> None:
        """Feed the implant silent frames until it arms: it wants ten after any pause."""
        for _ in range(100):
            if self._session.overruled:
                raise LinkError("somebody stopped the implant; start again when they agree")
            self._frame(self._modulator.silent(self._next(), self._clock.now_ns()))
            if self._session.arm().refusal is Refusal.NONE:
                return
        raise LinkError("the implant does not arm; run 'prosthesis doctor' and look at its telemetry")

    def _recorded_hz(self, electrode: int) -> float | None:
        reply = self._session.command(Command.RECORD, electrode.to_bytes(2, "little"))
        return reply.detail / 1000 if reply.refusal is Refusal.NONE else None

    def _frame(self, pattern: StimulationPattern) -> None:
        """Send one guarded pattern and wait for the next frame's time."""
        self._send(pattern)
        self._clock.sleep_until(pattern.t_ns + int(self._frame_s * NS_PER_S))
        while self._session.receive() is not None:
            pass

    def _send(self, pattern: StimulationPattern) -> None:
        allowed, _, self._state = self._guard.allow(pattern, self._state, (pattern.t_ns - self._sent_ns) * 1e-9)
        self._sent_ns = pattern.t_ns
        self._session.send(self._session.seal(allowed.seq, allowed.t_ns, self._modulator.codes(allowed)))

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _pattern(self, currents_ua: Mapping[int, float]) -> StimulationPattern:
        silent = self._modulator.silent(self._next(), self._clock.now_ns())
        amplitude = np.zeros(self.electrodes)
        amplitude[list(currents_ua)] = list(currents_ua.values())
        return replace(silent, amplitude_ua=readonly(amplitude, np.float32))


def choose_electrodes(rig: Rig, electrodes: Iterable[int] | None = None) -> list[int]:
    """Return the electrodes to measure in order (``None``: all); ``ConfigError`` when the rig lacks one of them."""
    chosen = sorted(set(range(rig.electrodes) if electrodes is None else electrodes))
    absent = [electrode for electrode in chosen if not 0 <= electrode < rig.electrodes]
    if absent:
        raise ConfigError(
            f"{rig.path}: there is no electrode {absent[-1]} to measure; choose from 0 to {rig.electrodes - 1}"
        )
    return chosen


def calibrate(
    rig: Rig,
    session: StimulatingSession,
    participant: Participant,
    clock: Clock,
    plan: Plan,
    electrodes: Iterable[int] | None = None,
    seed: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Calibration:
    """Measure ``electrodes`` (default all) and return the calibration; those not measured or never seen are disabled.

    ``rig`` is one loaded ``uncalibrated``, with amplitude modulation; the session must be open. Raises ``ConfigError``
    when the rig modulates the rate or has no such electrode, ``LinkError`` when the implant is lost or somebody
    stopped it.
    """
    chosen = choose_electrodes(rig, electrodes)
    if rig.config.modulator.modulate != "amplitude":
        raise ConfigError(
            f"{rig.path}: key 'modulator.modulate': calibration varies the amplitude; "
            "calibrate a copy of this rig that says 'amplitude'"
        )
    # first, so that no trial asks for a current that the supply's voltage cannot drive
    if (kohm := measure_kohm(session, rig)) is not None:
        rig = with_impedances(rig, kohm)
    bench = Bench(rig, session, participant, clock, plan)
    rows = [Row() for _ in range(rig.electrodes)]
    running: list[tuple[int, Procedure, Trial]] = []
    for electrode in chosen:
        procedure = measure_one(bench.most_ua(electrode), plan)
        running.append((electrode, procedure, next(procedure)))
    rested_ns = [0] * rig.electrodes
    while running:
        running = _turn(bench, running, rows, rested_ns, clock, plan)
        progress(len(chosen) - len(running), len(chosen))
    recorded = _recorded(rig, bench, rows, rested_ns, clock, plan)
    made = tabulate(rig, rows, plan, seed, bench.trials)
    if kohm is None:
        method = f"{made.made.method}; impedances as the array's file has them"
        recorded |= {"made": made.made.model_copy(update={"method": method})}
    return made.model_copy(update=recorded)


def _recorded(
    rig: Rig, bench: Bench, rows: list[Row], rested_ns: list[int], clock: Clock, plan: Plan
) -> dict[str, Any]:
    """Return the parts of a calibration that need no answers: none of them where the array does not record."""
    sites = {
        i: Site(i, row.threshold_ua, row.max_ua, row.evoked_hz, row.activity)
        for i, row in enumerate(rows)
        if row.enabled and row.evoked_hz is not None
    }
    if not sites:
        return {}
    random = np.random.default_rng(0)

    def record(listener: int, currents_ua: Mapping[int, float], train_s: float = 0.0) -> float | None:
        for electrode in currents_ua:
            clock.sleep_until(rested_ns[electrode])
        # the implant's pulses run on: at a fixed phase every train of one kind would hold the same pulse more or less
        clock.sleep_until(clock.now_ns() + int(random.uniform(0.0, NS_PER_S / rig.config.modulator.rate_hz)))
        rate_hz = bench.record(listener, currents_ua, train_s)
        for electrode in currents_ua:
            rested_ns[electrode] = clock.now_ns() + int(plan.recovery_s * NS_PER_S)
        return rate_hz

    x, y = places_mm(rig.array, rig.config.implant.placements)
    groups = choose_rings(x, y, bench.slot, sorted(sites), seed=0)
    sustained = [record(i, {i: sites[i].max_ua}, SUSTAINED_S) if i in sites else None for i in range(rig.electrodes)]
    return {
        "evoked_hz": _rounded(np.asarray([rate_hz or 0.0 for rate_hz in sustained])),
        "below": measure_below(record, sites, [row.activity for row in rows]),
        "crosstalk": measure_crosstalk(record, sites, FRACTIONS, groups),
    }


def _turn(
    bench: Bench,
    running: list[tuple[int, Procedure, Trial]],
    rows: list[Row],
    rested_ns: list[int],
    clock: Clock,
    plan: Plan,
) -> list[tuple[int, Procedure, Trial]]:
    """Give every electrode one trial; return those that want another."""
    left = []
    for electrode, procedure, trial in running:
        clock.sleep_until(rested_ns[electrode])
        answer = bench.ask(electrode, trial)
        rested_ns[electrode] = clock.now_ns() + int(plan.recovery_s * NS_PER_S)
        try:
            left.append((electrode, procedure, procedure.send(answer)))
        except StopIteration as done:
            rows[electrode] = done.value
    return left


def tabulate(rig: Rig, rows: list[Row], plan: Plan, seed: int | None, trials: int) -> Calibration:
    """Return what was learnt of each electrode as a calibration; ``trials`` is how many it took.

    Impedances are those of the rig's present calibration.
    """
    modulator = rig.config.modulator
    x, y = (np.asarray([getattr(row, name) for row in rows]) for name in ("x_deg", "y_deg"))
    on = np.asarray([row.enabled for row in rows])
    return Calibration(
        made=Provenance(
            rig=rig.config.name,
            date=datetime.date.today().isoformat(),
            method="staircase, pointing, recording and report, through the link",
            seed=seed,
            trials=trials,
            version=prosthesis.__version__,
        ),
        train=TrainParameters(
            pulse_width_us=modulator.pulse_width_us, rate_hz=modulator.rate_hz, train_ms=round(plan.train_s * 1000, 1)
        ),
        x_deg=_rounded(x),
        y_deg=_rounded(y),
        rf_sigma_deg=_rounded(_sampling_sigma_deg(x, y, on)),
        threshold_ua=_rounded(np.asarray([row.threshold_ua for row in rows])),
        max_ua=_rounded(np.asarray([row.max_ua for row in rows])),
        impedance_kohm=rig.calibration.impedance_kohm,
        enabled=tuple(bool(b) for b in on),
        curve=ActivityCurve(
            fraction=FRACTIONS,
            activity=tuple(tuple(row.activity) for row in rows),
            brightness=tuple(tuple(row.brightness) for row in rows),
        ),
    )


def _sampling_sigma_deg(x: F64, y: F64, on: npt.NDArray[np.bool_]) -> F64:
    """Return half the local spacing of the enabled phosphenes: the finest detail that this array can show there.

    The spacing is that of the density within the fourth neighbour's distance; the nearest one's alone would be ruled by
    the errors of pointing.
    """
    sigma = np.full(len(x), 0.5)
    used = np.flatnonzero(on)
    if len(used) < 2:
        return sigma
    distance = np.sort(np.hypot(x[used, None] - x[used], y[used, None] - y[used]), axis=1)
    k = min(4, len(used) - 1)
    sigma[used] = 0.5 * distance[:, k] * np.sqrt(np.pi / k)
    floored: F64 = np.maximum(sigma, 0.01)
    return floored


def _rounded(values: F64) -> tuple[float, ...]:
    return tuple(round(float(v), 4) for v in values)
