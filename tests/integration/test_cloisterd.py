"""cloisterd as containerd talks to it, with ourselves in containerd's place; with a real one: test_engines_cloisterd.py."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lib import oci, ttrpc
from lib.cloisterd import (CONTROLLER, CREATED, DAEMON, EXHAUSTED, EXISTS, INVALID, NOT_FOUND, OK, PAUSED, PRECONDITION, RUNNING, STOPPED,
                           UNIMPLEMENTED, Daemon)
from lib.fifos import read_all
from lib.patience import patience
from lib.runner import alive, descendants, poll
from lib.wasm_guest import compile_guest
from lib.wasm_module import command

POD, OTHER = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def guest(world):
    return compile_guest(world.directory("cloisterd-guest"))


@pytest.fixture
def daemon(world):
    daemon = Daemon(world.directory("cloisterd", mode=0o700))
    with daemon.events:
        yield daemon.start()
        daemon.stop()


@pytest.fixture
def caller(daemon):
    return daemon.caller()


def workers(daemon):
    return [pid for pid in descendants(daemon.process.pid) if pid != daemon.process.pid]


def metrics(caller, name):
    """What a task uses."""
    kind, data = (ttrpc.decode(caller.call("Stats", {1: name})[1][0])[number][0] for number in (1, 2))
    assert kind == b"io.containerd.cgroups.v2.Metrics"
    rows = {word: ttrpc.decode(value[0]) for word, value in zip(("tasks", "cpu", "memory"), map(ttrpc.decode(data).get, (1, 2, 4)))}
    return {"tasks": rows["tasks"].get(1, [0])[0], "cpu_us": rows["cpu"].get(1, [0])[0], "memory": rows["memory"].get(32, [0])[0]}


def wasm(body='wall = "wasm"\n'):
    """A runtime's options, as the CRI hands them on."""
    return {6: {2: {1: "io.containerd.cloister.v2", 2: {1: "type.googleapis.com/runtimeoptions.v1.Options", 2: {3: body}}}}}


def new_pod(caller, name=POD, namespace=None):
    caller.pod("Create", {1: name, 3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "one", 3: namespace or ""}}}, **wasm()})
    return caller.pod("Start", {1: name})


# --- the life of a container

def test_a_life(daemon, caller, guest):
    path, out = daemon.fifo("out")
    bundle = daemon.bundle("one", guest, "args", "a", "b c")
    caller.create("one", bundle, stdout=path)
    assert caller.state("one") == CREATED
    pid = caller.call("Start", {1: "one"})[1][0]
    assert alive(pid) and caller.wait("one") == 0 and caller.state("one") == STOPPED
    assert read_all(out) == b"[a]\n[b c]\n"
    caller.refused("Kill", {1: "one", 3: 9}, NOT_FOUND, "finished")
    deleted = caller.call("Delete", {1: "one"})
    assert deleted[1] == [pid] and 2 not in deleted and 3 in deleted
    caller.refused("State", {1: "one"}, NOT_FOUND)
    poll(lambda: len(daemon.events.seen) == 4, 20, daemon.events.topics)
    assert daemon.events.topics() == [f"/tasks/{word}" for word in ("create", "start", "exit", "delete")]
    assert {space for _, space, _ in daemon.events.seen} == {daemon.space}
    end = daemon.events.seen[2][2]
    assert end[1] == end[2] == [b"one"] and end[3] == [pid] and 5 in end


@pytest.mark.parametrize("words, status", [(("exit", "7"), 7), (("trap", "u"), 128 + signal.SIGABRT)])
def test_how_it_ends(daemon, caller, guest, words, status):
    path, err = daemon.fifo("err")
    caller.run("one", daemon.bundle("one", guest, *words), stderr=path)
    assert caller.wait("one") == status
    said = read_all(err)
    assert (b"cloister: " in said) == (words[0] == "trap")
    caller.call("Delete", {1: "one"})


