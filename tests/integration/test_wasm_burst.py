"""Hundreds of clients of a worker at once: whoever comes while it has no room for them waits, and nobody is turned away."""

import itertools
import os
import resource
import signal
import time

import pytest

from lib import wasm_worker as wire
from lib.runner import alive, poll, text
from lib.wasm_guest import compile_guest

numbers = itertools.count()
MANY = 600
OWN = 0.3  # seconds over which it is looked at whether a supervisor rests


@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm-burst"))


@pytest.fixture
def worker(cloister):
    worker = wire.Worker(cloister, f"burst-{os.getpid()}-{next(numbers)}")
    yield worker
    worker.stop()


@pytest.fixture
def module(worker, guest):
    fd = worker.compile(guest)
    yield fd
    os.close(fd)


def used_ns(pid):
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0])


def rests(pid):
    """Whether PID uses no processor to speak of."""
    before = used_ns(pid)
    time.sleep(OWN)  # what is measured is use over time
    return used_ns(pid) - before < OWN * 1e9 / 30


def burst(worker, module, count=MANY):
    """COUNT clients who have each ordered a guest, with a status of its own."""
    clients = []
    for i in range(count):
        clients.append(worker.client())
        clients[-1].run(module, args=("guest", "exit", str(i % 256)))
    return clients


def served(clients):
    for i, client in enumerate(clients):
        with client:
            answer = client.answer()
            assert answer is not None, f"the client {i} was turned away"
            assert (answer.kind, answer.status, answer.code) == (wire.ENDED, wire.EXITED, i % 256), answer


def test_all_are_served_when_it_goes_on(cloister, worker, module, guest):
    supervisor, pid = worker.inspect()["supervisor_pid"], worker.pid()
    descriptors = len(os.listdir(f"/proc/{supervisor}/fd"))
    os.kill(pid, signal.SIGSTOP)
    try:
        clients = burst(worker, module)
        runs = [cloister.start(guest, "exit", str(i), opts=["--tenant", worker.tenant]) for i in range(20)]
        poll(lambda: rests(supervisor), 20, "the supervisor doesn't come to rest")
        assert len(os.listdir(f"/proc/{supervisor}/fd")) <= descriptors + 2
        assert cloister.call("ps", "-q").ok().lines()
    finally:
        os.kill(pid, signal.SIGCONT)
    served(clients)
    for i, running in enumerate(runs):
        with running:
            running.wait().ended("exited", i)
    served(burst(worker, module, 10))
    assert len(os.listdir(f"/proc/{supervisor}/fd")) == descriptors


def test_all_are_served_by_a_worker_that_runs(worker, module):
    served(burst(worker, module))


def test_all_see_its_end(cloister, worker, module, guest):
    pid = worker.pid()
    os.kill(pid, signal.SIGSTOP)
    clients = burst(worker, module)
    with cloister.start(guest, opts=["--tenant", worker.tenant]) as running:
        os.kill(pid, signal.SIGKILL)
        outcome = running.wait()
        assert outcome.exit in (0, 125), str(outcome)  # 0: it found none any more, and had one of its own
        assert outcome.exit == 0 or "has ended" in text(outcome.err), str(outcome)
    for client in clients:
        with client:
            try:
                assert client.answer() is None
            except ConnectionResetError:
                pass
    assert int(cloister.call("wait", worker.id).ok().word()) == 137


def test_a_stop_ends_it_while_they_wait(cloister, worker, module):
    supervisor, pid = worker.inspect()["supervisor_pid"], worker.pid()
    os.kill(pid, signal.SIGSTOP)
    clients = burst(worker, module)
    cloister.call("stop", "-t", "0", worker.id).ok()
    poll(lambda: not alive(supervisor) and not alive(pid), 20, "both to end")
    for client in clients:
        client.close()


def test_more_are_on_their_way_than_its_user_may_have(cloister, guest):
    """The kernel counts descriptors in flight (RLIMIT_NOFILE of who sends): no socket's room tells when there are fewer."""
    def few():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))

    tenant = f"flight-{os.getpid()}-{next(numbers)}"
    left_out = [f"--without={layer}" for layer in cloister.without]
    cloister.call("wasm", "serve", "-d", "--tenant", tenant, *left_out, preexec_fn=few).ok()
    worker = object.__new__(wire.Worker)
    worker.cloister, worker.tenant, worker.path = cloister, tenant, cloister.state() / "workers" / tenant
    worker.id = f"wasm-{tenant}"
    try:
        module, supervisor, pid = worker.compile(guest), worker.inspect()["supervisor_pid"], worker.pid()
        os.kill(pid, signal.SIGSTOP)
        clients = burst(worker, module, 300)
        runs = [cloister.start(guest, opts=["--tenant", tenant], preexec_fn=few) for _ in range(3)]
        poll(lambda: rests(supervisor), 20, "the supervisor doesn't come to rest")
        os.kill(pid, signal.SIGCONT)
        served(clients)
        for running in runs:
            with running:
                running.wait().ended("exited", 0)
        os.close(module)
    finally:
        worker.stop()
