"""The wasm wall: `cloister run FILE.wasm`."""

import os
import re
import signal
import time

import pytest

from lib import wasm_module as wasm
from lib.runner import poll, signal_exit, text
from lib.wasm_guest import compile_guest

@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm"))


@pytest.fixture(scope="session")
def modules(world):
    """Writes a module under a name; everybody can read it."""
    directory = world.directory("modules")

    def write(name, content):
        path = directory / name
        path.write_bytes(content)
        path.chmod(0o644)
        return path

    return write


def test_hello(cloister, guest):
    outcome = cloister.run(guest).ok()
    assert outcome.out == b"hello\n" and outcome.err == b""
    outcome.ended("exited", 0)
    assert outcome.result["wall"] == "wasm" and outcome.result["error"] is None
    assert outcome.result["digest"].startswith("sha256:")


def test_arguments_are_the_guests(cloister, guest):
    assert cloister.run(guest, "args", "--", "-x", "a b", "", "ünï").ok().lines() == ["[--]", "[-x]", "[a b]", "[]", "[ünï]"]


def test_environment_is_the_plans(cloister, guest):
    lines = cloister.run(guest, "env", opts=["-e", "A=1", "-e", "B=two words"]).ok().lines()
    assert "A=1" in lines and "B=two words" in lines
    assert not any("SECRET" in line for line in lines)


def test_streams(cloister, guest):
    data = bytes(range(256)) * 4096
    outcome = cloister.run(guest, "cat", input=data).ok()
    assert outcome.out == data


@pytest.mark.parametrize("code", [0, 1, 77, 126, 255])
def test_exit_status_is_the_guests(cloister, guest, code):
    cloister.run(guest, "exit", str(code)).ended("exited", code)


@pytest.mark.parametrize("how, what", [("u", "unreachable"), ("d", "division by zero"), ("m", "out of bounds"),
                                       ("s", "call stack exhausted"), ("c", "out of bounds|empty table|another type"), ("a", "unreachable")])
def test_trap_is_told(cloister, guest, how, what):
    outcome = cloister.run(guest, "trap", how)
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert re.search(f"trap: .*({what})", outcome.result["error"]), str(outcome)
    assert f"cloister: {outcome.result['error']}" in text(outcome.err)
    assert "   0: " in text(outcome.err)  # the backtrace


def test_names_of_functions_are_in_the_backtrace(cloister, guest):
    assert "main" in text(cloister.run(guest, "trap", "d").err)


def test_backtrace_of_an_exhausted_stack(cloister, guest):
    """The place of the last function is not known; those of its callers are."""
    lines = text(cloister.run(guest, "trap", "s").err).splitlines()
    assert lines[0] == "    0: deeper" and re.fullmatch(r"    1: 0x[0-9a-f]{1,6} deeper", lines[1]), lines


def test_files_of_its_own(cloister, guest):
    outcome = cloister.run(guest, "put", "/note", "words").ok()
    assert outcome.err == b""
    assert cloister.run(guest, "put", "note", "words").ok()
    assert cloister.run(guest, "put", "/tmp/note", "words").ok()
    assert "Read-only" in text(cloister.run(guest, "put", "/note", "words", opts=["--read-only"]).err)


def test_nothing_of_the_host_is_there(cloister, guest):
    assert sorted(cloister.run(guest, "list", "/").ok().lines()) == [".", "..", "tmp"]
    for path in ("/proc/self/mem", "/dev/null", "/etc/passwd", "../../etc/passwd", "/../etc/passwd"):
        outcome = cloister.run(guest, "cat", path)
        assert outcome.exit == 1 and outcome.out == b"", str(outcome)


def test_volumes(cloister, guest, world):
    shared = world.directory("wasm-volume", mode=0o777)
    (shared / "in").write_text("from outside")
    (shared / "in").chmod(0o644)
    if cloister.identity == "root":
        os.chown(shared, 1000, 1000)
    assert cloister.run(guest, "cat", "/data/in", opts=["-v", f"{shared}:/data"]).ok().out == b"from outside"
    assert "Read-only" in text(cloister.run(guest, "put", "/data/out", "x", opts=["-v", f"{shared}:/data"]).err)
    cloister.run(guest, "put", "/data/out", "x", opts=["-v", f"{shared}:/data:copy"]).ok()
    assert not (shared / "out").exists()
    if cloister.identity != "root":
        shared.chmod(0o777)
    cloister.run(guest, "put", "/data/out", "x", opts=["-v", f"{shared}:/data:rw"]).ok()
    assert (shared / "out").read_text() == "x"


