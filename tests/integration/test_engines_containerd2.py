"""cloister-oci and our own shim under containerd 2 (lib/go_engines.py builds it): by ctr, and by the CRI as a kubelet would ask.

What containerd 1.6 does is in test_engines.py; the CRI's own tests are in test_engines_critest.py.
"""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lib.cri import PARENT, Cri, Runtime, Shim
from lib.patience import patience
from lib.runner import alive, poll, stat_fields
from lib.terminal import Terminal
from lib.world import own_cgroups

PROGRAMS = Path(__file__).resolve().parents[2] / "build/bin"
RUNTIMES = {"oci": Runtime(PROGRAMS / "cloister-oci"), "shim": Shim(PROGRAMS / "containerd-shim-cloister-v2")}
BORN = 19  # of the fields of stat: when it was started
OWN_PROCESSES = {"pid": 1}  # the CRI's word for namespaces of processes of the container's own, as a kubelet asks
TRAP = 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done'


@pytest.fixture(scope="module", params=RUNTIMES)
def cri(request, world):
    with Cri(world.directory("containerd2"), RUNTIMES[request.param]) as made:
        made.ctr("images", "pull", "--hosts-dir", made.place / "hosts", made.box)
        made.crictl("pull", made.box)
        yield made


# --- ctr

def run_words(cri, *words):
    return ["run", *cri.runtime.flags(), *words]


def run(cri, name, *command, flags=(), status=0, **options):
    return cri.ctr(*run_words(cri, "--rm", *flags, cri.box, name, *command), status=status, **options)


