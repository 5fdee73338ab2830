"""`cloister run --tenant NAME FILE.wasm` where that tenant's worker serves: a guest of it, and a sandbox all the same."""

import itertools
import os
import pathlib
import signal
import time

import pytest

from lib import wasm_module as wasm
from lib import wasm_worker as wire
from lib.detached import starter
from lib.runner import alive, descendants, poll, signal_exit, text
from lib.wasm_guest import compile_guest
from lib.wasm_worker import answer

numbers = itertools.count()


@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm-join"))


@pytest.fixture(params=["coroutine", "process"])
def model(request):
    return request.param


@pytest.fixture
def worker(cloister, model):
    worker = wire.Worker(cloister, f"join-{os.getpid()}-{next(numbers)}", model=model)
    yield worker
    worker.stop()


@pytest.fixture
def run(cloister, worker, guest):
    """Runs the guest in the worker, and sees that it is there."""
    def go(*words, opts=(), **more):
        return cloister.run(guest, *words, opts=["--tenant", worker.tenant, *opts], **more)
    return go


@pytest.fixture
def start(cloister, worker, guest):
    """Starts one whose streams are ours."""
    def go(*words, opts=(), **more):
        return cloister.start(guest, *words, opts=["--tenant", worker.tenant, *opts], **more)
    return go


def is_alone(running):
    """Whether what RUNNING, which has begun, has below it is no worker."""
    return not any(wire.comm(pid) == "cloister-wasm" for pid in descendants(running.process.pid))


# --- what any run is ------------------------------------------------------------------------------


def test_it_is_a_guest_of_the_worker(worker, start):
    with start("rest", "60000") as running:
        running.expect(b"resting")
        assert is_alone(running) and alive(worker.pid())
        running.signal(signal.SIGTERM)
        running.wait().ended("signaled", signal_exit(signal.SIGTERM))


def test_streams_arguments_environment(run):
    data = bytes(range(256)) * 4096
    assert run("cat", input=data).ok().out == data
    assert run("args", "--", "-x", "a b", "", "ünï").ok().lines() == ["[--]", "[-x]", "[a b]", "[]", "[ünï]"]
    lines = run("env", opts=["-e", "A=1", "-e", "B=two words"]).ok().lines()
    assert "A=1" in lines and "B=two words" in lines and not any("SECRET" in line for line in lines)


def test_the_record_is_as_of_any(run, worker):
    outcome = run().ok()
    outcome.ended("exited", 0)
    result = outcome.result
    assert outcome.out == b"hello\n" and outcome.err == b""
    assert (result["wall"], result["tenant"], result["error"]) == ("wasm", worker.tenant, None)
    used = result["usage"]
    assert used["cpu_user_ns"] + (used["cpu_system_ns"] or 0) > 0  # the kernel divides what is short as it likes
    assert used["memory_peak_bytes"] >= 65536
    assert used["stdout_bytes"] == 6


@pytest.mark.parametrize("code", [0, 1, 126, 255])
def test_exit_status_is_the_guests(run, code):
    run("exit", str(code)).ended("exited", code)


def test_trap_is_told(run):
    outcome = run("trap", "d")
    outcome.ended("signaled", signal_exit(signal.SIGABRT))
    assert "trap: integer division by zero" in outcome.result["error"]
    assert f"cloister: {outcome.result['error']}" in text(outcome.err) and "   0: 0x" in text(outcome.err)


def test_what_is_no_command(cloister, worker, world):
    path = world.directory("library") / "library.wasm"
    path.write_bytes(wasm.module())
    path.chmod(0o644)
    outcome = cloister.run(path, opts=["--tenant", worker.tenant])
    assert outcome.exit == 126 and "no command" in text(outcome.err), str(outcome)


