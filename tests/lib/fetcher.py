"""cloister-fetch, driven as the core does it: src/oci/fetch.h over a socket on descriptor 3."""

import array
import os
import select
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from lib import flat
from lib.patience import patience

REQUEST, REPORT = b"clfetq\r\n", b"clfetr"
MANIFEST, BLOB, LOGIN = range(3)
PROGRESS, DONE, FAILED = range(3)
MOST = 192 << 10
TIMEOUT = 30


@dataclass(frozen=True)
class Endpoint:
    url: str
    user: str = ""
    secret: str = ""
    identity: str = ""
    authority: str = ""

    def packed(self):
        words = (self.url, self.user, self.secret, self.identity, self.authority)
        return b"".join(flat.payload("TEXT", word) for word in words)


def endpoints_field(endpoints):
    """The list of a request."""
    return 3, "RAW", struct.pack("<I", len(endpoints)) + b"".join(endpoint.packed() for endpoint in endpoints)


@dataclass
class Report:
    id: int
    kind: int
    bytes: int = None
    type: str = None
    url: str = None
    code: int = None
    error: str = None

    @classmethod
    def read(cls, data):
        readers = {1: ("id", flat.number), 2: ("kind", flat.number), 3: ("bytes", flat.number), 4: ("type", flat.text), 6: ("url", flat.text), 7: ("code", flat.number), 8: ("error", flat.text)}
        return cls(**{readers[key][0]: readers[key][1](payload) for key, payload in flat.fields(data, REPORT).items()})


@dataclass
class Result:
    """What became of a request: its last report, the progress before it, the body and the ticks."""

    report: Report
    progress: list = field(default_factory=list)
    body: bytes = None
    ticks: list = None

    def ok(self):
        assert self.report.kind == DONE, f"{self.report}"
        return self

    def failed(self, code, *needles):
        assert self.report.kind == FAILED, f"{self.report}"
        assert os.strerror(self.report.code) == os.strerror(code), f"{self.report}"
        for needle in needles:
            assert needle.lower() in self.report.error.lower(), f"no {needle!r} in {self.report.error!r}"
        assert "\n" not in self.report.error
        return self


class Request:
    """One that is under way: its files, and the reading end of its ticks."""

    def __init__(self, number, kind, start=b"", listens=True):
        self.id, self.kind, self.fds = number, kind, []
        self.file = self.pipe = None
        self.ticks = []
        if kind in (MANIFEST, BLOB):
            self.file = os.memfd_create("body")
            os.write(self.file, start)
            self.fds.append(self.file)
        if kind == BLOB and listens:
            self.pipe, end = os.pipe()
            os.set_blocking(self.pipe, False)
            self.fds.append(end)

    def sent(self):
        """Our copy of what only the other side writes."""
        if self.pipe is not None:
            os.close(self.fds.pop())

    def read_ticks(self):
        while self.pipe is not None:
            try:
                data = os.read(self.pipe, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                return
            assert len(data) % 8 == 0
            self.ticks += [n for (n,) in struct.iter_unpack("=Q", data)]

    def body(self, report):
        """A manifest's is as long as the report says, a blob's as its file."""
        manifest = report.kind == DONE and self.kind == MANIFEST
        return None if self.file is None else os.pread(self.file, report.bytes if manifest else 1 << 30, 0)

    def close(self):
        for fd in {self.file, self.pipe} - {None}:
            os.close(fd)
        self.file = self.pipe = None


class Fetcher:
    """The program, started by `start` (subprocess.Popen by default), with every wait divided by `hurry`."""

    def __init__(self, program, hurry=30, arguments=(), prefix=(), start=subprocess.Popen, env=None):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MOST)
        self.socket, self.requests, self.results, self.last = ours, {}, {}, 0
        self.progress = {}
        words = [*map(os.fspath, prefix), os.fspath(program), f"--hurry={hurry}", *arguments]

        def place():  # descriptor 3, and no other
            os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)

        self.process = start(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env or {},
                             preexec_fn=place, close_fds=False, cwd="/")
        theirs.close()
        self.pid = self.process.pid

    def ask(self, kind, *endpoints, repository="library/test", reference="latest", offset=0, size=None, start=b"", listens=True):
        """Send a request; its number."""
        self.last += 1
        made = [e if isinstance(e, Endpoint) else Endpoint(e) for e in endpoints]
        fields = [(1, "NUMBER", self.last), (2, "NUMBER", kind), endpoints_field(made), (4, "TEXT", repository), (5, "TEXT", reference),
                  (6, "NUMBER", offset), *([] if size is None else [(7, "NUMBER", size)])]
        request = Request(self.last, kind, start, listens)
        self.send(flat.record(REQUEST, 1, fields), request.fds)
        request.sent()
        self.requests[self.last], self.progress[self.last] = request, []
        return self.last

    def ask_oddly(self, kind, endpoint, fds=(), repository="library/test", reference="latest"):
        """Send a request whose parts need not fit; wait for its end."""
        self.last += 1
        self.requests[self.last], self.progress[self.last] = Request(self.last, LOGIN), []
        fields = [(1, "NUMBER", self.last), (2, "NUMBER", kind), endpoints_field([Endpoint(endpoint)]), (4, "TEXT", repository),
                  (5, "TEXT", reference)]
        self.send(flat.record(REQUEST, 1, fields), fds)
        return self.wait(self.last)

    def send(self, data, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)

    def wait(self, number, timeout=TIMEOUT):
        """Wait for the end of a request."""
        deadline = time.monotonic() + patience(timeout)
        while number not in self.results:
            pipes = [r.pipe for r in self.requests.values() if r.pipe is not None]
            left = deadline - time.monotonic()
            assert left > 0, f"request {number} takes more than {timeout} s"
            ready, _, _ = select.select([self.socket, *pipes], [], [], min(left, 0.05))
            for request in list(self.requests.values()):
                request.read_ticks()
            if self.socket in ready:
                self.hear()
        return self.results.pop(number)

    def hear(self):
        data = self.socket.recv(MOST)
        assert data, f"cloister-fetch ended: {self.process.wait(10)}: {self.process.stderr.read()!r}"
        report = Report.read(data)
        if report.kind == PROGRESS:
            self.progress[report.id].append(report)
            return report
        request = self.requests.pop(report.id)
        request.read_ticks()
        self.results[report.id] = Result(report, self.progress.pop(report.id), request.body(report), request.ticks)
        request.close()
        return report

    def do(self, kind, *endpoints, timeout=TIMEOUT, **options):
        return self.wait(self.ask(kind, *endpoints, **options), timeout)

    def manifest(self, *endpoints, **options):
        return self.do(MANIFEST, *endpoints, **options)

    def login(self, *endpoints, **options):
        return self.do(LOGIN, *endpoints, **options)

    def blob(self, *endpoints, reference="sha256:" + "0" * 64, **options):
        return self.do(BLOB, *endpoints, reference=reference, **options)

    def pss_kib(self):
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def stop(self):
        """Close our end; its exit status. What it complained about is in `error`."""
        if self.process.stderr.closed:
            return self.process.returncode
        self.socket.close()
        for request in self.requests.values():
            request.close()
        self.requests = {}
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError("cloister-fetch goes on without its core") from None
        finally:
            self.error = self.process.stderr.read().decode()
            self.process.stderr.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
