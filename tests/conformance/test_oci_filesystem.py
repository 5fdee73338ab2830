"""root, masked and read-only paths, devices: what a container's files are."""

import json
import os
import stat
import subprocess

import pytest

from lib import oci, oci_bundle
from lib.world import command

LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


# root

def test_a_read_only_root(anyone):
    """Mounts are writable all the same."""
    bundle = anyone.bundle(own_rootfs=True).set("root.readonly", True).mount("/data", "tmpfs", "mode=755")
    bundle.sh("touch /x 2>&1; touch /etc/passwd 2>&1; mkdir /bin/x 2>&1; touch /data/x /dev/shm/x && echo fine")
    lines = anyone.output(bundle).splitlines()
    assert ["Read-only file system" in line for line in lines] == [True, True, True, False] and lines[3] == "fine", lines


def test_a_read_only_root_gets_the_places_of_its_mounts(anyone):
    bundle = anyone.bundle(own_rootfs=True).set("root.readonly", True).mount("/new/place", "tmpfs", "mode=755").sh("touch /new/place/x && echo fine")
    assert anyone.output(bundle) == "fine\n"


def test_the_source_of_a_read_only_root_stays_as_it_is(anyone, waiting):
    bundle = anyone.bundle(own_rootfs=True).set("root.readonly", True)
    container = waiting(anyone, bundle)
    (bundle.rootfs / "etc/later").write_text("later\n")
    assert container.path("/etc/later").read_text() == "later\n"


@pytest.mark.parametrize("value", [False, None])
def test_a_writable_root(anyone, value):
    bundle = anyone.bundle(own_rootfs=True).sh("echo new > /etc/new")
    if value is not None:
        bundle.set("root.readonly", value)
    assert anyone.run(bundle).exit == 0
    assert (bundle.rootfs / "etc/new").read_text() == "new\n"


def test_nothing_of_the_hosts_root_is_reachable(anyone):
    script = "ls -di / /.. /../../..; cat /proc/1/mountinfo"
    first, *more = anyone.output(anyone.bundle().sh(script)).splitlines()
    assert [line.split()[0] for line in more[:2]] == [first.split()[0]] * 2
    table = oci.mount_table("\n".join(more[2:]))
    assert min(table, key=lambda mount: mount.where).where == "/" and not [mount for mount in table if mount.where.startswith("/var/tmp")]


@pytest.mark.parametrize("value, tags", [("private", set()), ("rprivate", set()), ("shared", {"shared"}), ("rshared", {"shared"}),
                                         ("slave", {"master"}), ("rslave", {"master"}), ("unbindable", {"unbindable"})])
def test_propagation_of_the_root(runtime, value, tags):
    """The specification's four words, and Docker's recursive ones."""
    bundle = runtime.bundle(own_rootfs=True).set("linux.rootfsPropagation", value)
    found = set(oci.mount_at(runtime.output(bundle.args("cat", "/proc/self/mountinfo")), "/").propagation)
    assert tags <= found and (tags or not found), found


@pytest.mark.parametrize("value", ["none", 5, ["shared"]])
def test_propagations_that_are_none(runtime, value):
    runtime.rejects(runtime.bundle().set("linux.rootfsPropagation", value), field="linux.rootfsPropagation")


def test_without_pivot_root(runtime):
    """For a root on the initial file system, which can't be pivoted."""
    bundle = runtime.bundle().sh("cat /etc/image-file; cat /../etc/image-file")
    assert runtime.output(bundle, "--no-pivot") == "image\nimage\n"


# masked and read-only paths

def test_masked_paths(anyone):
    bundle = anyone.bundle(own_rootfs=True)
    (bundle.rootfs / "srv/secret").mkdir()
    (bundle.rootfs / "srv/secret/file").write_text("secret\n")
    bundle.linux["maskedPaths"] += ["/srv/secret", "/etc/image-file", "/no/such/path"]
    bundle.sh("ls -A /srv/secret; cat /etc/image-file; touch /srv/secret/x 2>/dev/null || echo closed; cat /proc/timer_list /proc/keys; ls -A /sys/firmware")
    assert anyone.output(bundle) == "closed\n"
    assert (bundle.rootfs / "etc/image-file").read_text() == "image\n"


