"""linux.namespaces, user mappings, time offsets: new, by a path, and absent, each kind."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from lib import oci
from lib.rootless import subordinate
from lib.world import command

KINDS = {"mount": "mnt", "network": "net", "uts": "uts", "ipc": "ipc", "pid": "pid", "cgroup": "cgroup", "time": "time"}


def of_this_process(kind):
    return os.readlink(f"/proc/self/ns/{KINDS[kind]}")


def bundle_without(runtime, kind):
    bundle = runtime.bundle().without_namespace(kind)
    if kind == "uts":
        bundle.remove("hostname")
    if kind == "ipc":
        bundle.without_mount("/dev/mqueue", "/dev/shm")
    return bundle


@pytest.fixture
def keeper():
    """Starts processes that hold new namespaces; gives the paths of those."""
    started = []

    def make(*flags):
        process = subprocess.Popen(["unshare", *flags, "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        started.append(process)
        return f"/proc/{process.pid}/ns"

    yield make
    for process in started:
        process.stdin.close()
        process.stdout.close()
        process.wait(20)


@pytest.fixture
def nested(keeper):
    """Root of a user namespace, as an ordinary user's engine is: words that make one of a command, and where other namespaces of it are.

    /run is its own, and it can't enter what it comes from again.
    """
    directory = keeper("--user", "--net", "--uts", "--ipc", "--pid", "--fork")
    for file in ("uid_map", "gid_map"):
        Path(f"{directory}/../{file}").write_text("0 0 65536\n")
    return ["nsenter", f"--user={directory}/user", "unshare", "-m", "sh", "-c", 'mount -t tmpfs run /run && exec "$@"', "nested"], directory


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_new_namespace(runtime, kind, waiting):
    container = waiting(runtime, runtime.bundle().namespace(kind))
    assert container.namespace(KINDS[kind]) != of_this_process(kind)


@pytest.mark.parametrize("kind", ["network", "uts", "ipc", "pid", "cgroup", "time"])
def test_an_absent_namespace_is_the_runtimes(runtime, kind, waiting):
    container = waiting(runtime, bundle_without(runtime, kind))
    assert container.namespace(KINDS[kind]) == of_this_process(kind)


FLAGS = {"network": "--net", "uts": "--uts", "ipc": "--ipc", "cgroup": "--cgroup", "time": "--time", "mount": "--mount"}


@pytest.mark.parametrize("kind", ["network", "uts", "ipc", "cgroup", "time"])
def test_a_namespace_by_its_path(runtime, keeper, kind, waiting):
    directory = keeper(FLAGS[kind])
    path = f"{directory}/{'time_for_children' if kind == 'time' else KINDS[kind]}"
    bundle = runtime.bundle()
    if kind == "uts":
        bundle.remove("hostname")  # that of the namespace stays
    container = waiting(runtime, bundle.namespace(kind, path))
    assert container.namespace(KINDS[kind]) == os.readlink(path)


def test_a_pid_namespace_by_its_path(runtime, waiting):
    """That of another container: as --pid container:NAME has it."""
    first = waiting(runtime, runtime.bundle())
    second = waiting(runtime, runtime.bundle().namespace("pid", f"/proc/{first.pid}/ns/pid"))
    assert second.namespace("pid") == first.namespace("pid")
    assert runtime.call("exec", first.id, "sh", "-c", "ls -d /proc/[0-9]* | wc -l").ok().out.strip() not in (b"1", b"2")
    first.kill("KILL")
    assert second.wait() == 128 + 9, "who is in a pid namespace ends with it"


@pytest.mark.parametrize("kind", ["network", "ipc", "uts"])
def test_two_containers_share(runtime, kind, waiting):
    """A pod's: the second joins the first's."""
    first = waiting(runtime, runtime.bundle())
    bundle = runtime.bundle().namespace(kind, f"/proc/{first.pid}/ns/{KINDS[kind]}")
    if kind == "uts":
        bundle.remove("hostname").sh("hostname")
    second = waiting(runtime, bundle)
    assert second.namespace(KINDS[kind]) == first.namespace(KINDS[kind])
    assert second.namespace("mnt") != first.namespace("mnt")


def test_a_namespace_that_is_mounted(runtime, keeper, host_mounts, waiting):
    """As `ip netns add` and engines keep them."""
    path = runtime.directory("netns") / "kept"
    path.touch()
    host_mounts("--bind", f"{keeper('--net')}/net", path)
    container = waiting(runtime, runtime.bundle().namespace("network", path))
    assert container.namespace("net") == f"net:[{os.stat(path).st_ino}]"


def test_hostname_in_a_namespace_by_its_path(runtime, keeper):
    """It changes the one that is joined."""
    directory = keeper("--uts")
    bundle = runtime.bundle().namespace("uts", f"{directory}/uts").set("hostname", "joined").args("hostname")
    outcome = runtime.run(bundle)
    assert outcome.exit != 0 or outcome.out == b"joined\n", f"{outcome}"


@pytest.mark.parametrize("path, needle", [("/no/such/file", "no such file"), ("/etc/passwd", "namespace|invalid|inappropriate"),
                                          ("relative/path", "absolute|no such file|invalid"), ("/proc/self/ns/uts", "namespace|invalid|type|match")])
def test_paths_that_are_no_such_namespace(runtime, path, needle, nothing_left):
    """The runtime MUST generate an error if `path` is not associated with a namespace of type `type`."""
    runtime.rejects(runtime.bundle().namespace("network", path), needle, field="linux.namespaces")
    nothing_left([runtime])


@pytest.mark.parametrize("entry", [{"type": "nosuch"}, {}, {"type": 5}, {"type": "pid", "path": 5}, "pid", {"type": "PID"}], ids=str)
def test_namespaces_that_are_none(runtime, entry, nothing_left):
    bundle = runtime.bundle()
    bundle.linux["namespaces"] = [each for each in bundle.linux["namespaces"] if each["type"] != "pid"] + [entry]
    runtime.rejects(bundle, field="linux.namespaces[4]")
    nothing_left([runtime])


def test_one_kind_twice(runtime, nothing_left):
    """Duplicated namespaces with same `type`: the runtime MUST generate an error."""
    bundle = runtime.bundle()
    bundle.linux["namespaces"].append({"type": "ipc"})
    runtime.rejects(bundle, field="linux.namespaces[5]")
    nothing_left([runtime])


def test_without_a_mount_namespace_nothing_is_mounted(runtime, nothing_left):
    """A root file system of its own without one would be the host's: an error, as engines' runtimes have it."""
    bundle = runtime.bundle().without_namespace("mount").write()
    watched = 'cat /proc/self/mountinfo; "$@"; status=$?; echo; cat /proc/self/mountinfo; exit $status'
    argv = ["unshare", "-m", "sh", "-c", watched, "sh", *runtime.argv("run", "--bundle", bundle.directory, runtime.new_id())]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=runtime.environment(), cwd="/")
    before, _, after = done.stdout.partition("\n\n")
    assert done.returncode != 0 and before.split("\n") == after.strip("\n").split("\n"), f"{done}"
    assert re.search("mount|namespace", done.stderr), f"{done}"
    nothing_left([runtime])


def test_a_mount_namespace_that_is_named(runtime, keeper, waiting):
    """Its root is the container's then, and nothing of the host's is in it; the host's mounts stay as they are."""
    directory = keeper("--mount")
    before = Path("/proc/self/mountinfo").read_text()
    container = waiting(runtime, runtime.bundle().namespace("mount", f"{directory}/mnt"))
    assert container.namespace("mnt") == os.readlink(f"{directory}/mnt")
    assert os.path.samestat(os.stat(container.path("/")), os.stat(f"{directory}/../root"))
    assert container.path("/etc/image-file").read_text() == "image\n"
    assert not [line for line in container.file("mountinfo").splitlines() if line.split()[4].startswith("/var/tmp")]
    assert Path("/proc/self/mountinfo").read_text() == before
    outcome = container.exec("sh", "-c", "cat /etc/image-file; readlink /proc/self/ns/mnt")
    assert outcome.ok().out.decode() == f"image\n{container.namespace('mnt')}\n"


