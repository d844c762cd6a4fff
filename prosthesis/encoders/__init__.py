"""Hop 2: camera frame to machine code. One file an encoder, chosen here and nowhere else."""

from __future__ import annotations

from prosthesis.config import MapEncoderConfig
from prosthesis.protocols import Encoder
from prosthesis.view import View


def open_encoder(config: MapEncoderConfig, view: View) -> Encoder:
    """Return the encoder that ``config`` describes, looking through ``view``.

    Raises ``ConfigError``, ``EngineError`` or ``MissingExtraError`` when its bundle or engine cannot be used.
    """
    match config.type:
        case "map":
            from prosthesis.bundle import load_bundle
            from prosthesis.encoders.taskmap import TaskMapEncoder
            from prosthesis.engines import open_engine

            bundle = load_bundle(config.model)
            return TaskMapEncoder(bundle, open_engine(bundle, config.engine, config.provider), view)
