"""Held-out drawn people remade from their first frame: distances, and flow and occlusion beside the truth.

Baselines: the source itself; the source warped, nothing painted (which is the network with everything taken for
visible); and networks of the same kind that were trained as long without warping, their painter told where the driving
keypoints are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prosthesis.animation.animator import open_animator
from prosthesis.messages import F32
from prosthesis.results import Figure
from prosthesis_train.animation import looker
from prosthesis_train.animation.clips import Shot, shot, to_float
from prosthesis_train.animation.people import landmarks
from prosthesis_train.animation.scene import Bool, grid, trace, true_motion
from prosthesis_train.animation.shipped import UNWARPED, networks
from prosthesis_train.networks.animation import Animator, resized_flow, warped
from prosthesis_train.tasks.faces import TRAITS

F64 = npt.NDArray[np.float64]
PEOPLE, FRAMES, DRAWS = 1000, 6, 2000
SIDE, LARGER = 64, 4
COLUMNS = ("L1 of pixels, 0 to 1", "keypoints, px", "identity, to the true frame's", "identity, to the truth")
WAYS = ("living picture", "source copied", "warped, nothing painted", "painted, not warped")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Clip:
    """One held-out person: true frames, what each way makes of the first, motion and truth of every later frame."""

    who: F32
    true: Tensor
    made: dict[str, Tensor]
    flow: F32
    visible: F32
    true_flow: F32
    hidden: Bool
    moving: Bool


def measure(say: Say) -> list[Figure]:
    """Return every figure; some minutes on one core."""
    net, unwarped, judge = networks(), networks(UNWARPED, "unwarped64"), looker.load("judge")
    clips = []
    for number in range(PEOPLE):
        clips.append(remade(net, unwarped, shot("faces", "test", number, FRAMES + 1, SIDE)))
        if number % 100 == 99:
            say(f"remade {number + 1} of {PEOPLE} people")
    return [*_distances(clips, judge), *_motions(clips), *_judged(judge), _parity(clips)]


@torch.no_grad()
def remade(net: Animator, unwarped: Animator, of: Shot) -> Clip:
    """Return a held-out clip as every way remakes it."""
    true = to_float(of.frames())
    source, later = true[:1].expand(len(true) - 1, -1, -1, -1), true[1:]
    made, motion = net(source, net.keypoints(source), net.keypoints(later))
    flow = resized_flow(motion.flow, SIDE, SIDE)
    painted, _ = unwarped(source, unwarped.keypoints(source), unwarped.keypoints(later))
    ways = (made, source, warped(source, flow), painted)
    truths = [true_motion(of.scenes[0], scene, SIDE) for scene in of.scenes[1:]]
    moving = [(trace(scene, grid(SIDE)).what >= 0).reshape(SIDE, SIDE) for scene in of.scenes[1:]]
    visible = torch.nn.functional.interpolate(motion.visible, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return Clip(
        looker.identity(of.who), later, dict(zip(WAYS, ways, strict=True)), flow.numpy(), visible[:, 0].numpy(),
        np.stack([t[0] for t in truths]), np.stack([t[1] for t in truths]), np.stack(moving),
    )  # fmt: skip


def spread(values: F64, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean over people, f64[people]."""
    random = np.random.default_rng(seed)
    means = values[random.integers(len(values), size=(DRAWS, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def figure(
    name: str, values: Sequence[float], unit: str, grid_title: str = "", row: str = "", column: str = ""
) -> Figure:
    """Return the mean of one number a person, with its interval; see ``Figure`` for the grid."""
    array = np.asarray(values, np.float64)
    low, high = spread(array)
    how = f"95 %, {len(array)} people drawn again"
    return Figure(name, float(array.mean()), unit, low, high, how, grid=grid_title, row=row, column=column)


def _distances(clips: Sequence[Clip], judge: looker.Looker) -> list[Figure]:
    told = [looker.told(judge, clip.true) for clip in clips]
    rows: dict[str, dict[str, list[float]]] = {}
    for way in WAYS:
        table: dict[str, list[float]] = {column: [] for column in COLUMNS}
        for clip, (who, where) in zip(clips, told, strict=True):
            made_who, made_where = looker.told(judge, clip.made[way])
            away = np.linalg.norm(made_where - where, axis=-1).mean() * SIDE / 2
            l1 = float((clip.made[way] - clip.true).abs().mean())
            row = (l1, away, apart(made_who, who), apart(made_who, clip.who))
            for column, value in zip(table, row, strict=True):
                table[column].append(float(value))
        rows[way] = table
    found = [
        figure(f"{way}: {column}", values, "", grid_title="Remade from the first frame", row=way, column=column)
        for way, table in rows.items()
        for column, values in table.items()
    ]
    ours = rows[WAYS[0]]
    for way in WAYS[1:]:
        for column, values in rows[way].items():
            saved = np.subtract(values, ours[column]).tolist()
            found.append(
                figure(
                    f"{way}: {column}, saved",
                    saved,
                    "",
                    grid_title="Distance saved by living pictures, paired",
                    row=way,
                    column=column,
                )
            )
    return found


def apart(one: F32, other: F32) -> float:
    """Return the rms difference of what the judge can tell of people: hair, beard, glasses, colours.

    The shape of a face is left out: the judge tells it no better than who always says the middle.
    """
    return float(np.sqrt(((one - other)[..., len(TRAITS) :] ** 2).mean()))


def _motions(clips: Sequence[Clip]) -> list[Figure]:
    """Return errors of flow in pixels where the person is seen in both pictures, and how well hiding is told."""
    errors: dict[str, list[float]] = {"living picture": [], "no motion": [], "DIS on the true pair (peer)": []}
    areas = []
    still = grid(SIDE).reshape(1, SIDE, SIDE, 2)
    for clip in clips:
        where = clip.moving & ~clip.hidden
        for name, flow in (
            ("living picture", clip.flow),
            ("no motion", still),
            ("DIS on the true pair (peer)", dis(clip)),
        ):
            errors[name].append(float(np.linalg.norm(flow - clip.true_flow, axis=-1)[where].mean()) * SIDE / 2)
        areas.append(area_under_curve(1 - clip.visible, clip.hidden))
    found = [
        figure(f"flow error where a person is seen in both, {name}", values, "px") for name, values in errors.items()
    ]
    return [*found, figure("occlusion map, area under the ROC curve for truly hidden pixels", areas, "")]


def dis(clip: Clip) -> F32:
    """Return classical flow from each true later frame to the first, which the networks' flow never compares.

    It sees the pictures enlarged, for its patches are made for larger ones: at 64 pixels it errs by a fifth more.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first = _enlarged(clip.made["source copied"][0])
    found = [finder.calc(_enlarged(frame), first, None) for frame in clip.true]
    small = [cv2.resize(flow, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for flow in found]
    return np.asarray(grid(SIDE).reshape(1, SIDE, SIDE, 2) + np.stack(small) * 2 / (LARGER * SIDE), np.float32)


def _enlarged(frame: Tensor) -> npt.NDArray[np.uint8]:
    gray = np.asarray((frame.mean(0) * 255).round().numpy(), np.uint8)
    return np.asarray(cv2.resize(gray, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_CUBIC))


def area_under_curve(score: F32, true: Bool) -> float:
    """Return how often a true one scores higher than a false one; ties count half.

    >>> area_under_curve(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    values, flat = np.unique(score, return_inverse=True)
    yes = np.bincount(flat.ravel()[true.ravel()], minlength=len(values)).astype(np.float64)
    no = np.bincount(flat.ravel()[~true.ravel()], minlength=len(values)).astype(np.float64)
    below = np.cumsum(no) - no
    return float((yes * (below + no / 2)).sum() / max(yes.sum() * no.sum(), 1))


def _judged(judge: looker.Looker) -> list[Figure]:
    """Return how good the judge itself is, on people of the test part, by the renderer's truth."""
    off, shape, same, true, other = [], [], [], [], []
    for number in range(PEOPLE):
        one = shot("faces", "test", number, 3, SIDE)
        who, where = looker.told(judge, to_float(one.frames()))
        truth = np.stack([landmarks(scene) for scene in one.scenes])
        off.append(float(np.linalg.norm(where - truth, axis=-1).mean()) * SIDE / 2)
        wanted = looker.identity(one.who)
        shape.append(float(np.sqrt(((who - wanted)[:, : len(TRAITS)] ** 2).mean())))
        true.append(apart(who, wanted))
        same.append(apart(who[1:], who[0]))
        stranger, _ = looker.told(judge, to_float(shot("faces", "test", number + PEOPLE, 3, SIDE).frames()))
        other.append(apart(stranger[1:], who[0]))
    return [
        figure("the judge itself: landmarks from the true ones", off, "px"),
        figure("the judge itself: shape of faces from the true one (0.58 is to say the middle)", shape, "rms, -1 to 1"),
        figure("the judge itself: identity of true frames, to the truth", true, "rms, -1 to 1"),
        figure("the judge itself: identity distance of two frames of one person", same, "rms, -1 to 1"),
        figure("the judge itself: identity distance of two people", other, "rms, -1 to 1"),
    ]


def _parity(clips: Sequence[Clip]) -> Figure:
    """Return the largest difference of a picture of the bundle in ONNX Runtime from torch's, in gray levels of 255."""
    animator = open_animator()
    of = shot("faces", "test", 0, FRAMES + 1, SIDE).frames()
    source = animator.points(of[0])
    made = np.stack([animator.make(of[0], source, animator.points(frame)).picture for frame in of[1:]])
    ours = clips[0].made[WAYS[0]].permute(0, 2, 3, 1).numpy() * 255
    return Figure(
        "bundle in ONNX Runtime from torch, largest difference", float(np.abs(made - ours).max()), "gray levels"
    )
