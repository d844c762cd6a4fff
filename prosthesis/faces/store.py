"""Where the gallery is kept: one sealed file in the user's own folder, its key beside the user's other keys.

AES-256-GCM over JSON; both files are readable by their owner only. No picture is kept, only embeddings. With the key
gone the file is noise, wherever copies of it went.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from prosthesis.errors import ConfigError
from prosthesis.faces.gallery import LENGTH, Gallery, Person
from prosthesis.links.keys import key_folder, make_keys
from prosthesis.messages import F32, readonly

FILE, KEY = "gallery.sealed", "faces.key_secret"
MAGIC = b"prosthesis faces 0\n"
NONCE = 12


def gallery_path() -> Path:
    """Return where this user's gallery is: in ``$PROSTHESIS_FACES``, or under the user's configuration."""
    chosen = os.environ.get("PROSTHESIS_FACES")
    if chosen:
        return Path(chosen) / FILE
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "prosthesis" / "faces" / FILE


def key_path() -> Path:
    """Return where the gallery's key is."""
    return key_folder() / KEY


def load_gallery(model_sha256: str) -> Gallery:
    """Return the user's gallery, empty when there is none; ``model_sha256`` pins the embedder it was made with.

    Raises ``ConfigError`` naming the file when others may read it, its key is missing or wrong, or it was damaged or
    made with another embedder.
    """
    path = gallery_path()
    if not path.exists():
        return Gallery()
    _check_private(path)
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ConfigError(f"{path}: not a gallery of this version; remove it and enrol again")
    nonce, sealed = data[len(MAGIC) :][:NONCE], data[len(MAGIC) + NONCE :]
    try:
        content = json.loads(AESGCM(_load_key(path)).decrypt(nonce, sealed, MAGIC))
        people = tuple(_person(row) for row in content["people"])
    except (InvalidTag, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ConfigError(
            f"{path}: is damaged, or was sealed with another key than {key_path()}; remove it and enrol again"
        ) from error
    if content["model_sha256"] != model_sha256:
        raise ConfigError(
            f"{path}: was made with another embedder, whose numbers mean nothing here; remove it and enrol again"
        )
    return Gallery(people)


def save_gallery(gallery: Gallery, model_sha256: str) -> Path:
    """Seal ``gallery`` into the user's folder and return the file; an empty gallery removes the file and its key."""
    path = gallery_path()
    if not gallery.people:
        path.unlink(missing_ok=True)
        key_path().unlink(missing_ok=True)
        return path
    content = {"model_sha256": model_sha256, "people": [_row(person) for person in gallery.people]}
    nonce = os.urandom(NONCE)
    sealed = AESGCM(_make_key()).encrypt(nonce, json.dumps(content).encode(), MAGIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    _write_private(path, MAGIC + nonce + sealed)
    return path


def _row(person: Person) -> dict[str, Any]:
    packed = base64.b64encode(person.embeddings.astype("<f4").tobytes()).decode()
    return {"name": person.name, "pattern": person.pattern, "embeddings": packed}


def _person(row: dict[str, Any]) -> Person:
    packed: F32 = np.frombuffer(base64.b64decode(row["embeddings"]), "<f4").reshape(-1, LENGTH)
    return Person(str(row["name"]), int(row["pattern"]), readonly(packed, np.float32))


def _make_key() -> bytes:
    path = key_path()
    if path.exists():
        return _load_key(gallery_path())
    if not path.parent.exists():
        make_keys(path.parent)  # whoever finds the folder expects all of it
    key = AESGCM.generate_key(256)
    _write_private(path, key)
    return key


def _load_key(gallery: Path) -> bytes:
    path = key_path()
    if not path.exists():
        raise ConfigError(
            f"{path}: the key of {gallery} is missing; bring it back, or remove the gallery and enrol again"
        )
    _check_private(path)
    key = path.read_bytes()
    if len(key) != 32:
        raise ConfigError(
            f"{path}: must be 32 bytes; bring the right key back, or remove it and {gallery}, and enrol again"
        )
    return key


def _check_private(path: Path) -> None:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: others may read this; run 'chmod 600 {path}'")


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
