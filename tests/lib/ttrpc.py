"""A client of ttrpc, and as much of protocol buffers as containerd's task service needs.

    with Client(path) as shim:
        code, fields = shim.call("containerd.task.v2.Task", "State", {1: "id"})

A message is {number: value}: text, bytes, a number, another message, or a list of such.
"""

import contextlib
import os
import socket
import struct
import threading

REQUEST, RESPONSE, DATA = 1, 2, 3
HEADER = struct.Struct(">IIBB")


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(message):
    out = b""
    for number, value in message.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int):
                out += varint(number << 3) + varint(one)
            else:
                data = encode(one) if isinstance(one, dict) else one.encode() if isinstance(one, str) else bytes(one)
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def take_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if not byte & 0x80:
            return value, at


def decode(data):
    """{number: [values]}: numbers, and bytes of what may be a text or a message."""
    found, at = {}, 0
    while at < len(data):
        key, at = take_varint(data, at)
        value, at = take_varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        found.setdefault(key >> 3, []).append(value)
    return found


def frame(stream, data, kind=REQUEST, flags=0, size=None):
    return HEADER.pack(len(data) if size is None else size, stream, kind, flags) + data


def request(service, method, message, timeout_ns=0, metadata=()):
    return encode({1: service, 2: method, 3: encode(message), **({4: timeout_ns} if timeout_ns else {}),
                   5: [{1: key, 2: value} for key, value in metadata]})


def exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.stream, self.answers = -1, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def begin(self, service, method, message, **more):
        """Sends a call; its stream."""
        self.stream += 2
        self.socket.sendall(frame(self.stream, request(service, method, message, **more)))
        return self.stream

    def receive(self):
        """The next answer: its stream, code, message, and the fields of its payload."""
        size, stream, kind, _ = HEADER.unpack(exactly(self.socket, HEADER.size))
        assert kind == RESPONSE
        fields = decode(exactly(self.socket, size))
        status = decode(fields.get(1, [b""])[0])
        return stream, status.get(1, [0])[0], status.get(2, [b""])[0].decode(), decode(fields.get(2, [b""])[0])

    def end(self, stream):
        """Of that call: code, message, fields."""
        while stream not in self.answers:
            got, *rest = self.receive()
            self.answers[got] = rest
        return self.answers.pop(stream)

    def call(self, service, method, message, **more):
        return self.end(self.begin(service, method, message, **more))


class Service:
    """One that CLIENT reaches; whoever is one says by `begin` how its methods are asked."""

    def end(self, stream):
        code, why, fields = self.client.end(stream)
        assert code == 0, (code, why)
        return fields

    def call(self, method, message, **more):
        return self.end(self.begin(method, message, **more))

    def refused(self, method, message, code, *words, **more):
        got, why, _ = self.client.end(self.begin(method, message, **more))
        assert got == code and all(word in why for word in words), (got, why)


class Events:
    """Stands where containerd listens for events: [(topic, namespace, fields)], as they come. While it is away, nobody listens.

    What it refuses isn't in `seen`; `times` has for each that is in which of its lives it came.
    """

    def __init__(self, path):
        self.path, self.seen, self.refusals = str(path), [], 0
        self.times, self.life = [], 0
        self.thread = None

    def begin(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.life += 1
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.connections, self.servers = [], []
        self.thread = threading.Thread(target=self._accept, args=[self.listener], daemon=True)
        self.thread.start()
        return self

    def end(self):
        """Goes away, as containerd does that is killed; what comes behind that is of another life."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for server in self.servers:
            server.join()
        for connection in self.connections:
            connection.close()

    def __enter__(self):
        return self.begin()

    def __exit__(self, *_):
        self.end()

    def _accept(self, listener):
        with contextlib.suppress(OSError, EOFError):
            while True:
                connection, _ = listener.accept()
                self.connections.append(connection)
                self.servers.append(threading.Thread(target=self._serve, args=[connection], daemon=True))
                self.servers[-1].start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, EOFError):
            while True:
                size, stream, _, _ = HEADER.unpack(exactly(connection, HEADER.size))
                data = exactly(connection, size)
                if self.refusals > 0:
                    self.refusals -= 1
                    connection.sendall(frame(stream, encode({1: {1: 14, 2: "not now"}}), RESPONSE))
                    continue
                envelope = decode(decode(decode(data)[3][0])[1][0])
                self.times.append(self.life)
                self.seen.append((envelope[3][0].decode(), envelope[2][0].decode(), decode(decode(envelope[4][0])[2][0])))
                connection.sendall(frame(stream, b"", RESPONSE))

    def topics(self):
        return [topic for topic, _, _ in self.seen]
