"""Our shim as containerd 2's sandboxer: pods without a pause container, by crictl, as a kubelet would ask.

The sandbox service by itself is in test_shim_sandbox.py, the CRI's own tests in test_engines_critest.py.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from lib.cri import PARENT, Cri, Sandboxer
from lib.runner import alive, poll, stat_fields
from lib.world import own_cgroups

SHIM = Path(__file__).resolve().parents[2] / "build/bin/containerd-shim-cloister-v2"
OWN_PROCESSES = {"pid": 1}
SHARED_PROCESSES = {"pid": 0}
TRAP = 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done'


@pytest.fixture(scope="module")
def cri(world):
    with Cri(world.directory("containerd2-sandbox"), Sandboxer(SHIM)) as made:
        made.crictl("pull", made.box)
        yield made


class Pod:
    def __init__(self, cri, place, namespaces, **config):
        self.cri, self.namespaces, self.path = cri, namespaces, place / "pod.json"
        linux = {"cgroup_parent": PARENT, "security_context": {"namespace_options": namespaces}, **config.pop("linux", {})}
        self.path.write_text(json.dumps({"metadata": {"name": place.name, "namespace": "tests", "uid": place.name, "attempt": 0}, "hostname": "job",
                                         "log_directory": str(place), "linux": linux, **config}))
        self.id = cri.crictl("runp", self.path).strip()

    def container(self, *command, name="box", **linux):
        config = self.path.with_name(f"{name}.json")
        config.write_text(json.dumps({"metadata": {"name": name, "attempt": 0}, "image": {"image": self.cri.box}, "command": list(command),
                                      "log_path": f"{name}.log", "linux": {"security_context": {"namespace_options": self.namespaces}, **linux}}))
        box = self.cri.crictl("create", self.id, config, self.path).strip()
        self.cri.crictl("start", box)
        return box

    def exec(self, box, script):
        return self.cri.crictl("exec", "-s", box, "sh", "-c", script).removesuffix("\n\n")  # which crictl adds

    def told(self):
        return json.loads(self.cri.crictl("inspectp", self.id))

    @property
    def holder(self):
        return int(self.told()["info"]["pid"])


@pytest.fixture
def make(cri, tmp_path):
    made = []

    def make(namespaces=None, **config):
        place = tmp_path / f"{tmp_path.parent.name}-{tmp_path.name}-{len(made)}"
        place.mkdir()
        made.append(Pod(cri, place, namespaces or OWN_PROCESSES, **config))
        return made[-1]
    yield make
    for pod in made:
        if pod.id[:13] in cri.crictl("pods"):
            cri.crictl("rmp", "-f", pod.id)


def inspect(cri, box):
    return json.loads(cri.crictl("inspect", box))


def test_a_pod_and_its_container(cri, make):
    pod = make()
    told = pod.told()
    assert told["status"]["state"] == "SANDBOX_READY" and told["info"]["processStatus"] == "running", told
    assert told["status"]["network"]["ip"].startswith("10.99.0.") and cri.runtime.is_told(told["info"])
    box = pod.container("sh", "-c", TRAP)
    assert pod.exec(box, "echo in; hostname; cat /proc/1/comm").split() == ["in", "job", "sh"]
    poll(lambda: cri.crictl("logs", box) == "up\n", 20, lambda: cri.crictl("logs", box))
    cri.crictl("stop", "--timeout", "20", box)
    assert inspect(cri, box)["status"]["exitCode"] == 3
    cri.crictl("rm", box)
    cri.crictl("stopp", pod.id)
    assert pod.told()["status"]["state"] == "SANDBOX_NOTREADY"
    cri.crictl("rmp", pod.id)
    assert pod.id[:13] not in cri.crictl("pods")


def test_there_is_no_pause_container(cri, make):
    """Nor an image for one."""
    pod = make()
    holder = pod.holder
    assert Path(f"/proc/{holder}/comm").read_text() == "cloister-pod\n" and "pause" not in cri.crictl("images")
    assert cri.ctr("--namespace", "k8s.io", "container", "ls", "-q") == ""


def test_containers_see_each_other(cri, make):
    """By localhost, the host name, and shared memory."""
    pod = make()
    one = pod.container("sh", "-c", "echo by network > /tmp/x; while :; do nc -l -p 8080 < /tmp/x; done", name="one")
    two = pod.container("sleep", "1000", name="two")
    kinds = {"net": True, "ipc": True, "uts": True, "pid": False, "mnt": False}
    script = f"for kind in {' '.join(kinds)}; do readlink /proc/self/ns/$kind; done"
    seen = [dict(zip(kinds, pod.exec(box, script).split())) for box in (one, two)]
    assert {kind: seen[0][kind] == seen[1][kind] for kind in kinds} == kinds
    poll(lambda: "by network" in pod.exec(two, "nc -w 1 localhost 8080 < /dev/null || true"), 20, "a word over localhost")


def test_files_of_the_pod(cri, make):
    """Which the CRI leaves to the shim; those that a container is given go before."""
    pod = make(dns_config={"servers": ["10.99.0.1"], "searches": ["a.example"], "options": ["ndots:2"]})
    one, two = (pod.container("sleep", "1000", name=name) for name in ("one", "two"))
    assert pod.exec(one, "cat /etc/hostname; cat /etc/resolv.conf").split("\n")[:4] == ["job", "search a.example", "nameserver 10.99.0.1", "options ndots:2"]
    assert "127.0.0.1 localhost\n" in pod.exec(one, "cat /etc/hosts") and "job" in pod.exec(one, "cat /etc/hosts")
    pod.exec(one, "echo shared > /dev/shm/x; echo 10.0.0.1 other >> /etc/hosts")
    assert pod.exec(two, "cat /dev/shm/x; tail -1 /etc/hosts") == "shared\n10.0.0.1 other\n"
    assert "size=65536k" in pod.exec(two, "grep /dev/shm /proc/mounts")
    other = make().container("sleep", "1000")
    assert cri.crictl("exec", "-s", other, "ls", "/dev/shm").strip() == ""


def test_a_read_only_root(cri, make):
    """Has read-only files, and memory that it may write to."""
    pod = make()
    box = pod.container("sleep", "1000", security_context={"namespace_options": OWN_PROCESSES, "readonly_rootfs": True})
    assert "cannot\n" == pod.exec(box, "echo x 2>/dev/null >> /etc/hosts || echo cannot; echo x > /dev/shm/x")


def test_shared_processes(cri, make):
    """The holder is process 1, which shows nothing of itself, and reaps."""
    pod = make(SHARED_PROCESSES)
    one, two = (pod.container("sleep", f"100{number}", name=f"c{number}") for number in (1, 2))
    seen = pod.exec(one, "cat /proc/1/comm; readlink /proc/self/ns/pid; cat /proc/[0-9]*/comm | grep -c '^sleep$'; cat /proc/1/cmdline | tr -d '\\0'").split("\n")
    assert seen[0] == "cloister-pod" and seen[2] == "2" and seen[3] == "", seen
    assert seen[1] == pod.exec(two, "readlink /proc/self/ns/pid").strip() == os.readlink(f"/proc/{pod.holder}/ns/pid")
    assert pod.exec(one, "readlink /proc/1/exe; readlink /proc/1/root; kill -9 1; cat /proc/1/comm") == "cloister-pod\n"
    pod.exec(one, "(sleep 0.1 & exit)")
    children = Path(f"/proc/{pod.holder}/task/{pod.holder}/children")
    poll(lambda: children.read_text() == "", 20, lambda: children.read_text())
    cri.crictl("stopp", pod.id)
    assert inspect(cri, two)["status"]["state"] == "CONTAINER_EXITED"


def test_the_nodes_namespaces(cri, make):
    pod = make({"network": 2, "pid": 2, "ipc": 2})
    box = pod.container("sleep", "1000")
    host = {kind: os.readlink(f"/proc/{cri.holder.pid}/ns/{kind}") for kind in ("net", "pid", "ipc", "uts")}
    assert {kind: pod.exec(box, f"readlink /proc/self/ns/{kind}").strip() for kind in host} == host


def test_a_user_namespace(cri, make):
    maps = [{"host_id": 300000, "container_id": 0, "length": 65536}]
    pod = make({**OWN_PROCESSES, "userns_options": {"mode": 0, "uids": maps, "gids": maps}})
    box = pod.container("sleep", "1000")
    script = "cat /proc/self/uid_map; readlink /proc/self/ns/user; stat -c %u /etc/hosts; hostname; echo x > /dev/shm/x && echo 1.2.3.4 x >> /etc/hosts && echo written"
    assert pod.exec(box, script).split() == ["0", "300000", "65536", os.readlink(f"/proc/{pod.holder}/ns/user"), "0", "job", "written"]


def test_sysctls(cri, make):
    pod = make(linux={"cgroup_parent": PARENT, "sysctls": {"net.ipv4.ip_local_port_range": "2000 3000"}})
    box = pod.container("sleep", "1000")
    script = "cd /proc/sys/net/ipv4; cat ip_local_port_range ip_unprivileged_port_start ping_group_range"
    assert pod.exec(box, script).split() == ["2000", "3000", "0", "0", "2147483647"]


def test_stats(cri, make):
    pod = make()
    pod.container("sleep", "1000")
    assert pod.id[:13] in cri.crictl("statsp", "--id", pod.id)


def test_a_pod_that_is_refused(cri, make):
    """With the reason, and nothing is left of it."""
    with pytest.raises(AssertionError, match="kernel.panic: it belongs to no namespace"):
        make(linux={"cgroup_parent": PARENT, "sysctls": {"kernel.panic": "1"}})
    assert cri.crictl("pods", "-q") == ""
    poll(lambda: not shims(cri), 20, lambda: shims(cri))


def shims(cri):
    """Numbers of ours that are there."""
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            if b"serve" in words and words[0].endswith(b"containerd-shim-cloister-v2") and os.readlink(f"/proc/{entry}/ns/mnt") == own(cri):
                found.add(int(entry))
        except OSError:
            pass  # it has ended
    return found


def own(cri):
    return os.readlink(f"/proc/{cri.holder.pid}/ns/mnt")


def test_one_shim_for_all(cri, make):
    pod = make()
    boxes = [pod.container("sleep", "1000", name=name) for name in ("one", "two")]
    poll(lambda: len(shims(cri)) == 1, 20, lambda: shims(cri))
    parents = {int(stat_fields(pid)[1]) for pid in (pod.holder, *(inspect(cri, box)["info"]["pid"] for box in boxes))}
    assert parents == shims(cri)


# --- its end

def test_a_daemon_that_is_killed(cri, make):
    """What runs goes on; the next daemon knows it, and makes more in it."""
    pod = make()
    box = pod.container("sh", "-c", TRAP)
    holder = pod.holder
    cri.kill()
    assert alive(holder)
    cri.start()
    assert pod.told()["status"]["state"] == "SANDBOX_READY" and pod.holder == holder
    another = pod.container("sleep", "1000", name="another")
    assert pod.exec(another, "cat /etc/hostname") == "job\n"
    cri.crictl("stop", "--timeout", "20", box)
    assert inspect(cri, box)["status"]["exitCode"] == 3
    cri.crictl("stopp", pod.id)
    poll(lambda: not alive(holder), 20, "the holder to end")


def test_a_holder_that_is_killed(cri, make):
    """The pod isn't ready any more, which containerd hears of."""
    pod = make()
    os.kill(pod.holder, signal.SIGKILL)
    poll(lambda: pod.told()["status"]["state"] == "SANDBOX_NOTREADY", 20, lambda: pod.told())