def test_limits(run, model):
    run("spin", opts=["--cpu-time", "300ms"]).ended("cpu_time", 137, hit="cpu_time")
    run("spin", opts=["--timeout", "300ms"]).ended("timeout", 124, hit="time")
    run("rest", "60000", opts=["--timeout", "300ms"]).ended("timeout", 124, hit="time")
    run("flood", opts=["--output-limit", "1MiB"]).ended("output_limit", 137, hit="output")
    outcome = run("grow", opts=["--memory", "32MiB"]).ok()
    least = {"coroutine": 24, "process": 22}[model]  # 8 MiB are the process's own, which needs few of them
    assert least << 20 <= outcome.result["usage"]["memory_peak_bytes"] <= 32 << 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_end_it_as_any_program(start, number):
    with start("rest", "60000") as running:
        running.expect(b"resting")
        running.signal(number)
        running.wait().ended("signaled", signal_exit(number))


# --- one that lives -------------------------------------------------------------------------------


@pytest.fixture
def detach(cloister, worker, guest):
    yield from starter(cloister, guest)


def test_detached(cloister, worker, detach):
    sandbox = detach("rest", "300", opts=["--tenant", worker.tenant])
    assert sandbox.exit_status() == 0
    assert sandbox.logs() == (b"resting\nrested\n", b"")


def test_kill_and_stop(cloister, worker, detach):
    for command, status in ((("kill",), 137), (("stop",), 143), (("kill", "-s", "USR1"), 138)):
        sandbox = detach("spin", opts=["--tenant", worker.tenant])
        cloister.call(command[0], *command[1:], sandbox.id).ok()
        assert sandbox.exit_status() == status


def test_pause(cloister, worker, detach):
    sandbox = detach("rest", "200", opts=["--tenant", worker.tenant])
    poll(lambda: sandbox.logs()[0] == b"resting\n", 20, "it to run")
    sandbox.call("pause").ok()
    assert sandbox.inspect()["status"] == "paused"
    time.sleep(0.5)  # the time that it would have needed, twice: nothing happens, which can't be waited for
    assert sandbox.logs()[0] == b"resting\n"
    sandbox.call("unpause").ok()
    assert sandbox.exit_status() == 0
    assert sandbox.logs()[0] == b"resting\nrested\n"


def test_ps_and_what_it_has_not(cloister, worker, detach):
    sandbox = detach("spin", opts=["--tenant", worker.tenant, "--name", f"n-{worker.tenant}"])
    assert f"n-{worker.tenant}" in text(cloister.call("ps").ok().out)
    cloister.call("exec", sandbox.id, "true").refused("one module, and no other program")
    cloister.call("cp", f"{sandbox.id}:/tmp", "/tmp/nothing").refused("shares the worker")
    cloister.call("stats", "--no-stream", sandbox.id).ok()


# --- ends that nobody asked for -------------------------------------------------------------------


def test_the_guest_ends_with_its_supervisor(worker, start, guest):
    with start("spin") as running:
        module = worker.compile(guest)
        poll(lambda: is_busy(worker), 20, "it to spin")
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        poll(lambda: not is_busy(worker), 20, "the guest to end")
        with worker.client() as client:
            assert wire.capture(client, module)[1] == b"hello\n"
        os.close(module)


def is_busy(worker):
    """Whether it, or a guest's process, uses the processor now."""
    def ticks(pid):
        try:
            with open(f"/proc/{pid}/schedstat") as file:
                return int(file.read().split()[0])
        except OSError:
            return 0
    before = {pid: ticks(pid) for pid in worker.pids()}
    time.sleep(0.05)  # what is measured is use over time
    return any(ticks(pid) - ns > 10_000_000 for pid, ns in before.items())


def test_a_worker_that_dies_is_an_error(worker, start):
    with start("rest", "60000") as running:
        running.expect(b"resting")
        os.kill(worker.pid(), signal.SIGKILL)
        outcome = running.wait()
        outcome.ended("error", 125)
        assert worker.tenant in text(outcome.err) and "has ended" in text(outcome.err)


def test_a_full_worker_is_an_error(cloister, guest, model):
    worker = wire.Worker(cloister, f"full-{os.getpid()}", "--guests", "1", model=model)
    try:
        with cloister.start(guest, "rest", "60000", opts=["--tenant", worker.tenant]) as running:
            running.expect(b"resting")
            outcome = cloister.run(guest, opts=["--tenant", worker.tenant])
            assert outcome.exit == 125 and "has 1 guests" in text(outcome.err), str(outcome)
    finally:
        worker.stop()


