"""run --keep: the files of a sandbox that has ended stay, for inspect and cp, until it is removed."""

import json
import os
import re
import signal

import pytest

from lib.patience import patience
from lib.runner import Running, alive, descendants, poll
from lib.terminal import Terminal


@pytest.fixture
def place(cloister):
    return cloister.directory("place")


@pytest.fixture
def clean(cloister, nothing_left):
    """All is removed at the end, and nothing stays."""
    yield
    cloister.call("prune", "--ended").ok()
    assert cloister.call("ps", "-aq").ok().lines() == []
    assert not cloister.kept().exists() or os.listdir(cloister.kept()) == []
    nothing_left()


@pytest.fixture(params=["foreground", "detached"])
def keep(request, cloister, rootfs, clean):
    """Runs to the end, and says the id."""
    def foreground(*command, opts=(), status=0):
        assert cloister.run(rootfs, *command, opts=["--keep", *opts], result=False).exit == status
        return cloister.call("ps", "-aq").ok().word()

    def detached(*command, opts=(), status=0):
        identifier = cloister.detach(rootfs, *command, opts=["--keep", *opts]).ok().word()
        assert int(cloister.call("wait", identifier).ok().word()) == status
        return identifier

    return {"foreground": foreground, "detached": detached}[request.param]


def inspect(cloister, identifier):
    return json.loads(cloister.call("inspect", identifier).ok().out)[0]


def test_files_are_there_until_it_is_removed(cloister, keep, place):
    box = keep("sh", "-c", "mkdir /tmp/d; echo 1 >/tmp/d/file; exit 3", status=3)
    seen = inspect(cloister, box)
    assert (seen["status"], seen["exit_status"], seen["result"]["exit_code"]) == ("exited", 3, 3)
    for number in range(2):
        cloister.call("cp", f"{box}:/tmp/d", place / f"d{number}").ok()
        assert (place / f"d{number}" / "file").read_bytes() == b"1\n"
    cloister.call("cp", f"{box}:/etc/passwd", place / "passwd").ok()
    cloister.call("rm", box).ok()
    outcome = cloister.call("cp", f"{box}:/tmp/d", place / "late")
    assert outcome.exit != 0 and outcome.err.decode() == f"cloister: no sandbox \"{box}\"\n"


def test_who_has_heard_of_the_end_finds_how_it_was(cloister, rootfs, clean):
    """At once, whoever told: wait, or the run itself."""
    for _ in range(10):
        box = cloister.detach(rootfs, "true", opts=["--keep"]).ok().word()
        words = ["sh", "-c", '"$0" wait $1 >/dev/null && exec "$0" inspect $1', cloister.binary, box]
        with Running([*cloister.prefix(), *words], env=cloister.environment(), cwd="/") as running:
            (seen,) = json.loads(running.wait().ok().out)
        assert seen["result"]["status"] == "exited"
        cloister.call("rm", box).ok()
    for _ in range(5):
        cloister.run(rootfs, "true", opts=["--keep"], result=False).ok()
        assert cloister.call("ps", "-q").ok().lines() == []


def test_it_has_ended_for_all_else(cloister, keep):
    box = keep("sh", "-c", "sleep 1000 & true", opts=["--name", "kept"])
    assert cloister.call("ps", "-q").ok().lines() == [] and cloister.call("stats", "--no-stream", "--format", "json").ok().out == b""
    assert cloister.call("ps", "-aq").ok().lines() == [box]
    for words in (["exec", box, "true"], ["kill", box], ["stop", box]):
        outcome = cloister.call(*words)
        assert outcome.exit != 0 and outcome.err.decode() == f"cloister: sandbox {box} has ended\n", f"{outcome}"
    assert cloister.call("wait", "kept").ok().word() == "0"
    assert cloister.call("rm", "kept").ok().word() == "kept"


