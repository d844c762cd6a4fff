"""Newest pictures of a model as a few bytes each, and the binary message that carries them to a browser."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from prosthesis.messages import U8, Delivered, Frame, MachineCode, Percept
from prosthesis_sim.console.model import Model

MOST_PX = 640  # wider camera pictures are made smaller: no panel shows more
CAMERA_QUALITY, PERCEPT_QUALITY = 78, 90
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Part:
    """One picture or row of numbers: ``about`` for JSON, ``data`` as bytes."""

    about: dict[str, Any]
    data: bytes


def parts(model: Model, side: str, now_ns: int) -> list[Part]:
    """Return what is new since last asked: camera, task map, percept, electrodes; ``side`` tells devices apart."""
    found: list[Part] = []
    for topic in ("frame", "machine_code", "percept"):
        if model.fresh(topic):
            message = model.picture(topic)
            if message is not None:
                about, data = _picture(message)
                if topic == "frame":
                    about["found"] = found_in(model, message.t_ns)
                found.append(Part({"side": side, "name": topic, "seq": message.seq, **about}, data))
    if model.fresh("delivered"):
        delivered = model.picture("delivered")
        if isinstance(delivered, Delivered):
            found.append(_electrodes(model, side, delivered, now_ns))
    return found


def found_in(model: Model, t_ns: int) -> list[dict[str, Any]]:
    """Return what encoders found in the picture of ``t_ns`` or shortly before it, ready for JSON.

    Boxes are x, y, width, height in fractions of the picture; numbers that are not known are ``None``.
    """
    return [
        {
            "kind": item.kind,
            "label": item.label,
            "side": item.side,
            "box": [round(edge, 4) for edge in (item.x, item.y, item.width, item.height)],
            "confidence": _rounded(item.confidence),
            "time_s": _rounded(item.time_s),
            "age_s": round(age_ns * 1e-9, 2),
        }
        for item, age_ns in model.found(t_ns)
    ]


def _rounded(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _picture(message: object) -> tuple[dict[str, Any], bytes]:
    match message:
        case Frame():
            return {"type": "image/jpeg"}, jpeg(message.rgb[:, :, ::-1], CAMERA_QUALITY)
        case MachineCode():
            levels = (np.clip(np.nan_to_num(message.values), 0, 1) * 255).astype(np.uint8)
            if message.kind != "map":  # a latent: its values around zero, three deviations each way
                levels = (np.clip(np.nan_to_num(message.values) / 6 + 0.5, 0, 1) * 255).astype(np.uint8)
            return {"kind": message.kind, "shape": list(message.shape)}, levels.tobytes()
        case Percept():
            levels = (np.clip(np.nan_to_num(message.image), 0, 1) * 255).astype(np.uint8)
            about = {
                "type": "image/jpeg",
                "centre": list(message.centre_deg),
                "extent": list(message.extent_deg),
                "gaze": list(message.gaze_deg),
                "visible": message.visible,
            }
            return about, jpeg(levels, PERCEPT_QUALITY)
    raise TypeError(f"no picture of a {type(message).__name__}")


def jpeg(pixels: U8, quality: int) -> bytes:
    """Return ``pixels`` u8[h, w] or BGR u8[h, w, 3] as JPEG, no wider than ``MOST_PX``."""
    height, width = pixels.shape[:2]
    if width > MOST_PX:
        size = (MOST_PX, round(height * MOST_PX / width))
        pixels = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _electrodes(model: Model, side: str, delivered: Delivered, now_ns: int) -> Part:
    """Return one row of f32[n] in uA, one in nC/s, one u8[n] of refusals."""
    n = len(delivered.amplitude_ua)
    receipt = model.receipt
    refusal = receipt.refusal if receipt is not None and len(receipt.refusal) == n else np.zeros(n, np.uint8)
    charge = model.charge_nc_per_s(n, now_ns)
    about = {"side": side, "name": "electrodes", "seq": delivered.seq, "n": n}
    rows = (delivered.amplitude_ua.astype("<f4"), charge.astype("<f4"), refusal.astype(np.uint8))
    return Part(about, b"".join(row.tobytes() for row in rows))


def pack(head: dict[str, Any], parts: list[Part]) -> bytes:
    """Return one message: length of a JSON head, the head with each part's ``length``, then the parts in order."""
    listed = [{**part.about, "length": len(part.data)} for part in parts]
    text = json.dumps({**head, "parts": listed}, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % 4)  # numbers behind it can then be viewed where they are
    return b"".join((_LENGTH.pack(len(text)), text, *(_padded(part.data) for part in parts)))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def unpack(message: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Invert ``pack``, as the page does."""
    (length,) = _LENGTH.unpack_from(message)
    head = json.loads(message[_LENGTH.size : _LENGTH.size + length])
    at, found = _LENGTH.size + length, []
    for part in head["parts"]:
        found.append(message[at : at + part["length"]])
        at += -(-part["length"] // 4) * 4
    return head, found
