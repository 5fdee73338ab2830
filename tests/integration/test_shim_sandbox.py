"""containerd-shim-cloister-v2's sandbox service: a pod without a pause container, with ourselves in containerd's place.

With a real one: test_engines_containerd2_sandbox.py.
"""

import os
import platform
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from lib import oci, ttrpc
from lib.patience import patience
from lib.runner import alive, poll
from lib.shim import EXISTS, INVALID, NOT_FOUND, PLACES, PRECONDITION, UNIMPLEMENTED, Task
from lib.shim_scene import pod, tree  # noqa: F401

SERVICE = "containerd.runtime.sandbox.v1.Sandbox"
CONFIG = "runtime.v1.PodSandboxConfig"
READY, NOT_READY = b"SANDBOX_READY", b"SANDBOX_NOTREADY"
POD, CONTAINER, NODE, TARGET = 0, 1, 2, 3
KINDS = ("net", "ipc", "uts", "pid", "user", "mnt")


class Sandbox(Task):
    """The sandbox service of a shim whose sandbox is "pod"."""

    def __init__(self, pod, name="pod"):
        self.pod, self.name, self.bundle = pod, name, pod.place / name
        self.bundle.mkdir()
        self.path = pod.start(name, self.bundle, more={"MAX_SHIM_VERSION": "4"})
        self.task = pod.connect(self.path)
        super().__init__(self.task.client)
        self.service = SERVICE
        self.shim, = pod.pids

    def create(self, netns="", **config):
        return self.call("CreateSandbox", self.request(netns, **config))

    def request(self, netns="", **config):
        return {1: self.name, 2: str(self.bundle), 4: {1: CONFIG, 2: configuration(**config)}, 5: str(netns)}

    def start(self):
        pid, = self.call("StartSandbox", {1: self.name})[1]
        return pid

    def status(self, verbose=0):
        return self.call("SandboxStatus", {1: self.name, 2: verbose})

    def state(self):
        return self.status()[3][0]


def configuration(network=NODE, pid=POD, ipc=POD, hostname="", sysctls=None, users=None, dns=None, group=""):
    namespaces = {1: network, 2: pid, 3: ipc, **({5: users} if users is not None else {})}
    linux = {1: group, 2: {1: namespaces}, 3: [{1: key, 2: value} for key, value in (sysctls or {}).items()]}
    return {1: {1: "name", 2: "uid", 3: "space"}, 2: hostname, **({4: dns} if dns is not None else {}), 8: linux}


@pytest.fixture
def sandbox(pod):
    return Sandbox(pod)


@pytest.fixture
def netns(pod):
    """A network namespace, as containerd's CRI makes one: a file that it is mounted at."""
    path = pod.place / "netns"
    path.touch()
    subprocess.run(["unshare", f"--net={path}", "true"], check=True, timeout=patience(20))
    yield path
    subprocess.run(["umount", "--lazy", path], check=True, timeout=patience(20))


def namespaces(pid):
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


def differing(pid):
    host = namespaces("self")
    return {kind for kind, name in namespaces(pid).items() if name != host[kind]}


def inside(pid, *words):
    """In its namespaces, but for its files."""
    flags = ["--net", "--uts", "--ipc"]
    return subprocess.run(["nsenter", "--target", str(pid), *flags, "--", *words], capture_output=True, text=True, check=True, timeout=patience(20)).stdout


def mounts_below(place):
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{place}/" in line]


