"""Tar archives, honest ones and others, made from lists of entries.

Every byte of a header can be said: Entry.fields replaces a field of the 512-byte block as it
stands, Entry.size and Entry.pax lie, and Raw puts any bytes between the entries. What isn't told
otherwise is as GNU tar --format=pax would write it.
"""

import os
import stat
from dataclasses import dataclass, field, replace

BLOCK = 512
# field: (offset, length), POSIX.1-2017 pax, "ustar Interchange Format"
FIELDS = {"name": (0, 100), "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12), "mtime": (136, 12), "chksum": (148, 8),
          "type": (156, 1), "link": (157, 100), "magic": (257, 8), "uname": (265, 32), "gname": (297, 32), "major": (329, 8), "minor": (337, 8),
          "prefix": (345, 155)}
USTAR, GNU = b"ustar\x0000", b"ustar  \x00"
FILE, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
END = bytes(2 * BLOCK)
MTIME = 1_700_000_000_000_000_000  # of entries that don't care, in nanoseconds
ZEROS = bytes(1 << 20)


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)


@dataclass
class Zeros:
    """So many zero bytes as the data of an entry."""

    size: int

    def __len__(self):
        return self.size

    def __iter__(self):
        for _ in range(self.size // len(ZEROS)):
            yield ZEROS
        yield ZEROS[:self.size % len(ZEROS)]


@dataclass
class Entry:
    """One thing in an archive. data: bytes, or an iterable of bytes that has a length."""

    name: bytes
    type: bytes = FILE
    data: object = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = MTIME  # ns
    link: bytes = b""
    uname: bytes = b""
    gname: bytes = b""
    device: tuple = (0, 0)
    xattrs: dict = field(default_factory=dict)  # {name: bytes}
    pax: list = field(default_factory=list)     # further records: (key, value), in order, also twice
    format: str = "pax"                         # or "gnu" (L and K entries), "ustar" (prefix and name)
    size: int = None                            # what the header says instead of the data's length
    fields: dict = field(default_factory=dict)  # {field of the header: its bytes}
    pax_body: bytes = None                      # all bytes of the extended header instead of records
    padded: bool = True

    def chunks(self):
        """Its bytes in the archive."""
        name, link = to_bytes(self.name), to_bytes(self.link)
        size = len(self.data) if self.size is None else self.size
        records = self._records(name, link, size) if self.format == "pax" else [(key, value) for key, value in self.pax]
        body = self.pax_body if self.pax_body is not None else b"".join(pax_record(key, value) for key, value in records)
        if body:
            yield extended(body)
        prefix = b""
        if self.format == "gnu":
            yield b"".join(long_word(kind, word) for kind, word in ((b"K", link), (b"L", name)) if len(word) > 100)
        elif len(name) > 100:
            prefix, name = split_name(name)
        yield header(name=name, link=link, prefix=prefix, mode=self.mode, uid=self.uid, gid=self.gid, size=size, mtime=self.mtime // 10**9,
                     type=self.type, magic=GNU if self.format == "gnu" else USTAR, uname=to_bytes(self.uname), gname=to_bytes(self.gname),
                     major=self.device[0], minor=self.device[1], fields=self.fields)
        yield from [self.data] if isinstance(self.data, bytes) else self.data
        if self.padded:
            yield bytes(-len(self.data) % BLOCK)

    def _records(self, name, link, size):
        records = []
        if len(name) > 100 or max(name, default=0) > 127:
            records.append(("path", name))
        if len(link) > 100 or max(link, default=0) > 127:
            records.append(("linkpath", link))
        if size >= 1 << 33:
            records.append(("size", size))
        for key, value in (("uid", self.uid), ("gid", self.gid)):
            if value >= 1 << 21:
                records.append((key, value))
        if self.mtime % 10**9 or self.mtime < 0:
            sign, whole, part = "-" if self.mtime < 0 else "", *divmod(abs(self.mtime), 10**9)
            records.append(("mtime", f"{sign}{whole}.{part:09}"))
        records += [(b"SCHILY.xattr." + to_bytes(key), value) for key, value in self.xattrs.items()]
        return records + list(self.pax)


@dataclass
class Raw:
    """Bytes that stand in an archive as they are."""

    data: bytes

    def chunks(self):
        yield self.data


def number(value, length):
    """Octal, or base 256 where that is too short (GNU's way)."""
    if 0 <= value < 8 ** (length - 1):
        return b"%0*o\0" % (length - 1, value)
    return (value % (1 << 8 * length) | 1 << (8 * length - 1)).to_bytes(length, "big")


def header(fields=None, **values):
    """One 512-byte block; `fields` come last and count as they are."""
    block = bytearray(BLOCK)
    texts = {"name", "type", "link", "magic", "uname", "gname", "prefix"}
    octal = {key: number(values.get(key, 0), FIELDS[key][1]) for key in FIELDS if key not in texts | {"chksum"}}
    plain = {key: values.get(key, b"") for key in texts}
    for key, data in {**octal, **plain, "chksum": b" " * 8, **(fields or {})}.items():
        at, length = FIELDS[key]
        block[at:at + length] = data[:length].ljust(length, b"\0")
    if "chksum" not in (fields or {}):
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax_record(key, value):
    """LENGTH key=value newline, where the length counts itself."""
    rest = b" " + to_bytes(key) + b"=" + (str(value).encode() if isinstance(value, int) else to_bytes(value)) + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def extended(body, type=b"x", name=b"PaxHeaders/x", size=None):
    """An extended header with this body; type g is a global one."""
    head = header(name=name, mode=0o644, size=len(body) if size is None else size, type=type, magic=USTAR)
    return head + body + bytes(-len(body) % BLOCK)


def long_word(kind, word):
    """GNU's entry before one whose name (L) or link (K) is long."""
    return header(name=b"././@LongLink", size=len(word) + 1, type=kind, magic=GNU) + word + b"\0" + bytes(-(len(word) + 1) % BLOCK)


def split_name(name):
    """(prefix, name) of a ustar header, or what fits when no slash is where it has to be."""
    at = name.find(b"/", max(0, len(name) - 101))
    if 0 < at <= 155:
        return name[:at], name[at + 1:]
    return b"", name[:100]


def chunks(entries, end=True):
    """An archive, piece by piece."""
    for entry in entries:
        yield from entry.chunks()
    if end:
        yield END


def tar(entries, end=True):
    return b"".join(chunks(entries, end))


# -- entries as one says them

def file(name, data=b"", mode=0o644, **more):
    return Entry(name, FILE, to_bytes(data) if isinstance(data, (str, bytes)) else data, mode=mode, **more)


def directory(name, mode=0o755, **more):
    return Entry(to_bytes(name).rstrip(b"/") + b"/", DIRECTORY, mode=mode, **more)


def symlink(name, target, **more):
    return Entry(name, SYMLINK, link=to_bytes(target), mode=0o777, **more)


def hardlink(name, target, mode=0o644, **more):
    return Entry(name, HARDLINK, link=to_bytes(target), mode=mode, **more)


def fifo(name, mode=0o644, **more):
    return Entry(name, FIFO, mode=mode, **more)


def device(name, major, minor, kind=CHAR, mode=0o666, **more):
    return Entry(name, kind, device=(major, minor), mode=mode, **more)


def whiteout(name, **more):
    """Removes what lower layers have under this name."""
    directory_part, slash, last = to_bytes(name).rpartition(b"/")
    return Entry(directory_part + slash + b".wh." + last, FILE, mode=0, **more)


def opaque(name, **more):
    """Removes what lower layers have in this directory."""
    return Entry(to_bytes(name).rstrip(b"/") + b"/.wh..wh..opq", FILE, mode=0, **more)


def changed(entry, **changes):
    """The same entry with other values: a lie about an honest one."""
    return replace(entry, **changes)


# -- sparse files: GNU tar's manual, "Storing Sparse Files"

def sparse(name, segments, size, format="1.0", pairs=None, **more):
    """A file of `size` bytes that holds the segments [(offset, bytes)], in one of GNU tar's four formats.

    GNU tar itself wants whole blocks in all segments but the last. The map is written as the
    segments are, or as `pairs` says: out of order, overlapping, beyond the end.
    """
    name, data = to_bytes(name), b"".join(data for _, data in segments)
    if pairs is None:  # a hole at the end has an empty segment after it
        pairs = [(offset, len(data)) for offset, data in segments]
        pairs += [(size, 0)] if not pairs or sum(pairs[-1]) < size else []
    if format == "old":
        return _old_sparse(name, pairs, data, size, **more)
    first, _, last = name.rpartition(b"/")
    stored = (first + b"/" if first else b"") + b"GNUSparseFile.0/" + last
    numbers = [number for pair in pairs for number in pair]
    if format == "1.0":
        table = "\n".join(map(str, [len(pairs), *numbers, ""])).encode()
        records = [("GNU.sparse.major", 1), ("GNU.sparse.minor", 0), ("GNU.sparse.name", name), ("GNU.sparse.realsize", size)]
        return Entry(stored, FILE, table + bytes(-len(table) % BLOCK) + data, pax=records, **more)
    if format == "0.1":
        records = [("GNU.sparse.size", size), ("GNU.sparse.numblocks", len(pairs)), ("GNU.sparse.name", name),
                   ("GNU.sparse.map", ",".join(map(str, numbers)))]
        return Entry(stored, FILE, data, pax=records, **more)
    assert format == "0.0", format
    records = [("GNU.sparse.size", size), ("GNU.sparse.numblocks", len(pairs))]
    for offset, length in pairs:
        records += [("GNU.sparse.offset", offset), ("GNU.sparse.numbytes", length)]
    return Entry(name, FILE, data, pax=records, **more)


def _old_sparse(name, pairs, data, size, mode=0o644, **more):
    """Type S: four pairs in the header, 21 in each block that follows it."""
    def numbers(some):
        return b"".join(number(offset, 12) + number(length, 12) for offset, length in some)

    block = bytearray(header(name=name, mode=mode, size=len(data), mtime=MTIME // 10**9, type=b"S", magic=GNU, **more))
    block[386:386 + 96] = numbers(pairs[:4]).ljust(96, b"\0")
    block[482] = len(pairs) > 4
    block[483:495] = number(size, 12)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    rest, more_blocks = pairs[4:], b""
    while rest:
        more_blocks += numbers(rest[:21]).ljust(504, b"\0") + bytes([len(rest) > 21]) + bytes(7)
        rest = rest[21:]
    return Raw(bytes(block) + more_blocks + data + bytes(-len(data) % BLOCK))


# -- from a directory

KINDS = {stat.S_IFREG: FILE, stat.S_IFLNK: SYMLINK, stat.S_IFCHR: CHAR, stat.S_IFBLK: BLOCKDEV, stat.S_IFDIR: DIRECTORY, stat.S_IFIFO: FIFO}
OVERLAY = "trusted.overlay."


class FileData:
    """The content of a file, read when it is its turn."""

    def __init__(self, path, size):
        self.path, self.size = path, size

    def __len__(self):
        return self.size

    def __iter__(self):
        with open(self.path, "rb") as opened:
            while data := opened.read(1 << 20):
                yield data


def from_directory(top, upper=False):
    """The entries of a tree, sorted; of an overlay's upper directory with whiteouts as OCI has them. Sockets are left out."""
    first = {}  # inode: the name that the other links of it point to
    for directory_path, names, files in os.walk(top):
        names.sort()
        links = [name for name in names if os.path.islink(os.path.join(directory_path, name))]
        if directory_path != os.fspath(top):
            yield from _seen_entry(top, directory_path, upper, first)
        for name in sorted(files + links):
            yield from _seen_entry(top, os.path.join(directory_path, name), upper, first)


def _seen_entry(top, path, upper, first):
    seen, name = os.lstat(path), os.path.relpath(path, top)
    kind = KINDS.get(stat.S_IFMT(seen.st_mode))
    if kind is None:
        return
    if upper and kind == CHAR and seen.st_rdev == 0:
        yield whiteout(name, mtime=seen.st_mtime_ns)
        return
    xattrs = {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)}
    values = {"mode": stat.S_IMODE(seen.st_mode), "uid": seen.st_uid, "gid": seen.st_gid, "mtime": seen.st_mtime_ns,
              "xattrs": {key: value for key, value in xattrs.items() if not key.startswith(OVERLAY)}}
    if kind != DIRECTORY and seen.st_nlink > 1:
        other = first.setdefault((seen.st_dev, seen.st_ino), name)
        if other != name:
            yield Entry(name, HARDLINK, link=to_bytes(other), **values)
            return
    if kind == DIRECTORY:
        yield directory(name, **values)
        if upper and xattrs.get(OVERLAY + "opaque") == b"y":
            yield opaque(name, mtime=seen.st_mtime_ns)
    elif kind == FILE:
        yield Entry(name, FILE, FileData(path, seen.st_size), **values)
    elif kind == SYMLINK:
        yield Entry(name, SYMLINK, link=to_bytes(os.readlink(path)), **values)
    else:
        yield Entry(name, kind, device=(os.major(seen.st_rdev), os.minor(seen.st_rdev)), **values)
