"""A fitted code map as a rig uses it: a folder with the map, and the card that says whose codes and rates it joins.

The card pins the map's bytes and names the encoder whose codes it takes: the same map with another encoder would evoke
nonsense that no range check can see.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field, model_validator

from prosthesis.config import config_root
from prosthesis.errors import ConfigError
from prosthesis.yamlfile import Strict, load_model

F64 = npt.NDArray[np.float64]
CARD, MAP = "card.yaml", "map.npz"
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CodeMapLike(Protocol):
    """What a fitted map does (``codemap.py``): codes f[b, d] to expected rates f[b, n] in Hz, and back."""

    @property
    def d(self) -> int:
        """How many numbers a machine code has."""
        ...

    @property
    def n(self) -> int:
        """How many sites."""
        ...

    def to_brain(self, z: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the rates in Hz."""
        ...

    def to_machine(self, rates: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the codes."""
        ...


class MapCard(Strict):
    """What a map joins: the codes of encoder ``model`` (by its graph's hash) and the rates at ``sites`` [m].

    ``sites`` are electrodes' indices, rising: those in use when the map was made. ``spontaneous_hz`` and ``most_hz``
    [m] are each site's rate at rest and the most it does; ``brain`` says whose sites they were, in whom the map was
    fitted.
    """

    schema_version: Literal[0] = 0
    name: str
    kind: str
    model: str
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    map_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    brain: str
    pictures: str
    samples: int
    built_by: str
    licence: str = "Apache-2.0"
    sites: tuple[Annotated[int, Field(ge=0)], ...]
    spontaneous_hz: tuple[Rate, ...]
    most_hz: tuple[Rate, ...]

    @model_validator(mode="after")
    def _rising(self) -> MapCard:
        for name in ("spontaneous_hz", "most_hz"):
            if len(getattr(self, name)) != len(self.sites):
                raise ValueError(f"'{name}' has {len(getattr(self, name))} rows, 'sites' has {len(self.sites)}")
        if any(b <= a for a, b in zip(self.sites, self.sites[1:], strict=False)):
            raise ValueError("'sites' must rise")
        if any(most <= rest for rest, most in zip(self.spontaneous_hz, self.most_hz, strict=True)):
            raise ValueError("'most_hz' must be above 'spontaneous_hz' at every site")
        return self


@dataclass(frozen=True, slots=True)
class BrainMap:
    """A verified map: its folder, its card, and the map itself."""

    folder: Path
    card: MapCard
    code_map: CodeMapLike


def map_folder(name_or_path: str, beside: Path | None = None) -> Path:
    """Return the folder that ``name_or_path`` means: a shipped map, or a path (also ``beside`` the rig)."""
    if "/" in name_or_path:
        for folder in ([beside / name_or_path] if beside else []) + [Path(name_or_path)]:
            if folder.is_dir():
                return folder
        raise ConfigError(f"key 'translator.map': no folder '{name_or_path}'; check the path")
    folder = config_root() / "maps" / name_or_path
    if not folder.is_dir():
        there = ", ".join(sorted(path.parent.name for path in folder.parent.glob(f"*/{CARD}"))) or "none"
        raise ConfigError(
            f"key 'translator.map': no map named '{name_or_path}'; there are: {there}; "
            "make it with 'python -m prosthesis_train.make_map RIG', or give a folder of your own as a path"
        )
    return folder


def load_brain_map(folder: Path) -> BrainMap:
    """Read and verify a map; ``ConfigError`` names file and remedy when it is damaged or does not fit its card."""
    from prosthesis.codemap import load_codemap

    card = load_model(MapCard, folder / CARD)
    found = _sha256(folder / MAP)
    if found != card.map_sha256:
        raise ConfigError(f"{folder / MAP}: sha256 is not the card's: changed or damaged; copy or make the map again")
    code_map = load_codemap(folder / MAP)
    if code_map.n != len(card.sites):
        raise ConfigError(f"{folder / CARD}: {len(card.sites)} sites, but the map has {code_map.n}; make it again")
    return BrainMap(folder, card, code_map)


def save_card(card: MapCard, folder: Path) -> None:
    """Write ``card`` beside its map."""
    data = card.model_dump(mode="json")
    rows = {key: [round(value, 4) for value in data.pop(key)] for key in ("sites", "spontaneous_hz", "most_hz")}
    text = yaml.safe_dump(data, sort_keys=False, width=120)
    lines = "".join(f"{key}: {values}\n" for key, values in rows.items())
    (folder / CARD).write_text(text + lines, encoding="utf-8")


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); copy or make the map again") from error
