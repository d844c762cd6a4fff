"""Where a calibration is written: looked at before the first trial, because hours of a person's answers hang on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prosthesis.config import Rig, find
from prosthesis.errors import ConfigError
from prosthesis.files import same_file

# words about the rig; and the one part that a new calibration may replace
NO_PARTS = {"name", "summary", "calibration"}


def check_out(out: Path, rig: Rig) -> None:
    """Raise ``ConfigError`` when ``out`` cannot be written or is one of the files that ``rig`` is made of.

    Its folder is made; a rig's own calibration file may be written over.
    """
    try:
        if out.is_dir():
            raise ConfigError(f"--out {out}: is a folder; name a file, e.g. {out / 'patient.yaml'}")
        new = not out.exists()
        if not new and any(same_file(out, part) for part in _parts(rig, out.name)):
            raise ConfigError(f"--out {out}: is a part of rig {rig.path} and would be lost; write to another file")
        out.parent.mkdir(parents=True, exist_ok=True)
        # to append nothing says whether it can be written and leaves what is there as it is
        out.open("ab").close()
        if new:
            out.unlink()
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror}); choose another file") from error


def _parts(rig: Rig, file: str) -> Iterator[Path]:
    """Yield the rig's file and whatever its keys may mean: shipped parts, and paths beside it or from here.

    Of a folder, such as a model's or a code map's, that is the one named ``file`` in it.
    """
    config, beside = rig.config, rig.path.parent
    yield rig.path
    for kind, name in (("implants", config.implant.array), ("stimulators", config.stimulator), ("links", config.link)):
        yield find(kind, name, beside)
    for text in _texts(config.model_dump(exclude=NO_PARTS)):
        # a camera's source may be a path after its scheme
        for name in {text, text.partition(":")[2]} - {""}:
            for place in (beside / name, Path(name)):
                yield place
                if "/" in name:
                    yield place / file


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in nested mappings and sequences."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
