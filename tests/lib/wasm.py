"""WebAssembly programs of the tests: built from tests/wasm, or written byte by byte."""

import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "wasm"
I32, I64 = 0x7F, 0x7E
WASI = "wasi_snapshot_preview1"


def compile_guest(directory, name="guest"):
    """tests/wasm/NAME.c as a module in DIRECTORY, readable by everybody."""
    made = Path(directory) / f"{name}.wasm"
    subprocess.run(["clang", "--target=wasm32-wasi", "-O1", "-Wall", "-Werror", "-o", made, SOURCES / f"{name}.c"], check=True, timeout=120)
    made.chmod(0o755)
    return made


def number(value):
    """Unsigned LEB128."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def vector(items):
    items = list(items)
    return number(len(items)) + b"".join(items)


def name(text):
    return vector(bytes([b]) for b in text.encode())


def section(kind, body):
    return bytes([kind]) + number(len(body)) + body


def module(*, types=(), imports=(), functions=(), memory=None, exports=(), start=None, data=()):
    """A module: TYPES are (parameters, results); IMPORTS are (module, name, type); FUNCTIONS are (type, body),
    counted after the imports; MEMORY is (least, most or None) pages; EXPORTS are (name, kind, index)."""
    parts = [b"\0asm\1\0\0\0", section(1, vector(b"\x60" + vector(bytes([p]) for p in ps) + vector(bytes([r]) for r in rs) for ps, rs in types))]
    if imports:
        parts.append(section(2, vector(name(where) + name(what) + b"\0" + number(kind) for where, what, kind in imports)))
    parts.append(section(3, vector(number(kind) for kind, _ in functions)))
    if memory is not None:
        least, most = memory
        parts.append(section(5, vector([b"\0" + number(least) if most is None else b"\1" + number(least) + number(most)])))
    parts.append(section(7, vector(name(what) + bytes([kind]) + number(index) for what, kind, index in exports)))
    if start is not None:
        parts.append(section(8, number(start)))
    bodies = [b"\0" + body + b"\x0b" for _, body in functions]
    parts.append(section(10, vector(number(len(body)) + body for body in bodies)))
    if data:
        parts.append(section(11, vector(b"\0\x41" + number(at) + b"\x0b" + vector(bytes([b]) for b in what) for at, what in data)))
    return b"".join(parts)


def command(body, **more):
    """A module whose _start is BODY."""
    return module(types=[((), ())], functions=[(0, body)], memory=more.pop("memory", (1, None)),
                  exports=[("_start", 0, len(more.get("imports", ()))), ("memory", 2, 0)], **more)
