"""Records in their flat form (src/base/flat.h), read apart from the program."""

import struct


def fields(data, magic):
    """{id: payload} of the record whose magic begins with `magic`."""
    assert data[:8] == magic + b"\r\n", data[:24]
    version, count, total = struct.unpack_from("<IIQ", data, 8)
    assert version == 1 and total == len(data), (version, total, len(data))
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
