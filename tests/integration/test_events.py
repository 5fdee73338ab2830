"""events: what becomes of sandboxes is told at once, to whoever listens, and holds up nobody."""

import json
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.events import Listener, fifos
from lib.patience import patience
from lib.runner import alive, descendants, poll

COMMON = ["time", "event", "id", "name", "tenant", "image", "labels"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


@pytest.fixture
def clean(cloister):
    """No listeners' files at the end."""
    yield
    ids = cloister.call("ps", "-aq").ok().lines()
    if ids:
        cloister.call("rm", "-f", *ids).ok()
    assert not (cloister.state() / "events").exists()


def kinds(lines):
    return [one["event"] for one in lines]


def test_a_whole_life(cloister, rootfs, clean):
    with Listener(cloister) as listener:
        box = cloister.detach(rootfs, "probe", "trap", opts=["--name", "life", "--tenant", "t1", "-l", "k=1", "-l", "job="]).ok().word()
        poll(lambda: cloister.call("logs", box).out, 20, "it never began")
        cloister.call("exec", box, "true").ok()
        for words in (["pause"], ["unpause"], ["kill", "-s", "USR1"], ["stop", "-t", "0"]):
            cloister.call(*words, box).ok()
        cloister.call("wait", box)
        cloister.call("rm", box).ok()
        lines = listener.until(8)
        assert kinds(lines) == ["start", "exec", "pause", "unpause", "kill", "stop", "end", "remove"]
        for one in lines:
            assert list(one)[:7] == COMMON and re.fullmatch(TIME, one["time"])
            assert (one["id"], one["name"], one["tenant"], one["labels"]) == (box, "life", "t1", ["k=1", "job="])
            assert one["image"] == str(rootfs) or one["image"].endswith(str(rootfs).partition(":")[2])
        assert [one["time"] for one in lines] == sorted(one["time"] for one in lines)
        assert lines[4]["signal"] == 10
        assert {key: lines[6][key] for key in list(lines[6])[7:]} == {"status": "killed", "exit_code": None, "signal": None, "error": None}
        assert all(len(one) == 7 for one in lines if one["event"] not in ("kill", "end"))
        listener.signal(signal.SIGTERM)
        outcome = listener.wait(20)
        assert outcome.exit == 128 + signal.SIGTERM and outcome.err == b""


@pytest.mark.parametrize("command,opts,wanted", [
    (["sh", "-c", "exit 3"], [], {"status": "exited", "exit_code": 3, "signal": None, "error": None}),
    (["sh", "-c", "kill -9 $$"], [], {"status": "signaled", "exit_code": None, "signal": 9, "error": None}),
    (["sleep", "1000"], ["--timeout", "0.2s", "--stop-grace", "0"], {"status": "timeout", "exit_code": None, "signal": None, "error": None})],
    ids=["exited", "signaled", "timeout"])
def test_a_run_in_the_foreground(cloister, rootfs, clean, command, opts, wanted):
    with Listener(cloister) as listener:
        cloister.run(rootfs, *command, opts=opts, result=False)
        start, end = listener.until(2)
        assert (start["event"], end["event"]) == ("start", "end") and start["id"] == end["id"]
        assert {key: end[key] for key in wanted} == wanted
        listener.signal(signal.SIGINT)
        assert listener.wait(20).exit == 128 + signal.SIGINT


def test_the_end_is_told_to_who_came_later(cloister, rootfs, clean):
    with cloister.start(rootfs, "probe", "trap", "4", result=False) as running:
        running.expect(b"ready\n")
        with Listener(cloister) as listener:
            running.signal(signal.SIGTERM)
            assert running.wait(20).exit == 4
            (end,) = listener.until(1)
            assert (end["event"], end["exit_code"]) == ("end", 4)
            listener.signal(signal.SIGTERM)
            listener.wait(20)


def test_memory_is_told(as_root, rootfs):
    with Listener(as_root) as listener:
        as_root.run(rootfs, "probe", "hog", "300", opts=["-m", "64m"], result=False)
        assert kinds(listener.until(3)) == ["start", "oom", "end"] and listener.lines()[2]["status"] == "oom"
        as_root.run(rootfs, "probe", "childhog", "300", opts=["-m", "64m"], result=False)
        assert kinds(listener.until(6))[3:] == ["start", "oom", "end"] and listener.lines()[5]["status"] == "exited"
        listener.signal(signal.SIGTERM)
        listener.wait(20)


def test_what_never_ran_is_not_told(cloister, rootfs, clean):
    with Listener(cloister) as listener:
        assert cloister.detach(rootfs, "no-such-command").exit == 127
        cloister.run("rootfs:/no/such", "true", result=False).refused("no/such")
        assert cloister.run(rootfs, "no-such-command", result=False).exit == 127
        box = cloister.detach(rootfs, "true", opts=["--rm"]).ok().word()
        listener.until_event("remove", id=box)
        assert kinds(listener.lines()) == ["start", "end", "remove"] and {one["id"] for one in listener.lines()} == {box}
        listener.signal(signal.SIGTERM)
        listener.wait(20)


def test_fifty_at_once(cloister, rootfs, clean):
    with Listener(cloister) as listener, Listener(cloister, "-f", "event=end") as ends:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: cloister.run(rootfs, "sh", "-c", f"exit {i}", result=False), range(50)))
        lines = listener.until(100)
        by_id = {}
        for one in lines:
            by_id.setdefault(one["id"], []).append(one)
        assert len(by_id) == 50 and all(kinds(life) == ["start", "end"] for life in by_id.values())
        assert sorted(life[1]["exit_code"] for life in by_id.values()) == list(range(50))
        assert {one["id"] for one in ends.until(50)} == set(by_id) and set(kinds(ends.lines())) == {"end"}
        for one in (listener, ends):
            one.signal(signal.SIGTERM)
            one.wait(20)


