"""What a running container is told: rules of devices, update, pause and resume; and what is asked of it: events and ps."""

import json
import os
import re
import resource
import stat
from pathlib import Path

import pytest

from lib.oci_bundle import device_rule
from lib.runner import poll
from lib.world import own_cgroups

MIB = 1 << 20


# devices

# Whole machines have these, and no container by default: fuse, loop-control, loop0.
NODES = {"fuse": ("c", 10, 229), "control": ("c", 10, 237), "loop": ("b", 7, 0)}
FUSE, CONTROL, LOOP = (("c", 10, 229), ("c", 10, 237), ("b", 7, 0))


def devices_bundle(runtime, *rules):
    """With those rules after one that closes all, and the nodes in its root file system."""
    bundle = runtime.bundle(own_rootfs=True).resources(devices=[device_rule(False), *rules])
    for name, (kind, major, minor) in NODES.items():
        os.mknod(bundle.rootfs / "srv" / name, 0o666 | (stat.S_IFCHR if kind == "c" else stat.S_IFBLK), os.makedev(major, minor))
        if not os.path.exists(f"/sys/dev/{'char' if kind == 'c' else 'block'}/{major}:{minor}"):
            pytest.skip(f"no {name} on this machine")
    return bundle


def opened(runtime, bundle, how="<"):
    """Which of the nodes its program can open."""
    return runtime.output(bundle.sh(f"cd /srv; for n in {' '.join(NODES)}; do (: {how} $n) 2>/dev/null && echo $n; done; true")).split()


@pytest.mark.parametrize("rules, expected", [
    ([], []), ([device_rule(True, *FUSE)], ["fuse"]), ([device_rule(True, "c", 10)], ["fuse", "control"]), ([device_rule(True, "c")], ["fuse", "control"]),
    ([device_rule(True, "b")], ["loop"]), ([device_rule(True, *LOOP), device_rule(True, *CONTROL)], ["control", "loop"]),
    ([device_rule(True, *FUSE, "w")], []), ([device_rule(True, *FUSE, "r")], ["fuse"]), ([device_rule(True, *FUSE, "m")], []),
    ([device_rule(True)], [*NODES]), ([device_rule(True, "a")], [*NODES]), ([device_rule(True), device_rule(False)], []),
    ([device_rule(True), device_rule(False, *LOOP)], ["fuse", "control"]), ([device_rule(True, *FUSE), device_rule(False, *FUSE)], []),
    ([device_rule(True, "b", 10, 229)], [])], ids=lambda value: str(value)[:90])
def test_device_rules(viewed, rules, expected):
    """In the listed order."""
    assert opened(viewed, devices_bundle(viewed, *rules)) == expected


def test_writing_is_a_right_of_its_own(viewed):
    assert opened(viewed, devices_bundle(viewed, device_rule(True, *FUSE, "w"), device_rule(True, *CONTROL, "r")), ">") == ["fuse"]


def test_a_hole_in_a_rule(viewed):
    """All of a major but one: v1 can't say that, and then it is refused and not dropped."""
    outcome = viewed.run(devices_bundle(viewed, device_rule(True, "c", 10), device_rule(False, *CONTROL)).sh("(: < /srv/control) 2>&1"))
    assert outcome.exit != 0, f"{outcome}"
    if viewed.view == "v2-only":
        assert b"not permitted" in outcome.out, f"{outcome}"


def test_mknod_is_a_right_of_its_own(viewed):
    bundle = devices_bundle(viewed, device_rule(True, *FUSE, "m"), device_rule(True, *CONTROL, "rw"))
    outcome = viewed.run(bundle.sh("cd /srv; rm fuse control; mknod fuse c 10 229 && (: < fuse) || echo closed; mknod control c 10 237 && echo made"))
    assert outcome.out in (b"closed\n", b"closed\nmade\n") and b"not permitted" in outcome.err, f"{outcome}"  # mknod of all is a default of some


def test_dockers_rules_let_docker_devices_be(viewed):
    bundle = viewed.bundle().sh("for n in null zero urandom random; do head -c 1 /dev/$n > /dev/null && echo $n; done; exec 3<>/dev/ptmx && echo ptmx")
    assert viewed.output(bundle).split() == ["null", "zero", "urandom", "random", "ptmx"]


@pytest.mark.parametrize("rule, field", [({"type": "c"}, "allow"), ({"allow": "yes"}, "allow"), ({"allow": True, "type": "x"}, "type"),
                                         ({"allow": True, "type": "c", "major": "1"}, "major"), ({"allow": True, "access": "rwx"}, "access"),
                                         ({"allow": True, "access": 5}, "access"), ("all", "")], ids=str)
