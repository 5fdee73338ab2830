"""A small web server for tests: it remembers what it was asked, and can be told to misbehave.

A server answers as its kind does (`honest`), or as the first of its rules that fits a request
says: lib/web_faults.py has what a rule can do. Each connection has a thread of its own, which
ends with the server.
"""

import http.client
import re
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from lib.patience import patience

IDLE = 60  # seconds without a byte after which a connection is given up


@dataclass
class Seen:
    """One request, as it came."""

    method: str
    target: str
    headers: list  # of (name, value), in order
    body: bytes = b""
    status: int = None  # what it was answered
    size: int = 0       # bytes of the answer's body that were written
    ended: bool = False  # is the answer out?

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def query(self):
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query, keep_blank_values=True).items()}

    @property
    def form(self):
        return {name: values[-1] for name, values in parse_qs(self.body.decode("latin-1"), keep_blank_values=True).items()}

    def all(self, name):
        return [value for header, value in self.headers if header.lower() == name.lower()]

    def header(self, name):
        """The last value of a header, or None."""
        return (self.all(name) or [None])[-1]

    @property
    def range(self):
        return self.header("Range")

    @property
    def agent(self):
        return self.header("User-Agent")

    @property
    def authorization(self):
        """basic, bearer, another scheme, or None."""
        value = self.header("Authorization")
        return value.split(" ")[0].lower() if value else None

    def __str__(self):
        extra = [f"{name}: {self.header(name)}" for name in ("Range", "Authorization") if self.header(name)]
        return " ".join([self.method, self.target, *extra, f"-> {self.status}"])


