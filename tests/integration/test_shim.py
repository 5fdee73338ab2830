"""containerd-shim-cloister-v2 as containerd talks to it, with ourselves in containerd's place.

With real ones: test_engines_daemons.py (1.6), test_engines_containerd2.py, test_engines_critest.py.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from lib import oci_bundle, ttrpc
from lib.fifos import fifo, read_all
from lib.patience import patience
from lib.runner import alive, poll, stat_fields
from lib.shim import EXISTS, INVALID, NOT_FOUND, OK, PLACES, PRECONDITION, SHIM, UNIMPLEMENTED
from lib.shim_scene import pod, tree  # noqa: F401

CREATED, RUNNING, STOPPED, PAUSED = 1, 2, 3, 4


@pytest.fixture
def task(pod):
    """One container that sleeps, made but not started, and its shim."""
    bundle = pod.bundle("one", "sleep", "1000")
    task = pod.connect(pod.start("one", bundle))
    task.pid = task.create("one", bundle)
    return task


# --- start, delete and the rest of the command line

@pytest.mark.parametrize("most, answer", [(None, None), ("2", 2), ("3", 3), ("4", 3)])
def test_what_start_answers(pod, most, answer):
    """The address alone for those before 1.7, else what the newer ones read; nothing else."""
    bundle = pod.bundle("one", "true")
    done = pod.run("start", "one", bundle, more={} if most is None else {"MAX_SHIM_VERSION": most})
    assert done.returncode == 0 and done.stderr == b"", done
    address = (bundle / "address").read_text()
    assert address.startswith(f"unix://{PLACES}/s/")
    if answer is None:
        assert done.stdout.decode() == address
    else:
        assert json.loads(done.stdout) == {"version": answer, "address": address, "protocol": "ttrpc"}
    pod.connect(address.removeprefix("unix://"))


def test_a_pod_has_one_shim(pod):
    first = pod.bundle("pod", "sleep", "1000", **{"io.kubernetes.cri.sandbox-id": "pod"})
    second = pod.bundle("box", "sleep", "1000", **{"io.kubernetes.cri.sandbox-id": "pod"})
    other = pod.bundle("other", "sleep", "1000")
    paths = [pod.start(bundle.name, bundle) for bundle in (first, second, other)]
    assert paths[0] == paths[1] != paths[2]
    for path in paths:
        pod.connect(path)
    assert len(pod.pids) == 2


@pytest.mark.parametrize("words, said", [
    ([], "start or delete"), (["-id", "x", "start"], "-namespace"), (["-namespace", "n", "start"], "-id"), (["-namespace", "../n", "-id", "x", "start"], "no name"),
    (["-namespace", "n", "-id", "a/b", "delete"], "no name"), (["-namespace", "n", "-id", "x", "dance"], "unknown action"), (["-what"], "unknown option"),
    (["-namespace"], "needs a value")], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_what_is_no_command(words, said, tmp_path):
    done = subprocess.run([SHIM, *words], capture_output=True, cwd=tmp_path, timeout=patience(20))
    assert done.returncode == 1 and done.stdout == b"" and said in done.stderr.decode() and done.stderr.count(b"\n") == 1


def test_what_it_says_of_itself():
    info = ttrpc.decode(subprocess.run([SHIM, "-info"], capture_output=True, check=True, timeout=patience(20)).stdout)
    assert info[1] == [b"io.containerd.cloister.v2"] and "linux" in json.loads(ttrpc.decode(info[4][0])[2][0])
    assert b"version" in subprocess.run([SHIM, "-v"], capture_output=True, check=True, timeout=patience(20)).stdout


def test_delete_of_a_dead_shims(pod, task):
    """What it had is gone, and its socket; containerd is told how it ended."""
    task.call("Start", {1: "one"})
    shim, = pod.pids
    os.kill(shim, signal.SIGKILL)
    poll(lambda: not alive(shim), 20, "the shim to end")
    assert alive(task.pid)
    done = pod.run("delete", "one", pod.place / "one", "-bundle", pod.place / "one")
    told = ttrpc.decode(done.stdout)
    assert done.returncode == 0 and told[1] == [task.pid] and told[2] == [128 + 9] and 3 in told, done
    assert not alive(task.pid) and not (PLACES / "runtime" / pod.space).exists()
    assert not Path((pod.place / "one/address").read_text().removeprefix("unix://")).exists()
    assert pod.run("delete", "one", pod.place / "one").returncode == 0  # once more is fine


def test_a_shim_that_is_killed_while_it_creates(pod):
    """Whoever makes the container for it ends with it, so that nothing comes behind what removes it."""
    made = []
    for name in map(str, range(5)):
        bundle = pod.bundle(name, "sleep", "1000")
        task = pod.connect(pod.start(name, bundle))
        shim = task.call("Connect", {1: "any"})[1][0]
        task.begin("Create", {1: name, 2: str(bundle)})
        children = Path(f"/proc/{shim}/task/{shim}/children")
        while not (jobs := children.read_text().split()):
            pass
        job = int(jobs[0])
        os.kill(job, signal.SIGSTOP)
        os.kill(shim, signal.SIGKILL)
        poll(lambda: not alive(shim), 20, "the shim to end")
        with contextlib.suppress(ProcessLookupError):
            os.kill(job, signal.SIGCONT)
        poll(lambda: not alive(job), 20, "cloister-oci to end")
        made.append((bundle / "init.pid").exists())
        assert pod.run("delete", name, bundle, "-bundle", bundle).returncode == 0
        assert not (PLACES / "runtime" / pod.space).exists()
    assert not all(made)


@pytest.mark.parametrize("parent, said", [("1", "no child of process 1"), ("x", "expected a process's number"), ("0", "expected a process's number")])
def test_a_parent_that_is_none(parent, said):
    done = subprocess.run([SHIM.with_name("cloister-oci"), "--parent", parent, "list"], capture_output=True, text=True, timeout=patience(20))
    assert done.returncode == 1 and said in done.stderr


# --- a task's life

def test_a_life(pod, task):
    assert task.state("one") == CREATED and alive(task.pid)
    waiting = task.begin("Wait", {1: "one"})
    assert task.call("Start", {1: "one"})[1] == [task.pid] and task.state("one") == RUNNING
    task.refused("Start", {1: "one"}, PRECONDITION, "started already")
    task.refused("Delete", {1: "one"}, PRECONDITION, "still runs")
    task.call("Pause", {1: "one"})
    assert task.state("one") == PAUSED
    task.refused("Pause", {1: "one"}, PRECONDITION)
    task.call("Resume", {1: "one"})
    assert task.state("one") == RUNNING
    assert [ttrpc.decode(one)[1] for one in task.call("Pids", {1: "one"})[1]] == [[task.pid]]
    task.call("Kill", {1: "one", 3: signal.SIGKILL})
    ended = task.end(waiting)
    assert ended[1] == [128 + signal.SIGKILL] and task.state("one") == STOPPED
    task.refused("Kill", {1: "one", 3: 9}, NOT_FOUND, "finished")
    assert task.call("Wait", {1: "one"}) == ended
    deleted = task.call("Delete", {1: "one"})
    assert (deleted[1], deleted[2], deleted[3]) == ([task.pid], ended[1], ended[2])
    task.refused("State", {1: "one"}, NOT_FOUND)
    poll(lambda: len(pod.events.seen) == 6, 20, lambda: pod.events.topics())
    assert pod.events.topics() == [f"/tasks/{word}" for word in ("create", "start", "paused", "resumed", "exit", "delete")]
    assert {space for _, space, _ in pod.events.seen} == {pod.space}
    exit_event = pod.events.seen[4][2]
    assert exit_event[1] == exit_event[2] == [b"one"] and exit_event[3] == [task.pid] and exit_event[4] == ended[1]
    shim, = pod.pids
    task.call("Shutdown", {1: "one"})
    poll(lambda: not alive(shim), 20, "it to end")
    assert not Path((pod.place / "one/address").read_text().removeprefix("unix://")).exists()


def test_delete_of_one_that_was_never_started(pod, task):
    """Its end is told first."""
    waiting = task.begin("Wait", {1: "one"})
    assert task.call("Delete", {1: "one"})[2] == [137] and task.end(waiting)[1] == [137]
    poll(lambda: len(pod.events.seen) == 3, 20, lambda: pod.events.topics())
    assert pod.events.topics() == ["/tasks/create", "/tasks/exit", "/tasks/delete"]


def test_version_3_is_the_same(pod, task):
    task.service = "containerd.task.v3.Task"
    task.call("Start", {1: "one"})
    assert task.state("one") == RUNNING


def test_execs(pod, task):
    task.call("Start", {1: "one"})
    path, reader = fifo(pod.place, "exec-out")
    task.call("Exec", {1: "one", 2: "e", 5: str(path), 7: process("sh", "-c", "echo word; exit 5")})
    assert task.state("one", "e") == CREATED
    task.refused("Exec", {1: "one", 2: "e", 7: {2: "{}"}}, EXISTS)
    waiting = task.begin("Wait", {1: "one", 2: "e"})
    pid = task.call("Start", {1: "one", 2: "e"})[1][0]
    assert task.end(waiting)[1] == [5] and pid != task.pid
    assert read_all(reader) == b"word\n"
    assert task.call("Delete", {1: "one", 2: "e"})[2] == [5]
    task.refused("State", {1: "one", 2: "e"}, NOT_FOUND)
    poll(lambda: len(pod.events.seen) == 5, 20, lambda: pod.events.topics())
    assert pod.events.topics()[2:] == ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"]


def process(*words, **more):
    """An exec's, as containerd gives it."""
    spec = {"args": list(words), "cwd": "/", "env": [oci_bundle.PATH], "user": {"uid": 0, "gid": 0}, **more}
    return {1: "types.containerd.io/opencontainers/runtime-spec/1/Process", 2: json.dumps(spec)}


