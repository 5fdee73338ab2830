"""Compressed streams of every kind that a layer can come in, and those that no layer should.

Nothing here is stored longer than it has to be: Repeated says a terabyte in a few megabytes.
"""

import hashlib
import struct
import subprocess
import zlib
from dataclasses import dataclass

from lib import tars

FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16  # RFC 1952, 2.3.1
CRC_POLYNOMIAL = 0xEDB88320
ZSTD_MAGIC, ZSTD_BLOCK = 0xFD2FB528, 128 << 10  # RFC 8878, 3.1.1
COMPRESSIONS = ("gzip", "zstd", "none", "members", "frames")
UNIT = 16 << 20  # zeros in one unit of a gzip bomb


def deflate(data, level=6, flush=zlib.Z_FINISH):
    stream = zlib.compressobj(level, wbits=-15)
    return stream.compress(data) + stream.flush(flush)


def gzip(data, level=6, name=None, comment=None, extra=None, header_crc=False, crc=None, size=None):
    """One member; crc and size replace the truth in its trailer."""
    flags = sum(bit for bit, wanted in ((FHCRC, header_crc), (FEXTRA, extra is not None), (FNAME, name is not None),
                                        (FCOMMENT, comment is not None)) if wanted)
    head = b"\x1f\x8b\x08" + bytes([flags, 0, 0, 0, 0, 0, 255])
    if extra is not None:
        head += struct.pack("<H", len(extra)) + extra
    head += b"".join(word + b"\0" for word in (name, comment) if word is not None)
    if header_crc:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    return head + deflate(data, level) + trailer(zlib.crc32(data) if crc is None else crc, len(data) if size is None else size)


def trailer(crc, size):
    return struct.pack("<II", crc, size & 0xFFFFFFFF)


def members(data, size=1 << 16, level=6):
    """Many gzip members, one after the other: one stream all the same (RFC 1952, 2.2)."""
    return b"".join(gzip(data[at:at + size], level) for at in range(0, max(len(data), 1), size))


def zstd(data, level=3):
    return subprocess.run(["zstd", "-q", "-c", f"-{level}"], input=data, capture_output=True, check=True, timeout=60).stdout


def zstd_frames(data, size=1 << 16):
    """Many zstd frames, and skippable ones between them."""
    pieces = [zstd(data[at:at + size]) for at in range(0, max(len(data), 1), size)]
    return b"".join(piece + skippable(b"tests") for piece in pieces)


def skippable(data):
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def compress(data, how="gzip"):
    return {"gzip": gzip, "zstd": zstd, "none": bytes, "members": members, "frames": zstd_frames}[how](data)


@dataclass
class Repeated:
    """head, `times` times unit, tail: bytes that are never all there at once."""

    head: bytes
    unit: bytes
    times: int
    tail: bytes = b""

    @property
    def size(self):
        return len(self.head) + self.times * len(self.unit) + len(self.tail)

    def __len__(self):
        return self.size

    def __iter__(self):
        yield self.head
        many = max(1, (1 << 20) // max(len(self.unit), 1))
        block = self.unit * many
        for _ in range(self.times // many):
            yield block
        yield self.unit * (self.times % many)
        yield self.tail


# -- bombs: archives of one file, zeros, that are far longer than what is downloaded

@dataclass
class Bomb:
    stream: object   # bytes or Repeated: the layer's blob
    unpacked: int    # bytes of the archive that it holds
    diff_id: str     # the true one, or None when nobody can wait for it

    @property
    def ratio(self):
        return self.unpacked / len(self.stream)


def bomb(size, how="gzip", name="bomb"):
    """A layer with one file of so many zeros: about 1000:1 by gzip, 32000:1 by zstd (whose 2^40 are 32 MiB)."""
    head = tars.tar([tars.Entry(name, size=size, format="gnu")], end=False)
    zeros = size + -size % tars.BLOCK + len(tars.END)
    stream = _gzip_zeros(head, zeros) if how == "gzip" else _zstd_zeros(head, zeros)
    digest = None
    if size <= 1 << 32:
        digest = "sha256:" + digest_of([head, *tars.Zeros(zeros)])
    return Bomb(stream, len(head) + zeros, digest)


def digest_of(pieces):
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _gzip_zeros(head, zeros):
    """One member. After a full flush nothing refers back, so that a unit can be repeated."""
    start = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflate(head, 9, zlib.Z_FULL_FLUSH)
    unit = deflate(bytes(UNIT), 9, zlib.Z_FULL_FLUSH)
    end = deflate(bytes(zeros % UNIT), 9) + trailer(crc_with_zeros(zlib.crc32(head), zeros), len(head) + zeros)
    return Repeated(start, unit, zeros // UNIT, end)


def _zstd_zeros(head, zeros):
    """One frame of RLE blocks: four bytes are 128 KiB."""
    def block(kind, size, data, last=0):
        return (last | kind << 1 | size << 3).to_bytes(3, "little") + data

    start = struct.pack("<I", ZSTD_MAGIC) + bytes([0, 7 << 3]) + block(0, len(head), head)  # no checksum, window of 128 KiB
    return Repeated(start, block(1, ZSTD_BLOCK, b"\0"), zeros // ZSTD_BLOCK, block(1, zeros % ZSTD_BLOCK, b"\0", last=1))


def _times(a, b):
    """The product of two polynomials modulo CRC-32's, bits reversed."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (CRC_POLYNOMIAL if b & 1 else 0)
    return product


def crc_with_zeros(crc, zeros):
    """The CRC-32 of what had this one and goes on with so many zero bytes."""
    power, square = 1 << 31, 1 << 23  # 1 and x^8
    while zeros:
        if zeros & 1:
            power = _times(power, square)
        square = _times(square, square)
        zeros >>= 1
    return _times(power, crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
