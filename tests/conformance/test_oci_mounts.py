"""mounts: every option of config.md's table, where a destination leads, and what is refused."""

import os
import re
import stat

import pytest

from lib import oci
from lib.leaks import mounts
from lib.world import command


def listing(runtime, bundle, where):
    """The topmost mount there, as the container's program sees it."""
    return oci.mount_at(runtime.output(bundle.args("cat", "/proc/self/mountinfo")), where)


@pytest.fixture
def volume(anyone):
    """A directory of the caller's with a file in it."""
    made = anyone.directory("volume")
    (made / "file").write_text("of the volume\n")
    os.chown(made / "file", anyone.uid, anyone.gid)
    return made


@pytest.fixture
def layered(runtime, host_mounts):
    """A directory with a mount below it: sub/deep is of a tmpfs."""
    made = runtime.directory("layered")
    (made / "sub").mkdir()
    host_mounts("-t", "tmpfs", "below", made / "sub")
    (made / "sub/deep").write_text("deep\n")
    return made


# bind mounts

@pytest.mark.parametrize("kind", ["bind", "none", ""])
def test_a_bind_mount_is_one_by_its_options(anyone, volume, kind):
    """A mount is a bind mount if it has either `bind` or `rbind` in the options; the type is a dummy."""
    bundle = anyone.bundle().mount("/data", volume, "bind", kind=kind or "bind").sh("cat /data/file; echo more > /data/more")
    if not kind:
        bundle.config["mounts"][-1].pop("type")
    assert anyone.output(bundle) == "of the volume\n"
    assert (volume / "more").read_text() == "more\n"


@pytest.mark.parametrize("options", [["bind", "ro"], ["rbind", "ro"], ["ro", "rbind", "rprivate"]], ids=" ".join)
def test_a_bind_mount_that_is_read_only(anyone, volume, options):
    bundle = anyone.bundle().mount("/data", volume, *options).sh("cat /data/file; touch /data/new 2>&1; touch /data/file 2>&1; true")
    lines = anyone.output(bundle).splitlines()
    assert lines[0] == "of the volume" and len(lines) == 3 and all("Read-only file system" in line for line in lines[1:]), lines
    assert os.listdir(volume) == ["file"]


def test_the_source_stays_writable_outside(anyone, volume, waiting):
    container = waiting(anyone, anyone.bundle().mount("/data", volume, "rbind", "ro"))
    (volume / "later").write_text("later\n")
    assert container.path("/data/later").read_text() == "later\n"


@pytest.mark.parametrize("option, seen", [("bind", False), ("rbind", True)])
def test_what_is_mounted_below_a_source(runtime, layered, option, seen):
    bundle = runtime.bundle().mount("/data", layered, option).sh("test -e /data/sub/deep && echo seen || echo not")
    assert runtime.output(bundle) == ("seen\n" if seen else "not\n")


def test_read_only_down_to_the_last(runtime, layered):
    """rro, which AT_RECURSIVE of mount_setattr(2) does."""
    bundle = runtime.bundle().mount("/data", layered, "rbind", "rro").sh("touch /data/x /data/sub/x 2>&1; cat /data/sub/deep; grep ' /data' /proc/self/mountinfo")
    lines = runtime.output(bundle).splitlines()
    assert ["Read-only" in line for line in lines[:2]] == [True, True] and lines[2] == "deep", lines
    assert ["ro" in mount.options for mount in oci.mount_table("\n".join(lines[3:]))] == [True, True]


@pytest.mark.parametrize("option, flag", [("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"), ("rnoatime", "noatime"), ("rnodiratime", "nodiratime"),
                                          ("rnosymfollow", "nosymfollow")])
def test_recursive_attributes(runtime, layered, option, flag):
    bundle = runtime.bundle().mount("/data", layered, "rbind", option).args("cat", "/proc/self/mountinfo")
    table = runtime.output(bundle)
    assert [flag in oci.mount_at(table, where).options for where in ("/data", "/data/sub")] == [True, True]