def test_nothing_of_the_command_lives_on(cloister, keep):
    """But its supervisor, and its first process."""
    number = 1000 + os.getpid()  # no other worker's
    keep("sh", "-c", f"trap '' TERM HUP; sleep {number} & setsid sleep {number} & true")
    assert [pid for pid in os.listdir("/proc") if pid.isdigit() and b"sleep\x00%d\x00" % number in read(f"/proc/{pid}/cmdline")] == []


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_in_the_foreground_it_is_as_ever(cloister, rootfs, clean):
    outcome = cloister.run(rootfs, "sh", "-c", "cat; echo err >&2; exit 7", opts=["--keep"], input=b"data")
    assert (outcome.exit, outcome.out, outcome.err) == (7, b"data", b"err\n")
    assert outcome.result["exit_code"] == 7
    box = cloister.call("ps", "-aq").ok().word()
    outcome = cloister.call("logs", box)
    assert outcome.exit != 0 and b"went to whoever started it" in outcome.err


def test_who_waits_for_the_output_does_not_wait_for_it(cloister, rootfs, clean):
    """The supervisor gives the caller's descriptors back when the sandbox rests; of others it takes none."""
    reading, writing = os.pipe()
    outcome = cloister.run(rootfs, "echo", "out", opts=["--keep"], pass_fds=[writing])
    os.close(writing)
    assert outcome.out == b"out\n" and os.read(reading, 1) == b""
    os.close(reading)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(cloister, rootfs, clean, signal_number):
    with cloister.start(rootfs, "probe", "trap", "5", opts=["--keep"]) as running:
        running.expect(b"ready\n")
        running.signal(signal_number)
        outcome = running.wait(10)
    assert (outcome.exit, outcome.out) == (5, b"ready\ngot %d\n" % signal_number)


def test_a_killed_caller_takes_it_along(cloister, rootfs, clean):
    with cloister.start(rootfs, "sleep", "1000", opts=["--keep"]) as running:
        poll(lambda: cloister.call("ps", "--filter", "status=running", "-q").ok().lines(), 10, "it doesn't run")
        pids = descendants(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        running.wait(10)
        poll(lambda: not any(map(alive, pids)), 10, "it lives on")


def test_a_killed_supervisor_is_told(cloister, rootfs, clean, place):
    """And with it go the files."""
    box = cloister.detach(rootfs, "true", opts=["--keep"]).ok().word()
    cloister.call("wait", box).ok()
    pid = next(pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if read(f"/proc/{pid}/cmdline").count(b"--keep") and read(f"/proc/{pid}/cmdline").count(str(rootfs).encode()))
    os.kill(pid, signal.SIGKILL)
    poll(lambda: not alive(pid), 10, "it lives")
    assert inspect(cloister, box)["status"] == "exited"
    outcome = cloister.call("cp", f"{box}:/etc/passwd", place)
    assert outcome.exit != 0 and re.fullmatch(rb"cloister: sandbox [0-9a-f]{16} has ended; its files went with it; see run --keep\n", outcome.err), f"{outcome}"


def test_a_time_limit_that_is_obeyed(cloister, keep, place):
    box = keep("sh", "-c", "trap 'exit 9' TERM; echo 1 >/tmp/file; while :; do sleep 0.05; done", opts=["--timeout", f"{patience(0.5)}s"], status=124)
    cloister.call("cp", f"{box}:/tmp/file", place).ok()
    assert inspect(cloister, box)["status"] == "timeout"


def test_with_a_terminal(cloister, rootfs, clean):
    with Terminal(rows=33, columns=44) as terminal:
        terminal.start(cloister, rootfs, "sh", "-c", "stty size; read word; echo got $word", opts=["-t", "-i", "--keep"])
        terminal.expect(b"33 44")
        terminal.type(b"word\r")
        terminal.expect(b"got word")
        assert terminal.wait().exit == 0


def test_many_at_a_time_are_removed_in_one_go(cloister, rootfs, clean):
    boxes = [cloister.detach(rootfs, "true", opts=["--keep"]).ok().word() for _ in range(10)]
    cloister.call("wait", *boxes).ok()
    assert cloister.call("rm", *boxes).ok().lines() == boxes


def test_words_that_exclude_each_other(cloister, rootfs):
    outcome = cloister.run(rootfs, "true", opts=["--keep", "--rm"])
    assert (outcome.exit, outcome.err) == (125, b"cloister: --keep and --rm exclude each other\n")