def test_one_that_rests(daemon, caller, guest):
    """Pause, resume, stats, pids and kill."""
    pid = caller.run("one", daemon.bundle("one", guest, "rest", "1000"))
    waiting = caller.begin("Wait", {1: "one"})
    assert caller.state("one") == RUNNING
    caller.refused("Start", {1: "one"}, PRECONDITION, "already")
    caller.refused("Delete", {1: "one"}, PRECONDITION, "still runs")
    caller.call("Pause", {1: "one"})
    assert caller.state("one") == PAUSED
    caller.refused("Pause", {1: "one"}, PRECONDITION)
    caller.call("Resume", {1: "one"})
    assert caller.state("one") == RUNNING
    assert [ttrpc.decode(one)[1] for one in caller.call("Pids", {1: "one"})[1]] == [[pid]]
    poll(lambda: metrics(caller, "one").get("memory", 0) >= 65536, 20, lambda: metrics(caller, "one"))
    assert metrics(caller, "one")["tasks"] == 1
    caller.call("Kill", {1: "one", 3: signal.SIGWINCH})
    assert caller.state("one") == RUNNING
    caller.call("Kill", {1: "one", 3: signal.SIGTERM, 4: 1})
    assert caller.end(waiting)[1] == [128 + signal.SIGTERM] == [caller.wait("one")]
    caller.call("Delete", {1: "one"})


def test_standard_input(daemon, caller, guest):
    """It ends with CloseIO, however many have written before."""
    into, path = daemon.place / "in", daemon.fifo("out")
    os.mkfifo(into)
    caller.run("one", daemon.bundle("one", guest, "cat"), stdin=into, stdout=path[0])
    for text in (b"one\n", b"two\n"):
        with open(into, "wb") as stream:
            stream.write(text)
    caller.call("CloseIO", {1: "one", 3: 1})
    assert caller.wait("one") == 0 and read_all(path[1]) == b"one\ntwo\n"
    caller.call("Delete", {1: "one"})


def test_a_file_for_output(daemon, caller, guest):
    target = daemon.place / "said"
    target.write_text("before\n")
    caller.run("one", daemon.bundle("one", guest, "args", "a"), stdout=f"file://{target}")
    assert caller.wait("one") == 0 and target.read_text() == "before\n[a]\n"
    caller.call("Delete", {1: "one"})


def test_environment_and_memory(daemon, caller, guest):
    path, out = daemon.fifo("out")
    caller.run("one", daemon.bundle("one", guest, "env", env=["A=1", "B=x y"]), stdout=path)
    assert caller.wait("one") == 0 and read_all(out) == b"A=1\nB=x y\n"
    path, out = daemon.fifo("out2")
    caller.run("two", daemon.bundle("two", guest, "grow", memory={"limit": 4 << 20}), stdout=path)
    caller.wait("two")
    caller.run("three", daemon.bundle("three", guest, "grow", memory={"limit": 16 << 20}), stdout=daemon.fifo("out3")[0])
    caller.wait("three")
    assert read_all(out) != b"" and metrics(caller, "two")["memory"] <= 4 << 20 < metrics(caller, "three")["memory"] <= 16 << 20


@pytest.mark.parametrize("annotation, words", [("time-limit", ("rest", "1000")), ("cpu-time", ("spin",))])
def test_a_limit_of_time(daemon, caller, guest, annotation, words):
    caller.run("one", daemon.bundle("one", guest, *words, annotations={f"run.cloister.{annotation}": "100ms", "run.cloister.wall": "wasm"}))
    assert caller.wait("one") == 128 + signal.SIGKILL


# --- modules with a process of their own

PROCESS = {"run.cloister.wasm-model": "process"}


def groups_of(pid):
    return Path(f"/proc/{pid}/cgroup").read_text()


