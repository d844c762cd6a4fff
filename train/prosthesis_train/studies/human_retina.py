"""Thresholds, brightness, size and fading of the simulated human retina against published human data.

The points ship with pulse2percept (BSD-3) and are read from it. A law fitted here is judged on what it was not fitted
to: all points of an electrode, of a kind of stimulus, or of half the subjects are left out together.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares, minimize

from prosthesis.results import Figure, Recipe
from prosthesis_sim.granley import Granley
from prosthesis_sim.tissue import PulseLaw
from prosthesis_train.studies.published_retina import (
    Thresholds,
    fornos,
    greenwald,
    horsager,
    nanduri,
    peers_horsager,
)
from prosthesis_train.studies.retina_fading import ARGUS, REFERENCE, SAMPLE_S, SAMPLES, fading, fornos_held_out

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]
CORTEX = PulseLaw()  # as in worlds/human_v1.yaml


def weiss(p: F64) -> PulseLaw:
    """Return Weiss' law with a power for p = log of (chronaxie us, exponent, tau s)."""
    chronaxie, exponent, tau = (float(v) for v in np.exp(p))
    return PulseLaw(0.0, chronaxie, exponent, 0.0, tau, reference=REFERENCE)


def charge(p: F64) -> PulseLaw:
    """Return the charge law for p = (logit rheobase, log tau s)."""
    return PulseLaw(rheobase=float(1 / (1 + np.exp(-p[0]))), tau_act_s=float(np.exp(p[1])), reference=REFERENCE)


LOG_TAU = (float(np.log(1e-3)), float(np.log(10.0)))  # s
# each law, where its fit starts, and within what it stays
LAWS: dict[str, tuple[Callable[[F64], PulseLaw], F64, list[tuple[float, float]]]] = {
    "Weiss and a power": (weiss, np.log([600.0, 4.0, 0.1]), [(3.0, 9.0), (0.0, 4.0), LOG_TAU]),
    "charge": (charge, np.array([0.0, np.log(0.1)]), [(-6.0, 6.0), LOG_TAU]),
}
# brightness against current over threshold: ours, and the peers' line (Granley 2021) with a free intercept
FORMS: dict[str, tuple[Callable[[F64, F64], F64], F64]] = {
    "Naka-Rushton": (lambda p, x: np.asarray(1 / (1 + (np.exp(p[0]) / x) ** np.exp(p[1]))), np.array([1.6, 0.3])),
    "the peers' line": (lambda p, x: np.asarray(x + p[0]), np.array([1.0])),
}


def fit_law(name: str, data: Thresholds, used: Bool) -> PulseLaw:
    """Fit a law's constants to the ``used`` points by least absolute deviations, with one scale an electrode."""
    make, start, bounds = LAWS[name]
    loss = lambda p: float(np.abs(data.centred(make(p), used)[used]).sum())  # noqa: E731
    return make(minimize(loss, start, method="Nelder-Mead", bounds=bounds).x)


def leave_out(name: str, data: Thresholds, groups: Names) -> tuple[list[PulseLaw], F64]:
    """Return the fits without each group of points, and log10 errors of each group by the fit without it.

    A scale comes from an electrode's other points; only an electrode held out whole has its own median.
    """
    laws, error = [], np.zeros(len(groups))
    for group in np.unique(groups):
        out = groups == group
        laws.append(fit_law(name, data, ~out))
        error[out] = data.centred(laws[-1], ~out)[out]
    return laws, error