def test_a_process_of_a_bad_exec(pod, task):
    """Who waits for it learns that it is no more."""
    task.call("Start", {1: "one"})
    task.call("Exec", {1: "one", 2: "bad", 7: {2: "{"}})
    waiting = task.begin("Wait", {1: "one", 2: "bad"})
    got, why, _ = task.client.call(task.service, "Start", {1: "one", 2: "bad"})
    assert got != OK and "bad.json" in why, why
    task.call("Delete", {1: "one", 2: "bad"})
    assert task.client.end(waiting)[0] == NOT_FOUND and task.state("one") == RUNNING


def test_an_exec_leaves_no_files(pod, task):
    """Nor does its name touch those that are there."""
    config = (pod.place / "one/config.json").read_bytes()
    task.call("Start", {1: "one"})
    before = sorted(path.name for path in (pod.place / "one").iterdir())
    for name in ("config", "init", "again"):
        task.call("Exec", {1: "one", 2: name, 7: process("true")})
        task.call("Start", {1: "one", 2: name})
        task.call("Wait", {1: "one", 2: name})
        task.call("Delete", {1: "one", 2: name})
    assert sorted(path.name for path in (pod.place / "one").iterdir()) == before and (pod.place / "one/config.json").read_bytes() == config


def test_an_exec_whose_terminal_is_not_its_specs(pod, task):
    """It fails, and nobody else waits for it."""
    task.call("Start", {1: "one"})
    task.call("Exec", {1: "one", 2: "e", 3: 1, 7: process("sleep", "1000", terminal=False)})
    assert task.client.call(task.service, "Start", {1: "one", 2: "e"})[0] != OK
    assert task.state("one") == RUNNING
    task.call("ResizePty", {1: "one", 2: "e", 3: 80, 4: 25})
    task.call("Delete", {1: "one", 2: "e"})