@pytest.mark.parametrize("option, flag", [("rsuid", "nosuid"), ("rdev", "nodev"), ("rexec", "noexec"), ("rrw", "ro"), ("rdiratime", "nodiratime"),
                                          ("rrelatime", "noatime"), ("rsymfollow", "nosymfollow"), ("rstrictatime", "noatime")])
def test_recursive_attributes_that_are_cleared(runtime, host_mounts, option, flag):
    top = runtime.directory("cleared")
    host_mounts("-t", "tmpfs", "-o", flag, "cleared", top)
    bundle = runtime.bundle().mount("/data", top, "rbind", option)
    assert flag not in listing(runtime, bundle, "/data").options


@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
@pytest.mark.parametrize("option", ["nosuid", "nodev", "noexec", "noatime", "nodiratime", "ro", "nosymfollow"])
def test_attributes_of_a_mount(anyone, volume, option, kind):
    if anyone.identity == "user" and kind == "bind" and "atime" in option:
        pytest.skip("times are the host's: see the next")
    source, options = (volume, ["rbind", option]) if kind == "bind" else ("tmpfs", [option])
    bundle = anyone.bundle().mount("/data", source, *options)
    assert option in listing(anyone, bundle, "/data").options


@pytest.mark.parametrize("option", ["noatime", "nodiratime"])
def test_what_a_user_may_not_change_is_told(make_runtime, option):
    """The kernel keeps times as they are in a mount of another user namespace's: mount_namespaces(7)."""
    user = make_runtime("user")
    user.rejects(user.bundle().mount("/data", user.directory("volume"), "rbind", option), "not permitted", field="mounts[")


def test_strict_times(anyone):
    options = listing(anyone, anyone.bundle().mount("/data", "tmpfs", "strictatime"), "/data").options
    assert not {"relatime", "noatime"} & set(options), options


def test_attributes_together(anyone, volume):
    options = listing(anyone, anyone.bundle().mount("/data", volume, "rbind", "nosuid", "noexec", "nodev", "ro"), "/data").options
    assert {"nosuid", "noexec", "nodev", "ro"} <= set(options), options


def test_the_last_of_two_opposites_counts(anyone):
    options = listing(anyone, anyone.bundle().mount("/data", "tmpfs", "noexec", "nosuid", "ro", "exec", "suid", "rw"), "/data").options
    assert not {"noexec", "nosuid", "ro"} & set(options), options


@pytest.mark.parametrize("option", ["async", "atime", "defaults", "dev", "diratime", "exec", "loud", "noiversion", "nolazytime", "nomand", "norelatime",
                                    "nostrictatime", "relatime", "rw", "silent", "suid", "iversion", "lazytime", "sync", "dirsync", "symfollow"])
def test_options_that_change_little_are_taken(runtime, option):
    mount = listing(runtime, runtime.bundle().mount("/data", "tmpfs", option), "/data")
    assert mount.kind == "tmpfs"
    if option in ("sync", "dirsync", "lazytime"):
        assert option in mount.super_options, mount


@pytest.mark.parametrize("option, tags", [("private", set()), ("rprivate", set()), ("slave", {"master"}), ("rslave", {"master"}), ("shared", {"shared"}),
                                          ("rshared", {"shared"}), ("unbindable", {"unbindable"}), ("runbindable", {"unbindable"})])
def test_propagation(runtime, host_mounts, option, tags):
    """These tests' mounts are shared, as on a host that systemd started; engines give the root what a volume needs."""
    volume = runtime.directory("volume")
    host_mounts("-t", "tmpfs", "volume", volume)
    bundle = runtime.bundle().mount("/data", volume, "rbind", option)
    if "master" in tags or "shared" in tags:
        bundle.set("linux.rootfsPropagation", option)
    found = set(listing(runtime, bundle, "/data").propagation)
    assert tags <= found and (tags or not found), found


