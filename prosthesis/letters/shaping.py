"""The box, stroke and brightness of one patient's letters, from the calibration alone.

What is below was compared with a frozen observer of letters at 96 electrodes (docs/text.md): other sizes, strokes and
levels, letters snapped to whole electrodes, and searches by predicted pictures were all read alike or worse.
"""

from __future__ import annotations

import numpy as np

from prosthesis.calibration.table import Calibration
from prosthesis.errors import ConfigError
from prosthesis.letters.drawing import Shape
from prosthesis.view import Field

STROKE, ASPECT = 0.16, 0.75  # of the height: common on road signs
TRIM = 5.0  # per cent of the phosphenes left outside on each side: stragglers would make letters too large


def shape_letters(calibration: Calibration) -> Shape:
    """Return letters as high as the enabled phosphenes reach, but not more than twice as high as these are wide.

    Raises ``ConfigError`` when no electrode is enabled.
    """
    enabled = calibration.column("enabled").astype(bool)
    if not enabled.any():
        raise ConfigError(
            "key 'calibration': no electrode is enabled, so there is nothing to read with; calibrate again"
        )
    x, y = calibration.column("x_deg")[enabled], calibration.column("y_deg")[enabled]
    (left, right), (low, high) = (np.percentile(values, [TRIM, 100 - TRIM]) for values in (x, y))
    height = min(float(high - low), 2 * float(right - left)) or 2 * float(calibration.column("rf_sigma_deg").max())
    return _shape(float(left + right) / 2, float(low + high) / 2, height)


def plain_shape(field: Field) -> Shape:
    """Return letters that fill the middle half of a field of which nothing else is known."""
    x_deg, y_deg = (field.x0_deg + field.x1_deg) / 2, (field.y0_deg + field.y1_deg) / 2
    return _shape(x_deg, y_deg, (field.y1_deg - field.y0_deg) / 2)


def _shape(x_deg: float, y_deg: float, height_deg: float) -> Shape:
    return Shape(x_deg, y_deg, ASPECT * height_deg, height_deg, STROKE * height_deg)
