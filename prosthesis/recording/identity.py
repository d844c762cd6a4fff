"""What a recording says of its rig: names, versions and hashes, and the rig itself, so that it can be rerun."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from prosthesis import __version__
from prosthesis.bundles.bundle import load_bundle
from prosthesis.calibration.table import Calibration
from prosthesis.config import ArrayConfig, LinkConfig, Rig, RigConfig, StimulatorConfig, load_rig, names
from prosthesis.errors import ConfigError
from prosthesis.hops import EncoderConfig, LayeredEncoderConfig
from prosthesis.messages import About
from prosthesis.recording.recorder import MEASURED, parts

RIG_PART = "rig.json"
ENCODERS = "encoder_configs"
_PARTS: dict[str, type[BaseModel]] = {
    "config": RigConfig,
    "array": ArrayConfig,
    "stimulator": StimulatorConfig,
    "link": LinkConfig,
    "calibration": Calibration,
}
_ENCODER: TypeAdapter[EncoderConfig] = TypeAdapter(EncoderConfig)


def identity(rig: Rig, encoders: Mapping[str, EncoderConfig]) -> dict[str, str]:
    """Return what was running, as text: ``encoders`` are the tasks loaded, the first in force."""
    return {
        "rig": rig.config.name,
        "rig_file": str(rig.path),
        "rig_sha256": hashlib.sha256(rig_text(rig).encode()).hexdigest()[:16],
        "source": rig.config.camera.source,
        "tasks": ", ".join(encoders),
        "model": ", ".join(config.model for config in encoders.values()),
        "model_sha256": ", ".join(model_digest(config) for config in encoders.values()),
        "calibration": rig.calibration.digest,
        "stimulator": rig.stimulator.name,
        "link": rig.config.backend or rig.link.name,
        "world": rig.config.world,
        "prosthesis": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        ENCODERS: json.dumps({name: config.model_dump(mode="json") for name, config in encoders.items()}),
    }


def model_digest(config: EncoderConfig) -> str:
    """Return the first 16 hex digits of the SHA-256 over the hashes of all graphs that an encoder loads."""
    models = [config.model, *([config.obstacle.model] if isinstance(config, LayeredEncoderConfig) else [])]
    graphs = [graph.sha256 for model in models for graph in load_bundle(model).manifest.graphs]
    return hashlib.sha256("".join(graphs).encode()).hexdigest()[:16]


def rig_text(rig: Rig) -> str:
    """Return a rig with all its parts and its calibration as JSON, the same for the same content."""
    return json.dumps({name: getattr(rig, name).model_dump(mode="json") for name in _PARTS}, sort_keys=True)


def rig_of(text: str, path: Path) -> Rig:
    """Return the rig that ``rig_text`` wrote; ``path`` is the recording, or where else its other files are looked for.

    Raises ``ConfigError`` when another version's rig cannot be read by this one.
    """
    try:
        said = json.loads(text)
        parts: dict[str, Any] = {
            name: model.model_validate_json(json.dumps(said[name])) for name, model in _PARTS.items()
        }
        return Rig(path, **parts)
    except (ValidationError, ValueError, KeyError) as error:
        why = " ".join(str(error).split())[:120]
        raise ConfigError(f"{path}: the recorded rig is another version's ({why}); name one with --rig") from error


def device_about(known: Mapping[str, str], measured: Rig | None, t_ns: int) -> About:
    """Return what a device says of itself: its ``identity``, and the impedances that its guard goes by, if measured."""
    said = dict(known)
    if measured is not None:
        said |= {name: json.dumps(getattr(measured.calibration, name)) for name in MEASURED}
    return About(0, t_ns, tuple(said), tuple(said.values()))


def measured_rig(rig: Rig, about: About) -> Rig | None:
    """Return ``rig`` with the impedances that ``device_about`` told, ``None`` when ``about`` tells none."""
    said = dict(zip(about.names, about.values, strict=True))
    if not set(MEASURED) <= set(said):
        return None
    update = {name: tuple(json.loads(said[name])) for name in MEASURED}
    return replace(rig, calibration=rig.calibration.model_copy(update=update))


def recorded_rig(log: Path, about: Mapping[str, str], name: str | None = None) -> Rig:
    """Return the rig of a recording with metadata ``about``, or the one called ``name`` in its place.

    A recording of an older version does not hold it: then the shipped one of that name. Raises ``ConfigError``.
    """
    if name is not None:
        return load_rig(name)
    text = parts(log).get(RIG_PART)
    if text is not None:
        return rig_of(text, Path(about.get("rig_file", log)))  # a code map may lie beside it
    if about.get("rig") in names("rigs"):
        return load_rig(about["rig"])
    raise ConfigError(f"{log}: does not hold its rig; name the one that was recorded: --rig NAME")


def encoders_of(metadata: Mapping[str, str], path: Path) -> dict[str, EncoderConfig]:
    """Return the encoders that were loaded, by task; ``ConfigError`` when the recording does not say."""
    try:
        said = json.loads(metadata[ENCODERS])
        return {name: _ENCODER.validate_json(json.dumps(config)) for name, config in said.items()}
    except (ValidationError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: does not say which encoders ran; start after them: --from modulator") from error
