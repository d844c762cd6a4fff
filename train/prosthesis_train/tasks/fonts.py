"""Characters in ordinary fonts, split by family: no family is in both parts.

Test fonts come with matplotlib's wheel, so everyone tests on the same. Train fonts are DejaVu from there and, where
Debian's packages are installed, Liberation, Open Sans, Roboto and Lato: only who trains observers needs those.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from prosthesis.errors import MissingExtraError
from prosthesis_train.tasks.task import Part, Random

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

U8 = npt.NDArray[np.uint8]
WHEEL_TRAIN = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono-Bold")
# STIX is of Times' kind, Computer Modern's sans and bold roman of none that is trained on
WHEEL_TEST = ("STIXGeneral", "STIXGeneralBol", "cmss10", "cmb10")
DEBIAN = Path("/usr/share/fonts/truetype")
DEBIAN_TRAIN = (
    "liberation/LiberationSans-Regular",
    "liberation/LiberationSans-Bold",
    "liberation/LiberationMono-Bold",
    "liberation/LiberationSerif-Bold",
    "liberation/LiberationSansNarrow-Bold",
    "open-sans/OpenSans-Regular",
    "open-sans/OpenSans-Bold",
    "lato/Lato-Regular",
    "lato/Lato-Black",
    "roboto/unhinted/RobotoTTF/Roboto-Medium",
    "roboto/unhinted/RobotoTTF/Roboto-Bold",
)
BIG_PX = 160


def paths(part: Part) -> tuple[Path, ...]:
    """Return the font files of one part that are on this machine; ``MissingExtraError`` without matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise MissingExtraError("letters need matplotlib's fonts; pip install 'prosthesis[sim]'")
    wheel = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    if part == "test":
        return tuple(wheel / f"{name}.ttf" for name in WHEEL_TEST)
    debian = tuple(DEBIAN / f"{name}.ttf" for name in DEBIAN_TRAIN)
    return tuple(wheel / f"{name}.ttf" for name in WHEEL_TRAIN) + tuple(path for path in debian if path.is_file())


@functools.lru_cache(maxsize=64)
def _font(path: Path) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(path), BIG_PX)


@functools.lru_cache(maxsize=2048)
def glyph(sign: str, path: Path) -> U8:
    """Return one sign white on black, cut to its ink, about 110 pixels high."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = (int(v) for v in _font(path).getbbox(sign))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), sign, fill=255, font=_font(path))
    drawn: U8 = np.asarray(image).copy()
    return drawn


def any_glyph(part: Part, sign: str, random: Random) -> U8:
    """Return the sign in a font of ``part`` drawn by chance."""
    choice = paths(part)
    return glyph(sign, choice[int(random.integers(len(choice)))])
