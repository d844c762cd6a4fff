"""Capital letters and digits as strokes in a unit box, drawn by us so that no font file is needed at run time.

Plain upright forms without serifs, as on road signs: what a reader of ordinary print knows. Only the strokes' width and
the box's place and size are ever changed.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
DRAWN = LETTERS + DIGITS

# lines as "x,y x,y ..." and arcs as "@ x,y rx,ry from..to" (degrees, 0 right, 90 up); x to the right and y up, 0 to 1
_FORMS = {
    "A": "0,0 .5,1 1,0 | .18,.36 .82,.36",
    "B": "0,0 0,1 .55,1 | 0,.53 .55,.53 | 0,0 .6,0 | @ .55,.765 .36,.235 90..-90 | @ .6,.265 .4,.265 90..-90",
    "C": "@ .52,.5 .52,.5 45..315",
    "D": "0,0 0,1 .45,1 | 0,0 .45,0 | @ .45,.5 .55,.5 90..-90",
    "E": "1,1 0,1 0,0 1,0 | 0,.52 .8,.52",
    "F": "1,1 0,1 0,0 | 0,.5 .8,.5",
    "G": "@ .52,.5 .52,.5 45..318 | .58,.45 1,.45 1,.1",
    "H": "0,0 0,1 | 1,0 1,1 | 0,.52 1,.52",
    "I": ".5,0 .5,1",
    "J": ".85,1 .85,.32 | @ .45,.32 .4,.32 0..-170",
    "K": "0,0 0,1 | 1,1 0,.42 | .3,.6 1,0",
    "L": "0,1 0,0 1,0",
    "M": "0,0 0,1 .5,.35 1,1 1,0",
    "N": "0,0 0,1 1,0 1,1",
    "O": "@ .5,.5 .5,.5 0..360",
    "P": "0,0 0,1 .55,1 | 0,.45 .55,.45 | @ .55,.725 .45,.275 90..-90",
    "Q": "@ .5,.5 .5,.5 0..360 | .55,.35 1,-.05",
    "R": "0,0 0,1 .55,1 | 0,.48 .55,.48 | @ .55,.74 .42,.26 90..-90 | .45,.48 1,0",
    "S": "@ .5,.745 .45,.255 40..270 | @ .5,.255 .48,.255 90..-140",
    "T": "0,1 1,1 | .5,1 .5,0",
    "U": "0,1 0,.38 | 1,1 1,.38 | @ .5,.38 .5,.38 180..360",
    "V": "0,1 .5,0 1,1",
    "W": "0,1 .25,0 .5,.7 .75,0 1,1",
    "X": "0,0 1,1 | 0,1 1,0",
    "Y": "0,1 .5,.47 1,1 | .5,.47 .5,0",
    "Z": "0,1 1,1 0,0 1,0",
    "0": "@ .5,.5 .42,.5 0..360",
    "1": ".2,.8 .55,1 .55,0",
    "2": "@ .5,.7 .45,.3 170..-25 | .91,.58 0,0 1,0",
    "3": "@ .47,.75 .42,.25 150..-90 | @ .47,.25 .47,.25 90..-150",
    "4": ".75,0 .75,1 0,.3 1,.3",
    "5": ".92,1 .15,1 .1,.55 | @ .47,.33 .48,.33 130..-150",
    "6": ".8,.97 .35,.75 .05,.4 | @ .5,.31 .47,.31 0..360",
    "7": "0,1 1,1 .35,0",
    "8": "@ .5,.76 .4,.24 0..360 | @ .5,.26 .48,.26 0..360",
    "9": ".2,.03 .65,.25 .95,.6 | @ .5,.69 .47,.31 0..360",
}


@cache
def strokes(character: str) -> tuple[F64, ...]:
    """Return the polylines f64[k, 2] of a character of ``DRAWN``, (x, y) from 0 to 1 with y up; none for any other."""
    form = _FORMS.get(character)
    return tuple(_polyline(part.split()) for part in form.split("|")) if form else ()


def _polyline(words: list[str]) -> F64:
    if words[0] != "@":
        return np.array([[float(number) for number in word.split(",")] for word in words])
    centre, radius = (np.array([float(number) for number in word.split(",")]) for word in words[1:3])
    start_deg, end_deg = (float(number) for number in words[3].split(".."))
    turn = np.deg2rad(np.linspace(start_deg, end_deg, 2 + round(abs(end_deg - start_deg) / 15)))
    return np.asarray(centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1))