@pytest.mark.parametrize("propagation", ["rslave", "slave", "rshared"])
def test_mounts_of_the_host_arrive(runtime, host_mounts, waiting, propagation):
    volume = runtime.directory("volume")
    host_mounts("-t", "tmpfs", "volume", volume)
    (volume / "sub").mkdir()
    container = waiting(runtime, runtime.bundle().mount("/data", volume, "rbind", propagation).set("linux.rootfsPropagation", propagation))
    host_mounts("-t", "tmpfs", "later", volume / "sub")
    (volume / "sub/later").write_text("later\n")
    assert container.path("/data/sub/later").read_text() == "later\n"


def test_mounts_of_the_container_reach_a_shared_volume(runtime, host_mounts, waiting):
    """docker run -v PLACE:/data:rshared, where PLACE is a mount of its own."""
    volume = runtime.directory("volume")
    host_mounts("-t", "tmpfs", "volume", volume)
    (volume / "sub").mkdir()
    container = waiting(runtime, runtime.bundle().mount("/data", volume, "rbind", "rshared").set("linux.rootfsPropagation", "shared"))
    command("nsenter", "-t", container.pid, "-m", "mount", "-t", "tmpfs", "inside", "/data/sub")
    assert (volume / "sub").is_mount()
    command("umount", volume / "sub")


def test_mounts_of_the_host_do_not_arrive_in_a_private_one(runtime, host_mounts, waiting):
    volume = runtime.directory("volume")
    (volume / "sub").mkdir()
    container = waiting(runtime, runtime.bundle().mount("/data", volume, "rbind", "rprivate"))
    host_mounts("-t", "tmpfs", "later", volume / "sub")
    (volume / "sub/later").write_text("later\n")
    assert not container.path("/data/sub/later").exists()


def test_no_mount_of_the_container_reaches_the_host(anyone, waiting):
    before = mounts()
    waiting(anyone, anyone.bundle().mount("/data", "tmpfs", "mode=755"))
    assert mounts() == before


# tmpfs


def test_a_tmpfs_with_size_and_mode(anyone):
    bundle = anyone.bundle().mount("/data", "tmpfs", "size=1m", "mode=1770", "nr_inodes=100")
    bundle.sh("stat -c %a /data; dd if=/dev/zero of=/data/big bs=64k count=32 2>&1 | grep -c 'No space left'; stat -c %s /data/big; df -P -k /data | tail -1")
    mode, full, size, df = anyone.output(bundle).splitlines()
    assert (mode, full, size) == ("1770", "1", "1048576") and df.split()[1] == "1024"