@pytest.mark.parametrize("process", ["self", "1"])
def test_the_hosts_mount_namespace_keeps_its_root(runtime, process, nothing_left):
    """It would be the container's: for the runtime's caller, for the whole machine."""
    before = os.stat("/"), Path("/proc/self/mountinfo").read_text()
    runtime.rejects(runtime.bundle().namespace("mount", f"/proc/{process}/ns/mnt"), "mount namespace|permission denied", field="linux.namespaces")
    after = os.stat("/"), Path("/proc/self/mountinfo").read_text()
    assert os.path.samestat(before[0], after[0]) and before[1] == after[1]
    nothing_left([runtime])


# in a user namespace

def run_nested(runtime, prefix, bundle):
    view, argv = runtime.prefix(), runtime.argv("run", "--bundle", bundle.write().directory, runtime.new_id())
    argv[len(view):len(view)] = prefix
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=runtime.environment(), stdin=subprocess.DEVNULL, cwd="/")


def output_of_nested(runtime, prefix, bundle):
    done = run_nested(runtime, prefix, bundle)
    assert done.returncode == 0, f"{done}"
    return done.stdout


def test_a_runtime_in_a_user_namespace(runtime, nested):
    """sysfs is mounted where the mount namespace has one, and devices are bound from it."""
    out = output_of_nested(runtime, nested[0], runtime.bundle().sh("ls /sys/class/net; echo x > /dev/null && echo written; awk '{ print $3 }' /proc/self/uid_map"))
    assert out.split() == ["lo", "written", "65536"]


