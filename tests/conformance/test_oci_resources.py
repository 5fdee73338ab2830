"""linux.cgroupsPath and linux.resources, read back from the files of the kernel, in each view of the cgroups."""

import json
import os
import re
import resource
import stat
from pathlib import Path

import pytest

from lib import oci
from lib.oci_bundle import device_rule
from lib.runner import poll
from lib.world import own_cgroups

MIB = 1 << 20


@pytest.fixture(params=oci.VIEWS)
def viewed(request, make_runtime, oci_program):
    """As root in each view that this machine can give and the runtime takes."""
    view = request.param
    hybrid = os.path.ismount("/sys/fs/cgroup/unified")
    if view != "machine" and not hybrid:
        pytest.skip("no v1 hybrid here: its parts can't be looked at alone")
    if oci_program.name == "crun" and view != "v1-only":
        pytest.xfail("crun refuses the hybrid, and in its v2 part it fails on a limit")
    return make_runtime(view=view)


@pytest.fixture
def v1(make_runtime):
    """Where v1's controllers are: the machine's own view if it is a hybrid."""
    if not os.path.isdir("/sys/fs/cgroup/memory"):
        pytest.skip("no cgroup v1 here")
    return make_runtime()


@pytest.fixture
def v2(make_runtime, oci_program):
    """Where v2 is all there is."""
    if oci_program.name == "crun":
        pytest.xfail("crun fails in a v2 view here on a limit of its own")
    runtime = make_runtime(view="v2-only" if os.path.ismount("/sys/fs/cgroup/unified") else "machine")
    runtime.controllers = Path("/sys/fs/cgroup/unified/cgroup.controllers" if runtime.view == "v2-only" else "/sys/fs/cgroup/cgroup.controllers").read_text().split()
    return runtime


def read(container, controller, name):
    return (container.cgroup(controller) / name).read_text().strip()


# where

def test_an_absolute_path_is_below_each_mount_point(viewed, waiting):
    bundle = viewed.bundle()
    container = waiting(viewed, bundle)
    places = own_cgroups(container.pid)
    joined = {names: path for names, path in places.items() if str(path).endswith(bundle.linux["cgroupsPath"])}
    expected = {names for names in own_cgroups() if viewed.view == "machine" or (viewed.view == "v2-only") == (names == "")}
    missing = expected - set(joined) - ({""} if viewed.view == "machine" else set())  # v2's part of a hybrid holds nothing that is asked for
    assert joined and not missing, f"{missing} of {places}"
    assert all(container.pid in oci.cgroup_processes(path) for path in joined.values())


def test_it_goes_with_the_container(viewed, nothing_left):
    bundle = viewed.bundle()
    container = viewed.started(bundle)
    assert container.wait() == 0
    container.delete()
    left = [top / bundle.linux["cgroupsPath"].split("/", 2)[2] for top in oci.cgroup_tops(viewed.view).values()]
    assert left and not [path for path in left if path.exists()]
    nothing_left([viewed])


def test_a_path_of_several_new_directories(runtime, waiting):
    bundle = runtime.bundle()
    bundle.linux["cgroupsPath"] += "/more/of/it"
    container = waiting(runtime, bundle)
    place = container.cgroup("memory")
    assert str(place).endswith(bundle.linux["cgroupsPath"])
    container.delete("--force")
    container.wait()
    assert not place.exists()
    remove_parents(container)


def remove_parents(container):
    """The directories on the way to its cgroup are others' to share: runtimes leave them."""
    first, rest = container.bundle.linux["cgroupsPath"].split("/")[2], container.bundle.linux["cgroupsPath"].split("/")[3:]
    for top in oci.cgroup_tops().values():
        for length in range(len(rest), -1, -1):
            place = top.joinpath(first, *rest[:length])
            if place.exists():
                place.rmdir()


