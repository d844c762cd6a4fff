"""Published human retinal data, read from pulse2percept (BSD-3), with which the digitised points ship."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prosthesis.errors import ProsthesisError
from prosthesis_sim.tissue import PulseLaw
from prosthesis_train.studies.published import Trains

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]
# Horsager et al. 2009 also gave bursts and pairs of unequal pulses, which are no trains of one rate and width
KINDS = ("single_pulse", "fixed_duration", "variable_duration")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Horsager et al. 2009: ``trains``, threshold in uA f64[n], subject and electrode, and kind of stimulus."""

    trains: Trains
    threshold_ua: F64
    electrode: Names
    kind: Names
    interphase_us: F64

    def centred(self, law: PulseLaw, used: Bool) -> F64:
        """Return log10 of predicted over measured; each electrode's scale is its median over its ``used`` points."""
        return self.errors(law.threshold(self.trains.pulse_width_us, self.trains.rate_hz, self.trains.train_s), used)

    def errors(self, predicted: F64, used: Bool) -> F64:
        """Return the same of predictions in any unit."""
        error = np.log10(predicted / self.threshold_ua)
        for name in np.unique(self.electrode):
            mine = self.electrode == name
            error[mine] -= np.median(error[mine & used]) if (mine & used).any() else np.median(error[mine])
        return np.asarray(error)


def horsager() -> Thresholds:
    """Return the thresholds of single pulses, of trains of 200 ms and of trains of 2, 3 or 15 pulses."""
    h = _load("horsager2009")
    h = h[(h.task == "threshold") & h.stim_type.isin(KINDS)]
    kind = h.stim_type.to_numpy(str)
    rate = np.where(kind == "single_pulse", 1.0, h.stim_freq.fillna(1).to_numpy(float))
    counted = h.pulse_num.fillna(1).to_numpy(float) / rate
    lasting = np.where(kind == "fixed_duration", h.stim_dur.fillna(0).to_numpy(float) * 1e-3, counted)
    trains = Trains(h.pulse_dur.to_numpy(float) * 1e3, rate, lasting)
    gap = h.interphase_dur.to_numpy(float) * 1e3
    return Thresholds(trains, h.stim_amp.to_numpy(float), (h.subject + h.electrode).to_numpy(str), kind, gap)


def peers_horsager(data: Thresholds) -> F64:
    """Return the thresholds, up to a scale, by pulse2percept's model of Horsager et al. 2009 as it ships.

    Its response to a train grows with a power beta of current, so one run of 1 uA gives the threshold.
    """
    model = importlib.import_module("pulse2percept.models.retina").Horsager2009Temporal(n_threads=1, verbose=False)
    stimuli = importlib.import_module("pulse2percept.stimuli")
    model.build()
    t, peaks = data.trains, []
    for width_us, rate, train_s, gap_us in zip(t.pulse_width_us, t.rate_hz, t.train_s, data.interphase_us, strict=True):
        pulses, period_ms = max(1, round(rate * train_s)), 1e3 / rate
        shape = {"interphase_dur": gap_us * 1e-3}
        if pulses == 1:
            train = stimuli.BiphasicPulse(1.0, width_us * 1e-3, stim_dur=200, **shape)
        else:
            train = stimuli.BiphasicPulseTrain(rate, 1.0, width_us * 1e-3, stim_dur=pulses * period_ms, **shape)
        seen = model.predict_percept(train, t_percept=np.arange(0.0, (pulses - 1) * period_ms + 200))
        peaks.append(float(seen.data.max()))
    return np.asarray(np.array(peaks) ** (-1 / model.beta))


def nanduri() -> tuple[Any, Any]:
    """Return the ratings of brightness and of size of Nanduri et al. 2012; 1.25 thresholds at 20 Hz are 10 and 1."""
    n = _load("nanduri2012")
    return n[n.task == "rate"], n[n.task == "size"]


def greenwald() -> tuple[F64, F64, Names, Names]:
    """Return current over threshold, brightness, subject and electrode (Greenwald et al. 2009)."""
    g = _load("greenwald2009")
    over, seen = (g.amp / g.threshold).to_numpy(float), g.brightness.to_numpy(float)
    return over, seen, g.subject.to_numpy(str), (g.subject + g.electrode).to_numpy(str)


def fornos() -> tuple[Names, Names, F64]:
    """Return figure and subject of each course, and brightness over its peak f64[n,150], from 0.5 s every 0.5 s."""
    rows = _load("perezfornos2012")
    courses = np.array([np.asarray(c, float) for c in rows.time_series])[:, 5:]  # the first five come before the train
    courses = courses / np.nanmax(courses, axis=1, keepdims=True)
    return rows.figure.str[:4].to_numpy(str), rows.subject.str.upper().to_numpy(str), courses


def _load(name: str) -> Any:
    try:
        return getattr(importlib.import_module("pulse2percept.datasets"), f"load_{name}")()
    except ImportError as fault:
        raise ProsthesisError(
            f"the points of {name} come with pulse2percept, which is not installed; pip install 'prosthesis[peers]'"
        ) from fault