def test_a_masked_file_takes_no_writes_to_its_source(anyone):
    bundle = anyone.bundle(own_rootfs=True)
    bundle.linux["maskedPaths"] = ["/etc/image-file"]
    anyone.run(bundle.sh("echo changed > /etc/image-file"))
    assert (bundle.rootfs / "etc/image-file").read_text() == "image\n"


def test_masks_cannot_be_taken_off(runtime):
    """Without CAP_SYS_ADMIN, as by default."""
    bundle = runtime.bundle().sh("umount /proc/timer_list 2>&1; umount -l /sys/firmware 2>&1; cat /proc/timer_list")
    lines = runtime.output(bundle).splitlines()
    assert len(lines) == 2 and all("not permitted" in line or "denied" in line for line in lines), lines


def test_readonly_paths(anyone):
    bundle = anyone.bundle(own_rootfs=True)
    bundle.linux["readonlyPaths"] += ["/srv", "/etc/image-file", "/no/such/path"]
    bundle.sh("touch /srv/x 2>&1; touch /etc/image-file 2>&1; echo 1 > /proc/sys/kernel/domainname; cat /etc/image-file")
    outcome = anyone.run(bundle)
    lines = outcome.ok().lines()
    assert "Read-only" in lines[0] and "Read-only" in lines[1] and lines[2] == "image" and b"Read-only" in outcome.err, f"{outcome}"


def test_a_mount_below_a_readonly_path(runtime):
    """`readonlyPaths` bind what is there with all below it."""
    bundle = runtime.bundle().mount("/data", "tmpfs", "mode=755").mount("/data/sub", "tmpfs", "mode=755")
    bundle.linux["readonlyPaths"] = ["/data"]
    assert "Read-only" in runtime.output(bundle.sh("ls -d /data/sub; touch /data/x 2>&1; true")).splitlines()[1]


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
def test_empty_lists_of_paths(anyone, field):
    """--privileged, or --security-opt unmask=ALL."""
    bundle = anyone.bundle().set(f"linux.{field}", [])
    path = "/proc/timer_list" if field == "maskedPaths" else "/proc/bus"
    assert f" {path} " not in anyone.output(bundle.args("cat", "/proc/self/mountinfo"))


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
@pytest.mark.parametrize("value", ["/etc", [5], ["relative"], [""]], ids=str)
def test_paths_that_are_none(runtime, field, value):
    """The values MUST be absolute paths."""
    runtime.rejects(runtime.bundle().set(f"linux.{field}", value), field=f"linux.{field}")


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
def test_a_path_that_leads_outside_by_a_link(anyone, field, waiting):
    outside = anyone.directory("outside")
    (outside / "file").write_text("outside\n")
    bundle = anyone.bundle(own_rootfs=True)
    (bundle.rootfs / "srv/link").symlink_to("../" * 12 + str(outside))
    bundle.linux[field] = ["/srv/link"]
    made = anyone.try_create(bundle)
    assert (outside / "file").read_text() == "outside\n"
    (outside / "new").write_text("")
    assert isinstance(made, oci.Container) or anyone.refused(made)


# devices

def test_default_devices(anyone):
    script = "; ".join(f"stat -c '%n %F %t:%T %a' /dev/{name}" for name in oci_bundle.DEFAULT_DEVICES)
    rows = anyone.output(anyone.bundle().sh(script)).splitlines()
    expected = [f"/dev/{name} character special file {major:x}:{minor:x} 666" for name, (major, minor) in oci_bundle.DEFAULT_DEVICES.items()]
    assert rows == expected


def test_default_devices_work(anyone):
    script = "echo x > /dev/null; head -c 4 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c; echo x > /dev/full"
    outcome = anyone.run(anyone.bundle().sh(script))
    assert outcome.out.split() == [b"00"] * 4 + [b"8"] and b"No space left" in outcome.err


