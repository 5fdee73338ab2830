"""run --detach and what goes with it: logs, wait, stop, rm, ps and inspect of what has ended, and ends that nobody wrote down."""

import contextlib
import fcntl
import itertools
import json
import os
import re
import signal
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from lib.patience import patience
from lib.runner import Running, alive, descendants, descriptors, poll, stat_fields
from lib.terminal import Terminal

MIB = 1 << 20
F_OFD_SETLKW = 38


# -- from start to end

def test_it_runs_on_when_cloister_has_ended(detach):
    box = detach("probe", "trap", "5")
    poll(lambda: box.logs()[0] == b"ready\n", 10, "it never said a word")
    seen = box.inspect()
    assert seen["status"] == "running" and seen["exit_status"] is None and seen["ended_at"] is None
    assert seen["detach"] is True
    box.call("kill", "-s", "TERM").ok()
    assert box.exit_status() == 5
    assert box.logs()[0] == b"ready\ngot 15\n"


def test_its_supervisor_is_nobodys(detach, cloister):
    """In a session of its own, with no descriptor of the caller's, in no directory of the caller's."""
    place = cloister.directory("place")
    kept = os.memfd_create("the caller's")
    os.set_inheritable(kept, True)
    box = detach("sleep", "1000", pass_fds=[kept], cwd=str(place))
    pid = box.supervisor
    assert stat_fields(pid)[1] == "1" or int(stat_fields(pid)[1]) != os.getpid()
    assert int(stat_fields(pid)[3]) == pid, "not a session of its own"
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    held = descriptors(pid)
    assert {held[number] for number in range(3)} == {"/dev/null"}
    assert not [path for path in held.values() if "the caller's" in path or path.startswith(str(place))], held
    os.close(kept)


def test_the_caller_gets_its_pipe_back(detach):
    """$(cloister run -d ...) returns."""
    box = detach("sleep", "1000", timeout=10)
    assert box.inspect()["status"] == "running"


@pytest.mark.parametrize("command,status,said", [
    (["no-such-command"], 127, "command not found"), (["/etc/passwd"], 126, "Permission denied"), (["/nowhere/x"], 127, "No such file")])
def test_what_can_not_start_is_told_and_leaves_nothing(cloister, rootfs, command, status, said, nothing_left):
    outcome = cloister.detach(rootfs, *command)
    assert outcome.exit == status and outcome.out == b"" and said.encode() in outcome.err, f"{outcome}"
    assert cloister.call("ps", "-aq").ok().lines() == []
    nothing_left()


def test_errors_before_the_start_are_told(cloister, rootfs):
    cloister.detach("rootfs:/no/such", "true").refused("/no/such")
    cloister.detach(rootfs, "true", opts=["--die-with-parent"]).refused("--detach and --die-with-parent")
    cloister.detach(rootfs, "true", opts=["--name", "/"]).refused("name")


def test_a_result_file_is_written_at_the_end(detach, cloister):
    path = cloister.directory("result") / "r.json"
    box = detach("sh", "-c", "echo out; exit 9", opts=["--result", path])
    assert box.exit_status() == 9
    record = json.loads(path.read_text())
    inspected = box.inspect()
    assert record == inspected["result"] and record["exit_code"] == 9 and record["id"] == box.id
    assert record["usage"]["stdout_bytes"] == 4
    if not cloister.without:
        assert record["usage"]["cpu_user_ns"] is not None


@pytest.mark.parametrize("command,opts,status,exit_status", [
    (["true"], [], "exited", 0), (["sh", "-c", "exit 3"], [], "exited", 3), (["sh", "-c", "kill -9 $$"], [], "signaled", 137),
    (["sleep", "1000"], ["--timeout", "0.3s", "--stop-grace", "0"], "timeout", 124),
    (["sh", "-c", "while :; do echo xxxxxxxxxxxxxxxx; done"], ["--output-limit", "64k"], "output_limit", 137)])