def test_a_shim_that_is_killed(cri, make):
    """Nothing is left of it: no process, no mount, no cgroup."""
    pod = make()
    box = pod.container("sleep", "1000")
    holder, first = pod.holder, inspect(cri, box)["info"]["pid"]
    groups, shim = set(own_cgroups(first).values()), int(stat_fields(holder)[1])
    os.kill(shim, signal.SIGKILL)
    poll(lambda: not alive(holder) and not alive(first), 20, "what it had outlives the shim")
    poll(lambda: not [path for path in groups if path.exists()], 20, lambda: groups)
    poll(lambda: pod.id not in Path(f"/proc/{cri.holder.pid}/mountinfo").read_text(), 20, lambda: Path(f"/proc/{cri.holder.pid}/mountinfo").read_text())
    poll(lambda: pod.told()["status"]["state"] == "SANDBOX_NOTREADY", 20, lambda: pod.told())
    poll(lambda: inspect(cri, box)["status"]["state"] == "CONTAINER_EXITED", 20, lambda: inspect(cri, box))


def test_nothing_is_left(cri, make):
    pod = make()
    box = pod.container("sleep", "1000")
    cri.crictl("rmp", "-f", pod.id)
    mounts = Path(f"/proc/{cri.holder.pid}/mountinfo").read_text()
    assert pod.id not in mounts and box not in mounts
    poll(lambda: not shims(cri), 20, lambda: shims(cri))
    state = Path(f"/proc/{cri.holder.pid}/root/run/containerd/io.containerd.sandbox.controller.v1.shim/k8s.io")
    assert not state.exists() or os.listdir(state) == []
