"""`--wasm-engine wasmedge`: WasmEdge's library where a user has installed it.

Most of this runs with a library of ours in its place (tests/wasmedge), which tells nothing of WasmEdge and all of how a library comes into
the worker's jail, what can be reached from there, and what becomes of what it answers. The tests named real_ are of WasmEdge itself.
"""

import errno
import itertools
import os
import re
import signal

import pytest

from lib import wasmedge
from lib.runner import signal_exit, text
from lib.wasm_guest import compile_guest

numbers = itertools.count()
ENGINE = wasmedge.OPTS


@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasmedge"))


@pytest.fixture(scope="session")
def modules(world):
    """Writes a module for the fake under a name; everybody can read it."""
    directory = world.directory("wasmedge-modules")

    def write(*lines, **more):
        path = directory / f"m{next(numbers)}.wasm"
        path.write_bytes(wasmedge.module(*lines, **more))
        path.chmod(0o644)
        return path

    return write


@pytest.fixture(scope="session", params=["13", "14", "17"])
def version(request, world):
    return wasmedge.fake(world.directory(f"wasmedge-{request.param}"), f"-DFAKE_MINOR={request.param}")


@pytest.fixture(scope="session")
def fake(world):
    return wasmedge.fake(world.directory("wasmedge-fake"))


@pytest.fixture
def run(cloister, modules, fake):
    def go(*lines, opts=(), words=(), pages=1, **more):
        return cloister.run(modules(*lines, pages=pages), *words, opts=[*ENGINE, *opts], env=fake, **more)
    return go


# --- a library that is there -------------------------------------------------------------------

def test_each_version_runs_a_module(cloister, modules, version):
    outcome = cloister.run(modules(*wasmedge.says("hello"), "call proc_exit 7"), opts=ENGINE, env=version)
    outcome.ended("exited", 7)
    assert outcome.out == b"hello" and outcome.err == b"" and outcome.result["digest"].startswith("sha256:")


def test_doctor_tells_which_library(cloister, fake):
    assert re.search(r"wasm +wasmedge +works +WasmEdge 0\.14\.1-fake, /\S+/libwasmedge\.so\.0\n", text(cloister.call("doctor", env=fake).out))


@pytest.mark.parametrize("minor, why", [("12", "0.12.1-fake.*0.13 to 0.17"), ("18", "0.18.1-fake.*0.13 to 0.17")])
def test_other_versions_are_refused(cloister, modules, world, minor, why):
    env = wasmedge.fake(world.directory(f"wasmedge-other-{minor}"), f"-DFAKE_MINOR={minor}")
    cloister.run(modules(), opts=ENGINE, env=env, result=False).refused(why)


def test_a_library_that_lacks_something_is_refused(cloister, modules, world):
    env = wasmedge.fake(world.directory("wasmedge-lacks"), "-DFAKE_LACKS")
    cloister.run(modules(), opts=ENGINE, env=env, result=False).refused("has no function WasmEdge_StoreCreate")


# --- what the module gets ----------------------------------------------------------------------

def test_arguments_and_environment_are_the_modules(run):
    """And no loader's: what would have it load another library is a word among others."""
    outcome = run("call args_sizes_get 0 4", "call environ_sizes_get 8 12", "call args_get 64 1024", "call environ_get 256 2048",
                  "word 32 1024", "word 36 64", "word 40 2048", "word 44 256", "call fd_write 1 32 2 48", words=["--probe", "two"],
                  opts=["-e", "LD_PRELOAD=/tmp/evil.so", "-e", "LD_DEBUG=all"])
    outcome.ended("exited", 0)
    words = [word for word in outcome.out.split(b"\0") if word]
    assert words[1:3] == [b"--probe", b"two"] and words[0].endswith(b".wasm"), words
    assert b"LD_PRELOAD=/tmp/evil.so" in words and b"LD_DEBUG=all" in words
    assert not any(b".engine" in word for word in words) and outcome.err == b""


def names(outcome):
    """What fd_readdir has written, as far as it shows."""
    return set(re.findall(rb"[\w.-]+", outcome.out))


LIST = ["call fd_readdir {} 4096 2048 0 8", "word 0 4096", "word 4 600", "call fd_write 1 0 1 16"]