def test_how_it_ended(detach, cloister, command, opts, status, exit_status):
    box = detach(*command, opts=opts)
    assert box.exit_status() == exit_status
    seen = box.inspect()
    assert (seen["status"], seen["exit_status"], seen["result"]["status"]) == (status, exit_status, status)
    assert seen["pid"] is None and seen["supervisor_pid"] is None and seen["ended_at"] is not None
    (row,) = json.loads(cloister.call("ps", "-a", "--format", "json").ok().out)
    assert (row["id"], row["status"], row["exit_status"]) == (box.id, status, exit_status)
    table = cloister.call("ps", "-a").ok().lines()
    assert len(table) == 2 and f"{status} {exit_status}, " in table[1] if status == "exited" else f"{status}, " in table[1]
    assert cloister.call("ps").ok().lines()[1:] == []


def test_rm_at_the_end(detach, cloister):
    box = detach("probe", "trap", "6", opts=["--rm", "--name", "passing"])
    poll(lambda: box.logs()[0], 10, "it never began")
    assert (cloister.kept() / "name-passing").is_symlink()
    with Running(cloister.argv("wait", box.id), env=cloister.environment(), cwd="/") as waiting:
        poll(lambda: any(box.id in target for target in descriptors(waiting.pid).values()), 10, "it doesn't wait")
        box.call("stop").ok()
        assert waiting.wait(10).ok().word() == "6"
    assert cloister.call("ps", "-aq").ok().lines() == [] and os.listdir(cloister.kept()) == []


def test_input_is_dev_null(detach):
    box = detach("sh", "-c", "cat; readlink /proc/self/fd/0; echo end")
    assert box.exit_status() == 0
    assert box.logs()[0] == b"/dev/null\nend\n"


def test_a_terminal_of_its_own(detach):
    box = detach("sh", "-c", "tty; stty size; echo err >&2", opts=["-t"])
    assert box.exit_status() == 0
    assert box.logs() == (b"/dev/pts/0\r\n24 80\r\nerr\r\n", b"")


def test_the_image_stays_as_long_as_it_runs(detach, cloister, world):
    """Its lock goes over to the supervisor."""
    from lib import samples
    from lib.images import make_image, make_layer
    from lib.pulling import Pulls
    from lib import layouts

    pulls = Pulls(cloister)
    archive = world.directory("archive") / "image.tar"
    layouts.write_docker_archive(archive, {"kept/image:1": make_image([make_layer(samples.program_entries())], {"Env": ["PATH=/bin"]})})
    archive.chmod(0o644)
    pulls.call("import", f"docker-archive:{archive}").ok()
    box = detach("sleep", "1000", image="kept/image:1", env=pulls.env)
    assert pulls.call("rmi", "kept/image:1").refused("in use|used by")
    box.call("rm", "-f").ok()
    pulls.call("rmi", "kept/image:1").ok()


# -- names

def test_a_name_stays_taken_until_rm(detach, cloister, rootfs):
    box = detach("true", opts=["--name", "once"])
    assert box.exit_status() == 0
    for run in (cloister.run, cloister.detach):
        run(rootfs, "true", opts=["--name", "once"]).refused("once belongs to sandbox " + box.id, "cloister rm once")
    assert cloister.call("logs", "once").ok() and cloister.call("inspect", "once").ok()
    cloister.call("rm", "once").ok()
    detach("true", opts=["--name", "once"])


def test_a_prefix_of_an_id_will_do(detach, cloister):
    box = detach("true")
    assert cloister.call("wait", box.id[:6]).ok().word() == "0"
    cloister.call("wait", box.id[:3]).refused("no sandbox")
    cloister.call("wait", "no-such").refused('no sandbox "no-such"')


