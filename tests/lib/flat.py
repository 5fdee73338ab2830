"""Records in their flat form (src/base/flat.h), read and written apart from the program."""

import re
import struct
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src"
NUMBERS = {"BOOL", "ENUM", "COUNT", "SIZE", "DURATION", "MILLICPU", "MASK"}
ROW = re.compile(r'^CL_FIELD\((\d+), \w+, "([^"]+)", (\w+),', re.MULTILINE)


def fields(data, magic, version=1):
    """{id: payload} of the record whose magic begins with `magic`."""
    assert data[:8] == magic + b"\r\n", data[:24]
    found_version, count, total = struct.unpack_from("<IIQ", data, 8)
    assert found_version == version and total == len(data), (found_version, total, len(data))
    found, at = {}, 24
    for _ in range(count):
        number, size = struct.unpack_from("<II", data, at)
        found[number] = data[at + 8:at + 8 + size]
        at += 8 + (size + 7) // 8 * 8
    assert at == len(data)
    return found


def number(payload):
    return struct.unpack("<Q", payload)[0]


def text(payload):
    assert payload.endswith(b"\0") and payload.count(b"\0") == 1, payload
    return payload[:-1].decode()


def texts(payload):
    count = struct.unpack_from("<I", payload)[0]
    words = payload[4:].split(b"\0")
    assert words[-1] == b"" and len(words) == count + 1, payload
    return [word.decode() for word in words[:-1]]


def items(payload, numbers, words):
    """A list whose items are numbers (struct's letters) and then texts."""
    count, at, found = struct.unpack_from("<I", payload)[0], 4, []
    for _ in range(count):
        item = list(struct.unpack_from("<" + numbers, payload, at))
        at += struct.calcsize("<" + numbers)
        for _ in range(words):
            end = payload.index(b"\0", at)
            item.append(payload[at:end].decode())
            at = end + 1
        found.append(tuple(item))
    assert at == len(payload)
    return found


def payload(kind, value):
    """What is written for a value; KIND is NUMBER, TEXT or TEXTS, or RAW for what is bytes already."""
    if kind == "RAW":
        return value
    if kind == "NUMBER":
        return struct.pack("<Q", value)
    if kind == "TEXT":
        return value.encode() + b"\0"
    return struct.pack("<I", len(value)) + b"".join(payload("TEXT", word) for word in value)


def record(magic, version, values):
    """A whole record; VALUES are (id, kind, value)."""
    body = b""
    for identifier, kind, value in sorted(values):
        data = payload(kind, value)
        body += struct.pack("<II", identifier, len(data)) + data + bytes(-len(data) % 8)
    return magic + struct.pack("<IIQ", version, len(values), 24 + len(body)) + body


def plan_rows():
    """{path: (id, kind)} of the plan's fields that record() can write."""
    found = {}
    for identifier, path, kind in ROW.findall((SOURCES / "plan/fields.def").read_text()):
        if kind in NUMBERS or kind in ("STR", "STRLIST"):
            found[path] = int(identifier), {"STR": "TEXT", "STRLIST": "TEXTS"}.get(kind, "NUMBER")
    return found


def plan_version():
    return int(re.search(r"CL_PLAN_VERSION = (\d+)", (SOURCES / "plan/format.h").read_text())[1])


def plan_number(data, path):
    """The number in the field PATH of a plan."""
    return number(fields(data, b"clplan", plan_version())[plan_rows()[path][0]])


def plan(**values):
    """A plan: fields by their paths, with "_" for "."."""
    rows = {path.replace(".", "_"): row for path, row in plan_rows().items()}
    return record(b"clplan\r\n", plan_version(), [(*rows[path], value) for path, value in values.items()])