@pytest.mark.parametrize("filters,wanted", [
    ([], 6), (["event=start"], 2), (["event=start", "event=end"], 4), (["name=fir"], 3), (["label=k"], 3), (["label=k=1"], 3), (["label=k=2"], 0), (["tenant=t1"], 3),
    (["status=exited"], 2), (["status=running", "name=second"], 1), (["event=kill"], 0), (["event=end", "name=second"], 1)], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_filters(cloister, rootfs, clean, filters, wanted):
    with Listener(cloister) as everything, Listener(cloister, *[word for one in filters for word in ("--filter", one)]) as listener:
        for opts in (["--name", "first", "-l", "k=1", "--tenant", "t1"], ["--name", "second"]):
            box = cloister.detach(rootfs, "true", opts=opts).ok().word()
            cloister.call("wait", box).ok()
            cloister.call("rm", box).ok()
        everything.until(6)
        listener.until(wanted)  # one listener after the other is told
        for one in (listener, everything):  # what was written to it is read before the signal is looked at
            one.signal(signal.SIGTERM)
        assert everything.wait(20).out.count(b"\n") == 6
        assert listener.wait(20).out.count(b"\n") == wanted


def test_words_that_are_none(cloister):
    cloister.call("events", "-f", "event=born").refused('there is no event "born"', "start, exec")
    cloister.call("events", "-f", "size=3").refused("--filter: expected")
    cloister.call("events", "--since", "1h").refused("nobody keeps")
    cloister.call("events", "one").refused("takes no arguments")


def test_a_listener_that_does_not_read(cloister, rootfs, clean):
    """It is waited for by nobody, and told how many it missed."""
    box = cloister.detach(rootfs, "probe", "trap", opts=["-l", "k=" + "x" * 3000]).ok().word()
    poll(lambda: cloister.call("logs", box).ok().out == b"ready\n", 10, "it isn't ready")
    with Listener(cloister, "-f", "event=kill") as listener:
        listener.signal(signal.SIGSTOP)
        poll(lambda: "T" in open(f"/proc/{listener.pid}/stat").read().rpartition(")")[2][:3], 10, "it runs on")
        for _ in range(5):
            assert cloister.call("kill", "-s", "USR1", *[box] * 100).ok().seconds < patience(10)
        listener.signal(signal.SIGCONT)
        lost = listener.until_event("lost")
        assert list(lost) == ["time", "event", "count"] and lost["count"] > 0
        assert len([one for one in listener.lines() if one["event"] == "kill"]) + lost["count"] == 500
        cloister.call("kill", "-s", "USR2", box).ok()
        listener.until_event("kill", signal=12)
        assert kinds(listener.lines()).count("lost") == 1
        listener.signal(signal.SIGTERM)
        listener.wait(20)


def test_a_reader_that_does_not_read_can_not_keep_it(cloister, rootfs, clean):
    box = cloister.detach(rootfs, "probe", "trap", opts=["-l", "k=" + "x" * 3000]).ok().word()
    poll(lambda: cloister.call("logs", box).ok().out == b"ready\n", 10, "it isn't ready")
    before = fifos(cloister)
    full, end = os.pipe()
    with subprocess.Popen([os.fspath(word) for word in cloister.argv("events")], env=cloister.environment(), cwd="/", stdout=end) as process:
        os.close(end)
        poll(lambda: fifos(cloister) - before, 20, "it doesn't listen")
        cloister.call("kill", "-s", "USR1", *[box] * 100).ok()
        process.send_signal(signal.SIGTERM)
        assert process.wait(patience(20)) == 128 + signal.SIGTERM
    os.close(full)


def test_it_ends_when_nobody_reads(cloister, rootfs, clean):
    before = fifos(cloister)
    ours, theirs = os.pipe()
    with subprocess.Popen([os.fspath(word) for word in cloister.argv("events")], env=cloister.environment(), cwd="/", stdout=theirs) as process:
        os.close(theirs)
        poll(lambda: fifos(cloister) - before, 20, "it doesn't listen")
        os.close(ours)
        assert process.wait(patience(20)) == 0


def test_large_labels_are_cut(cloister, rootfs, clean):
    with Listener(cloister) as listener:
        cloister.run(rootfs, "true", opts=["--name", "large", "-l", "k=" + "x" * 3000, "-l", "l=" + "x" * 3000], result=False).ok()
        start, end = listener.until(2)
        assert start["cut"] is True and start["name"] == "large" and start["labels"] == [] and start["image"] is None
        assert end["status"] == "exited"
        listener.signal(signal.SIGTERM)
        listener.wait(20)


def test_a_killed_listener_leaves_nothing_after_the_next_event(cloister, rootfs, clean):
    with Listener(cloister) as listener:
        listener.signal(signal.SIGKILL)
        listener.wait(20)
    assert fifos(cloister)
    cloister.run(rootfs, "true", result=False).ok()
    assert not (cloister.state() / "events").exists()


def test_a_killed_listener_is_no_others_harm(cloister, rootfs, clean):
    with Listener(cloister) as killed, Listener(cloister) as listener:
        killed.signal(signal.SIGKILL)
        killed.wait(20)
        cloister.run(rootfs, "true", result=False).ok()
        assert kinds(listener.until(2)) == ["start", "end"] and len(fifos(cloister)) == 1
        listener.signal(signal.SIGHUP)
        listener.wait(20)


def test_the_end_of_a_killed_supervisor(cloister, rootfs, clean):
    with Listener(cloister) as listener:
        box = cloister.detach(rootfs, "sleep", "1000", opts=["--name", "lost", "-l", "k=1"]).ok().word()
        (supervisor,) = [one["supervisor_pid"] for one in json.loads(cloister.call("inspect", box).ok().out)]
        pids = [supervisor, *descendants(supervisor)]
        os.kill(supervisor, signal.SIGKILL)
        poll(lambda: not any(map(alive, pids)), 20, "it lives on")
        cloister.call("ps").ok()
        end = listener.until_event("end", id=box)
        assert (end["status"], end["error"], end["name"], end["labels"]) == ("error", "its supervisor was killed", "lost", ["k=1"])
        cloister.call("ps").ok()
        cloister.call("rm", box).ok()
        listener.until_event("remove", id=box)
        assert kinds(listener.lines()) == ["start", "end", "remove"]
        listener.signal(signal.SIGTERM)
        listener.wait(20)


def calls_for_events(cloister, *words):
    """(name, what it gave) of each system call of cloister and its children that names `events`, or a file of that directory."""
    log = cloister.directory("strace") / "log"
    before = len(cloister.prefix())
    argv = cloister.argv(*words)
    argv[before:before] = ["strace", "-f", "-y", "-qq", "-s", "4096", "-o", log]
    done = subprocess.run([os.fspath(word) for word in argv], capture_output=True, cwd="/", env=cloister.environment(), timeout=patience(60), check=False)
    assert done.returncode == 0, done  # it waits for all that it follows, a detached supervisor too
    calls, torn = [], {}
    for line in log.read_text().splitlines():
        pid, rest = line.split(" ", 1)
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            torn[pid] = rest.removesuffix("<unfinished ...>")
            continue
        if rest.startswith("<... "):
            rest = torn.pop(pid) + rest.partition("resumed>")[2]
        if f'{cloister.state()}>, "events' in rest or f"{cloister.state()}/events" in rest:
            calls.append((rest.partition("(")[0], re.findall(r"\)\s+= (-?\d+(?: E\w+)?)", rest)[-1]))
    return calls


LOOKS, OPENS = ("faccessat", "-1 ENOENT"), ("openat", "-1 ENOENT")


@pytest.mark.parametrize("opts,wanted", [([], [LOOKS, OPENS]), (["-d", "--rm"], [OPENS, OPENS, OPENS])], ids=["foreground", "detached"])
def test_without_listeners_it_costs_a_call_at_the_start_and_one_at_the_end(cloister, rootfs, opts, wanted):
    """With --rm another, for the removal; and nothing is written. A listener shows that more would be seen."""
    cloister.call("prune").ok()  # a killed one's end would be told by whoever runs next
    words = cloister.run_words(rootfs, ["true"], opts)
    assert calls_for_events(cloister, *words) == wanted
    with Listener(cloister) as listener:
        names = [name for name, _ in calls_for_events(cloister, *words)]
        assert names.count("write") == len(wanted) == len(listener.until(len(wanted)))
        listener.signal(signal.SIGTERM)
        listener.wait(20)


def test_what_is_no_fifo_of_ours_is_left_alone(cloister, rootfs, world):
    """Somebody with the user's own privilege can put things there; nothing is written to them, nobody hangs."""
    place = cloister.state() / "events"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = world.directory("target") / "file"
    target.write_text("as it was")
    (place / "0123456789abcdef").write_text("a file")
    (place / "0123456789abcde0").symlink_to(target)
    (place / "0123456789abcde1").mkdir()
    try:
        cloister.run(rootfs, "true", result=False, timeout=20).ok()
        assert target.read_text() == "as it was" and (place / "0123456789abcdef").read_text() == "a file"
    finally:
        for path in place.iterdir():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        place.rmdir()