@pytest.mark.parametrize("more", [{"annotations": PROCESS}, {"cpu": {"quota": 20000, "period": 100000}}], ids=["annotation", "quota"])
def test_a_process_of_its_own(daemon, caller, guest, more):
    """In the cgroup that its bundle names, with its limits; and what is left of it goes with it."""
    path = f"{oci.slice_name()}/one"
    pid = caller.run("one", daemon.bundle("one", guest, "rest", "1000", group=path, memory={"limit": 64 << 20}, pids={"limit": 5}, **more))
    caller.create("two", daemon.bundle("two", guest, "rest", "1000"))
    other = caller.call("Start", {1: "two"})[1][0]
    assert pid != other and {line.rpartition(":")[2] for line in groups_of(pid).splitlines() if ":pids:" in line or ":memory:" in line} == {path}
    assert own(path, "memory", "memory.limit_in_bytes") == str(64 << 20) and own(path, "pids", "pids.max") == "5"
    assert own(path, "cpu", "cpu.cfs_quota_us") == ("20000" if "cpu" in more else "-1")
    assert metrics(caller, "one")["memory"] >= 65536
    caller.call("Kill", {1: "one", 3: signal.SIGTERM})
    assert caller.wait("one") == 128 + signal.SIGTERM
    caller.call("Delete", {1: "one"})
    assert not list(Path("/sys/fs/cgroup").glob(f"*{path}")) and not list((daemon.place / "state/groups").iterdir()), daemon.said()
    assert caller.state("two") == RUNNING


def own(path, controller, file):
    return (Path("/sys/fs/cgroup") / controller / path[1:] / file).read_text().strip()


def test_a_share_of_a_processor_is_kept(daemon, caller, guest):
    """Of a processor a fifth, in half a second and more."""
    caller.run("one", daemon.bundle("one", guest, "spin", cpu={"quota": 20000, "period": 100000}, group=f"{oci.slice_name()}/spin"))
    began, before = time.monotonic(), metrics(caller, "one")["cpu_us"]
    poll(lambda: metrics(caller, "one")["cpu_us"] - before > 150000, 20, "it to have used some")
    used, took = (metrics(caller, "one")["cpu_us"] - before) / 1e6, time.monotonic() - began
    assert used / took < 0.35, (used, took)


def test_a_process_ends_as_it_does(daemon, caller, guest):
    group = oci.slice_name()
    for number, (words, status) in enumerate([(("exit", "9"), 9), (("trap", "u"), 134)]):
        path, err = daemon.fifo(f"err{number}")
        caller.run(f"p{number}", daemon.bundle(f"p{number}", guest, *words, annotations=PROCESS, group=f"{group}/p{number}"), stderr=path)
        assert caller.wait(f"p{number}") == status
        assert (b"cloister: " in read_all(err)) == (words[0] == "trap")
    assert os.kill(caller.run("killed", daemon.bundle("killed", guest, "rest", "1000", annotations=PROCESS, group=f"{group}/k")), signal.SIGKILL) is None
    assert caller.wait("killed") == 128 + signal.SIGKILL


def test_a_daemon_that_is_killed_leaves_no_group(daemon, caller, guest):
    path = f"{oci.slice_name()}/left"
    caller.run("one", daemon.bundle("one", guest, "rest", "1000", annotations=PROCESS, group=path))
    left = workers(daemon)
    daemon.end(signal.SIGKILL)
    poll(lambda: not any(alive(pid) for pid in left), 20, "the worker to end")
    daemon.address.unlink()
    daemon.start()
    assert not list(Path("/sys/fs/cgroup").glob(f"*{path}")) and not list((daemon.place / "state/groups").iterdir()), daemon.said()


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "killed"])
def test_what_prepares_a_module_ends_and_leaves_no_group(daemon, caller, guest, is_deleted):
    """When it has made a cgroup, or some of it, and hasn't told so yet: it is stopped as soon as that is written down."""
    refused = 0
    for name in map(str, range(20)):
        bundle = daemon.bundle(name, guest, "args", group=f"{oci.slice_name()}/{name}", annotations=PROCESS)
        creating = caller.begin("Create", {1: name, 2: str(bundle)})
        record = daemon.place / f"state/groups/{daemon.space},{name}"
        children = []  # none when it has been that quick
        while not os.path.exists(record):
            children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split() or children
        with contextlib.suppress(ProcessLookupError):
            for pid in children[-1:]:
                os.kill(int(pid), signal.SIGSTOP if is_deleted else signal.SIGKILL)
        if is_deleted:
            daemon.caller().call("Delete", {1: name})
        code, why, _ = caller.client.end(creating)
        assert code == OK or "is no more" in why or "was not found out" in why, why
        refused += code != OK
        if code == OK and not is_deleted:
            caller.call("Delete", {1: name})
        caller.refused("State", {1: name}, NOT_FOUND)
        assert not list(Path("/sys/fs/cgroup").glob(f"*{oci.slice_name()}/{name}")) and not list((daemon.place / "state/groups").iterdir()), daemon.said()
    assert refused


