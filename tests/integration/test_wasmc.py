"""cloister-wasmc as the core starts it: modules in, code out, and what it can't do while it reads them."""

import os
import random
import re
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from lib import wasm_module as wasm
from lib.account import ordinary_user
from lib.leaks import HELPERS
from lib.runner import poll
from lib.world import find_binary

NAME = "a b.wasm"
MIB = 1 << 20
OUT_OF_TIME = (-signal.SIGXCPU, -signal.SIGKILL)  # the soft limit and the hard one are the same
NAMESPACES = ("user", "mnt", "net", "ipc", "uts")
STEP = b"\x20\x00\x20\x00\x6c" + wasm.const(1) + b"\x6a\x21\x00"  # x = x * x + 1: nothing can be left out of it


def long_code(steps, count=1):
    """COUNT functions of so many steps."""
    return wasm.module(types=[wasm.function_type([wasm.I32], [wasm.I32])], functions=[0] * count, bodies=[wasm.body(STEP * steps + b"\x20\x00")] * count)


MANY = long_code(400, 6000)  # compiles for seconds


class Outcome:
    def __init__(self, status, said, code):
        self.status, self.said, self.code = status, said, code

    def __str__(self):
        return f"status {self.status}, {len(self.code)} bytes, said {self.said[:600]!r}"

    def ok(self):
        assert (self.status, self.said) == (0, ""), f"{self}"
        assert self.code.startswith(b"\x7fELF"), f"{self}"
        return self.code

    def refused(self, *patterns):
        """A status of the helpers' own, one line for people on any terminal, and no code."""
        assert self.status == 1 and self.code == b"", f"{self}"
        assert self.said.endswith("\n") and self.said[:-1].isprintable(), f"{self}"
        assert self.said.startswith(f"{NAME}: ") or self.said.startswith(f"{NAME} is larger"), f"{self}"
        for pattern in patterns:
            assert re.search(pattern, self.said), f"no {pattern!r}: {self}"
        return self

    def offset(self):
        return int(re.match(re.escape(NAME) + r": at 0x([0-9a-f]+): ", self.said).group(1), 16)


class Compiler:
    """The program, started by root or by the ordinary user."""

    def __init__(self, program, directory, identity):
        self.program, self.directory, self.identity = program, directory, identity

    def start(self, module, threads=1, name=NAME, word="compile", **limits):
        """LIMITS: of resource, by the ends of their names."""
        path = self.directory / "module"
        path.write_bytes(module)
        self.code = open(self.directory / "code", "w+b")
        account = ordinary_user()
        rights = {} if self.identity == "root" else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

        def prepare():
            os.dup2(self.code.fileno(), 3)
            for what, most in limits.items():
                resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most))

        with open(path, "rb") as stdin:
            return subprocess.Popen([self.program, word, name, str(threads)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    cwd="/", env={}, pass_fds=(3,), preexec_fn=prepare, **rights)

    def __call__(self, module, threads=1, timeout=50, word="compile", **limits):
        process = self.start(module, threads, word=word, **limits)
        try:
            out, said = process.communicate(timeout=timeout)
        finally:
            process.kill()
        assert out == b""
        self.code.seek(0)
        return Outcome(process.returncode, said.decode(errors="backslashreplace"), self.code.read())


@pytest.fixture(params=["root", "user"])
def compiler(request, world, tmp_path):
    program = find_binary(world, "cloister-wasmc")
    if program is None:
        pytest.fail("build/bin/cloister-wasmc is not there: run make wasm first", pytrace=False)
    return Compiler(program, tmp_path, request.param)


@pytest.fixture
def root_compiler(world, tmp_path):
    """For what doesn't depend on who starts it."""
    program = find_binary(world, "cloister-wasmc")
    if program is None:
        pytest.fail("build/bin/cloister-wasmc is not there: run make wasm first", pytrace=False)
    return Compiler(program, tmp_path, "root")


# --- sound modules ---------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_module_becomes_code(compiler, threads):
    compiler(wasm.hello(), threads).ok()
    compiler(wasm.MAGIC, threads).ok()


def test_the_code_is_the_same_by_however_many_threads(root_compiler):
    module = long_code(20, 300)
    assert root_compiler(module, 1).ok() == root_compiler(module, 4).ok()


def test_no_threads_to_be_had_is_done_without(compiler):
    """An ordinary user's limit of processes; root is no one's."""
    compiler(wasm.hello(), 4, NPROC=1).ok()


# --- anything as a module ----------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\0", b"\0asm", b"\0asm\1\0\0", b"(module)", b"#!/bin/sh\nexit 0\n", b"\x7fELF" + bytes(60), bytes(5000),
                                     b"\0asm\2\0\0\0", b"\xff" * 5000], ids=repr)
