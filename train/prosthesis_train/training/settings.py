"""What every training method can be told, and how the command line tells it."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from prosthesis.errors import ConfigError
from prosthesis_train.training.averaging import Kind

S = TypeVar("S", bound="RunSettings")
# what may differ when a run goes on: how long, on what, how often it tells
FREE = {"steps", "devices", "nodes", "log_every", "save_every", "watch_every"}

ABOVE_0 = ("batch", "steps", "devices", "nodes", "log_every", "save_every", "watch_every", "people", "frames")


@dataclass(frozen=True)
class RunSettings:
    """What every method can be told: batches, how many steps, averages, processes, when to log, save, look closer."""

    batch: int = 64
    steps: int = 20000
    seed: int = 0
    averaging: Kind = "ema"
    decay: float = 0.999
    devices: int = 1
    nodes: int = 1
    log_every: int = 50
    save_every: int = 500
    watch_every: int = 500

    def __post_init__(self) -> None:
        """Check what must be above 0, of every method's; raises ``ConfigError``."""
        for name in ABOVE_0:
            if not getattr(self, name, 1) > 0:
                raise ConfigError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be above 0")

    @property
    def seen(self) -> str:
        """What the method learns from, in a word: it names the run's folder."""
        raise NotImplementedError


@dataclass(frozen=True)
class PictureSettings(RunSettings):
    """What methods that learn from pictures can be told besides: which, how changed, how guarded."""

    data: str = "fashion"
    side: int = 32
    channels: int = 1
    scale: float = 0.0
    rotation_deg: float = 0.0
    flip: bool = False
    balance: bool = False

    @property
    def seen(self) -> str:
        """The set's name, or the folder's."""
        return Path(self.data).name


def add_settings(parser: argparse.ArgumentParser, kind: type[RunSettings]) -> None:
    """Give ``parser`` one option for every setting of a method."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        option, hint = "--" + field.name.replace("_", "-"), hints[field.name]
        if hint is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default)
        elif get_origin(hint) is Literal:
            parser.add_argument(option, choices=get_args(hint), default=field.default, help=f"default {field.default}")
        else:
            parser.add_argument(
                option, type=hint, default=field.default, metavar=hint.__name__.upper(), help=f"default {field.default}"
            )


def settings_of(arguments: argparse.Namespace, kind: type[S]) -> S:
    """Return the settings that were given."""
    return kind(**{f.name: getattr(arguments, f.name) for f in dataclasses.fields(kind)})


def default_folder(method: str, settings: RunSettings) -> Path:
    """Return ``runs/METHOD-DATA-SEED``."""
    return Path("runs") / f"{method}-{settings.seen}-{settings.seed}"
