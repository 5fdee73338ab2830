"""WASI's functions as others expect them, through `cloister run`: a public set of C programs, our own, and Go's tests of its library.

The standard's own suite (wasi-testsuite) is in no registry; what it asserts of preview 1 is what wasm/preview1.c looks at.
"""

import os
import subprocess

import pytest

from lib.fetched import WASI_TESTS, or_skip
from lib.go_modules import go_program
from lib.wasm_guest import compile_guest, go_tests

HELLO = "hello from file!"


@pytest.fixture
def volume(cloister):
    directory = cloister.directory("wasi-suite")
    if cloister.identity == "root":
        os.chown(directory, 1000, 1000)
    return directory


def fill(volume, tree):
    """A name's text is that of a file, or after an arrow where a link leads."""
    for name, words in tree.items():
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).symlink_to(words[3:]) if words.startswith("-> ") else (volume / name).write_text(words)
    for path in volume.rglob("*"):
        os.chown(path, volume.stat().st_uid, volume.stat().st_gid, follow_symlinks=False)


@pytest.fixture(scope="session")
def suite():
    return or_skip(WASI_TESTS.directory)


# Program, what is in /sandbox, and what comes of it. Five of them are not here: cant_dotdot and symlink_escape leave
# /sandbox, which to them is a root, for what to us is inside; fs makes absolute links, which the standard's own
# suite wants refused; getrusage and gettimeofday want a microsecond to pass between two calls.
PROGRAMS = {
    "clock_getres": ({}, 0, ""), "exitcode": ({}, 120, ""), "getentropy": ({}, 0, ""),
    "notdir": ({"notadir": HELLO}, 0, ""), "preopen_populates": ({}, 0, ""), "read_file": ({"input.txt": HELLO}, 0, HELLO),
    "read_file_twice": ({"input.txt": HELLO}, 0, HELLO * 2), "stat": ({}, 0, ""), "write_file": ({}, 0, ""),
    "follow_symlink": ({"subdir1/input.txt": HELLO, "subdir2/input_link.txt": "-> ../subdir1/input.txt"}, 0, HELLO),
    "symlink_loop": ({"subdir1/loop1": "-> ../subdir2/loop2", "subdir2/loop2": "-> ../subdir1/loop1"}, 0, ""),
    "stdin": ({}, 0, "hello from stdin!"),
}


@pytest.fixture(scope="session")
def compile_program(suite, world):
    place = world.directory("wasi-programs")

    def compile_one(name):
        made = place / f"{name}.wasm"
        if not made.exists():
            [source] = suite.rglob(f"{name}.c")
            subprocess.run(["clang", "--target=wasm32-wasi", "-O1", "-w", "-o", made, source], check=True, timeout=60)
            made.chmod(0o755)
        return made

    return compile_one


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(cloister, compile_program, volume, name):
    tree, status, output = PROGRAMS[name]
    fill(volume, tree)
    outcome = cloister.run(compile_program(name), opts=["-v", f"{volume}:/sandbox:rw"], input=b"hello from stdin!")
    outcome.ended("exited", status)
    assert outcome.out.decode() == output, str(outcome)
    if name == "write_file":
        assert (volume / "output.txt").read_text() == "hello, file!"


def test_program_that_polls(cloister, compile_program):
    with cloister.start(compile_program("poll")) as running:
        running.wait().ok()  # nothing comes, for two seconds


@pytest.mark.parametrize("words, greeting, said", [([], None, "hello, wasi!"), (["test suite"], None, "hello, test suite!"),
                                                   (["test suite"], "goodbye", "goodbye, test suite!")])
def test_program_that_greets(cloister, compile_program, words, greeting, said):
    opts = ["-e", f"GREETING={greeting}"] if greeting else []
    assert cloister.run(compile_program("hello"), *words, opts=opts).ok().word() == said


def test_program_that_prints_itself(cloister, compile_program, suite):
    outcome = cloister.run(compile_program("pseudoquine"), opts=["-v", f"{suite}/examples:/examples"]).ok()
    assert outcome.out == (suite / "examples/pseudoquine.c").read_bytes()


# --- what the standard's suite asserts ---------------------------------------------------------

@pytest.fixture(scope="session")
def preview1(world):
    return compile_guest(world.directory("preview1"), "preview1")


@pytest.mark.parametrize("where", ["scratch", "volume"])
def test_preview1(cloister, preview1, volume, where):
    """On a file system in memory and on the host's."""
    outcome = cloister.run(preview1, opts=["-v", f"{volume}:/tmp/volume:rw"] if where == "volume" else [])
    assert outcome.exit == 0, str(outcome)
    assert int(outcome.word().split()[0]) > 200, str(outcome)
    assert list(volume.iterdir()) == []


# --- what Go's library expects -------------------------------------------------------------------

# A package, how many of its tests pass at least, and those that want what isn't there: /dev/null.
GO_TESTS = {"os": (1300, "DevNull"), "io/fs": (20, ""), "path/filepath": (40, ""), "syscall": (40, ""), "time": (400, ""), "encoding/json": (500, "")}


@pytest.fixture(scope="session")
def go_suite():
    if go_program() is None:
        pytest.skip("no Go here: apt-get install golang-go")
    return go_tests()


@pytest.mark.parametrize("package", GO_TESTS)
def test_go(as_root, go_suite, package):
    module, root = go_suite / f"{package.replace('/', '_')}.wasm", (go_suite / "root").read_text()
    if not module.exists():
        pytest.skip(f"the Go in {root} came without its tests")
    least, without = GO_TESTS[package]
    as_root.call("wasm", "compile", module, timeout=280).ok()
    outcome = as_root.run(module, "-test.short", "-test.v", *(["-test.skip", without] if without else []), timeout=200,
                          opts=["-v", f"{root}:{root}", "-e", f"PWD={root}/src/{package}", "-e", f"GOROOT={root}", "--memory", "1g", "--disk", "1g"])
    lines = outcome.lines()
    assert outcome.exit == 0 and lines[-1] == "PASS", "\n".join(line for line in lines if "FAIL" in line) or str(outcome)
    assert sum("--- PASS: " in line for line in lines) >= least