def test_the_same_path_is_the_same_place(runtime, waiting):
    """Given the same value it MUST be attached to the same place; a cgroup with processes may be refused."""
    first = waiting(runtime, runtime.bundle())
    bundle = runtime.bundle()
    bundle.linux["cgroupsPath"] = first.bundle.linux["cgroupsPath"]
    made = runtime.try_create(bundle.args("sleep", "1000"))
    if isinstance(made, oci.Container):
        assert made.cgroup("memory") == first.cgroup("memory")
        made.delete("--force")
    first.is_now("running")


def test_an_absent_path_is_the_runtimes_choice(runtime, waiting, oci_leaks):
    bundle = runtime.bundle().remove("linux.cgroupsPath")
    container = waiting(runtime, bundle)
    place = container.cgroup("memory")
    assert place.exists() and place != own_cgroups()["memory" if "memory" in own_cgroups() else ""]
    container.delete("--force")
    container.wait()
    poll(lambda: not place.exists(), 5, f"{place} is left")
    for path in own_cgroups().values():  # what its own default is below stays: runc's parents
        parent = path / "user.slice"
        assert not parent.exists() or parent.is_dir()


@pytest.mark.parametrize("path", ["/../escape", "/a/../../../escape", "a/../../../../escape", "/a\x00b", "/" + "x" * 5000], ids=lambda path: path[:20])
def test_paths_that_lead_elsewhere(runtime, path, nothing_left):
    """Never above the mount point: it is refused, or what is meant lies below it."""
    bundle = runtime.bundle().sh("exit 0")
    bundle.linux["cgroupsPath"] = f"{oci.slice_name()}{path}" if path.startswith("/") else f"{oci.slice_name()}/{path}"
    made = runtime.try_create(bundle)
    if isinstance(made, oci.Container):
        place = made.cgroup("memory")
        assert place.is_relative_to("/sys/fs/cgroup"), place
        made.delete("--force")
        for each in {*own_cgroups().values()}:
            top = oci.mount_of(each, next(names for names, found in own_cgroups().items() if found == each))
            escape = top / "escape"
            if escape.exists():
                escape.rmdir()
    else:
        runtime.refused(made)
    nothing_left([runtime])


@pytest.mark.parametrize("value", [5, ["/x"], ""], ids=str)
def test_paths_that_are_none(runtime, value):
    bundle = runtime.bundle()
    bundle.linux["cgroupsPath"] = value
    if value == "":
        made = runtime.create(bundle)  # absent to all engines
        made.delete("--force")
        return
    runtime.rejects(bundle, field="linux.cgroupsPath")


def test_limits_hold_from_the_first_instruction(v1):
    """The program never runs outside: also not what its hooks' namespace shows."""
    bundle = v1.bundle().sh("cat /proc/self/cgroup").resources(pids={"limit": 50})
    lines = v1.output(bundle).splitlines()
    path = bundle.linux["cgroupsPath"]
    assert [line for line in lines if "pids" in line and line.endswith(path)], lines


def test_a_cgroup_file_system_shows_the_containers_own(viewed):
    """As the entry in mounts has it: read-only, with v1's hierarchies each below its name."""
    where = "/sys/fs/cgroup" if viewed.view == "v2-only" else "/sys/fs/cgroup/memory"
    bundle = viewed.bundle().namespace("cgroup").sh(f"cat {where}/cgroup.procs; mkdir {where}/x 2>&1; grep ' {where} ' /proc/self/mountinfo")
    outcome = viewed.run(bundle)
    lines = outcome.ok().lines()
    assert "1" in lines and any("Read-only" in line for line in lines), lines
    mount = oci.mount_at("\n".join(line for line in lines if " - " in line), where)
    assert mount.kind == ("cgroup2" if viewed.view == "v2-only" else "cgroup") and "ro" in mount.options


# memory

