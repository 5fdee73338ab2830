"""exec: another process in a container, by words and by a file, as engines start health checks and shells."""

import json
import os
import signal
import threading

import pytest

from lib import oci
from lib.oci_bundle import CAPABILITIES, PATH
from lib.oci_console import ConsoleSocket
from lib.runner import poll, text
from lib.world import own_cgroups

NAMESPACES = ("mnt", "net", "uts", "ipc", "pid", "user", "cgroup")


@pytest.fixture
def box(anyone, waiting):
    """A running container."""
    return waiting(anyone, anyone.bundle())


def process(**fields):
    """A process as engines write it to a file."""
    made = {"user": {"uid": 0, "gid": 0}, "args": ["true"], "env": [PATH], "cwd": "/",
            "capabilities": {name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")}}
    return {**made, **fields}


def by_file(container, *words, opts=(), **fields):
    """exec --process of it."""
    path = container.runtime.directory("process") / "process.json"
    path.write_text(json.dumps(process(**({"args": list(words)} if words else {}), **fields)))
    return container.runtime.call("exec", "--process", path, *opts, container.id)


def detached(container, *words, opts=(), **fields):
    """exec --detach with a pid file: (what it wrote is collected, its pid)."""
    place = container.runtime.directory("process")
    (place / "process.json").write_text(json.dumps(process(args=list(words), **fields)))
    running = container.runtime.popen("exec", "--process", place / "process.json", "--detach", "--pid-file", place / "pid", *opts, container.id)
    assert running.process.wait(20) == 0, f"{running.err}"
    return running, int((place / "pid").read_text())


def wait_for(pid):
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


# by words

def test_a_program_and_its_output(box):
    outcome = box.exec("sh", "-c", "cat; echo out; echo err >&2", input=b"in\n")
    assert (outcome.exit, outcome.out, outcome.err) == (0, b"in\nout\n", b"err\n")


@pytest.mark.parametrize("status", [0, 1, 42, 126, 127, 255])
def test_the_exit_status_is_the_programs(box, status):
    assert box.exec("sh", "-c", f"exit {status}").exit == status


@pytest.mark.parametrize("number", [9, 15])
def test_the_exit_status_after_a_signal(box, number):
    assert box.exec("sh", "-c", f"kill -{number} $$").exit == 128 + number


def test_its_namespaces_are_the_containers(box):
    running, pid = detached(box, "sleep", "1000")
    try:
        assert {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in NAMESPACES} == {name: box.namespace(name) for name in NAMESPACES}
        assert os.path.samefile(f"/proc/{pid}/root", f"/proc/{box.pid}/root")
    finally:
        os.kill(pid, signal.SIGKILL)
        wait_for(pid)
        running.stop()


def test_its_cgroups_are_the_containers(runtime, waiting):
    box = waiting(runtime, runtime.bundle())
    running, pid = detached(box, "sleep", "1000")
    try:
        assert own_cgroups(pid) == own_cgroups(box.pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        wait_for(pid)
        running.stop()


def test_its_limits_and_filter_are_the_containers(box):
    lines = box.exec("sh", "-c", "ulimit -n; grep -E 'Seccomp:|NoNewPrivs|CapBnd' /proc/self/status").ok().out.decode()
    assert lines.splitlines()[0] == "512" and "Seccomp:\t2" in lines and "00000000a80425fb" in lines


@pytest.mark.parametrize("spec, uid, gid", [("1234", "1234", "0"), ("1234:1235", "1234", "1235"), ("0:7", "0", "7")])
def test_user(runtime, waiting, spec, uid, gid):
    box = waiting(runtime, runtime.bundle())
    assert text(box.exec("sh", "-c", "id -u; id -g", opts=["--user", spec]).ok().out).split() == [uid, gid]


@pytest.mark.parametrize("spec", ["", "root", "-1", "1:x", "1:2:3", "4294967296"])
def test_users_that_are_none(box, spec):
    box.runtime.refused(box.exec("true", opts=["--user", spec]))


def test_additional_groups(runtime, waiting):
    box = waiting(runtime, runtime.bundle())
    outcome = by_file(box, "grep", "Groups", "/proc/self/status", user={"uid": 1, "gid": 1, "additionalGids": [5, 6]})
    assert outcome.ok().out.split() == [b"Groups:", b"5", b"6"]


def test_cwd(box):
    assert box.exec("pwd", opts=["--cwd", "/tmp"]).ok().out == b"/tmp\n"
    assert box.exec("pwd").ok().out == b"/\n"
    box.runtime.refused(box.exec("true", opts=["--cwd", "/no/such/place"]), "no such file|cwd")
    box.runtime.refused(box.exec("true", opts=["--cwd", "relative"]), "absolute|cwd")


def test_the_containers_own_directory_is_the_default(anyone, waiting):
    box = waiting(anyone, anyone.bundle().set("process.cwd", "/home/plain"))
    assert box.exec("pwd").ok().out == b"/home/plain\n"


@pytest.mark.parametrize("option", ["--env", "-e"])
def test_env_is_added_to_the_containers(box, option):
    lines = text(box.exec("env", opts=[option, "ONE=1", option, "TWO=a=b", option, "HOSTNAME=other"], env={"OF_THE_CALLER": "x"}).ok().out).splitlines()
    assert {"ONE=1", "TWO=a=b", "HOSTNAME=other", PATH} <= set(lines) and not any("CALLER" in line for line in lines)


@pytest.mark.parametrize("words", [["--cap", "CAP_NET_ADMIN"], ["-c", "CAP_NET_ADMIN", "-c", "CAP_SYS_ADMIN"]])
def test_cap_is_added(box, words):
    found = int(text(box.exec("grep", "CapEff", "/proc/self/status", opts=words).ok().out).split()[1], 16)
    assert found == 0xA80425FB | 1 << 12 | (1 << 21 if len(words) > 2 else 0)


def test_no_new_privs(box):
    assert box.exec("grep", "NoNewPrivs", "/proc/self/status", opts=["--no-new-privs"]).ok().out.split()[1] == b"1"


@pytest.mark.parametrize("command, needles", [("no-such-program", "executable file.* not found|no such file"), ("/no/such/program", "no such file|executable file"),
                                              ("/bin/not-executable", "permission denied"), ("/bin/bad-format", "exec format error")])
def test_programs_that_cannot_be_started(box, command, needles):
    """Whatever the exit status, the words are there by which engines tell 126 from 127."""
    outcome = box.exec(command)
    box.runtime.refused(outcome, needles)
    box.is_now("running")


def test_without_a_program(box):
    box.runtime.refused(box.exec())


def test_options_behind_the_id_are_the_programs(box):
    assert box.exec("echo", "--user", "-x", "--", "--cwd=/").ok().out == b"--user -x -- --cwd=/\n"


# by a file

def test_a_process_by_a_file(box):
    outcome = by_file(box, "sh", "-c", 'echo "$ONE $(pwd)"; umask; grep CapBnd /proc/self/status', env=[PATH, "ONE=1"], cwd="/tmp", user={"uid": 0, "gid": 0, "umask": 0o27},
                      capabilities={"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]})
    assert outcome.ok().out.split() == [b"1", b"/tmp", b"0027", b"CapBnd:", b"0000000000000020"]


def test_the_environment_of_a_file_is_all(box):
    assert by_file(box, "/bin/env", env=["ONE=1", "HOME=/x"]).ok().out.split() == [b"ONE=1", b"HOME=/x"]


def test_limits_of_a_file(box):
    outcome = by_file(box, "sh", "-c", "ulimit -n; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status", oomScoreAdj=55, noNewPrivileges=True,
                      rlimits=[{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}])
    assert outcome.ok().out.split() == [b"77", b"55", b"NoNewPrivs:", b"1"]


def test_ambient_capabilities_of_a_file(runtime, waiting):
    names = ["CAP_NET_RAW"]
    box = waiting(runtime, runtime.bundle())
    outcome = by_file(box, "grep", "CapAmb", "/proc/self/status", user={"uid": 1000, "gid": 1000},
                      capabilities={kind: names for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")})
    assert int(outcome.ok().out.split()[1], 16) == 1 << 13


def test_affinity(runtime, waiting):
    """execCPUAffinity, of version 1.2.1."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor")
    box = waiting(runtime, runtime.bundle())
    last = max(os.sched_getaffinity(0))
    outcome = by_file(box, "grep", "Cpus_allowed_list", "/proc/self/status", execCPUAffinity={"initial": "0", "final": str(last)})
    assert outcome.ok().out.split()[1] == str(last).encode()
    assert by_file(box, "true", execCPUAffinity={"final": "nonsense"}).exit != 0


@pytest.mark.parametrize("data", ["", "[]", "nonsense", '{"args": ["true"]}', '{"args": [], "cwd": "/"}', '{"args": "true", "cwd": "/"}', '{"args": ["true"], "cwd": "x"}', '{"cwd": "/"}'])
def test_files_that_are_none(box, data):
    path = box.runtime.directory("process") / "process.json"
    path.write_text(data)
    box.runtime.refused(box.runtime.call("exec", "--process", path, box.id))
    box.is_now("running")


def test_a_file_that_is_not_there(box):
    box.runtime.refused(box.runtime.call("exec", "--process", "/no/such/file", box.id), "no such file")


# detached

def test_detached_with_a_pid_file(box):
    """The caller is the parent of it when exec has returned: its exit status is the caller's to take."""
    running, pid = detached(box, "sh", "-c", "echo out; read line; exit 7")
    assert oci.stat_fields(pid)[1] == str(os.getpid())
    assert wait_for(pid) == 7
    assert running.wait().out == b"out\n"
    box.is_now("running")


def test_the_pid_is_the_hosts(box):
    running, pid = detached(box, "sleep", "1000")
    with open(f"/proc/{pid}/comm") as comm:
        assert comm.read() == "sleep\n"
    os.kill(pid, signal.SIGKILL)
    assert wait_for(pid) == -9
    running.wait()


def test_all_end_with_the_container(box):
    running, pid = detached(box, "sleep", "1000")
    box.kill("KILL")
    assert wait_for(pid) == -9  # a pid namespace's init ends after all others are reaped, and this is ours to reap
    assert box.wait() == 128 + 9
    running.wait()


def test_a_detached_program_that_cannot_be_started(box):
    path = box.runtime.directory("process") / "process.json"
    path.write_text(json.dumps(process(args=["/no/such"])))
    pid_file = path.with_name("pid")
    box.runtime.refused(box.runtime.call("exec", "--process", path, "--detach", "--pid-file", pid_file, box.id), "no such file|executable file")


# terminals

@pytest.fixture
def console(anyone):
    with ConsoleSocket(anyone.directory("console") / "socket", owner=(anyone.uid, anyone.gid)) as made:
        yield made


@pytest.mark.parametrize("form", ["file", "words"])
def test_a_terminal_by_the_console_socket(box, console, form):
    if form == "file":
        running, pid = detached(box, "sh", "-c", "tty; stty size; read line; echo got $line", opts=["--console-socket", console.path], terminal=True,
                                consoleSize={"height": 31, "width": 91}, env=[PATH, "TERM=xterm"])
    else:
        pid_file = box.runtime.directory("pid") / "pid"
        running = box.runtime.popen("exec", "--tty", "--detach", "--pid-file", pid_file, "--console-socket", console.path, box.id, "sh", "-c", "tty; read line; echo got $line")
        assert running.process.wait(20) == 0, running.err
        pid = int(pid_file.read_text())
    with console.receive() as pty:
        pty.expect(b"/dev/pts/")
        if form == "file":
            pty.expect(b"31 91")
        pty.type(b"hello\n")
        pty.expect(b"got hello")
        assert wait_for(pid) == 0
    running.stop()


def test_a_terminal_is_the_controlling_one(box, console):
    running, pid = detached(box, "sh", "-c", "trap 'echo interrupted; exit 3' INT; echo began; while :; do sleep 0.05; done",
                            opts=["--console-socket", console.path], terminal=True)
    with console.receive() as pty:
        pty.expect(b"began")
        pty.type(b"\x03")
        pty.expect(b"interrupted")
        assert wait_for(pid) == 3
    running.stop()


def test_a_terminal_without_a_socket_in_the_background(box):
    path = box.runtime.directory("process") / "process.json"
    path.write_text(json.dumps(process(terminal=True)))
    box.runtime.refused(box.runtime.call("exec", "--process", path, "--detach", box.id), "console|terminal|tty")


# descriptors

def test_descriptors_are_preserved_when_asked(box):
    read, write = os.pipe()
    os.write(write, b"given\n")
    os.close(write)
    try:
        def give():
            os.dup2(read, 3, inheritable=True)
        outcome = box.exec("sh", "-c", "cat <&3", opts=["--preserve-fds", "1"], preexec_fn=give, close_fds=False)
        assert outcome.ok().out == b"given\n"
        assert box.exec("sh", "-c", "test -e /proc/self/fd/3", preexec_fn=give, close_fds=False).exit == 1
    finally:
        os.close(read)


def test_no_descriptor_of_the_runtime_comes_in(box):
    running, pid = detached(box, "sleep", "1000")
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    running.wait()


# states

def test_exec_into_a_created_container(anyone):
    """runc and crun allow it, and Kubernetes' debuggers use it; afterwards it can still be started."""
    container = anyone.create(anyone.bundle().sh("echo program"))
    outcome = container.exec("echo", "before")
    assert outcome.out == b"before\n" if outcome.exit == 0 else anyone.refused(outcome)
    container.is_now("created")
    container.start()
    assert container.wait() == 0 and container.out == b"program\n"


def test_exec_into_a_stopped_container_is_an_error(anyone):
    container = anyone.started(anyone.bundle())
    container.wait()
    anyone.refused(container.exec("true"), "not running|stopped|no such process|not exist")


def test_exec_into_a_paused_container_is_an_error(runtime, waiting):
    box = waiting(runtime, runtime.bundle())
    box.call("pause").ok()
    runtime.refused(box.exec("true"), "paused|frozen")
    box.call("resume").ok()
    assert box.exec("echo", "fine").ok().out == b"fine\n"


def test_exec_into_a_paused_container_when_asked(runtime, waiting):
    """--ignore-paused: it waits with the others, and runs when they go on."""
    box = waiting(runtime, runtime.bundle())
    box.call("pause").ok()
    results = []
    caller = threading.Thread(target=lambda: results.append(box.exec("echo", "late", opts=["--ignore-paused"])))
    caller.start()
    caller.join(0.3)
    assert not results or results[0].exit == 0, f"{results}"
    box.call("resume").ok()
    caller.join(20)
    assert results and results[0].ok().out == b"late\n"


def test_many_at_once(anyone, box):
    results = []
    callers = [threading.Thread(target=lambda n=n: results.append((n, box.exec("sh", "-c", f"echo {n}; exit {n}")))) for n in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted((n, outcome.exit, outcome.out) for n, outcome in results) == [(n, n, f"{n}\n".encode()) for n in range(20)]


def test_exec_is_not_the_containers_end(box):
    assert box.exec("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo started").ok().out == b"started\n"
    box.is_now("running")
    assert box.exec("sh", "-c", "kill -9 -1 2>/dev/null; true").exit in (0, 137)
    box.is_now("running")


def test_kill_of_the_caller_leaves_the_container(anyone, box):
    pid_file = anyone.directory("process") / "pid"
    with anyone.popen("exec", "--pid-file", pid_file, box.id, "sh", "-c", "echo began; exec sleep 1000 > /dev/null 2>&1") as running:
        running.expect(b"began\n")
        poll(pid_file.exists, 20, "no pid file")  # which the program need not wait for
        left = int(pid_file.read_text())
        running.process.kill()
        running.process.wait(20)
    box.is_now("running")
    os.kill(left, signal.SIGKILL)
    assert wait_for(left) == -9, "an engine's to reap, or its container has no end"


def test_signals_reach_the_program(box):
    running = box.runtime.popen("exec", box.id, "sh", "-c", "trap 'echo got term; exit 9' TERM; echo began; while :; do sleep 0.05; done")
    running.expect(b"began\n")
    running.signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.exit, outcome.out) == (9, b"began\ngot term\n"), f"{outcome}"


# a hostile container

def test_a_program_that_is_the_runtime_itself(anyone, waiting):
    """/proc/self/exe is whoever runs: the runtime's own file can't be had by it."""
    bundle = anyone.bundle(own_rootfs=True)
    box = waiting(anyone, bundle)
    before = anyone.binary.read_bytes()
    outcome = box.exec("/proc/self/exe", "--help")
    assert outcome.exit != 0 or b"BusyBox" in outcome.out + outcome.err or b"sage" in outcome.out + outcome.err
    script = "for pid in /proc/[0-9]*; do exec 3>>$pid/exe && echo open; done 2>/dev/null; true"
    callers = [threading.Thread(target=lambda: box.exec("true")) for _ in range(10)]
    for caller in callers:
        caller.start()
    box.exec("sh", "-c", script)
    for caller in callers:
        caller.join()
    assert anyone.binary.read_bytes() == before


def test_a_passwd_that_never_ends(anyone, waiting):
    """Made while the container runs, of a fifo, a device or a link to outside: nobody waits for it."""
    box = waiting(anyone, anyone.bundle(own_rootfs=True))
    box.exec("sh", "-c", "rm /etc/passwd /etc/group; mkfifo /etc/passwd; ln -s /dev/zero /etc/group").ok()
    outcome = box.exec("sh", "-c", "echo fine", timeout=20)
    assert outcome.exit == 0 and outcome.out == b"fine\n" or anyone.refused(outcome)


def test_a_cwd_that_is_moved_away(anyone, waiting):
    """A default directory that leads outside by a link: inside, or an error."""
    box = waiting(anyone, anyone.bundle(own_rootfs=True).set("process.cwd", "/home/plain"))
    box.exec("sh", "-c", "rmdir /home/plain && ln -s /proc/1/root/../../.. /home/plain").ok()
    outcome = box.exec("sh", "-c", "cat etc/image-file; ls")
    assert outcome.out.startswith(b"image\n") or outcome.exit != 0, f"{outcome}"


def test_processes_are_counted_where_they_are(runtime, waiting):
    """A program of exec is in ps, and gone from it after its end."""
    box = waiting(runtime, runtime.bundle())
    running, pid = detached(box, "sleep", "1000")
    assert sorted(json.loads(runtime.call("ps", "--format", "json", box.id).ok().out)) == sorted([box.pid, pid])
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    running.wait()
    poll(lambda: json.loads(runtime.call("ps", "--format", "json", box.id).ok().out) == [box.pid], 5, "it is still in ps")