def test_its_root_is_its_own(run):
    found = names(run(*(line.format(3) for line in LIST)).ended("exited", 0))
    assert b"tmp" in found and not found & {b".engine", b".guest", b"lib64", b"lib", b"libwasmedge.so.0"}


def test_its_files_are_of_no_other(run):
    """By WASI: a path that leads to the engine's files leads nowhere."""
    for path in ("../.engine", "/.engine", "../lib64", ".guest"):
        run(f"text 100 {path}", f"call path_filestat_get 3 1 100 {len(path)} 200", "call proc_exit 0").ended("exited", 0)
        outcome = run(f"text 100 {path}", f"call path_filestat_get 3 1 100 {len(path)} 200", "expect 0")
        outcome.ended("signaled", signal_exit(signal.SIGABRT))


def test_it_can_be_written_unless_it_is_read_only(run):
    make = ["text 100 note", "call path_open 3 0 100 4 9 64 64 0 200"]
    run(*make, "expect 0").ended("exited", 0)
    run(*make, "expect 76", opts=["--read-only"]).ended("exited", 0)
    run("text 100 note", "call path_open 4 0 100 4 9 64 64 0 200", "expect 0", opts=["--read-only"]).ended("exited", 0)  # its /tmp


def test_volumes(cloister, run, world):
    shared = world.directory("wasmedge-volume", mode=0o777)
    (shared / "in").write_text("outside")
    (shared / "in").chmod(0o644)
    read = ["text 100 in", "call path_open 4 0 100 2 0 2 2 0 200", "expect 0", "word 0 300", "word 4 64", "call fd_read 5 0 1 16", "expect 0",
            "word 4 7", "call fd_write 1 0 1 16"]
    assert run(*read, opts=["-v", f"{shared}:/data"]).ended("exited", 0).out == b"outside"
    make = ["text 100 out", "call path_open 4 0 100 3 9 64 64 0 200"]
    run(*make, "expect 76", opts=["-v", f"{shared}:/data"]).ended("exited", 0)
    run(*make, "expect 0", opts=["-v", f"{shared}:/data:copy"]).ended("exited", 0)
    assert not (shared / "out").exists()


@pytest.mark.parametrize("place", ["/.engine", "/.engine/x", "/.guest/y", "/lib64"])
def test_a_volume_is_not_where_the_engine_is(run, world, place):
    run("call proc_exit 0", opts=["-v", f"{world.directory('wasmedge-way')}:{place}"], result=False).refused("is in the way")


# --- ends --------------------------------------------------------------------------------------

def test_a_trap_is_told(run):
    outcome = run("trap 10")
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert outcome.result["error"] == "trap: unreachable" and "cloister: trap: unreachable" in text(outcome.err)


def test_limits(cloister, run):
    run("spin", opts=["--timeout", "300ms"]).ended("timeout", 124, "time")
    run("spin", opts=["--cpu-time", "200ms" if cloister.has_cgroup else "1s"]).ended("cpu_time", 137, "cpu_time")
    run("grow 511", "expect 1", "grow 1", "expect 0xffffffff", opts=["--memory", "64m"]).ended("exited", 0)


def test_output_is_bounded(run):
    run("word 0 0", "word 4 65536", *["call fd_write 1 0 1 16"] * 40, "spin", opts=["--output-limit", "64k"]).ended("output_limit", 137, "output")


def test_what_cannot_be_run(cloister, modules, run, fake, world):
    for lines, pages, why in ((["import env more"], 1, "more from env"), (["nothing"], 1, "_start"), (["fail validate 0x202"], 1, "type mismatch"),
                              ([], 4000, "begins with 4000 pages")):
        outcome = run(*lines, pages=pages, opts=["--memory", "64m"])
        outcome.ended("exited", 126)
        assert why in outcome.result["error"], str(outcome)
    other = world.directory("wasmedge-other")
    for name, content in (("component", b"\0asm\x0d\0\1\0"), ("text", b"#!/bin/sh\n")):
        (other / f"{name}.wasm").write_bytes(content)
        (other / f"{name}.wasm").chmod(0o644)
    cloister.run(other / "component.wasm", opts=ENGINE, env=fake, result=False).refused("a component .* is run by wasmtime alone")
    outcome = cloister.run(other / "text.wasm", opts=ENGINE, env=fake)
    outcome.ended("exited", 126)
    assert "no WebAssembly module" in outcome.result["error"], str(outcome)


