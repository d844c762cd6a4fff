"""Rendered walks and approaches with the truth about them: photographs on planes, seen by a camera that shakes.

Metres and seconds; x to the right, y down, z ahead of the camera at the start; it walks along z and looks along it but
for its shake. A card stands upright, faces the camera's start and moves at a steady speed. Pictures are 320 x 180 over
60 x 36 degrees, square pixels, with noise of a sensor in dim light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

WIDTH, HEIGHT, FPS = 320, 180, 20.0  # the slowest pace that tasks must keep
FOCAL_PX = WIDTH / 2 / math.tan(math.radians(30.0))
FIELD_DEG = (60.0, math.degrees(2 * math.atan(HEIGHT / 2 / FOCAL_PX)))
EYE_M = 1.5
FAR_M = 40.0
NOISE = 2.5  # gray levels, standard deviation
PHOTOS = ("astronaut", "coffee", "chelsea", "camera", "brick", "grass", "gravel", "rocket")


@dataclass(frozen=True, slots=True)
class Card:
    """An upright photograph: half width and half height, place at t = 0 and velocity; round or square."""

    half_m: tuple[float, float]
    at_m: tuple[float, float, float]
    velocity_m_s: tuple[float, float, float]
    photo: int
    is_round: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """What is there and how the camera moves: walking speed, shake (rotation in rad at times), corridor or open.

    ``turn`` f64[frames, 3] is the camera's rotation about x (down looks positive), y (right) and z.
    ``walls_m`` is the distance of the walls left and right, ``None`` for an open backdrop without ground.
    """

    frames: int
    walk_m_s: float
    turn: F64
    photos: tuple[int, int, int]
    walls_m: float | None
    cards: tuple[Card, ...]
    zoom_per_s: float = 0.0
    seed: int = 0


def time_to_contact_s(scene: Scene, card: Card, frame: int) -> float:
    """Return the true time until the card reaches the camera's plane, infinity when it never does."""
    closing = scene.walk_m_s - card.velocity_m_s[2]
    return (card.at_m[2] - closing * frame / FPS) / closing if closing > 0 else math.inf


def side_deg(scene: Scene, card: Card, frame: int) -> float:
    """Return the true direction of the card's middle in the picture, degrees to the right of its centre."""
    t = frame / FPS
    ahead = card.at_m[2] + (card.velocity_m_s[2] - scene.walk_m_s) * t
    x = card.at_m[0] + card.velocity_m_s[0] * t
    return math.degrees(math.atan2(x, ahead) - scene.turn[frame, 1])


def render(scene: Scene, frame: int, eye_m: float = 0.0) -> U8:
    """Return one picture u8[180, 320, 3], seen ``eye_m`` to the right (in open scenes only)."""
    t = frame / FPS
    rays = _rays(scene.turn[frame], math.exp(scene.zoom_per_s * t))
    walked = scene.walk_m_s * t
    picture, depth = _stage(scene, rays, walked)
    for card in sorted(scene.cards, key=lambda c: -c.at_m[2]):
        _place(card, scene, rays, t, picture, depth, eye_m)
    noise = NOISE * np.random.default_rng((scene.seed, frame, round(1000 * abs(eye_m)))).standard_normal(
        picture.shape, np.float32
    )
    gray = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def shake(random: np.random.Generator, frames: int, degrees: float) -> F64:
    """Return a walker's head rotation f64[frames, 3]: sums of slow sines (0.3 to 2 Hz), ``degrees`` rms, less roll."""
    t = np.arange(frames)[:, None] / FPS
    rates = random.uniform(0.3, 2.0, (1, 12))
    waves = np.sin(2 * np.pi * rates * t + random.uniform(0, 2 * np.pi, (1, 12))) / rates
    turn = waves.reshape(frames, 3, 4).sum(axis=2)
    turn /= turn.std(axis=0) + 1e-9
    return np.asarray(np.radians(degrees) * turn * (1.0, 1.0, 0.3))


def _rays(turn: F64, zoom: float) -> F32:
    """Return each pixel's direction f32[h, w, 3] in the walker's frame."""
    x = (np.arange(WIDTH) - (WIDTH - 1) / 2) / (FOCAL_PX * zoom)
    y = (np.arange(HEIGHT) - (HEIGHT - 1) / 2) / (FOCAL_PX * zoom)
    grid = np.stack([*np.meshgrid(x, y), np.ones((HEIGHT, WIDTH))], axis=-1)
    rotation, _ = cv2.Rodrigues(np.array([-turn[0], turn[1], turn[2]]))
    return np.asarray(grid @ rotation.T, np.float32)