def test_input_that_is_closed_before_the_start(pod, task):
    task.call("Start", {1: "one"})
    given = pod.place / "in"
    os.mkfifo(given)
    writer = os.open(given, os.O_RDWR | os.O_NONBLOCK)
    task.call("Exec", {1: "one", 2: "e", 4: str(given), 7: process("cat")})
    task.call("CloseIO", {1: "one", 2: "e", 3: 1})
    task.call("Start", {1: "one", 2: "e"})
    assert 1 not in task.call("Wait", {1: "one", 2: "e"})  # 0
    os.close(writer)


def test_execs_whose_output_never_ends(pod, task):
    """Each is deleted when its time is over, whoever else waits."""
    task.call("Start", {1: "one"})
    deletes = []
    for name in ("a", "b"):
        path = pod.place / name
        os.mkfifo(path)
        task.call("Exec", {1: "one", 2: name, 5: str(path), 7: process("sh", "-c", "yes & sleep 0.1; kill $!")})
        task.call("Start", {1: "one", 2: name})
        task.call("Wait", {1: "one", 2: name})
        deletes.append(task.begin("Delete", {1: "one", 2: name}))
        task.refused("Delete", {1: "one", 2: name}, PRECONDITION, "being deleted")
    for stream in deletes:
        task.end(stream)
    path = pod.place / "c"
    os.mkfifo(path)
    task.call("Exec", {1: "one", 2: "c", 5: str(path), 7: process("yes")})
    task.call("Start", {1: "one", 2: "c"})
    task.call("Kill", {1: "one", 2: "c", 3: 9})
    task.call("Wait", {1: "one", 2: "c"})
    last = task.begin("Delete", {1: "one", 2: "c"})
    task.call("Kill", {1: "one", 3: 9})
    task.call("Wait", {1: "one"})
    task.call("Delete", {1: "one"})
    assert task.client.end(last)[0] in (OK, NOT_FOUND)


