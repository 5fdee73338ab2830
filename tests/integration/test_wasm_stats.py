"""What a run uses that shares its tenant's worker: its worker says so, whom nobody believes much, and nobody waits for long."""

import itertools
import json
import os
import re
import signal
import time

import pytest

from lib import wasm_worker as wire
from lib.detached import starter
from lib.patience import patience
from lib.runner import Running, poll
from lib.terminal import Terminal
from lib.wasm_guest import compile_guest
from lib.wasm_worker import answer

numbers = itertools.count()
MIB = 1 << 20
TOLD = ["cpu_percent", "cpu_ns", "memory_bytes", "stdout_bytes", "stderr_bytes"]
OF_ALL = ["tasks", "tasks_limit", "io_read_bytes", "io_write_bytes"]  # what a worker has for all of its guests
RESTING = len(b"resting\n")


@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm-stats"))


@pytest.fixture
def worker(cloister):
    worker = wire.Worker(cloister, f"stats-{os.getpid()}-{next(numbers)}")
    yield worker
    worker.stop()


@pytest.fixture
def start_any(cloister, worker, guest):  # after the worker, so that it sees no sandbox at its end but that
    def remove():
        ids = [one for one in cloister.call("ps", "-aq").ok().lines() if one != worker.id]
        if ids:
            cloister.call("rm", "-f", *ids).ok()
    yield lambda *words, opts=(): cloister.detach(guest, *words, opts=["--tenant", worker.tenant, *opts]).ok().word()
    remove()


def once(cloister, *words):
    out = cloister.call("stats", "--no-stream", "--format", "json", *words).ok().out
    return [json.loads(line) for line in out.decode().splitlines()]


def of(cloister, box):
    seen, = once(cloister, box)
    return seen


def until(cloister, box, condition, what):
    """What stats says of BOX as soon as CONDITION holds of it."""
    return poll(lambda: (seen := of(cloister, box))["cpu_ns"] is not None and condition(seen) and seen, 20, what)


def inspect(cloister, box):
    return json.loads(cloister.call("inspect", box).ok().out)[0]


def test_one_that_computes(cloister, start_any):
    box = start_any("spin", opts=["-m", "32m", "--name", "one"])
    seen = until(cloister, box, lambda seen: seen["cpu_ns"] > 10_000_000, "it never computes")
    assert 0 < seen["cpu_percent"] <= 101 and 65536 <= seen["memory_bytes"] <= 32 * MIB and seen["memory_limit_bytes"] == 32 * MIB
    assert (seen["stdout_bytes"], seen["stderr_bytes"]) == (0, 0) and [seen[key] for key in OF_ALL] == [None] * len(OF_ALL)
    until(cloister, box, lambda later: later["cpu_ns"] > seen["cpu_ns"], "its time stands still")


def test_one_that_writes_and_ends(cloister, start_any):
    """And what is kept of it agrees with what was seen of it."""
    box = start_any("rest", "60000", opts=["--name", "writer"])
    seen = until(cloister, "writer", lambda seen: seen["stdout_bytes"] == RESTING, "nothing was written")
    usage = inspect(cloister, box)["usage"]
    assert list(usage) == ["cpu_ns", "memory_bytes", "stdout_bytes", "stderr_bytes"]
    assert usage["cpu_ns"] >= seen["cpu_ns"] and usage["memory_bytes"] == seen["memory_bytes"] and usage["stdout_bytes"] == RESTING
    head, row = cloister.call("stats", "--no-stream", "writer").ok().lines()
    cells = re.split(r" {3,}", row)
    assert cells[:2] == [box[:12], "writer"] and re.fullmatch(r"\d+\.\d", cells[2]) and re.fullmatch(r"0\.\d\d s", cells[3]), row
    assert re.fullmatch(r"[\d.]+ KiB / 512\.0 MiB", cells[4]) and cells[6:] == ["- / -", "- / 8 B"], row
    cloister.call("stop", box).ok()
    ended = inspect(cloister, box)
    assert ended.get("usage") is None
    result = ended["result"]["usage"]
    assert result["cpu_user_ns"] >= usage["cpu_ns"] and result["memory_peak_bytes"] >= usage["memory_bytes"]
    assert (result["stdout_bytes"], result["stderr_bytes"], result["io_write_bytes"], result["tasks_peak"]) == (RESTING, 0, None, None)