@pytest.mark.parametrize("fields, name, value", [
    ({"limit": 64 * MIB}, "memory.limit_in_bytes", str(64 * MIB)), ({"limit": 64 * MIB, "reservation": 32 * MIB}, "memory.soft_limit_in_bytes", str(32 * MIB)),
    ({"swappiness": 0}, "memory.swappiness", "0"), ({"swappiness": 77}, "memory.swappiness", "77"),
    ({"disableOOMKiller": True, "limit": 64 * MIB}, "memory.oom_control", "oom_kill_disable 1"),
    ({"limit": 4096 * 1000 + 1}, "memory.limit_in_bytes", str(4096 * 1000)), ({"useHierarchy": True}, "memory.use_hierarchy", "1")], ids=lambda value: str(value)[:30])
def test_memory(v1, fields, name, value, waiting):
    container = waiting(v1, v1.bundle().resources(memory=fields))
    assert read(container, "memory", name).splitlines()[0] == value


def test_memory_and_swap(v1, waiting):
    """The limit of both together."""
    container = waiting(v1, v1.bundle().resources(memory={"limit": 64 * MIB, "swap": 96 * MIB}))
    if not (container.cgroup("memory") / "memory.memsw.limit_in_bytes").exists():
        pytest.skip("the kernel doesn't account for swap")
    assert read(container, "memory", "memory.memsw.limit_in_bytes") == str(96 * MIB)


@pytest.mark.parametrize("value", [-1, 0])
def test_memory_without_a_limit(v1, value, waiting):
    """-1 for unlimited; 0 is what engines write for nothing."""
    container = waiting(v1, v1.bundle().resources(memory={"limit": value, "reservation": value, "swap": value}))
    assert int(read(container, "memory", "memory.limit_in_bytes")) > 1 << 60


def test_the_kernel_ends_who_takes_too_much(runtime):
    bundle = runtime.bundle().resources(memory={"limit": 48 * MIB, "swap": 48 * MIB}).mount("/data", "tmpfs", "size=100m")
    container = runtime.started(bundle.args("dd", "if=/dev/zero", "of=/data/big", "bs=1M", "count=90"))
    assert container.wait() == 128 + 9
    container.is_now("stopped")


@pytest.mark.parametrize("fields", [{"limit": "64m"}, {"limit": 1.5}, {"limit": -2}, {"swappiness": 101}, {"swappiness": -1}, {"limit": 1 << 64},
                                    {"disableOOMKiller": "no"}, {"limit": 64 * MIB, "swap": 32 * MIB}, "64m"], ids=str)
def test_memory_that_is_none(v1, fields, nothing_left):
    name = "linux.resources.memory" if isinstance(fields, str) or len(fields) > 1 else f"linux.resources.memory.{next(iter(fields))}"
    v1.rejects(v1.bundle().resources(memory=fields), field=name)
    nothing_left([v1])


# processes

def test_tasks(v1, waiting):
    container = waiting(v1, v1.bundle().resources(pids={"limit": 23}))
    assert read(container, "pids", "pids.max") == "23"


def test_tasks_are_held(runtime):
    bundle = runtime.bundle().resources(pids={"limit": 10}).sh("sh -c 'for n in $(seq 30); do sleep 1000 & done' 2>&1; echo full; exec sleep 1000")
    container = runtime.started(bundle)
    assert b"can't fork" in container.expect(b"full\n")
    assert 5 <= len(oci.cgroup_processes(container.cgroup("pids"))) <= 10
    container.call("kill", "KILL")
    container.wait()


@pytest.mark.parametrize("value", [-1, 0])
def test_tasks_without_a_limit(v1, value, waiting):
    container = waiting(v1, v1.bundle().resources(pids={"limit": value}))
    assert read(container, "pids", "pids.max") == "max"


@pytest.mark.parametrize("fields", [{"limit": "5"}, {"limit": 1.5}, {"limit": 1 << 63}, "5"], ids=str)
def test_tasks_that_are_none(runtime, fields, nothing_left):
    runtime.rejects(runtime.bundle().resources(pids=fields), field="linux.resources.pids")
    nothing_left([runtime])


# processors

