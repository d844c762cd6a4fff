"""Brightness of the simulated human retina over seconds, against Perez Fornos et al. 2012."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from prosthesis_sim.fading import fade
from prosthesis_sim.phosphenes import PulseBrightness
from prosthesis_sim.tissue import PulseLaw, Train, at_rest
from prosthesis_train.studies.published_retina import fornos

F64 = npt.NDArray[np.float64]
Names = npt.NDArray[np.str_]
REFERENCE = Train(450.0, 20.0, 0.25)
ARGUS = PulseLaw(0.0, 650.0, 4.4, 0.0, 0.1, reference=REFERENCE)  # as in worlds/retina_argus.yaml
# seconds of pulses in figs. 3 to 7 of Perez Fornos et al. 2012: unverified, from the abstract and where brightness ends
LASTS_S = {"fig3": 10.0, "fig4": 10.0, "fig5": 10.0, "fig6": 1.0, "fig7": 60.0}
SAMPLE_S, SAMPLES = 0.5, 150
LEVEL = 2.0  # chosen: their "upper comfortable level", in thresholds, is not in the data
SHINE = PulseBrightness(half=2.0, exponent=2.0, rheobase=0.0, root=1 / ARGUS.exponent)  # as in retina_argus.yaml


def habituating(p: F64, figure: Names) -> F64:
    """Return each course over its peak by ``ARGUS`` with p = log of (kappa Hz, tau_trace s), at ``LEVEL``."""
    law = replace(ARGUS, kappa_hz=float(np.exp(p[0])), tau_trace_s=float(np.exp(p[1])))
    lasts_s = np.array(list(LASTS_S.values()))
    state, seen = at_rest(0 * lasts_s), []
    for k in range(SAMPLES):
        on = np.where(k * SAMPLE_S < lasts_s, LEVEL, 0.0)
        state = law.step(state, on, np.full(5, 450.0), np.full(5, 20.0), SAMPLE_S)
        seen.append(SHINE(state, np.ones(5)))
    return _courses(seen, figure)


def fading(figure: Names) -> F64:
    """Return each course over its peak by the peers' leaky integrator of 100 ms."""
    seen, now = [], np.zeros(5)
    for k in range(SAMPLES):
        now = fade(now, np.where(k * SAMPLE_S < np.array(list(LASTS_S.values())), 1.0, 0.0), SAMPLE_S)
        seen.append(now)
    return _courses(seen, figure)


def _courses(seen: list[F64], figure: Names) -> F64:
    by_figure = np.stack(seen, axis=1) / np.max(seen, axis=0)[:, None]
    return np.asarray(by_figure[[list(LASTS_S).index(f) for f in figure]])


def fornos_held_out() -> tuple[list[F64], F64, F64]:
    """Return p of ``habituating`` fitted to either half of the subjects, its courses for the other, and half means."""
    figure, subject, seen = fornos()
    odd = np.array([int(s[1:]) % 2 == 1 for s in subject])
    fits, predicted, mean = [], np.zeros_like(seen), np.zeros_like(seen)
    for used in (odd, ~odd):
        known = used[:, None] & np.isfinite(seen)
        fits.append(least_squares(lambda p, known=known: (habituating(p, figure) - seen)[known], np.log([0.1, 10.0])).x)
        predicted[~used] = habituating(fits[-1], figure)[~used]
        for f in LASTS_S:
            course = np.nan_to_num(seen[used & (figure == f)])  # after the last point the joystick rests at 0
            mean[~used & (figure == f)] = course.mean(axis=0)
    return fits, predicted, mean