def test_rules_that_are_none(runtime, rule, field, nothing_left):
    runtime.rejects(runtime.bundle().resources(devices=[rule]), field=f"linux.resources.devices[0].{field}".rstrip("."))
    nothing_left([runtime])


# update

@pytest.mark.parametrize("form", ["standard input", "file"])
def test_update_by_a_file(v1, form, waiting):
    container = waiting(v1, v1.bundle().resources(memory={"limit": 64 * MIB}, pids={"limit": 50}))
    data = json.dumps({"memory": {"limit": 48 * MIB, "reservation": 24 * MIB}, "cpu": {"shares": 333, "quota": 40000, "period": 80000}, "pids": {"limit": 40}}).encode()
    if form == "file":
        path = v1.directory("update") / "resources.json"
        path.write_bytes(data)
        v1.call("update", "--resources", path, container.id).ok()
    else:
        v1.call("update", "--resources", "-", container.id, input=data).ok()
    assert container.read("memory", "memory.limit_in_bytes") == str(48 * MIB)
    assert container.read("memory", "memory.soft_limit_in_bytes") == str(24 * MIB)
    assert [container.read("cpu", name) for name in ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")] == ["333", "40000", "80000"]
    assert container.read("pids", "pids.max") == "40"


@pytest.mark.parametrize("flag, value, controller, name, shown", [
    ("--memory", str(40 * MIB), "memory", "memory.limit_in_bytes", str(40 * MIB)), ("--memory-reservation", str(20 * MIB), "memory", "memory.soft_limit_in_bytes", str(20 * MIB)),
    ("--cpu-share", "222", "cpu", "cpu.shares", "222"), ("--cpu-quota", "30000", "cpu", "cpu.cfs_quota_us", "30000"), ("--cpu-period", "50000", "cpu", "cpu.cfs_period_us", "50000"),
    ("--pids-limit", "31", "pids", "pids.max", "31"), ("--cpuset-cpus", "0", "cpuset", "cpuset.cpus", "0"), ("--cpuset-mems", "0", "cpuset", "cpuset.mems", "0")])
def test_update_by_flags(v1, flag, value, controller, name, shown, waiting):
    container = waiting(v1, v1.bundle())
    v1.call("update", flag, value, container.id).ok()
    assert container.read(controller, name) == shown


def test_update_leaves_the_rest(v1, waiting):
    container = waiting(v1, v1.bundle().resources(memory={"limit": 64 * MIB}, pids={"limit": 50}))
    v1.call("update", "--cpu-share", "700", container.id).ok()
    assert (container.read("memory", "memory.limit_in_bytes"), container.read("pids", "pids.max")) == (str(64 * MIB), "50")


def test_update_keeps_the_devices_closed(v1):
    bundle = devices_bundle(v1, device_rule(True, *FUSE)).sh("echo began; read line; (: < /srv/fuse) && (: < /srv/loop) 2>&1; true")
    container = v1.started(bundle, pipes=(True, True, True))
    container.expect(b"began\n")
    v1.call("update", "--resources", "-", container.id, input=b'{"memory":{"limit":50000000}}').ok()
    container.running.send(b"\n")
    assert container.wait() == 0 and b"loop: Operation not permitted" in container.out, container.out


@pytest.mark.parametrize("data", [b"", b"nonsense", b"[]", b'{"memory":{"limit":"5"}}', b'{"pids":{"limit":"x"}}', b'{"cpu":{"cpus":"999"}}'])
def test_updates_that_are_none(v1, data, waiting):
    container = waiting(v1, v1.bundle().resources(memory={"limit": 64 * MIB}, pids={"limit": 50}))
    v1.refused(v1.call("update", "--resources", "-", container.id, input=data))
    assert (container.read("memory", "memory.limit_in_bytes"), container.read("pids", "pids.max")) == (str(64 * MIB), "50")


def test_update_of_a_created_container(v1):
    container = v1.create(v1.bundle())
    v1.call("update", "--pids-limit", "44", container.id).ok()
    assert container.read("pids", "pids.max") == "44"


def test_update_of_a_stopped_container_is_an_error(v1):
    container = v1.started(v1.bundle())
    container.wait()
    v1.refused(v1.call("update", "--pids-limit", "44", container.id))


# pause, resume

def frozen(container):
    """What the kernel says of it."""
    if container.runtime.view == "v2-only" or "freezer" not in own_cgroups():
        return (container.cgroup("") / "cgroup.freeze").read_text().strip() == "1"
    return (container.cgroup("freezer") / "freezer.state").read_text().strip() in ("FROZEN", "FREEZING")


def test_pause_and_resume(viewed):
    container = viewed.started(viewed.bundle().sh("echo began; while :; do echo tick; sleep 0.02; done"))
    container.expect(b"tick\n")
    container.call("pause").ok()
    container.is_now("paused")
    assert frozen(container)
    seen = len(container.out)
    poll(lambda: len(container.out) >= seen, 1, "output shrank")
    stopped_at = len(container.out)
    container.call("resume").ok()
    container.is_now("running")
    assert not frozen(container)
    poll(lambda: len(container.out) > stopped_at, 10, "it doesn't go on")
    container.kill("KILL")
    container.wait()


def test_pause_of_what_does_not_run(runtime):
    container = runtime.started(runtime.bundle())
    container.wait()
    runtime.refused(container.call("pause"))
    runtime.refused(container.call("resume"))


def test_resume_of_what_is_not_paused(runtime, waiting):
    container = waiting(runtime, runtime.bundle())
    outcome = container.call("resume")
    container.is_now("running")
    assert outcome.exit == 0 or runtime.refused(outcome)


@pytest.mark.parametrize("how", [["delete", "--force"], ["kill"]], ids=" ".join)
def test_the_end_of_a_paused_container(viewed, how, nothing_left):
    """v1's frozen tasks ignore SIGKILL until they are thawed: forced delete has to see to it; kill has to reach it once it goes on."""
    container = viewed.started(viewed.bundle().sh("echo began; exec sleep 1000"))
    container.expect(b"began\n")
    container.call("pause").ok()
    if how[0] == "kill":
        viewed.call("kill", container.id, "KILL")
        viewed.call("resume", container.id)
        assert container.wait() == 128 + 9
        container.delete()
    else:
        container.delete("--force")
        assert container.wait() == 128 + 9
    nothing_left([viewed])


def test_delete_of_a_paused_container_is_refused(runtime, waiting):
    container = waiting(runtime, runtime.bundle())
    container.call("pause").ok()
    runtime.refused(runtime.call("delete", container.id))
    container.is_now("paused")
    container.call("resume").ok()


# events, ps

def test_stats(v1, waiting):
    """One line of JSON, whose form engines parse."""
    container = waiting(v1, v1.bundle().resources(memory={"limit": 64 * MIB}, pids={"limit": 50}))
    row = json.loads(v1.call("events", "--stats", container.id).ok().out)
    assert (row["type"], row["id"]) == ("stats", container.id)
    data = row["data"]
    assert data["memory"]["usage"]["limit"] == 64 * MIB and 0 < data["memory"]["usage"]["usage"] <= 64 * MIB
    assert data["pids"] == {"current": 1, "limit": 50}
    assert data["cpu"]["usage"]["total"] > 0


def test_stats_of_a_stopped_container_is_an_error(v1):
    container = v1.started(v1.bundle())
    container.wait()
    v1.refused(v1.call("events", "--stats", container.id))


def test_events_tell_of_the_oom_killer(v1):
    bundle = v1.bundle().resources(memory={"limit": 48 * MIB, "swap": 48 * MIB}).mount("/data", "tmpfs", "size=100m")
    bundle.sh("echo began; read line; dd if=/dev/zero of=/data/big bs=1M count=90 2>/dev/null; echo survived; read line")
    container = v1.started(bundle, pipes=(True, True, True))
    container.expect(b"began\n")
    with v1.popen("events", "--interval", "1s", container.id) as events:
        events.expect(b'"stats"')
        container.running.send(b"\n")
        events.expect(b'"oom"')
    container.call("kill", "KILL")
    container.wait()


def test_ps(runtime):
    container = runtime.started(runtime.bundle().sh("sleep 1000 & echo began; exec sleep 1001"))
    container.expect(b"began\n")
    pids = json.loads(runtime.call("ps", "--format", "json", container.id).ok().out)
    assert container.pid in pids and len(pids) == 2, pids
    rows = runtime.call("ps", container.id).ok().lines()
    assert "PID" in rows[0].split() and sorted(int(row.split()[rows[0].split().index("PID")]) for row in rows[1:]) == sorted(pids)


def test_limits_of_the_caller_do_not_matter(runtime):
    """A daemon's own small limits are not the container's business."""
    outcome = runtime.run(runtime.bundle().sh("echo fine"), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    assert outcome.ok().out == b"fine\n"


def test_no_word_of_a_cgroup_that_is_not_asked_for(runtime):
    """--cgroup-manager disabled, where there is one."""
    if runtime.name == "runc":
        pytest.xfail("runc has no such option")
    bundle = runtime.bundle().remove("linux.resources").without_mount("/sys/fs/cgroup").sh("cat /proc/self/cgroup")
    outcome = runtime.run(bundle, options=["--cgroup-manager", "disabled"])
    mine = re.findall(r"(?m)^\d+:.*$", Path("/proc/self/cgroup").read_text())
    assert outcome.ok().lines() == mine