# --- a library that its module has taken over ---------------------------------------------------

PLACES = {"/etc/passwd": errno.ENOENT, "/.engine/libc.so.6": errno.EACCES, "/.engine/libwasmedge.so.0": errno.EACCES, "/": errno.EACCES,
          "/proc/self/maps": errno.ENOENT, "/dev/null": errno.ENOENT}


def test_nothing_is_within_reach(run):
    lines = text(run(*(f"open {place}" for place in PLACES), "open /.guest").out).splitlines()
    assert lines == [*(f"open {place} {number}" for place, number in PLACES.items()), "open /.guest 0"]


def test_the_engines_files_would_be(cloister, run):
    """Without the domain: it is what keeps them away, and they are what is there."""
    lines = text(run("open /.engine/libwasmedge.so.0", "open /etc/passwd", opts=["--without", "landlock"]).out).splitlines()
    assert lines == ["open /.engine/libwasmedge.so.0 0", "open /etc/passwd 2"]


def test_nothing_is_executed(run):
    run("execute /.engine/libc.so.6").ended("signaled", signal_exit(signal.SIGSYS))


# --- a tenant's worker ---------------------------------------------------------------------------

@pytest.fixture
def tenant(cloister, fake):
    name = f"wasmedge-{os.getpid()}-{next(numbers)}"
    left_out = [f"--without={layer}" for layer in cloister.without]
    outcome = cloister.call("wasm", "serve", "-d", "--tenant", name, "--wasm-model", "process", *ENGINE, *left_out, env=fake).ok()
    yield name
    cloister.call("rm", "-f", outcome.word())


def test_a_tenants_worker_runs_them(cloister, run, tenant):
    opts = ["--tenant", tenant]
    outcome = run(*wasmedge.says("hello"), "call proc_exit 3", opts=opts)
    outcome.ended("exited", 3)
    assert outcome.out == b"hello"
    outcome = run("trap 10", opts=opts)
    assert outcome.result["error"] == "trap: unreachable"
    for place, number in PLACES.items():
        run(f"open {place}", f"expect {number}", opts=opts).ended("exited", 0)
        assert run(f"open {place}", "expect 0", opts=opts).result["error"] == "trap: unreachable"
    found = names(run(*(line.format(3) for line in LIST), opts=opts))
    assert b"tmp" in found and b".engine" not in found


def test_workers_of_one_engine_take_no_code_for_another(cloister, tenant):
    """The other's runs don't find it: each engine has a socket of its own."""
    assert (cloister.state() / "workers" / f"{tenant}:wasmedge").exists()
    assert not (cloister.state() / "workers" / f"{tenant}:process").exists()


# --- what is refused ------------------------------------------------------------------------------

def test_turns_are_refused(cloister, modules, fake):
    tenant = ["--tenant", "wasmedge-turns"]
    cloister.run(modules(), opts=[*ENGINE, *tenant, "--wasm-model", "coroutine"], env=fake, result=False).refused("--wasm-model process")
    cloister.call("wasm", "serve", *tenant, *ENGINE, env=fake).refused("--wasm-model process")
    cloister.call("wasm", "compile", *ENGINE, modules()).refused("serve's")


def test_options_that_have_no_place(cloister, modules, rootfs, world, fake):
    cloister.run(rootfs, "true", opts=ENGINE, result=False).refused("WebAssembly modules alone")
    cloister.run(modules(), opts=["--wasm-engine", "v8"], result=False).refused("wasmtime")
    cloister.run(modules(), opts=[*ENGINE, "--copy-in", f"{modules()}:/x"], result=False).refused("--copy-in")
    cloister.run(modules(), opts=[*ENGINE, "--copy-out", f"/x:{world.directory('wasmedge-out')}"], result=False).refused("--copy-out")