def test_one_that_stops_what_is_executed_in_it(pod):
    """It holds up that exec, and not its own end."""
    bundle = pod.bundle("one", "sh", "-c", "while :; do kill -STOP -1 2>/dev/null; done")
    task = pod.connect(pod.start("one", bundle))
    task.create("one", bundle)
    task.call("Start", {1: "one"})
    starts = []
    for name in map(str, range(5)):
        task.call("Exec", {1: "one", 2: name, 7: process("true")})
        starts.append(task.begin("Start", {1: "one", 2: name}))
    waiting = task.begin("Wait", {1: "one"})
    task.call("Kill", {1: "one", 3: 9})
    assert task.end(waiting)[1] == [137]
    for stream in starts:
        task.client.end(stream)
    task.call("Delete", {1: "one"})


def test_what_cannot_be_created(pod):
    bundle = pod.bundle("one", "/no/such/program")
    task = pod.connect(pod.start("one", bundle))
    task.refused("Create", {1: "one", 2: str(bundle)}, 2, "/no/such/program")
    task.refused("Create", {1: "one", 2: "relative"}, INVALID, "absolute")
    task.refused("Create", {1: "../one", 2: str(bundle)}, INVALID, "no name")
    task.refused("Create", {1: "one", 2: str(bundle), 8: "/somewhere"}, UNIMPLEMENTED, "checkpoint")
    task.refused("Create", {1: "one", 2: str(bundle), 3: [{1: "no-such-type", 2: "x"}]}, 2, "rootfs")
    for uri, said in (("binary:///no/such", "No such file"), ("binary://relative", "no program's path"), ("binary:///bin/cat?%zz", "no program's path"), ("ftp://x", "no FIFO")):
        task.refused("Create", {1: "one", 2: str(bundle), 6: uri}, NOT_FOUND if "such" in uri else UNIMPLEMENTED if "ftp" in uri else INVALID, said)
    task.refused("Create", {1: "one", 2: str(bundle), 10: {1: "strange.Options", 2: b""}}, INVALID, "strange.Options")
    task.refused("State", {1: "one"}, NOT_FOUND)
    assert not list((PLACES / "runtime" / pod.space).iterdir()) and pod.events.seen == []