def started(cri, name, *command, flags=()):
    """A process whose container has said its first word: in the foreground of ctr."""
    words = cri.words("ctr", *run_words(cri, "--rm", *flags, cri.box, name, *command))
    process = subprocess.Popen(words, env=cri.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/")
    assert process.stdout.readline() == b"up\n"
    return process


@pytest.fixture
def live(cri, request):
    """A detached task that runs until it is killed."""
    name = re.sub(r"\W", "-", request.node.name).strip("-")
    cri.ctr(*run_words(cri, "-d", cri.box, name, "sleep", "1000"))
    yield name
    subprocess.run(cri.words("ctr", "task", "rm", "-f", name), capture_output=True, env=cri.env, timeout=patience(60))
    cri.ctr("container", "rm", name)


def tasks(cri):
    """{name: (pid, state)}."""
    rows = [line.split() for line in cri.ctr("task", "ls").splitlines()[1:]]
    return {name: (int(pid), state) for name, pid, state in rows}


def status(cri, name):
    return tasks(cri).get(name, (0, None))[1]


def test_run(cri):
    assert run(cri, "run", "sh", "-c", "echo $((6 * 7)); id -u; cat /proc/1/comm; true").split() == ["42", "0", "sh"]
    run(cri, "run", "sh", "-c", "exit 6", status=6)


def test_what_cannot_be_run(cri):
    """The runtime's words reach the user, and nothing of the container stays."""
    for command, words in (("no-such-program", "not found in .PATH"), ("/etc", "permission denied|is a directory")):
        words_of_ctr = cri.words("ctr", *run_words(cri, "--rm", cri.box, "absent", command))
        done = subprocess.run(words_of_ctr, env=cri.env, capture_output=True, text=True, timeout=patience(60))
        assert done.returncode == 1 and re.search(words, done.stderr, re.IGNORECASE), done
    assert "absent" not in cri.ctr("container", "ls", "-q").split() and status(cri, "absent") is None


def test_user_environment_and_mounts(cri, world):
    shared = world.directory("shared")
    (shared / "file").write_text("there\n")
    script = "id -u; id -g; echo $A $(pwd); cat /data/file; touch /data/x 2>&1; touch /x 2>&1; grep -c Seccomp:.*2 /proc/self/status"
    mount = f"type=bind,src={shared},dst=/data,options=rbind:ro"
    out = run(cri, "options", "sh", "-c", script, flags=["--user", "1000:1000", "--env", "A=b", "--cwd", "/tmp", "--mount", mount, "--read-only", "--seccomp"])
    lines = out.splitlines()
    assert lines[:4] == ["1000", "1000", "b /tmp", "there"] and all("Read-only file system" in line for line in lines[4:6]) and lines[6] == "1"


def test_limits(cri):
    """As the host sees them: ctr's containers see no cgroups."""
    with started(cri, "limits", "sh", "-c", TRAP, flags=["--memory-limit", str(64 << 20)]) as process:
        groups = own_cgroups(tasks(cri)["limits"][0])
        limit = next(path for name in ("memory.limit_in_bytes", "memory.max") for path in (group / name for group in groups.values()) if path.exists())
        assert int(limit.read_text()) == 64 << 20 and {path.name for path in groups.values()} == {"limits"}
        cri.ctr("task", "kill", "limits")
        assert process.wait(patience(30)) == 3


def test_a_user_namespace(cri):
    """On layers that belong to the host's root: containerd maps the mount, or makes a copy."""
    out = run(cri, "mapped", "sh", "-c", "cat /proc/self/uid_map; stat -c %u /bin/sh", flags=["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"])
    assert out.split() == ["0", "100000", "65536", "0"]


def test_a_terminal(cri):
    with Terminal() as terminal:
        look_at_run(cri, terminal)


def look_at_run(cri, terminal):
    # ctr tells the size after the start
    script = "tty; until stty size 2> /dev/null | grep 100; do sleep 0.05; done; read x; echo got $x; exit 5"
    terminal.launch(cri.words("ctr", *run_words(cri, "-t", "--rm", cri.box, "terminal", "sh", "-c", script)), cri.env)
    terminal.expect(b"40 100")
    terminal.type(b"word\n")
    assert b"/dev/pts/0" in terminal.expect(b"got word")
    assert terminal.wait().exit == 5


def test_exec(cri, live):
    assert cri.ctr("task", "exec", "--exec-id", "a", live, "sh", "-c", "id -u; cat /proc/1/comm").split() == ["0", "sleep"]
    cri.ctr("task", "exec", "--exec-id", "b", live, "sh", "-c", "exit 9", status=9)
    assert cri.ctr("task", "exec", "--exec-id", "c", "--user", "1000:1000", "--cwd", "/tmp", live, "sh", "-c", "echo $(id -u) $(pwd)").split() == ["1000", "/tmp"]
    assert len(cri.ctr("task", "ps", live).splitlines()) == 2


def test_exec_with_a_terminal(cri, live):
    with Terminal() as terminal:
        look_at_exec(cri, live, terminal)


def look_at_exec(cri, name, terminal):
    terminal.launch(cri.words("ctr", "task", "exec", "-t", "--exec-id", "t", name, "sh", "-c", "tty; exit 4"), cri.env)
    terminal.expect(b"/dev/pts/0")
    assert terminal.wait().exit == 4


@pytest.mark.parametrize("name, ended", [("TERM", 3), ("KILL", 128 + 9)])
def test_kill(cri, name, ended):
    with started(cri, f"kill-{name}", "sh", "-c", TRAP) as process:
        cri.ctr("task", "kill", "-s", f"SIG{name}", f"kill-{name}")
        assert process.wait(patience(30)) == ended


def test_pause(cri, live):
    cri.ctr("task", "pause", live)
    assert status(cri, live) == "PAUSED"
    cri.ctr("task", "resume", live)
    assert status(cri, live) == "RUNNING"


def test_metrics(cri, live):
    told = json.loads(cri.ctr("task", "metrics", "--format", "json", live))
    assert told["pids"]["current"] == 1 and told["memory"], told


def test_thirty_at_once(cri):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        outs = list(pool.map(lambda number: run(cri, f"many-{number}", "echo", number, timeout=240), range(30)))
    assert [int(out) for out in outs] == list(range(30))
    assert not [name for name in cri.ctr("container", "ls", "-q").split() if name.startswith("many-")]


# --- the CRI

def make_pod(cri, place, *flags):
    """A pod that crictl makes from a file; the file too."""
    path = place / "pod.json"
    path.write_text(json.dumps({"metadata": {"name": "job", "namespace": "tests", "uid": place.name, "attempt": 0}, "hostname": "job",
                                "log_directory": str(place), "linux": {"cgroup_parent": PARENT, "security_context": {"namespace_options": OWN_PROCESSES}}}))
    return cri.crictl("runp", *flags, path).strip(), path


@pytest.fixture
def pod(cri, tmp_path):
    made = make_pod(cri, tmp_path)
    yield made
    cri.crictl("rmp", "-f", made[0])


def container(cri, pod, *command, name="box", **linux):
    made, path = pod
    config = path.with_name(f"{name}.json")
    config.write_text(json.dumps({"metadata": {"name": name, "attempt": 0}, "image": {"image": cri.box}, "command": list(command), "log_path": f"{name}.log",
                                  "linux": {"security_context": {"namespace_options": OWN_PROCESSES}, **linux}}))
    box = cri.crictl("create", made, config, path).strip()
    cri.crictl("start", box)
    return box


def inspect(cri, box):
    return json.loads(cri.crictl("inspect", box))["status"]


def test_a_pod_and_its_container(cri, pod):
    box = container(cri, pod, "sh", "-c", TRAP)
    assert cri.crictl("exec", box, "sh", "-c", "echo in; hostname; cat /proc/1/comm").split() == ["in", "job", "sh"]
    assert cri.crictl("exec", "-i", box, "cat", data=b"through") == "through"
    assert cri.crictl("exec", "-s", box, "id", "-u").strip() == "0"
    cri.crictl("exec", "-s", box, "sh", "-c", "exit 9", status=1)
    poll(lambda: cri.crictl("logs", box) == "up\n", 20, lambda: cri.crictl("logs", box))
    assert box[:13] in cri.crictl("ps") and pod[0][:13] in cri.crictl("pods")
    cri.crictl("stop", "--timeout", "20", box)
    assert inspect(cri, box)["state"] == "CONTAINER_EXITED" and inspect(cri, box)["exitCode"] == 3
    cri.crictl("rm", box)
    assert box[:13] not in cri.crictl("ps", "-a")


def test_a_pod_of_the_manuals_runtime_class(cri, tmp_path):
    """What its handler names is the runtime of the manual's table, and nothing else is known by a name like that."""
    manual = cri.runtime.manual.read_text(encoding="utf-8")
    handler, name = (re.search(pattern, manual, re.MULTILINE).group(1) for pattern in (r"^handler: (\S+)$", r"^metadata: {name: (\S+)}$"))
    assert f"runtimeClassName: {name}\n" in manual
    pod = make_pod(cri, tmp_path, "--runtime", handler)
    try:
        told = json.loads(cri.crictl("inspectp", pod[0]))
        assert told["status"]["runtimeHandler"] == handler and cri.runtime.is_told(told["info"]), told
        assert cri.crictl("exec", container(cri, pod, "sleep", "1000"), "cat", "/proc/1/comm") == "sleep\n"
    finally:
        cri.crictl("rmp", "-f", pod[0])
    with pytest.raises(AssertionError, match="no runtime for .*other"):
        make_pod(cri, tmp_path, "--runtime", "other")


def test_what_the_runtime_tells_of_itself_is_understood(cri):
    handlers = {row.get("name"): row.get("features") for row in json.loads(cri.crictl("info"))["runtimeHandlers"]}
    assert handlers["cloister"] == {"recursive_read_only_mounts": True, "user_namespaces": True}, handlers


def test_stop_with_a_time_out(cri, pod):
    box = container(cri, pod, "sleep", "1000")
    cri.crictl("stop", "--timeout", "1", box)
    assert inspect(cri, box)["exitCode"] == 128 + 9


def test_stats(cri, pod):
    box = container(cri, pod, "sleep", "1000")
    told = []

    def look():
        told[:] = json.loads(cri.crictl("stats", "-o", "json", "--id", box))["stats"]
        return told and int(told[0]["memory"]["workingSetBytes"]["value"]) > 0 and int(told[0]["cpu"]["usageCoreNanoSeconds"]["value"]) > 0

    poll(look, 20, lambda: told)
    assert cri.crictl("statsp", "--id", pod[0]).splitlines()[1:]


def test_update(cri, pod):
    box = container(cri, pod, "sleep", "1000", resources={"memory_limit_in_bytes": 64 << 20})
    cri.crictl("update", "--memory", str(96 << 20), "--cpu-share", "512", box)
    v1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.shares"
    out = cri.crictl("exec", box, "sh", "-c", f"cat {v1} 2>/dev/null || cat /sys/fs/cgroup/memory.max")
    assert int(out.split()[0]) == 96 << 20 and out.split()[1:] in ([], ["512"])


def test_an_exec_with_a_terminal_by_the_stream_server(cri, pod):
    box = container(cri, pod, "sleep", "1000")
    with Terminal() as terminal:
        terminal.launch(cri.words("crictl", "exec", "-i", "-t", box, "sh"), {**cri.env, "TERM": "vt100"})
        terminal.type(b"tty; echo $((6 * 7))1; exit\n")
        assert b"/dev/pts/0" in terminal.expect(b"421")
        assert terminal.wait().exit == 0


def test_an_end_for_memory_is_told(cri, pod):
    box = container(cri, pod, "sh", "-c", "exec tail /dev/zero", resources={"memory_limit_in_bytes": 16 << 20, "memory_swap_limit_in_bytes": 16 << 20})
    poll(lambda: inspect(cri, box)["state"] == "CONTAINER_EXITED", 30, lambda: inspect(cri, box))
    assert (inspect(cri, box)["exitCode"], inspect(cri, box)["reason"]) == (137, "OOMKilled")


def test_containers_of_a_pod_share_what_they_are_told_to(cri, pod):
    one, two = (container(cri, pod, "sleep", "1000", name=name) for name in ("one", "two"))
    kinds = {"net": True, "ipc": True, "uts": True, "pid": False, "mnt": False}
    script = f"for kind in {' '.join(kinds)}; do readlink /proc/self/ns/$kind; done"
    seen = [dict(zip(kinds, cri.crictl("exec", box, "sh", "-c", script).split())) for box in (one, two)]
    assert {kind: seen[0][kind] == seen[1][kind] for kind in kinds} == kinds


# --- its end

def test_a_daemon_that_is_killed(cri, live, pod):
    """What runs goes on; the next daemon knows it, its execs work, and its end is seen."""
    box = container(cri, pod, "sh", "-c", TRAP)
    pid = int(inspect_info(cri, box)["pid"])
    born = stat_fields(pid)[BORN]
    cri.kill()
    assert stat_fields(pid)[BORN] == born
    cri.start()
    assert status(cri, live) == "RUNNING" and inspect(cri, box)["state"] == "CONTAINER_RUNNING"
    assert cri.ctr("task", "exec", "--exec-id", "after", live, "cat", "/proc/1/comm") == "sleep\n"
    assert cri.crictl("exec", "-s", box, "cat", "/proc/1/comm").strip() == "sh"
    cri.ctr("task", "kill", "-s", "SIGKILL", live)
    poll(lambda: status(cri, live) == "STOPPED", 20, lambda: status(cri, live))
    cri.crictl("stop", "--timeout", "20", box)
    assert inspect(cri, box)["exitCode"] == 3


def test_a_shim_that_is_killed(cri, live):
    """containerd has the runtime delete what the shim had: by force, since it still runs."""
    pid = tasks(cri)[live][0]
    groups = set(own_cgroups(pid).values())
    shim = int(stat_fields(pid)[1])
    assert Path(f"/proc/{shim}/comm").read_text().startswith("containerd-shim") and all(path.name == live for path in groups)
    os.kill(shim, signal.SIGKILL)
    poll(lambda: not alive(pid), 20, f"{live} outlives its shim")
    poll(lambda: not [path for path in groups if path.exists()], 20, lambda: groups)
    poll(lambda: status(cri, live) is None, 20, lambda: tasks(cri))


def inspect_info(cri, box):
    return json.loads(cri.crictl("inspect", box))["info"]


def test_nothing_is_left(cri, tmp_path):
    """Once a pod is removed: nothing in the runtime's directory, no cgroup."""
    pod = make_pod(cri, tmp_path)
    box = container(cri, pod, "sleep", "1000")
    state, names = Path(f"/proc/{cri.holder.pid}/root{cri.runtime.state}"), {pod[0], box}
    groups = set(own_cgroups(inspect_info(cri, box)["pid"]).values())
    assert names <= set(os.listdir(state)) and all(path.name == box for path in groups)
    cri.crictl("rmp", "-f", pod[0])
    assert not (state.exists() and names & set(os.listdir(state))) and not [path for path in groups if path.exists()]