def test_one_that_is_paused(cloister, start_any):
    box = start_any("spin")
    until(cloister, box, lambda seen: seen["cpu_ns"] > 0, "it never computes")
    cloister.call("pause", box).ok()
    first = of(cloister, box)
    assert first["cpu_ns"] > 0
    for _ in range(3):
        assert of(cloister, box)["cpu_ns"] == first["cpu_ns"]
    assert inspect(cloister, box)["usage"]["cpu_ns"] == first["cpu_ns"]
    cloister.call("unpause", box).ok()
    until(cloister, box, lambda seen: seen["cpu_ns"] > first["cpu_ns"], "it doesn't go on")


def test_a_terminal(cloister, start_any):
    box = start_any("spin")
    until(cloister, box, lambda seen: seen["cpu_ns"] > 0, "it never computes")
    with Terminal(rows=10, columns=120) as terminal:
        terminal.launch(cloister.argv("stats", box), cloister.environment({"TERM": "vt100"}))
        poll(lambda: terminal.seen.count(b"SANDBOX") >= 3, 10, "it is not drawn again")
        cloister.call("rm", "-f", box).ok()
        shown = terminal.wait().ok().out
    rows = [re.split(rb" {3,}", line) for line in re.sub(rb"\033\[\d*[AJK]|\r", b"", shown).split(b"\n") if line.startswith(box[:12].encode())]
    assert len(rows) >= 3 and all(float(row[-6]) > 1 for row in rows[1:3]), rows


def test_one_with_a_worker_of_its_own_is_as_ever(cloister, start_any):
    box = start_any("spin", opts=["--wasm-model", "process"])
    assert of(cloister, box)["stdout_bytes"] is None
    if cloister.has_cgroup:
        until(cloister, box, lambda seen: seen["tasks"] == 1, "it never runs")
    assert inspect(cloister, box)["usage"] is None


def test_one_in_a_process_of_its_tenants_worker(cloister, guest):
    """Its cgroups tell; where it has none its worker does, who knows of no memory."""
    worker = wire.Worker(cloister, f"stats-{os.getpid()}-{next(numbers)}", model="process")
    try:
        box = cloister.detach(guest, "spin", opts=["--tenant", worker.tenant]).ok().word()
        seen = until(cloister, box, lambda seen: seen["cpu_ns"] > 10_000_000, "it never computes")
        usage = inspect(cloister, box)["usage"]
        if cloister.has_cgroup:
            assert seen["tasks"] == 1 and seen["memory_bytes"] > 0 and seen["stdout_bytes"] is None and usage is None
        else:
            assert (seen["tasks"], seen["memory_bytes"], seen["stdout_bytes"], usage["memory_bytes"]) == (None, None, 0, None)
        assert inspect(cloister, box)["layers"] == worker.inspect()["layers"]
        cloister.call("rm", "-f", box).ok()
    finally:
        worker.stop()


# --- what protects it -----------------------------------------------------------------------------


def test_layers_are_its_workers(cloister, worker, start_any):
    box = start_any("rest", "60000")
    layers = worker.inspect()["layers"]
    assert {"userns", "seccomp", "no-new-privs"} <= set(layers) and inspect(cloister, box)["layers"] == layers
    cloister.call("stop", box).ok()
    assert inspect(cloister, box)["result"]["layers"] == layers


def test_what_is_no_worker_has_no_layers(cloister, guest):
    """Also while a worker's note lies where one of that name had it."""
    tenant = f"gone-{os.getpid()}-{next(numbers)}"
    worker = wire.Worker(cloister, tenant)
    os.kill(worker.inspect()["supervisor_pid"], signal.SIGKILL)
    poll(lambda: worker.id not in cloister.call("ps", "-q").ok().lines(), 20, "it lives on")
    worker.path.unlink()
    liar = wire.Liar(cloister, tenant)
    try:
        outcome = cloister.run(guest, opts=["--tenant", liar.lie(answer())])
        outcome.ended("exited", 0)
        assert outcome.result["layers"] == []
    finally:
        liar.close()
        worker.stop()


# --- whom nobody waits for ------------------------------------------------------------------------


def timed(cloister, *words):
    before = time.monotonic()
    return once(cloister, *words), time.monotonic() - before