def test_default_devices_of_a_runtime_that_may_make_none(runtime):
    """As in a container of an engine that has not this capability: the host's are bound."""
    bundle = runtime.bundle().sh("stat -c %t:%T /dev/null /dev/tty; echo x > /dev/null && echo written")
    bundle.capabilities(bounding=["CAP_CHOWN"]).write()
    argv = ["setpriv", "--bounding-set=-mknod", "--", *runtime.argv("run", "--bundle", bundle.directory, runtime.new_id())]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=runtime.environment(), stdin=subprocess.DEVNULL, cwd="/")
    assert done.stdout.split() == ["1:3", "5:0", "written"], f"{done}"


def test_links_in_dev(anyone):
    rows = anyone.output(anyone.bundle().sh("for n in fd stdin stdout stderr ptmx; do echo $n $(readlink /dev/$n); done; ls -l /dev/pts/ptmx | cut -c1-10"))
    found = dict(line.split(" ", 1) for line in rows.splitlines() if " " in line)
    assert {name: found[name] for name in LINKS} == LINKS
    assert found["ptmx"] in ("pts/ptmx", "/dev/pts/ptmx") or anyone.output(anyone.bundle().sh("stat -c %t:%T /dev/ptmx")) == "5:2\n"


def test_terminals_can_be_made(anyone):
    """/dev/ptmx is that of the container's own devpts."""
    assert anyone.output(anyone.bundle().sh("exec 3<>/dev/ptmx; ls /dev/pts")).split() == ["0", "ptmx"]


def test_dev_has_nothing_more(anyone):
    found = set(anyone.output(anyone.bundle().args("ls", "/dev")).split())
    assert found - {"core"} == {*oci_bundle.DEFAULT_DEVICES, *LINKS, "ptmx", "pts", "shm", "mqueue"}


@pytest.mark.parametrize("fields, shown", [
    ({"type": "c", "path": "/dev/one", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 1000, "gid": 1001}, "character special file a:e5 640 1000 1001"),
    ({"type": "u", "path": "/dev/one", "major": 10, "minor": 229, "fileMode": 0o666, "uid": 0, "gid": 0}, "character special file a:e5 666 0 0"),
    ({"type": "b", "path": "/dev/one", "major": 7, "minor": 200, "fileMode": 0o600, "uid": 0, "gid": 6}, "block special file 7:c8 600 0 6"),
    ({"type": "p", "path": "/dev/one", "fileMode": 0o622, "uid": 3, "gid": 4}, "fifo 0:0 622 3 4"),
    ({"type": "c", "path": "/dev/deep/er/one", "major": 10, "minor": 229, "fileMode": 0o600}, "character special file a:e5 600 0 0"),
    ({"type": "c", "path": "/srv/outside/of/dev", "major": 1, "minor": 3, "fileMode": 0o777}, "character special file 1:3 777 0 0"),
    ({"type": "c", "path": "/dev/one", "major": 10, "minor": 229, "fileMode": 438 | 0o20000}, "character special file a:e5 666 0 0")], ids=lambda value: str(value)[:30])
def test_devices(runtime, fields, shown):
    bundle = runtime.bundle(own_rootfs=True).set("linux.devices", [fields])
    assert runtime.output(bundle.args("stat", "-c", "%F %t:%T %a %u %g", fields["path"])).strip() == shown


def test_a_device_without_a_mode_can_be_used(runtime):
    bundle = runtime.bundle().set("linux.devices", [{"type": "c", "path": "/dev/one", "major": 1, "minor": 5}])
    mode = runtime.output(bundle.args("stat", "-c", "%F %a", "/dev/one")).split()[-1]
    assert int(mode, 8) & 0o600 == 0o600 or mode == "0", mode