# --- whose worker ---------------------------------------------------------------------------------


def has_own_worker(cloister, guest, *opts):
    with cloister.start(guest, "rest", "60000", opts=opts) as running:
        running.expect(b"resting")
        found = not is_alone(running)
        running.signal(signal.SIGKILL)
        running.process.wait()
        return found


def test_who_has_a_worker_of_his_own(cloister, worker, guest, world, model):
    other = {"coroutine": "process", "process": "coroutine"}[model]
    shared = world.directory("join-volume", mode=0o777)
    tenant = ["--tenant", worker.tenant]
    assert not has_own_worker(cloister, guest, *tenant)
    assert has_own_worker(cloister, guest)
    assert has_own_worker(cloister, guest, "--tenant", "somebody-else")
    assert has_own_worker(cloister, guest, *tenant, "--wasm-model", other)
    assert has_own_worker(cloister, guest, *tenant, "-v", f"{shared}:/data")
    assert has_own_worker(cloister, guest, *tenant, "--disk", "16MiB")
    assert not has_own_worker(cloister, guest, *tenant, "--wasm-model", model)


def test_what_can_not_be_shared(cloister, worker, guest, rootfs):
    tenant = ["--tenant", worker.tenant, "--wasm-model", "coroutine"]
    cloister.run(guest, opts=[*tenant, "--disk", "16MiB"], result=False).refused("disk", "process")
    cloister.run(guest, opts=[*tenant, "--cpus", "1"], result=False).refused("cpus")
    cloister.run(guest, opts=["--wasm-model", "coroutine"], result=False).refused("--tenant")
    cloister.run(guest, opts=["--wasm-model", "threads"], result=False).refused("coroutine")
    cloister.run(rootfs, "true", opts=["--wasm-model", "process"], result=False).refused("WebAssembly")


def test_many_at_once_leave_nothing(cloister, worker, guest):
    running = [cloister.start(guest, "rest", "200", opts=["--tenant", worker.tenant]) for _ in range(20)]
    for one in running:
        with one:
            one.wait().ended("exited", 0)
    assert cloister.call("ps", "-aq").ok().lines() == [worker.id]


# --- a worker that its guests have taken over -----------------------------------------------------


@pytest.fixture
def liar(cloister, model):
    liar = wire.Liar(cloister, f"liar-{os.getpid()}-{next(numbers)}", model)
    yield liar.lie
    liar.close()


@pytest.mark.parametrize("words", [b"", b"x", answer()[:-1], answer() + b"x", answer(version=1), answer(version=2**32 - 1), os.urandom(4096)],
                         ids=["nothing", "a byte", "short", "long", "old", "new", "large"])
def test_answers_that_are_none_are_an_error(cloister, guest, liar, words):
    tenant = liar(*([words] if words else []))
    cloister.run(guest, opts=["--tenant", tenant]).ended("error", 125)


def test_lies_are_kept_in_bounds(cloister, guest, liar):
    def run(*answers):
        return cloister.run(guest, opts=["--tenant", liar(*answers)])

    run(answer(code=2**32 - 1)).ended("exited", 255)
    run(answer(kind=99), answer(kind=wire.TOLD), answer(code=3)).ended("exited", 3)  # who says nothing is waited for
    run(answer(status=0)).ended("signaled", 137)
    run(answer(status=2**31)).ended("signaled", 137)
    outcome = run(answer(status=wire.TRAPPED, message=b"\033[31m\nforged" + b"x" * 293))
    outcome.ended("signaled", 134)
    assert b"\033" not in outcome.err and outcome.err.count(b"\n") == 1 and outcome.result["error"].isprintable()
    outcome = run(answer(kind=wire.REFUSED, code=2**31, message=b"\033]0;title\007\n" + b"y" * 300))
    outcome.ended("error", 125)
    assert b"\033" not in outcome.err and outcome.err.count(b"\n") == 1