def test_fifty(cloister, worker, start_any):
    """One look at fifty is one look: also where nobody answers."""
    boxes = {start_any("rest", "60000") for _ in range(50)}
    poll(lambda: [seen for seen in once(cloister) if seen["id"] in boxes and seen["stdout_bytes"] == RESTING][49:], 20, "not all tell")
    os.kill(worker.pid(), signal.SIGSTOP)
    try:
        seen, took = timed(cloister)
        silent = [one for one in seen if one["id"] in boxes]
        assert len(silent) == 50 and all(one[key] is None for one in silent for key in TOLD + OF_ALL)
        assert took < patience(5), "it waits for each"
        for _ in range(10):  # more than anybody keeps in mind
            assert of(cloister, silent[0]["id"])["cpu_ns"] is None
        assert inspect(cloister, silent[0]["id"])["usage"] is None
    finally:
        os.kill(worker.pid(), signal.SIGCONT)
    poll(lambda: [one for one in once(cloister) if one["id"] in boxes and one["memory_bytes"]][49:], 20, "not all tell again")


def test_a_stopped_supervisor_holds_up_nobody(cloister, start_any):
    box, other = start_any("rest", "60000"), start_any("rest", "60000")
    until(cloister, other, lambda seen: True, "it never tells")
    pid = inspect(cloister, box)["supervisor_pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        seen = {one["id"]: one for one in once(cloister)}
        assert seen[box]["cpu_ns"] is None and seen[other]["cpu_ns"] is not None
    finally:
        os.kill(pid, signal.SIGCONT)
    until(cloister, box, lambda seen: True, "it doesn't tell again")


def test_ends_meanwhile_are_no_errors(cloister, worker, guest):
    words = cloister.argv(*cloister.run_words(guest, [], ["--tenant", worker.tenant]))
    with Running(["sh", "-c", 'while "$@"; do :; done', "loop", *map(str, words)], env=cloister.environment(), cwd="/", preexec_fn=os.setpgrp) as loop:
        try:
            for _ in range(40):
                assert cloister.call("stats", "--no-stream", "--format", "json").ok().err == b""
        finally:
            os.killpg(loop.pid, signal.SIGTERM)
            loop.wait(patience(20))


# --- a worker that its guests have taken over -----------------------------------------------------


@pytest.fixture
def lied_to(cloister, guest):
    """Starts one whose worker is a liar: its id."""
    liar = wire.Liar(cloister, f"lies-{os.getpid()}-{next(numbers)}")
    start = starter(cloister, guest)
    detach = next(start)
    yield lambda *answers, tells: detach(opts=["--tenant", liar.lie(*answers, tells=tells), "-m", "32m"]).id
    with pytest.raises(StopIteration):
        next(start)
    liar.close()


MUCH = 2**64 - 1


def test_numbers_that_can_not_be_are_kept_in_bounds(cloister, lied_to):
    """No processor's time is more than what has passed, no memory more than its limit; and what it has written its supervisor has seen."""
    told = answer(kind=wire.TOLD, cpu=MUCH, memory=MUCH, out=MUCH, err=MUCH)
    box = lied_to(tells=[[told], [answer(cpu=MUCH, memory=MUCH, out=MUCH, err=MUCH)]])
    seen = of(cloister, box)
    assert 0 < seen["cpu_ns"] < patience(60) * 10**9 and seen["cpu_percent"] < 200 and seen["memory_bytes"] == 32 * MIB
    assert (seen["stdout_bytes"], seen["stderr_bytes"]) == (0, 0)
    once(cloister)  # and with that it ends
    assert cloister.call("wait", box).ok().word() == "0"
    usage = inspect(cloister, box)["result"]["usage"]
    assert seen["cpu_ns"] <= usage["cpu_user_ns"] < patience(60) * 10**9 and usage["memory_peak_bytes"] == 32 * MIB
    assert (usage["stdout_bytes"], usage["stderr_bytes"]) == (0, 0)


def test_who_tells_nothing_is_not_waited_for(cloister, lied_to):
    box = lied_to(tells=[[]] * 100)
    for _ in range(12):
        assert of(cloister, box)["cpu_ns"] is None
    assert inspect(cloister, box)["status"] == "running"


def test_who_tells_what_nobody_asked_is_not_heard(cloister, lied_to):
    unasked = [answer(kind=wire.TOLD, cpu=7, memory=7)] * 20
    box = lied_to(*unasked, tells=[[answer(kind=wire.TOLD, cpu=8, memory=9)]] * 1000)
    poll(lambda: of(cloister, box)["memory_bytes"] == 9, 20, "it is never told")


@pytest.mark.parametrize("words", [b"x", answer(kind=wire.TOLD)[:-1], answer(kind=wire.TOLD, version=1)], ids=["a byte", "short", "old"])
def test_answers_that_are_none_end_it(cloister, lied_to, words):
    box = lied_to(tells=[[words], []])
    assert of(cloister, box)["cpu_ns"] is None
    assert cloister.call("wait", box).ok().word() == "125"
