"""pause and unpause: nothing runs, everything goes on, and the end comes all the same."""

import json
import os
import signal

import pytest

from lib.patience import patience
from lib.runner import Running, alive, descendants, poll, stat_fields
from lib.terminal import Terminal

STILL = set("TtXZD")


class Box:
    """A detached sandbox."""

    def __init__(self, cloister, identifier):
        self.cloister, self.id = cloister, identifier
        self.supervisor = self.inspect()["supervisor_pid"]

    def call(self, command, *words):
        return self.cloister.call(command, *words, self.id)

    def inspect(self):
        return json.loads(self.call("inspect").ok().out)[0]

    def status(self):
        return self.inspect()["status"]

    def log(self):
        return self.call("logs").ok().out

    def init(self):
        return self.inspect()["init_pid"]

    def processes(self):
        return descendants(self.init())

    def states(self):
        """Of all threads."""
        found = []
        for pid in self.processes():
            for thread in os.listdir(f"/proc/{pid}/task"):
                found += stat_fields(f"{pid}/task/{thread}")[0]
        return found

    def is_frozen(self):
        return any("cgroup.freeze" in os.listdir(path) and (path / "cgroup.freeze").read_text() == "1\n" for path in self.cgroups())

    def cgroups(self):
        from lib.world import sandbox_cgroups
        return sandbox_cgroups(self.init())

    def stands_still(self):
        return self.is_frozen() or set(self.states()) <= STILL

    def goes_on(self):
        before = len(self.log())
        poll(lambda: len(self.log()) > before, 20, "it doesn't go on")


@pytest.fixture
def detach(cloister, rootfs, nothing_left):
    """Starts one that has begun to speak; nothing of any is left at the end."""
    def start(*command, opts=()):
        box = Box(cloister, cloister.detach(rootfs, *command, opts=opts).ok().word())
        poll(box.log, 20, "it never began")
        return box
    yield start
    ids = cloister.call("ps", "-aq").ok().lines()
    if ids:
        cloister.call("rm", "-f", *ids).ok()
    nothing_left(prune=True)


@pytest.mark.parametrize("command", [["probe", "tick"], ["probe", "tick", "job"], ["sh", "-c", "probe tick job & probe tick & wait"]], ids=["one", "job", "tree"])
def test_nothing_runs_until_it_goes_on(detach, cloister, rootfs, command):
    box = detach(*command)
    for _ in range(3):
        assert box.call("pause").ok().word() == box.id
        assert box.stands_still(), box.states()
        before = box.log()
        cloister.run(rootfs, "sleep", "0.1", result=False).ok()
        assert box.log() == before and box.stands_still()
        assert box.call("unpause").ok().word() == box.id
        box.goes_on()
        assert not box.is_frozen() and "T" not in box.states()


def test_it_is_told(detach, cloister):
    box = detach("probe", "tick", opts=["--name", "told"])
    other = detach("probe", "tick")
    box.call("pause").ok()
    assert box.status() == "paused"
    kept = (cloister.kept() / box.id / "record").read_bytes()
    assert int.from_bytes(kept[8:12], "little") == 2  # struct cl_status, phase
    assert {one["id"]: one["status"] for one in json.loads(cloister.call("ps", "--format", "json").ok().out)} == {box.id: "paused", other.id: "running"}
    assert cloister.call("ps", "-q", "--filter", "status=paused").ok().lines() == [box.id]
    assert cloister.call("ps", "-q", "--filter", "status=running").ok().lines() == [other.id]
    cloister.call("unpause", "told").ok()
    assert box.status() == "running"


def test_twice_is_an_error(detach, cloister):
    box = detach("probe", "tick")
    box.call("unpause").refused(f"sandbox {box.id} is not paused")
    box.call("pause").ok()
    box.call("pause").refused(f"sandbox {box.id} is paused already")
    assert box.stands_still() and box.status() == "paused"
    box.call("unpause").ok()
    box.call("unpause").refused("is not paused")
    cloister.call("pause").refused("pause: no sandbox named")
    cloister.call("unpause", "no-such").refused('no sandbox "no-such"')
    box.call("kill").ok()
    box.call("wait")
    box.call("pause").refused("has ended")


def test_exec_is_refused(detach):
    box = detach("probe", "tick")
    box.call("pause").ok()
    box.cloister.call("exec", box.id, "true").refused(f"sandbox {box.id} is paused; cloister unpause {box.id}")
    assert box.stands_still()
    box.call("unpause").ok()
    box.cloister.call("exec", box.id, "true").ok()


def test_commands_of_exec_are_paused_too(detach):
    box = detach("probe", "tick")
    with Running(box.cloister.argv("exec", box.id, "probe", "tick"), env=box.cloister.environment(), cwd="/") as running:
        running.expect(b"tick")
        box.call("pause").ok()
        assert len(box.processes()) == 2 and box.stands_still()
        box.call("unpause").ok()
        before = len(running.out)
        poll(lambda: len(running.out) > before, 10, "it doesn't go on")
        box.call("pause").ok()
        running.signal(signal.SIGKILL)
        if not box.is_frozen():  # a frozen init hears of it later
            poll(lambda: len(box.processes()) == 1, 10, "a command whose client is gone")


