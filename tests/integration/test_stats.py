"""stats: what running sandboxes use, once and each second."""

import json
import os
import re
import signal

import pytest

from lib.patience import patience
from lib.runner import Running, poll
from lib.terminal import Terminal

MIB = 1 << 20
NUMBERS = ["cpu_percent", "cpu_ns", "memory_bytes", "memory_limit_bytes", "tasks", "tasks_limit", "io_read_bytes", "io_write_bytes",
           "stdout_bytes", "stderr_bytes"]
MEASURED = ["cpu_percent", "cpu_ns", "memory_bytes", "memory_limit_bytes", "tasks", "tasks_limit"]


@pytest.fixture
def detach(everywhere, rootfs):
    """Starts one in the background, whose id is returned; all are removed at the end."""
    def start(*command, opts=()):
        return everywhere.detach(rootfs, *command, opts=opts).ok().word()
    yield start
    everywhere.call("prune").ok()
    ids = everywhere.call("ps", "-aq").ok().lines()
    if ids:
        everywhere.call("rm", "-f", *ids).ok()


def objects(out):
    return [json.loads(line) for line in out.decode().splitlines()]


def once(cloister, *words):
    return objects(cloister.call("stats", "--no-stream", "--format", "json", *words).ok().out)


def test_numbers_of_one(everywhere, detach):
    box = detach("sh", "-c", "probe spin 0 2 & head -c 30000000 /dev/zero >/tmp/f; exec probe trap", opts=["-m", "100m", "--pids-limit", "20", "--name", "one"])
    poll(lambda: b"ready" in everywhere.call("logs", box).out, 20, "it never began")
    (seen,) = once(everywhere, "one")
    assert list(seen) == ["time", "id", "name", *NUMBERS]
    assert (seen["id"], seen["name"]) == (box, "one") and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", seen["time"])
    if not everywhere.has_cgroup:
        assert [seen[key] for key in NUMBERS] == [None] * len(NUMBERS)
        return
    assert (seen["memory_limit_bytes"], seen["tasks_limit"], seen["tasks"]) == (100 * MIB, 20, 3)
    assert 30000000 <= seen["memory_bytes"] <= 100 * MIB
    assert seen["cpu_ns"] > 0 and 0 < seen["cpu_percent"] <= 100 * os.cpu_count() + 1
    (later,) = once(everywhere, "one")
    assert later["cpu_ns"] >= seen["cpu_ns"] and later["time"] > seen["time"]


def test_the_table(everywhere, detach):
    box = detach("probe", "wait", opts=["-m", "100m", "--name", "one"])
    head, row = everywhere.call("stats", "--no-stream").ok().lines()
    assert re.split(r" {3,}", head) == ["SANDBOX", "NAME", "CPU %", "CPU TIME", "MEMORY / LIMIT", "MEM %", "TASKS / LIMIT", "READ / WRITTEN"]
    cells = re.split(r" {3,}", row)
    assert cells[:2] == [box[:12], "one"]
    if everywhere.has_cgroup:
        assert re.fullmatch(r"\d+\.\d", cells[2]) and re.fullmatch(r"\d+\.\d\d s", cells[3])
        assert re.fullmatch(r"[\d.]+ (B|KiB|MiB) / 100\.0 MiB", cells[4]) and re.fullmatch(r"\d\.\d", cells[5]) and cells[6] == "1 / 256"
    else:
        assert cells[2:] == ["-", "-", "- / -", "-", "- / -", "- / -"]


def test_which_ones(everywhere, detach, rootfs):
    ended = detach("true", opts=["--name", "ended"])
    assert everywhere.call("wait", ended).ok()
    one, two = detach("probe", "wait", opts=["-l", "k=1"]), detach("probe", "wait", opts=["--name", "two"])
    with everywhere.start(rootfs, "probe", "trap", result=False) as running:
        running.expect(b"ready\n")
        ids = {seen["id"] for seen in once(everywhere)}
        assert {one, two} < ids and len(ids) == 3 and ended not in ids
        running.signal(signal.SIGKILL)
        running.wait()
    assert [seen["id"] for seen in once(everywhere, "two", one[:6])] == [one, two]
    assert [seen["id"] for seen in once(everywhere, "-f", "label=k=1")] == [one]
    assert once(everywhere, "-f", "label=k=1", "two") == []
    everywhere.call("stats", "ended").refused("has ended")
    everywhere.call("stats", "--no-stream", "no-such").refused('no sandbox "no-such"')
    everywhere.call("stats", "-f", "size=1").refused("--filter: expected id=")
    everywhere.call("stats", "-a").refused("--all|-a")


