"""The stand-in for an OIDC issuer signs its tokens with the key that it publishes."""

from __future__ import annotations

import base64
import hashlib
import json

from tests.fakes.oidc_issuer import SHA256_PREFIX, public_key, signed


def test_a_token_has_the_signature_of_the_published_key() -> None:
    message, _, signature = signed({"sub": "viewer"}).rpartition(".")
    key = public_key()
    n, e = (int.from_bytes(_decoded(key[name]), "big") for name in ("n", "e"))
    assert n.bit_length() == 2_048
    plain = pow(int.from_bytes(_decoded(signature), "big"), e, n).to_bytes(256, "big")
    assert plain.startswith(b"\x00\x01\xff\xff")
    assert plain.endswith(b"\xff\x00" + SHA256_PREFIX + hashlib.sha256(message.encode()).digest())
    assert json.loads(_decoded(message.partition(".")[2])) == {"sub": "viewer"}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
