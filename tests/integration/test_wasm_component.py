"""The wasm wall with a component (WASI 0.2): what holds of a module holds of it, and it may have a network."""

import os
import re
import signal
import subprocess

import pytest

from integration.test_wasm import (modules, resting, test_arguments_are_the_guests, test_backtrace_of_an_exhausted_stack, test_chance,  # noqa: F401
                                   test_cpu_time, test_detached, test_disk, test_environment_is_the_plans, test_exec_is_refused,
                                   test_few_descriptors, test_files_go_in_and_out, test_hello,
                                   test_link_that_leads_out_of_its_directory, test_memory_ends_in_an_answer,
                                   test_names_of_functions_are_in_the_backtrace, test_nothing_of_the_host_is_there, test_output, test_pause,
                                   test_signals, test_sleep_and_clocks, test_stop, test_streams, test_time, test_trap_is_told)
from lib.fetched import or_skip
from lib.outer import OUTSIDE4, RESOLVER_NAME, WEB_PORT, WORLD4, Inside, Outer
from lib.runner import alive, descendants, signal_exit, text
from lib.wasm_component import compile_component, component_of_text, network_guest
from lib.wasm_guest import compile_guest
from lib.wasm_worker import Worker, comm

OUTBOUND = ["--network", "outbound"]
DENIED = 1  # error-code of wasi:sockets: access-denied


@pytest.fixture(scope="session")
def guest(world):
    """The same program as the module's tests have."""
    return or_skip(compile_component, world.directory("component"))


@pytest.fixture(scope="session")
def request_guest(world):
    return or_skip(network_guest, world.directory("component-request"))


@pytest.fixture(scope="session")
def component(world):
    """Writes a component, as text, under a name."""
    directory = world.directory("components")

    def write(name, words):
        return or_skip(component_of_text, directory / name, words)

    return write


# --- files -----------------------------------------------------------------------------------

def test_files_of_its_own(cloister, guest):
    """Of a read-only file system the engine's WASI says no more than that it failed."""
    for path in ("/note", "note", "/tmp/note"):
        assert cloister.run(guest, "put", path, "words").ok().err == b""
    outcome = cloister.run(guest, "put", "/note", "words", opts=["--read-only"])
    assert outcome.exit == 1 and text(outcome.err) == "/note: I/O error\n", str(outcome)


def test_volumes(cloister, guest):
    shared = cloister.directory("volume")
    (shared / "in").write_text("from outside")
    (shared / "in").chmod(0o644)
    if cloister.identity == "root":
        os.chown(shared, 1000, 1000)
    assert cloister.run(guest, "cat", "/data/in", opts=["-v", f"{shared}:/data"]).ok().out == b"from outside"
    assert cloister.run(guest, "put", "/data/out", "x", opts=["-v", f"{shared}:/data"]).exit == 1
    cloister.run(guest, "put", "/data/out", "x", opts=["-v", f"{shared}:/data:copy"]).ok()
    assert not (shared / "out").exists()
    cloister.run(guest, "put", "/data/out", "x", opts=["-v", f"{shared}:/data:rw"]).ok()
    assert (shared / "out").read_text() == "x" and (shared / "out").stat().st_uid == shared.stat().st_uid


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd"])
def test_links_of_its_own_making(cloister, guest, target):
    """It may make one that leads out, or is refused already; to follow one gets it nowhere."""
    shared = cloister.directory("volume")
    if cloister.identity == "root":
        os.chown(shared, 1000, 1000)
    opts = ["-v", f"{shared}:/data:rw"]
    cloister.run(guest, "link", target, "/data/link", opts=opts)
    outcome = cloister.run(guest, "cat", "/data/link", opts=opts)
    assert outcome.exit == 1 and outcome.out == b"" and b"root:" not in outcome.err, str(outcome)


# --- streams ---------------------------------------------------------------------------------

def test_input_that_comes_late(cloister, guest):
    with cloister.start(guest, "cat", stdin=subprocess.PIPE) as running:
        for words in (b"one\n", b"two\n"):
            running.process.stdin.write(words)
            running.process.stdin.flush()
            running.expect(words.strip())
        running.process.stdin.close()
        running.wait().ended("exited", 0)


def test_input_of_a_file(cloister, guest, tmp_path):
    data = os.urandom(300_000)
    (tmp_path / "data").write_bytes(data)
    with open(tmp_path / "data", "rb") as stdin:
        assert cloister.run(guest, "cat", stdin=stdin).ok().out == data


