"""What an ordinary user has, by what he was given (lib/rootless.py): a single uid or a range of them,
cgroups or none. Each command once in each cell, as far as the cell can make a difference."""

import json
import os
import re
import shutil
import signal
import stat
from pathlib import Path

import pytest

from lib.events import Listener
from lib.jobs import Job, statuses, steps
from lib.outer import OUTSIDE4, PORT, WORLD4, Outer
from lib.rootless import CGROUPS, IDENTITIES, Cell, v1_controllers
from lib.runner import Running, alive, descendants, host_pid_of, poll, stat_fields
from lib.world import sandbox_cgroups

MIB = 1 << 20
PLAIN = 1000  # of the image; the one user of `strict` too
MEASURED = ["cpu_percent", "cpu_ns", "memory_bytes", "memory_limit_bytes", "tasks", "tasks_limit"]
FETCH = f"import socket; client = socket.create_connection(('{OUTSIDE4}', {PORT}), 20); print(client.recv(100).decode(), end='')"


def given_or_skip(cgroups):
    if cgroups == "given" and not os.environ.get("CLOISTER_DELEGATED") == "user" and "memory" not in v1_controllers():
        pytest.skip("no cgroup v1 here of which root could give some away, and none of v2 was delegated")


@pytest.fixture(params=[(ids, cgroups) for ids in IDENTITIES for cgroups in CGROUPS], ids="-".join)
def cell(request, world, binary, leaks):
    """cloister in one cell, where nothing was and nothing stays."""
    given_or_skip(request.param[1])
    made = Cell(world, binary, *request.param)
    try:
        yield made
        assert made.call("ps", "-aq").ok().lines() == []
        assert not made.kept().exists() or os.listdir(made.kept()) == []
        assert not (made.state() / "events").exists()
        assert made.own_cgroups_left() == []
    finally:
        ids = made.call("ps", "-aq").lines()
        if ids:
            made.call("rm", "-f", *ids)
        made.close()
    leaks.check()


@pytest.fixture
def place(cell):
    """A directory of the user's."""
    return cell.directory("place")


class Box:
    """A detached sandbox of a cell."""

    def __init__(self, cell, identifier):
        self.cell, self.id = cell, identifier

    def call(self, command, *options, **more):
        return self.cell.call(command, *options, self.id, **more)

    def exec(self, *command, opts=(), **more):
        return self.cell.call("exec", *opts, self.id, *command, **more)

    def inspect(self):
        return json.loads(self.call("inspect").ok().out)[0]

    def processes(self):
        """The host's pids of those inside, without init."""
        return descendants(self.inspect()["init_pid"])

    def end(self):
        self.call("rm", "-f").ok()


@pytest.fixture
def detach(cell, rootfs):
    """Starts one which has said something, `trap` unless it is told what."""
    def start(*command, opts=()):
        box = Box(cell, cell.detach(rootfs, *(command or ("probe", "trap")), opts=opts).ok().word())
        poll(lambda: box.call("logs").ok().out, 20, "it never began")
        return box
    return start


