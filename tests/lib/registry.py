"""Debian's docker-registry on a free port of the loopback interface.

    with Registry(directory, basic={"user": "secret"}) as registry:
        registry.url, registry.address
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lib.patience import patience
from lib.proxy import Proxy
from lib.service import Service
from lib.world import command

PROGRAM = "docker-registry"
# Apache's combined format, which the registry writes for each answer: when it has ended
ACCESS = re.compile(r'^\S+ - \S+ \[[^]]+\] "(\S+) (\S+) HTTP/[0-9.]+" (\d+) (\d+) "[^"]*" "(.*)"$')


@dataclass(frozen=True)
class Request:
    """One answered request. range and authorization are None where the registry alone looked: its log has neither."""

    method: str
    path: str
    range: str
    status: int
    agent: str
    authorization: str
    size: int


class Registry:
    """A registry from the start to stop(); what it stores is below `directory`.

    tls: an Authority (lib/certificates.py). basic: {user: password}. token: a TokenServer,
    which tokens have to come from. record: clients talk to a Proxy in front of it (`front`),
    which sees every header; without it `requests` has what is in the log, and costs nothing.
    """

    def __init__(self, directory, tls=None, basic=None, token=None, record=False, delete=True):
        self.directory = Path(directory)
        self.host, self.ca = "127.0.0.1", tls.ca if tls else None
        self.front = None
        self.directory.mkdir(parents=True, exist_ok=True)
        config = {"version": "0.1", "log": {"level": "info", "accesslog": {"disabled": False}},
                  "storage": {"filesystem": {"rootdirectory": str(self.directory / "storage")}, "delete": {"enabled": delete},
                              "maintenance": {"uploadpurging": {"enabled": False}}},
                  "http": {"addr": f"{self.host}:0", "secret": "of tests"}}
        if tls:
            cert, key = tls.issue("registry")
            config["http"]["tls"] = {"certificate": str(cert), "key": str(key)}
        if basic:
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(self._htpasswd(basic))}}
        if token:
            config["auth"] = {"token": {"realm": f"{token.url}/token", "service": token.service, "issuer": token.issuer,
                                        "rootcertbundle": str(token.certificate)}}
        path = self.directory / "config.yml"
        path.write_text(json.dumps(config))  # which is YAML too
        self._start(path, record, tls)

    def _start(self, config, record, tls):
        environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
        self.service = Service([PROGRAM, "serve", config], self.directory / "log", env=environment)
        try:
            self.real_port = int(self.service.expect(r"listening on 127\.0\.0\.1:(\d+)").group(1))
            self.port = self.real_port
            if record:
                direct = _Direct(self.host, self.real_port, self.ca)
                self.front = Proxy(direct, tls=tls)
                self.port = self.front.port
        except BaseException:
            self.service.stop()
            raise

    def _htpasswd(self, users):
        path = self.directory / "htpasswd"
        path.write_text("")
        for user, password in users.items():  # -C 4: the cheapest bcrypt
            command("htpasswd", "-b", "-B", "-C", "4", path, user, password)
        return path

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.ca else 'http'}://{self.address}"

    @property
    def pid(self):
        return self.service.pid

    @property
    def requests(self):
        """Every request that was answered, in order."""
        if self.front:
            answered = (seen for seen in self.front.seen() if seen.ended)
            return [Request(one.method, one.target, one.range, one.status, one.agent, one.authorization, one.size) for one in answered]
        found = (ACCESS.match(line) for line in list(self.service.lines))
        return [Request(m[1], m[2], None, int(m[3]), m[5], None, int(m[4])) for m in found if m]

    def wait_requests(self, pattern, count=1, timeout=10, agent=""):
        """Wait until so many that match (and those of an agent) were answered: the log is written a moment after the answer."""
        def look():
            found = [request for request in self.requests if re.search(pattern, request.path) and re.search(agent, request.agent or "")]
            return found if len(found) >= count else None

        news = self.front.news if self.front else self.service.news
        with news:
            found = news.wait_for(look, patience(timeout))
        assert found, f"no {count} requests for {pattern!r} within {timeout} s: {self.requests}"
        return found

    def blob_path(self, digest):
        """The file that holds a blob, to be spoilt or removed."""
        kind, name = digest.split(":")
        return self.directory / f"storage/docker/registry/v2/blobs/{kind}/{name[:2]}/{name}/data"

    def stop(self):
        if self.front:
            self.front.stop()
        self.service.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@dataclass
class _Direct:
    """The registry itself, for the proxy in front of it."""

    host: str
    port: int
    ca: Path

    @property
    def url(self):
        return f"{'https' if self.ca else 'http'}://{self.host}:{self.port}"