@pytest.mark.parametrize("processes", [1, 2, 12])
def test_processes_that_continue_each_other(detach, processes):
    box = detach("probe", "continue", str(processes))
    poll(lambda: len(box.processes()) == processes, 10, "too few")
    for _ in range(5):
        outcome = box.call("pause")
        if outcome.exit != 0:  # it may fail, but not by halves
            outcome.refused("can't be paused, and runs on")
            assert box.status() == "running"
            continue
        assert box.stands_still() and len(box.processes()) == processes
        box.call("unpause").ok()


def test_a_signal_waits(detach):
    box = detach("probe", "trap")
    box.call("pause").ok()
    box.call("kill", "-s", "USR1").ok()
    box.call("kill", "-s", "CONT").ok()
    assert box.stands_still() and box.log() == b"ready\n"
    box.call("unpause").ok()
    poll(lambda: b"got 10\n" in box.log(), 10, "the signal never came")


# -- the end

def gone(box, pids):
    poll(lambda: not any(map(alive, pids)), 20, "something lives on")


def paused(detach, *command, opts=()):
    box = detach(*command, opts=opts)
    if command[:2] == ("probe", "trap"):  # else a signal would end what doesn't catch it yet
        poll(lambda: box.log() == b"ready\n", 10, "it isn't ready")
    box.call("pause").ok()
    assert box.stands_still()
    return box, [box.supervisor, *descendants(box.supervisor)]


def test_kill_ends_it(detach):
    box, pids = paused(detach, "sh", "-c", "probe tick & probe tick")
    box.call("kill").ok()
    assert box.call("wait").ok().word() == "137" and box.status() == "killed"
    gone(box, pids)


def test_stop_lets_it_end_itself(detach):
    box, pids = paused(detach, "probe", "trap", "7")
    assert box.call("stop", "-t", "1000s").ok().seconds < patience(15)
    assert box.status() == "exited" and box.inspect()["exit_status"] == 7
    assert b"got 15\n" in box.log()
    gone(box, pids)


def test_stop_ends_what_does_not_listen(detach):
    box, pids = paused(detach, "probe", "trap")
    box.call("stop", "-t", "0.2s").ok()
    assert box.status() == "killed"
    gone(box, pids)


@pytest.mark.parametrize("grace,status", [("0", 124), ("1000s", 124)])
def test_the_time_limit_ends_it(detach, grace, status):
    box, pids = paused(detach, "probe", "trap", "7", opts=["--timeout", f"{patience(1)}s", "--stop-grace", grace])
    assert box.call("wait").ok().word() == str(status) and box.status() == "timeout"
    assert (b"got 15\n" in box.log()) == (grace != "0")
    gone(box, pids)


def test_a_killed_supervisor_ends_it(detach):
    box, pids = paused(detach, "sh", "-c", "probe tick job & probe tick")
    os.kill(box.supervisor, signal.SIGKILL)
    gone(box, pids)
    assert box.status() == "error"


def test_a_killed_init_ends_it(detach):
    box, pids = paused(detach, "probe", "tick")
    os.kill(box.init(), signal.SIGKILL)
    gone(box, pids)


def test_a_run_in_the_foreground(cloister, rootfs, nothing_left):
    with cloister.start(rootfs, "probe", "tick", opts=["--name", "front"]) as running:
        running.expect(b"tick")
        cloister.call("pause", "front").ok()
        # three of them end it; those that come before it has looked are one
        poll(lambda: running.process.poll() is not None or running.signal(signal.SIGINT), 20, "it isn't ended")
        outcome = running.wait(20)
        assert outcome.result["status"] == "killed" and outcome.exit == 137
    nothing_left()


def test_before_the_command_runs(cloister, rootfs):
    """Whoever asks too early is told so; nothing hangs."""
    with cloister.start(rootfs, "probe", "tick", opts=["--name", "early"], result=False) as running:
        outcomes = set()
        while running.process.poll() is None and 0 not in outcomes:
            outcome = cloister.call("pause", "early")
            assert outcome.exit == 0 or b"still being made" in outcome.err or b"no sandbox" in outcome.err, f"{outcome}"
            outcomes.add(outcome.exit)
        cloister.call("unpause", "early").ok()
        running.expect(b"tick")
        running.signal(signal.SIGKILL)


def test_a_terminal(cloister, rootfs):
    with Terminal() as terminal:
        terminal.start(cloister, rootfs, "probe", "tick", opts=["--name", "tty", "-t"], result=False)
        terminal.expect(b"tick")
        cloister.call("pause", "tty").ok()
        cloister.call("unpause", "tty").ok()
        before = len(terminal.seen)
        poll(lambda: len(terminal.seen) > before, 10, "it doesn't go on")
        cloister.call("kill", "tty").ok()
        terminal.wait()
