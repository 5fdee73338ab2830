"""linux.cgroupsPath and linux.resources, read back from the files of the kernel, in each view of the cgroups."""

import os
from pathlib import Path

import pytest

from lib import oci
from lib.runner import poll
from lib.world import own_cgroups

MIB = 1 << 20


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
    assert container.read("memory", name).splitlines()[0] == value


def test_memory_and_swap(v1, waiting):
    """The limit of both together."""
    container = waiting(v1, v1.bundle().resources(memory={"limit": 64 * MIB, "swap": 96 * MIB}))
    if not (container.cgroup("memory") / "memory.memsw.limit_in_bytes").exists():
        pytest.skip("the kernel doesn't account for swap")
    assert container.read("memory", "memory.memsw.limit_in_bytes") == str(96 * MIB)


@pytest.mark.parametrize("value", [-1, 0])
def test_memory_without_a_limit(v1, value, waiting):
    """-1 for unlimited; 0 is what engines write for nothing."""
    container = waiting(v1, v1.bundle().resources(memory={"limit": value, "reservation": value, "swap": value}))
    assert int(container.read("memory", "memory.limit_in_bytes")) > 1 << 60


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
    assert container.read("pids", "pids.max") == "23"


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
    assert container.read("pids", "pids.max") == "max"


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
    assert container.read("cpu", name) == value


def test_processors(v1, waiting):
    container = waiting(v1, v1.bundle().resources(cpu={"cpus": "0", "mems": "0"}))
    assert (container.read("cpuset", "cpuset.cpus"), container.read("cpuset", "cpuset.mems")) == ("0", "0")
    assert os.sched_getaffinity(container.pid) == {0}


def test_processors_below_a_new_directory(v1, waiting):
    """v1's cpuset takes nobody before each directory on the way has its own."""
    bundle = v1.bundle().resources(cpu={"cpus": "0"})
    bundle.linux["cgroupsPath"] += "/one/two"
    container = waiting(v1, bundle)
    assert container.read("cpuset", "cpuset.cpus") == "0"
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
    assert container.read("blkio", name) == f"{major}:{minor} 1234567"


@pytest.mark.parametrize("fields", [{"weight": "500"}, {"weight": 70000}, {"throttleReadBpsDevice": [{"major": 8}]}, {"throttleReadBpsDevice": {"major": 8}}], ids=str)
def test_block_io_that_is_none(v1, fields, nothing_left):
    v1.rejects(v1.bundle().resources(blockIO=fields), field=f"linux.resources.blockIO.{next(iter(fields))}")
    nothing_left([v1])


@pytest.mark.parametrize("fields, name", [({"network": {"classID": 1048577}}, "net_cls"), ({"hugepageLimits": [{"pageSize": "2MB", "limit": 2 * MIB}]}, "hugetlb"),
                                          ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "rdma")], ids=["net_cls", "hugetlb", "rdma"])
def test_controllers_that_are_not_there_are_refused(make_runtime, fields, name, nothing_left):
    """Never dropped in silence. (v2's part of a hybrid may have one: here it is taken away.)"""
    if any(name in names.split(",") for names in own_cgroups()):
        pytest.skip(f"{name} is there")
    runtime = make_runtime(view="v1-only" if os.path.ismount("/sys/fs/cgroup/unified") else "machine")
    if runtime.view == "machine" and name in Path("/sys/fs/cgroup/cgroup.controllers").read_text().split():
        pytest.skip(f"{name} is there")
    runtime.rejects(runtime.bundle().resources(**fields), field=f"linux.resources.{next(iter(fields))}")
    nothing_left([runtime])


@pytest.mark.parametrize("size", ["2MB", "1GB"])
def test_huge_pages_in_v2(v2, size, waiting):
    if "hugetlb" not in v2.controllers:
        pytest.skip("no hugetlb in v2")
    container = waiting(v2, v2.bundle().resources(hugepageLimits=[{"pageSize": size, "limit": 1 << 30}]))
    name = f"hugetlb.{size}.max"
    assert container.read("", name) == str(1 << 30)


# v2

def test_unified(v2, waiting):
    """Its files by their names, with the controllers they need."""
    if "hugetlb" not in v2.controllers:
        pytest.skip("no controller that can be given away")
    container = waiting(v2, v2.bundle().resources(unified={"hugetlb.2MB.max": "4194304", "cgroup.max.depth": "3"}))
    assert (container.read("", "hugetlb.2MB.max"), container.read("", "cgroup.max.depth")) == ("4194304", "3")


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


def test_a_cgroup_that_cannot_be_made_is_named_once(runtime, nothing_left):
    """By its whole path: that of a file of the one above."""
    bundle = runtime.bundle()
    bundle.linux["cgroupsPath"] = f"{oci.slice_name()}/cgroup.procs/box"
    outcome = runtime.try_create(bundle)
    runtime.refused(outcome, "not a directory")
    assert runtime.is_reference or outcome.err.count(b"/cgroup.procs") == 1 and f"{oci.slice_name()}/cgroup.procs:".encode() in outcome.err, f"{outcome}"
    nothing_left([runtime])


# classes of the processor's resources

@pytest.mark.parametrize("asked", [{}, {"closID": "gold"}, {"l3CacheSchema": "L3:0=f"}, {"enableCMT": True}], ids=str)
def test_a_class_that_this_processor_has_not(runtime, asked, nothing_left):
    """An object without members asks for a class, too."""
    runtime.rejects(runtime.bundle().set("linux.intelRdt", asked), "resctrl", field="linux.intelRdt")
    nothing_left([runtime])
