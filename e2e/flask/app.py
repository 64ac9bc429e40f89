"""Accepts Propusk access tokens with nothing but the address of a public key in PEM."""

import os
import sys
import threading
import time
import urllib.error
import urllib.request

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

ISSUER = os.environ["PROPUSK_ISSUER"]
AUDIENCE = os.environ["PROPUSK_AUDIENCE"]
PEM = os.environ["PROPUSK_PEM"]
REFETCH_SECONDS = float(os.environ.get("PROPUSK_REFETCH_SECONDS", "5"))
LEEWAY_SECONDS = 5
TEXTS = ["iss", "aud", "sub", "client_id", "jti"]
TIMES = ["iat", "exp"]


class NoKey(Exception):
    """No key could be had yet, so nothing can be said about any token."""


def algorithm_of(key):
    """The algorithm belongs to the key; what a token says about it is never believed."""
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, RSAPublicKey):
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256"
    raise ValueError(f"a kind of key that is not supported: {type(key).__name__}")


class Keys:
    """The last two keys that were published at one address, the newest first."""

    def __init__(self, url):
        self._url = url
        self._lock = threading.Lock()
        self._pems = []
        self._keys = []
        self._tried_at = None

    def all(self):
        """What there is; fetched if there is nothing yet."""
        if not self._keys:
            self.refetch()
        if not self._keys:
            raise NoKey
        return self._keys

    def refetch(self):
        """Looks for a newer key, unless somebody has just looked. Returns whether there is one."""
        with self._lock:
            now = time.monotonic()
            if self._tried_at is not None and now - self._tried_at < REFETCH_SECONDS:
                return False
            self._tried_at = now
            try:
                with urllib.request.urlopen(self._url, timeout=5) as answer:
                    pem = answer.read(16_384)
                key = load_pem_public_key(pem)
                algorithm = algorithm_of(key)
            except (urllib.error.URLError, OSError, ValueError) as error:
                # The keys that are there stay good: an authority that is away takes nothing back.
                print(f"no key from {self._url}: {error}", file=sys.stderr, flush=True)
                return False
            if pem in self._pems:
                return False
            self._pems = [pem, *self._pems][:2]
            self._keys = [(key, algorithm), *self._keys][:2]
            return True


KEYS = Keys(PEM)


def verify(token):
    """The claims of a token that is for us."""
    typ = jwt.get_unverified_header(token).get("typ")
    if not isinstance(typ, str) or typ.lower() not in ("at+jwt", "application/at+jwt"):
        raise jwt.InvalidTokenError("not an access token (RFC 9068)")
    seen = KEYS.all()
    try:
        return verify_with(token, seen)
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        if not KEYS.refetch():
            # Somebody else may have fetched it since we looked.
            newest = KEYS.all()
            if newest is seen:
                raise
        return verify_with(token, KEYS.all())


def verify_with(token, keys):
    failure = None
    for key, algorithm in keys:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY_SECONDS,
                options={"require": TEXTS + TIMES, "strict_aud": True},
            )
            check_types(claims)
            return claims
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
            failure = error
    raise failure


def check_types(claims):
    """PyJWT takes a text for a time if it can be read as a number."""
    for name in TIMES:
        if isinstance(claims[name], bool) or not isinstance(claims[name], (int, float)):
            raise jwt.InvalidTokenError(f"{name} is not a number")
    for name in TEXTS:
        if not isinstance(claims[name], str) or not claims[name]:
            raise jwt.InvalidTokenError(f"{name} is not a text")


app = Flask(__name__)


def refuse(status, error=None):
    answer = jsonify({"error": error or "no_credentials"})
    answer.status_code = status
    if status == 401:
        challenge = f'Bearer realm="{AUDIENCE}"'
        answer.headers["WWW-Authenticate"] = challenge if error is None else f'{challenge}, error="{error}"'
    if status == 503:
        answer.headers["Retry-After"] = "1"
    return answer


@app.get("/whoami")
def whoami():
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return refuse(401)
    try:
        claims = verify(token)
    except NoKey:
        return refuse(503, "cannot_tell")
    except jwt.InvalidTokenError as error:
        app.logger.warning("refused: %s: %s", type(error).__name__, error)
        return refuse(401, "invalid_token")
    members = ("sub", "client_id", "aud", "roles", "jti", "act", "sid")
    return jsonify({name: claims[name] for name in members if name in claims})


if __name__ == "__main__":
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "0")), app, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
