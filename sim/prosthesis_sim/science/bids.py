"""A recording's stimulation and events as BIDS writes them: ``events.tsv`` and the ``events.json`` that explains it.

Columns that BIDS does not define are described in the JSON, as it asks. Source: BIDS 1.10, task events and iEEG.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prosthesis.errors import ConfigError, ProsthesisError
from prosthesis_sim.science.gather import Gathered, Trains, gather

NONE = "n/a"
COLUMNS: dict[str, dict[str, Any]] = {
    "onset": {"Description": "Since the recording began", "Units": "s"},
    "duration": {"Description": "0 for what is said at a moment", "Units": "s"},
    "trial_type": {
        "Description": "What the row is",
        "Levels": {
            "stimulation": "one electrode driven at one amplitude without a pause",
            "state": "a state that the implant was in",
            "event": "a sentence for people",
        },
    },
    "electrical_stimulation_type": {"Description": "Charge-balanced biphasic pulses, cathodic first"},
    "electrical_stimulation_site": {"Description": "Electrode, by its number from 0 in the rig"},
    "electrical_stimulation_current": {"Description": "Amplitude of one phase", "Units": "A"},
    "pulse_width": {"Description": "Of one phase", "Units": "s"},
    "pulses": {"Description": "Pulses delivered"},
    "charge": {"Description": "Cathodic charge delivered", "Units": "C"},
    "value": {"Description": "The state, or the source of the sentence"},
    "text": {"Description": "Why the state was entered, or the sentence"},
}


def write_events(log: Path, folder: Path, subject: str | None = None, rig_name: str | None = None) -> list[Path]:
    """Write ``sub-SUBJECT_task-seeing_events.tsv`` and ``.json`` into ``folder``; return their paths.

    ``subject`` defaults to the patient's world and number. Raises ``ProsthesisError``.
    """
    got = gather(log, float("inf"), rig_name)
    name = subject or f"{got.about.get('sim_world', 'patient')}{got.about.get('sim_patient', '')}"
    label = re.sub("[^A-Za-z0-9]", "", name)
    if not label:
        raise ConfigError(f"--subject '{name}': has no letter and no digit, which is all that BIDS allows in it")
    stem = f"sub-{label}_task-seeing_events"
    table, words = folder / f"{stem}.tsv", folder / f"{stem}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(COLUMNS), restval=NONE, delimiter="\t", lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(_rows(got), key=lambda row: float(row["onset"])))
        words.write_text(json.dumps(COLUMNS | _about(got), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ProsthesisError(f"{folder}: cannot write there ({error.strerror}); choose another --out") from error
    return [table, words]


def _about(got: Gathered) -> dict[str, Any]:
    return {
        "StimulusPresentation": {
            "SoftwareName": "prosthesis",
            "SoftwareVersion": got.about.get("prosthesis", NONE),
            "Code": f"rig {got.rig.config.name}, rig_sha256 {got.about.get('rig_sha256', NONE)}",
        }
    }


def _rows(got: Gathered) -> list[dict[str, str]]:
    rows = [
        {
            "onset": f"{start:.6f}",
            "duration": f"{stop - start:.6f}",
            "trial_type": "stimulation",
            "electrical_stimulation_type": "biphasic",
            "electrical_stimulation_site": str(electrode),
            "electrical_stimulation_current": f"{ua * 1e-6:.4g}",
            "pulse_width": f"{width * 1e-6:.4g}",
            "pulses": str(pulses),
            "charge": f"{charge * 1e-9:.4g}",
        }
        for start, stop, electrode, pulses, ua, width, charge in _trains(got.trains)
    ]
    ends = [state.t_s for state in got.states[1:]] + [got.end_s]
    for state, end in zip(got.states, ends, strict=False):
        times = {"onset": f"{state.t_s:.6f}", "duration": f"{end - state.t_s:.6f}"}
        rows.append({**times, "trial_type": "state", "value": state.text, "text": _line(state.level)})
    for event in got.events:
        times = {"onset": f"{event.t_s:.6f}", "duration": "0"}
        rows.append({**times, "trial_type": "event", "value": event.source, "text": _line(event.text)})
    return rows


def _trains(t: Trains) -> Iterator[tuple[Any, ...]]:
    columns = (t.start_s, t.stop_s, t.electrode, t.pulses, t.amplitude_ua, t.width_us, t.charge_nc)
    return zip(*(column.tolist() for column in columns), strict=True)


def _line(text: str) -> str:
    return " ".join(text.split()) or NONE