def test_what_is_no_module_is_refused_with_its_place(compiler, content):
    outcome = compiler(content).refused()
    assert outcome.offset() <= len(content)


def test_a_component_is_told_from_a_module(compiler):
    """Whoever starts the compiler has looked; what it was taken for it is, or it is refused."""
    assert compiler(wasm.COMPONENT).refused("this is a component, and was taken for a module").offset() == 4
    assert compiler(wasm.hello(), word="compile-component").refused("this is a module, and was taken for a component").offset() == 4
    compiler(wasm.COMPONENT, word="compile-component").ok()


def boundaries(module):
    """Where sections end: what is cut there may be a module."""
    at, found = len(wasm.MAGIC), {len(wasm.MAGIC)}
    while at < len(module):
        size, shift, at = 0, 0, at + 1
        while True:
            byte, at = module[at], at + 1
            size, shift = size | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        at += size
        found.add(at)
    return found


def test_a_module_cut_anywhere_is_refused_with_its_place(root_compiler):
    module = wasm.hello()
    whole = boundaries(module)
    assert len(module) in whole and len(whole) > 6
    for size in range(len(module)):
        outcome = root_compiler(module[:size])
        if size in whole and outcome.status == 0:
            outcome.ok()
        else:
            assert outcome.refused().offset() <= size


def test_bytes_changed_at_random_are_refused_or_compiled(root_compiler):
    dice = random.Random(7)
    outcomes = []
    for _ in range(150):
        module = bytearray(wasm.hello())
        for _ in range(dice.randint(1, 4)):
            module[dice.randrange(8, len(module))] = dice.randrange(256)
        outcomes.append(root_compiler(bytes(module), 2))
        if outcomes[-1].status == 0:
            outcomes[-1].ok()
        else:
            outcomes[-1].refused()
    assert {outcome.status for outcome in outcomes} == {0, 1}


def test_what_a_module_calls_itself_steers_no_terminal(compiler):
    nasty = "\x1b[2J\n\u202eevil\x07" * 20
    module = wasm.module(types=[wasm.function_type()], functions=[0], bodies=[wasm.body(b"")],
                         exports=[wasm.exported(nasty, 0), wasm.exported(nasty, 0)])
    compiler(module).refused("duplicate export")
    process = compiler.start(b"no module", name="\x1b]0;x\x07\nb.wasm")
    out, said = process.communicate(timeout=20)
    assert process.returncode == 1 and said.count(b"\n") == 1 and said[:-1].decode().isprintable(), said


def test_a_type_error_is_told_with_its_place(compiler):
    good, bad = wasm.body(wasm.NOP), wasm.body(b"\x6a\x1a")  # i32.add of nothing
    module = wasm.module(functions=[0, 0, 0], bodies=[good, bad, good])
    outcome = compiler(module, 4).refused("type mismatch")
    assert module[outcome.offset()] == 0x6A


# --- absurd numbers ------------------------------------------------------------------