def test_a_policy_chooses_it(cloister, modules, world, fake):
    policy = world.directory("wasmedge-policy") / "policy.yaml"
    policy.write_text("wasm_engine: wasmedge\n")
    policy.chmod(0o644)
    assert cloister.run(modules(*wasmedge.says("chosen")), opts=["--policy", policy], env=fake).ok().out == b"chosen"


@pytest.mark.skipif(wasmedge.is_installed(), reason="libwasmedge.so.0 is installed")
def test_a_library_that_is_missing_is_told_with_its_cure(cloister, modules):
    cloister.run(modules(), opts=ENGINE, result=False).refused("libwasmedge.so.0", "install WasmEdge")
    served = cloister.call("wasm", "serve", "--tenant", "wasmedge-none", "--wasm-model", "process", *ENGINE)
    assert served.exit == 125 and "install WasmEdge" in text(served.err)
    assert re.search(r"wasm +wasmedge +absent .*libwasmedge.so.0", text(cloister.call("doctor").out))


# --- WasmEdge itself ------------------------------------------------------------------------------

real = pytest.mark.skipif(not wasmedge.is_installed(), reason="libwasmedge.so.0 is not installed")


@pytest.fixture
def real_run(cloister, guest):
    def go(*words, opts=(), **more):
        return cloister.run(guest, *words, opts=[*ENGINE, *opts], **more)
    return go


@real
def test_real_streams_arguments_environment(real_run):
    assert real_run().ok().out == b"hello\n"
    assert real_run("args", "--", "-x", "a b", "", "ünï").ok().lines() == ["[--]", "[-x]", "[a b]", "[]", "[ünï]"]
    assert "B=two words" in real_run("env", opts=["-e", "B=two words"]).ok().lines()
    data = bytes(range(256)) * 1024
    assert real_run("cat", input=data).ok().out == data


@real
@pytest.mark.parametrize("code", [0, 1, 77, 126, 255])
def test_real_exit_status(real_run, code):
    real_run("exit", str(code)).ended("exited", code)


@real
@pytest.mark.parametrize("how", ["u", "d", "m", "c", "a"])
def test_real_traps(real_run, how):
    outcome = real_run("trap", how)
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert outcome.result["error"].startswith("trap: "), str(outcome)


@real
def test_real_limits(cloister, real_run):
    outcome = real_run("grow", opts=["--memory", "128m"]).ok()
    assert 64 <= int(outcome.word()) <= 96, str(outcome)
    real_run("spin", opts=["--timeout", "300ms"]).ended("timeout", 124, "time")
    real_run("spin", opts=["--cpu-time", "200ms" if cloister.has_cgroup else "1s"]).ended("cpu_time", 137, "cpu_time")
    real_run("flood", opts=["--output-limit", "64k"]).ended("output_limit", 137, "output")


@real
def test_real_files_and_clocks(real_run, world):
    shared = world.directory("wasmedge-real")
    (shared / "in").write_text("from outside")
    (shared / "in").chmod(0o644)
    assert real_run("cat", "/data/in", opts=["-v", f"{shared}:/data"]).ok().out == b"from outside"
    real_run("put", "/note", "words").ok()
    assert sorted(real_run("list", "/").ok().lines()) == [".", "..", "tmp"]
    assert "Read-only" in text(real_run("put", "/note", "words", opts=["--read-only"]).err)
    outcome = real_run("rest", "200").ok()
    assert outcome.lines() == ["resting", "rested"] and outcome.seconds >= 0.2


@real
def test_real_tenants_worker(cloister, real_run):
    name = f"wasmedge-real-{os.getpid()}"
    left_out = [f"--without={layer}" for layer in cloister.without]
    served = cloister.call("wasm", "serve", "-d", "--tenant", name, "--wasm-model", "process", *ENGINE, *left_out).ok().word()
    try:
        assert real_run(opts=["--tenant", name]).ok().out == b"hello\n"
        real_run("trap", "u", opts=["--tenant", name]).ended("signaled", signal_exit(signal.SIGABRT))
    finally:
        cloister.call("rm", "-f", served)


@real
def test_real_version_is_told(cloister):
    assert re.search(r"wasm +wasmedge +works +WasmEdge 0\.\d+", text(cloister.call("doctor").out))