def test_two_calls_at_once_for_one_container(pod):
    """One makes it; the others are told that it is there, or wait for it."""
    bundle = pod.bundle("one", "sleep", "1000")
    task = pod.connect(pod.start("one", bundle))
    creates = [task.begin("Create", {1: "one", 2: str(bundle)}) for _ in range(3)]
    starts = [task.begin("Start", {1: "one"}) for _ in range(3)]
    codes = [task.client.end(stream)[0] for stream in creates + starts]
    assert codes == [OK, EXISTS, EXISTS, OK, PRECONDITION, PRECONDITION]
    kills = [task.begin("Kill", {1: "one", 3: 9}) for _ in range(3)]
    waiting = task.begin("Wait", {1: "one"})
    deletes = [task.begin("Delete", {1: "one"}) for _ in range(2)]
    assert {task.client.end(stream)[0] for stream in kills} <= {OK, NOT_FOUND}
    assert task.end(waiting)[1] == [137]
    for stream in deletes:
        task.client.end(stream)  # too early, or not
    task.client.call(task.service, "Delete", {1: "one"})
    task.refused("State", {1: "one"}, NOT_FOUND)


def test_a_client_that_goes_away_in_the_middle_of_create(pod):
    bundle = pod.bundle("one", "sleep", "1000")
    path = pod.start("one", bundle)
    first = pod.connect(path)
    first.begin("Create", {1: "one", 2: str(bundle)})
    first.client.socket.close()
    second = pod.connect(path)

    def is_there():
        code, _, fields = second.client.call(second.service, "State", {1: "one"})
        return code == OK and 3 in fields

    poll(is_there, 20, "the container to be made")
    second.call("Start", {1: "one"})


# --- streams

def test_streams(pod):
    bundle = pod.bundle("one", "sh", "-c", "cat; echo err >&2; exit 3")
    task = pod.connect(pod.start("one", bundle))
    (out, reader), (err, errors) = fifo(pod.place, "out"), fifo(pod.place, "err")
    given = pod.place / "in"
    os.mkfifo(given)
    writer = os.open(given, os.O_RDWR | os.O_NONBLOCK)
    task.call("Create", {1: "one", 2: str(bundle), 5: str(given), 6: str(out), 7: str(err)})
    task.call("Start", {1: "one"})
    os.write(writer, b"words\n")
    task.call("CloseIO", {1: "one", 3: 1})
    assert task.call("Wait", {1: "one"})[1] == [3]
    assert read_all(reader) == b"words\n" and read_all(errors) == b"err\n"
    os.close(writer)


def test_a_file_for_output(pod):
    bundle, log = pod.bundle("one", "echo", "words"), pod.place / "log"
    log.write_text("before\n")
    task = pod.connect(pod.start("one", bundle))
    task.create("one", bundle, f"file://{log}")
    task.call("Start", {1: "one"})
    task.call("Wait", {1: "one"})
    task.call("Delete", {1: "one"})
    assert log.read_text() == "before\nwords\n"


def test_a_program_for_output(pod):
    """It has both streams to their end before the container is gone, and knows whose they are."""
    bundle, program = pod.bundle("one", "sh", "-c", "echo out; echo err >&2"), pod.place / "a logger"
    program.write_text('#!/bin/sh\nexec 5>&-\n{ echo "$CONTAINER_ID $# $*"; cat <&3; cat <&4; echo end; } > "$0.txt"\n')
    program.chmod(0o755)
    task = pod.connect(pod.start("one", bundle))
    uri = f"binary://{str(program).replace(' ', '%20')}?two+words=%2Fvalue&\uac00"
    task.call("Create", {1: "one", 2: str(bundle), 6: uri, 7: uri})
    task.call("Start", {1: "one"})
    task.call("Wait", {1: "one"})
    task.call("Delete", {1: "one"})
    assert Path(f"{program}.txt").read_text() == "one 3 two words /value \uac00\nout\nerr\nend\n"


def test_a_program_for_output_that_never_ends(pod):
    bundle, program = pod.bundle("one", "true"), pod.place / "logger"
    program.write_text("#!/bin/sh\necho $$ > $0.pid\nexec /bin/sleep 1000\n")
    program.chmod(0o755)
    task = pod.connect(pod.start("one", bundle))
    task.call("Create", {1: "one", 2: str(bundle), 6: f"binary://{program}"})
    task.call("Start", {1: "one"})
    task.call("Wait", {1: "one"})
    task.call("Delete", {1: "one"})
    os.kill(int(Path(f"{program}.pid").read_text()), signal.SIGKILL)
    task.call("Connect", {1: "one"})


