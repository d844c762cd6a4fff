"""Who may talk to whom: one key pair an end, made per installation, secrets readable by their owner only.

The folder holds ``device.key_secret`` and ``implant.key_secret`` (mode 0600), their public halves ``*.key``, and
``allowed/``: the public keys of the devices that the implant obeys. On two machines copy only ``*.key`` files. The same
Curve25519 pairs serve ZeroMQ's CURVE and, under another derivation, the air protocol's sessions.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.auth
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from zmq.utils import z85

from prosthesis.errors import ConfigError, LinkError

ROLES = ("device", "implant")


@dataclass(frozen=True, slots=True)
class Keys:
    """One end's pair and its peer's public key, as Z85 text (40 bytes), and the folder of keys allowed to connect."""

    public: bytes
    secret: bytes
    peer: bytes
    allowed: Path

    @property
    def identity(self) -> X25519PrivateKey:
        """The pair as the air protocol uses it."""
        return X25519PrivateKey.from_private_bytes(z85.decode(self.secret))

    @property
    def peer_raw(self) -> bytes:
        """The peer's public key, 32 raw bytes."""
        return z85.decode(self.peer)

    def allowed_raw(self) -> frozenset[bytes]:
        """Return the public keys, 32 raw bytes each, of all devices that the implant obeys."""
        return frozenset(z85.decode(_public(path)) for path in self.allowed.glob("*.key"))


def key_folder() -> Path:
    """Return where this installation keeps its keys: ``$PROSTHESIS_KEYS``, or under the user's configuration."""
    chosen = os.environ.get("PROSTHESIS_KEYS")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "prosthesis" / "keys"


def make_keys(folder: Path) -> list[Path]:
    """Make the pairs that are missing in ``folder`` and return what was written; existing keys are never replaced."""
    if not zmq.has("curve"):
        raise LinkError("this ZeroMQ was built without CURVE; install pyzmq from its binary wheel")
    allowed = folder / "allowed"
    allowed.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    written = []
    for role in ROLES:
        if not (folder / f"{role}.key").exists():
            written += _make_pair(folder, role)
            if role == "device":
                shutil.copy(folder / "device.key", allowed / "device.key")
    return written


def _make_pair(folder: Path, role: str) -> list[Path]:
    # zmq.auth writes the secret with the process's umask (0644): close it before anything is written
    previous = os.umask(0o077)
    try:
        public, secret = zmq.auth.create_certificates(folder, role)
    finally:
        os.umask(previous)
    Path(secret).chmod(0o600)
    return [Path(public), Path(secret)]


def rotate_keys(folder: Path, role: str) -> list[Path]:
    """Replace the pair of ``role``; where the implant knew the old device by the same file, it now knows the new one.

    A session under the old key ends: the implant takes up ``allowed/`` within a second, its own pair when it starts.
    """
    if role == "device":
        old = _public(folder / "device.key")
        known = [path for path in (folder / "allowed").glob("*.key") if _public(path) == old]
    for path in (folder / f"{role}.key_secret", folder / f"{role}.key"):
        path.unlink(missing_ok=True)
    written = _make_pair(folder, role)
    if role == "device":
        for path in known:
            shutil.copy(folder / "device.key", path)
        written += known
    return written


def allow_device(folder: Path, public: Path) -> Path:
    """Let the device with this public key file command the implant of ``folder``; return the file made.

    Raises ``ConfigError`` when it is no public key, or is a secret one, which must never leave its machine.
    """
    key, secret = _certificate(public)
    if secret is not None:
        raise ConfigError(f"{public}: is a secret key, which must stay on its own machine; copy device.key instead")
    path = folder / "allowed" / f"{fingerprint(public).replace(' ', '-')}.key"
    if key not in {_public(known) for known in (folder / "allowed").glob("*.key")}:
        shutil.copy(public, path)
    return path


def fingerprint(public: Path) -> str:
    """Return what two people can read to each other: the first 20 digits of a public key's SHA-256, as numbers."""
    number = int.from_bytes(hashlib.sha256(z85.decode(_public(public))).digest(), "big") % 10**20
    digits = f"{number:020d}"
    return " ".join(digits[start : start + 5] for start in range(0, 20, 5))


def load_keys(role: str, folder: Path | None = None) -> Keys:
    """Return the keys of ``role`` (``device`` or ``implant``); an installation's first use makes its own.

    Raises ``ConfigError`` naming the file when one is missing, is not a key, or others may read a secret.
    """
    if folder is None:
        folder = key_folder()
        if not folder.exists():
            make_keys(folder)
    path = folder / f"{role}.key_secret"
    if not path.exists():
        raise ConfigError(f"{path}: no such key; make this installation's keys with 'prosthesis keys'")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: others may read this secret; run 'chmod 600 {path}'")
    public, secret = _certificate(path)
    if secret is None:
        raise ConfigError(f"{path}: holds no secret key; remove it and run 'prosthesis keys'")
    peer = "implant" if role == "device" else "device"
    return Keys(public, secret, _public(folder / f"{peer}.key"), folder / "allowed")


def _public(path: Path) -> bytes:
    if not path.exists():
        raise ConfigError(f"{path}: no such key; copy it from the other machine, or run 'prosthesis keys'")
    return _certificate(path)[0]


def _certificate(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a key file ({error}); remove it and run 'prosthesis keys'") from error
    if len(public) != 40 or (secret is not None and len(secret) != 40):
        raise ConfigError(f"{path}: a key must be 40 characters of Z85; remove it and run 'prosthesis keys'")
    return public, secret
