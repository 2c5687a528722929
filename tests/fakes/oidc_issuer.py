"""An OIDC issuer on this machine: the code flow with PKCE, refresh tokens, and the faults of real issuers.

Nobody types a password: whoever asks is the viewer, and is sent back at once. Run it alone for a browser:

    python -m tests.fakes.oidc_issuer --port 9000
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.fakes.fake_server import FakeServer, QuietHandler

CLIENT_ID = "dashboard"
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
"""What precedes a SHA-256 digest in an RSA signature (RFC 8017, section 9.2)."""


@dataclass(frozen=True)
class Behaviour:
    """How the issuer answers. `POST /behaviour` sets the fields of its JSON body, and the others to their defaults."""

    lifetime_seconds: int = 3_600
    """How long an access token is good."""
    refresh: bool = True
    """Whether the issuer gives refresh tokens."""
    authorize_error: str = ""
    """The error with which it sends the viewer back, such as `access_denied`."""
    token_error: str = ""
    """The error of the token endpoint, such as `invalid_grant`."""
    nonce: str = ""
    """Another nonce in the ID token than the page's."""
    issuer: str = ""
    """Another issuer in the discovery document than this one."""
    down: bool = False
    """Whether everything but `POST /behaviour` answers with status 503."""


@dataclass
class _Memory:
    """What the issuer knows."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)


class OidcIssuer(FakeServer):
    """An issuer while it runs. Each has its own codes and tokens; all share one key."""

    def __init__(self, port: int = 0) -> None:
        self._memory = _Memory()
        super().__init__(type("_Handler", (_Handler,), {"memory": self._memory}), port)

    def behave(self, behaviour: Behaviour) -> None:
        """Answer in another way from now on."""
        self._memory.behaviour = behaviour


class _Handler(QuietHandler):
    memory: ClassVar[_Memory]

    def do_GET(self) -> None:  # noqa: N802  (http.server's name)
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if self.memory.behaviour.down:
            self._answer(503, {})
        elif parts.path == "/.well-known/openid-configuration":
            self._answer(200, self._discovery())
        elif parts.path == "/jwks":
            self._answer(200, {"keys": [public_key()]})
        elif parts.path == "/authorize":
            self._authorize(query)
        elif parts.path == "/logout":
            self._redirect(query["post_logout_redirect_uri"], {})
        else:
            self._answer(404, {"error": "not_found"})

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/behaviour":
            self.memory.behaviour = Behaviour(**json.loads(body))
            self._answer(200, {})
        elif self.memory.behaviour.down:
            self._answer(503, {})
        elif self.path == "/token":
            self._token(dict(parse_qsl(body.decode())))
        else:
            self._answer(404, {"error": "not_found"})

    def do_OPTIONS(self) -> None:  # noqa: N802
        self._answer(200, {})

    @property
    def _issuer(self) -> str:
        return f"http://{self.headers['Host']}"

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.memory.behaviour.issuer or self._issuer,
            "authorization_endpoint": f"{self._issuer}/authorize",
            "token_endpoint": f"{self._issuer}/token",
            "jwks_uri": f"{self._issuer}/jwks",
            "end_session_endpoint": f"{self._issuer}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }

    def _authorize(self, query: dict[str, str]) -> None:
        """Send the viewer back with a code. A request without PKCE or with a foreign client stays here, as it must."""
        wanted = {"response_type": "code", "client_id": CLIENT_ID, "code_challenge_method": "S256"}
        wrong = [name for name, value in wanted.items() if query.get(name) != value]
        if wrong or not query.get("code_challenge") or not query.get("redirect_uri"):
            self._answer(400, {"error": "invalid_request", "error_description": f"wrong or missing: {wrong}"})
            return
        back = {"state": query.get("state", "")}
        if self.memory.behaviour.authorize_error:
            self._redirect(query["redirect_uri"], back | {"error": self.memory.behaviour.authorize_error})
            return
        code = secrets.token_urlsafe()
        self.memory.codes[code] = query
        self._redirect(query["redirect_uri"], back | {"code": code})

    def _token(self, form: dict[str, str]) -> None:
        if self.memory.behaviour.token_error:
            self._answer(400, {"error": self.memory.behaviour.token_error})
        elif form.get("grant_type") == "authorization_code":
            asked = self.memory.codes.pop(form.get("code", ""), None)
            if asked is None or not _proves(form, asked):
                self._answer(400, {"error": "invalid_grant"})
            else:
                self._answer(200, self._tokens(asked.get("scope", ""), asked.get("nonce")))
        elif form.get("grant_type") == "refresh_token" and form.get("refresh_token") in self.memory.refresh_tokens:
            self.memory.refresh_tokens.remove(form["refresh_token"])
            self._answer(200, self._tokens("openid", None))
        else:
            self._answer(400, {"error": "invalid_grant"})

    def _tokens(self, scope: str, nonce: str | None) -> dict[str, Any]:
        behaviour = self.memory.behaviour
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "sub": "viewer",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + behaviour.lifetime_seconds,
            "jti": secrets.token_urlsafe(8),
        }
        answer: dict[str, Any] = {
            "access_token": signed(claims | {"client_id": CLIENT_ID, "scope": scope, "token_use": "access"}),
            "token_type": "Bearer",
            "expires_in": behaviour.lifetime_seconds,
        }
        if "openid" in scope.split():
            answer["id_token"] = signed(claims | ({"nonce": behaviour.nonce or nonce} if nonce else {}))
        if behaviour.refresh:
            answer["refresh_token"] = secrets.token_urlsafe()
            self.memory.refresh_tokens.add(answer["refresh_token"])
        return answer

    def _redirect(self, uri: str, parameters: dict[str, str]) -> None:
        self.send_response(302)
        self.send_header("Location", f"{uri}?{urlencode(parameters)}" if parameters else uri)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Headers": "*",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def signed(claims: dict[str, Any]) -> str:
    """A JSON web token of these claims with the issuer's signature (RS256)."""
    key = _key()
    header = {"alg": "RS256", "typ": "JWT", "kid": "only"}
    message = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
    digest = SHA256_PREFIX + hashlib.sha256(message.encode()).digest()
    padded = b"\x00\x01" + b"\xff" * (key.size - len(digest) - 3) + b"\x00" + digest
    signature = pow(int.from_bytes(padded, "big"), key.secret, key.modulus).to_bytes(key.size, "big")
    return f"{message}.{_encoded(signature)}"


