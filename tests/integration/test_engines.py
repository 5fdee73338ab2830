"""cloister-oci under real engines: Docker, Podman and containerd, each told of it as docs/oci.md says.

What an engine's user does every day, by the engine's own command line. The containers' tree is a
static busybox; networks are none.
"""

import concurrent.futures
import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from lib import oci_bundle
from lib.engines import DOCKER, Containerd, Dockerd, Podman
from lib.patience import patience
from lib.terminal import Terminal
from lib.world import command

RUNTIME = Path(__file__).resolve().parents[2] / "build/bin/cloister-oci"
SLEEPER = 'trap "exit 3" TERM; echo up; while :; do sleep 1; done'


@pytest.fixture(scope="module")
def tree(world):
    """The tree as an archive that engines import."""
    place = world.directory("engines-tree")
    made = oci_bundle.make_rootfs(place / "rootfs")
    with tarfile.open(place / "rootfs.tar", "w") as archive:
        archive.add(made, ".")
    return place / "rootfs.tar"


class Engine:
    """What the engines have in common: words of their command line in front of ours."""

    network = ["--network", "none"]
    runtime = []

    def call(self, *words, status=0, timeout=60, data=None):
        done = subprocess.run([*map(str, self.words), *map(str, words)], env=self.env, input=data, capture_output=True, timeout=patience(timeout), cwd="/")
        assert done.returncode == status, f"{words}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
        return done.stdout.decode()

    def run(self, *words, **options):
        return self.call("run", "--rm", *self.runtime, *self.network, *words, **options)

    def start(self, *words, image="bb", command=("sh", "-c", SLEEPER)):
        return self.call("run", "-d", *self.runtime, *self.network, *words, image, *command).strip()

    def inspect(self, name, form):
        return self.call("inspect", "-f", form, name).strip()

    def remove(self, *names):
        self.call("rm", "-f", *names)

    def started_up(self, *words):
        """A container that runs until it is told to end, from when it has said that it is up."""
        name = self.start(*words)
        follow = subprocess.Popen([*map(str, self.words), "logs", "-f", name], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/")
        with follow:
            assert follow.stdout.readline() == b"up\n"
            follow.kill()
        return name


class UnderDocker(Engine):
    name = "docker"
    runtime = ["--runtime", "cloister"]

    def __init__(self, place, tree):
        self.daemon = Dockerd(place, flags=[f"--add-runtime=cloister={RUNTIME}", "--live-restore"])
        self.words, self.env = [DOCKER], self.daemon.env
        self.call("import", tree, "bb")

    def stop(self):
        left = self.call("ps", "-aq").split()
        if left:
            self.remove(*left)
        self.daemon.stop()


class UnderPodman(Engine):
    name = "podman"

    def __init__(self, place, tree):
        self.engine = Podman(place)
        words = self.engine.argv()[2:]  # in this mount namespace: its containers' mounts have to outlive a call
        self.words, self.env = [*words, "--runtime", RUNTIME], self.engine.env
        self.call("import", tree, "bb")

    def stop(self):
        left = self.call("ps", "-aq").split()
        if left:
            self.remove(*left)
        self.call("umount", "--all")
        self.engine.remove()


@pytest.fixture(scope="module", params=[UnderDocker, UnderPodman], ids=lambda kind: kind.name)
def engine(request, world, tree):
    made = request.param(world.directory(f"engine-{request.param.name}"), tree)
    yield made
    made.stop()


DOCKER_ALONE = pytest.mark.parametrize("engine", [UnderDocker], indirect=True, ids=["docker"])
PODMAN_ALONE = pytest.mark.parametrize("engine", [UnderPodman], indirect=True, ids=["podman"])


@pytest.fixture
def box(engine):
    name = engine.started_up()
    yield name
    engine.remove(name)


def test_run(engine):
    out = engine.run("bb", "sh", "-c", "echo $((6 * 7)); id -u; cat /proc/1/comm; true")
    assert out.split() == ["42", "0", "sh"]


def test_exit_statuses(engine):
    engine.run("bb", "sh", "-c", "exit 7", status=7)
    engine.run("bb", "no-such-program", status=127)
    engine.run("bb", "/etc", status=126)


def test_the_filter_is_the_engines(engine):
    """Docker's and Podman's profile: a filter is there, and keyctl(2) and mount(2) are refused."""
    out = engine.run("bb", "sh", "-c", "grep -c '^Seccomp:.*2' /proc/self/status; unshare -m true 2>&1 || echo held")
    assert out.startswith("1") and "held" in out
    out = engine.run("--security-opt", "seccomp=unconfined", "bb", "grep", "Seccomp:", "/proc/self/status")
    assert out.split() == ["Seccomp:", "0"]


def test_a_profile_of_the_callers(engine, tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
                                   "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}))
    out = engine.run("--security-opt", f"seccomp={profile}", "bb", "sh", "-c", "mkdir /tmp/x 2>&1 || echo held")
    assert "not supported" in out and "held" in out


def test_a_terminal(engine):
    with Terminal() as terminal:
        look_at_run(engine, terminal)


def look_at_run(engine, terminal):
    terminal.launch([*map(str, engine.words), "run", "--rm", "-it", *engine.runtime, *engine.network, "bb", "sh", "-c", "tty; stty size; read x; echo got $x; exit 5"], engine.env)
    terminal.expect(b"/dev/pts/0")
    terminal.type(b"word\n")
    terminal.expect(b"got word")
    assert terminal.wait().exit == 5


def test_input_and_output(engine):
    assert engine.run("-i", "bb", "cat", data=b"through") == "through"


def test_exec(engine, box):
    assert engine.call("exec", box, "sh", "-c", "echo in; cat /proc/1/comm").split() == ["in", "sh"]
    engine.call("exec", box, "sh", "-c", "exit 9", status=9)
    engine.call("exec", box, "no-such-program", status=127 if engine.name == "podman" else 126)
    assert engine.call("exec", "-u", "1000:1000", "-w", "/tmp", "-e", "A=b", box, "sh", "-c", "echo $(id -u) $(pwd) $A").split() == ["1000", "/tmp", "b"]


def test_exec_with_a_terminal(engine, box):
    with Terminal() as terminal:
        look_at_exec(engine, box, terminal)


def look_at_exec(engine, box, terminal):
    terminal.launch([*map(str, engine.words), "exec", "-it", box, "sh", "-c", "tty; exit 4"], engine.env)
    terminal.expect(b"/dev/pts/")
    assert terminal.wait().exit == 4


def test_logs_top_and_stats(engine, box):
    assert engine.call("logs", box) == "up\n"
    assert "sleep" in engine.call("top", box)
    assert "%" in engine.call("stats", "--no-stream", box)


def test_pause(engine, box):
    engine.call("pause", box)
    assert engine.inspect(box, "{{.State.Status}}") == "paused"
    engine.call("unpause", box)
    assert engine.inspect(box, "{{.State.Status}}") == "running"


def test_stop_runs_the_trap(engine, box):
    engine.call("stop", "-t", "20", box)
    assert engine.inspect(box, "{{.State.ExitCode}}") == "3"


def test_stop_with_a_time_out(engine):
    name = engine.start(command=("sleep", "1000"))  # as process 1 it has no handler
    engine.call("stop", "-t", "1", name)
    assert engine.inspect(name, "{{.State.ExitCode}}") == "137"
    engine.remove(name)


def test_kill_and_restart(engine, box):
    engine.call("kill", "-s", "KILL", box)
    engine.call("wait", box)
    assert engine.inspect(box, "{{.State.ExitCode}}") == "137"
    engine.call("start", box)
    engine.call("restart", "-t", "10", box)
    assert engine.inspect(box, "{{.State.Running}}") == "true"


def test_volumes(engine, tmp_path):
    (tmp_path / "ro").mkdir()
    (tmp_path / "rw").mkdir()
    (tmp_path / "ro/file").write_text("there\n")
    out = engine.run("-v", f"{tmp_path}/ro:/ro:ro", "-v", f"{tmp_path}/rw:/rw", "bb", "sh", "-c", "cat /ro/file; touch /ro/x 2>&1 || echo held; echo made > /rw/made")
    assert out.startswith("there") and "held" in out and (tmp_path / "rw/made").read_text() == "made\n"


def test_read_only_and_tmpfs(engine):
    out = engine.run("--read-only", "--tmpfs", "/scratch:size=1m", "bb", "sh", "-c", "touch /x 2>&1 || echo held; touch /scratch/x && df /scratch | tail -1")
    assert "held" in out and "1024" in out


def test_user_and_capabilities(engine):
    out = engine.run("--user", "1000:1000", "--cap-drop", "ALL", "bb", "sh", "-c", "id -u; id -g; grep CapEff /proc/self/status")
    assert out.split() == ["1000", "1000", "CapEff:", "0000000000000000"]
    out = engine.run("--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "bb", "grep", "CapEff", "/proc/self/status")
    assert int(out.split()[1], 16) == 1 << 12


def test_limits(engine):
    out = engine.run("--pids-limit", "7", "-m", "64m", "bb", "sh", "-c", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
                     " || cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max")
    assert out.split() == ["7", str(64 << 20)]


@DOCKER_ALONE  # podman 4.3's conmon doesn't see it on the hybrid, under runc neither
def test_an_end_for_memory_is_told(engine):
    name = engine.call("create", *engine.runtime, *engine.network, "-m", "16m", "bb", "sh", "-c", "exec tail /dev/zero").strip()
    engine.call("start", "-a", name, status=137)
    engine.call("wait", name)
    assert engine.inspect(name, "{{.State.OOMKilled}}") == "true"
    engine.remove(name)


@DOCKER_ALONE  # podman 4.3 has it for cgroup v2 alone
def test_update(engine, box):
    engine.call("update", "--memory", "96m", "--memory-swap", "96m", box)
    out = engine.call("exec", box, "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    assert int(out) == 96 << 20


def test_fifty_at_once(engine):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        outs = list(pool.map(lambda number: engine.run("bb", "echo", number, timeout=240), range(50)))
    assert [int(out) for out in outs] == list(range(50))


def test_a_health_check(engine):
    if engine.name == "podman":  # it asks systemd for the interval; the check itself is an exec
        name = engine.start("--health-cmd", "true", "--health-interval", "disable")
        engine.call("healthcheck", "run", name)
    else:
        events = subprocess.Popen([*map(str, engine.words), "events", "--filter", "event=health_status", "--format", "{{.Status}}"], env=engine.env,
                                  stdout=subprocess.PIPE, cwd="/")
        with events:
            name = engine.start("--health-cmd", "true", "--health-interval", "1s")
            assert b"healthy" in events.stdout.readline()
            events.kill()
    engine.remove(name)


def test_privileged(engine):
    """All capabilities that the machine's root has, no filter, the host's devices."""
    out = engine.run("--privileged", "bb", "sh", "-c", "ls /dev | wc -l; grep Seccomp: /proc/self/status")
    assert int(out.split()[0]) > 20 and out.split()[-1] == "0"


def test_nothing_is_left(engine, box):
    engine.remove(box)
    assert box not in engine.call("ps", "-aq", "--no-trunc")
    left = [path for path in Path("/sys/fs/cgroup").glob(f"*/*/*{box}*")]
    assert left == [], left


# --- docker alone

def test_a_daemon_that_is_killed(world, tree):
    """With --live-restore containers live on; the next daemon finds them, and they end as ever."""
    engine = UnderDocker(world.directory("engine-docker-killed"), tree)
    try:
        name = engine.started_up()
        pid = int(engine.inspect(name, "{{.State.Pid}}"))
        engine.daemon.service.process.send_signal(signal.SIGKILL)
        engine.daemon.service.process.wait(patience(20))
        assert os.path.exists(f"/proc/{pid}")
    finally:
        if engine.daemon.service.alive():
            engine.stop()
        else:
            _end(pid)


def _end(pid):
    """The container and its shim, which no daemon knows any more."""
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    for each in (pid, shim):
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            pass


@PODMAN_ALONE  # docker 20.10's builder takes no runtime but the default one
def test_build(engine, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM bb\nRUN echo made > /made && id -u\nCMD cat /made\n")
    engine.call("build", "--network", "none", "-t", "built", tmp_path)
    assert engine.run("built") == "made\n"
    engine.call("rmi", "built")


# --- containerd

@pytest.fixture(scope="module")
def ctr(world, tree, tmp_path_factory):
    """Debian's 1.6. (2 is tried by hand: `Containerd(place, containerd2())` builds it for minutes.)"""
    made = Containerd(world.directory("containerd"))
    place = tmp_path_factory.mktemp("layout")
    engine = UnderPodman(world.directory("engine-for-ctr"), tree)
    engine.call("save", "--format", "oci-archive", "-o", place / "bb.tar", "localhost/bb:latest")
    engine.stop()
    made.load(place / "bb.tar")
    yield made
    made.stop()


def ctr_run(ctr, *words, status=0):
    done = subprocess.run(list(map(str, ctr.argv("run", "--rm", "--runc-binary", RUNTIME, *words))), capture_output=True, timeout=patience(60), cwd="/")
    assert done.returncode == status, done
    return done.stdout.decode()


def test_ctr_run(ctr):
    assert ctr_run(ctr, "localhost/bb:latest", "one", "echo", "out") == "out\n"
    ctr_run(ctr, "localhost/bb:latest", "two", "sh", "-c", "exit 6", status=6)


def test_ctr_tasks(ctr):
    ctr.call("run", "-d", "--runc-binary", RUNTIME, "localhost/bb:latest", "live", "sleep", "1000")
    try:
        assert "RUNNING" in ctr.call("task", "ls")
        assert ctr.call("task", "exec", "--exec-id", "x", "live", "id", "-u") == "0\n"
        ctr.call("task", "pause", "live")
        assert "PAUSED" in ctr.call("task", "ls")
        ctr.call("task", "resume", "live")
        assert "memory" in ctr.call("task", "metrics", "live")
        assert len(ctr.call("task", "ps", "live").splitlines()) == 2
    finally:
        subprocess.run(list(map(str, ctr.argv("task", "rm", "-f", "live"))), capture_output=True, timeout=60)
        ctr.call("container", "rm", "live")


# --- an ordinary user's engine

def test_rootless_podman(world, tree):
    """Podman makes the user namespace; its storage is a user's own."""
    user = world.user.pw_name
    home = world.directory("engine-rootless")
    os.chown(home, world.user.pw_uid, world.user.pw_gid)
    conf = home / "containers.conf"
    conf.write_text('[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n')
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "CONTAINERS_CONF": str(conf), "TMPDIR": str(home)}
    words = ["runuser", "-u", user, "--", "podman", "--storage-driver", "vfs", "--runtime", str(RUNTIME)]

    def podman(*more, **options):
        return command(*words, *more, env=env, cwd="/", timeout=patience(120), **options)

    with open(tree, "rb") as archive:
        podman("import", "-", "bb", stdin=archive)
    try:
        out = podman("run", "--rm", "--network", "none", "bb", "sh", "-c", "id -u; cat /proc/self/uid_map")
        assert out.split()[0] == "0" and out.split()[2] == str(world.user.pw_uid), out
        out = podman("run", "--rm", "--network", "none", "--user", "1000", "bb", "id", "-u")
        assert out == "1000\n"
        out = podman("run", "--rm", "--network", "none", "--userns=keep-id", "bb", "id", "-u")
        assert out == f"{world.user.pw_uid}\n"
    finally:
        podman("unshare", "rm", "-rf", str(home / ".local"))
        podman("system", "migrate")  # ends the process that holds its user namespace