def test_modes_are_not_masked(runtime):
    """By the runtime's umask."""
    bundle = runtime.bundle().set("linux.devices", [{"type": "c", "path": "/dev/one", "major": 1, "minor": 5, "fileMode": 0o666}])
    outcome = runtime.run(bundle.args("stat", "-c", "%a", "/dev/one"), preexec_fn=lambda: os.umask(0o77))
    assert outcome.ok().out == b"666\n"


def test_a_device_of_the_host_in_a_user_namespace(make_runtime):
    """It can't be made there: the host's is bound."""
    user = make_runtime("user")
    bundle = user.bundle().set("linux.devices", [{"type": "c", "path": "/dev/zero", "major": 1, "minor": 5, "fileMode": 0o666}])
    assert user.output(bundle.args("stat", "-c", "%t:%T", "/dev/zero")) == "1:5\n"


def test_a_device_in_place_of_a_default_one(runtime):
    bundle = runtime.bundle().set("linux.devices", [{"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 1000}])
    assert runtime.output(bundle.args("stat", "-c", "%t:%T", "/dev/null")) == "1:3\n"


def test_a_file_that_is_no_such_device_is_an_error(runtime, nothing_left):
    """If a file already exists at path that does not match the requested device, the runtime MUST generate an error."""
    bundle = runtime.bundle(own_rootfs=True).set("linux.devices", [{"type": "c", "path": "/srv/one", "major": 1, "minor": 3}])
    (bundle.rootfs / "srv/one").write_text("a file\n")
    runtime.rejects(bundle, "exist", field="linux.devices[0]")
    assert (bundle.rootfs / "srv/one").read_text() == "a file\n"
    nothing_left([runtime])


def test_a_file_that_is_that_device_already(runtime):
    bundle = runtime.bundle(own_rootfs=True).set("linux.devices", [{"type": "c", "path": "/srv/one", "major": 1, "minor": 3, "fileMode": 0o666}])
    os.mknod(bundle.rootfs / "srv/one", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert runtime.output(bundle.sh("echo x > /srv/one; stat -c %t:%T /srv/one")) == "1:3\n"


@pytest.mark.parametrize("fields, field", [
    ({"type": "x", "path": "/dev/one", "major": 1, "minor": 3}, "type"), ({"path": "/dev/one", "major": 1, "minor": 3}, "type"),
    ({"type": "c", "major": 1, "minor": 3}, "path"), ({"type": "c", "path": "/dev/one", "minor": 3}, "major"),
    ({"type": "c", "path": "dev/one", "major": 1, "minor": 3}, "path"), ({"type": "c", "path": "/dev/one", "major": "1", "minor": 3}, "major"),
    ({"type": "c", "path": "/dev/one", "major": 1, "minor": -5}, "minor"), ({"type": "c", "path": "/dev/one", "major": 1, "minor": 3, "uid": -1}, "uid"),
    ({"type": "c", "path": "/", "major": 1, "minor": 3}, "path")], ids=str)
def test_devices_that_are_none(runtime, fields, field):
    runtime.rejects(runtime.bundle().set("linux.devices", [fields]), field=f"linux.devices[0].{field}")


def test_a_device_below_a_link_to_outside(runtime):
    outside = runtime.directory("outside")
    bundle = runtime.bundle(own_rootfs=True).set("linux.devices", [{"type": "c", "path": "/srv/link/one", "major": 1, "minor": 3}])
    (bundle.rootfs / "srv/link").symlink_to(outside)
    made = runtime.try_create(bundle)
    assert os.listdir(outside) == []
    assert isinstance(made, oci.Container) or runtime.refused(made)


# hostname, domainname, annotations

@pytest.mark.parametrize("name", ["box", "a-b.example", "x" * 64])
def test_hostname(anyone, name):
    assert anyone.output(anyone.bundle().set("hostname", name).args("hostname")) == name + "\n"


def test_domainname(anyone):
    bundle = anyone.bundle().set("domainname", "example.test").args("cat", "/proc/sys/kernel/domainname")
    assert anyone.output(bundle) == "example.test\n"


def test_a_hostname_without_a_namespace_of_its_own(runtime):
    """It would be the host's that changes: an error, as engines' runtimes have it."""
    before = os.uname().nodename
    runtime.rejects(runtime.bundle().without_namespace("uts"), "hostname|uts|namespace", field="hostname")
    assert os.uname().nodename == before


@pytest.mark.parametrize("field", ["hostname", "domainname"])
@pytest.mark.parametrize("value", ["x" * 65, 5, ["box"]], ids=str)
def test_names_that_are_none(runtime, field, value):
    runtime.rejects(runtime.bundle().set(field, value), field=field)


@pytest.mark.parametrize("field", ["hostname", "domainname"])
def test_names_with_a_nul(runtime, field):
    """No JSON of ours has one: the message has the line."""
    runtime.rejects(runtime.bundle().set(field, "a\x00b"), r"config\.json:\d+:\d+")


@pytest.mark.parametrize("value", [{"": "x"}, {"a": 5}, ["a"], "a"], ids=str)
def test_annotations_that_are_none(runtime, value):
    """Keys MUST NOT be an empty string. Values MUST be strings."""
    runtime.rejects(runtime.bundle().set("annotations", value), field="annotations")


def test_annotations_of_any_text(runtime):
    pairs = {"org.example/ünï": "ünï \" \\ \n \t", "empty": "", "long": "x" * 50_000, **{f"many.{number}": str(number) for number in range(200)}}
    container = runtime.create(runtime.bundle().set("annotations", pairs))
    assert json.loads(container.call("state").ok().out)["annotations"] == pairs


# sysctl

def test_sysctl(runtime):
    """Of each namespace that a container has for itself."""
    values = {"net.ipv4.ip_forward": "1", "net.core.somaxconn": "321", "kernel.msgmax": "12345", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "33"}
    bundle = runtime.bundle().set("linux.sysctl", values)
    paths = ["/proc/sys/" + name.replace(".", "/") for name in values]
    assert runtime.output(bundle.args("cat", *paths)).split() == list(values.values())


def test_a_sysctl_with_a_dot_in_its_name(runtime):
    """An interface's: slashes and dots change places, as sysctl(8) has it."""
    bundle = runtime.bundle().set("linux.sysctl", {"net/ipv4/conf/lo/forwarding": "1"}).args("cat", "/proc/sys/net/ipv4/conf/lo/forwarding")
    assert runtime.output(bundle) == "1\n"


@pytest.mark.parametrize("name, namespace", [("kernel.panic", None), ("vm.swappiness", None), ("net.core.somaxconn", "network"), ("kernel.msgmax", "ipc"),
                                             ("fs.mqueue.msg_max", "ipc"), ("kernel.domainname", "uts"), ("kernel/../vm/swappiness", None),
                                             ("no.such.thing", None), ("net.no.such", None)])
def test_sysctls_of_the_host_are_refused(runtime, name, namespace):
    """Those that no namespace has, and those whose namespace is the host's."""
    path = "/proc/sys/" + name.replace(".", "/")
    before = open(path).read().strip() if os.path.exists(path) else None
    bundle = runtime.bundle().without_mount("/dev/mqueue").set("linux.sysctl", {name: before or "1"})
    if namespace:
        bundle.without_namespace(namespace)
        bundle.remove("hostname")
    runtime.rejects(bundle, "sysctl|namespace|no such|not allowed|kernel", field="linux.sysctl")


@pytest.mark.parametrize("value", [{"net.ipv4.ip_forward": 1}, {"net.ipv4.ip_forward": "maybe"}, ["net.ipv4.ip_forward"]], ids=str)
def test_sysctls_that_are_none(runtime, value):
    runtime.rejects(runtime.bundle().set("linux.sysctl", value), field="linux.sysctl")


def test_the_host_keeps_its_own(runtime):
    before = command("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax")
    assert runtime.run(runtime.bundle().set("linux.sysctl", {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4321"})).exit == 0
    assert command("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax") == before