def status_of(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


# --- its life

def test_a_life(pod, sandbox, netns):
    sandbox.create(netns, network=POD, hostname="job")
    assert sandbox.state() == NOT_READY and 2 not in sandbox.status()
    waiting = sandbox.begin("WaitSandbox", {1: "pod"})
    pid = sandbox.start()
    told = sandbox.status()
    assert told[2] == [pid] and told[3] == [READY] and 5 in told and 6 not in told and 4 not in told
    assert alive(pid)
    sandbox.call("PingSandbox", {1: "pod"})
    sandbox.call("StopSandbox", {1: "pod", 2: 10})
    assert not alive(pid)
    ended = sandbox.end(waiting)
    assert ended[1] == [128 + signal.SIGKILL] and sandbox.call("WaitSandbox", {1: "pod"}) == ended
    told = sandbox.status()
    assert told[3] == [NOT_READY] and told[6] == ended[2] and 2 not in told
    sandbox.refused("PingSandbox", {1: "pod"}, PRECONDITION, "has ended")
    sandbox.call("StopSandbox", {1: "pod"})  # once more is fine
    sandbox.refused("StartSandbox", {1: "pod"}, PRECONDITION)
    sandbox.call("ShutdownSandbox", {1: "pod"})
    poll(lambda: not alive(sandbox.shim), 20, "the shim to end")
    assert not Path(sandbox.path).exists() and not mounts_below(sandbox.bundle) and not (sandbox.bundle / "pod").exists()


def test_what_it_tells_of_the_machine(sandbox):
    sandbox.create()
    told = ttrpc.decode(sandbox.call("Platform", {1: "pod"})[1][0])
    assert told == {1: [b"linux"], 2: [{"x86_64": b"amd64", "aarch64": b"arm64"}[platform.machine()]]}


def test_verbose_status(sandbox):
    sandbox.create()
    pid = sandbox.start()
    info = sandbox.status(verbose=1)[4][0]
    assert b"info" in info and f'"pid":{pid},"processStatus":"running"'.encode() in info.replace(b" ", b"").replace(b"\n", b""), info


def test_wrong_orders(pod, sandbox):
    for method in ("StartSandbox", "StopSandbox", "WaitSandbox", "SandboxStatus", "PingSandbox", "SandboxMetrics", "Platform"):
        sandbox.refused(method, {1: "pod"}, NOT_FOUND, "none here")
    sandbox.refused("ShutdownSandbox", {1: "other"}, NOT_FOUND, "none here")
    sandbox.create()
    sandbox.refused("CreateSandbox", sandbox.request(), EXISTS)
    sandbox.refused("CreateSandbox", {**sandbox.request(), 1: "other"}, EXISTS)
    sandbox.refused("StartSandbox", {1: "other"}, NOT_FOUND, "other")
    pid = sandbox.start()
    sandbox.refused("StartSandbox", {1: "pod"}, PRECONDITION, "already")
    assert sandbox.status()[2] == [pid]
    sandbox.refused("UpdateSandbox", {1: "pod"}, UNIMPLEMENTED)
    sandbox.refused("SandboxMetrics", {1: "pod"}, UNIMPLEMENTED, "cgroup")


def test_stop_before_start(pod, sandbox):
    sandbox.create()
    waiting = sandbox.begin("WaitSandbox", {1: "pod"})
    sandbox.call("StopSandbox", {1: "pod"})
    assert 1 not in sandbox.end(waiting) and sandbox.state() == NOT_READY
    sandbox.call("ShutdownSandbox", {1: "pod"})
    poll(lambda: not alive(sandbox.shim), 20, "the shim to end")


def test_shutdown_of_a_shim_whose_sandbox_could_not_be_made(sandbox):
    sandbox.refused("CreateSandbox", sandbox.request(network=TARGET), INVALID)
    sandbox.call("ShutdownSandbox", {1: "pod"})
    sandbox.refused("ShutdownSandbox", {1: "pod"}, NOT_FOUND)
    sandbox.refused("CreateSandbox", sandbox.request(), EXISTS)
    sandbox.client.socket.close()
    poll(lambda: not alive(sandbox.shim), 20, "the shim to end")


def test_its_answer_is_there_before_it_ends(pod, sandbox):
    """containerd's client may lose one that comes together with the end."""
    sandbox.create()
    sandbox.call("ShutdownSandbox", {1: "pod"})
    assert alive(sandbox.shim)
    sandbox.client.socket.close()
    poll(lambda: not alive(sandbox.shim), 20, "the shim to end")


def test_shutdown_while_it_is_ready(pod, sandbox):
    sandbox.create()
    pid = sandbox.start()
    waiting = sandbox.begin("WaitSandbox", {1: "pod"})
    sandbox.call("ShutdownSandbox", {1: "pod"})
    assert not alive(pid) and sandbox.end(waiting)[1] == [137]
    poll(lambda: not alive(sandbox.shim), 20, "the shim to end")
    assert not mounts_below(sandbox.bundle)


def test_a_client_that_goes_in_the_middle(pod, sandbox):
    sandbox.create()
    other = pod.connect(sandbox.path).client
    for method in ("WaitSandbox", "WaitSandbox"):
        other.begin(SERVICE, method, {1: "pod"})
    pid = sandbox.start()
    other.begin(SERVICE, "StopSandbox", {1: "pod"})
    other.socket.shutdown(socket.SHUT_RDWR)
    other.socket.close()
    poll(lambda: sandbox.state() == NOT_READY, 20, lambda: sandbox.status())
    assert not alive(pid)
    last = pod.connect(sandbox.path).client
    last.begin(SERVICE, "ShutdownSandbox", {1: "pod"})
    last.socket.close()
    poll(lambda: not alive(sandbox.shim), 20, "the shim to end")


def test_the_task_services_shutdown_leaves_it(sandbox):
    sandbox.create()
    pid = sandbox.start()
    sandbox.task.call("Shutdown", {1: "pod"})
    assert sandbox.state() == READY and alive(pid) and alive(sandbox.shim)


# --- what holds it

def test_its_namespaces(sandbox, netns):
    sandbox.create(netns, network=POD, hostname="job")
    pid = sandbox.start()
    assert differing(pid) == {"net", "ipc", "uts", "pid", "mnt"}
    assert os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(netns).st_ino
    assert inside(pid, "hostname") == "job\n" and socket.gethostname() != "job"
    assert status_of(pid)["NSpid"].split() == [str(pid), "1"]


@pytest.mark.parametrize("config, shared", [({}, {"net", "uts", "user"}), ({"pid": NODE}, {"net", "uts", "user", "pid"}),
                                            ({"ipc": NODE, "pid": CONTAINER}, {"net", "uts", "user", "ipc"}),
                                            ({"ipc": NODE, "pid": NODE}, {"net", "uts", "user", "ipc", "pid"})])
def test_namespaces_of_the_nodes(sandbox, config, shared):
    """Who has the node's network has its name, too, whatever the pod's is."""
    sandbox.create(hostname="job", **config)
    pid = sandbox.start()
    assert set(KINDS) - differing(pid) == shared
    assert inside(pid, "hostname").strip() == socket.gethostname()
    assert (sandbox.bundle / "pod/shm").exists() == (config.get("ipc") != NODE)


def test_it_may_do_nothing(sandbox):
    sandbox.create()
    pid = sandbox.start()
    told = status_of(pid)
    assert all(int(told[f"Cap{which}"], 16) == 0 for which in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    assert told["NoNewPrivs"] == "1" and told["Seccomp"] == "2" and told["Name"] == "cloister-pod"
    assert os.listdir(f"/proc/{pid}/root") == [] and os.listdir(f"/proc/{pid}/cwd") == []
    poll(lambda: os.listdir(f"/proc/{pid}/fd") == [], 20, lambda: os.listdir(f"/proc/{pid}/fd"))  # it closes the last behind its word
    assert Path(f"/proc/{pid}/cmdline").read_bytes().strip(b"\0") == b""
    assert len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()) == 1


def test_it_is_spared_when_memory_is_short(sandbox):
    """Where root may say so: a container's may not."""
    sandbox.create()
    lowered = subprocess.run(["sh", "-c", "echo -998 2>/dev/null >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj"], capture_output=True, check=False)
    own = lowered.stdout if lowered.returncode == 0 else Path(f"/proc/{sandbox.shim}/oom_score_adj").read_bytes()
    assert Path(f"/proc/{sandbox.start()}/oom_score_adj").read_bytes() == own


def test_it_reaps(sandbox):
    """Orphans of its pid namespace are its children, and leave nothing."""
    sandbox.create()
    pid = sandbox.start()
    words = ["nsenter", "--target", str(pid), "--pid", "--", "sh", "-c", "sleep 0.1 & exit"]
    subprocess.run(words, check=True, timeout=patience(20))
    children = Path(f"/proc/{pid}/task/{pid}/children")
    poll(lambda: children.read_text() == "", 20, lambda: children.read_text())
    assert alive(pid)


def test_its_end_is_told(sandbox):
    sandbox.create()
    pid = sandbox.start()
    waiting = sandbox.begin("WaitSandbox", {1: "pod"})
    os.kill(pid, signal.SIGKILL)
    assert sandbox.end(waiting)[1] == [137] and sandbox.state() == NOT_READY


def test_signals_do_not_reach_it(sandbox):
    sandbox.create(pid=NODE)
    pid = sandbox.start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        os.kill(pid, number)
    assert sandbox.state() == READY and alive(pid)


MAPS = [{1: 200000, 2: 0, 3: 65536}]


@pytest.mark.parametrize("config", [{}, {"pid": NODE}, {"users": {1: POD, 2: MAPS, 3: MAPS}}], ids=lambda config: "-".join(config) or "plain")
def test_a_shim_that_is_killed(pod, sandbox, config):
    """The kernel ends what it had; its mount goes when containerd asks."""
    sandbox.create(**config)
    pid = sandbox.start()
    assert mounts_below(sandbox.bundle)
    os.kill(sandbox.shim, signal.SIGKILL)
    poll(lambda: not alive(pid), 20, "the holder to end")
    assert pod.run("delete", "pod", sandbox.bundle, "-bundle", sandbox.bundle).returncode == 0
    assert not mounts_below(sandbox.bundle) and not Path(sandbox.path).exists() and not (sandbox.bundle / "pod").exists()


def test_its_memory(sandbox):
    """What it takes beyond the shim's."""
    sandbox.create()
    before = pss(sandbox.shim)
    pid = sandbox.start()
    more = pss(sandbox.shim) + pss(pid) - before
    print(f"\nshim {before} KiB, and {more} KiB with the holder, of which {pss(pid)} are its own")
    assert more <= 200


def pss(pid):
    return int(re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE).group(1))