@pytest.mark.parametrize("key, value", [("time-limit", "soon"), ("wasm-model", "thread"), ("cpu-time", "0"), ("seccomp", "strict"), ("wall", "vm"), ("what", "x")])
def test_annotations_that_a_module_has_not(daemon, caller, guest, key, value):
    bundle = daemon.bundle("one", guest, "args", annotations={f"run.cloister.{key}": value})
    caller.refused("Create", {1: "one", 2: str(bundle)}, INVALID, f"run.cloister.{key}")


def test_delete_of_one_that_was_never_started(daemon, caller, guest):
    caller.create("one", daemon.bundle("one", guest, "args"))
    waiting = caller.begin("Wait", {1: "one"})
    assert caller.call("Delete", {1: "one"})[2] == [128 + signal.SIGKILL] == caller.end(waiting)[1]
    poll(lambda: len(daemon.events.seen) == 3, 20, daemon.events.topics)
    assert daemon.events.topics() == ["/tasks/create", "/tasks/exit", "/tasks/delete"]


# --- what isn't taken

@pytest.mark.parametrize("change, code, words", [
    ({"mounts": [{"destination": "/data", "type": "bind", "source": "/tmp", "options": ["bind"]}]}, UNIMPLEMENTED, ["/data", "no files"]),
    ({"mounts": [{"destination": "/var/run/secrets/kubernetes.io/serviceaccount", "type": "bind", "source": "/tmp", "options": ["bind"]}]},
     UNIMPLEMENTED, ["automountServiceAccountToken"]),
])
def test_what_the_wall_cannot_keep(daemon, caller, guest, change, code, words):
    caller.refused("Create", {1: "one", 2: str(daemon.bundle("one", guest, "args", **change))}, code, *words)
    caller.refused("State", {1: "one"}, NOT_FOUND)


def test_what_is_no_module(daemon, caller, world):
    script = world.directory("no-module") / "script"
    script.write_text("#!/bin/sh\n")
    caller.refused("Create", {1: "one", 2: str(daemon.bundle("one", script))}, 2, "no WebAssembly")
    broken = script.with_name("broken")
    broken.write_bytes(b"\0asm\1\0\0\0garbage")
    caller.refused("Create", {1: "two", 2: str(daemon.bundle("two", broken))}, INVALID, "app.wasm")
    bundle = daemon.bundle("three", script)
    (bundle / "rootfs/app.wasm").unlink()
    caller.refused("Create", {1: "three", 2: str(bundle)}, NOT_FOUND, "app.wasm")
    (bundle / "rootfs/app.wasm").symlink_to("/etc/passwd")
    caller.refused("Create", {1: "three", 2: str(bundle)}, NOT_FOUND, "app.wasm")
    (bundle / "config.json").write_text("{")
    caller.refused("Create", {1: "three", 2: str(bundle)}, INVALID, "config.json")
    (bundle / "config.json").unlink()
    caller.refused("Create", {1: "three", 2: str(bundle)}, NOT_FOUND, "config.json")


