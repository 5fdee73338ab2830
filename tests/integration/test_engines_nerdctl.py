"""cloister-oci and our shim under nerdctl over containerd 2: what its users type, which is what Docker's type.

nerdctl puts hooks of its own into each bundle and reads the container's streams by a process of its own. (`run -i` with a pipe is left out: it sometimes never ends, with runc too.)
"""

import concurrent.futures
from pathlib import Path

import pytest

from lib.cri import NAMESPACE, SOCKET, Cri, Runtime, Shim
from lib.go_engines import NERDCTL
from lib.terminal import Terminal
from lib.world import own_cgroups

PROGRAMS = Path(__file__).resolve().parents[2] / "build/bin"
RUNTIMES = {"oci": Runtime(PROGRAMS / "cloister-oci"), "shim": Shim(PROGRAMS / "containerd-shim-cloister-v2")}
TRAP = 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done'
LIMITS = ["--memory", "64m", "--pids-limit", "40"]


class Nerdctl:
    def __init__(self, cri):
        self.cri = cri
        cri.clients["nerdctl"] = [NERDCTL.built() / "nerdctl", "--address", SOCKET, "--namespace", NAMESPACE, "--data-root", cri.place / "nerdctl",
                                  "--cgroup-manager", "cgroupfs", "--hosts-dir", cri.place / "hosts"]

    def words(self, *words):
        return self.cri.words("nerdctl", *words)

    def call(self, *words, **options):
        return self.cri.call("nerdctl", *words, **options)

    def run_words(self, *options):
        return ["run", *self.cri.runtime.nerdctl_flags(), "--net", "none", *options]

    def run(self, *command, options=(), **more):
        return self.call(*self.run_words("--rm", *options), self.cri.box, *command, **more)

    def inspect(self, name, form):
        return self.call("inspect", "--format", form, name).strip()


@pytest.fixture(scope="module", params=RUNTIMES)
def nerdctl(request, world):
    with Cri(world.directory("nerdctl"), RUNTIMES[request.param]) as cri:
        made = Nerdctl(cri)
        made.call("pull", "-q", cri.box)
        yield made


@pytest.fixture
def box(nerdctl):
    name = nerdctl.call(*nerdctl.run_words("-d", *LIMITS), nerdctl.cri.box, "sh", "-c", TRAP).strip()
    yield name
    nerdctl.call("rm", "-f", name)


def test_run(nerdctl):
    assert nerdctl.run("sh", "-c", "echo $((6 * 7)); id -u; cat /proc/1/comm; true").split() == ["42", "0", "sh"]
    nerdctl.run("sh", "-c", "exit 7", status=7)
    nerdctl.run("no-such-program", status=1)


def test_a_terminal(nerdctl):
    with Terminal() as terminal:
        look_at_run(nerdctl, terminal)


def look_at_run(nerdctl, terminal):
    terminal.launch(nerdctl.words(*nerdctl.run_words("-it", "--rm"), nerdctl.cri.box, "sh", "-c", "tty; read x; echo got $x; exit 5"), nerdctl.cri.env)
    terminal.expect(b"/dev/pts/0")
    terminal.type(b"word\n")
    terminal.expect(b"got word")
    assert terminal.wait().exit == 5


def test_options(nerdctl, world):
    shared = world.directory("shared")
    (shared / "file").write_text("there\n")
    options = ["--user", "1000:1000", "--env", "A=b", "--workdir", "/tmp", "-v", f"{shared}:/data:ro", "--read-only", "--tmpfs", "/scratch", "--hostname", "named"]
    script = "id -u; echo $A $(pwd) $(hostname); cat /data/file; touch /data/x 2>&1; touch /x 2>&1; grep -c Seccomp:.*2 /proc/self/status; grep -c ' /scratch ' /proc/self/mountinfo"
    lines = nerdctl.run("sh", "-c", script, options=options).splitlines()
    assert lines[:3] == ["1000", "b /tmp named", "there"] and all("Read-only file system" in line for line in lines[3:5]) and lines[5:] == ["1", "1"]


def test_exec_logs_top_and_stats(nerdctl, box):
    assert nerdctl.call("exec", box, "sh", "-c", "echo in; cat /proc/1/comm").split() == ["in", "sh"]
    nerdctl.call("exec", box, "sh", "-c", "exit 9", status=1)  # nerdctl's own, whatever the command's
    assert nerdctl.call("logs", box) == "up\n"
    assert "sleep" in nerdctl.call("top", box)
    assert "%" in nerdctl.call("stats", "--no-stream", box)


def test_pause_update_and_inspect(nerdctl, box):
    nerdctl.call("pause", box)
    assert nerdctl.inspect(box, "{{.State.Status}}") == "paused"
    nerdctl.call("unpause", box)
    nerdctl.call("update", "--memory", "96m", box)
    groups = own_cgroups(int(nerdctl.inspect(box, "{{.State.Pid}}"))).values()
    limit = next(path for name in ("memory.limit_in_bytes", "memory.max") for path in (group / name for group in groups) if path.exists())
    assert int(limit.read_text()) == 96 << 20 and nerdctl.inspect(box, "{{.State.Status}}") == "running"


def test_stop_kill_and_restart(nerdctl, box):
    nerdctl.call("stop", "-t", "20", box)
    assert nerdctl.inspect(box, "{{.State.ExitCode}}") == "3"
    nerdctl.call("start", box)
    nerdctl.call("kill", box)
    nerdctl.call("wait", box)
    assert nerdctl.inspect(box, "{{.State.ExitCode}}") == "137"
    nerdctl.call("restart", "-t", "20", box)
    assert nerdctl.inspect(box, "{{.State.Status}}") == "running"


def test_ten_at_once(nerdctl):
    def one(number):
        return nerdctl.run("echo", str(number))

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        assert [int(out) for out in pool.map(one, range(10))] == list(range(10))
    assert nerdctl.call("ps", "-aq") == ""