def test_nobody_is_a_head_alone(everywhere):
    assert len(everywhere.call("stats", "--no-stream").ok().lines()) == 1
    assert everywhere.call("stats", "--no-stream", "--format", "json").ok().out == b""


def test_a_stream_ends_with_those_named(everywhere, detach):
    """A line each second; what is used meanwhile shows in the share."""
    box, other = detach("sh", "-c", "probe spin 0 & exec probe trap 0"), detach("probe", "wait")
    with Running(everywhere.argv("stats", "--format", "json", box), env=everywhere.environment(), cwd="/") as watching:
        poll(lambda: watching.out.count(b"\n") >= 3, 10, "no stream")
        everywhere.call("kill", box).ok()
        outcome = watching.wait(10).ok()
    seen = objects(outcome.out)
    assert {one["id"] for one in seen} == {box} and outcome.err == b""
    if everywhere.has_cgroup:
        assert all(one["cpu_percent"] > 5 for one in seen[1:]), seen
    assert everywhere.call("ps", "-q").ok().lines() == [other]


def test_a_stream_of_all_sees_them_come_and_go(everywhere, detach):
    first = detach("probe", "wait")
    with Running(everywhere.argv("stats", "--format", "json"), env=everywhere.environment(), cwd="/") as watching:
        watching.expect(first.encode())
        second = detach("probe", "wait")
        watching.expect(second.encode())
        descriptors = len(os.listdir(f"/proc/{watching.pid}/fd"))
        everywhere.call("kill", first).ok()
        everywhere.call("wait", first)
        poll(lambda: first.encode() not in watching.out.splitlines()[-1] and len(os.listdir(f"/proc/{watching.pid}/fd")) < descriptors or not everywhere.has_cgroup,
             10, "what has ended stays")
        assert watching.process.poll() is None
        watching.signal(signal.SIGINT)
        assert watching.wait(10).exit == -signal.SIGINT


def test_what_is_not_a_terminal_gets_table_after_table(everywhere, detach):
    detach("probe", "wait")
    with Running(everywhere.argv("stats"), env=everywhere.environment(), cwd="/") as watching:
        poll(lambda: watching.out.count(b"SANDBOX") >= 2, 10, "no second table")
        assert b"\033" not in watching.out


@pytest.mark.parametrize("env,moves", [({"TERM": "vt100"}, True), ({"TERM": "dumb"}, False), ({"TERM": "vt100", "NO_COLOR": "1"}, True)],
                         ids=["vt100", "dumb", "no-colour"])
def test_a_terminal(everywhere, detach, env, moves):
    boxes = [detach("probe", "wait") for _ in range(3)]
    with Terminal(rows=4, columns=60) as terminal:
        terminal.launch(everywhere.argv("stats", *boxes), everywhere.environment(env))
        poll(lambda: terminal.seen.count(b"SANDBOX") >= 3, 10, "it is not drawn again")
        everywhere.call("rm", "-f", *boxes).ok()
        shown = terminal.wait().ok().out
    if not moves:
        assert b"\033" not in shown and all(box[:12].encode() in shown for box in boxes)
        return
    assert b"\r\033[3A" in shown and b"and 3 more\033[K\r\n" not in shown and b"and 2 more\033[K\r\n" in shown
    assert b"\033[3" not in shown.replace(b"\033[3A", b""), "a colour"
    lines = re.sub(rb"\033\[\d*[AJK]|\r", b"", shown).split(b"\n")
    assert max(map(len, lines)) <= 59


def test_a_stopped_supervisor_holds_up_nobody(everywhere, detach):
    box = detach("probe", "wait")
    (pid,) = [one["supervisor_pid"] for one in json.loads(everywhere.call("inspect", box).ok().out)]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert once(everywhere, box)[0]["id"] == box
    finally:
        os.kill(pid, signal.SIGCONT)


def test_ends_meanwhile_are_no_errors(everywhere, rootfs):
    """Sandboxes that come and go all the time, and who looks at them all the time."""
    with Running(["sh", "-c", 'while "$@"; do :; done', "loop", *map(str, everywhere.argv(*everywhere.run_words(rootfs, ["true"], [])))],
                 env=everywhere.environment(), cwd="/", preexec_fn=os.setpgrp) as loop:
        try:
            for _ in range(40):
                outcome = everywhere.call("stats", "--no-stream", "--format", "json").ok()
                assert outcome.err == b"" and all(list(one)[3:] == NUMBERS for one in objects(outcome.out))
        finally:
            os.killpg(loop.pid, signal.SIGTERM)
            loop.wait(patience(20))