TOO_MUCH = {
    "a memory of more than 4 GiB": lambda: wasm.module(memories=[wasm.limits(65537)]),
    "a memory smaller than its least": lambda: wasm.module(memories=[wasm.limits(2, 1)]),
    "memories": lambda: wasm.module(memories=[wasm.limits(0)] * 1000),
    "tables": lambda: wasm.module(tables=[wasm.FUNCREF + wasm.limits(0)] * 1000),
    "types": lambda: wasm.module(types=[wasm.function_type()] * 1_000_001),
    "parameters": lambda: wasm.module(types=[wasm.function_type([wasm.I32] * 1001)]),
    "results": lambda: wasm.module(types=[wasm.function_type([], [wasm.I32] * 1001)]),
    "locals": lambda: wasm.functions(b"", 1, [(2**32 - 1, wasm.I64)]),
    "local groups": lambda: wasm.functions(b"", 1, [(1, wasm.I64)] * 60_000),
    "imports": lambda: wasm.module(imports=[wasm.imported("m", "n")] * 1_000_001),
    "a name": lambda: wasm.module(imports=[wasm.imported("m" * 200_000, "n")]),
    "a name that is no UTF-8": lambda: wasm.module(imports=[wasm.imported(b"\xff\xfe", "n")]),
    "a function's size": lambda: wasm.functions(wasm.NOP * 8_000_000),
    "functions without bodies": lambda: wasm.module(functions=[0] * 1_000_001),
    "a count that lies": lambda: wasm.MAGIC + wasm.section(1, wasm.u(2**32 - 1) + wasm.function_type()),
    "a size that lies": lambda: wasm.MAGIC + b"\1" + wasm.u(2**32 - 1),
    "a function of no type": lambda: wasm.module(functions=[2**32 - 1], bodies=[wasm.body(b"")]),
    "a start of no function": lambda: wasm.MAGIC + wasm.section(1, wasm.vector([wasm.function_type()])) + wasm.section(8, wasm.u(2**31)),
    "data without a memory": lambda: wasm.module(data=[wasm.segment(0, b"x")]),
    "a shared memory": lambda: wasm.module(memories=[b"\3" + wasm.u(1) + wasm.u(1)]),
    "a 64-bit memory beyond all": lambda: wasm.module(memories=[b"\4" + wasm.u(2**64 - 1)]),
    "sections twice": lambda: wasm.hello() + wasm.section(1, wasm.vector([wasm.function_type()])),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_absurd_numbers_are_refused(root_compiler, what):
    root_compiler(TOO_MUCH[what](), 2).refused()


ALLOWED = {
    "all of 4 GiB": lambda: wasm.module(memories=[wasm.limits(65536)]),
    "a 64-bit memory of 256 TiB": lambda: wasm.module(memories=[b"\4" + wasm.u(2**32)]),
    "data far out": lambda: wasm.module(memories=[wasm.limits(65536)], data=[wasm.segment(0, b"a"), wasm.segment(-2, b"b")]),
    "data out of bounds": lambda: wasm.module(memories=[wasm.limits(1)], data=[wasm.segment(-1, b"data")]),
    "data in many places": lambda: wasm.module(memories=[wasm.limits(65536)], data=[wasm.segment(n << 20, b"x" * 100) for n in range(2000)]),
    "a table as large as one can be": lambda: wasm.module(tables=[wasm.FUNCREF + wasm.limits(2**32 - 1)]),
    "names that lie": lambda: wasm.hello() + wasm.custom("name", b"\1" + wasm.u(2**31)),
    "debug information that lies": lambda: wasm.hello() + wasm.custom(".debug_info", os.urandom(1000)) + wasm.custom(".debug_line", bytes(1000)),
    "a custom section of 20 MiB": lambda: wasm.hello() + wasm.custom("more", bytes(20 * MIB)),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_large_numbers_that_promise_nothing_cost_nothing(root_compiler, what):
    assert len(root_compiler(ALLOWED[what](), 2, AS=1024 * MIB).ok()) < 32 * MIB


def test_a_file_that_is_too_large_is_not_looked_at(root_compiler):
    with open(root_compiler.directory / "large", "w+b") as file:
        file.truncate(256 * MIB + 1)
        done = subprocess.run([root_compiler.program, "compile", NAME, "1"], stdin=file, capture_output=True, timeout=20, env={})
    Outcome(done.returncode, done.stderr.decode(), b"").refused("is larger than 256 MiB")


# --- bombs -----------------------------------------------------------------------------

DEEP = 500_000
BOMBS = {
    "deep blocks": lambda: wasm.functions(b"\x02\x40" * DEEP + wasm.END * DEEP),
    "deep loops": lambda: wasm.functions(b"\x03\x40" * DEEP + wasm.END * DEEP),
    "deep ifs": lambda: wasm.functions((wasm.const(1) + b"\x04\x40") * DEEP + wasm.END * DEEP),
    "a long function": lambda: long_code(750_000),
    "a jump to everywhere": lambda: wasm.functions(b"\x02\x40" * 100 + wasm.const(0) + b"\x0e" + wasm.vector([wasm.u(n % 100) for n in range(1_000_000)]) + wasm.u(0) + wasm.END * 100),
    "jumps to everywhere": lambda: wasm.functions((wasm.const(0) + b"\x0e" + wasm.vector([wasm.u(0)] * 60_000) + wasm.u(0)) * 100),
    "a million functions": lambda: wasm.functions(b"", 1_000_000),
    "values upon values": lambda: wasm.functions(wasm.const(1) * 1_000_000 + b"\x6a" * 999_999 + wasm.DROP),
    "all locals at every jump": lambda: wasm.functions((b"\x02\x40" + wasm.const(0) + b"\x0d\0" + wasm.END) * 100_000, 1, [(40_000, wasm.I64)]),
    "many locals": lambda: wasm.functions(b"".join(b"\x20" + wasm.u(n) + b"\x21" + wasm.u(n + 1) for n in range(40_000)) * 10, 1, [(40_001, wasm.I64)]),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_ends_as_an_error_or_as_code(root_compiler, what):
    outcome = root_compiler(BOMBS[what](), 2, CPU=4, AS=1024 * MIB)
    if outcome.status == 0:
        outcome.ok()
    elif outcome.status in OUT_OF_TIME:
        assert outcome.said == "" and outcome.code == b""
    else:
        outcome.refused("takes too much memory to compile|: at 0x|: failed to compile: .*(U|u)nsupported|Implementation limit|Code for function is too large")


def test_processor_time_has_an_end(compiler):
    outcome = compiler(MANY, 2, CPU=1)
    assert outcome.status in OUT_OF_TIME and (outcome.said, outcome.code) == ("", b""), f"{outcome}"


@pytest.mark.parametrize("threads,mib", [(1, 100), (3, 200)])
def test_memory_has_an_end(compiler, threads, mib):
    compiler(MANY, threads, AS=mib * MIB).refused("takes too much memory to compile")


def test_what_is_written_has_an_end(root_compiler):
    outcome = root_compiler(long_code(100, 2000), 2, FSIZE=8192)
    assert outcome.status in (1, -signal.SIGXFSZ) and len(outcome.code) <= 8192, f"{outcome}"


# --- the jail ----------------------------------------------------------------------------


def fields(path):
    return dict(re.split(r":\s*", line, maxsplit=1) for line in Path(path).read_text().splitlines() if ":" in line)


@pytest.fixture(params=[1, 3])
def at_work(request, compiler):
    """A process that has been in the middle of a module since before we look at it."""
    process = compiler.start(MANY, request.param)
    proc = Path(f"/proc/{process.pid}")
    poll(lambda: fields(proc / "status")["Seccomp"] == "2", 20, "it never closed the door")
    process.send_signal(signal.SIGSTOP)
    yield compiler.identity, proc, request.param
    process.kill()
    process.communicate()


def test_each_of_its_threads_is_in_the_jail(at_work):
    identity, proc, threads = at_work
    tasks = sorted((proc / "task").iterdir())
    assert len(tasks) == (1 if threads == 1 else threads + 1)
    for task in tasks:
        status = fields(task / "status")
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        uids = {int(number) for number in status["Uid"].split()}
        assert uids <= set(HELPERS) if identity == "root" else uids == {ordinary_user().pw_uid}
        for kind in NAMESPACES:
            assert os.readlink(task / "ns" / kind) != os.readlink(f"/proc/self/ns/{kind}")


def test_it_has_its_module_its_code_and_two_pipes(at_work):
    _, proc, _ = at_work
    found = {int(entry.name): os.readlink(entry) for entry in (proc / "fd").iterdir()}
    assert set(found) == {0, 1, 2, 3}
    assert found[0].endswith("/module") and found[3].endswith("/code") and found[1].startswith("pipe:") and found[2].startswith("pipe:")
    assert os.listdir(proc / "root") == []
    assert (proc / "environ").read_bytes() == b""


def test_nothing_of_it_is_executable_but_its_program(at_work):
    _, proc, _ = at_work
    for line in (proc / "maps").read_text().splitlines():
        rights, path = line.split()[1], line.split()[5:]
        assert "x" not in rights or ("w" not in rights and path), line


def test_its_limits_are_these(at_work):
    _, proc, _ = at_work
    limits = {line[:25].strip(): line[26:46].strip() for line in (proc / "limits").read_text().splitlines()}
    assert limits["Max address space"] == str(4096 * MIB)
    assert limits["Max cpu time"] == "120"
    assert limits["Max file size"] == str(1024 * MIB)
    assert (limits["Max processes"], limits["Max core file size"]) == ("0", "0")
    assert int(limits["Max open files"]) <= 8


@pytest.mark.parametrize("words", [[], ["compile"], ["compile", "a"], ["compile", "a", "0"], ["compile", "a", "5"], ["compile", "", "1"], ["compile", "a", "x"], ["run", "a", "1"],
                                   ["compile", "a" * 4096, "1"], ["compile", "a", "1", "b"]], ids=lambda words: " ".join(words)[:20])
def test_other_words_are_refused(root_compiler, words):
    done = subprocess.run([root_compiler.program, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, env={})
    assert (done.returncode, done.stdout) == (1, b"") and b"this program is cloister's" in done.stderr
