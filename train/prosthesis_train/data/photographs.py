"""Patches of photographs, split by photograph: a patch for testing never shares a photograph with training.

What ships inside the wheels of scikit-image and scikit-learn is CC0, public domain or CC BY 2.0; Debian's wallpapers
have licences of their own, so they only join in when asked for.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from prosthesis.errors import MissingExtraError, ProsthesisError
from prosthesis_train.data.images import U8, ImageSet, to_channels

SMALLEST_PX = 48  # smaller patches of these photographs show little but blur and grain


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture file: where it lies (package or folder, and path in it) and whether it is held out for testing."""

    home: str
    path: str
    held_out: bool


# the motorcycle's right view shows the same place as its left, so it has no part of its own
WHEELS = (
    Photograph("skimage", "data/astronaut.png", False),
    Photograph("skimage", "data/camera.png", False),
    Photograph("skimage", "data/chelsea.png", False),
    Photograph("skimage", "data/brick.png", False),
    Photograph("skimage", "data/grass.png", False),
    Photograph("skimage", "data/rocket.jpg", False),
    Photograph("skimage", "data/motorcycle_left.png", False),
    Photograph("sklearn", "datasets/images/china.jpg", False),
    Photograph("skimage", "data/coffee.png", True),
    Photograph("skimage", "data/gravel.png", True),
    Photograph("sklearn", "datasets/images/flower.jpg", True),
)
PORTRAIT = WHEELS[0]  # Eileen Collins, NASA, public domain
PLASMA, LOMIRI = "/usr/share/wallpapers", "/usr/share/backgrounds"
# those of Debian's wallpapers that are photographs, not drawings
WALLPAPERS = (
    Photograph(LOMIRI, "Kleiber_by_Lukas_Baubkus.jpg", False),
    Photograph(PLASMA, "BytheWater/contents/images/2560x1600.jpg", False),
    Photograph(PLASMA, "EveningGlow/contents/images/2560x1600.jpg", False),
    Photograph(PLASMA, "FallenLeaf/contents/images/2560x1600.jpg", False),
    Photograph(PLASMA, "Grey/contents/images/2560x1600.jpg", False),
    Photograph(PLASMA, "OneStandsOut/contents/images/2560x1600.jpg", False),
    Photograph(PLASMA, "ColdRipple/contents/images/2560x1600.jpg", True),
    Photograph(PLASMA, "Path/contents/images/2560x1600.jpg", True),
)
WALLPAPER_REMEDY = "apt-get install plasma-workspace-wallpapers lomiri-wallpapers-20.04"


def photographs(
    side: int, channels: int, train: int = 20_000, test: int = 5_000, wallpapers: bool = False, seed: int = 0
) -> ImageSet:
    """Return ``train`` and ``test`` patches, the same for the same arguments in every process."""
    known = WHEELS + (WALLPAPERS if wallpapers else ())
    parts = {
        held: patches([p for p in known if p.held_out is held], n, side, channels, seed)
        for held, n in ((False, train), (True, test))
    }
    return ImageSet(
        name="wallpapers" if wallpapers else "photographs",
        train=parts[False],
        test=parts[True],
        train_labels=None,
        test_labels=None,
        classes=(),
        licence="CC0, public domain, CC BY 2.0" + ("; GPL-2+, CC BY-SA (wallpapers)" if wallpapers else ""),
        source=f"{len(known)} photographs: scikit-image, scikit-learn" + (", Debian wallpapers" if wallpapers else ""),
    )


def patches(known: Sequence[Photograph], n: int, side: int, channels: int, seed: int) -> U8:
    """Return ``n`` square patches u8[n,side,side,channels], as many of each photograph, in random order."""
    out = []
    for k, photograph in enumerate(known):
        share = n * (k + 1) // len(known) - n * k // len(known)
        # by name, so that another photograph in the list changes nothing here
        name = hashlib.sha256(f"{photograph.home}/{photograph.path}".encode()).digest()
        random = np.random.default_rng([seed, int.from_bytes(name[:4], "little")])
        picture = read_picture(where(photograph))
        out += [_patch(picture, side, random) for _ in range(share)]
    order = np.random.default_rng([seed, n]).permutation(len(out))
    return to_channels(np.stack(out)[order], channels)


def where(photograph: Photograph) -> Path:
    """Return a photograph's path.

    Raises ``MissingExtraError`` when its package is not installed and ``ProsthesisError`` when a wallpaper is not.
    """
    if photograph.home.startswith("/"):
        path = Path(photograph.home) / photograph.path
        if not path.is_file():
            raise ProsthesisError(f"{path}: wallpaper is not installed; {WALLPAPER_REMEDY}")
        return path
    found = importlib.util.find_spec(photograph.home)
    if found is None or found.origin is None:
        raise MissingExtraError(f"photographs need {photograph.home}; pip install 'prosthesis[train]'")
    return Path(found.origin).parent / photograph.path


def read_picture(path: Path) -> U8:
    """Return a picture file as RGB u8[h,w,3]; raise ``ProsthesisError`` when it is none."""
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise ProsthesisError(f"{path}: not a readable picture")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def _patch(picture: U8, side: int, random: np.random.Generator) -> U8:
    """Return a square of log-uniform size anywhere in the picture, mirrored half the time."""
    largest = min(picture.shape[:2])
    smallest = min(max(SMALLEST_PX, side), largest)
    size = round(float(np.exp(random.uniform(np.log(smallest), np.log(largest)))))
    top, left = (int(random.integers(0, edge - size + 1)) for edge in picture.shape[:2])
    square = picture[top : top + size, left : left + size]
    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small[:, ::-1] if random.random() < 0.5 else small, np.uint8)