def _proves(form: dict[str, str], asked: dict[str, str]) -> bool:
    """Whether the form has the secret whose hash came with the login, and repeats where the code was sent."""
    challenge = _encoded(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
    same = all(form.get(name) == asked[name] for name in ("client_id", "redirect_uri"))
    return same and challenge == asked["code_challenge"]


@dataclass(frozen=True)
class _Key:
    modulus: int
    secret: int
    size: int = 256
    exponent: int = 65_537


@cache
def _key() -> _Key:
    p, q = _prime(1_024), _prime(1_024)
    return _Key(modulus=p * q, secret=pow(65_537, -1, (p - 1) * (q - 1)))


def public_key() -> dict[str, str]:
    """The key as a JSON web key, with which others check the signatures."""
    key = _key()
    numbers = {"n": key.modulus.to_bytes(key.size, "big"), "e": key.exponent.to_bytes(3, "big")}
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "only"} | {k: _encoded(v) for k, v in numbers.items()}


def _prime(bits: int) -> int:
    """A number that passes Fermat's test, which is prime enough for a test."""
    # Most numbers have a small factor, and this finds it much faster than the test of Fermat rejects them.
    small_factors = math.prod(range(3, 2_000, 2))
    while True:
        # The two highest bits are set, so the product of two such numbers has all its bits.
        number = secrets.randbits(bits) | 3 << bits - 2 | 1
        if math.gcd(number, small_factors) == 1 and number % 65_537 != 1 and pow(2, number - 1, number) == 1:
            return number


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main() -> None:
    """Run an issuer until the standard input ends or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1, or 0 for a free one")
    issuer = OidcIssuer(parser.parse_args().port)
    with issuer.running():
        print(issuer.url, flush=True)  # noqa: T201
        try:
            input()
        except (EOFError, KeyboardInterrupt):
            return


if __name__ == "__main__":
    main()