@pytest.mark.parametrize("fields, name, value", [({"shares": 512}, "cpu.shares", "512"), ({"quota": 50000, "period": 100000}, "cpu.cfs_quota_us", "50000"),
                                                 ({"quota": 20000, "period": 40000}, "cpu.cfs_period_us", "40000"), ({"quota": -1}, "cpu.cfs_quota_us", "-1"),
                                                 ({"quota": 50000}, "cpu.cfs_period_us", "100000"), ({"period": 50000}, "cpu.cfs_period_us", "50000"),
                                                 ({"quota": 50000, "period": 100000, "burst": 30000}, "cpu.cfs_burst_us", "30000"), ({"idle": 1}, "cpu.idle", "1")], ids=str)
def test_processor_time(v1, fields, name, value, waiting):
    container = waiting(v1, v1.bundle().resources(cpu=fields))
    if not (container.cgroup("cpu") / name).exists():
        pytest.skip(f"the kernel has no {name}")
    assert read(container, "cpu", name) == value


def test_processors(v1, waiting):
    container = waiting(v1, v1.bundle().resources(cpu={"cpus": "0", "mems": "0"}))
    assert (read(container, "cpuset", "cpuset.cpus"), read(container, "cpuset", "cpuset.mems")) == ("0", "0")
    assert os.sched_getaffinity(container.pid) == {0}


def test_processors_below_a_new_directory(v1, waiting):
    """v1's cpuset takes nobody before each directory on the way has its own."""
    bundle = v1.bundle().resources(cpu={"cpus": "0"})
    bundle.linux["cgroupsPath"] += "/one/two"
    container = waiting(v1, bundle)
    assert read(container, "cpuset", "cpuset.cpus") == "0"
    container.delete("--force")
    container.wait()
    remove_parents(container)


@pytest.mark.parametrize("fields", [{"shares": "512"}, {"shares": -1}, {"quota": 1.5}, {"cpus": "0-"}, {"cpus": "9999"}, {"cpus": 0}, {"mems": "77"},
                                    {"quota": 10000, "burst": 20000}, {"period": 1}, {"quota": 1}, {"idle": 2}], ids=str)
def test_processors_that_are_none(v1, fields, nothing_left):
    v1.rejects(v1.bundle().resources(cpu=fields), field="linux.resources.cpu")
    nothing_left([v1])


# block devices, networks, huge pages

def block_device():
    """A whole disk of this machine: (major, minor), or a skip."""
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("loop", "zram", "ram")):
            return tuple(int(part) for part in Path("/sys/block", name, "dev").read_text().split(":"))
    pytest.skip("no disk")


@pytest.mark.parametrize("field, name", [("throttleReadBpsDevice", "blkio.throttle.read_bps_device"), ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
                                         ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"), ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device")])
def test_rates_of_block_devices(v1, field, name, waiting):
    major, minor = block_device()
    container = waiting(v1, v1.bundle().resources(blockIO={field: [{"major": major, "minor": minor, "rate": 1234567}]}))
    assert read(container, "blkio", name) == f"{major}:{minor} 1234567"


@pytest.mark.parametrize("fields", [{"weight": "500"}, {"weight": 70000}, {"throttleReadBpsDevice": [{"major": 8}]}, {"throttleReadBpsDevice": {"major": 8}}], ids=str)
def test_block_io_that_is_none(v1, fields, nothing_left):
    v1.rejects(v1.bundle().resources(blockIO=fields), field=f"linux.resources.blockIO.{next(iter(fields))}")
    nothing_left([v1])


@pytest.mark.parametrize("fields", [{"network": {"classID": 1048577}}, {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 * MIB}]},
                                    {"rdma": {"mlx5_1": {"hcaHandles": 3}}}], ids=str)
def test_controllers_that_are_not_there_are_refused(v1, fields, nothing_left):
    """Never dropped in silence."""
    name = {"network": "net_cls", "hugepageLimits": "hugetlb", "rdma": "rdma"}[next(iter(fields))]
    if any(name in names.split(",") for names in own_cgroups()) or name == "hugetlb" and "" in own_cgroups():
        pytest.skip(f"{name} is there")
    v1.rejects(v1.bundle().resources(**fields), field=f"linux.resources.{next(iter(fields))}")
    nothing_left([v1])


