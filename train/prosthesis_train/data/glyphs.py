"""Rendered words and single glyphs over photographs; no word, font family or photograph is in both parts.

Fonts are those inside matplotlib's wheel, so everyone renders the same: DejaVu and Computer Modern to train, STIX and
Computer Modern Sans to test.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from prosthesis.errors import MissingExtraError
from prosthesis_train.data.images import I64, U8, ImageSet, imported
from prosthesis_train.data.photographs import WHEELS, patches

TRAIN_FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono", "cmr10", "cmtt10")
TEST_FONTS = ("STIXGeneral", "STIXGeneralBol", "cmss10")
SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# what signs, doors, buttons and packets say, in words short enough to be read at 32 pixels
_READ = (
    "IN ON UP NO GO TO OF AT BY IT WE ME MY HE AM PM OUT OFF YES EXIT STOP PUSH PULL OPEN SHUT BUS TAXI TRAM STAIR "
    "LIFT MEN WC BAR CAFE SHOP BANK POST FIRE HOT COLD MILK TEA SALT EGG RICE SOAP PAY SALE FREE FULL LEFT RIGHT "
    "NORTH EAST WEST SOUTH ONE TWO THREE FOUR FIVE SIX SEVEN NINE TEN DAY WEEK MON TUE WED THU FRI SAT SUN JAN FEB "
    "MAR APR MAY JUN JUL AUG SEP OCT NOV DEC GATE DOOR ROOM HALL ROAD PARK ZONE SLOW WALK WAIT HELP CALL TEXT MAIL "
    "KEY CARD CASH BILL RED BLUE GREEN BLACK WHITE LIVE LOVE HOME WORK CITY TOWN LAKE HILL SEA SKY SUNNY RAIN SNOW "
    "WIND DOG CAT BIRD FISH COW HORSE BREAD APPLE PEAR PLUM LEMON WATER WINE BEER JUICE SUGAR"
)
WORDS = _READ.split()


def glyphs(side: int, channels: int, train: int = 20_000, test: int = 5_000, seed: int = 0) -> ImageSet:
    """Return pictures, half of one glyph (labelled by it), half of a word (labelled 'word')."""
    held = {word for word in WORDS if hashlib.sha256(word.encode()).digest()[0] % 5 == 0}
    kept = [word for word in WORDS if word not in held]
    one, one_labels = _part(kept, TRAIN_FONTS, False, train, side, channels, seed)
    two, two_labels = _part(sorted(held), TEST_FONTS, True, test, side, channels, seed)
    return ImageSet(
        name="glyphs",
        train=one,
        test=two,
        train_labels=one_labels,
        test_labels=two_labels,
        classes=(*SIGNS, "word"),
        licence="fonts free (Bitstream Vera, STIX, Computer Modern); photographs CC0, public domain, CC BY 2.0",
        source=f"{len(WORDS)} words and {len(SIGNS)} glyphs, {len(TRAIN_FONTS) + len(TEST_FONTS)} fonts",
    )


def _part(
    words: Sequence[str], fonts: Sequence[str], held_out: bool, n: int, side: int, channels: int, seed: int
) -> tuple[U8, I64]:
    random = np.random.default_rng([seed, int(held_out)])
    behind = patches([p for p in WHEELS if p.held_out is held_out], n, side, channels, seed)
    out, labels = np.empty_like(behind), np.empty(n, np.int64)
    for k in range(n):
        sign = int(random.integers(len(SIGNS)))
        single = bool(random.random() < 0.5)
        text = SIGNS[sign] if single else words[int(random.integers(len(words)))]
        mask = render(text, fonts[int(random.integers(len(fonts)))], side, random)
        out[k], labels[k] = _over(behind[k], mask, random), sign if single else len(SIGNS)
    return out, labels


def render(text: str, font: str, side: int, random: np.random.Generator) -> U8:
    """Return coverage u8[side,side]: the text fills 60 to 95 % of one dimension, turned by up to 10 degrees."""
    image = imported("PIL.Image", "train", "rendered words")
    draw = imported("PIL.ImageDraw", "train", "rendered words")
    big = 4 * side  # drawn large and averaged down, so that thin strokes keep their weight
    face = _face(font, big)
    left, top, right, bottom = face.getbbox(text)
    canvas = image.new("L", (right - left + 8, bottom - top + 8))
    draw.Draw(canvas).text((4 - left, 4 - top), text, fill=255, font=face)
    drawn = np.asarray(canvas, np.uint8)
    scale = float(random.uniform(0.6, 0.95)) * big / max(drawn.shape)
    spare = np.maximum((big - np.array(drawn.shape[::-1]) * scale) / 2, 0) * 0.8
    turn = cv2.getRotationMatrix2D((drawn.shape[1] / 2, drawn.shape[0] / 2), float(random.uniform(-10, 10)), scale)
    turn[:, 2] += big / 2 - np.array(drawn.shape[::-1]) / 2 + random.uniform(-1, 1, 2) * spare
    placed = cv2.warpAffine(drawn, turn, (big, big), flags=cv2.INTER_AREA)
    return np.asarray(cv2.resize(placed, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


_FACES: dict[tuple[str, int], Any] = {}


def _face(font: str, size: int) -> Any:
    if (font, size) not in _FACES:
        kept = imported("PIL.ImageFont", "train", "rendered words")
        _FACES[font, size] = kept.truetype(str(_fonts() / f"{font}.ttf"), size, layout_engine=kept.Layout.BASIC)
    return _FACES[font, size]


def _fonts() -> Path:
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise MissingExtraError("rendered words need matplotlib's fonts; pip install 'prosthesis[train]'")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def _over(behind: U8, mask: U8, random: np.random.Generator) -> U8:
    """Return light ink on a darkened photograph, or dark ink on a lightened one."""
    light = bool(random.random() < 0.5)
    dimmed = behind * 0.45 + (0 if light else 140)
    ink = random.uniform(180, 255) if light else random.uniform(0, 70)
    share = mask[..., None] / 255
    return np.asarray(np.rint(dimmed * (1 - share) + ink * share), np.uint8)