def test_nobody_reads(cloister, guest):
    """Its output is closed: to write is an error for it, and no signal."""
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "wb") as stdout:
        outcome = cloister.run(guest, "flood", stdout=stdout)
    assert outcome.exit == 1 and text(outcome.err).startswith("write: "), str(outcome)


# --- its end ---------------------------------------------------------------------------------

@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_status(cloister, guest, code):
    """wasi:cli/exit says success or failure, no more; where the adapter has exit-with-code it says which."""
    outcome = cloister.run(guest, "exit", str(code))
    assert outcome.exit in (code, min(code, 1)), str(outcome)
    outcome.ended("exited", outcome.exit)


def test_it_has_a_worker_of_its_own(cloister, guest):
    result = cloister.run(guest, opts=["--tenant", "alice"]).ok().result
    assert result["tenant"] == "alice" and result["wall"] == "wasm"
    cloister.run(guest, opts=["--tenant", "alice", "--wasm-model", "process"]).ok()
    cloister.run(guest, opts=["--tenant", "alice", "--wasm-model", "coroutine"]).refused("coroutine: a component .* worker of its own")


@pytest.mark.parametrize("model", ["coroutine", "process"])
def test_it_joins_no_worker_of_its_tenant(cloister, guest, model):
    worker = Worker(cloister, f"component-{model}-{os.getpid()}", model=model)
    try:
        with cloister.start(guest, "rest", "60000", opts=["--tenant", worker.tenant]) as running:
            running.expect(b"resting")
            below = [pid for pid in descendants(running.pid) if comm(pid) == "cloister-wasm-component"[:15]]
            assert len(below) == 1 and alive(worker.pid())
            running.signal(signal.SIGTERM)
            running.wait().ended("signaled", signal_exit(signal.SIGTERM))
    finally:
        worker.stop()


def test_working_directory(cloister, guest):
    """It isn't for an empty root; the variable says it of an image's files."""
    assert cloister.run(guest, "put", "note", "words", opts=["-e", "PWD=/tmp"]).ok()


# --- what is refused -------------------------------------------------------------------------

LIBRARY = """(component (core module $m (func (export "f"))) (core instance (instantiate $m)))"""
WANTS = """(component (import "cloister:tests/nowhere" (instance (export "f" (func)))))"""
BIG = """(component
  (core module $m (memory (export "memory") {pages}) (func (export "run") (result i32) {body}))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $export (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $export)))"""


def test_smallest_command(cloister, component):
    cloister.run(component("good.wasm", BIG.format(pages=1, body="i32.const 0"))).ended("exited", 0)
    cloister.run(component("fails.wasm", BIG.format(pages=1, body="i32.const 1"))).ended("exited", 1)
    outcome = cloister.run(component("traps.wasm", BIG.format(pages=1, body="unreachable")))
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert "unreachable" in outcome.result["error"] and "    0: 0x" in text(outcome.err)
    # an answer that there is none of
    outcome = cloister.run(component("lies.wasm", BIG.format(pages=1, body="i32.const 7")))
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert outcome.result["error"].startswith("trap: "), str(outcome)


def test_library_is_no_command(cloister, component):
    outcome = cloister.run(component("library.wasm", LIBRARY))
    outcome.ended("exited", 126)
    assert "no wasi:cli/run" in outcome.result["error"]


def test_component_that_wants_what_is_not_there(cloister, component):
    outcome = cloister.run(component("wants.wasm", WANTS))
    outcome.ended("exited", 126)
    assert "cloister:tests/nowhere" in outcome.result["error"]


def test_more_memory_than_the_limit(cloister, component):
    outcome = cloister.run(component("big.wasm", BIG.format(pages=4096, body="i32.const 0")), opts=["--memory", "64m"])
    outcome.ended("exited", 126)
    assert "memory" in outcome.result["error"]


def test_what_is_not_text(cloister, guest):
    outcome = cloister.run(guest, os.fsdecode(b"\xff\xfe"))
    outcome.ended("exited", 126)
    assert "argument 1 is no UTF-8" in outcome.result["error"]


def test_options_that_make_no_sense(cloister, guest):
    cloister.run(guest, opts=["--wall", "container"]).refused("wasm wall")
    cloister.run(guest, opts=["--profile", "build"]).refused("profile build")