@dataclass
class Reply:
    """An answer: body is bytes, an iterable of bytes, or None."""

    status: int = 200
    headers: list = field(default_factory=list)
    body: object = b""

    def header(self, name):
        return next((value for header, value in self.headers if header.lower() == name.lower()), None)

    def set(self, name, *values):
        """Replace a header by so many, which may be none."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        self.headers += [(name, value) for value in values]
        return self

    def chunks(self):
        """The body in pieces."""
        if self.body is None:
            return iter(())
        return iter([self.body] if isinstance(self.body, (bytes, bytearray, memoryview)) else self.body)

    def whole(self):
        """The body as bytes; it stays there to be sent."""
        self.body = b"".join(self.chunks())
        return self.body


class Exchange:
    """A request that is being answered."""

    def __init__(self, server, seen, handler):
        self.server, self.seen, self._handler = server, seen, handler
        self.stopping = server.stopping

    def honest(self, without=()):
        """The answer as it should be; `without` names headers of the request to pass over."""
        dropped = {name.lower() for name in without}
        asked = Seen(self.seen.method, self.seen.target, [pair for pair in self.seen.headers if pair[0].lower() not in dropped], self.seen.body)
        reply = self.server.honest(asked)
        if self.seen.method == "HEAD":  # says the length of what it doesn't send
            if reply.body and reply.header("Content-Length") is None:
                reply.set("Content-Length", len(reply.whole()))
            reply.body = None
        return reply

    def write(self, data):
        self._handler.wfile.write(data)

    def head(self, status, headers, reason=None):
        """Status line and headers, exactly these."""
        self.seen.status = status
        lines = [f"HTTP/1.1 {status} {reason or http.client.responses.get(status, 'Odd')}", *(f"{name}: {value}" for name, value in headers)]
        self.write("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"))

    def piece(self, data):
        """Some bytes of the body."""
        self.write(data)
        self.seen.size += len(data)

    def send(self, reply):
        """A whole answer; with its length when the body is bytes, else by its own headers or chunked."""
        if self.seen.method != "HEAD" and reply.header("Content-Length") is None and reply.header("Transfer-Encoding") is None:
            plain = isinstance(reply.body, (bytes, bytearray)) or reply.body is None
            reply.set(*(("Content-Length", len(reply.body or b"")) if plain else ("Transfer-Encoding", "chunked")))
        self.head(reply.status, reply.headers)
        if self.seen.method == "HEAD":
            return
        chunked = (reply.header("Transfer-Encoding") or "").lower() == "chunked"
        for data in reply.chunks():
            if data and chunked:
                self.write(b"%x\r\n" % len(data))
            self.piece(data)
            if data and chunked:
                self.write(b"\r\n")
        if chunked:
            self.write(b"0\r\n\r\n")

    def close(self, reset=False):
        """End the connection after this; with reset, by RST in the middle of it."""
        self._handler.close_connection = True
        if reset:
            self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._handler.drop()


class _Handler(BaseHTTPRequestHandler):
    """What the standard library knows of requests; answering is our own."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE

    def handle_one_request(self):
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(1 << 16)
        if self.raw_requestline and self.parse_request():
            seen = Seen(self.command, self.raw_requestline.decode("latin-1").split(" ")[1], list(self.headers.items()), self._body())
            self.server.serve(Exchange(self.server, seen, self))
            self.wfile.flush()

    def _body(self):
        try:
            return self._read_body()
        except ValueError as error:
            raise ConnectionError("no such length") from error

    def _read_body(self):
        if (self.headers.get("Transfer-Encoding") or "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(pieces)

    def drop(self):
        self.server.close(self.connection)

    def log_message(self, *_):
        pass


class Rule:
    """For requests whose path (with query) matches: what to do with the n-th of them (from 1; None: with each)."""

    def __init__(self, pattern, fault, method=None, nth=None):
        self.pattern, self.fault, self.method = re.compile(pattern), fault, method
        self.nth = {nth} if isinstance(nth, int) else nth
        self.matched = 0
        self.hits = []  # the requests that it was applied to

    def takes(self, seen):
        if self.method not in (None, seen.method) or not self.pattern.search(seen.target):
            return False
        self.matched += 1
        if self.nth is not None and self.matched not in self.nth:
            return False
        self.hits.append(seen)
        return True


class Server:
    """Listens on a free port of the loopback interface from the start to stop()."""

    def __init__(self, host="127.0.0.1", tls=None):
        """tls: an Authority (lib/certificates.py), or the ssl.SSLContext of an odd server; `ca` is then what clients trust."""
        self.host, self.ca = host, getattr(tls, "ca", None)
        self.tls = tls.server_context() if self.ca else tls
        self.requests, self.rules, self.connections = [], [], 0
        self.stopping = threading.Event()
        self.news = threading.Condition()
        self._open, self._threads = set(), []
        self._listener = socket.create_server((host, 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=f"accept on {self.port}", daemon=True)
        self._acceptor.start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.address}"

    def on(self, pattern, fault, method=None, nth=None):
        """Add a rule; the first one that takes a request decides."""
        rule = Rule(pattern, fault, method, nth)
        with self.news:
            self.rules.append(rule)
        return rule

    def forget(self):
        """No rules any more, and no requests."""
        with self.news:
            self.rules.clear()
            self.requests.clear()

    def honest(self, seen):
        """The answer to a request: of each kind of server its own."""
        return Reply(404)

    def seen(self, pattern="", method=None):
        """The requests so far whose target matches."""
        with self.news:
            return [seen for seen in self.requests if re.search(pattern, seen.target) and method in (None, seen.method)]

    def wait_seen(self, pattern="", count=1, timeout=20):
        """Wait until so many matching requests have come."""
        return self._wait(lambda: self.seen(pattern), pattern, count, timeout)

    def wait_ended(self, pattern="", count=1, timeout=20):
        """Wait until so many are answered: what one was answered is known a moment after its client has it."""
        return self._wait(lambda: [seen for seen in self.seen(pattern) if seen.ended], pattern, count, timeout)

    def _wait(self, look, pattern, count, timeout):
        with self.news:
            found = self.news.wait_for(lambda: len(look()) >= count, patience(timeout))
            assert found, f"no {count} requests for {pattern!r} within {timeout} s, only: " + "; ".join(map(str, self.requests))
            return look()

    def serve(self, exchange):
        with self.news:
            self.requests.append(exchange.seen)
            rule = next((rule for rule in self.rules if rule.takes(exchange.seen)), None)
            self.news.notify_all()
        try:
            if rule is None:
                exchange.send(exchange.honest())
            else:
                rule.fault(exchange)
        finally:
            with self.news:
                exchange.seen.ended = True
                self.news.notify_all()

    def _accept(self):
        while not self.stopping.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return  # stop() has shut it
            with self.news:
                self.connections += 1
                self._open.add(connection)
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                thread = threading.Thread(target=self._talk, args=(connection, peer), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _talk(self, connection, peer):
        try:
            connection.settimeout(IDLE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                plain, connection = connection, self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with self.news:
                    self._open = (self._open - {plain}) | {connection}
                connection.do_handshake()
            _Handler(connection, peer, self)
        except OSError:
            pass  # the client has had enough, or sent no HTTP
        finally:
            self.close(connection)

    def close(self, connection):
        with self.news:
            self._open.discard(connection)
        try:
            connection.close()
        except OSError:
            pass

    def stop(self):
        """End every connection and thread."""
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(10)
        self._listener.close()
        with self.news:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # its client was quicker
            threads = list(self._threads)
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads), f"a connection to {self.address} does not end"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Elsewhere(Server):
    """Another host: answers everything with 200 and the same bytes, and records who came with what."""

    def __init__(self, body=b"elsewhere\n", **options):
        self.body = body
        super().__init__(**options)

    def honest(self, seen):
        return Reply(200, [("Content-Type", "application/octet-stream")], self.body)


def connect(server, timeout=60):
    """A connection of http.client to anything that has host, port, and ca: None, or the only CA that is trusted."""
    if server.ca is None:
        return http.client.HTTPConnection(server.host, server.port, timeout=timeout)
    context = ssl.create_default_context(cafile=str(server.ca))
    return http.client.HTTPSConnection(server.host, server.port, timeout=timeout, context=context)