def test_calls_that_come_out_of_order(daemon, caller, guest):
    bundle = daemon.bundle("one", guest, "rest", "1000")
    caller.create("one", bundle)
    caller.refused("Create", {1: "one", 2: str(bundle)}, EXISTS, "there already")
    caller.refused("Pause", {1: "one"}, PRECONDITION)
    caller.refused("Start", {1: "one", 2: "two"}, NOT_FOUND)
    caller.refused("Exec", {1: "one", 2: "two"}, UNIMPLEMENTED, "second process")
    caller.refused("Checkpoint", {1: "one"}, UNIMPLEMENTED)
    caller.refused("Update", {1: "one"}, UNIMPLEMENTED)
    caller.refused("ResizePty", {1: "one"}, UNIMPLEMENTED, "terminal")
    caller.refused("Create", {1: "two", 2: str(bundle), 4: 1}, UNIMPLEMENTED, "terminal")
    caller.refused("Create", {1: "../x", 2: str(bundle)}, INVALID)
    caller.refused("Create", {1: "x", 2: "bundle"}, INVALID, "absolute")
    caller.refused("Create", {1: "x", 2: str(bundle)}, INVALID, "containerd-namespace", service="containerd.task.v2.Task") \
        if daemon.caller("../..").refused("Create", {1: "x", 2: str(bundle)}, INVALID, "namespace") else None
    caller.call("Kill", {1: "one", 3: signal.SIGKILL})
    assert caller.state("one") == STOPPED and caller.wait("one") == 128 + signal.SIGKILL
    caller.call("Delete", {1: "one"})


def test_spaces_do_not_see_each_other(daemon, caller, guest):
    caller.create("one", daemon.bundle("one", guest, "args"))
    other = daemon.caller(f"{daemon.space}-other")
    other.refused("State", {1: "one"}, NOT_FOUND)
    other.create("one", daemon.place / "one")
    other.call("Delete", {1: "one"})
    assert caller.state("one") == CREATED


def test_a_caller_that_names_no_space(daemon, caller, guest):
    """containerd 1.6: its bundles' directory does; and of two of one name none is meant."""
    (daemon.place / "old").mkdir()
    bundle = daemon.bundle("old/one", guest, "exit", "4")
    nameless = daemon.caller("")
    nameless.space = ""
    nameless.run("one", bundle)
    assert nameless.wait("one") == 4 and daemon.caller("old").state("one") == STOPPED
    caller.create("one", daemon.bundle("one", guest, "args"))
    nameless.refused("State", {1: "one"}, NOT_FOUND)
    nameless.refused("Create", {1: "two", 2: str(bundle)}, INVALID, "namespace")
    caller.call("Delete", {1: "one"})
    nameless.call("Delete", {1: "one"})


def test_a_client_that_goes_away_in_the_middle_of_create(daemon, caller, guest):
    gone = daemon.caller()
    gone.begin("Create", {1: "one", 2: str(daemon.bundle("one", guest, "args"))})
    gone.client.socket.close()
    poll(lambda: daemon.events.topics() == ["/tasks/create"], 20, daemon.events.topics)
    caller.call("Start", {1: "one"})
    assert caller.wait("one") == 0


def test_calls_at_once_for_one_container(daemon, caller, guest):
    """One makes it, one starts it; the others hear that it has been."""
    message = {1: "one", 2: str(daemon.bundle("one", guest, "rest", "1000"))}
    callers = [daemon.caller() for _ in range(3)]
    creates = [(each, each.begin("Create", message)) for each in callers for _ in range(2)]
    assert sorted(each.client.end(stream)[0] for each, stream in creates) == [OK] + [EXISTS] * 5
    starts = [(each, each.begin("Start", {1: "one"})) for each in callers]
    assert sorted(each.client.end(stream)[0] for each, stream in starts) == [OK, PRECONDITION, PRECONDITION]
    ends = [(each, each.begin(method, {1: "one", **more})) for each in callers for method, more in (("Kill", {3: 9}), ("Delete", {}))]
    assert {each.client.end(stream)[0] for each, stream in ends} <= {OK, PRECONDITION, NOT_FOUND}
    if caller.client.end(caller.begin("Wait", {1: "one"}))[0] == OK:
        caller.client.end(caller.begin("Delete", {1: "one"}))
    caller.refused("State", {1: "one"}, NOT_FOUND)
    poll(lambda: daemon.events.topics()[-1:] == ["/tasks/delete"], 20, daemon.events.topics)
    assert daemon.events.topics() == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]


