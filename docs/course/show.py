"""The course's one helper: pictures side by side, with titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})


def row(pictures: Sequence[Any], titles: Sequence[str], inches: float = 2.6) -> None:
    """Draw pictures u8 or f[h,w] in 0..1, or u8[h,w,3], in a row."""
    wide = [np.shape(p)[1] / np.shape(p)[0] for p in pictures]
    figure, axes = plt.subplots(1, len(pictures), figsize=(inches * sum(wide), inches + 0.35), width_ratios=wide)
    for ax, picture, title in zip(np.atleast_1d(axes), pictures, titles, strict=True):
        most = 255 if np.asarray(picture).dtype == np.uint8 else 1
        ax.imshow(picture, cmap="gray", vmin=0, vmax=most, interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.axis("off")
    figure.tight_layout(pad=0.4)
    plt.show()