@pytest.mark.parametrize("options, kilobytes", [(["size=64k"], 64), (["size=65536"], 64), (["size=2M"], 2048), (["size=50%"], None), ([], None)], ids=str)
def test_sizes_of_tmpfs(anyone, options, kilobytes):
    bundle = anyone.bundle().mount("/data", "tmpfs", *options).sh("df -P -k /data | tail -1")
    found = int(anyone.output(bundle).split()[1])
    memory = int(re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read())[1])
    assert found == kilobytes if kilobytes else abs(found - memory // 2) < memory // 50


def test_a_tmpfs_of_another_owner(runtime):
    bundle = runtime.bundle().mount("/data", "tmpfs", "uid=1000", "gid=1001", "mode=0700").sh("stat -c %u:%g:%a /data")
    assert runtime.output(bundle) == "1000:1001:700\n"


def test_a_tmpfs_that_begins_with_what_was_there(runtime):
    bundle = runtime.bundle(own_rootfs=True)
    place = bundle.rootfs / "srv/data"
    (place / "sub").mkdir(parents=True)
    (place / "file").write_text("copied\n")
    (place / "sub/more").write_text("too\n")
    (place / "link").symlink_to("file")
    (place / "file").chmod(0o640)
    os.chown(place / "file", 1000, 1001)
    place.chmod(0o750)
    bundle.mount("/srv/data", "tmpfs", "tmpcopyup", "mode=755").sh("cat /srv/data/link /srv/data/sub/more; stat -c %u:%g:%a /srv/data/file; echo new > /srv/data/file")
    assert runtime.output(bundle) == "copied\ntoo\n1000:1001:640\n"
    assert (place / "file").read_text() == "copied\n"


def test_data_that_a_file_system_does_not_know(anyone, nothing_left):
    """Unknown options are passed to it."""
    anyone.rejects(anyone.bundle().mount("/data", "tmpfs", "no-such-option=1"), "invalid argument|no-such-option", field="mounts[")
    nothing_left([anyone])


# the other kinds

@pytest.mark.parametrize("where, kind", [("/proc", "proc"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"), ("/sys", "sysfs"), ("/dev/mqueue", "mqueue"), ("/dev/shm", "tmpfs")])
def test_dockers_mounts(anyone, where, kind):
    bundle = anyone.bundle()
    mount = listing(anyone, bundle, where)
    assert mount.kind == kind
    asked = set(bundle.mount_of(where)["options"]) & {"nosuid", "noexec", "nodev", "ro"}
    assert asked <= set(mount.options), mount


def test_proc_is_of_the_containers_processes(anyone):
    assert anyone.output(anyone.bundle().sh("echo /proc/[0-9]*")) == "/proc/1\n"


def test_sysfs_is_of_the_containers_network(runtime):
    assert runtime.output(runtime.bundle().args("ls", "/sys/class/net")).split() == ["lo"]


def test_devpts_is_an_instance_of_its_own(anyone):
    assert anyone.output(anyone.bundle().args("ls", "/dev/pts")) == "ptmx\n"


def test_mqueue_is_of_the_containers_ipc(runtime):
    assert runtime.output(runtime.bundle().sh("ls /dev/mqueue | wc -l; touch /dev/mqueue/queue && ls /dev/mqueue")) == "0\nqueue\n"
    assert not os.path.exists("/dev/mqueue/queue")


@pytest.mark.parametrize("option", ["ro", "rw"])
def test_proc_and_sys_read_only(runtime, option):
    bundle = runtime.bundle()
    bundle.mount_of("/proc")["options"].append(option)
    bundle.linux.update(readonlyPaths=[], maskedPaths=[])
    assert option in listing(runtime, bundle, "/proc").options


def test_an_overlay(runtime):
    """As podman mounts volumes with :O."""
    place = runtime.directory("overlay")
    for name in ("lower", "upper", "work"):
        (place / name).mkdir()
    (place / "lower/file").write_text("lower\n")
    bundle = runtime.bundle().mount("/data", "overlay", f"lowerdir={place}/lower", f"upperdir={place}/upper", f"workdir={place}/work", kind="overlay")
    assert runtime.output(bundle.sh("cat /data/file; echo changed > /data/file")) == "lower\n"
    assert (place / "upper/file").read_text() == "changed\n" and (place / "lower/file").read_text() == "lower\n"


def test_a_remount(runtime):
    """Of what an earlier entry mounted."""
    bundle = runtime.bundle().mount("/dev/shm", "shm", "remount", "ro", "nosuid", "nodev", "noexec")
    assert "Read-only" in runtime.run(bundle.sh("touch /dev/shm/x 2>&1")).lines()[0]


@pytest.mark.parametrize("kind", ["nosuchfs", "ext4", "proc/../tmpfs"])
def test_kinds_that_cannot_be_mounted(runtime, kind, nothing_left):
    runtime.rejects(runtime.bundle().mount("/data", "none", kind=kind), "no such device|invalid|block device|unknown|no such file", field="mounts[7]")
    nothing_left([runtime])


# destinations

def test_a_file_on_a_file(anyone, volume):
    bundle = anyone.bundle().mount("/etc/passwd", volume / "file", "bind", "ro").sh("cat /etc/passwd; cat /etc/group | head -1")
    assert anyone.output(bundle) == "of the volume\nroot:x:0:\n"


def test_a_destination_is_made_for_a_file_and_for_a_directory(anyone, volume):
    bundle = anyone.bundle(own_rootfs=True).mount("/new/deep/file", volume / "file", "bind").mount("/new/other/directory", volume, "bind")
    bundle.mount("/new/tmpfs", "tmpfs", "mode=755")
    assert anyone.output(bundle.sh("cat /new/deep/file /new/other/directory/file; stat -c %a /new /new/deep")) == "of the volume\n" * 2 + "755\n755\n"
    assert (bundle.rootfs / "new/deep/file").is_file() and (bundle.rootfs / "new/other/directory").is_dir()


def test_a_relative_destination_is_below_the_root(anyone, volume):
    assert anyone.output(anyone.bundle().mount("data", volume, "bind").args("cat", "/data/file")) == "of the volume\n"


@pytest.mark.parametrize("destination", ["/../../../../../data", "/srv/../data", "//data/", "/data/.", "/srv/../../../../data"])
def test_destinations_with_dots(anyone, volume, destination):
    bundle = anyone.bundle(own_rootfs=True).mount(destination, volume, "bind").args("cat", "/data/file")
    assert anyone.output(bundle) == "of the volume\n"


LINKS = [("/link", "/data"), ("/link", "data"), ("/srv/link", "../data"), ("/link", "/../../../../../../../../../../data"),
         ("/srv/link", "../../../../../../../../../../../../data"), ("/link", "/srv/second")]


@pytest.mark.parametrize("place, target", LINKS)
def test_a_destination_that_is_a_link_leads_to_the_containers_own(anyone, volume, place, target):
    bundle = anyone.bundle(own_rootfs=True)
    (bundle.rootfs / place.lstrip("/")).symlink_to(target)
    (bundle.rootfs / "srv/second").symlink_to("/data")
    bundle.mount(place, volume, "bind").args("cat", "/data/file")
    assert anyone.output(bundle) == "of the volume\n"


@pytest.mark.parametrize("form", ["absolute", "dots", "through"])
@pytest.mark.parametrize("what", ["directory", "file"])
def test_a_link_to_outside_makes_nothing_there(anyone, volume, form, what):
    """A destination below a link to a directory of the host's: what is made is made inside."""
    outside = anyone.directory("outside")
    bundle = anyone.bundle(own_rootfs=True)
    target = {"absolute": str(outside), "dots": "../" * 12 + str(outside), "through": "/srv/first"}[form]
    (bundle.rootfs / "srv/first").symlink_to(outside)
    (bundle.rootfs / "srv/link").symlink_to(target)
    bundle.mount("/srv/link/made", volume / "file" if what == "file" else volume, "bind")
    outcome = anyone.run(bundle.sh(f"cat {outside}/made/file {outside}/made 2>/dev/null; true"))
    assert os.listdir(outside) == []
    if outcome.exit == 0:
        assert outcome.out == b"of the volume\n"
    else:
        anyone.refused(outcome)


def test_a_link_at_the_end_that_leads_nowhere(anyone, volume):
    bundle = anyone.bundle(own_rootfs=True)
    (bundle.rootfs / "dangling").symlink_to("/var/made/by/runtime")
    bundle.mount("/dangling", volume, "bind").args("cat", "/var/made/by/runtime/file")
    outcome = anyone.run(bundle)
    assert not os.path.exists("/var/made")
    assert outcome.exit != 0 or outcome.out == b"of the volume\n"


@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_proc_and_sys_on_a_link_are_refused(runtime, place, nothing_left):
    """Whoever moves them makes masked paths and labels void."""
    bundle = runtime.bundle(own_rootfs=True).without_mount("/sys/fs/cgroup")
    (bundle.rootfs / place[1:]).rmdir()
    (bundle.rootfs / "srv/real").mkdir()
    (bundle.rootfs / place[1:]).symlink_to("/srv/real")
    runtime.rejects(bundle, place)
    nothing_left([runtime])


def test_a_loop_of_links(anyone, volume, nothing_left):
    bundle = anyone.bundle(own_rootfs=True)
    (bundle.rootfs / "one").symlink_to("two")
    (bundle.rootfs / "two").symlink_to("one")
    anyone.rejects(bundle.mount("/one/data", volume, "bind"), "too many|symbolic|loop|no such file", field="mounts[")
    nothing_left([anyone])


def test_mounts_come_in_their_order(anyone, volume):
    """The second is below the first, and hidden when they come the other way round."""
    def seen(*order):
        bundle = anyone.bundle(own_rootfs=True).sh("cat /mnt/sub/file 2>/dev/null || echo hidden")
        for one in order:
            if one == "outer":
                bundle.mount("/mnt", "tmpfs", "mode=755")
            else:
                bundle.mount("/mnt/sub", volume, "bind")
        return anyone.output(bundle)
    assert seen("outer", "inner") == "of the volume\n"
    assert seen("inner", "outer") == "hidden\n"


def test_two_at_one_place(anyone, volume):
    second = anyone.directory("second")
    (second / "file").write_text("second\n")
    bundle = anyone.bundle().mount("/data", volume, "bind").mount("/data", second, "bind").args("cat", "/data/file")
    assert anyone.output(bundle) == "second\n"


def test_a_mount_on_a_file_of_proc(runtime):
    """As lxcfs is used."""
    fake = runtime.directory("fake") / "uptime"
    fake.write_text("1.00 1.00\n")
    assert runtime.output(runtime.bundle().mount("/proc/uptime", fake, "bind").args("cat", "/proc/uptime")) == "1.00 1.00\n"


def test_a_source_that_is_relative_to_the_bundle(runtime):
    bundle = runtime.bundle()
    (bundle.directory / "beside").mkdir()
    (bundle.directory / "beside/file").write_text("beside\n")
    assert runtime.output(bundle.mount("/data", "beside", "bind").args("cat", "/data/file")) == "beside\n"


@pytest.mark.parametrize("source, destination", [("/no/such/source", "/data"), ("file", "/etc"), ("directory", "/etc/passwd"), ("file", "/etc/passwd/below")])
def test_sources_that_do_not_fit(anyone, volume, source, destination, nothing_left):
    source = {"file": volume / "file", "directory": volume}.get(source, source)
    anyone.rejects(anyone.bundle(own_rootfs=True).mount(destination, source, "bind"), "no such file|not a directory|is a directory", field="mounts[")
    nothing_left([anyone])


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_sources_of_other_kinds(runtime, kind):
    """An engine's control socket, most of all."""
    place = runtime.directory("special") / kind
    if kind == "fifo":
        os.mkfifo(place)
    else:
        os.mknod(place, stat.S_IFSOCK | 0o600)
    bundle = runtime.bundle(own_rootfs=True).mount("/run/special", place, "bind").sh("stat -c %F /run/special")
    assert runtime.output(bundle).strip() == kind


@pytest.mark.parametrize("value, field", [({"type": "tmpfs", "source": "tmpfs"}, "destination"), ({"destination": 5, "type": "tmpfs"}, "destination"),
                                          ({"destination": "/data", "type": 5}, "type"), ({"destination": "/data", "type": "tmpfs", "options": "ro"}, "options"),
                                          ({"destination": "/data", "type": "tmpfs", "options": [5]}, "options"), ("/data", "mounts[7]"),
                                          ({"destination": "", "type": "tmpfs", "source": "x"}, "destination"), ({"destination": "/data"}, "mounts[7]")], ids=str)
def test_entries_that_are_none(runtime, value, field, nothing_left):
    bundle = runtime.bundle()
    bundle.config["mounts"] = bundle.config["mounts"][:7] + [value]
    runtime.rejects(bundle, field=field if field.startswith("mounts") else f"mounts[7].{field}")
    nothing_left([runtime])