# --- a full disk

@pytest.fixture
def small(world):
    """A daemon whose state has a file system of its own, and the path of what may fill that."""
    daemon = Daemon(world.directory("cloisterd", mode=0o700))
    state = daemon.place / "state"
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "small", str(state)], check=True)
    try:
        with daemon.events:
            yield daemon.start(), state / "fill"
            daemon.stop()
            assert not [path for path in state.rglob("*") if not path.is_dir()]
    finally:
        subprocess.run(["umount", str(state)], check=True)


def fill(path):
    with pytest.raises(OSError, match="No space left"), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk(small, guest):
    """What has to be written down isn't made, and who asks hears why; what there is goes on, and can be ended."""
    daemon, filler = small
    caller = daemon.caller()
    new_pod(caller)
    caller.run("one", daemon.bundle("one", guest, "rest", "1000", pod=POD))
    fill(filler)
    request = {1: OTHER, 3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "other"}}}}
    caller.refused("Create", {**request, **wasm()}, EXHAUSTED, "write down the pod", "No space left", service=CONTROLLER)
    caller.refused("Create", request, EXHAUSTED, "No space left", service=CONTROLLER)  # of containers
    path = f"{oci.slice_name()}/own"
    bundle = daemon.bundle("own", guest, "args", group=path, annotations=PROCESS)
    caller.refused("Create", {1: "own", 2: str(bundle)}, EXHAUSTED, "write down the cgroup", "No space left")
    assert not list(Path("/sys/fs/cgroup").glob(f"*{path}"))
    for name in (OTHER, "own"):
        caller.refused("Status", {1: name}, NOT_FOUND, service=CONTROLLER)
    caller.run("two", daemon.bundle("two", guest, "args", pod=POD))
    assert caller.wait("two") == 0 and caller.state("one") == RUNNING
    caller.pod("Stop", {1: POD})
    assert caller.wait("one") == 128 + signal.SIGKILL
    caller.pod("Shutdown", {1: POD})
    filler.unlink()
    assert caller.run("own", bundle) and caller.wait("own") == 0
    caller.call("Delete", {1: "own"})
    new_pod(caller, OTHER)
    caller.pod("Shutdown", {1: OTHER})


# --- pods

def test_pods_created_at_once(daemon, caller):
    streams = [(each, each.begin("Create", {1: POD, 3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "one"}}}, **wasm()}, service=CONTROLLER))
               for each in [daemon.caller() for _ in range(3)]]
    assert sorted(each.client.end(stream)[0] for each, stream in streams) == [OK, EXISTS, EXISTS]
    caller.pod("Shutdown", {1: POD})


