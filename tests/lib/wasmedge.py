"""WasmEdge where it is installed, and where it isn't, a library of ours in its place (tests/wasmedge): it runs what modules say in words."""

import ctypes
import subprocess
from pathlib import Path

from lib import wasm_module as wasm

SOURCES = Path(__file__).resolve().parent.parent / "wasmedge"
NAME = "libwasmedge.so.0"
OPTS = ["--wasm-engine", "wasmedge"]


def is_installed():
    """As the dynamic loader finds it."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True


def fake(directory, *flags):
    """One in DIRECTORY, which LD_LIBRARY_PATH is to name."""
    subprocess.run(["gcc", "-w", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", f"-Wl,-soname,{NAME}", *flags, "-o", directory / NAME,
                    *sorted(SOURCES.glob("*.c"))], check=True, timeout=60)
    (directory / NAME).chmod(0o755)
    return {"LD_LIBRARY_PATH": str(directory)}


def module(*lines, pages=1):
    """One that does as LINES say, to the fake."""
    text = "\n".join([f"pages {pages}", *lines])
    return (wasm.MAGIC + b"\5" + wasm.sized(b"\1\0" + wasm.u(pages)) + b"\0" + wasm.sized(wasm.sized(b"fake") + text.encode()))


def says(text, stream=1):
    """Lines that write TEXT, a word."""
    return [f"text 100 {text}", "word 0 100", f"word 4 {len(text)}", f"call fd_write {stream} 0 1 16", "expect 0"]