def test_link_that_leads_out_of_its_directory(cloister, guest, world):
    shared = world.directory("wasm-links")
    (shared / "secret").symlink_to("/etc/passwd")
    (shared / "up").symlink_to("../../../../etc/passwd")
    for name in ("secret", "up"):
        outcome = cloister.run(guest, "cat", f"/data/{name}", opts=["-v", f"{shared}:/data"])
        assert outcome.exit == 1 and outcome.out == b"", str(outcome)


def test_memory_ends_in_an_answer(cloister, guest):
    outcome = cloister.run(guest, "grow", opts=["--memory", "64m"]).ok()
    assert 40 <= int(outcome.word()) <= 56, str(outcome)
    outcome.ended("exited", 0)


@pytest.mark.parametrize("number", [16, 40])
def test_few_descriptors(cloister, guest, number):
    opts = ["--ulimit", f"nofile={number}"]
    assert cloister.run(guest, opts=opts).ok().word() == "hello"
    assert cloister.run(guest, "put", "/note", "words", opts=opts).ok()


def test_time(cloister, guest):
    cloister.run(guest, "spin", opts=["--timeout", "300ms"]).ended("timeout", 124, "time")
    cloister.run(guest, "rest", "60000", opts=["--timeout", "300ms"]).ended("timeout", 124, "time")


def test_cpu_time(cloister, guest):
    outcome = cloister.run(guest, "spin", opts=["--cpu-time", "200ms" if cloister.has_cgroup else "1s"])
    outcome.ended("cpu_time", 137, "cpu_time")


def test_output(cloister, guest):
    cloister.run(guest, "flood", opts=["--output-limit", "1m"]).ended("output_limit", 137, "output")


def test_disk(cloister, guest):
    outcome = cloister.run(guest, "fill", "/file", opts=["--disk", "1m"])
    assert outcome.exit == 1 and "No space" in text(outcome.err), str(outcome)
    outcome.ended("exited", 1, "disk")


def test_sleep_and_clocks(cloister, guest):
    before = time.time()
    outcome = cloister.run(guest, "rest", "200").ok()
    assert outcome.lines() == ["resting", "rested"] and outcome.seconds >= 0.2
    real, _ = cloister.run(guest, "clocks").ok().word().split()
    assert before - 2 <= int(real) <= time.time() + 2


def test_chance(cloister, guest):
    assert cloister.run(guest, "chance").ok().word() != cloister.run(guest, "chance").ok().word()


# --- what is refused -------------------------------------------------------------------------

def test_what_is_no_module(cloister, modules):
    cloister.run(modules("text.wasm", b"#!/bin/sh\necho no\n")).refused("text.wasm")
    cloister.run(modules("empty.wasm", b"")).refused("empty.wasm")
    cloister.run("/nowhere/none.wasm").refused("none.wasm", "no such file")


def test_options_that_make_no_sense(cloister, guest, rootfs):
    cloister.run(rootfs, "true", opts=["--wall", "wasm"]).refused("/bin/true: at 0x0: this is no WebAssembly")
    cloister.run("host", "true", opts=["--wall", "wasm"]).refused("the wasm wall runs WebAssembly modules")
    cloister.run(guest, opts=["--wall", "container"]).refused("wasm wall")
    cloister.run(guest, opts=["--profile", "build"]).refused("profile build")
    cloister.run(guest, opts=["--network", "outbound"]).refused("network")


def test_module_that_wants_what_is_not_there(cloister, modules):
    wants = wasm.module(imports=[wasm.imported("env", "more")], functions=[0], memories=[wasm.limits(1)],
                        exports=[wasm.exported("_start", 1), wasm.exported("memory", 0, 2)], bodies=[wasm.body(wasm.NOP)])
    outcome = cloister.run(modules("wants.wasm", wants))
    outcome.ended("exited", 126)
    assert "env" in outcome.result["error"] and "more" in text(outcome.err)


def test_library_is_no_command(cloister, modules):
    library = wasm.module(functions=[0], memories=[wasm.limits(1)], exports=[wasm.exported("f", 0)], bodies=[wasm.body(wasm.NOP)])
    outcome = cloister.run(modules("library.wasm", library))
    outcome.ended("exited", 126)
    assert "_start" in text(outcome.err)


