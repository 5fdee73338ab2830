"""Components (WASI 0.2) for the tests: modules of WASI preview 1 by the adapter that Wasmtime's makers have for those, and the text format.

    compile_component(directory, "guest")   # tests/wasm/guest.c; Missing (lib.fetched) says what this machine lacks
    component_of(module)            # of whatever makes modules, beside it
    component_of_text(path, "(component)")
    network_guest(directory)        # tests/wasm/request.c

tests/component is the program that makes them; cargo builds it, once, from what its lock file names.
"""

import os
import shutil
import subprocess
from pathlib import Path

from lib import samples
from lib.fetched import Missing, Package
from lib.wasm_guest import FLAGS, SOURCES, compile_guest

PROGRAM = Path(__file__).resolve().parent.parent / "component"
FILES = ("Cargo.toml", "Cargo.lock", "main.rs")
SECONDS = 600

# The interfaces of WASI 0.2, as text.
INTERFACES = Package("cargo", "wasmtime-wasi-http", "48.0.8", "1ce402d792df4c6440de3a48b6fb34ebb06309584bd9777832d14ad7a486f762")
VERSION = "0.2.12"
WORLD = f"""package cloister:tests;
world request {{
  import wasi:http/outgoing-handler@{VERSION};
  import wasi:sockets/tcp-create-socket@{VERSION};
}}
"""


def _cargo():
    """As tools/engine.sh finds it."""
    path = os.pathsep.join(["/usr/bin", os.environ.get("PATH", ""), str(Path.home() / ".cargo/bin")])
    found = shutil.which("cargo", path=path)
    if found is None:
        raise Missing("components of the tests: this machine has no cargo")
    return found


def _build(place):
    work = place.parent / f".{place.name}.target"
    try:
        done = subprocess.run([_cargo(), "build", "--quiet", "--release", "--locked", "--manifest-path", PROGRAM / "Cargo.toml"], text=True,
                              env={**os.environ, "CARGO_TARGET_DIR": str(work)}, stdin=subprocess.DEVNULL, timeout=SECONDS,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Missing(f"components of the tests: cargo failed: {done.stdout[-500:]}")
        shutil.copy(work / "release/component-of", place)
    finally:
        samples.remove(work)


def program():
    recipe = "".join((PROGRAM / name).read_text() for name in FILES)
    return samples.cached("component-of", recipe, _build, samples.CACHE.parent / "fetched")


def _make(*words):
    subprocess.run([program(), *map(str, words)], check=True, timeout=60)


def component_of(module):
    made = module.with_name(f"{module.stem}-component.wasm")
    _make("module", module, made)
    made.chmod(0o755)
    return made


def _start(directory):
    """Arguments of the compiler, in place of its own beginning of a program."""
    made = Path(directory) / "start.o"
    subprocess.run(["clang", *FLAGS, "-c", SOURCES / "start.c", "-o", made], check=True, timeout=120)
    return ["-nostartfiles", made]


def compile_component(directory, name="guest"):
    return component_of(compile_guest(directory, name, _start(directory)))


def component_of_text(path, words):
    source = path.with_suffix(".wat")
    source.write_text(words)
    _make("text", source, path)
    path.chmod(0o644)
    return path


def network_guest(directory):
    directory = Path(directory)
    wit, made = directory / "wit", directory / "request-component.wasm"
    shutil.copytree(INTERFACES.directory() / "wit/deps", wit / "deps")
    (wit / "world.wit").write_text(WORLD)
    core = compile_guest(directory, "request", [*_start(directory), f'-DWASI_VERSION="{VERSION}"'])
    _make("module", core, made, wit, "request")
    made.chmod(0o755)
    return made


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    try:
        print(program(), INTERFACES.directory(), sep="\n")
    except Missing as missing:
        print(f"{missing}: its tests are skipped")
