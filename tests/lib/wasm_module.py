"""WebAssembly modules, byte by byte (the core specification's binary format): sound ones, and ones that nobody should have made."""

MAGIC = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"  # the preamble of one, and one that is empty
I32, I64, F32, F64, V128, FUNCREF = b"\x7f", b"\x7e", b"\x7d", b"\x7c", b"\x7b", b"\x70"
END, NOP, UNREACHABLE, DROP = b"\x0b", b"\x01", b"\x00", b"\x1a"


def u(number):
    """LEB128 without sign."""
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def s(number):
    """LEB128 with sign."""
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        done = number == (-1 if byte & 0x40 else 0)
        out.append(byte | (0 if done else 0x80))
        if done:
            return bytes(out)


def const(number):
    return b"\x41" + s(number)


def vector(items):
    items = list(items)
    return u(len(items)) + b"".join(items)


def sized(content):
    return u(len(content)) + content


def name(text):
    return sized(text if isinstance(text, bytes) else text.encode())


def section(number, content):
    return bytes([number]) + sized(content)


def custom(title, content=b""):
    return section(0, name(title) + content)


def function_type(parameters=(), results=()):
    return b"\x60" + vector(parameters) + vector(results)


def limits(least, most=None):
    return (b"\0" + u(least)) if most is None else (b"\1" + u(least) + u(most))


def imported(module, field, kind=b"\0" + u(0)):
    return name(module) + name(field) + kind


def exported(field, index, kind=0):
    return name(field) + bytes([kind]) + u(index)


def body(code, locals_=()):
    """LOCALS_: pairs of count and type."""
    return sized(vector(u(count) + kind for count, kind in locals_) + code + END)


def segment(offset, data):
    """Active, in memory 0."""
    return b"\0" + const(offset) + END + sized(data)


def module(types=None, imports=(), functions=(), tables=(), memories=(), exports=(), start=None, data=(), bodies=(), more=b""):
    """Sections in their order; FUNCTIONS are types' indices, START is a function's."""
    out = MAGIC + section(1, vector([function_type()] if types is None else types))
    for number, items in ((2, imports), (3, map(u, functions)), (4, tables), (5, memories), (7, exports), (8, start), (10, bodies), (11, data)):
        if number == 8:
            out += section(8, u(start)) if start is not None else b""
            continue
        items = list(items)
        if items:
            out += section(number, vector(items))
    return out + more


def command(code, least=1, **more):
    """A program of WASI whose _start does CODE, with a memory of LEAST pages."""
    return module(functions=[0], memories=[limits(least)], exports=[exported("_start", 0), exported("memory", 0, 2)], bodies=[body(code)], **more)


def functions(code, count=1, locals_=()):
    """COUNT functions that all do the same."""
    return module(functions=[0] * count, bodies=[body(code, locals_)] * count)


def hello(size=1):
    """Something of everything: a memory with data, a table, an import, an export and a function that calls."""
    return module(types=[function_type(), function_type([I32], [I32])], imports=[imported("env", "f", b"\0" + u(1))], functions=[0],
                  tables=[FUNCREF + limits(1, 2)], memories=[limits(size)], exports=[exported("_start", 1), exported("memory", 0, 2)],
                  data=[segment(8, b"data")], bodies=[body(const(7) + b"\x10" + u(0) + DROP)])