# --- what it is asked for

def test_sysctls(sandbox, netns):
    sandbox.create(netns, network=POD, sysctls={"kernel.shm_rmid_forced": "1", "net.ipv4.ip_forward": "1", "net.ipv4.conf.lo.rp_filter": "2"})
    pid = sandbox.start()
    names = ("kernel.shm_rmid_forced", "net.ipv4.ip_forward", "net.ipv4.conf.lo.rp_filter", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range")
    got = inside(pid, "cat", *(f"/proc/sys/{name.replace('.', '/')}" for name in names)).split()
    assert got == ["1", "1", "2", "0", "0", "2147483647"]
    assert Path("/proc/sys/kernel/shm_rmid_forced").read_text() == "0\n"


def test_sysctls_that_a_pod_says_itself(sandbox, netns):
    sandbox.create(netns, network=POD, sysctls={"net/ipv4/ip_unprivileged_port_start": "700", "net.ipv4.ping_group_range": "1 0"})
    pid = sandbox.start()
    assert inside(pid, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv4/ping_group_range").split() == ["700", "1", "0"]


@pytest.mark.parametrize("config, words", [
    ({"sysctls": {"kernel.panic": "1"}}, "it is the host's"), ({"sysctls": {"net.ipv4.ip_forward": "1"}}, "from the host"),
    ({"ipc": NODE, "sysctls": {"kernel.shmmax": "1"}}, "from the host"),
    ({"sysctls": {"fs/mqueue/../../kernel/panic": "1"}}, "no setting"), ({"pid": TARGET}, "namespace_options.pid"), ({"network": TARGET}, "netns_path"),
    ({"network": POD}, "netns_path: none is named"), ({"hostname": "x" * 65}, "hostname"), ({"dns": {1: ["1.2.3.4\nnameserver 5.6.7.8"]}}, "dns_config"),
    ({"users": {1: POD}}, "userns_options"), ({"users": {1: CONTAINER}}, "userns_options.mode")], ids=str)
def test_what_is_refused(pod, sandbox, config, words):
    sandbox.refused("CreateSandbox", sandbox.request(**config), INVALID, words)
    sandbox.refused("StartSandbox", {1: "pod"}, NOT_FOUND)
    assert not (sandbox.bundle / "pod").exists() and not mounts_below(sandbox.bundle)
    sandbox.create()  # another is taken
    sandbox.start()


def test_requests_that_are_none(sandbox, netns):
    good = sandbox.request(netns, network=POD)
    for bad, words in (({4: {1: "runtime.v1.Other"}}, "Other"), ({4: {1: CONFIG, 2: b"\x12\x05h"}}, CONFIG), ({5: "relative"}, "netns_path"),
                       ({5: "/proc/self/ns/uts"}, "no network namespace"), ({5: "/etc/passwd"}, "no network namespace"), ({2: "x"}, "bundle_path"),
                       ({1: "../x"}, "no name")):
        sandbox.refused("CreateSandbox", {**good, **bad}, INVALID, words)
    sandbox.refused("CreateSandbox", {**good, 5: "/no/such"}, NOT_FOUND, "/no/such")
    sandbox.refused("CreateSandbox", {**good, 3: {1: "bind"}}, UNIMPLEMENTED, "rootfs")
    sandbox.refused("CreateSandbox", {**good, 4: {1: CONFIG, 2: configuration(network=NODE)}}, INVALID, "is to have the host's")
    sandbox.call("CreateSandbox", {**good, 4: {1: f"type.googleapis.com/{CONFIG}", 2: configuration(network=POD)}})


def test_a_sandbox_of_no_configuration(sandbox):
    """As others than the CRI may ask: it has the node's network, and the rest is its own."""
    sandbox.call("CreateSandbox", {1: "pod", 2: str(sandbox.bundle)})
    assert differing(sandbox.start()) == {"ipc", "pid", "mnt"}


def test_a_step_that_fails_is_named(pod, sandbox, netns):
    """And nothing is left of it but what can be tried again."""
    sandbox.create(netns, network=POD, sysctls={"net.ipv4.no_such": "1"})
    got, why, _ = sandbox.client.call(SERVICE, "StartSandbox", {1: "pod"})
    assert got == NOT_FOUND and "apply the pod's sysctls" in why and "net/ipv4/no_such" in why, why
    children = Path(f"/proc/{sandbox.shim}/task/{sandbox.shim}/children")
    poll(lambda: children.read_text() == "", 20, lambda: children.read_text())
    assert sandbox.state() == NOT_READY
    sandbox.call("ShutdownSandbox", {1: "pod"})


def test_a_user_namespace(sandbox):
    sandbox.create(users={1: POD, 2: MAPS, 3: MAPS})
    pid = sandbox.start()
    assert differing(pid) == {"user", "ipc", "pid", "mnt"}
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", "200000", "65536"] == Path(f"/proc/{pid}/gid_map").read_text().split()
    assert status_of(pid)["Uid"].split() == ["200000"] * 4 == status_of(pid)["Gid"].split() and status_of(pid)["Groups"].strip() == ""
    assert os.stat(sandbox.bundle / "pod/hosts").st_uid == 200000


def test_the_user_namespace_of_its_network(sandbox):
    """As the CRI makes it: the network namespace within the user namespace, whose name is mounted."""
    with subprocess.Popen(["unshare", "--user", "--net", "sh", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout.readline() == b"up\n"
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{owner.pid}/{name}").write_text("0 200000 65536")
            sandbox.create(f"/proc/{owner.pid}/ns/net", network=POD, hostname="job", users={1: POD, 2: MAPS, 3: MAPS}, sysctls={"net.ipv4.ip_forward": "1"})
            pid = sandbox.start()
            assert differing(pid) == set(KINDS)
            assert all(os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{owner.pid}/ns/{kind}") for kind in ("user", "net"))
            assert inside(pid, "hostname") == "job\n" and inside(pid, "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
        finally:
            owner.kill()


def test_files(sandbox, netns):
    sandbox.create(netns, network=POD, hostname="job", dns={1: ["10.0.0.1", "::1"], 2: ["a.example", "b.example"], 3: ["ndots:5"]})
    place = sandbox.bundle / "pod"
    assert (place / "hostname").read_text() == "job\n"
    assert (place / "hosts").read_text() == "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 job\n"
    assert (place / "resolv.conf").read_text() == "search a.example b.example\nnameserver 10.0.0.1\nnameserver ::1\noptions ndots:5\n"
    assert {path.name: path.stat().st_mode & 0o7777 for path in place.iterdir()} == {"hostname": 0o644, "hosts": 0o644, "resolv.conf": 0o644, "shm": 0o1777}
    line, = (line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{place}/shm" in line)
    assert {"nosuid", "nodev", "noexec"} <= set(line.split()[5].split(",")) and "size=65536k" in line


def test_files_of_the_nodes(sandbox):
    sandbox.create()
    place = sandbox.bundle / "pod"
    for name in ("hosts", "resolv.conf"):
        host = Path("/etc") / name
        assert (place / name).read_text() == (host.read_text() if host.exists() else "")
    assert (place / "hostname").read_text().strip() == socket.gethostname()


# --- its containers

def contained(pod, sandbox, name, *words, **more):
    bundle = pod.bundle(name, *words, **more)
    return sandbox.task.create(name, bundle)


def test_containers_end_with_it(pod, sandbox):
    """Running, made, paused, and one that is just being made; each is told of."""
    sandbox.create()
    pid = sandbox.start()
    pids = [contained(pod, sandbox, name, "sleep", "1000") for name in ("one", "two", "three")]
    for name in ("one", "three"):
        sandbox.task.call("Start", {1: name})
    sandbox.task.call("Pause", {1: "three"})
    waiting = [sandbox.task.begin("Wait", {1: name}) for name in ("one", "three")]
    bundle = pod.bundle("late", "sleep", "1000")
    sandbox.task.begin("Create", {1: "late", 2: str(bundle)})
    sandbox.call("ShutdownSandbox", {1: "pod"})
    assert not [one for one in (pid, *pids) if alive(one)]
    assert [sandbox.end(stream)[1] for stream in waiting] == [[137], [137]]
    poll(lambda: pod.events.topics().count("/tasks/delete") == 4, 20, lambda: pod.events.topics())
    poll(lambda: not alive(sandbox.shim), 20, "the shim to end")
    assert not (PLACES / "runtime" / pod.space).exists()


def test_stop_ends_its_containers(pod, sandbox):
    sandbox.create()
    sandbox.start()
    contained(pod, sandbox, "one", "sleep", "1000")
    sandbox.task.call("Start", {1: "one"})
    sandbox.call("StopSandbox", {1: "pod"})
    assert sandbox.task.call("Wait", {1: "one"})[1] == [137]
    sandbox.task.call("Delete", {1: "one"})
    assert sandbox.state() == NOT_READY and alive(sandbox.shim)


def test_files_in_containers(pod, sandbox):
    sandbox.create(hostname="job")
    sandbox.start()
    out = pod.place / "out"
    bundle = pod.bundle("one", "sh", "-c", "cat /etc/hostname; grep -c ' /etc/hosts ' /proc/mounts; echo x > /dev/shm/x")
    sandbox.task.create("one", bundle, out=f"file://{out}")
    sandbox.task.call("Start", {1: "one"})
    sandbox.task.call("Wait", {1: "one"})
    poll(lambda: out.exists() and out.read_text() == f"{socket.gethostname()}\n1\n", 20, lambda: out.read_text())
    assert (sandbox.bundle / "pod/shm/x").read_text() == "x\n"


def test_metrics_of_its_cgroup(pod, sandbox):
    """Which has all that its containers use."""
    sandbox.create(group=oci.slice_name())
    sandbox.start()
    contained(pod, sandbox, "one", "sleep", "1000")
    sandbox.task.call("Start", {1: "one"})
    told = ttrpc.decode(sandbox.call("SandboxMetrics", {1: "pod"})[1][0])
    assert told[2] == [b"pod"] and re.fullmatch(rb"io\.containerd\.cgroups\.v[12]\.Metrics", ttrpc.decode(told[3][0])[1][0])
    sandbox.call("StopSandbox", {1: "pod"})


# --- other walls

def test_a_shim_has_one_wall(sandbox, pod):
    """A pod's annotation, and a runtime's options, that ask for another are refused."""
    request = sandbox.request()
    request[4][2][7] = [{1: "run.cloister.wall", 2: "wasm"}]
    sandbox.refused("CreateSandbox", request, UNIMPLEMENTED, "run.cloister.wall", "cloisterd")
    request[4][2][7] = [{1: "run.cloister.what", 2: "x"}]
    sandbox.refused("CreateSandbox", request, INVALID, "run.cloister.what")
    request[4][2][7] = [{1: "run.cloister.wall", 2: "container"}, {1: "run.cloister.seccomp", 2: "strict"}]
    sandbox.call("CreateSandbox", request)
    sandbox.start()
    options = {10: {1: "runtimeoptions.v1.Options", 2: {3: 'SystemdCgroup = false\nwall = "wasm"\n'}}}
    sandbox.task.refused("Create", {1: "one", 2: str(pod.bundle("one", "true")), **options}, UNIMPLEMENTED, "options of the runtime", "cloisterd")