def test_a_pod(daemon, caller, guest):
    started = new_pod(caller, namespace="default")
    assert started[1] == [POD.encode()] and started[2] == [daemon.process.pid] and started[6] == [3]
    assert started[5] == [f"ttrpc+unix://{daemon.tasks}".encode()]
    caller.refused("Create", {1: POD}, EXISTS, service=CONTROLLER)
    caller.refused("Start", {1: POD}, PRECONDITION, service=CONTROLLER)
    platform = ttrpc.decode(caller.pod("Platform", {1: POD})[1][0])
    assert platform[1] == [b"linux"] and platform[2][0] in (b"amd64", b"arm64")
    waiting = caller.begin("Wait", {1: POD}, service=CONTROLLER)
    caller.run("one", daemon.bundle("one", guest, "rest", "1000", pod=POD))
    status = caller.pod("Status", {1: POD, 2: 1})
    assert status[3] == [b"SANDBOX_READY"] and status[8] == started[5] and 6 not in status
    assert {ttrpc.decode(pair)[1][0]: ttrpc.decode(pair)[2][0] for pair in status[4]}[b"tenant"] == f"containerd.{daemon.space}.default".encode()
    assert workers(daemon)
    caller.pod("Stop", {1: POD})
    assert caller.end(waiting)[2] and caller.wait("one") == 128 + signal.SIGKILL
    assert caller.pod("Status", {1: POD})[3] == [b"SANDBOX_NOTREADY"]
    caller.refused("Create", {1: "two", 2: str(daemon.bundle("two", guest, "args", pod=POD))}, 9, "doesn't run")
    caller.pod("Shutdown", {1: POD})
    caller.refused("Status", {1: POD}, NOT_FOUND, service=CONTROLLER)
    caller.refused("State", {1: "one"}, NOT_FOUND)
    poll(lambda: not workers(daemon), 20, "its tenant's worker to go")
    assert not list((daemon.place / "state/pods").iterdir())


@pytest.mark.parametrize("body, annotations, words", [
    ('wall = "vm"', {}, ["options of the runtime", "vm", "container or wasm"]), ("wall", {}, ["options of the runtime"]),
    ("", {"run.cloister.wall": "none"}, ["run.cloister.wall", "none"]), ("", {"run.cloister.what": "x"}, ["run.cloister.what"])])
def test_a_wall_that_there_is_not(daemon, caller, body, annotations, words):
    config = {1: {1: "one", 3: "default"}, 7: [{1: key, 2: value} for key, value in annotations.items()]}
    caller.refused("Create", {1: POD, 3: {1: "runtime.v1.PodSandboxConfig", 2: config}, **wasm(body)}, INVALID, *words, service=CONTROLLER)
    caller.refused("Status", {1: POD}, NOT_FOUND, service=CONTROLLER)


def test_a_pods_annotation_chooses_the_wall(daemon, caller, guest):
    config = {1: {1: "one", 3: "default"}, 7: [{1: "run.cloister.wall", 2: "wasm"}, {1: "other", 2: "x"}, {1: "run.cloister.time-limit", 2: "9s"}]}
    caller.pod("Create", {1: POD, 3: {1: "runtime.v1.PodSandboxConfig", 2: config}})
    caller.pod("Start", {1: POD})
    caller.run("one", daemon.bundle("one", guest, "exit", "5", pod=POD))
    assert caller.wait("one") == 5


def test_no_two_namespaces_are_one_tenant(daemon, caller):
    """Whatever dots are in containerd's: Kubernetes' have none."""
    def tenant(space, namespace):
        other = daemon.caller(space)
        new_pod(other, namespace=namespace)
        return {ttrpc.decode(pair)[1][0]: ttrpc.decode(pair)[2][0] for pair in other.pod("Status", {1: POD, 2: 1})[4]}[b"tenant"]
    space = daemon.space
    assert len({tenant(space, "b"), tenant(f"{space}.b", None), tenant(f"{space}.b.b", None), tenant(f"{space}.b.c", "b")}) == 4
    config = {3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "one", 3: "a.b"}}}}
    caller.refused("Create", {1: OTHER, **config}, INVALID, "has a dot", service=CONTROLLER)


def test_pods_of_two_namespaces_have_two_workers(daemon, caller, guest):
    pids = set()
    for name, namespace in ((POD, "blue"), (OTHER, "green")):
        new_pod(caller, name, namespace)
        pids.add(caller.run(namespace, daemon.bundle(namespace, guest, "rest", "1000", pod=name)))
    assert len(pids) == 2
    new_pod(caller, "c" * 64, "blue")
    assert caller.run("third", daemon.bundle("third", guest, "rest", "1000", pod="c" * 64)) in pids


@pytest.mark.parametrize("order", [("Stop", "Kill", "Delete", "Shutdown"), ("Kill", "Stop", "Delete", "Shutdown"), ("Kill", "Delete", "Stop", "Shutdown"),
                                   ("Shutdown", "Kill", "Delete"), ("Stop", "Shutdown", "Delete")])