@pytest.mark.parametrize("hidden, place", [("/sys/kernel", "/sys"), ("/proc/tty", "/proc")])
def test_what_is_hidden_from_a_user_namespace_stays_so(runtime, nested, hidden, place):
    """The kernel mounts no sysfs and no proc that would show it; what is in the way is told. (crun takes the host's /sys then.)"""
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs hidden "$0" && exec "$@"', hidden]
    done = run_nested(runtime, [*hide, *nested[0]], runtime.bundle().args("ls", hidden))
    assert done.stdout == "", f"{done}"
    if not runtime.is_reference:
        assert done.returncode != 0 and f"({place})" in done.stderr and f"findmnt -R {place}" in done.stderr, f"{done}"


@pytest.mark.parametrize("kind, file", [("network", "net"), ("uts", "uts"), ("ipc", "ipc"), ("pid", "pid_for_children")])
def test_a_runtime_in_a_user_namespace_shares_another(runtime, nested, kind, file):
    """Its own namespaces are not of that user namespace: who has left one can't come back."""
    prefix, directory = nested
    bundle = runtime.bundle().namespace(kind, f"{directory}/{file}").args("readlink", f"/proc/self/ns/{KINDS[kind]}")
    assert output_of_nested(runtime, prefix, bundle).strip() == os.readlink(f"{directory}/{file}")


# what each one is for

def test_a_new_network_has_a_loopback_that_is_up(anyone):
    assert "LOOPBACK,UP" in anyone.output(anyone.bundle().args("ip", "link", "show", "lo"))


def test_pid_1_is_the_program(anyone):
    assert anyone.output(anyone.bundle().sh("echo $$; cat /proc/1/comm; true")) == "1\nsh\n"


def test_all_end_with_pid_1(runtime):
    container = runtime.started(runtime.bundle().sh("sleep 1000 & echo began; exec sleep 1000"))
    container.expect(b"began\n")
    container.kill("KILL")
    assert container.wait() == 128 + 9  # with the end of its output, which the child held as well


def test_a_cgroup_namespace_shows_its_own_root(runtime, waiting):
    container = waiting(runtime, runtime.bundle().namespace("cgroup"))
    shown = runtime.call("exec", container.id, "cat", "/proc/1/cgroup").ok().lines()
    joined = [line for line in container.file("cgroup").splitlines() if oci.slice_name() in line]
    assert joined, "the host sees no cgroup of the container's"
    assert all(line.endswith(":/") for line in shown if line.rsplit(":", 1)[0] in [each.rsplit(":", 1)[0] for each in joined]), shown


