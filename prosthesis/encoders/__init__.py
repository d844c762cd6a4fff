"""Hop 2: camera frame to machine code. One file an encoder, chosen here and nowhere else."""

from __future__ import annotations

from prosthesis.calibration.table import Calibration
from prosthesis.hops import EncoderConfig
from prosthesis.protocols import Encoder
from prosthesis.view import View


def open_encoder(config: EncoderConfig, view: View, calibration: Calibration | None = None) -> Encoder:
    """Return the encoder that ``config`` describes, looking through ``view``.

    Encoders that shape what they show for a patient know them by ``calibration``, and fill the field without one.

    Raises ``ConfigError``, ``EngineError`` or ``MissingExtraError`` when its bundle or engine cannot be used.
    """
    from prosthesis.bundles.bundle import load_bundle
    from prosthesis.engines import open_engine

    if config.type == "layered":
        from prosthesis.encoders.layered import LayeredEncoder

        layers = [open_encoder(part, view, calibration) for part in (config.task, config.obstacle)]
        return LayeredEncoder(layers[0], layers[1], config.show_from)
    bundle = load_bundle(config.model)
    match config.type:
        case "map":
            from prosthesis.encoders.taskmap import TaskMapEncoder

            return TaskMapEncoder(bundle, open_engine(bundle, config.engine, config.provider), view)
        case "latent":
            from prosthesis.encoders.latent import LatentEncoder

            return LatentEncoder(bundle, open_engine(bundle, config.engine, config.provider), view)
        case "text":
            from prosthesis.encoders.text import open_text_encoder

            return open_text_encoder(bundle, config, view, calibration)
        case "face":
            from prosthesis.encoders.face import open_face_encoder

            return open_face_encoder(bundle, config, view, calibration)
        case "obstacle":
            from prosthesis.encoders.obstacle import ObstacleEncoder

            return ObstacleEncoder(config, bundle, open_engine(bundle, config.engine, config.provider), view)
