"""Modules of one tenant in processes of their own, forked from its worker: what each has that those who take turns share."""

import itertools
import json
import os
import signal
from pathlib import Path

import pytest

from lib import wasm_worker as wire
from lib.detached import starter
from lib.rootless import Cell
from lib.runner import alive, descriptors, poll, stat_fields, text
from lib.wasm_guest import compile_guest

numbers = itertools.count()


@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm-process"))


@pytest.fixture
def worker(cloister):
    worker = wire.Worker(cloister, f"process-{os.getpid()}-{next(numbers)}", model="process")
    yield worker
    worker.stop()


@pytest.fixture
def run(cloister, worker, guest):
    def go(*words, opts=(), **more):
        return cloister.run(guest, *words, opts=["--tenant", worker.tenant, *opts], **more)
    return go


@pytest.fixture
def detach(cloister, worker, guest):
    for start in starter(cloister, guest):
        yield lambda *words, opts=(): start(*words, opts=["--tenant", worker.tenant, *opts])


@pytest.fixture
def limited(as_root):
    """A worker where there are cgroups."""
    worker = wire.Worker(as_root, f"limited-{os.getpid()}-{next(numbers)}", model="process")
    yield worker
    worker.stop()


@pytest.fixture
def detach_limited(as_root, limited, guest):
    for start in starter(as_root, guest):
        yield lambda *words, opts=(): start(*words, opts=["--tenant", limited.tenant, *opts])


def process_of(worker):
    """The one guest's."""
    poll(lambda: len(worker.pids()) == 2, 20, "its process to be there")
    return worker.pids()[1]


def cgroups_of(pid):
    return Path(f"/proc/{pid}/cgroup").read_text()


