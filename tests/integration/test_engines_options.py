"""What docker's and podman's options ask of a runtime, each seen from inside its container."""

import json
import os
import subprocess

import pytest

from lib.oci import cgroup_of
from lib.oci_engines import Docker, Podman
from lib.runner import poll
from lib.world import own_cgroups

MIB = 1 << 20
KINDS = {"pid": "pid", "ipc": "ipc", "network": "net", "uts": "uts"}


@pytest.fixture(scope="module", params=[Docker, Podman], ids=lambda kind: kind.name)
def engine(request, make_engine):
    return make_engine(request.param)


@pytest.fixture
def shared(world):
    """A directory of the host that everybody can write."""
    made = world.directory("shared")
    made.chmod(0o777)
    return made


# identity

def test_hostname_groups_and_home(engine):
    out = engine.run("sh", "-c", 'hostname; echo "$HOME"; id -G; pwd', options=["--hostname", "named", "--user", "1000:1000", "--group-add", "44", "--workdir", "/srv"])
    name, home, groups, where = out.splitlines()
    assert (name, home, where) == ("named", "/home/plain", "/srv") and {"1000", "44"} <= set(groups.split())


def test_ulimits_and_the_oom_score(engine):
    out = engine.run("sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj",
                     options=["--ulimit", "nofile=123:456", "--ulimit", "core=0", "--ulimit", "nproc=4096:4096", "--oom-score-adj", "321"])
    assert out.split() == ["123", "456", "0", "321"]


def test_no_new_privileges(engine):
    out = engine.run("grep", "NoNewPrivs", "/proc/self/status", options=["--security-opt", "no-new-privileges"])
    assert out.split()[1] == "1"


def test_capabilities(engine):
    """Of an ordinary user: Podman gives ambient ones where they are asked for; Docker has none."""
    out = engine.run("grep", "Cap[EB]", "/proc/self/status", options=["--user", "1000", "--cap-add", "NET_ADMIN"])
    found = {line.split(":")[0]: int(line.split()[1], 16) for line in out.splitlines()}
    assert found["CapBnd"] >> 12 & 1 == 1 and found["CapEff"] == (1 << 12 if engine.name == "podman" else 0)
    out = engine.run("grep", "CapEff", "/proc/self/status", options=["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"])
    assert int(out.split()[1], 16) == 1 << 12


def test_privileged_has_no_masks(engine):
    """Nor a filter; and it has the host's devices."""
    script = ("grep -c ' /proc/' /proc/self/mountinfo; mount -t tmpfs x /mnt && echo mounted; echo 1 > /proc/sys/net/ipv4/ip_forward && echo set;"
              " grep -c 'Seccomp:.0' /proc/self/status; ls /dev | wc -l")
    out = engine.run("sh", "-c", script, options=["--privileged"]).split()
    assert out[:4] == ["0", "mounted", "set", "1"] and int(out[4]) > 20


# the filter

def test_the_filter_is_the_engines(engine):
    """Docker's and Podman's profile: a filter is there, and refuses unshare(2)."""
    out = engine.run("sh", "-c", "grep -c '^Seccomp:.*2' /proc/self/status; unshare -m true 2>&1 || echo held")
    assert out.startswith("1") and "held" in out
    out = engine.run("grep", "Seccomp:", "/proc/self/status", options=["--security-opt", "seccomp=unconfined"])
    assert out.split() == ["Seccomp:", "0"]