def r2(truth: F64, predicted: F64) -> float:
    """Return the share of variance explained."""
    return float(1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def granley(rows: Any) -> tuple[F64, F64]:
    """Return brightness over that of the reference train (1.25 thresholds, 20 Hz, 0.45 ms), and relative area."""
    model = Granley()
    amplitude, width = rows.amp_factor.to_numpy(float), rows.pulse_dur.to_numpy(float) * 1e3
    bright, rho_um, _ = model(amplitude, width, rows.freq.to_numpy(float))
    reference, _, _ = model(np.array([1.25]), np.array([450.0]), np.array([20.0]))
    return bright / reference, (rho_um / model.rho_um) ** 2


def greenwald_held_out(form: Callable[[F64, F64], F64], start: F64) -> tuple[F64, F64]:
    """Return Greenwald et al. 2009 brightness and its prediction by ``form(p, current over threshold)``.

    An electrode is held out of the fit of p and of its subject's scale, both by least squares.
    """
    x, seen, subject, electrode = greenwald()

    def scaled(p: F64, used: Bool) -> F64:
        shape, out = form(p, x), np.zeros(len(x))
        for name in np.unique(subject):
            mine = subject == name
            out[mine] = shape[mine] * (seen * shape)[mine & used].sum() / (shape**2)[mine & used].sum()
        return out

    predicted = np.zeros(len(x))
    for name in np.unique(electrode):
        used = electrode != name
        p = least_squares(lambda p, used=used: (scaled(p, used) - seen)[used], start).x
        predicted[~used] = scaled(p, used)[~used]
    return seen, predicted


def measure() -> Iterator[Figure]:
    """Yield every figure of the page."""
    yield from _measure_thresholds()
    yield from _measure_ratings()
    yield from _measure_fading()


def _measure_thresholds() -> Iterator[Figure]:
    data = horsager()
    everything = np.ones(len(data.kind), dtype=bool)
    what = "thresholds, {}: median absolute log10 error"
    fit = fit_law("Weiss and a power", data, everything)
    laws, _ = leave_out("Weiss and a power", data, data.electrode)
    for name, field, unit in (
        ("chronaxie", "chronaxie_us", "us"),
        ("exponent", "exponent", ""),
        ("tau", "tau_act_s", "s"),
    ):
        each = [getattr(law, field) for law in laws]
        yield Figure(name, getattr(fit, field), unit, min(each), max(each), "fits without one electrode")
    yield Figure("charge law: rheobase over threshold", fit_law("charge", data, everything).rheobase, "")
    yield Figure("charge law: tau", fit_law("charge", data, everything).tau_act_s, "s", interval="1 ms is the bound")
    for name in LAWS:
        yield Figure(
            what.format(f"{name}, fitted"), _median(data.centred(fit_law(name, data, everything), everything)), ""
        )
        for by, groups in (("electrode", data.electrode), ("kind of stimulus", data.kind)):
            _, error = leave_out(name, data, groups)
            yield Figure(what.format(f"{name}, {by} held out"), _median(error), "")
    yield Figure(
        what.format("retina_argus as shipped"), _median(data.centred(ARGUS, everything)), "", interval="in sample"
    )
    yield Figure(what.format("human_v1's law, transferred"), _median(data.centred(CORTEX, everything)), "")
    peers = data.errors(peers_horsager(data), everything)
    yield Figure(what.format("peers' Horsager2009 as shipped"), _median(peers), "", interval="in sample")


def _measure_ratings() -> Iterator[Figure]:
    bright, size = nanduri()
    seen, predicted = bright.brightness.to_numpy(float), 10 * granley(bright)[0]
    scale = float((seen * predicted).sum() / (predicted**2).sum())
    yield Figure(
        "Nanduri brightness, Granley as shipped, reference rated 10: R2", r2(seen, predicted), "", interval="in sample"
    )
    yield Figure(
        "Nanduri brightness, Granley, one scale fitted: R2", r2(seen, scale * predicted), "", interval="in sample"
    )
    area = size["size"].to_numpy(float)
    yield Figure("Nanduri size, Granley as shipped: R2", r2(area, granley(size)[1]), "", interval="in sample")
    for name, (form, start) in FORMS.items():
        figure = f"Greenwald brightness, {name}, electrode held out: R2"
        yield Figure(figure, r2(*greenwald_held_out(form, start)), "")


def _measure_fading() -> Iterator[Figure]:
    figure, _, seen = fornos()
    fits, predicted, mean = fornos_held_out()
    known = np.isfinite(seen)
    for k, (name, unit) in enumerate((("kappa at 2 thresholds", "Hz"), ("tau_trace", "s"))):
        each = [float(np.exp(p[k])) for p in fits]
        yield Figure(f"Perez Fornos, {name}", each[0], unit, min(each), max(each), "fits to halves of subjects")
    yield Figure("Perez Fornos, habituation, half the subjects held out: R2", r2(seen[known], predicted[known]), "")
    yield Figure("Perez Fornos, mean course of the other half: R2", r2(seen[known], mean[known]), "")
    yield Figure("Perez Fornos, peers' FadingTemporal as shipped: R2", r2(seen[known], fading(figure)[known]), "")


def _median(log10_error: F64) -> float:
    return float(np.median(np.abs(log10_error)))


def draw(folder: Path) -> list[str]:
    """Draw data and predictions into ``folder``; return the file's name."""
    canvas = importlib.import_module("matplotlib.figure").Figure(figsize=(11, 8), layout="constrained")
    axes = canvas.subplots(2, 2)
    data = horsager()
    _, error = leave_out("Weiss and a power", data, data.electrode)
    axes[0, 0].loglog(
        data.threshold_ua, data.threshold_ua * 10**error, ".", label="Weiss and a power, electrode held out"
    )
    axes[0, 0].plot([5, 700], [5, 700], "k-", lw=0.8)
    axes[0, 0].set(xlabel="measured threshold (uA)", ylabel="predicted (uA)", title="Thresholds (Horsager 2009)")
    bright, size = nanduri()
    pairs = (
        (axes[0, 1], bright.brightness, 10 * granley(bright)[0], "Brightness"),
        (axes[1, 0], size["size"], granley(size)[1], "Size"),
    )
    for ax, rated, predicted, title in pairs:
        ax.plot(rated, predicted, "o", ms=4, label="Granley as shipped")
        ax.plot([0, max(rated)], [0, max(rated)], "k-", lw=0.8)
        ax.set(xlabel="rated", ylabel="predicted", title=f"{title} (Nanduri 2012)")
    figure, _, _ = fornos()
    time_s = SAMPLE_S * np.arange(1, SAMPLES + 1)
    _, habituated, mean = fornos_held_out()
    for course, style, label in (
        (mean, "-", "mean of half"),
        (habituated, "--", "habituation"),
        (fading(figure), ":", "peers"),
    ):
        axes[1, 1].plot(time_s, course[figure == "fig7"][0], style, label=label)
    axes[1, 1].set(xlabel="time (s)", ylabel="brightness / peak", title="Sixty seconds (Perez Fornos 2012)")
    for ax in axes.flat:
        ax.legend()
    canvas.savefig(folder / "human_retina.png", dpi=90)
    return ["human_retina.png"]


RECIPE = Recipe(
    "The simulated human retina against published human data",
    "What `retina_argus` predicts for Argus users. Each electrode has one free scale: of an electrode held out it is "
    "the median of its own points, of a kind of stimulus held out that of the electrode's other kinds. Bursts and "
    "pairs of unequal pulses are left out. Without trains of variable duration tau is not determined; tau_trace is not "
    "by these courses, and the durations of their trains are unverified. Granley's coefficients come from Nanduri's "
    "data and are not fitted here; pulse2percept's equations are the same, and so is its error. Greenwald's ratings "
    "have one scale a subject, from the other electrodes. Needs pulse2percept: `pip install 'prosthesis[peers]'`.",
    lambda: list(measure()),
    draw,
)