# users

@pytest.fixture
def mapped(runtime):
    """Makes a bundle whose ids are those of the host from 100000 on."""
    def make(size=65536):
        bundle = runtime.bundle(own_rootfs=True).map_ids(100000, 100000, size)
        for directory, _, _ in os.walk(bundle.rootfs):
            os.chown(directory, 100000, 100000)
        return bundle
    return make


def test_ids_are_mapped(runtime, mapped):
    container = runtime.started(mapped().sh("id -u; cat /proc/self/uid_map /proc/self/gid_map; echo began; exec sleep 1000"))
    container.expect(b"began\n")
    assert container.out.split() == [b"0"] + [b"0", b"100000", b"65536"] * 2 + [b"began"]
    assert container.status_field("Uid").split() == ["100000"] * 4 and container.status_field("Gid").split() == ["100000"] * 4


def test_groups_can_be_set_where_they_are_mapped(runtime, mapped):
    bundle = mapped().sh("grep Groups /proc/self/status; cat /proc/self/setgroups")
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 6]}
    assert runtime.output(bundle).split() == ["Groups:", "5", "6", "allow"]


def test_several_ranges(runtime, mapped):
    bundle = mapped().sh("cat /proc/self/uid_map")
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1}, {"containerID": 1, "hostID": 200000, "size": 10},
                                   {"containerID": 1000, "hostID": 300000, "size": 5}]
    assert runtime.output(bundle).split() == "0 100000 1 1 200000 10 1000 300000 5".split()


def test_files_of_a_mapped_container(runtime, mapped):
    """What it makes is the mapped user's; the runtime SHOULD NOT modify the ownership of referenced filesystems."""
    bundle = mapped().sh("touch /srv/new; stat -c %u /srv/new /bin/busybox /proc/1")
    assert runtime.output(bundle).split() == ["0", "65534", "0"]
    assert os.stat(bundle.rootfs / "srv/new").st_uid == 100000
    assert os.stat(bundle.rootfs / "bin/busybox").st_uid == 0


def test_a_mapped_container_has_its_capabilities_only_inside(runtime, mapped):
    bundle = mapped().sh("grep CapEff /proc/self/status; mount -t tmpfs x /mnt 2>&1; echo x > /proc/sys/kernel/panic; dmesg 2>&1 | head -1")
    lines = runtime.run(bundle).lines()
    assert int(lines[0].split()[1], 16) == 0xA80425FB and "denied" in lines[1] or "not permitted" in lines[1], lines


@pytest.mark.parametrize("mappings", ["with", "without"])
def test_a_user_namespace_by_its_path(runtime, mapped, mappings, waiting):
    """Whose mappings engines may tell as well."""
    first = waiting(runtime, mapped())
    bundle = mapped().namespace("user", f"/proc/{first.pid}/ns/user")
    if mappings == "without":
        bundle.remove("linux.uidMappings").remove("linux.gidMappings")
    second = waiting(runtime, bundle)
    assert second.namespace("user") == first.namespace("user") and second.status_field("Uid").split()[0] == "100000"


def test_a_user_with_a_range(make_runtime):
    """newuidmap's, as rootless engines have it."""
    user = make_runtime("user")
    try:
        first, count = subordinate("/etc/subuid", user.world.user)
        group, _ = subordinate("/etc/subgid", user.world.user)
    except AssertionError:
        pytest.skip("the user has no range")
    bundle = user.bundle().sh("cat /proc/self/uid_map; id -u; grep Groups /proc/self/status")
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": user.uid, "size": 1}, {"containerID": 1, "hostID": first, "size": count}]
    bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": user.gid, "size": 1}, {"containerID": 1, "hostID": group, "size": count}]
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    assert user.output(bundle).split() == [*f"0 {user.uid} 1 1 {first} {count}".split(), "1000", "Groups:", "7"]


