"""The write path: how near the rates that stimulation evokes come to those that were wanted, at 96 and 1024 sites.

Pictures go through encoder, map, modulator, guard, link, implant and tissue in simulated time; each is shown for 200 ms
of video, and what the array records at its end is compared with what the map asked for. All arms are compared with the
same wanted rates, those of the true map. The map was fitted to a simulated sighted population at the same sites.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from prosthesis.brainmap import CodeMapLike
from prosthesis.config import Limits, Rig, load_rig
from prosthesis.errors import ProsthesisError
from prosthesis.limits import guard_limits
from prosthesis.messages import MachineCode, Refusal, StimulationPattern, readonly
from prosthesis.modulator import PulseModulator
from prosthesis.protocols import Translator
from prosthesis.results import Figure
from prosthesis.safety import Guard
from prosthesis.solver import CrosstalkModulator
from prosthesis.timing import NS_PER_S, ManualClock
from prosthesis.translators.bijective import BijectiveTranslator
from prosthesis.translators.retinotopic import RetinotopicTranslator
from prosthesis.view import make_view
from prosthesis_sim.brain import frozen_brain
from prosthesis_sim.loop import rowwise_r
from prosthesis_sim.measure import connect
from prosthesis_sim.measure import measure as calibrated
from prosthesis_sim.patient import SitesConfig, WorldConfig, load_world
from prosthesis_train.artefacts import Artefact, load_artefact
from prosthesis_train.data.images import open_images
from prosthesis_train.make_map import answers, gray
from prosthesis_train.methods.classifier import to_float
from prosthesis_train.reading.linear import canonical

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
Say = Callable[[str], None]

MODEL = "bigbigan-scenes"
# of the exact maps that "chosen" tries; trying them all for every brain would take most of the study's time
EXPONENT, SHRINK = 0.5, 0.05
RIGS = ("utah96_latent", "nhp1024_latent")
BRAINS, SEEDS = (0, 1, 2), (0, 1, 2)
SHOWN, FITTED = 24, 3000
FPS, HELD = 30, 6
TIMED = 200


@dataclass(frozen=True, slots=True)
class Patient:
    """One rig and one simulated brain: what is shown, what its sites would answer, and the map fitted to them."""

    rig: Rig
    world: WorldConfig
    brain: Any
    code_map: CodeMapLike
    sites: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arm:
    """One way from codes to currents."""

    name: str
    translator: Translator
    modulator: PulseModulator
    code: Callable[[npt.NDArray[np.float32], U8], MachineCode]


@dataclass(frozen=True, slots=True)
class Nearness:
    """Correlations of evoked with wanted rates: by site over pictures, by picture over sites; with natural ones.

    ``read_back`` is that of the pictures' codes with those that the true map reads from the evoked rates, by number.
    """

    by_site: float
    by_picture: float
    natural: float
    read_back: float


class Scrambled:
    """A map whose sites were shuffled: the same rates, at the wrong places."""

    def __init__(self, code_map: CodeMapLike, seed: int) -> None:
        self._map, self.d, self.n = code_map, code_map.d, code_map.n
        self._order = np.random.default_rng(seed).permutation(code_map.n)

    def to_brain(self, z: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the map's rates, shuffled."""
        return self._map.to_brain(z)[:, self._order]

    def to_machine(self, rates: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the code of the rates put right."""
        return self._map.to_machine(rates[:, np.argsort(self._order)])


def measure(say: Say) -> list[Figure]:
    """Return the study's figures."""
    artefact = load_artefact(MODEL)
    data = open_images(artefact.card["settings"]["data"], int(artefact.card["side"]), int(artefact.card["channels"]))
    figures = []
    for name in RIGS:
        rig = load_rig(name)
        lifted = without_limits(rig, say)
        near: dict[str, list[Nearness]] = {}
        for number in BRAINS:
            say(f"{name}: brain {number}")
            fitted = fit_patient(rig, number, artefact, data.train[:FITTED])
            for seed in SEEDS:
                chosen = np.random.default_rng([number, seed]).permutation(len(data.test))[:SHOWN]
                shown = data.test[chosen]
                for patient, limits in ((fitted, ""), (on(lifted, fitted), ", limits lifted")):
                    for arm in arms(patient, seed, every=not limits):
                        near.setdefault(arm.name + limits, []).append(write(patient, arm, artefact, shown))
        figures += [
            figure for arm_name, runs in near.items() for figure in _rows(f"{rig.electrodes} sites: {arm_name}", runs)
        ]
        if name == RIGS[-1]:
            figures += _times(fitted)
    return figures


def without_limits(rig: Rig, say: Say) -> Rig:
    """Return the rig with no limit on charge, current, density or slots, and its patient calibrated again so.

    What the hardware can drive at all (full scale, compliance) stays; where that bound every single electrode already,
    the calibration still holds.
    """
    array = rig.array.model_copy(update={"limits": Limits()})
    stimulator = rig.stimulator.model_copy(update={"limits": Limits()})
    lifted = replace(rig, array=array, stimulator=stimulator)
    if np.array_equal(_alone_ua(rig), _alone_ua(lifted)):
        return lifted
    say(f"{rig.config.name}: calibrating without limits")
    blank = replace(load_rig(str(rig.path), uncalibrated=True), array=array, stimulator=stimulator)
    return replace(lifted, calibration=calibrated(blank, load_world(rig.config.world, rig.path.parent), 0))


def _alone_ua(rig: Rig) -> F64:
    """Return what each electrode may carry alone, the calibrated maximum aside."""
    caps = [c for c in guard_limits(rig).caps if c.tier == "hard" and c.rule != "calibrated maximum"]
    nc_to_ua = 1e3 / rig.config.modulator.pulse_width_us
    each = [np.broadcast_to(np.minimum(c.current_ua, c.charge_nc * nc_to_ua), rig.electrodes) for c in caps]
    least: F64 = np.minimum.reduce(each)
    return least


def fit_patient(rig: Rig, number: int, artefact: Artefact, pictures: U8) -> Patient:
    """Return simulated brain ``number`` at the rig's sites and the map fitted to its answers to pictures."""
    world = load_world(rig.config.world, rig.path.parent)
    mine = _population(world).model_copy(update={"seed": number})
    brain = frozen_brain(mine.population, number)
    shown = answers(artefact, brain, pictures, number)
    sites = np.flatnonzero(rig.calibration.column("enabled").astype(bool) & brain.active)
    code_map = canonical(shown.codes, shown.rates_hz[:, sites], SHRINK).at(EXPONENT)
    return on(rig, Patient(rig, world.model_copy(update={"sites": mine}), brain, code_map, sites))


def _population(world: WorldConfig) -> SitesConfig:
    if world.sites is None:
        raise ProsthesisError(f"world '{world.name}': key 'sites': this study needs a population")
    return world.sites


def on(rig: Rig, patient: Patient) -> Patient:
    """Return the patient with another implant, whose calibration is put in the units of this brain.

    The share of a site's most that a current evokes is the tissue's; only the most is the brain's. So the calibration
    is not measured again for every brain.
    """
    sites = _population(load_world(rig.config.world, rig.path.parent))
    first = frozen_brain(sites.population, sites.seed)
    share = rig.calibration.column("evoked_hz") / (first.most_hz - first.spontaneous_hz)
    evoked_hz = tuple(float(hz) for hz in share * (patient.brain.most_hz - patient.brain.spontaneous_hz))
    calibration = rig.calibration.model_copy(update={"evoked_hz": evoked_hz})
    return replace(patient, rig=replace(rig, calibration=calibration))


def arms(patient: Patient, seed: int, every: bool) -> list[Arm]:
    """Return the ways to be compared; ``every`` adds the map without regard to neighbours."""
    rig, card = patient.rig, patient.sites
    enabled = rig.calibration.column("enabled").astype(bool)
    view = make_view(rig.config.view, rig.config.camera, rig.calibration)
    rest, evoked = patient.brain.spontaneous_hz[card], rig.calibration.column("evoked_hz")
    true = BijectiveTranslator(patient.code_map, card, rest, evoked, enabled)
    wrong = BijectiveTranslator(Scrambled(patient.code_map, seed), card, rest, evoked, enabled)
    seen = RetinotopicTranslator(rig.calibration, view, (32, 32))
    solving, plain = CrosstalkModulator(rig), PulseModulator(rig)
    found = [Arm("code map", true, solving, _latent), Arm("scrambled map", wrong, solving, _latent)]
    found += [Arm("retinotopic luminance", seen, plain, _luminance)]
    return [*found, Arm("code map, curves alone", true, plain, _latent)] if every else found


def _latent(code: npt.NDArray[np.float32], picture: U8) -> MachineCode:
    return MachineCode(0, 0, readonly(code, np.float32), "latent", code.shape)


def _luminance(code: npt.NDArray[np.float32], picture: U8) -> MachineCode:
    small = cv2.resize(gray(picture[None])[0], (32, 32), interpolation=cv2.INTER_AREA)
    return MachineCode(0, 0, readonly(small, np.float32).reshape(-1), "map", (32, 32))


def write(patient: Patient, arm: Arm, artefact: Artefact, pictures: U8) -> Nearness:
    """Show pictures through one arm and return how near the evoked rates came, over the sites in use."""
    codes = encode(artefact, pictures)
    wanted = patient.code_map.to_brain(codes) - patient.brain.spontaneous_hz[patient.sites]
    natural = patient.brain.rates_hz(gray(pictures))[:, patient.sites]
    stage = Stage(patient)
    evoked = np.stack([stage.show(arm, arm.code(z, p)) for z, p in zip(codes, pictures, strict=True)])
    evoked = evoked[:, patient.sites]
    # a site that never changes has no correlation, which is no nearness
    by_site, naturally = (np.nan_to_num(rowwise_r(target.T, evoked.T)) for target in (wanted, natural))
    by_picture = np.nan_to_num(rowwise_r(wanted, evoked))
    back = patient.code_map.to_machine(evoked + patient.brain.spontaneous_hz[patient.sites])
    read_back = np.nan_to_num(rowwise_r(codes.T, back.T))
    return Nearness(*(float(r.mean()) for r in (by_site, by_picture, naturally, read_back)))


def encode(artefact: Artefact, pictures: U8) -> npt.NDArray[np.float32]:
    """Return the codes f32[b, d] of pictures u8[b, h, w, c]."""
    with torch.no_grad():
        return np.asarray(artefact.encode(to_float(pictures))[0].numpy())


class Stage:
    """One patient with a session open, driven frame by frame in simulated time."""

    def __init__(self, patient: Patient) -> None:
        self._rig, self._clock = patient.rig, ManualClock(NS_PER_S)
        self._emulator, self._session = connect(patient.rig, patient.world, 0, self._clock)
        self._guard = Guard(guard_limits(patient.rig))
        self._state, self._seq = self._guard.initial(), 0
        silent = PulseModulator(patient.rig)
        while self._session.arm().refusal is not Refusal.NONE:
            self._send(silent.silent(self._seq, self._clock.now_ns()), silent)

    def show(self, arm: Arm, code: MachineCode) -> F64:
        """Hold one code for ``HELD`` frames; return the rates above spontaneous f64[n] in Hz at the end."""
        for _ in range(HELD):
            brain = arm.translator.translate(replace(code, seq=self._seq, t_ns=self._clock.now_ns()))
            self._send(arm.modulator.modulate(brain), arm.modulator)
        return self._emulator.evoked_hz()

    def _send(self, wanted: StimulationPattern, modulator: PulseModulator) -> None:
        self._seq += 1
        now_ns = self._clock.now_ns()
        allowed, _, self._state = self._guard.allow(wanted, self._state, 1 / FPS)
        self._session.send(self._session.seal(self._seq, now_ns, modulator.codes(allowed)))
        self._clock.sleep_until(now_ns + NS_PER_S // FPS)
        while self._session.receive() is not None:
            pass


def _rows(name: str, runs: Sequence[Nearness]) -> list[Figure]:
    what = {
        "by_site": "by site over pictures",
        "by_picture": "by picture over sites",
        "natural": "with the sighted brain's own rates, by site",
        "read_back": "of the code with the code read back, by number",
    }
    return [_row(f"{name}, r {text}", [getattr(run, key) for run in runs]) for key, text in what.items()]


def _row(name: str, values: Sequence[float]) -> Figure:
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    mean = float(np.mean(values))
    note = f"95 % t interval over {len(BRAINS)} simulated brains x {len(SEEDS)} sets of {SHOWN} pictures"
    return Figure(name, mean, "", mean - half, mean + half, note)


def _times(patient: Patient) -> list[Figure]:
    """Return how long translator and modulator take a frame, and over the bare matrix product of a map's size."""
    arm = arms(patient, 0, every=False)[0]
    random = np.random.default_rng(0)
    codes = [_latent(np.float32(random.normal(size=patient.code_map.d)), np.zeros(0, np.uint8)) for _ in range(TIMED)]
    matrix = random.normal(size=(patient.code_map.d, patient.code_map.n))
    took: dict[str, list[float]] = {"translate": [], "modulate": [], "bare": []}
    for code in codes:
        stamps = [time.perf_counter()]
        brain = arm.translator.translate(code)
        stamps.append(time.perf_counter())
        arm.modulator.modulate(brain)
        stamps.append(time.perf_counter())
        code.values[None].astype(np.float64) @ matrix
        stamps.append(time.perf_counter())
        for key, seconds in zip(took, np.diff(stamps), strict=True):
            took[key].append(float(seconds))
    ms = {key: 1e3 * np.percentile(values, (50, 5, 95)) for key, values in took.items()}
    n, note = patient.rig.electrodes, f"median, 5th and 95th percentile of {TIMED} frames, one thread"
    rows = [
        Figure(f"{key} a frame at {n} sites", float(m), "ms", float(lo), float(hi), note)
        for key, (m, lo, hi) in ms.items()
    ]
    ratio = np.asarray(took["translate"]) / np.asarray(took["bare"])
    low, middle, high = np.percentile(ratio, (5, 50, 95))
    return [*rows, Figure("translate over a bare matrix product", float(middle), "", float(low), float(high), note)]