def test_what_it_has_of_the_hosts_counts(cloister, request_guest):
    """Each thing is memory of its worker: that ends by the limit of the sandbox, or by the engine's of such things."""
    outcome = cloister.run(request_guest, "hoard", opts=["--memory", "64m", "--timeout", "40s"])
    assert outcome.exit in (134, 137) and outcome.result["status"] in ("signaled", "oom"), str(outcome)


# --- ahead of time ---------------------------------------------------------------------------

def test_components_are_compiled_ahead(cloister, component):
    made_now = component(f"ahead-{cloister.identity}.wasm", BIG.format(pages=1, body=f"i32.const {os.getpid()} drop i32.const 0"))
    first = cloister.call("wasm", "compile", made_now).ok().word()
    assert re.fullmatch(rf"sha256:[0-9a-f]{{64}}  {made_now}: compiled in \d+\.\d{{3}} s", first), first
    assert cloister.call("wasm", "compile", made_now).ok().word().endswith(": was compiled")
    assert cloister.run(made_now).ok().result["digest"] == first.split()[0]


# --- network ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def outer(world, nothing_left_after_the_module):
    made_here = Outer(world)
    made_here.serve(made_here.world, "tcp=0.0.0.0", "tcp=::", f"web={OUTSIDE4}", f"dns={WORLD4}")
    yield made_here
    made_here.close()


@pytest.fixture(params=["root", "user"])
def inside(request, outer, world, binary):
    outer.set_resolver(WORLD4)
    return Inside(outer, world, binary, request.param)


def test_without_a_network_it_has_no_socket(cloister, request_guest):
    outcome = cloister.run(request_guest, "socket")
    assert outcome.exit == 1 and outcome.word() == f"socket: error {DENIED}", str(outcome)
    for name in ("127.0.0.1:80", "service.test:80"):
        outcome = cloister.run(request_guest, "get", name, "/")
        assert outcome.exit == 1 and re.fullmatch(r"(handle|response): error \d+", outcome.word()), str(outcome)
        outcome.ended("exited", 1)


def test_with_a_network_it_has_sockets(inside, request_guest):
    assert inside.run(request_guest, "socket", opts=OUTBOUND).ok().word() == "a socket"


@pytest.mark.parametrize("name", [OUTSIDE4, RESOLVER_NAME])
def test_http(inside, request_guest, name):
    done = inside.run(request_guest, "get", f"{name}:{WEB_PORT}", "/page?a=b", opts=OUTBOUND).ok()
    assert done.lines() == ["200", f"/page?a=b of {name}:{WEB_PORT}"]
    assert {"netns", "network-filter"} <= set(done.result["layers"])
    assert inside.run(request_guest, "get", f"{name}:{WEB_PORT}", "/none", opts=OUTBOUND).ok().lines()[0] == "404"


def test_what_the_network_filter_refuses(inside, request_guest):
    """The metadata service of a cloud, of which no word comes back; and a name that is nobody's."""
    inside.run(request_guest, "get", f"169.254.169.254:{WEB_PORT}", "/", opts=[*OUTBOUND, "--timeout", "1s"]).ended("timeout", 124, "time")
    outcome = inside.run(request_guest, "get", f"nobody.test:{WEB_PORT}", "/", opts=OUTBOUND)
    assert outcome.exit == 1 and re.fullmatch(r"(handle|response): error \d+", outcome.word()), str(outcome)


def test_a_network_takes_a_thread(outer, world, binary, request_guest):
    """Which looks up names, and is there before the guest begins."""
    outer.set_resolver(WORLD4)
    as_root_inside = Inside(outer, world, binary)
    outcome = as_root_inside.run(request_guest, "socket", opts=[*OUTBOUND, "--pids-limit", "1"])
    outcome.ended("exited", 126)
    assert "the thread that looks up names: " in outcome.result["error"]
    done = as_root_inside.run(request_guest, "get", f"{RESOLVER_NAME}:{WEB_PORT}", "/", opts=[*OUTBOUND, "--pids-limit", "2"]).ok()
    assert done.lines()[0] == "200" and done.result["usage"]["tasks_peak"] == 2


def test_without_a_network_one_task_is_enough(as_root, guest):
    assert as_root.run(guest, "args", "a", opts=["--pids-limit", "1"]).ok().result["usage"]["tasks_peak"] == 1


def test_a_module_has_no_use_for_a_network(cloister, world):
    cloister.run(compile_guest(world.directory("module")), opts=OUTBOUND).refused("network")
