"""A recording as an NWB 2 file (Rübel et al. 2022): electrodes, what they delivered and when, pictures, what was seen.

NWB's core has no type for electrical stimulation, so currents and pulses are plain time series whose columns are rows
of the electrodes table, and trains of pulses are rows of a table of intervals that points into it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prosthesis import __version__
from prosthesis.errors import ConfigError, MissingExtraError, ProsthesisError
from prosthesis.files import same_file
from prosthesis.layout import contacts, places_mm
from prosthesis_sim.science.gather import Gathered, gather

SIMULATED = "simulated: no animal and no person took part"
SPECIES = {"macaque": "Macaca mulatta", "": "Homo sapiens"}
EVENT_COLUMNS = {
    "source": "who said it: device, encoder, implant or world",
    "level": "info, warning or error",
    "annotation": "the sentence",
}
OHM_PER_KOHM = 1000.0


def write_nwb(log: Path, out: Path, every_s: float = 1.0, rig_name: str | None = None) -> Gathered:
    """Write ``log`` as ``out`` with one camera and one percept picture every ``every_s``; return what was written.

    Raises ``MissingExtraError`` without pynwb, ``ProsthesisError`` when the recording or the file cannot be used.
    """
    try:
        import pynwb
    except ImportError as error:
        raise MissingExtraError("NWB files need pynwb; run: pip install 'prosthesis[science]'") from error
    if same_file(out, log):
        raise ConfigError(f"{out}: is the recording itself; choose another --out")
    got = gather(log, every_s, rig_name)
    if not got.delivered_s:
        raise ProsthesisError(f"{log}: nothing was delivered in this recording; was a simulated patient running?")
    file = _file(pynwb, got, log)
    _electrodes(file, got)
    _stimulation(pynwb, file, got)
    _pictures(pynwb, file, got)
    _percept(pynwb, file, got)
    _words(pynwb, file, got)
    try:
        with pynwb.NWBHDF5IO(str(out), "w") as io:
            io.write(file)
    except OSError as error:
        raise ProsthesisError(f"{out}: cannot be written ({error}); choose another file") from error
    return got


def _file(pynwb: Any, got: Gathered, log: Path) -> Any:
    about = got.about
    world = about.get("sim_world", about.get("world", ""))
    species = next(name for word, name in SPECIES.items() if word in world)
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    hidden = ("_config", "_configs")
    return pynwb.NWBFile(
        session_description=f"Visual prosthesis '{got.rig.config.name}', camera to percept; {SIMULATED}.",
        identifier=f"prosthesis-{digest}",
        session_start_time=got.began,
        session_id=log.stem,
        experiment_description=got.rig.config.summary,
        keywords=["visual prosthesis", "electrical stimulation", "phosphene", "simulation"],
        source_script=f"prosthesis {__version__}: prosthesis nwb",
        source_script_file_name="prosthesis_sim/science/nwb.py",
        notes=json.dumps({key: value for key, value in about.items() if not key.endswith(hidden)}, indent=1),
        subject=pynwb.file.Subject(
            subject_id=f"{world or 'patient'}-{about.get('sim_patient', '0')}",
            species=species,
            sex="U",
            age="P0D/",
            description=f"World '{world}', patient {about.get('sim_patient', '?')}; {SIMULATED}.",
        ),
    )


def _electrodes(file: Any, got: Gathered) -> None:
    rig, calibration = got.rig, got.rig.calibration
    stimulator = file.create_device(name="stimulator", description=f"{rig.stimulator.name}: {rig.stimulator.summary}")
    columns = {
        "tissue_x_mm": "place on the flattened tissue in mm, along x",
        "tissue_y_mm": "the same along y",
        "x_deg": "calibrated place of the phosphene in the visual field, to the right",
        "y_deg": "the same, upwards",
        "threshold_ua": "calibrated detection threshold in uA",
        "max_ua": "the most current the device may ask for in uA",
        "area_um2": "area of the contact",
        "enabled": "whether the device uses the electrode",
    }
    for name, what in columns.items():
        file.add_electrode_column(name=name, description=what)
    place, each = contacts(rig.array), rig.array.contacts
    x_mm, y_mm = places_mm(rig.array, rig.config.implant.placements)
    location = f"visual cortex or retina, {rig.config.implant.hemisphere} ({rig.array.name}, simulated)"
    for number, at in enumerate(rig.config.implant.placements):
        about = f"{rig.array.name} at ({at.x_mm:g}, {at.y_mm:g}) mm, turned by {at.rotation_deg:g} degrees"
        group = file.create_electrode_group(f"array{number}", description=about, location=location, device=stimulator)
        for contact in range(each):
            i = number * each + contact
            file.add_electrode(
                location=location,
                group=group,
                rel_x=float(place.x_um[contact]),
                rel_y=float(place.y_um[contact]),
                rel_z=float(rig.array.depths_um[contact]),
                imp=calibration.impedance_kohm[i] * OHM_PER_KOHM,
                tissue_x_mm=float(x_mm[i]),
                tissue_y_mm=float(y_mm[i]),
                x_deg=calibration.x_deg[i],
                y_deg=calibration.y_deg[i],
                threshold_ua=calibration.threshold_ua[i],
                max_ua=calibration.max_ua[i],
                area_um2=rig.areas_um2[i],
                enabled=calibration.enabled[i],
            )


def _squeezed(pynwb: Any, data: Any, dtype: Any) -> Any:
    return pynwb.H5DataIO(np.asarray(data, dtype), compression="gzip", compression_opts=4)


def _stimulation(pynwb: Any, file: Any, got: Gathered) -> None:
    modulator = got.rig.config.modulator
    pulse = (
        f"charge-balanced biphasic pulses, cathodic first, {modulator.pulse_width_us} us a phase, "
        f"{modulator.interphase_us} us between; columns are rows of the electrodes table"
    )
    times = np.asarray(got.delivered_s)
    amplitude = pynwb.TimeSeries(
        name="delivered_amplitude",
        description=f"Amplitude of one phase in each interval of delivery, from its time on: {pulse}.",
        data=_squeezed(pynwb, got.amplitude_ua, np.float32),
        unit="amperes",
        conversion=1e-6,
        timestamps=times,
    )
    pulses = pynwb.TimeSeries(
        name="delivered_pulses",
        description=f"Pulses started in each interval, at most one interval after its time: {pulse}.",
        data=_squeezed(pynwb, got.pulses, np.int32),
        unit="pulses",
        timestamps=amplitude,
    )
    file.add_stimulus(amplitude)
    file.add_stimulus(pulses)
    if not len(got.trains):
        return
    trains = got.trains
    what = {
        "start_time": ("from when on the electrode was driven so", trains.start_s, np.float64),
        "stop_time": ("until when", trains.stop_s, np.float64),
        "pulses": ("pulses delivered", trains.pulses, np.int64),
        "amplitude_ua": ("of one phase, uA", trains.amplitude_ua, np.float64),
        "pulse_width_us": ("of one phase, us", trains.width_us, np.float64),
        "charge_nc": ("cathodic charge delivered, nC", trains.charge_nc, np.float64),
    }
    columns = [
        pynwb.core.VectorData(name=name, description=text, data=_squeezed(pynwb, values, dtype))
        for name, (text, values, dtype) in what.items()
    ]
    chosen = trains.electrode.tolist()
    columns.insert(2, file.create_electrode_table_region(region=chosen, description="the electrode"))
    table = pynwb.epoch.TimeIntervals(
        name="stimulation_trains",
        description="One electrode driven at one amplitude without a pause, a row each.",
        columns=columns,
    )
    file.add_time_intervals(table)


def _pictures(pynwb: Any, file: Any, got: Gathered) -> None:
    if got.frames:
        file.create_device(name="camera", description=f"source '{got.about.get('source', 'unknown')}'")
        kept, shown = _shown(pynwb, "camera", "What the camera saw.", got.frames, got.frames_s)
        file.add_stimulus_template(kept)
        file.add_stimulus(shown)


def _shown(pynwb: Any, name: str, text: str, pictures: Sequence[Any], times: Sequence[float]) -> tuple[Any, Any]:
    """Return pictures, and the series that says when each was there."""
    kind = pynwb.image.RGBImage if pictures[0].ndim == 3 else pynwb.image.GrayscaleImage
    images = [
        kind(name=f"{name}{i:05}", description=f"at {t_s:.3f} s", data=_squeezed(pynwb, p, p.dtype))
        for i, (p, t_s) in enumerate(zip(pictures, times, strict=True))
    ]
    order = pynwb.base.ImageReferences(name="order_of_images", data=images)
    kept = pynwb.base.Images(name=f"{name}_pictures", description=text, images=images, order_of_images=order)
    shown = pynwb.image.IndexSeries(
        name=name,
        description=f"Which of {name}_pictures was there from which time on.",
        data=np.arange(len(images), dtype=np.uint32),
        indexed_images=kept,
        unit="N/A",
        timestamps=np.asarray(times),
    )
    return kept, shown


def _percept(pynwb: Any, file: Any, got: Gathered) -> None:
    if not got.seen:
        return
    module = file.create_processing_module(name="percept", description=f"What is seen, by the model; {SIMULATED}.")
    table, times = np.asarray(got.seen, np.float64), np.asarray(got.seen_s)
    rows = {
        "visible_phosphenes": ("phosphenes above threshold", "phosphenes", table[:, 0]),
        "percept_mean": ("mean brightness of the percept, 0 to 1", "fraction", table[:, 1]),
        "percept_peak": ("brightest point of the percept, 0 to 1", "fraction", table[:, 2]),
    }
    for name, (text, unit, data) in rows.items():
        module.add(pynwb.TimeSeries(name=name, description=text, data=data, unit=unit, timestamps=times))
    gaze = pynwb.behavior.SpatialSeries(
        name="gaze",
        description="Where the eyes pointed (x to the right, y up).",
        data=table[:, 3:5],
        unit="degrees",
        reference_frame="straight ahead of the head",
        timestamps=times,
    )
    module.add(gaze)
    text = "What was seen: brightness 0 to 1, row 0 at the top of the visual field."
    for part in _shown(pynwb, "percept", text, got.percepts, got.percepts_s):
        module.add(part)
    if got.evoked_hz:
        rates = pynwb.TimeSeries(
            name="evoked_rate",
            description="Rate above spontaneous at each electrode's site; columns are rows of the electrodes table.",
            data=_squeezed(pynwb, got.evoked_hz, np.float32),
            unit="Hz",
            timestamps=np.asarray(got.evoked_s),
        )
        module.add(rates)


def _words(pynwb: Any, file: Any, got: Gathered) -> None:
    if got.events:
        table = pynwb.event.EventsTable(name="events", description="What was said for people.")
        for name in ("source", "level", "annotation"):
            table.add_column(name=name, description=EVENT_COLUMNS[name])
        for event in got.events:
            table.add_row(timestamp=event.t_s, source=event.source, level=event.level, annotation=event.text)
        file.add_events_table(table)
    if got.states:
        table = pynwb.epoch.TimeIntervals(name="implant_states", description="What state the implant was in, and why.")
        table.add_column(name="state", description="the implant's state")
        table.add_column(name="reason", description="why it came into it")
        ends = [state.t_s for state in got.states[1:]] + [max(got.end_s, got.states[-1].t_s)]
        for state, end in zip(got.states, ends, strict=True):
            table.add_row(start_time=state.t_s, stop_time=end, state=state.text, reason=state.level)
        file.add_time_intervals(table)