def status_of(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def test_each_has_a_process(worker, detach):
    sandbox = detach("rest", "60000")
    pid = process_of(worker)
    assert int(stat_fields(pid)[1]) == worker.pid()
    own, workers = status_of(pid), status_of(worker.pid())
    assert own["NSpid"].split()[1:] != workers["NSpid"].split()[1:]
    assert own["Seccomp"] == "2" and int(own["Seccomp_filters"]) == int(workers["Seccomp_filters"]) + 1
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(own[kind], 16) == 0 and int(workers[kind], 16) == 0xa0, kind  # KILL, SETUID
    assert (own["NoNewPrivs"], int(own["CapBnd"], 16)) == ("1", 0xa0)
    sandbox.call("kill").ok()
    assert sandbox.exit_status() == 137
    poll(lambda: not alive(pid), 20, "it to end")


def test_each_is_a_user(cloister, worker, detach):
    """Who has a process has a user, whom nobody else is; its files are the worker's as before."""
    for _ in range(3):
        detach("rest", "60000")
    poll(lambda: len(worker.pids()) == 4, 20, "their processes to be there")
    ids = [status_of(pid)["Uid"].split() for pid in worker.pids()]
    (owner,), others = set(ids[0]), ids[1:]
    assert all(real == effective == saved != owner and files == owner for real, effective, saved, files in others), ids
    assert len({real for real, *_ in others}) == 3
    assert "guest-users" in worker.inspect()["layers"] and cloister.uid != int(others[0][0])


def test_a_user_is_free_again(cloister, worker, guest):
    """There are as many as there may be guests, and more guests than that one after the other."""
    few = wire.Worker(cloister, f"{worker.tenant}-few", "--guests", "2", model="process")
    try:
        for _ in range(5):
            cloister.run(guest, "exit", "3", opts=["--tenant", few.tenant]).ended("exited", 3)
    finally:
        few.stop()


def test_more_than_there_are_users(cloister):
    cloister.call("wasm", "serve", "--tenant", "many", "--wasm-model", "process", "--guests", "32001").refused("--guests", "users for 32000")


def test_without_sub_ids(world, binary, as_user, guest):
    """One's own user is all there is: it has to be accepted."""
    alone, tenant = Cell(world, binary, "single", "none"), f"alone-{os.getpid()}"
    alone.call("wasm", "serve", "-d", "--tenant", tenant, "--wasm-model", "process", "--without=limits").refused(
        "/etc/subuid has none", "--without guest-users")
    worker = wire.Worker(alone, tenant, "--without", "guest-users", model="process")
    try:
        with as_user.start(guest, "rest", "60000", opts=["--tenant", tenant]) as running:
            running.expect(b"resting")
            assert [set(status_of(pid)["Uid"].split()) for pid in worker.pids()] == [{str(as_user.uid)}] * 2
            assert "guest-users" not in worker.inspect()["layers"]
            running.signal(signal.SIGKILL)
            running.process.wait()
    finally:
        worker.stop()


def test_files_on_volumes_are_their_owners(cloister, worker, guest, world):
    shared = world.directory("wasm-process-volume", mode=0o700)
    os.chown(shared, world.user.pw_uid, world.user.pw_gid)
    other = wire.Worker(cloister, f"{worker.tenant}-volume", "-v", f"{shared}:/shared:rw", model="process")
    try:
        for number in range(3):
            cloister.run(guest, "put", f"/shared/{number}", "words", opts=["--tenant", other.tenant]).ended("exited", 0)
        assert {(path.stat().st_uid, path.read_text()) for path in Path(shared).iterdir()} == {(world.user.pw_uid, "words")}
        cloister.run(guest, "cat", "/shared/0", opts=["--tenant", other.tenant]).ended("exited", 0)
    finally:
        other.stop()


def test_it_has_nothing_open_but_its_own(worker, detach):
    """Its streams, its directory, the module's file and the line on which it says how it ended."""
    with worker.client(), worker.client():
        detach("rest", "60000")
        pid = process_of(worker)
        kinds = sorted(target.split(":")[0] for target in descriptors(pid).values())
        assert "socket" not in kinds and "anon_inode" not in kinds, kinds
        assert kinds.count("pipe") == 3 and len(kinds) == 5, kinds


def memory_of(pid):
    """All that a process could read of itself."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        place, rights = line.split()[:2]
        begin, end = (int(number, 16) for number in place.split("-"))
        if rights.startswith("r") and "[v" not in line:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                memory.seek(begin)
                yield memory.read(end - begin)


def test_nothing_of_another_guests_orders_is_in_its_memory(worker, guest):
    """It is a copy of the worker's, who reads what all of them are given."""
    secret = f"secret-{os.getpid()}-{next(numbers)}"
    module = worker.compile(guest)
    with worker.client() as client:
        answer, out, _ = wire.capture(client, module, args=("guest", "env"), env=(f"PADDING={'x' * 2000}", f"PASSWORD={secret}"))
        assert secret.encode() in out and answer.status == wire.EXITED
        client.run(module, args=("guest", "rest", "60000"), env=("MINE=my-own-words",))
        pid = process_of(worker)
        poll(lambda: any(b"MINE=my-own-words" in part for part in memory_of(pid)), 20, "it to have its own")
        assert not any(secret.encode() in part for part in memory_of(pid))
    os.close(module)


def test_it_is_in_the_runs_cgroups(limited, detach_limited):
    sandbox = detach_limited("spin", opts=["--memory", "48MiB"])
    pid = process_of(limited)
    name = f"cloister-{sandbox.id}"
    poll(lambda: name in cgroups_of(pid), 20, "it to enter them")
    assert name not in cgroups_of(limited.pid()) and f"cloister-{limited.id}" in cgroups_of(limited.pid())
    places = [line.split(":", 2) for line in cgroups_of(pid).splitlines() if name in line]
    assert {"memory", "pids"} <= {controller for _, controllers, _ in places for controller in controllers.split(",")} or places[0][1] == ""
    sandbox.call("kill").ok()
    sandbox.exit_status()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/**/{name}"))


def test_its_numbers_are_the_kernels(as_root, detach_limited):
    sandbox = detach_limited("spin")
    seen = []

    def has_used():
        seen.append(json.loads(as_root.call("stats", "--no-stream", "--format", "json", sandbox.id).ok().out))
        return seen[-1]["cpu_ns"] > 50_000_000 and seen[-1]["memory_bytes"] > 100_000 and seen[-1]["tasks"] == 1

    poll(has_used, 20, lambda: f"it to use the processor: {seen[-1]}")


def test_share_of_a_processor(as_root, limited, guest):
    outcome = as_root.run(guest, "spin", opts=["--tenant", limited.tenant, "--cpus", "0.2", "--timeout", "1s"])
    outcome.ended("timeout", 124)
    usage = outcome.result["usage"]
    assert 50_000_000 < usage["cpu_user_ns"] + usage["cpu_system_ns"] < 400_000_000
    assert "cpus" in outcome.result["limits_hit"]


def test_one_that_is_killed_by_somebody_else(worker, detach):
    sandbox = detach("spin")
    os.kill(process_of(worker), signal.SIGKILL)
    assert sandbox.exit_status() == 137
    assert sandbox.inspect()["status"] == "signaled"
    other = detach("rest", "1")
    assert other.exit_status() == 0


def test_they_end_with_the_worker(cloister, worker, detach):
    sandbox = detach("spin")
    pid = process_of(worker)
    cloister.call("kill", worker.id).ok()
    poll(lambda: not alive(pid), 20, "it to end")
    assert sandbox.exit_status() == 125


def test_many_at_once_leave_nothing(cloister, worker, guest):
    running = [cloister.start(guest, "rest", "100", opts=["--tenant", worker.tenant]) for _ in range(30)]
    for one in running:
        with one:
            one.wait().ended("exited", 0)
    poll(lambda: len(worker.pids()) == 1, 20, "all of them to go")
    assert cloister.call("ps", "-aq").ok().lines() == [worker.id]


def test_a_plain_run_of_the_tenant_finds_it(cloister, worker, guest):
    with cloister.start(guest, "rest", "60000", opts=["--tenant", worker.tenant]) as running:
        running.expect(b"resting")
        assert len(worker.pids()) == 2
        running.signal(signal.SIGKILL)
        running.process.wait()
    poll(lambda: len(worker.pids()) == 1, 20, "the guest to end with its supervisor")


def test_compiled_ahead_for_it(cloister, worker, guest):
    assert "compiled in" in text(cloister.call("wasm", "compile", "--tenant", worker.tenant, guest).ok().out)
    assert "was compiled" in text(cloister.call("wasm", "compile", "--tenant", worker.tenant, "--wasm-model", "process", guest).ok().out)
    assert "compiled in" in text(cloister.call("wasm", "compile", "--tenant", worker.tenant, "--wasm-model", "coroutine", guest).ok().out)