def test_a_fifo_that_nobody_reads(pod):
    """It holds up what writes, and neither the shim nor the container's end and removal."""
    bundle, path = pod.bundle("one", "sh", "-c", "yes"), pod.place / "out"
    os.mkfifo(path)
    task = pod.connect(pod.start("one", bundle))
    task.create("one", bundle, path)
    task.call("Start", {1: "one"})
    task.call("Kill", {1: "one", 3: 9})
    assert task.call("Wait", {1: "one"})[1] == [137]
    assert task.call("Delete", {1: "one"})[2] == [137]


def test_a_path_that_is_no_fifo(pod):
    bundle = pod.bundle("one", "true")
    task = pod.connect(pod.start("one", bundle))
    task.refused("Create", {1: "one", 2: str(bundle), 6: str(pod.place)}, 2, str(pod.place))
    task.refused("Create", {1: "one", 2: str(bundle), 6: "/dev/null"}, INVALID, "no FIFO")


# --- events

def test_events_while_nobody_listens(pod, task):
    """They come when containerd does, in their order."""
    poll(lambda: pod.events.topics() == ["/tasks/create"], 20, "the first")
    pod.events.end()
    task.call("Start", {1: "one"})
    task.call("Kill", {1: "one", 3: 9})
    task.call("Wait", {1: "one"})
    pod.events.begin()
    poll(lambda: len(pod.events.seen) >= 3, 20, lambda: pod.events.topics())
    assert pod.events.topics() == ["/tasks/create", "/tasks/start", "/tasks/exit"]


def test_events_that_are_refused(pod, task):
    pod.events.refusals = 2
    task.call("Start", {1: "one"})
    poll(lambda: len(pod.events.seen) == 2, 20, lambda: pod.events.topics())
    assert pod.events.topics() == ["/tasks/create", "/tasks/start"]


def test_an_exec_while_it_is_being_created(pod):
    """Its container is told of first."""
    bundle = pod.bundle("one", "sleep", "1000")
    task = pod.connect(pod.start("one", bundle))
    streams = [task.begin("Create", {1: "one", 2: str(bundle)}), task.begin("Exec", {1: "one", 2: "e", 7: process("true")})]
    for stream in streams:
        task.end(stream)
    poll(lambda: len(pod.events.seen) == 2, 20, lambda: pod.events.topics())
    assert pod.events.topics() == ["/tasks/create", "/tasks/exec-added"]


def test_one_that_ends_as_soon_as_it_may(pod):
    """That it goes on is told before it has ended."""
    bundle, given = pod.bundle("one", "sh", "-c", "read x"), pod.place / "in"
    os.mkfifo(given)
    task = pod.connect(pod.start("one", bundle))
    for _ in range(10):
        task.call("Create", {1: "one", 2: str(bundle), 5: str(given)})
        task.call("Start", {1: "one"})
        task.call("Pause", {1: "one"})
        given.write_text("\n")
        task.call("Resume", {1: "one"})
        task.call("Wait", {1: "one"})
        task.call("Delete", {1: "one"})
    poll(lambda: len(pod.events.seen) == 60, 20, lambda: pod.events.topics())
    assert pod.events.topics() == 10 * [f"/tasks/{word}" for word in ("create", "start", "paused", "resumed", "exit", "delete")]


def test_a_memory_limit_that_is_hit(pod):
    directory = pod.bundle("one", "sh", "-c", "exec tail /dev/zero", memory=16 << 20)
    task = pod.connect(pod.start("one", directory))
    task.create("one", directory)
    task.call("Start", {1: "one"})
    assert task.call("Wait", {1: "one"})[1] == [137]
    poll(lambda: len(pod.events.seen) == 4, 20, lambda: pod.events.topics())
    assert pod.events.topics()[2:] == ["/tasks/oom", "/tasks/exit"]