@pytest.mark.parametrize("filters,wanted", [
    ([], "ab"), (["name=fir"], "a"), (["name=x"], ""), (["label=k"], "ab"), (["label=k=1"], "a"), (["label=k=1", "label=k=2"], "ab"), (["label=k=1", "name=second"], ""),
    (["status=running"], "b"), (["status=exited"], "a"), (["tenant=t1"], "a"), (["label=ke"], ""), (["status=exited", "status=running", "label=other"], "b")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_filters(detach, cloister, filters, wanted):
    a = detach("true", opts=["--name", "first", "-l", "k=1", "--tenant", "t1"])
    b = detach("sleep", "1000", opts=["--name", "second", "-l", "k=2", "-l", "other="])
    assert a.exit_status() == 0
    words = [word for one in filters for word in ("--filter", one)]
    ids = {"a": a.id, "b": b.id}
    assert sorted(cloister.call("ps", "-aq", *words).ok().lines()) == sorted(ids[one] for one in wanted)
    assert cloister.call("ps", "-aq", "-f", f"id={a.id[:5]}").ok().lines() == [a.id]
    assert sorted(cloister.call("ps", "-aq", "-f", f"image={b.inspect()['image']}").ok().lines()) == sorted(ids.values())


# -- logs

def test_both_streams_and_their_order(detach):
    box = detach("sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done")
    assert box.exit_status() == 0
    assert box.logs() == (b"out 1\nout 2\nout 3\n", b"err 1\nerr 2\nerr 3\n")


def test_bytes_come_out_as_they_went_in(detach):
    box = detach("head", "-c", "3000000", "/dev/urandom")
    assert box.exit_status() == 0
    first, second = box.logs()[0], box.logs()[0]
    assert len(first) == 3000000 and first == second


@pytest.mark.parametrize("tail,wanted", [("0", ""), ("1", "4\n"), ("3", "2\n3\n4\n"), ("99", "1\n2\n3\n4\n"), ("all", "1\n2\n3\n4\n")])
def test_the_last_lines(detach, tail, wanted):
    box = detach("sh", "-c", "printf '1\\n2\\n'; printf '3\\n4\\n' >&2")
    assert box.exit_status() == 0
    out, err = box.logs("--tail", tail)
    assert sorted((out + err).decode()) == sorted(wanted)


def test_the_last_line_needs_no_end(detach):
    box = detach("sh", "-c", "printf 'one\\ntwo\\nthree'")
    assert box.exit_status() == 0
    assert box.logs("-n", "2")[0] == b"two\nthree"


def test_times(detach):
    box = detach("sh", "-c", "echo one; sleep 0.05; echo two")
    assert box.exit_status() == 0
    lines = box.logs("-t")[0].decode().splitlines()
    times = [re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (one|two)", line) for line in lines]
    assert [match[2] for match in times] == ["one", "two"] and times[0][1] < times[1][1]
    assert box.logs("--since", "1h")[0] == b"one\ntwo\n" and box.logs("--until", "1h")[0] == b""
    assert box.logs("--since", "2001-01-01T00:00:00Z")[0] == b"one\ntwo\n"
    box.call("logs", "--since", "yesterday").refused("--since: expected a date")
    box.call("logs", "--tail", "many").refused("--tail: expected a number")


def test_logs_follow_to_the_end(detach, cloister):
    box = detach("probe", "trap")
    with Running(cloister.argv("logs", "-f", box.id), env=cloister.environment(), cwd="/") as following:
        following.expect(b"ready\n")
        box.call("kill", "-s", "USR1").ok()
        following.expect(b"got 10\n")
        box.call("kill", "-s", "TERM").ok()
        following.expect(b"got 15\n")
        box.call("kill").ok()
        assert following.wait(10).exit == 0


def test_a_log_rotates_and_is_followed_meanwhile(detach, cloister):
    """Twice the size that is kept: the latest is there, and who follows misses nothing."""
    lines = 6 * MIB // 8
    box = detach("sh", "-c", f"i=0; while [ $i -lt 7 ]; do seq -w 1000000 {1000000 + lines}; i=$((i+1)); done", opts=["--timeout", "120s"])
    followed = box.call("logs", "-f", timeout=120).ok().out
    assert box.exit_status() == 0
    sizes = {path.name: path.stat().st_size for path in box.place.iterdir()}
    assert {"log", "log.1"} <= sizes.keys() and max(sizes.values()) <= 16 * MIB, sizes
    kept = box.logs()[0]
    assert len(kept) <= 32 * MIB and kept.endswith(b"%d\n" % (1000000 + lines))
    assert followed.endswith(kept[-10 * MIB:]) and len(followed) >= len(kept)


def test_a_terminal_is_not_driven_by_a_log(detach, cloister):
    box = detach("sh", "-c", "printf 'a\\033[2Jb\\007\\r\\n\\302\\233m\\n'")
    assert box.exit_status() == 0
    assert box.logs()[0] == b"a\033[2Jb\007\r\n\xc2\x9bm\n"
    with Terminal() as terminal:
        shown = terminal.launch(cloister.argv("logs", box.id), cloister.environment()).wait().ok().out
    assert b"a^[[2Jb^G\r\n\\xc2\\x9bm\r\n" in shown and b"\033" not in shown


def test_a_full_disk_stops_no_sandbox(cloister, rootfs, world):
    """What can't be written is counted, and told when there is room again."""
    place = world.directory("full", owner=cloister.identity, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=256k,uid={cloister.uid},gid={cloister.gid},mode=0700", "full", str(place)], check=True)
    try:
        if cloister.identity == "root":
            cloister.kept().mkdir(exist_ok=True, mode=0o700)
            subprocess.run(["mount", "--bind", str(place), str(cloister.kept())], check=True)
        env = {"XDG_STATE_HOME": str(place)}
        identifier = cloister.detach(rootfs, "sh", "-c", "head -c 1000000 /dev/zero; exec sleep 1000", env=env).ok().word()
        where = (cloister.kept() if cloister.identity == "root" else place / "cloister/sandboxes") / identifier
        poll(lambda: (where / "log").stat().st_size > 150000, 10, "nothing was written")
        assert json.loads(cloister.call("inspect", identifier, env=env).ok().out)[0]["status"] == "running"
        cloister.call("stop", "-t", "0", identifier, env=env).ok()
        assert cloister.call("wait", identifier, env=env).exit in (0, 125)
        cloister.call("rm", identifier, env=env).ok()
    finally:
        if cloister.identity == "root":
            subprocess.run(["umount", str(cloister.kept())], check=False)
        subprocess.run(["umount", str(place)], check=True)


def test_logs_of_what_has_none(cloister, rootfs):
    with cloister.start(rootfs, "probe", "trap", "0", opts=["--name", "front"]) as running:
        running.expect(b"ready\n")
        cloister.call("logs", "front").refused("in the foreground", "run --detach")
        cloister.call("wait", "front").refused("in the foreground")
        running.signal(signal.SIGTERM)
        assert running.wait().exit == 0
    cloister.call("logs").refused("name one sandbox")
    cloister.call("logs", "no-such").refused('no sandbox "no-such"')


# -- stop, kill, rm

def test_stop_asks_first(detach):
    box = detach("probe", "trap", "7")
    poll(lambda: box.logs()[0], 10, "it never began")
    outcome = box.call("stop", "-t", "1000s").ok()
    assert outcome.word() == box.id and outcome.seconds < patience(10)
    seen = box.inspect()
    assert (seen["status"], seen["exit_status"]) == ("exited", 7) and box.logs()[0] == b"ready\ngot 15\n"


def test_stop_ends_those_that_do_not_listen(detach):
    box = detach("probe", "trap")
    poll(lambda: box.logs()[0], 10, "it never began")
    outcome = box.call("stop", "-t", "0.3s").ok()
    assert 0.3 <= outcome.seconds < patience(5)
    assert box.inspect()["status"] == "killed"


def test_stop_goes_on_without_its_caller(detach, cloister):
    box = detach("probe", "trap")
    poll(lambda: box.logs()[0], 10, "it never began")
    with Running(cloister.argv("stop", "-t", "0.5s", box.id), env=cloister.environment(), cwd="/") as stopping:
        poll(lambda: b"15" in box.logs()[0], 10, "the stop signal never came")
        stopping.signal(signal.SIGKILL)
    assert box.exit_status() == 137 and box.inspect()["status"] == "killed"


def test_stop_does_not_lengthen_the_time(detach):
    box = detach("probe", "trap", opts=["--timeout", f"{patience(1)}s", "--stop-grace", "0"])
    poll(lambda: box.logs()[0], 10, "it never began")
    assert box.call("stop", "-t", "1000s").ok().seconds < patience(20)
    assert box.inspect()["status"] == "timeout"


def test_stop_of_a_foreground_run(cloister, rootfs):
    with cloister.start(rootfs, "probe", "trap", "4", opts=["--name", "front"]) as running:
        running.expect(b"ready\n")
        cloister.call("stop", "front").ok()
        assert running.wait().exit == 4


def test_ended_is_said(detach, cloister):
    box = detach("true")
    assert box.exit_status() == 0
    for command in ("stop", "kill"):
        box.call(command).refused(f"sandbox {box.id} has ended")


def test_rm_waits_for_one_that_is_about_to_end(detach, cloister):
    """Or about to be: it has no ear then, for a moment."""
    box = detach("sleep", "60")
    pid = box.inspect()["supervisor_pid"]
    bell, = (path for path in (cloister.state() / "bells").iterdir() if is_open_in(pid, path))
    hidden = bell.with_name("hidden")
    bell.rename(hidden)
    back = threading.Timer(0.3, hidden.rename, [bell])  # rm is to find none first
    back.start()
    try:
        cloister.call("rm", "-f", box.id).ok()
    finally:
        back.join()
    assert not alive(pid)


def is_open_in(pid, path):
    place = Path(f"/proc/{pid}/fd")
    return any(os.path.realpath(place / fd.name) == str(path) for fd in place.iterdir())


def test_rm(detach, cloister):
    running, ended = detach("sleep", "1000", opts=["--name", "on"]), detach("true")
    assert ended.exit_status() == 0
    outcome = cloister.call("rm", running.id, ended.id, "no-such")
    assert outcome.exit == 125 and outcome.out.decode().split() == [ended.id] and b"runs; say --force" in outcome.err
    assert cloister.call("ps", "-aq").ok().lines() == [running.id]
    pids = [running.supervisor, *descendants(running.supervisor)]
    running.call("rm", "--force").ok()
    poll(lambda: not any(map(alive, pids)), 10, "it lives on")
    assert os.listdir(cloister.kept()) == []


def test_prune_ended(detach, cloister):
    running, ended = detach("sleep", "1000"), detach("true", opts=["--name", "gone"])
    assert ended.exit_status() == 0
    assert cloister.call("prune").ok().out == b"nothing to remove\n"
    assert cloister.call("prune", "--ended").ok().out.decode() == f"removed {ended.id}\n"
    assert os.listdir(cloister.kept()) == [running.id]


def test_prune_waits_for_who_still_tells_of_an_end(detach, cloister):
    """Who ran it knows already that it has ended, and would find it after prune. A supervisor has his lock until all know."""
    ended = detach("true")
    assert ended.exit_status() == 0
    with open(cloister.kept() / ended.id / "record", "r+b") as record:
        fcntl.fcntl(record, F_OFD_SETLKW, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        waits = re.compile(rf" -> OFDLCK .*:{os.fstat(record.fileno()).st_ino} ")
        with Running(cloister.argv("prune", "--ended"), env=cloister.environment()) as prune:
            poll(lambda: waits.search(Path("/proc/locks").read_text()) or prune.process.poll() is not None, 20, "it does neither")
            record.close()
            assert prune.wait().ok().out.decode() == f"removed {ended.id}\n"
    assert os.listdir(cloister.kept()) == []


# -- ends that nobody wrote down

def test_a_killed_supervisor(detach, cloister):
    box = detach("sleep", "1000", opts=["--name", "lost"])
    supervisor = box.supervisor
    pids = [supervisor, *descendants(supervisor)]
    assert len(pids) >= 3
    os.kill(supervisor, signal.SIGKILL)
    poll(lambda: not any(map(alive, pids)), 10, "the sandbox outlives its supervisor")
    assert box.exit_status() == 125
    seen = box.inspect()
    assert (seen["status"], seen["result"]["error"]) == ("error", "its supervisor was killed")
    before = (box.place / "record").stat().st_size
    cloister.call("ps", "-a").ok()
    assert (box.place / "record").stat().st_size > before, "nobody swept"
    assert box.inspect() == seen
    assert box.logs() == (b"", b"")


@pytest.mark.parametrize("order", itertools.permutations(["supervisor", "init", "client"]), ids="-".join)
@pytest.mark.parametrize("client", [["exec", "-i"], ["attach"]], ids=" ".join)
def test_killed_in_every_order(detach, cloister, client, order):
    """Each is killed as the one before is about to end: nobody stays, and the record says what can be known."""
    box = detach("cat", opts=["-i"])
    command = ["cat"] if client[0] == "exec" else []
    with Running(cloister.argv(*client, box.id, *command), env=cloister.environment(), cwd="/") as running:
        running.process.stdin.write(b"a line\n")
        running.expect(b"a line\n")  # from there and back
        seen = box.inspect()
        victims = {"supervisor": seen["supervisor_pid"], "init": seen["init_pid"], "client": running.pid}
        inside = [*descendants(victims["supervisor"]), *descendants(running.pid)]
        for name in order:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victims[name], signal.SIGKILL)
        ended = running.wait(10)
    assert ended.exit in {-signal.SIGKILL, 125, 137}, f"{ended}"
    poll(lambda: not any(map(alive, [*victims.values(), *inside])), 10, "somebody stays")
    assert box.exit_status() in {125, 137}
    status = box.inspect()["status"]
    assert status in ({"error"} if order[0] == "supervisor" else {"error", "killed"}), status
    box.call("rm").ok()


def test_a_killed_supervisor_of_one_that_was_not_to_be_kept(detach, cloister):
    box = detach("sleep", "1000", opts=["--rm"])
    os.kill(box.supervisor, signal.SIGKILL)
    poll(lambda: cloister.call("ps").ok() and not box.place.exists(), 10, "it stays")


@pytest.mark.parametrize("step", range(0, 40, 2))
def test_a_supervisor_killed_while_it_begins(cloister, rootfs, step, nothing_left):
    """At some moment of the start: either it is told, or it runs; and nothing stays."""
    with Running(cloister.argv(*cloister.run_words(rootfs, ["sleep", "1000"], ["-d"])), env=cloister.environment(), cwd="/", start_new_session=True) as starting:
        def supervisor():
            return next((pid for pid in descendants(starting.pid) if stat_fields(pid)[3] == str(pid)), None)
        deadline = poll(lambda: supervisor() or starting.process.poll() is not None, 10, "nothing begins")
        pid = deadline if deadline is not True else None
        for _ in range(step * 50):
            pass
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        ended = starting.wait(10)
    if ended.exit != 0:
        assert b"killed" in ended.err, f"{ended}"
    ids = cloister.call("ps", "-aq").ok().lines()
    if ids:
        cloister.call("rm", "-f", *ids).ok()
    kept = cloister.kept()
    for place in kept.iterdir() if kept.exists() else []:  # killed before it had a record: swept when it is old
        assert not (place / "record").exists()
        os.utime(place, (0, 0))
    cloister.call("prune").ok()
    assert not kept.exists() or list(kept.iterdir()) == []
    nothing_left()


@pytest.mark.parametrize("damage", ["empty", "garbage", "directory", "fifo", "link"])
def test_damaged_records(detach, cloister, damage):
    """They hide nothing else, and can be removed."""
    box, other = detach("true"), detach("true")
    assert box.exit_status() == other.exit_status() == 0
    record = box.place / "record"
    record.unlink()
    if damage == "empty":
        record.touch()
    elif damage == "garbage":
        record.write_bytes(os.urandom(5000))
    elif damage == "fifo":
        os.mkfifo(record)
    elif damage == "link":
        record.symlink_to("/etc/passwd")
    if record.exists() and not record.is_symlink():
        os.chown(record, cloister.uid, cloister.gid)
    assert other.inspect()["status"] == "exited"
    outcome = cloister.call("ps", "-a")
    assert outcome.exit == 0 and other.id in outcome.out.decode(), f"{outcome}"
    cloister.call("rm", other.id).ok()
    for path in box.place.iterdir():
        path.unlink()
    box.place.rmdir()


def test_others_can_not_look(detach, as_user, as_root, cloister):
    box = detach("sh", "-c", "echo secret")
    assert box.exit_status() == 0
    assert cloister.kept().stat().st_mode & 0o777 == 0o700 and box.place.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in box.place.iterdir())


# -- many

@pytest.mark.serial
def test_two_hundred_side_by_side(detach, cloister):
    keys = Path("/proc/sys/kernel/keys/maxkeys")  # an ordinary user's, of which each sandbox takes one
    count = min(200, int(keys.read_text()) // 2) if cloister.identity == "user" and keys.exists() else 200
    boxes = [detach("sleep", "1000", opts=["-m", "32m"]) for _ in range(count)]
    assert len(cloister.call("ps", "-q").ok().lines()) == count
    pss = []
    for box in boxes[::40]:
        text = Path(f"/proc/{box.supervisor}/smaps_rollup").read_text()
        pss.append(int(re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)[1]))
    assert max(pss) <= 512, f"PSS of supervisors: {pss} KiB"
    assert cloister.call("rm", "-f", *[box.id for box in boxes], timeout=120).ok()
    assert cloister.call("ps", "-aq").ok().lines() == []