@pytest.mark.parametrize("size", ["2MB", "1GB"])
def test_huge_pages_in_v2(v2, size, waiting):
    if "hugetlb" not in v2.controllers:
        pytest.skip("no hugetlb in v2")
    container = waiting(v2, v2.bundle().resources(hugepageLimits=[{"pageSize": size, "limit": 1 << 30}]))
    name = f"hugetlb.{size}.max"
    assert read(container, "", name) == str(1 << 30)


# v2

def test_unified(v2, waiting):
    """Its files by their names, with the controllers they need."""
    if "hugetlb" not in v2.controllers:
        pytest.skip("no controller that can be given away")
    container = waiting(v2, v2.bundle().resources(unified={"hugetlb.2MB.max": "4194304", "cgroup.max.depth": "3"}))
    assert (read(container, "", "hugetlb.2MB.max"), read(container, "", "cgroup.max.depth")) == ("4194304", "3")


@pytest.mark.parametrize("unified", [{"no.such.file": "1"}, {"../cgroup.procs": "1"}, {"memory.max": "nonsense"}, {"hugetlb.2MB.max": 5}, {"": "1"}, {"a/b": "1"}], ids=str)
def test_unified_that_is_none(v2, unified, nothing_left):
    v2.rejects(v2.bundle().resources(unified=unified), field="linux.resources.unified")
    nothing_left([v2])


def test_unified_without_v2(make_runtime, nothing_left):
    if not os.path.ismount("/sys/fs/cgroup/unified"):
        pytest.skip("no v1 hybrid here: its v1 part can't be looked at alone")
    runtime = make_runtime(view="v1-only")
    runtime.rejects(runtime.bundle().resources(unified={"memory.max": "10000000"}), field="linux.resources.unified")
    nothing_left([runtime])


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
    assert read(container, "memory", "memory.limit_in_bytes") == str(48 * MIB)
    assert read(container, "memory", "memory.soft_limit_in_bytes") == str(24 * MIB)
    assert [read(container, "cpu", name) for name in ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")] == ["333", "40000", "80000"]
    assert read(container, "pids", "pids.max") == "40"


@pytest.mark.parametrize("flag, value, controller, name, shown", [
    ("--memory", str(40 * MIB), "memory", "memory.limit_in_bytes", str(40 * MIB)), ("--memory-reservation", str(20 * MIB), "memory", "memory.soft_limit_in_bytes", str(20 * MIB)),
    ("--cpu-share", "222", "cpu", "cpu.shares", "222"), ("--cpu-quota", "30000", "cpu", "cpu.cfs_quota_us", "30000"), ("--cpu-period", "50000", "cpu", "cpu.cfs_period_us", "50000"),
    ("--pids-limit", "31", "pids", "pids.max", "31"), ("--cpuset-cpus", "0", "cpuset", "cpuset.cpus", "0"), ("--cpuset-mems", "0", "cpuset", "cpuset.mems", "0")])
def test_update_by_flags(v1, flag, value, controller, name, shown, waiting):
    container = waiting(v1, v1.bundle())
    v1.call("update", flag, value, container.id).ok()
    assert read(container, controller, name) == shown


def test_update_leaves_the_rest(v1, waiting):
    container = waiting(v1, v1.bundle().resources(memory={"limit": 64 * MIB}, pids={"limit": 50}))
    v1.call("update", "--cpu-share", "700", container.id).ok()
    assert (read(container, "memory", "memory.limit_in_bytes"), read(container, "pids", "pids.max")) == (str(64 * MIB), "50")


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
    assert (read(container, "memory", "memory.limit_in_bytes"), read(container, "pids", "pids.max")) == (str(64 * MIB), "50")


def test_update_of_a_created_container(v1):
    container = v1.create(v1.bundle())
    v1.call("update", "--pids-limit", "44", container.id).ok()
    assert read(container, "pids", "pids.max") == "44"


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