def _stage(scene: Scene, rays: F32, walked: float) -> tuple[F32, F32]:
    """Return the picture without cards and its depth: ground and walls, where they are, before a far photograph."""
    x, y, z = rays[..., 0], rays[..., 1], rays[..., 2]
    picture, depth = np.zeros(x.shape, np.float32), np.full(x.shape, np.inf, np.float32)
    planes: list[tuple[F32, F32, int]] = []
    if scene.walls_m is not None:
        aside = np.float32(scene.walls_m) / np.maximum(np.abs(x), np.float32(1e-6))
        aside[(y * aside < EYE_M - 3.0) | (y * aside > EYE_M)] = np.inf  # 3 m high, from the ground
        planes = [
            (np.float32(EYE_M) / np.maximum(y, np.float32(1e-6)), x, scene.photos[1]),
            (aside, y, scene.photos[2]),
        ]
    for reach, other, photo in planes:
        hit = (reach < depth) & (reach * z < FAR_M)
        near = reach[hit]
        texels = 128.0  # a metre
        along, across = (near * z[hit] + walked) * texels, near * other[hit] * texels
        picture[hit] = _look_up(_photo(photo), along, across, texels * near / FOCAL_PX)
        depth[hit] = near
    open_sky = ~np.isfinite(depth)
    bearing = np.arctan2(x[open_sky], z[open_sky])
    elevation = np.arctan2(y[open_sky], np.hypot(x[open_sky], z[open_sky]))
    scale = 512 / math.radians(60.0)
    step = np.full(bearing.shape, scale / FOCAL_PX, np.float32)
    picture[open_sky] = _look_up(_photo(scene.photos[0]), bearing * scale, elevation * scale, step)
    return picture, depth


def _place(card: Card, scene: Scene, rays: F32, t: float, picture: F32, depth: F32, eye_m: float) -> None:
    z = card.at_m[2] + (card.velocity_m_s[2] - scene.walk_m_s) * t
    if z < 0.15:
        return
    x, y = (card.at_m[k] + card.velocity_m_s[k] * t for k in (0, 1))
    x -= eye_m
    reach = z / np.maximum(rays[..., 2], 1e-3)
    u = (rays[..., 0] * reach - x) / card.half_m[0]
    v = (rays[..., 1] * reach - y) / card.half_m[1]
    edge_px = FOCAL_PX * min(card.half_m) / z
    inside = np.hypot(u, v) if card.is_round else np.maximum(np.abs(u), np.abs(v))
    cover = np.clip((1 - inside) * edge_px + 0.5, 0, 1) * (reach < depth)
    seen = cover > 0
    if not seen.any():
        return
    per_m = 256.0 / max(card.half_m)  # the photograph's 512 pixels across the card
    step = np.full(int(seen.sum()), per_m * z / FOCAL_PX)
    across, down = (u * card.half_m[0] * per_m)[seen], (v * card.half_m[1] * per_m)[seen]
    picture[seen] += cover[seen] * (_look_up(_photo(card.photo), across, down, step) - picture[seen])
    depth[cover > 0.5] = z


def _look_up(levels: tuple[F32, ...], x: F64 | F32, y: F64 | F32, step: F64 | F32) -> F32:
    """Return a photograph's values at texels (x, y) from its middle, averaged over ``step`` texels (a pyramid)."""
    level = np.clip(np.log2(np.maximum(step, 1e-6)), 0, len(levels) - 1.001).ravel()
    low = level.astype(int)
    out = np.zeros(x.size, np.float32)
    for k in np.unique(np.concatenate([low, low + 1])):
        at = np.flatnonzero((low == k) | (low == k - 1))
        image, weight = levels[k], 1 - np.abs(level[at] - k)
        u, v = (
            (grid.ravel()[at] / 2**k + size / 2 - 0.5).astype(np.float32)[:, None]
            for grid, size in ((x, image.shape[1]), (y, image.shape[0]))
        )
        out[at] += weight * _remap(image, u, v)
    return out.reshape(x.shape)


def _remap(image: F32, u: F32, v: F32) -> F32:
    """Return values at many places f32[n]; in parts, for OpenCV counts rows in 16 bits."""
    most = 32_000
    parts = [
        cv2.remap(image, u[k : k + most], v[k : k + most], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)[:, 0]
        for k in range(0, len(u), most)
    ]
    return np.concatenate(parts)


@lru_cache(maxsize=len(PHOTOS))
def _photo(index: int) -> tuple[F32, ...]:
    """Return a photograph of scikit-image as gray, 512 x 512, with its halvings down to 8 x 8."""
    from skimage import data

    image = getattr(data, PHOTOS[index])()
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    levels = [cv2.resize(gray, (512, 512), interpolation=cv2.INTER_AREA).astype(np.float32)]
    while levels[-1].shape[0] > 8:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return tuple(levels)
