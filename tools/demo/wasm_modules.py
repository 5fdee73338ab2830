#!/usr/bin/env python3
"""Writes the WebAssembly modules of the demo, byte by byte: nobody needs a compiler for them.

usage: wasm_modules.py DIRECTORY

hello.wasm   says hello
trap.wasm    divides by zero, three functions deep, and has names for them
greedy.wasm  asks for memory, MiB by MiB, until it gets no more
files.wasm   reads /data/note, tries to write beside it, and to leave its root
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from lib.wasm_module import (DROP, I32, I64, UNREACHABLE, body, const, custom, exported, function_type, imported, limits, module,  # noqa: E402
                             name, s, section, segment, u, vector)

# Where in memory: what iovecs and results of calls are written to, what is read, and texts.
IOVEC, DONE, OPENED, BUFFER, TEXTS = 0, 8, 12, 1024, 4096
BUFFER_SIZE = 1024
FD_WRITE, FD_READ, PATH_OPEN = 0, 1, 2  # imported, in this order
IMPORTS = ["fd_write", "fd_read", "path_open"]
ROOT, CREATE, RIGHT_READ, RIGHT_WRITE = 3, 1, 1 << 1, 1 << 6  # WASI's numbers
READ_ONLY, NOT_CAPABLE = 69, 76  # its errors
# types of functions: nothing; four numbers to one, as fd_write; path_open's; two numbers to one; two numbers
NONE, FOUR, OPEN, TWO, SAY = range(5)
TYPES = [function_type(), function_type([I32] * 4, [I32]), function_type([I32] * 5 + [I64, I64, I32, I32], [I32]),
         function_type([I32, I32], [I32]), function_type([I32, I32])]
FIRST, SECOND, THIRD = range(3, 6)  # functions of a module, behind the imports


def call(function):
    return b"\x10" + u(function)


def get(local):
    return b"\x20" + u(local)


def put(local):
    return b"\x21" + u(local)


def store(address, value, width=b"\x36\x02"):
    return const(address) + value + width + u(0)


def loop(code):
    return b"\x03\x40" + code + b"\x0b"


def if_else(code, other):
    return b"\x04\x40" + code + b"\x05" + other + b"\x0b"


EQUAL, ADD, DIVIDE, REMAINDER, SHIFT = b"\x46", b"\x6a", b"\x6d", b"\x6f", b"\x74"
ONE_BYTE, LOAD, GROW, FILL, AGAIN = b"\x3a\x00", b"\x28\x02" + u(0), b"\x40\x00", b"\xfc\x0b\x00", b"\x0c\x01"


class Texts:
    """What a module has to say, in its data."""

    def __init__(self):
        self.data = b""

    def at(self, text):
        """Code: where TEXT is, and how long."""
        found = TEXTS + len(self.data)
        self.data += text.encode()
        return const(found) + const(len(text.encode()))


# function FIRST of all that speak: a text, by where it is and how long
SAY_BODY = body(store(IOVEC, get(0)) + store(IOVEC + 4, get(1)) + const(1) + const(IOVEC) + const(1) + const(DONE) + call(FD_WRITE) + DROP)


def program(types, bodies, start, texts=None, more=b""):
    imports = [imported("wasi_snapshot_preview1", field, b"\0" + u(kind)) for field, kind in zip(IMPORTS, (FOUR, FOUR, OPEN))]
    return module(types=TYPES, imports=imports, functions=types, memories=[limits(1)], bodies=bodies, more=more,
                  exports=[exported("_start", start), exported("memory", 0, 2)], data=[segment(TEXTS, texts.data)] if texts else [])


def hello():
    texts = Texts()
    return program([SAY, NONE], [SAY_BODY, body(texts.at("hello from wasm\n") + call(FIRST))], SECOND, texts)


def trap():
    names = vector(u(index) + name(title) for index, title in ((FIRST, "average"), (SECOND, "report"), (THIRD, "main")))
    return program([TWO, NONE, NONE], [body(get(0) + get(1) + DIVIDE), body(const(42) + const(0) + call(FIRST) + DROP), body(call(SECOND))],
                   THIRD, more=custom("name", section(1, names)))


def greedy():
    """A MiB is sixteen pages, and all of it is written. Locals: how many there are, and how large the memory was before."""
    texts = Texts()
    write = get(1) + const(16) + SHIFT + const(1) + const(1 << 20) + FILL
    count = loop(const(16) + GROW + put(1) + get(1) + const(-1) + EQUAL + if_else(b"", write + get(0) + const(1) + ADD + put(0) + AGAIN))
    digits = (store(BUFFER, get(0) + const(10) + DIVIDE + const(ord("0")) + ADD, ONE_BYTE) +
              store(BUFFER + 1, get(0) + const(10) + REMAINDER + const(ord("0")) + ADD, ONE_BYTE))
    code = count + digits + const(BUFFER) + const(2) + call(FIRST) + texts.at(" MiB, and no more: memory.grow said -1\n") + call(FIRST)
    return program([SAY, NONE], [SAY_BODY, body(code, [(2, I32)])], SECOND, texts)


def opened(texts, path, flags, rights):
    """Code: the error of opening PATH."""
    return (const(ROOT) + const(0) + texts.at(path) + const(flags) + b"\x42" + s(rights) + b"\x42" + s(0) + const(0) + const(OPENED) +
            call(PATH_OPEN))


def files():
    """An answer that it does not expect is a trap."""
    texts = Texts()

    def must_fail(path, flags, rights, error, said):
        return opened(texts, path, flags, rights) + const(error) + EQUAL + if_else(texts.at(said) + call(FIRST), UNREACHABLE)

    read = (opened(texts, "data/note", 0, RIGHT_READ) + if_else(UNREACHABLE, b"") +
            store(IOVEC, const(BUFFER)) + store(IOVEC + 4, const(BUFFER_SIZE)) +
            const(OPENED) + LOAD + const(IOVEC) + const(1) + const(DONE) + call(FD_READ) + if_else(UNREACHABLE, b"") +
            const(BUFFER) + const(DONE) + LOAD + call(FIRST))
    code = (read + must_fail("data/new", CREATE, RIGHT_WRITE, READ_ONLY, "writing beside it: read-only file system\n") +
            must_fail("../etc/passwd", 0, RIGHT_READ, NOT_CAPABLE, "../etc/passwd: not within reach\n"))
    return program([SAY, NONE], [SAY_BODY, body(code)], SECOND, texts)


def main(directory):
    for make in (hello, trap, greedy, files):
        path = Path(directory) / f"{make.__name__}.wasm"
        path.write_bytes(make())
        path.chmod(0o644)


if __name__ == "__main__":
    main(*sys.argv[1:])