def test_trap_in_a_start_function(cloister, modules):
    early = wasm.module(functions=[0, 0], start=1, memories=[wasm.limits(1)], exports=[wasm.exported("_start", 0)],
                        bodies=[wasm.body(wasm.NOP), wasm.body(wasm.UNREACHABLE)])
    cloister.run(modules("early.wasm", early)).ended("signaled", signal_exit(signal.SIGABRT))


def test_more_memory_than_the_limit(cloister, modules):
    big = wasm.command(wasm.NOP, least=4096)  # 256 MiB
    outcome = cloister.run(modules("big.wasm", big), opts=["--memory", "64m"])
    outcome.ended("exited", 126)
    assert "memory" in outcome.result["error"]


# --- ahead of time ---------------------------------------------------------------------------

def test_modules_are_compiled_ahead(cloister, modules):
    module = modules(f"ahead-{cloister.identity}.wasm", wasm.command(wasm.NOP, data=[wasm.segment(0, os.urandom(8))]))
    first = cloister.call("wasm", "compile", module).ok().word()
    assert re.fullmatch(rf"sha256:[0-9a-f]{{64}}  {module}: compiled in \d+\.\d{{3}} s", first), first
    again = cloister.call("wasm", "compile", module, module).ok().lines()
    assert len(again) == 2 and all(line.endswith(": was compiled") for line in again)
    assert first.split()[0] == cloister.run(module).ok().result["digest"]
    assert "compiled in" in cloister.call("wasm", "compile", "--tenant", "other", module).ok().word()  # each has its own
    assert "was compiled" in cloister.call("wasm", "compile", "--tenant=other", module).ok().word()


def test_what_is_not_compiled(cloister, modules):
    good = modules("good.wasm", wasm.command(wasm.NOP))
    bad = modules("bad.wasm", b"\0asm\1\0\0\0\xff")
    cloister.call("wasm").refused("expected compile")
    cloister.call("wasm", "compile").refused("no file or image named")
    cloister.call("wasm", "compile", "text.txt").refused("isn't here", "has a name in .wasm")
    cloister.call("wasm", "compile", "host").refused("no command")
    cloister.call("wasm", "compile", "--tenant", "a/b", good).refused("--tenant")
    outcome = cloister.call("wasm", "compile", good, bad, good)
    assert outcome.exit == 125 and len(outcome.lines()) == 1 and "bad.wasm: at 0x" in text(outcome.err), str(outcome)


# --- while it runs ---------------------------------------------------------------------------

def test_signals(cloister, guest):
    with cloister.start(guest, "rest", "60000") as running:
        running.expect(b"resting")
        running.signal(signal.SIGTERM)
        running.wait().ended("signaled", signal_exit(signal.SIGTERM))


@pytest.fixture
def resting(cloister, guest):
    """A detached guest that sleeps."""
    started = cloister.detach(guest, "rest", "60000", opts=["--name", "wasm-resting"]).ok()
    yield started.word()
    cloister.call("rm", "-f", "wasm-resting")


def test_detached(cloister, resting):
    assert "wasm-resting" in text(cloister.call("ps").ok().out)
    poll(lambda: b"resting" in cloister.call("logs", "wasm-resting").ok().out, 10, "no word of it in the log")
    assert '"wall": "wasm"' in text(cloister.call("inspect", resting).ok().out)
    cloister.call("stats", "--no-stream", resting).ok()


def test_exec_is_refused(cloister, resting):
    cloister.call("exec", resting, "true").refused("no other program")


def test_files_go_in_and_out(cloister, resting, world):
    directory = cloister.directory("wasm-cp")
    (directory / "in").write_text("words")
    cloister.call("cp", directory / "in", f"{resting}:/tmp/in").ok()
    cloister.call("cp", f"{resting}:/tmp/in", directory / "out").ok()
    assert (directory / "out").read_text() == "words"


def test_pause(cloister, resting):
    cloister.call("pause", resting).ok()
    assert "paused" in text(cloister.call("ps").ok().out).lower()
    cloister.call("unpause", resting).ok()


def test_stop(cloister, resting):
    assert cloister.call("stop", resting).ok().seconds < 9
    cloister.call("wait", resting)
    assert '"signaled"' in text(cloister.call("inspect", resting).ok().out)
