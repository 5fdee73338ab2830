"""Daemons and shims that are killed while containers live, builds, and Docker's own user namespace."""

import json
import os
import select
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.oci import cgroup_of
from lib.oci_engines import SLEEPER, Containerd, ContainerdShim, Docker, shims
from lib.patience import patience
from lib.rootless import subordinate
from lib.runner import alive, poll
from lib.terminal import Terminal
from lib.world import own_cgroups

LINES = 'n=0; trap "exit 3" TERM; echo up; while :; do n=$((n+1)); echo line $n; sleep 0.1; done'
DOCKERFILE = """FROM box
ENV GREETING=hello
WORKDIR /srv/app
COPY given /srv/app/
RUN echo "$GREETING $(id -u)" > made && chown 1000 made && ls -l
RUN ["/bin/sh", "-c", "mkdir -m 0700 closed && chown 1000:1000 closed"]
USER 1000
RUN id -u > closed/mine && ! touch /etc/x
CMD cat made closed/mine given
"""


def ended(pid):
    """Wait for the end of a process that is not ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], patience(20))[0], f"{pid} still runs"
    finally:
        os.close(descriptor)


# docker

@pytest.fixture(scope="module")
def docker(make_engine):
    return make_engine(Docker)


def test_containers_outlive_their_daemon(docker):
    """It is killed, and the next one finds them: they run on, talk on, take commands and end as they should."""
    polite, dying = docker.started("sh", "-c", LINES), docker.started("sh", "-c", "echo up; exec sleep 1000")
    pid, dying_pid = docker.pid(polite), docker.pid(dying)
    docker.daemon.service.kill()
    assert alive(pid) and alive(dying_pid)
    os.kill(dying_pid, signal.SIGKILL)
    ended(dying_pid)  # while nobody watches but its shim
    docker.daemon.begin()
    assert docker.status(polite) == "running" and docker.pid(polite) == pid
    assert docker.exec(polite, "cat", "/proc/1/comm") == "sh\n"
    seen = docker.call("logs", polite).count("line")
    poll(lambda: docker.call("logs", polite).count("line") > seen, 20, "it has stopped talking")
    docker.call("pause", polite)
    docker.call("unpause", polite)
    docker.call("stop", "-t", "30", polite)
    assert docker.inspect(polite, "{{.State.ExitCode}}") == "3"
    poll(lambda: docker.status(dying) == "exited", 20, lambda: docker.status(dying))
    assert docker.inspect(dying, "{{.State.ExitCode}}") == "137"
    docker.call("start", polite)
    docker.remove(polite, dying)


def test_a_shim_that_is_killed(docker):
    """Its container is cleared away by the daemon's other calls, and the daemon goes on."""
    name = docker.started()
    pid = docker.pid(name)
    with open(f"/proc/{pid}/stat") as stat:
        shim = int(stat.read().rpartition(")")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    poll(lambda: docker.status(name) == "exited", 30, lambda: docker.status(name))
    poll(lambda: not alive(pid), 20, "the container's process lives on")
    docker.call("start", name)
    assert docker.exec(name, "echo", "again") == "again\n"
    docker.remove(name)


def test_build(docker, tmp_path):
    """The builder's steps run in containers of the default runtime."""
    (tmp_path / "given").write_text("given\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    docker.call("build", "--network", "none", "--no-cache", "-t", "built", tmp_path)
    assert docker.run(image="built", options=[]).splitlines() == ["hello 0", "1000", "given"]
    (tmp_path / "Dockerfile").write_text("FROM box\nRUN exit 9\n")
    done = docker.call("build", "--network", "none", "-t", "bad", tmp_path, status=None)
    assert done.returncode == 9 and b"returned a non-zero code: 9" in done.stderr + done.stdout, done
    docker.call("rmi", "built")


def now():
    """For --since: a client may not be listening yet when the first of the events comes."""
    return f"{time.time():.9f}"


def test_events_tell_of_a_whole_life(docker):
    with docker.popen("events", "--since", now(), "--filter", "type=container", "--filter", "container=life", "--format", "{{.Action}}") as events:
        docker.run("true", options=["-m", "64m", "--name", "life"])
        events.expect(b"destroy")
    assert [word for word in events.out.split() if word != b"attach"] == [b"create", b"start", b"die", b"destroy"]  # that comes at any time


def test_an_end_for_memory_is_an_event(docker):
    with docker.popen("events", "--since", now(), "--filter", "event=oom", "--format", "{{.Action}}") as events:
        docker.run("sh", "-c", "dd if=/dev/zero of=/dev/shm/big bs=1M count=200; true", options=["-m", "48m", "--memory-swap", "48m", "--shm-size", "300m"], status=None)
        events.expect(b"oom")


def test_a_commit_of_a_running_container(docker):
    name = docker.started()
    docker.exec(name, "sh", "-c", "echo kept > /srv/kept")
    docker.call("commit", name, "committed")
    docker.remove(name)
    assert docker.run("cat", "/srv/kept", image="committed") == "kept\n"
    docker.call("rmi", "committed")


@pytest.fixture(scope="module")
def remapped(make_engine, world):
    return make_engine(Docker, flags=[f"--userns-remap={world.user.pw_name}"])


def test_remapped_users(remapped, world):
    """--userns-remap: the daemon's containers have a user namespace, and its layers are the mapped root's."""
    first, _ = subordinate("/etc/subuid", world.user)
    out = remapped.run("sh", "-c", "id -u; cat /proc/self/uid_map; touch /srv/mine && stat -c %u /srv/mine; stat -c %u /etc/passwd")
    words = out.split()
    assert words[0] == "0" and words[2] == str(first) and words[4:] == ["0", "0"], out
    name = remapped.started(options=["--tmpfs", "/t"])
    with open(f"/proc/{remapped.pid(name)}/status") as status:
        assert f"Uid:\t{first}\t{first}" in status.read()
    assert remapped.exec(name, "id", "-u", options=["--user", "1000"]) == "1000\n"
    assert remapped.exec(name, "sh", "-c", "mount -t tmpfs x /mnt 2>&1 || echo held").count("held") == 1
    remapped.remove(name)
    assert remapped.run("id", "-u", options=["--userns", "host"]) == "0\n"


# containerd

@pytest.fixture(scope="module", params=[Containerd, ContainerdShim])
def ctr(make_engine, request):
    return make_engine(request.param)


@pytest.fixture
def task(ctr):
    ctr.start("live")
    yield "live"
    ctr.remove("live")


def test_ctr_run_and_its_status(ctr):
    assert ctr.run("one", "sh", "-c", "echo out; id -u").split() == ["out", "0"]
    ctr.run("two", "sh", "-c", "exit 6", status=6)
    done = ctr.run("three", "/no/such", status=None)
    assert done.returncode != 0 and b"no such file" in done.stderr.lower(), done
    ctr.call("container", "rm", "three", status=None)


def test_ctr_with_a_terminal(ctr):
    with Terminal(rows=22, columns=66) as terminal:
        terminal.launch(ctr.argv(*ctr.run_words("pty", "sh", "-c", "tty; stty size; read x; echo got $x; exit 4", options=["--rm", "-t"])), ctr.env)
        terminal.expect(b"/dev/pts/0")
        terminal.type(b"word\r")
        terminal.expect(b"got word")
        assert terminal.wait().exit == 4


@pytest.mark.parametrize("options, script, expected", [
    (["--read-only"], "touch /x 2>&1 || echo held", "held"), (["--mount", "type=tmpfs,src=tmpfs,dst=/data,options=size=1m"], "df -k /data | tail -1", " 1024 "),
    (["--env", "A=b"], "echo $A", "b"), (["--cwd", "/srv"], "pwd", "/srv"), (["--seccomp"], "grep Seccomp: /proc/self/status", "2"),
    (["--with-ns", "uts:/proc/self/ns/uts"], "echo fine", "fine")], ids=lambda value: value[0] if isinstance(value, list) else None)
def test_ctr_options(ctr, options, script, expected):
    assert expected in ctr.run("options", "sh", "-c", script, options=options)


def test_ctr_tasks(ctr, task):
    assert ctr.tasks()[task][1] == "RUNNING"
    assert ctr.exec(task, "sh", "-c", "id -u; pwd").split() == ["0", "/"]
    ctr.exec(task, "sh", "-c", "exit 8", status=8)
    assert len(ctr.call("task", "ps", task).splitlines()) >= 2
    assert "memory" in ctr.call("task", "metrics", task)
    ctr.call("task", "pause", task)
    assert ctr.tasks()[task][1] == "PAUSED"
    ctr.call("task", "resume", task)
    assert ctr.tasks()[task][1] == "RUNNING"
    ctr.call("task", "kill", "-s", "SIGTERM", task)
    ctr.until(task, "STOPPED")
    assert b"non-zero exit code 3" in ctr.call("task", "rm", task, status=None).stderr
    ctr.call("task", "start", "-d", task)
    ctr.until(task, "RUNNING")


def test_ctr_limits(ctr):
    if "memory" not in own_cgroups():
        pytest.skip("no cgroup v1 here")
    ctr.start("limited", options=["--memory-limit", "50331648", "--cpu-quota", "40000", "--cpu-period", "100000"])
    try:
        pid, _ = ctr.tasks()["limited"]
        assert (cgroup_of(pid, "memory") / "memory.limit_in_bytes").read_text() == "50331648\n"
        assert (cgroup_of(pid, "cpu") / "cpu.cfs_quota_us").read_text() == "40000\n"
    finally:
        ctr.remove("limited")


def test_tasks_outlive_containerd(ctr, task):
    pid, _ = ctr.tasks()[task]
    ctr.daemon.service.kill()
    assert alive(pid)
    ctr.daemon.begin()
    assert ctr.tasks()[task] == (pid, "RUNNING")
    assert ctr.exec(task, "echo", "still") == "still\n"
    ctr.call("task", "kill", "-s", "SIGTERM", task)
    ctr.until(task, "STOPPED")


def test_a_containerd_shim_that_is_killed(ctr, task):
    """A second process of the shim's program deletes what is left, by `delete --force`."""
    pid, _ = ctr.tasks()[task]
    for shim in shims(ctr.daemon.socket):
        os.kill(shim, signal.SIGKILL)
    poll(lambda: not alive(pid), 30, "its process lives on")
    poll(lambda: task not in ctr.tasks() or ctr.tasks()[task][1] != "RUNNING", 30, lambda: f"{ctr.tasks()}")


def test_fifty_tasks_at_once(ctr):
    names = [f"many{number}" for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: ctr.start(name, "sleep", "1000"), names))
        tasks = ctr.tasks()
        assert [tasks[name][1] for name in names] == ["RUNNING"] * 50
        assert list(pool.map(lambda name: ctr.exec(name, "cat", "/proc/1/comm"), names[::5])) == ["sleep\n"] * 10
        list(pool.map(ctr.remove, names))
    assert not set(names) & set(ctr.tasks())


def test_its_state_is_json_that_parses(ctr, task):
    """What ctr and others read of it."""
    assert json.loads(ctr.call("container", "info", task))["Spec"]["process"]["args"] == ["sh", "-c", SLEEPER]