@pytest.mark.parametrize("field, value", [("uidMappings", []), ("gidMappings", []), ("uidMappings", [{"containerID": 0, "hostID": 0}]),
                                          ("uidMappings", [{"containerID": 0, "hostID": 100000, "size": 0}]), ("uidMappings", {"containerID": 0}),
                                          ("uidMappings", [{"containerID": -1, "hostID": 0, "size": 1}]),
                                          ("uidMappings", [{"containerID": 0, "hostID": 100000, "size": 10}, {"containerID": 5, "hostID": 200000, "size": 10}]),
                                          ("uidMappings", [{"containerID": 4294967290, "hostID": 100000, "size": 10}]),
                                          ("uidMappings", [{"containerID": 0, "hostID": "100000", "size": 10}])], ids=str)
def test_mappings_that_are_none(runtime, mapped, field, value, nothing_left):
    runtime.rejects(mapped().set(f"linux.{field}", value), field=f"linux.{field}")
    nothing_left([runtime])


def test_mappings_without_a_user_namespace(runtime, nothing_left):
    bundle = runtime.bundle().map_ids(100000, 100000, 1000).without_namespace("user")
    runtime.rejects(bundle, field="linux.uidMappings")
    nothing_left([runtime])


def test_an_ordinary_user_cannot_map_others(make_runtime, nothing_left):
    user = make_runtime("user")
    user.rejects(user.bundle().map_ids(0, 0), "map|permitted|denied|allowed|invalid")
    nothing_left([user])


# time

@pytest.mark.parametrize("clock, secs, nanosecs", [("boottime", 1_000_000, 0), ("monotonic", 5_000_000, 0), ("boottime", 86400, 500_000_000)])
def test_time_offsets(runtime, clock, secs, nanosecs):
    offsets = {clock: {"secs": secs, "nanosecs": nanosecs}}
    bundle = runtime.bundle().namespace("time").set("linux.timeOffsets", offsets).sh("cat /proc/self/timens_offsets; cat /proc/uptime")
    lines = runtime.output(bundle).splitlines()
    assert [line.split() for line in lines if line.startswith(clock)] == [[clock, str(secs), str(nanosecs)]]
    ours = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert clock != "boottime" or 0 <= float(lines[-1].split()[0]) - secs - nanosecs / 1e9 <= ours + 60


def test_a_time_namespace_without_offsets(runtime):
    lines = runtime.output(runtime.bundle().namespace("time").args("cat", "/proc/self/timens_offsets")).splitlines()
    assert all(line.split()[1:] == ["0", "0"] for line in lines)


@pytest.mark.parametrize("offsets", [{"realtime": {"secs": 1}}, {"boottime": 5}, {"boottime": {"secs": "5"}}, {"boottime": {"secs": 1, "nanosecs": 1_000_000_000}},
                                     {"boottime": {"secs": -1_000_000_000_000}}, ["boottime"]], ids=str)
def test_offsets_that_are_none(runtime, offsets, nothing_left):
    runtime.rejects(runtime.bundle().namespace("time").set("linux.timeOffsets", offsets), field="linux.timeOffsets")
    nothing_left([runtime])


def test_offsets_without_a_namespace(runtime, nothing_left):
    runtime.rejects(runtime.bundle().set("linux.timeOffsets", {"boottime": {"secs": 5}}), "time", field="linux.timeOffsets")
    nothing_left([runtime])


def test_the_host_stays_where_it_was(runtime):
    """None of its namespaces is changed by containers that use its own."""
    before = {kind: of_this_process(kind) for kind in KINDS}
    name, links = os.uname().nodename, command("ip", "-o", "link")
    bundle = runtime.bundle().without_namespace("network", "uts", "ipc", "pid", "cgroup").remove("hostname").sh("hostname nothing 2>&1; ip link set lo down 2>&1")
    runtime.run(bundle)
    assert {kind: of_this_process(kind) for kind in KINDS} == before
    assert (os.uname().nodename, command("ip", "-o", "link")) == (name, links)
