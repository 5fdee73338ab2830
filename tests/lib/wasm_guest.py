"""WebAssembly programs of tests/wasm, compiled: C and C++ by Debian's clang, Go by whatever Go there is."""

import subprocess
from pathlib import Path

from lib.go_modules import Module
from lib.world import command

SOURCES = Path(__file__).resolve().parent.parent / "wasm"
FLAGS = ["--target=wasm32-wasi", "-O1", "-Wall", "-Werror"]


def compile_guest(directory, name="guest", more=()):
    """tests/wasm/NAME.c or NAME.cc as a module in DIRECTORY, readable by everybody; MORE are arguments of the compiler."""
    made = Path(directory) / f"{name}.wasm"
    cc = SOURCES / f"{name}.cc"
    compiler = ["clang++", "-std=c++17", "-fno-exceptions", cc] if cc.exists() else ["clang", SOURCES / f"{name}.c"]
    subprocess.run([*compiler, *FLAGS, *more, "-o", made], check=True, timeout=120)
    made.chmod(0o755)
    return made


class _Program(Module):
    """Not its tools but the module itself, for WASI."""

    def _build(self, place):
        go, env = self._find_go(place)
        place.mkdir()
        command(go, "build", "-trimpath", "-o", place / "go.wasm", ".", cwd=self.directory, timeout=600,
                env={**env, "GOOS": "wasip1", "GOARCH": "wasm"})


def go_guest():
    """tests/wasm/go as a module."""
    return _Program(SOURCES / "go", "wasm-guest", files=("go.mod", "main.go")).built() / "go.wasm"

# Of Go's library what touches the system, and what recurses.
GO_PACKAGES = ("os", "io/fs", "path/filepath", "syscall", "time", "encoding/json")


class _Tests(Module):
    """The tests of Go's own packages, each a module for WASI; beside them, where that Go is."""

    def _build(self, place):
        go, env = self._find_go(place)
        place.mkdir()
        root = command(go, "env", "GOROOT", env=env, cwd="/").strip()
        for package in self.tests:
            if any(Path(root, "src", package).glob("*_test.go")):
                command(go, "test", "-c", "-o", place / f"{package.replace('/', '_')}.wasm", package, cwd=self.directory, timeout=600,
                        env={**env, "GOOS": "wasip1", "GOARCH": "wasm"})
        (place / "root").write_text(root)


def go_tests():
    """A directory with os.wasm, io_fs.wasm and so on, as far as this Go has its tests, and the file `root`."""
    return _Tests(SOURCES / "go", "wasm-go-tests", tests=GO_PACKAGES, files=("go.mod",)).built()


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    print(go_guest(), go_tests(), sep="\n")
