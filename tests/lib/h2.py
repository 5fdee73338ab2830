"""A client of gRPC's HTTP/2, with frames made by hand: headers are written as they are, and read by nghttp2.

    client = Client(sock)
    stream = client.call("/SERVICE/Method", b"message", {"grpc-timeout": "1S"})
    client.read_until(lambda: client.answers[stream].ended)
"""

import ctypes
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_MOST = 16384


class _Field(ctypes.Structure):
    _fields_ = [("name", ctypes.POINTER(ctypes.c_uint8)), ("value", ctypes.POINTER(ctypes.c_uint8)), ("name_size", ctypes.c_size_t),
                ("value_size", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Inflater:
    """HPACK's other end: RFC 7541."""

    FINAL, EMIT = 1, 2

    def __init__(self):
        self.library, self.handle = ctypes.CDLL("libnghttp2.so.14"), ctypes.c_void_p()
        self.library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        self.library.nghttp2_hd_inflate_hd2.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Field), ctypes.POINTER(ctypes.c_int), ctypes.c_char_p,
                                                        ctypes.c_size_t, ctypes.c_int]
        assert self.library.nghttp2_hd_inflate_new(ctypes.byref(self.handle)) == 0

    def read(self, block):
        found, field, flags = [], _Field(), ctypes.c_int()
        while True:
            used = self.library.nghttp2_hd_inflate_hd2(self.handle, ctypes.byref(field), ctypes.byref(flags), block, len(block), 1)
            assert used >= 0, used
            block = block[used:]
            if flags.value & self.EMIT:
                found.append((ctypes.string_at(field.name, field.name_size).decode(), ctypes.string_at(field.value, field.value_size).decode()))
            if flags.value & self.FINAL:
                self.library.nghttp2_hd_inflate_end_headers(self.handle)
                return found

    def close(self):
        self.library.nghttp2_hd_inflate_del(self.handle)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(text):
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def message(payload):
    return b"\0" + struct.pack(">I", len(payload)) + payload


class Answer:
    def __init__(self):
        self.headers, self.body, self.ended, self.reset = [], b"", False, None

    def __getitem__(self, name):
        value, = [value for key, value in self.headers if key == name]
        return value

    def payload(self):
        assert self["grpc-status"] == "0" and self.body[:5] == b"\0" + struct.pack(">I", len(self.body) - 5)
        return self.body[5:]


class Client:
    def __init__(self, sock, window=65535):
        self.sock, self.answers, self.inflater, self.next, self.pending, self.gone = sock, {}, Inflater(), 1, b"", None
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window)))

    def close(self):
        self.sock.close()
        self.inflater.close()

    def start(self, path, headers=None, end=False):
        stream, self.next = self.next, self.next + 2
        self.answers[stream] = Answer()
        said = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "content-type": "application/grpc", "te": "trailers",
                **(headers or {})}
        block = b"".join(b"\0" + literal(name) + literal(value) for name, value in said.items())
        self.sock.sendall(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))
        return stream

    def call(self, path, payload, headers=None):
        """Within the windows: 64 KiB of all that is on its way."""
        stream, data = self.start(path, headers), message(payload)
        pieces = [data[at:at + FRAME_MOST] for at in range(0, len(data), FRAME_MOST)]
        self.sock.sendall(b"".join(frame(DATA, END_STREAM if piece is pieces[-1] else 0, stream, piece) for piece in pieces))
        return stream

    def reset(self, stream):
        self.sock.sendall(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))

    def read_until(self, condition):
        while not condition():
            data = self.sock.recv(1 << 16)
            assert data, "the connection has ended"
            self.pending += data
            while len(self.pending) >= 9:
                size = int.from_bytes(self.pending[:3], "big")
                if len(self.pending) < 9 + size:
                    break
                kind, flags, stream = struct.unpack(">BBI", self.pending[3:9])
                payload, self.pending = self.pending[9:9 + size], self.pending[9 + size:]
                self._take(kind, flags, stream, payload)

    def _take(self, kind, flags, stream, payload):
        answer = self.answers.get(stream)
        if kind == HEADERS:
            assert flags & END_HEADERS
            answer.headers += self.inflater.read(payload)
        elif kind == DATA:
            answer.body += payload
            if payload:
                update = struct.pack(">I", len(payload))
                self.sock.sendall(frame(WINDOW_UPDATE, 0, 0, update) + (b"" if flags & END_STREAM else frame(WINDOW_UPDATE, 0, stream, update)))
        elif kind == SETTINGS and not flags & ACK:
            self.sock.sendall(frame(SETTINGS, ACK, 0))
        elif kind == RST_STREAM:
            answer.reset = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.gone = int.from_bytes(payload[4:8], "big")
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            answer.ended = True
