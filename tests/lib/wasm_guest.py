"""WebAssembly programs of tests/wasm, compiled."""

import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "wasm"


def compile_guest(directory, name="guest"):
    """tests/wasm/NAME.c as a module in DIRECTORY, readable by everybody."""
    made = Path(directory) / f"{name}.wasm"
    subprocess.run(["clang", "--target=wasm32-wasi", "-O1", "-Wall", "-Werror", "-o", made, SOURCES / f"{name}.c"], check=True, timeout=120)
    made.chmod(0o755)
    return made
