"""``prosthesis train METHOD``: a method's settings as options, its run's folder, its report."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

from prosthesis.errors import ConfigError
from prosthesis_train.training.settings import add_settings, default_folder, settings_of

METHODS = ("dcgan", "bigbigan", "encoder", "animation")


def train(method: str, words: Sequence[str]) -> Path:
    """Train as ``words`` say; returns the run's report."""
    from prosthesis_train.training.report import write_report

    if method not in METHODS:
        raise ConfigError(f"no training method is called '{method}'; choose one of {', '.join(METHODS)}")
    module = importlib.import_module(f"prosthesis_train.methods.{method}")
    parser = argparse.ArgumentParser(f"prosthesis train {method}", description=(module.__doc__ or "").split("\n")[0])
    parser.add_argument("--run", type=Path, metavar="DIR", help="the run's folder (default runs/METHOD-DATA-SEED)")
    parser.add_argument("--json", action="store_true", help="print metrics as JSON lines")
    add_settings(parser, module.Settings)
    arguments = parser.parse_args(words)
    settings = settings_of(arguments, module.Settings)
    folder = arguments.run or default_folder(method, settings)
    module.train(settings, folder, as_json=arguments.json)
    return write_report(folder)