def test_a_memory_limit_that_another_process_hits(pod):
    """The first one goes on."""
    directory = pod.bundle("one", "sh", "-c", "tail /dev/zero; sleep 1000", memory=16 << 20)
    task = pod.connect(pod.start("one", directory))
    task.create("one", directory)
    task.call("Start", {1: "one"})
    poll(lambda: len(pod.events.seen) == 3, 20, lambda: pod.events.topics())
    assert pod.events.topics()[2] == "/tasks/oom" and pod.events.seen[2][2] == {1: [b"one"]} and task.state("one") == RUNNING


# --- who may speak to it, and what

def test_another_user_is_not_heard(pod, task, world):
    path = (pod.place / "one/address").read_text().removeprefix("unix://")
    assert PLACES.stat().st_mode & 0o777 == (PLACES / "s").stat().st_mode & 0o777 == 0o700
    os.chmod(PLACES, 0o711), os.chmod(PLACES / "s", 0o711), os.chmod(path, 0o777)
    try:
        program = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({path!r}); s.sendall(bytes(10)); print(s.recv(1))"
        words = ["setpriv", f"--reuid={world.user.pw_uid}", f"--regid={world.user.pw_gid}", "--clear-groups", "/usr/bin/python3", "-c", program]
        done = subprocess.run(words, capture_output=True, timeout=patience(20))
        assert done.stdout == b"b''\n" or b"ConnectionReset" in done.stderr or b"BrokenPipe" in done.stderr, done
    finally:
        os.chmod(PLACES, 0o700), os.chmod(PLACES / "s", 0o700)
    assert task.state("one") == CREATED


@pytest.mark.parametrize("data", [b"\xff" * 4096, b"GET / HTTP/1.1\r\n\r\n", ttrpc.frame(1, b"", kind=9), b"\0" * 9])
def test_garbage(pod, task, data):
    """Ends its connection, and no other."""
    path = (pod.place / "one/address").read_text().removeprefix("unix://")
    with ttrpc.Client(path) as other:
        other.socket.sendall(data)
        other.socket.shutdown(socket.SHUT_WR)
        with pytest.raises((EOFError, ConnectionError, AssertionError)):
            while True:
                other.receive()
    assert task.state("one") == CREATED


def test_calls_that_there_are_not(pod, task):
    task.refused("Dance", {1: "one"}, UNIMPLEMENTED, "Dance")
    task.refused("Checkpoint", {1: "one"}, UNIMPLEMENTED)
    assert task.client.call("containerd.task.v9.Task", "State", {1: "one"})[0] == UNIMPLEMENTED
    task.client.socket.sendall(ttrpc.frame(task.client.stream + 2, b"", size=5 << 20) + bytes(5 << 20))
    assert task.client.receive()[1] == 8
    task.client.stream += 2
    assert task.state("one") == CREATED


def test_a_wait_whose_time_is_over(pod, task):
    code, _, _ = task.client.end(task.begin("Wait", {1: "one"}, timeout_ns=50_000_000))
    assert code == 4 and task.state("one") == CREATED


def test_many_at_once(pod):
    """Containers of one pod, by clients side by side."""
    names = [f"many{number}" for number in range(12)]
    bundles = {name: pod.bundle(name, "sleep", "1000", **{"io.kubernetes.cri.sandbox-id": "many0"}) for name in names}
    path, pids = pod.start("many0", bundles["many0"]), {}

    def live(name):
        task = pod.connect(path)
        pids[name] = task.create(name, bundles[name])
        task.call("Start", {1: name})
        task.call("Kill", {1: name, 3: 9})
        task.call("Wait", {1: name})
        task.call("Delete", {1: name})
        del pids[name]

    threads = [threading.Thread(target=live, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience(60))
    assert pids == {} and len(pod.pids) == 1


def test_it_is_small(pod, task):
    """At most 2 MiB, with a container in it; and the leader of a session of its own, with nothing of its caller's."""
    shim, = pod.pids
    task.call("Start", {1: "one"})
    rollup = Path(f"/proc/{shim}/smaps_rollup").read_text()
    assert int(rollup.split("Pss:")[1].split()[0]) < 2048
    assert int(stat_fields(shim)[3]) == shim and os.readlink(f"/proc/{shim}/fd/0") == "/dev/null"