def test_a_profile_of_the_callers(engine, tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
                                   "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}))
    out = engine.run("sh", "-c", "mkdir /tmp/x 2>&1 || echo held", options=["--security-opt", f"seccomp={profile}"])
    assert "not supported" in out and "held" in out


# namespaces

@pytest.mark.parametrize("kind", ["pid", "ipc", "network"])
def test_the_namespace_of_another_container(engine, kind):
    first = engine.started(options=["--ipc", "shareable"] if kind == "ipc" else [])
    words = ["run", "-d", *engine.runtime, *([] if kind == "network" else engine.network), f"--{kind}", f"container:{first}"]
    second = engine.call(*words, "box", "sleep", "1000").strip()
    try:
        assert os.readlink(f"/proc/{engine.pid(second)}/ns/{KINDS[kind]}") == os.readlink(f"/proc/{engine.pid(first)}/ns/{KINDS[kind]}")
    finally:
        engine.remove(second)
        engine.remove(first)


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts", "network", "cgroupns"])
def test_the_namespace_of_the_host(engine, kind):
    words = ["run", "--rm", *engine.runtime, *([] if kind == "network" else engine.network), f"--{kind}", "host", "box", "sh", "-c", "for each in /proc/self/ns/*; do readlink $each; done"]
    mine = os.readlink(f"/proc/self/ns/{ {**KINDS, 'cgroupns': 'cgroup'}[kind] }")
    assert mine in engine.call(*words).split()


def test_a_private_cgroup_namespace(engine):
    lines = engine.run("cat", "/proc/self/cgroup", options=["--cgroupns", "private"]).splitlines()
    joined = [line for line in lines if ":memory:" in line or ":pids:" in line or line.startswith("0::") and len(lines) == 1]
    assert joined and all(line.endswith(":/") for line in joined), lines


# mounts

def test_volumes_of_every_kind(engine, shared):
    (shared / "file").write_text("given\n")
    engine.call("volume", "create", "named")
    try:
        out = engine.run("sh", "-c", "cat /a/file /b; touch /c/x && echo wrote; touch /a/x /b 2>&1; grep -E ' /(a|b|c|d) ' /proc/self/mountinfo | wc -l",
                         options=["-v", f"{shared}:/a:ro", "-v", f"{shared}/file:/b:ro", "-v", "named:/c", "--mount", "type=tmpfs,destination=/d"])
        assert out.count("given") == 2 and "wrote" in out and out.count("Read-only") == 2 and out.split()[-1] == "4"
    finally:
        engine.call("volume", "rm", "named")


def test_a_volume_begins_with_what_the_image_has(engine):
    out = engine.run("sh", "-c", "ls /etc | grep -c passwd; touch /etc/new && echo wrote", options=["-v", "/etc"])
    assert out.split() == ["1", "wrote"]


def test_tmpfs_and_shm(engine):
    out = engine.run("sh", "-c", "df -k /t /dev/shm | awk 'NR>1 {print $2}'; stat -c %a /t; /t/nothing 2>&1; grep ' /t ' /proc/self/mountinfo",
                     options=["--tmpfs", "/t:size=2m,mode=1770", "--shm-size", "3m"])
    assert out.split()[:3] == ["2048", "3072", "1770"] and "nosuid" in out and "nodev" in out


@pytest.mark.parametrize("propagation, arrives", [("rslave", True), ("rprivate", False)])
def test_propagation_of_a_volume(engine, world, propagation, arrives):
    """A mount that the host makes later, seen in the mount namespace that this engine lives in."""
    place = world.directory("volume")
    within = engine.mounts.words()
    subprocess.run([*within, "mount", "-t", "tmpfs", "volume", place], check=True)
    subprocess.run([*within, "mount", "--make-rshared", place], check=True)
    subprocess.run([*within, "mkdir", place / "sub"], check=True)
    name = engine.started(options=["-v", f"{place}:/data:{propagation}"])
    try:
        subprocess.run([*within, "mount", "-t", "tmpfs", "later", place / "sub"], check=True)
        assert (" /data/sub " in engine.exec(name, "cat", "/proc/self/mountinfo")) == arrives
    finally:
        engine.remove(name)
        subprocess.run([*within, "umount", "-R", place], check=True)


def test_a_read_only_root_with_places_to_write(engine):
    out = engine.run("sh", "-c", "touch /x 2>&1; touch /run/x && echo wrote; touch /dev/shm/x && echo wrote", options=["--read-only", "--tmpfs", "/run"])
    assert "Read-only" in out and out.count("wrote") == 2


# devices, sysctl

def need_devices(*numbers):
    for number in numbers:
        if not os.path.exists(f"/sys/dev/char/{number}"):
            pytest.skip(f"no device {number} here")


def test_a_device(engine):
    need_devices("10:229")
    out = engine.run("sh", "-c", "stat -c '%F %t:%T' /dev/given; (: < /dev/given) && echo open; (: > /dev/given) 2>&1 || echo held", options=["--device", "/dev/fuse:/dev/given:r"])
    assert out.startswith("character special file a:e5") and "open" in out and "held" in out


def test_a_rule_for_devices(engine):
    need_devices("10:229", "10:237")
    out = engine.run("sh", "-c", "mknod /srv/n c 10 237 && (: < /srv/n) && echo open; mknod /srv/m c 10 229 && (: < /srv/m) 2>&1 || echo held",
                     options=["--device-cgroup-rule", "c 10:237 rmw"])
    assert "open" in out and "held" in out


def test_sysctl(engine):
    out = engine.run("cat", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/msgmax", options=["--sysctl", "net.core.somaxconn=321", "--sysctl", "kernel.msgmax=54321"])
    assert out.split() == ["321", "54321"]


# limits

@pytest.mark.parametrize("rows", [
    [("memory", "memory.limit_in_bytes", 70 * MIB, "-m", "70m"), ("memory", "memory.soft_limit_in_bytes", 35 * MIB, "--memory-reservation", "35m"),
     ("cpu", "cpu.cfs_quota_us", 50000, "--cpus", "0.5"), ("cpu", "cpu.shares", 333, "--cpu-shares", "333"),
     ("cpuset", "cpuset.cpus", 0, "--cpuset-cpus", "0"), ("pids", "pids.max", 77, "--pids-limit", "77")],
    [("pids", "pids.max", "max", "--pids-limit", "-1"), ("cpu", "cpu.cfs_period_us", 50000, "--cpu-period", "50000"),
     ("cpu", "cpu.cfs_quota_us", 20000, "--cpu-quota", "20000")]], ids=["some", "others"])
def test_limits(engine, rows):
    if "memory" not in own_cgroups():
        pytest.skip("no cgroup v1 here")
    name = engine.started(options=[word for row in rows for word in row[3:]])
    try:
        assert [(file, (cgroup_of(engine.pid(name), controller) / file).read_text().strip()) for controller, file, *_ in rows] == [(file, str(value)) for _, file, value, *_ in rows]
    finally:
        engine.remove(name)


def test_who_takes_too_much_memory_is_ended(engine):
    """Docker reports it as such; podman 4.3's monitor can't see it under v1 with any runtime that is not root's own cgroup."""
    name = engine.create("sh", "-c", "dd if=/dev/zero of=/dev/shm/big bs=1M count=200", options=["-m", "48m", "--memory-swap", "48m", "--shm-size", "300m"])
    try:
        engine.call("start", "-a", name, status=None)
        assert engine.inspect(name, "{{.State.ExitCode}}") == "137"
        if engine.name == "docker":
            poll(lambda: engine.inspect(name, "{{.State.OOMKilled}}") == "true", 10, "no word of the OOM killer")
    finally:
        engine.remove(name)


def test_forks_without_end_are_held(engine):
    name = engine.started("sh", "-c", "echo up; sh -c 'while :; do sleep 1000 & done' 2>/dev/null; exec sleep 1000", options=["--pids-limit", "30"])
    try:
        assert int((cgroup_of(engine.pid(name), "pids") / "pids.current").read_text()) <= 30
        assert engine.status(name) == "running"
    finally:
        engine.remove(name)
