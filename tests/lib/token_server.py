"""A token server: gives the bearer tokens that a registry with `auth: token` asks for.

What a client says: the distribution project's "Token Authentication Specification" (GET, with or
without basic authentication) and "Oauth2 Token Authentication" (POST). Tokens are JWTs (RFC 7519),
signed with ES256 by openssl; the registry finds the key by its libtrust key id.
"""

import base64
import hashlib
import json
import re
import secrets
import subprocess
import time
from pathlib import Path

from lib.web import Reply, Server
from lib.world import command

SCOPE = re.compile(r"(repository|registry):(.+):([a-z*,]*)$")
HALF = 32  # bytes of r and of s, for P-256


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_id(public_der):
    """libtrust's name of a public key: 240 bits of its SHA-256, in base 32, in groups of four."""
    word = base64.b32encode(hashlib.sha256(public_der).digest()[:30]).decode()
    return ":".join(word[at:at + 4] for at in range(0, len(word), 4))


def raw_signature(der):
    """r and s one after the other (RFC 7518, 3.4), from the DER sequence that openssl makes."""
    def integer(at):
        length = der[at + 1]
        return int.from_bytes(der[at + 2:at + 2 + length], "big").to_bytes(HALF, "big"), at + 2 + length

    first, at = integer(2)
    return first + integer(at)[0]


class TokenServer(Server):
    """users: {name: password}; anonymous: may those without one pull? Faults: the rules of lib/web.py's servers."""

    def __init__(self, directory, users=None, anonymous=True, expires_in=300, **options):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.users, self.anonymous = users or {}, anonymous
        self.expires_in = expires_in      # None: the answer doesn't say
        self.service, self.issuer = "registry.tests", "issuer.tests"
        self.field = "token"              # or access_token: both names are in use
        self.lasts = 300                  # seconds that the registry takes a token for
        self.identity_tokens = {}         # {refresh token: user}
        self.issued = []                  # (user, scopes, token)
        self.key, self.certificate = self.directory / "token.key", self.directory / "token.pem"
        command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-out", self.certificate, "-days", 30, "-subj", "/CN=token.tests")
        self.key_id = key_id(subprocess.run(["openssl", "ec", "-in", self.key, "-pubout", "-outform", "DER"], capture_output=True,
                                            check=True, timeout=20).stdout)
        super().__init__(**options)

    def honest(self, seen):
        if seen.path != "/token":
            return Reply(404)
        if seen.method == "POST":
            return self._oauth2(seen)
        known, user = self._who(seen)
        if not known or (user is None and not self.anonymous):
            return self._refuse()
        answer = self._answer(user, self._scopes(seen))
        if user and seen.query.get("offline_token") == "true":
            answer["refresh_token"] = self.identity_token(user)
        return self._reply(answer)

    def _oauth2(self, seen):
        form = seen.form
        if form.get("grant_type") == "refresh_token":
            user = self.identity_tokens.get(form.get("refresh_token"))
        elif form.get("grant_type") == "password":
            user = form.get("username") if self.users.get(form.get("username"), "") == form.get("password") else None
        else:
            return self._reply({"error": "unsupported_grant_type"}, 400)
        if user is None:
            return self._refuse()
        answer = self._answer(user, form.get("scope", "").split(), field="access_token")
        if form.get("grant_type") == "refresh_token" or form.get("access_type") == "offline":
            answer["refresh_token"] = form.get("refresh_token") or self.identity_token(user)
        return self._reply(answer)

    def identity_token(self, user):
        """A refresh token, as `docker login` keeps it in place of a password."""
        token = secrets.token_urlsafe(24)
        self.identity_tokens[token] = user
        return token

    def _who(self, seen):
        """(are the credentials good or missing, the user or None)"""
        value = seen.header("Authorization")
        if value is None:
            return True, None
        scheme, _, words = value.partition(" ")
        try:
            user, _, password = base64.b64decode(words).decode().partition(":")
        except ValueError:
            return False, None
        good = scheme.lower() == "basic" and user in self.users and self.users[user] == password
        return good, user if good else None

    def _scopes(self, seen):
        """Every scope of the query, which may be there several times, or hold several."""
        words = re.findall(r"[?&]scope=([^&]*)", seen.target)
        decoded = (re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), word.replace("+", " ")) for word in words)
        return [scope for word in decoded for scope in word.split()]

    def _answer(self, user, scopes, field=None):
        token = self.make_token(user, scopes)
        self.issued.append((user, tuple(scopes), token))
        answer = {field or self.field: token, "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return answer

    def make_token(self, user, scopes):
        """A token for these scopes; those without a name may only pull."""
        access = []
        for scope in scopes:
            if m := SCOPE.match(scope):
                wanted = m[3].split(",")
                access.append({"type": m[1], "name": m[2], "actions": wanted if user else [word for word in wanted if word == "pull"]})
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": user or "", "aud": self.service, "exp": now + self.lasts, "nbf": now - 10, "iat": now,
                  "jti": secrets.token_hex(8), "access": access}
        header = {"typ": "JWT", "alg": "ES256", "kid": self.key_id}
        signed = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(), capture_output=True, check=True,
                             timeout=20).stdout
        return f"{signed}.{b64(raw_signature(der))}"

    def _reply(self, answer, status=200):
        return Reply(status, [("Content-Type", "application/json")], json.dumps(answer).encode())

    def _refuse(self):
        return Reply(401, [("WWW-Authenticate", 'Basic realm="tests"'), ("Content-Type", "application/json")],
                     b'{"errors":[{"code":"UNAUTHORIZED","message":"no such user"}]}')


def bad_json(body=b'{"token": "abc'):
    """An answer that is no JSON object with a token: a fault for Server.on()."""
    return _always(body)


def answers(**fields):
    """An answer of these fields alone."""
    return _always(json.dumps(fields).encode())


def giant(size=64 << 20, field="token"):
    """A token of so many bytes."""
    def body():
        yield b'{"%s":"' % field.encode()
        for _ in range(size >> 16):
            yield b"A" * (1 << 16)
        yield b'"}'
    return lambda exchange: exchange.send(Reply(200, [("Content-Type", "application/json")], body()))


def _always(body):
    return lambda exchange: exchange.send(Reply(200, [("Content-Type", "application/json")], body))