def test_any_order_ends_clean(daemon, caller, guest, order):
    new_pod(caller)
    caller.run("one", daemon.bundle("one", guest, "rest", "1000", pod=POD))
    for step in order:
        if step in ("Stop", "Shutdown"):
            caller.pod(step, {1: POD})
            continue
        code, _, _ = caller.client.end(caller.begin(step, {1: "one", **({3: 9} if step == "Kill" else {})}))
        assert code in (0, NOT_FOUND, PRECONDITION)
        if step == "Kill" and code == 0:
            caller.wait("one")
    poll(lambda: not workers(daemon), 20, "the worker to go")
    caller.refused("State", {1: "one"}, NOT_FOUND)
    assert not list((daemon.place / "state/pods").iterdir())


def test_another_daemon_knows_the_pods(daemon, caller, guest):
    """What was killed ends what it ran: a module can't live without. Who asks hears so, and goes on."""
    created = new_pod(caller, namespace="default")[3]
    caller.run("one", daemon.bundle("one", guest, "rest", "1000", pod=POD))
    left = workers(daemon)
    daemon.end(signal.SIGKILL)
    poll(lambda: not any(alive(pid) for pid in left), 20, "the worker to end")
    daemon.address.unlink()  # so that its being there tells of the next one
    daemon.start()
    again = daemon.caller()
    status = again.pod("Status", {1: POD})
    assert status[3] == [b"SANDBOX_READY"] and status[5] == created
    again.refused("State", {1: "one"}, NOT_FOUND)
    again.run("two", daemon.bundle("two", guest, "args", pod=POD))
    assert again.wait("two") == 0
    again.pod("Shutdown", {1: POD})


def test_a_worker_that_dies(daemon, caller, guest):
    """All that it ran has ended, and is told so; what comes next has another."""
    path, err = daemon.fifo("err")
    pid = caller.run("one", daemon.bundle("one", guest, "rest", "1000"), stderr=path)
    waiting = caller.begin("Wait", {1: "one"})
    os.kill(pid, signal.SIGKILL)
    assert caller.end(waiting)[1] == [128 + signal.SIGKILL] and b"has ended" in read_all(err)
    assert caller.run("two", daemon.bundle("two", guest, "args")) != pid and caller.wait("two") == 0


# --- the program

@pytest.mark.parametrize("words, said", [(["--what"], "what"), (["word"], "one word too many"), (["--address", "x"], "absolute")])
def test_what_is_no_command(words, said, tmp_path):
    more = [] if "--address" in words else ["--address", tmp_path / "a"]
    done = subprocess.run([DAEMON, *map(str, more), *words, *(["--tasks", str(tmp_path / "t"), "--state", str(tmp_path)] if words[0] != "word" else [])],
                          capture_output=True, text=True, timeout=patience(20))
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1


def test_two_daemons_at_one_socket(daemon):
    done = subprocess.run([DAEMON, *map(str, daemon.words)], capture_output=True, text=True, timeout=patience(20))
    assert done.returncode == 1 and "somebody listens there already" in done.stderr


def test_another_user_is_not_heard(daemon, world):
    for path in (daemon.tasks, daemon.address):
        assert path.stat().st_mode & 0o777 == 0o600
    daemon.place.chmod(0o755)
    os.chmod(daemon.tasks, 0o666)
    code = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])\n"
            "try: sys.exit(1 if s.recv(1) else 0)\nexcept ConnectionResetError: pass")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", code, daemon.tasks],
                          timeout=patience(30), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, b"\0\0\0\1\0\0\0\1\1\0\xff", b"\0" * 10])
def test_garbage(daemon, caller, data):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(daemon.tasks))
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        peer.settimeout(patience(20))
        try:
            while peer.recv(4096):
                pass
        except ConnectionResetError:
            pass
    caller.refused("Status", {1: POD}, NOT_FOUND, service=CONTROLLER)
