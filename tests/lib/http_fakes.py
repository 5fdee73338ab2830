"""Servers and networks for the tests of cloister-fetch, on top of lib/web.py.

A Shelf serves manifests and blobs of one repository, behind no door, Basic or tokens; a Network is
a network namespace whose loopback interface has whatever addresses a test needs; a NameServer
answers for the names that it was given.
"""

import base64
import concurrent.futures
import ctypes
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import threading
from pathlib import Path

from lib.web import Reply, Server
from lib.world import command

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
RANGE = re.compile(r"bytes=(\d+)-$")
CLONE_NEWNET = 0x40000000
ADDRESS_FAMILIES = {1: (4, socket.AF_INET), 28: (16, socket.AF_INET6)}  # types A and AAAA of DNS


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def basic_of(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Shelf(Server):
    """A registry. basic: (user, password). bearer: (realm, service), and what in `accepted` opens it."""

    def __init__(self, basic=None, bearer=None, repository="library/test", **options):
        self.basic, self.bearer, self.repository = basic, bearer, repository
        self.challenges = None    # these WWW-Authenticate headers instead of the right ones
        self.accepted = set()     # tokens; or a function of the token
        self.things = {}
        super().__init__(**options)

    def put_manifest(self, reference, data, media_type=MANIFEST_TYPE):
        self.things[f"/v2/{self.repository}/manifests/{reference}"] = (data, media_type)
        return data

    def put_blob(self, data):
        self.things[f"/v2/{self.repository}/blobs/{digest_of(data)}"] = (data, "application/octet-stream")
        return digest_of(data)

    def blob_path(self, digest):
        return f"/v2/{self.repository}/blobs/{digest}"

    def honest(self, seen):
        if not self._lets_in(seen.header("Authorization")):
            return Reply(401, [("WWW-Authenticate", value) for value in self._challenges()],
                         b'{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}')
        if seen.path == "/v2/":
            return Reply(200, [("Content-Type", "application/json")], b"{}")
        if seen.path not in self.things:
            return Reply(404, [], b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        data, media_type = self.things[seen.path]
        headers = [("Content-Type", media_type), ("Docker-Content-Digest", digest_of(data))]
        match = RANGE.match(seen.range or "")
        if not match:
            return Reply(200, headers, data)
        first = int(match[1])
        if first >= len(data):
            return Reply(416, [("Content-Range", f"bytes */{len(data)}")], b"")
        return Reply(206, [*headers, ("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")], data[first:])

    def _challenges(self):
        if self.challenges is not None:
            return self.challenges
        if self.bearer:
            realm, service = self.bearer
            return [f'Bearer realm="{realm}",service="{service}",scope="repository:{self.repository}:pull"']
        return ['Basic realm="tests"']

    def _lets_in(self, value):
        scheme, _, words = (value or "").partition(" ")
        if self.basic:
            return value == basic_of(*self.basic)
        if self.bearer or self.challenges is not None:
            return scheme == "Bearer" and (self.accepted(words) if callable(self.accepted) else words in self.accepted)
        return True


class Tokens(Server):
    """A token server whose tokens are plain words: token-1, token-2, ... All that it gave is in `given`.

    users: {name: password}; identities: {identity token: name}; anonymous: may others have one?
    """

    def __init__(self, users=None, identities=None, anonymous=True, expires_in=300, **options):
        self.users, self.identities, self.anonymous, self.expires_in = users or {}, identities or {}, anonymous, expires_in
        self.given = []
        super().__init__(**options)

    def honest(self, seen):
        if seen.method == "POST":
            form = seen.form
            user = self.identities.get(form.get("refresh_token")) if form.get("grant_type") == "refresh_token" else None
            return self._give("access_token") if user else Reply(401, [], b'{"details":"unknown identity"}')
        value = seen.header("Authorization")
        good = any(value == basic_of(*pair) for pair in self.users.items())
        if not good and (value is not None or not self.anonymous):
            return Reply(401, [], b'{"details":"incorrect username or password"}')
        return self._give("token")

    def _give(self, name):
        self.given.append(f"token-{len(self.given) + 1}-of-{self.port}")
        answer = {name: self.given[-1]}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return Reply(200, [("Content-Type", "application/json")], json.dumps(answer).encode())


class Network:
    """A network namespace of its own: `run` does something there, servers that are made there listen there."""

    def __init__(self, addresses):
        self.worker = concurrent.futures.ThreadPoolExecutor(1)
        self.run(self._enter, addresses)

    @staticmethod
    def _enter(addresses):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:  # of this thread alone
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
        command("ip", "link", "set", "lo", "up")
        for address in addresses:
            command("ip", "address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))

    def run(self, function, *arguments, **options):
        return self.worker.submit(function, *arguments, **options).result(60)

    def start(self, *arguments, **options):
        """subprocess.Popen there."""
        return self.run(subprocess.Popen, *arguments, **options)

    def stop(self):
        self.worker.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class NameServer:
    """DNS by UDP on port 53 of `host`, an address that only this test process uses: names {name: [address, ...]}.

    No answer comes for a name of None.
    """

    def __init__(self, names):
        self.host = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self.names, self.asked = names, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.host, 53))
        self.socket.settimeout(0.1)
        self.ended = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.ended:
            try:
                data, peer = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            answer = self._answer(data)
            if answer:
                self.socket.sendto(answer, peer)

    def _answer(self, data):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
            at += 1 + data[at]
        name = ".".join(labels).lower()
        question = data[12:at + 5]
        (kind,) = struct.unpack_from(">H", data, at + 1)
        known = self.names.get(name)
        size, family = ADDRESS_FAMILIES.get(kind, (0, None))
        self.asked.append((name, kind))
        if name in self.names and known is None:
            return None
        packed = []
        for address in known or []:
            try:
                packed.append(socket.inet_pton(family, address) if family else None)
            except OSError:
                pass  # of the other family
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, size) + one for one in packed if one)
        count = sum(1 for one in packed if one)
        flags = 0x8180 if known is not None else 0x8183  # NXDOMAIN
        return data[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + question + records

    def stop(self):
        self.ended = True
        self.thread.join(5)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class OverFile:
    """Other content for a file of /etc, in this mount namespace."""

    def __init__(self, path, text, directory):
        self.path = Path(path)
        replacement = Path(directory) / self.path.name
        replacement.write_text(text, encoding="utf-8")
        replacement.chmod(0o644)
        command("mount", "--bind", replacement, self.path)

    def stop(self):
        command("umount", self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def open_sockets(pid):
    """How many sockets a process has."""
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return count