def user_outside(pid):
    """The four uids of a process, which have to be one."""
    uids = set(re.search(r"^Uid:\t(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1].split())
    assert len(uids) == 1, uids
    return int(uids.pop())


def is_the_users(cell, path):
    seen = path.lstat()
    assert (seen.st_uid, seen.st_gid) == (cell.uid, cell.gid), path


def main_uid(cell):
    """Who the command is inside, unless it says otherwise."""
    return 0 if cell.has_range else PLAIN


# --- run ------------------------------------------------------------------------------------------


def test_run(cell, rootfs):
    outcome = cell.run(rootfs, "sh", "-c", "id -u; id -g; cat /proc/self/uid_map").ok()
    uid, gid, *maps = [line.split() for line in outcome.lines()]
    assert uid == gid == [str(main_uid(cell))] and outcome.err == b""
    assert maps == ([["0", str(cell.uid), "1"], ["1", str(cell.outside(1)), "65535"]] if cell.has_range else [[str(PLAIN), str(cell.uid), "1"]])
    outcome.ended("exited", 0)
    record, counted = outcome.result, ["cpu_user_ns", "memory_peak_bytes", "tasks_peak"]
    assert ("limits" in record["layers"]) == cell.has_cgroup and record["without"] == cell.without
    assert {record["usage"][key] is not None for key in counted} == {cell.has_cgroup}, record["usage"]


def test_another_user_inside(cell, rootfs):
    """`strict` has room for one, whoever that is."""
    with cell.start(rootfs, "sh", "-c", "id -u; exec probe trap 0", opts=["-u", "other"], result=False) as running:
        running.expect(b"1234\nready\n")
        assert user_outside(host_pid_of(running, "probe")) == (cell.outside(1234) if cell.has_range else cell.uid)
        running.signal(signal.SIGTERM)
        running.wait(20).ok()


def test_memory_is_held(cell, rootfs):
    """By the cgroup for all together, else by each process's own limit, which is nobody's to tell."""
    outcome = cell.run(rootfs, "probe", "hog", "300", opts=["-m", "64m"])
    if cell.has_cgroup:
        outcome.ended("oom", 137, hit="memory")
    else:
        assert outcome.ended("exited", 9).result["limits_hit"] == []
    assert int(outcome.lines()[-1].split()[-1]) <= 64


# --- in the background ----------------------------------------------------------------------------


def test_run_detached_ps_and_inspect(cell, detach):
    box = detach(opts=["--name", "kept", "-l", "k=1"])
    (row,) = json.loads(cell.call("ps", "--format", "json").ok().out)
    assert (row["id"], row["name"], row["status"]) == (box.id, "kept", "running")
    seen = box.inspect()
    assert (seen["status"], seen["uid_base"]) == ("running", None)
    assert ("limits" in seen["layers"]) == cell.has_cgroup
    assert user_outside(seen["supervisor_pid"]) == user_outside(seen["init_pid"]) == user_outside(seen["pid"]) == cell.uid
    cgroups = sandbox_cgroups(seen["pid"])
    assert {path.name for path in cgroups} == ({f"cloister-{box.id}"} if cell.has_cgroup else set())
    for path in cgroups:
        assert path.stat().st_uid == cell.uid
    for path in [cell.kept() / box.id, *(cell.kept() / box.id).iterdir()]:
        is_the_users(cell, path)
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path
    box.end()
    assert not any(map(alive, (seen["supervisor_pid"], seen["init_pid"], seen["pid"])))


def test_logs(detach):
    box = detach("sh", "-c", "echo out; echo err >&2; exec probe trap")
    poll(lambda: b"ready" in box.call("logs").ok().out, 20, "it isn't ready")
    outcome = box.call("logs").ok()
    assert (outcome.out, outcome.err) == (b"out\nready\n", b"err\n")
    box.end()


def test_stop_wait_and_rm(cell, detach):
    box = detach("probe", "trap", "7")
    assert box.call("stop", "-t", "20s").ok().word() == box.id
    assert box.call("wait").ok().word() == "7"
    seen = box.inspect()
    assert (seen["status"], seen["exit_status"]) == ("exited", 7)
    assert (seen["result"]["usage"]["memory_peak_bytes"] is not None) == cell.has_cgroup
    assert cell.own_cgroups_left() == []
    box.call("rm").ok()


def test_kill(detach):
    box = detach("probe", "trap")
    box.call("kill", "-s", "USR1").ok()
    poll(lambda: b"got 10" in box.call("logs").ok().out, 20, "the signal never came")
    box.call("kill").ok()
    assert box.call("wait").ok().word() == "137" and box.inspect()["status"] == "killed"
    box.call("rm").ok()


def test_rm_force_takes_all_along(cell, detach):
    """Processes of other users inside too."""
    box = detach("sh", "-c", "probe trap & exec probe trap")
    box.exec("probe", "trap", opts=["-d", "-u", "other" if cell.has_range else "plain"]).ok()
    pids = poll(lambda: len(box.processes()) == 3 and box.processes(), 20, "not all are there")
    box.call("rm").refused(f"sandbox {box.id} runs; say --force, or end it first by cloister stop {box.id}")
    box.call("rm", "-f").ok()
    assert not any(map(alive, pids))


# --- more in it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "plain"])
def test_exec(cell, detach, user):
    """Its input comes, and it is whom it should be, in the sandbox's cgroups."""
    box = detach()
    before = set(box.processes())
    words = ["exec", "-i", *([] if user is None else ["-u", user]), box.id, "sh", "-c", "id -u; exec cat"]
    inside = main_uid(cell) if user is None else PLAIN
    with Running(cell.argv(*words), env=cell.environment(), cwd="/") as running:
        running.expect(f"{inside}\n".encode())
        running.send(b"of the caller\n")
        running.expect(b"of the caller\n")
        (pid,) = set(box.processes()) - before
        assert user_outside(pid) == cell.outside(inside if cell.has_range else 0)
        assert bool(sandbox_cgroups(pid)) == cell.has_cgroup
        running.close_stdin()
        outcome = running.wait(20).ok()
    assert outcome.out == f"{inside}\nof the caller\n".encode() and outcome.err == b""
    box.end()


def test_exec_as_root(cell, detach):
    """Where there is none it is said, and is nobody more."""
    box = detach()
    outcome = box.exec("id", "-u", opts=["-u", "0"]).ok()
    assert outcome.out == (b"0\n" if cell.has_range else b"1000\n")
    assert outcome.err == (b"" if cell.has_range else b"cloister: the strict profile never runs as root: user 1000 instead (--profile build has root inside)\n")
    box.end()


def test_attach(cell, rootfs):
    box = Box(cell, cell.detach(rootfs, "sh", "-c", 'read -r line; echo "$(id -u) got $line"; exit 5', opts=["-i"]).ok().word())
    outcome = box.call("attach", input=b"one\n")
    assert (outcome.exit, outcome.out, outcome.err) == (5, f"{main_uid(cell)} got one\n".encode(), b"")
    box.call("rm").ok()


def test_stats(cell, detach):
    """Without a cgroup nothing is known, and nothing is made up."""
    box = detach(opts=["-m", "100m", "--pids-limit", "20"])
    outcome = box.call("stats", "--no-stream", "--format", "json").ok()
    seen = json.loads(outcome.out)
    assert seen["id"] == box.id and outcome.err == b""
    if cell.has_cgroup:
        assert (seen["memory_limit_bytes"], seen["tasks_limit"], seen["tasks"]) == (100 * MIB, 20, 1)
        assert 0 < seen["memory_bytes"] < 100 * MIB and seen["cpu_ns"] > 0
    else:
        assert [seen[key] for key in MEASURED] == [None] * len(MEASURED)
    box.end()


def test_pause_and_unpause(cell, detach):
    """All stand still, whoever they are inside, with a cgroup that can freeze and without."""
    box = detach("probe", "tick")
    box.exec("probe", "tick", opts=["-d", "-u", "other" if cell.has_range else "plain"]).ok()
    pids = poll(lambda: len(box.processes()) == 2 and box.processes(), 20, "it isn't there")
    assert box.call("pause").ok().word() == box.id and box.inspect()["status"] == "paused"
    frozen = any((path / "cgroup.freeze").exists() for path in sandbox_cgroups(pids[0]))
    assert frozen or {stat_fields(pid)[0] for pid in pids} == {"T"}
    box.exec("true").refused(f"sandbox {box.id} is paused; cloister unpause {box.id}")
    before = box.call("logs").ok().out  # what was on its way has come
    assert box.inspect()["status"] == "paused" and box.call("logs").ok().out == before
    box.call("unpause").ok()
    poll(lambda: len(box.call("logs").ok().out) > len(before), 20, "it doesn't go on")
    assert "T" not in {stat_fields(pid)[0] for pid in pids} and box.inspect()["status"] == "running"
    box.end()


def test_events(cell, detach, rootfs):
    with Listener(cell) as listener:
        box = detach()
        box.exec("true").ok()
        box.call("pause").ok()
        box.call("unpause").ok()
        box.call("kill").ok()
        box.call("wait").ok()
        box.call("rm").ok()
        ended = cell.run(rootfs, "probe", "hog", "300", opts=["-m", "64m"], result=False)
        told = ["start", "exec", "pause", "unpause", "kill", "end", "remove", "start", *(["oom"] if cell.has_cgroup else []), "end"]
        lines = listener.until(len(told))
        assert [one["event"] for one in lines] == told and {one["id"] for one in lines[:7]} == {box.id}
        assert lines[-1]["status"] == ("oom" if cell.has_cgroup else "exited") and ended.exit == (137 if cell.has_cgroup else 9)
        listener.signal(signal.SIGTERM)
        listener.wait(20)


# --- files ----------------------------------------------------------------------------------------


def test_cp_both_ways(cell, detach, place):
    box, source = detach(), place / "source"
    source.write_bytes(b"of the host\n")
    os.chown(source, cell.uid, cell.gid)
    cell.call("cp", source, f"{box.id}:/tmp/f").ok()
    assert box.exec("sh", "-c", "stat -c '%u %g' /tmp/f; cat /tmp/f").ok().lines() == [f"{main_uid(cell)} {main_uid(cell)}", "of the host"]
    box.exec("sh", "-c", "mkdir /tmp/d; echo inside >/tmp/d/f", opts=["-u", "other" if cell.has_range else "plain"]).ok()
    cell.call("cp", f"{box.id}:/tmp/d", place).ok()
    assert (place / "d/f").read_bytes() == b"inside\n"
    for path in (place / "d", place / "d/f"):
        is_the_users(cell, path)
    box.end()


def test_copy_in_and_out(cell, rootfs, place):
    source = place / "source"
    source.write_bytes(b"of the host\n")
    os.chown(source, cell.uid, cell.gid)
    outcome = cell.run(rootfs, "sh", "-c", "stat -c %u /tmp/in; mkdir /tmp/d; cat /tmp/in >/tmp/d/f",
                       opts=["--copy-in", f"{source}:/tmp/in", "--copy-out", f"/tmp/d:{place}/out"]).ok()
    assert outcome.word() == str(main_uid(cell)) and outcome.err == b"" and outcome.result["status"] == "exited"
    assert (place / "out/f").read_bytes() == b"of the host\n"
    for path in (place / "out", place / "out/f"):
        is_the_users(cell, path)


def test_keep_then_cp_then_rm(cell, rootfs, place):
    assert cell.run(rootfs, "sh", "-c", "echo kept >/tmp/f; exit 3", opts=["--keep"]).ended("exited", 3)
    box = Box(cell, cell.call("ps", "-aq").ok().word())
    seen = box.inspect()
    assert seen["exit_status"] == 3 and (seen["result"]["usage"]["memory_peak_bytes"] is not None) == cell.has_cgroup
    cell.call("cp", f"{box.id}:/tmp/f", place / "f").ok()
    assert (place / "f").read_bytes() == b"kept\n"
    is_the_users(cell, place / "f")
    pids = [pid for pid in (seen["supervisor_pid"], seen["init_pid"]) if pid]
    box.call("rm").ok()
    assert not any(map(alive, pids))
    outcome = cell.call("cp", f"{box.id}:/tmp/f", place / "late")
    assert outcome.exit != 0 and outcome.err.decode() == f'cloister: no sandbox "{box.id}"\n'


# --- jobs and the network -------------------------------------------------------------------------


def test_job_run(cell, rootfs):
    spec = {"image": str(rootfs), "policy": {"profile": cell.profile}, "copy_in": [{"from": "given", "to": "/tmp"}],
            "steps": steps("id -u >/tmp/report; cat /tmp/given", "echo more >>/tmp/report"), "artifacts": ["/tmp/report"]}
    job = Job(cell, spec)
    (job.directory / "given").write_text("given\n")
    outcome = job.run().ok()
    assert outcome.out == b"given\n" and statuses(outcome) == ["passed", "passed"]
    assert (job.artifacts / "report").read_text() == f"{main_uid(cell)}\nmore\n"
    for path in (job.artifacts, job.artifacts / "report", job.result):
        is_the_users(cell, path)
    result = outcome.result["sandbox"]["result"]
    assert (result["usage"]["memory_peak_bytes"] is not None) == cell.has_cgroup and result["without"] == cell.without


@pytest.fixture(scope="module")
def outer(world, leaks, nothing_left_after_the_module):
    with leaks.settled():
        made = Outer(world)
        made.serve(made.world, f"tcp={OUTSIDE4}", f"tcp={WORLD4}", "tcp=::")
    yield made
    made.close()


def test_network_outbound(cell, outer):
    outcome = cell.on(outer).run("host", "python3", "-c", FETCH, opts=["--profile", cell.profile, "--network", "outbound"]).ok()
    assert outcome.out == b"hello from tcp\n" and outcome.err == b""
    assert {"netns", "network-filter"} <= set(outcome.result["layers"]) and ("limits" in outcome.result["layers"]) == cell.has_cgroup


# --- what is refused, and from where ---------------------------------------------------------------


@pytest.mark.parametrize("cell", [(ids, "none") for ids in IDENTITIES], indirect=True, ids="-".join)
def test_limits_that_nobody_can_hold_are_refused(cell, rootfs):
    for opts, which, verb in (["--cpus", "1"], "--cpus (limits.cpus)", "it needs"), (["--swap", "1m"], "--swap and --memory-swap (limits.swap)", "they need"):
        outcome = cell.run(rootfs, "true", opts=opts, result=False).refused()
        assert outcome.err.decode() == f"cloister: {which} can't be held with --without limits: {verb} a cgroup; give up one of the two\n"


def test_a_part_of_the_cgroups_is_enough_for_what_it_holds(world, binary, rootfs, leaks):
    """Without that of `cpu` all is as with it, but --cpus."""
    controllers = v1_controllers()
    if len(set(controllers.values())) < 4:
        pytest.skip("no cgroup v1 here whose controllers are apart")
    cell = Cell(world, binary, "single", "given", ("memory", "pids", "cpuacct"))
    try:
        record = cell.run(rootfs, "true").ok().result
        assert "limits" in record["layers"] and record["usage"]["cpu_user_ns"] is not None
        outcome = cell.run(rootfs, "true", opts=["--cpus", "0.5"], result=False).refused()
        assert outcome.err.decode() == (f"cloister: record and limits: this user may not make a cgroup in {controllers['cpu']}, which --cpus (limits.cpus) takes; "
                                        "on cgroup v1 that needs one that root gave away (`cloister doctor` says how), or leave that limit out\n")
    finally:
        cell.close()
    leaks.check()


@pytest.mark.parametrize("cell", [("single", cgroups) for cgroups in CGROUPS], indirect=True, ids="-".join)
def test_several_users_need_a_range(cell, rootfs):
    outcome = cell.run(rootfs, "true", opts=["--profile", "build"], result=False).refused()
    assert re.fullmatch(rf"cloister: container: write the id maps: this needs several user ids and /etc/subuid has none for uid {cell.uid}; run as root: "
                        rf"usermod --add-subuids \d+-\d+ --add-subgids \d+-\d+ {cell.world.user.pw_name}; or use --profile strict\n", outcome.err.decode()), outcome


@pytest.mark.parametrize("hindrance,said", [
    ("mount -o remount,bind,nosuid {program}", "refused the range {first}+65535; it gains no privilege on a file system that is mounted nosuid: mount that without"),
    ("mount --bind {other} {program}", "refused the range {first}+65535; it has to be set-uid root, and the range this user's alone"),
    ("mount --bind {empty} {program}", "Permission denied")], ids=["nosuid", "no-set-uid", "not-executable"])
@pytest.mark.parametrize("cell", [("range", "none")], indirect=True, ids="-".join)
def test_what_keeps_the_range_from_a_user_is_told(cell, rootfs, hindrance, said):
    """With the line in /etc/subuid, the set-uid program that maps it is still to be had."""
    program, other = "/usr/bin/newgidmap", cell.directory("other") / "newgidmap"
    shutil.copy(program, other)
    other.chmod(0o755)
    cell.hindrance = f"mount --bind {program} {program} && " + hindrance.format(program=program, other=other, empty=cell.empty)
    try:
        outcome = cell.run(rootfs, "true", result=False).refused()
    finally:
        cell.hindrance = "true"
    what = "start " + program if said == "Permission denied" else program
    said = said.format(first=cell.outside(1))
    assert outcome.err.decode() == f"cloister: container: write the id maps: {what}{':' if what != program else ''} {said}; or use --profile strict\n"


@pytest.mark.parametrize("cell", [(ids, "given") for ids in IDENTITIES], indirect=True, ids="-".join)
def test_another_shell_without_the_cgroups_reaches_what_runs_in_them(cell, detach, world, binary):
    """Of the same user, who logged in once more."""
    elsewhere = Box(Cell(world, binary, cell.ids, "none"), detach().id)
    assert json.loads(elsewhere.call("stats", "--no-stream", "--format", "json").ok().out)["tasks"] == 1
    assert elsewhere.exec("id", "-u").ok().word() == str(main_uid(cell))
    elsewhere.call("pause").ok()
    elsewhere.call("unpause").ok()
    seen = elsewhere.inspect()
    os.kill(seen["supervisor_pid"], signal.SIGKILL)
    poll(lambda: not any(map(alive, (seen["supervisor_pid"], seen["init_pid"], seen["pid"]))), 20, "it lives on")
    elsewhere.cell.call("prune").ok()
    assert cell.own_cgroups_left() == [] and elsewhere.inspect()["status"] == "error"
    elsewhere.call("rm").ok()
