"""The test vectors in docs/air-vectors.json, built again from docs/air-frame.md with nothing of ours."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path
from zlib import crc32

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from make_air_vectors import vectors

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "docs" / "air-vectors.json").read_text())
PAIRING, PATTERN, CONFIGURE = VECTORS["pairing"], VECTORS["pattern"], VECTORS["configure"]
KEY = bytes.fromhex(PAIRING["key"])


def header(kind, session, seq, t_ns, ttl_ms, length, tile=0, tiles=1, flags=0, profile=0):
    return struct.pack(
        "<HBBIIQHHBBBBI", 0x5056, 1, kind, session, seq, t_ns, ttl_ms, length, tile, tiles, flags, 0, profile
    )


def sealed(clear, payload, direction, how="aead"):
    session, seq = struct.unpack_from("<II", clear, 4)
    nonce = struct.pack("<IBBHI", session, direction, clear[3], clear[24], seq)
    if how == "aead":
        body = clear + ChaCha20Poly1305(KEY).encrypt(nonce, payload, clear)
    elif how == "hmac":
        body = clear + payload + hmac.new(KEY, nonce + clear + payload, hashlib.sha256).digest()[:16]
    else:
        body = clear + payload + bytes(16)
    return body + struct.pack("<I", crc32(body))


def bit_string(fields):
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def dense(codes, bits):
    return bit_string([(code, bits) for code in codes])


def sparse(codes, bits):
    index_bits = len(f"{len(codes) - 1:b}")
    return bit_string([pair for i, code in enumerate(codes) if code for pair in ((i, index_bits), (code, bits))])


def test_the_vectors_are_those_of_this_version():
    assert vectors() == VECTORS


def test_the_crc():
    assert crc32(bytes.fromhex(VECTORS["crc"]["of"])) == VECTORS["crc"]["is"] == 0xCBF43926


@pytest.mark.parametrize(("name", "pack"), [("dense", dense), ("sparse", sparse)])
def test_payloads(name, pack):
    vector = VECTORS[name]
    assert pack(vector["codes"], vector["bits"]).hex() == vector["payload"]


def test_configure_and_its_profile():
    c = CONFIGURE
    body = struct.pack(
        "<BBHHHIH", c["modulated"], c["bits"], c["tile_electrodes"], c["interphase_us"], c["slot_us"], c["lsb"], c["n"]
    )
    for kind, value in (("<H", c["pulse_width_us"]), ("<I", c["amplitude_na"]), ("<I", c["rate_mhz"])):
        body += struct.pack(kind, value) * c["n"]
    body += bytes(i % 4 for i in range(c["n"]))
    assert body.hex() == c["body"]
    assert struct.unpack("<I", hashlib.sha256(body).digest()[:4])[0] == c["profile"]


def test_pairing():
    secrets = {
        name: X25519PrivateKey.from_private_bytes(bytes.fromhex(PAIRING[f"{name}_secret"]))
        for name in ("device", "device_one_time", "implant", "implant_one_time")
    }
    public = {name: secret.public_key().public_bytes_raw() for name, secret in secrets.items()}
    opening = b"PVOPEN1\0" + struct.pack("<I", PAIRING["session"]) + public["device"] + public["device_one_time"]
    assert opening.hex() == PAIRING["open"]
    assert public["implant_one_time"].hex() == PAIRING["implant_one_time_public"]
    pairs = (
        ("device_one_time", "implant_one_time"), ("device_one_time", "implant"),
        ("device", "implant_one_time"), ("device", "implant"),
    )  # fmt: skip
    shared = b"".join(secrets[a].exchange(X25519PublicKey.from_public_bytes(public[b])) for a, b in pairs)
    salt = hashlib.sha256(opening + public["implant_one_time"]).digest()
    extracted = hmac.new(salt, shared, hashlib.sha256).digest()  # HKDF, RFC 5869
    assert hmac.new(extracted, b"prosthesis air 1\x01", hashlib.sha256).digest() == KEY


@pytest.mark.parametrize("how", ["none", "crc", "hmac", "aead"])
def test_patterns(how):
    p, n = PATTERN, CONFIGURE["tile_electrodes"]
    packets = []
    for tile in range(2):
        codes = p["codes"][tile * n : (tile + 1) * n]
        payload, flags = min((dense(codes, 10), 0), (sparse(codes, 10), 1), key=lambda made: len(made[0]))
        numbers = (p["session"], p["seq"], p["t_ns"], p["ttl_ms"], len(payload), tile, 2, flags, CONFIGURE["profile"])
        packets.append(sealed(header(1, *numbers), payload, 0, how).hex())
    assert packets == p[how]


def test_stop_needs_no_key():
    body = header(6, 0, 0, 0, 0, 0) + bytes(16)
    assert (body + struct.pack("<I", crc32(body))).hex() == VECTORS["stop"]["packet"]


@pytest.mark.parametrize(("group", "direction"), [("commands", 0), ("replies", 1)])
def test_commands_and_what_comes_back(group, direction):
    kinds = {"REPLY": 3, "RECEIPT": 4, "TELEMETRY": 5}
    for name, v in VECTORS[group].items():
        payload = bytes.fromhex(v["payload"])
        clear = header(kinds.get(name, 2), PAIRING["session"], v["seq"], v["t_ns"], 0, len(payload))
        assert sealed(clear, payload, direction).hex() == v["packet"], name


def test_what_the_replies_hold():
    payload = {name: bytes.fromhex(v["payload"]) for name, v in VECTORS["replies"].items()}
    refusal, state, _, detail = struct.unpack_from("<BBQI", payload["REPLY"])
    assert (refusal, state, detail, payload["REPLY"][14:]) == (22, 4, 32, b"no valid frame for 250 ms")
    assert struct.unpack_from("<4I4B", payload["RECEIPT"], 12) == (0, 11356, 2, 3, 0, 0, 15, 0)
    fields = struct.Struct("<IQBIQQffiHB")
    seq, _, state, session, accepted, skipped, *health, kinds = fields.unpack_from(payload["TELEMETRY"])
    assert (seq, state, session, accepted, skipped, kinds) == (7, 2, PAIRING["session"], 14, 1, 3)
    assert health == [0, 0, 0, 0]
    assert struct.unpack_from("<3Q", payload["TELEMETRY"], fields.size) == (0, 0, 3)
    assert payload["TELEMETRY"][fields.size + 24 :] == b"fresh frames"
