"""How a packet is protected: AEAD wherever patterns leave this machine; the weaker ways show what each attack needs.

All take the same room, a 16-byte tag and a CRC-32, so that a channel treats them alike. Which is used is configured at
both ends and never agreed upon over the air, so nobody can talk an implant down to a weaker one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

TAG_BYTES = 16
Lock = Callable[[bytes, bytes, bytes], bytes]
Unlock = Callable[[bytes, bytes, bytes], "bytes | None"]


class Sealing(Enum):
    """What a receiver asks of a packet before it obeys.

    NONE: nothing. CRC: that the noise of the air left it whole. HMAC: also that the holder of the session's key made
    it. AEAD: also that nobody else can read it.
    """

    NONE = "none"
    CRC = "crc"
    HMAC = "hmac"
    AEAD = "aead"

    @property
    def keyed(self) -> bool:
        """Whether there is a session key."""
        return self in (Sealing.HMAC, Sealing.AEAD)


def lock_and_unlock(sealing: Sealing, key: bytes) -> tuple[Lock, Unlock]:
    """Return two functions of (nonce, data, header): payload to payload and tag, and back; ``None`` when forged."""
    if sealing is Sealing.AEAD:
        return _aead(key)
    if sealing is Sealing.HMAC:
        return _hmac(key)
    return (lambda nonce, payload, header: payload + bytes(TAG_BYTES)), (lambda nonce, body, header: body[:-TAG_BYTES])


def _aead(key: bytes) -> tuple[Lock, Unlock]:
    cipher = ChaCha20Poly1305(key)
    decrypt = cipher.decrypt

    def unlock(nonce: bytes, body: bytes, header: bytes) -> bytes | None:
        try:
            return decrypt(nonce, body, header)
        except InvalidTag:
            return None

    return cipher.encrypt, unlock


def _hmac(key: bytes) -> tuple[Lock, Unlock]:
    keyed = HMAC(key, SHA256())  # copied for each packet: a new one costs ten times as much

    def tag(nonce: bytes, payload: bytes, header: bytes) -> bytes:
        one = keyed.copy()
        one.update(nonce + header + payload)
        return one.finalize()[:TAG_BYTES]

    def lock(nonce: bytes, payload: bytes, header: bytes) -> bytes:
        return payload + tag(nonce, payload, header)

    def unlock(nonce: bytes, body: bytes, header: bytes) -> bytes | None:
        payload = body[:-TAG_BYTES]
        return payload if hmac.compare_digest(tag(nonce, payload, header), body[-TAG_BYTES:]) else None

    return lock, unlock
